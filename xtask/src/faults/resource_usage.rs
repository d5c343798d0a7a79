//! The server's memory and CPU, from the kernel, and its counters, from its metrics.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

pub(super) const MIB: u64 = 1024 * 1024;

pub(super) fn mib(bytes: u64) -> f64 {
    // A machine's memory has fewer bytes than a double counts exactly.
    bytes as f64 / MIB as f64
}

/// The sampling interval; a sample costs the kernel some microseconds.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(100);
/// Linux counts the memory of sockets in pages of this many bytes.
const PAGE: u64 = 4096;

/// The largest sample of the memory of a process, and of all sockets.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Memory {
    /// The process's own memory (RssAnon), in bytes.
    pub(super) own: u64,
    /// The kernel's memory for all TCP connections of this machine, in bytes, including those of the clients.
    pub(super) sockets: u64,
}

impl Memory {
    fn sample(pid: u32) -> Result<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))
            .context("the server has exited, or its status cannot be read")?;
        let own = own_memory(&status).context("the kernel does not report the server's memory")?;
        let sockets = fs::read_to_string("/proc/net/sockstat").ok().and_then(|text| sockets_memory(&text));
        Ok(Self { own, sockets: sockets.unwrap_or(0) })
    }

    /// Samples for this duration. Returns the maximum of each.
    pub(super) fn max_during(pid: u32, time: Duration) -> Result<Self> {
        let end = Instant::now() + time;
        Self::max_until(pid, || Ok(Instant::now() >= end))
    }

    /// Samples until `is_over`. Returns the maximum of each.
    pub(super) fn max_until(pid: u32, mut is_over: impl FnMut() -> Result<bool>) -> Result<Self> {
        let mut most = Self::sample(pid)?;
        while !is_over()? {
            thread::sleep(SAMPLE_INTERVAL);
            let now = Self::sample(pid)?;
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

/// The CPU time of a process, on all cores together.
pub(super) fn cpu_of(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name before it may contain anything, including a bracket. Of the fields after it, `utime` is the 12th and `stime`
    // the 13th.
    let (_, after_name) = stat.rsplit_once(") ").context("/proc/PID/stat has no name")?;
    let ticks = after_name.split(' ').skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    // A clock tick is a hundredth of a second wherever Linux reports one.
    Ok(Duration::from_millis(ticks * 10))
}

/// The server's counters (`/metrics`) at one moment.
pub(super) struct Metrics(String);

impl Metrics {
    pub(super) fn scrape(server: SocketAddr) -> Result<Self> {
        let mut stream = TcpStream::connect(server)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let request = format!("GET /metrics HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).context("the server does not answer /metrics")?;
        Ok(Self(answer))
    }

    /// The value of `teahouse_NAME`; labels are a part of the name.
    pub(super) fn value(&self, name: &str) -> Result<u64> {
        let named = |line: &&str| {
            let rest = line.strip_prefix("teahouse_").and_then(|line| line.strip_prefix(name));
            rest.is_some_and(|rest| rest.starts_with(' '))
        };
        let line = self.0.lines().find(named).with_context(|| format!("/metrics has no {name}"))?;
        // `named` accepts only lines with a space.
        line.rsplit(' ').next().unwrap().parse().with_context(|| format!("{line} is not a count"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_parsed_in_kernel_notation() {
        assert_eq!(own_memory("Name:\tx\nRssAnon:\t    1024 kB\n"), Some(MIB));
        let sockstat = "sockets: used 280\nTCP: inuse 6 orphan 0 tw 0 alloc 8 mem 3\nUDP: inuse 1 mem 1\n";
        assert_eq!(sockets_memory(sockstat), Some(3 * 4096));
    }

    #[test]
    fn metric_is_found_by_its_whole_name_only() {
        let metrics =
            Metrics("teahouse_gaps_total_x 1\nteahouse_gaps_total 7\nteahouse_b{c=\"d\"} 8\n".into());
        assert_eq!(metrics.value("gaps_total").unwrap(), 7);
        assert_eq!(metrics.value("b{c=\"d\"}").unwrap(), 8);
        assert!(metrics.value("gaps").is_err());
    }
}
