//! CPU, memory and limits of a process, from /proc (Linux only).

use std::fs;
use std::time::{Duration, Instant};

/// USER_HZ, in which /proc counts: 100 on every architecture that Linux runs on today.
const TICKS_PER_SECOND: u64 = 100;

/// The CPU time of all threads of a process; `None` if it has ended.
pub(crate) fn cpu_time(pid: u32) -> Option<Duration> {
    parse_cpu_time(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The anonymous memory of a process (RssAnon), in bytes; `None` if it has ended.
pub(crate) fn own_memory(pid: u32) -> Option<u64> {
    parse_own_memory(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?)
}

/// Measures the CPU use of the generator and the server over an interval.
#[derive(Debug)]
pub(crate) struct Usage {
    started: Instant,
    generator: Option<Duration>,
    server_pid: Option<u32>,
    server: Option<Duration>,
}

/// The length of the interval, and the cores that each process used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Used {
    pub(crate) seconds: f64,
    pub(crate) generator: f64,
    /// `None` without the server's process id.
    pub(crate) server: Option<f64>,
}

impl Usage {
    pub(crate) fn start(server_pid: Option<u32>) -> Self {
        let server = server_pid.and_then(cpu_time);
        Usage { started: Instant::now(), generator: cpu_time(std::process::id()), server_pid, server }
    }

    pub(crate) fn end(&self) -> Used {
        let seconds = self.started.elapsed().as_secs_f64();
        let share = |before: Option<Duration>, after: Option<Duration>| {
            Some(after?.saturating_sub(before?).as_secs_f64() / seconds)
        };
        Used {
            seconds,
            generator: share(self.generator, cpu_time(std::process::id())).unwrap_or(0.0),
            server: share(self.server, self.server_pid.and_then(cpu_time)),
        }
    }
}

/// The largest sample of a process's anonymous memory.
#[derive(Debug)]
pub(crate) struct MemoryPeak {
    pid: Option<u32>,
    next_sample: Option<Instant>,
    bytes: u64,
}

impl MemoryPeak {
    /// The sampling interval: a sample costs some microseconds.
    const EVERY: Duration = Duration::from_millis(100);

    pub(crate) fn of(pid: Option<u32>) -> Self {
        MemoryPeak { pid, next_sample: None, bytes: 0 }
    }

    /// Takes a sample if it is due. Returns when the next one is due.
    pub(crate) fn sample(&mut self, now: Instant) -> Option<Instant> {
        let pid = self.pid?;
        if self.next_sample.is_none_or(|due| due <= now) {
            self.bytes = self.bytes.max(own_memory(pid).unwrap_or(0));
            self.next_sample = Some(now + Self::EVERY);
        }
        self.next_sample
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }
}

pub(crate) fn open_files_limit() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?
        .split_whitespace()
        .next()?
        .parse()
        .ok()
}

fn parse_cpu_time(stat: &str) -> Option<Duration> {
    // A program's name may contain spaces and parentheses; after the last one there are only numbers.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    let total = ticks()? + ticks()?;
    Some(Duration::from_millis(total * 1000 / TICKS_PER_SECOND))
}

fn parse_own_memory(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_files_are_parsed() {
        let stat =
            "42 (a (b) c) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 1 0 100 0 0 18446744073709551615";
        assert_eq!(parse_cpu_time(stat), Some(Duration::from_secs(3)));
        assert_eq!(parse_own_memory("Name:\tx\nRssAnon:\t    1024 kB\n"), Some(1024 * 1024));
        assert_eq!(parse_cpu_time("nonsense"), None);
    }

    #[test]
    fn own_process_can_be_measured() {
        assert!(cpu_time(std::process::id()).is_some());
        assert!(own_memory(std::process::id()).is_some_and(|bytes| bytes > 0));
        let used = Usage::start(Some(std::process::id())).end();
        assert!(used.server.is_some() && used.seconds > 0.0);
        assert_eq!(Usage::start(None).end().server, None);
        assert!(open_files_limit().is_some_and(|files| files > 3));
    }

    #[test]
    fn memory_is_sampled_ten_times_a_second() {
        let mut peak = MemoryPeak::of(Some(std::process::id()));
        let now = Instant::now();
        assert_eq!(peak.sample(now), Some(now + Duration::from_millis(100)));
        assert!(peak.bytes() > 0);
        let later = now + Duration::from_millis(99);
        assert_eq!(peak.sample(later), Some(now + Duration::from_millis(100)));
        let due = now + Duration::from_millis(100);
        assert_eq!(peak.sample(due), Some(now + Duration::from_millis(200)));
        assert_eq!(MemoryPeak::of(None).sample(now), None);
    }
}
