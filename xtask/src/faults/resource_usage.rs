//! What the server uses, and what it counts itself.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

pub(super) const MIB: u64 = 1024 * 1024;

pub(super) fn mib(bytes: u64) -> f64 {
    // Memory has fewer bytes than a double can count.
    bytes as f64 / MIB as f64
}

/// A look costs the kernel some microseconds.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(100);
/// Linux counts the memory of sockets in pages.
const PAGE: u64 = 4096;

/// The most memory that was seen of a process, and of all sockets.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Memory {
    /// The process's own (RssAnon), in bytes.
    pub(super) own: u64,
    /// What the kernel holds for all TCP connections of this machine, in bytes: those of the clients, too.
    pub(super) sockets: u64,
}

impl Memory {
    fn look(pid: u32) -> Result<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))
            .context("the server has ended, or cannot be looked at")?;
        let own = own_memory(&status).context("the kernel does not tell the server's memory")?;
        let sockets = fs::read_to_string("/proc/net/sockstat").ok().and_then(|text| sockets_memory(&text));
        Ok(Self { own, sockets: sockets.unwrap_or(0) })
    }

    /// Looks until so much time has passed: the most of each.
    pub(super) fn most_of(pid: u32, time: Duration) -> Result<Self> {
        let end = Instant::now() + time;
        Self::most_until(pid, || Ok(Instant::now() >= end))
    }

    /// Looks until that is so: the most of each.
    pub(super) fn most_until(pid: u32, mut is_over: impl FnMut() -> Result<bool>) -> Result<Self> {
        let mut most = Self::look(pid)?;
        while !is_over()? {
            thread::sleep(SAMPLE_INTERVAL);
            let now = Self::look(pid)?;
            most = Self { own: most.own.max(now.own), sockets: most.sockets.max(now.sockets) };
        }
        Ok(most)
    }
}

fn own_memory(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}

fn sockets_memory(sockstat: &str) -> Option<u64> {
    let line = sockstat.lines().find_map(|line| line.strip_prefix("TCP: "))?;
    let mut words = line.split(' ').skip_while(|word| *word != "mem");
    words.nth(1)?.parse::<u64>().ok()?.checked_mul(PAGE)
}

/// How long a process has run, on all cores together.
pub(super) fn cpu_of(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name before it may hold anything, also a bracket. Of what follows `utime` is the 12th and `stime` the 13th.
    let (_, after_name) = stat.rsplit_once(") ").context("/proc tells no times")?;
    let ticks = after_name.split(' ').skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    // A hundredth of a second, wherever Linux shows them.
    Ok(Duration::from_millis(ticks * 10))
}

/// What the server counts (`/metrics`), as of one moment.
pub(super) struct Metrics(String);

impl Metrics {
    pub(super) fn scrape(server: SocketAddr) -> Result<Self> {
        let mut stream = TcpStream::connect(server)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let request = format!("GET /metrics HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).context("the server does not tell its metrics")?;
        Ok(Self(answer))
    }

    /// The value of `teahouse_NAME`; labels belong to the name.
    pub(super) fn value(&self, name: &str) -> Result<u64> {
        let named = |line: &&str| {
            let rest = line.strip_prefix("teahouse_").and_then(|line| line.strip_prefix(name));
            rest.is_some_and(|rest| rest.starts_with(' '))
        };
        let line = self.0.lines().find(named).with_context(|| format!("/metrics does not tell {name}"))?;
        // It has a space, as was just seen.
        line.rsplit(' ').next().unwrap().parse().with_context(|| format!("{line} is no count"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_tells_is_understood() {
        assert_eq!(own_memory("Name:\tx\nRssAnon:\t    1024 kB\n"), Some(MIB));
        let sockstat = "sockets: used 280\nTCP: inuse 6 orphan 0 tw 0 alloc 8 mem 3\nUDP: inuse 1 mem 1\n";
        assert_eq!(sockets_memory(sockstat), Some(3 * 4096));
    }

    #[test]
    fn counter_is_found_by_its_whole_name() {
        let metrics =
            Metrics("teahouse_gaps_total_x 1\nteahouse_gaps_total 7\nteahouse_b{c=\"d\"} 8\n".into());
        assert_eq!(metrics.value("gaps_total").unwrap(), 7);
        assert_eq!(metrics.value("b{c=\"d\"}").unwrap(), 8);
        assert!(metrics.value("gaps").is_err());
    }
}
