//! What Linux tells about a process.

use std::fs;
use std::time::Duration;

/// USER_HZ, in which /proc counts: 100 on every architecture that Linux runs on today.
const TICKS_PER_SECOND: u64 = 100;

/// The time that all threads of a process have had on a core.
pub(crate) fn cpu_time(pid: u32) -> Option<Duration> {
    parse_cpu_time(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// Memory that is the process's own (RssAnon), in bytes.
pub(crate) fn own_memory(pid: u32) -> Option<u64> {
    parse_own_memory(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?)
}

/// How many files this process may have open.
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
    // A program's name may hold spaces and parentheses; what follows the last one are numbers.
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
    fn the_kernels_words_are_understood() {
        let stat =
            "42 (a (b) c) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 1 0 100 0 0 18446744073709551615";
        assert_eq!(parse_cpu_time(stat), Some(Duration::from_secs(3)));
        assert_eq!(parse_own_memory("Name:\tx\nRssAnon:\t    1024 kB\n"), Some(1024 * 1024));
        assert_eq!(parse_cpu_time("nonsense"), None);
    }

    #[test]
    fn this_process_can_be_asked() {
        assert!(cpu_time(std::process::id()).is_some());
        assert!(own_memory(std::process::id()).is_some_and(|bytes| bytes > 0));
        assert!(open_files_limit().is_some_and(|files| files > 3));
    }
}
