//! The open descriptors of a process, as the kernel reports them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::ops::RangeBounds;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use std::{fmt, fs, thread};

use anyhow::{Context, Result, ensure};

/// The number of unchanged reads after which nothing is considered in progress.
const SETTLED: u32 = 20;

/// The common name of all sockets, which the kernel numbers.
pub(super) const SOCKET: &str = "socket";

/// The number of descriptors with each name.
pub(super) type Open = BTreeMap<String, usize>;

/// The descriptors of a running process.
pub(super) struct Descriptors {
    process: PathBuf,
}

impl Descriptors {
    pub(super) fn of(pid: u32) -> Self {
        Self { process: format!("/proc/{pid}").into() }
    }

    pub(super) fn count(&self) -> Result<usize> {
        Ok(self.names()?.len())
    }

    /// The number of descriptors of each name; all sockets share one.
    fn open(&self) -> Result<Open> {
        let mut open = Open::new();
        for name in self.names()? {
            *open.entry(if socket(&name).is_some() { SOCKET.to_owned() } else { name }).or_default() += 1;
        }
        Ok(open)
    }

    /// The open descriptors after their number has stopped changing.
    pub(super) fn settled(&self, interval: Duration, timeout: Duration) -> Result<Open> {
        let deadline = Instant::now() + timeout;
        let (mut open, mut same) = (self.open()?, 0);
        while same < SETTLED {
            ensure!(Instant::now() < deadline, "the number of the server's descriptors does not settle");
            thread::sleep(interval);
            let now = self.open()?;
            same = if now == open { same + 1 } else { 0 };
            open = now;
        }
        Ok(open)
    }

    fn names(&self) -> Result<Vec<String>> {
        let open = fs::read_dir(self.process.join("fd")).context("cannot read the server's descriptors")?;
        // A descriptor that was closed meanwhile has no name.
        let names = open.flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
        Ok(names.map(|name| name.to_string_lossy().into_owned()).collect())
    }

    /// Waits until the number of descriptors is in this range.
    pub(super) fn wait_for(
        &self,
        wanted: impl RangeBounds<usize> + fmt::Debug,
        interval: Duration,
        timeout: Duration,
    ) -> Result<()> {
        let deadline = Instant::now() + timeout;
        loop {
            let count = self.count()?;
            if wanted.contains(&count) {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "the server has {count} descriptors; expected {wanted:?}");
            thread::sleep(interval);
        }
    }

    /// The remote IPv4 addresses of the process's TCP connections, including those through an IPv6 socket, unsorted.
    pub(super) fn remote_addresses(&self) -> Result<Vec<Ipv4Addr>> {
        let names = self.names()?;
        let sockets: BTreeSet<&str> = names.iter().filter_map(|name| socket(name)).collect();
        let mut addresses = Vec::new();
        for file in ["net/tcp", "net/tcp6"] {
            let table =
                fs::read_to_string(self.process.join(file)).context("cannot read the kernel's TCP table")?;
            for line in table.lines().skip(1) {
                let words: Vec<&str> = line.split_whitespace().collect();
                let (Some(remote), Some(inode)) = (words.get(2), words.get(9)) else { continue };
                if sockets.contains(*inode) {
                    addresses.extend(ipv4(remote));
                }
            }
        }
        Ok(addresses)
    }
}

/// The inode number in the name of a socket; `None` for other files.
fn socket(name: &str) -> Option<&str> {
    name.strip_prefix("socket:[")?.strip_suffix(']')
}

/// Parses the last group of `0100007F:1F90`, or of the same in 32 digits.
fn ipv4(remote: &str) -> Option<Ipv4Addr> {
    let (address, _) = remote.split_once(':')?;
    let word = address.get(address.len().checked_sub(8)?..)?;
    // The kernel prints the bytes in memory order.
    Some(Ipv4Addr::from(u32::from_str_radix(word, 16).ok()?.to_ne_bytes()))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn remote_address_of_a_connection_is_found() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (_server, _) = listener.accept().unwrap();
        let found = Descriptors::of(std::process::id()).remote_addresses().unwrap();
        assert!(found.contains(&Ipv4Addr::LOCALHOST), "{found:?}");
    }

    #[test]
    fn addresses_are_parsed_in_kernel_notation() {
        assert_eq!(ipv4("0100007F:1F90"), Some(Ipv4Addr::LOCALHOST));
        assert_eq!(ipv4("0000000000000000FFFF00000100027F:1F90"), Some(Ipv4Addr::new(127, 2, 0, 1)));
        assert_eq!(ipv4("7F:1"), None);
    }
}
