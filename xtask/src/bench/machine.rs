//! The machine: its cores, its limit of open files, and its description in the tables.

use std::fs;
use std::path::Path;
use std::process::{self as os, Command};
use std::str::FromStr;

use anyhow::{Context, Result};

use super::timing::Timing;
use crate::process;

/// The cores of the server, of the generator and of PostgreSQL.
#[derive(Clone, Debug)]
pub(crate) struct Cores {
    pub(crate) server: String,
    pub(crate) generator: String,
    /// All cores by default: with two cores, neither is free for PostgreSQL.
    pub(crate) postgres: String,
}

impl Cores {
    /// Moves this process off the server's cores, because it polls a starting server every millisecond.
    pub(crate) fn pin_this_process(&self) -> Result<()> {
        let pid = os::id().to_string();
        process::output(Command::new("taskset").args(["-a", "-c", "-p", &self.generator, &pid]))?;
        Ok(())
    }
}

impl FromStr for Cores {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_list = |list: &str| list.starts_with(|c: char| c.is_ascii_digit());
        let lists: Vec<&str> = text.split(':').collect();
        let (server, generator, postgres) = match lists[..] {
            [server, generator] => (server, generator, format!("{server},{generator}")),
            [server, generator, postgres] => (server, generator, postgres.to_owned()),
            _ => ("", "", String::new()),
        };
        if ![server, generator, &postgres].into_iter().all(is_list) {
            return Err("cores are given like 0:1, 0-3:4-7 or 0:1:2, the server's first".to_owned());
        }
        Ok(Cores { server: server.to_owned(), generator: generator.to_owned(), postgres })
    }
}

/// Raises the limit of open files for this process and its children to the hard limit, and returns it.
pub(crate) fn raise_open_files() -> Result<u64> {
    let (soft, hard) = open_files(&fs::read_to_string("/proc/self/limits")?)
        .context("/proc/self/limits has no limit of open files")?;
    if soft < hard {
        let (pid, limit) = (os::id().to_string(), format!("--nofile={hard}:{hard}"));
        process::output(Command::new("prlimit").args(["--pid", &pid, &limit]))?;
    }
    Ok(hard)
}

/// The soft and the hard limit of open files, from `/proc/PID/limits`.
fn open_files(limits: &str) -> Option<(u64, u64)> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    let mut numbers =
        line.split_whitespace().map(|it| if it == "unlimited" { Some(u64::MAX) } else { it.parse().ok() });
    Some((numbers.next()??, numbers.next()??))
}

/// The time, machine, commit and durations of a measurement.
pub(crate) fn conditions(root: &Path, rounds: u32, timing: Timing) -> Result<String> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
        line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let (cpu, memory) = (read("/proc/cpuinfo"), read("/proc/meminfo"));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let kib: u64 = field(&memory, "MemTotal").trim_end_matches(" kB").parse().unwrap_or(0);
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or_default();
    let day = process::output(Command::new("date").args(["-u", "+%Y-%m-%d %H:%M UTC"]))?;
    let rounds = if rounds == 1 { "1 round".to_owned() } else { format!("{rounds} rounds") };
    Ok(format!(
        "Measured {} at commit {}, on {cores} cores ({}), {} GiB, Linux {}. {rounds} of {} s; memory of idle connections was read \
         {} s after the last join. Load average of the last minute at the start: {load}.",
        day.trim(),
        commit(root)?,
        field(&cpu, "model name"),
        (kib + (1 << 19)) >> 20,
        read("/proc/sys/kernel/osrelease").split('-').next().unwrap_or_default().trim(),
        timing.seconds,
        timing.settle,
    ))
}

/// The commit, and whether the working tree has further changes.
fn commit(root: &Path) -> Result<String> {
    let git = |args: &[&str]| process::output(Command::new("git").current_dir(root).args(args));
    let commit = git(&["rev-parse", "--short", "HEAD"])?;
    // Changes to documents and tools do not affect figures.
    let changed = git(&["status", "--porcelain", "--", "crates", "Cargo.toml", "Cargo.lock"])?;
    let changed = if changed.trim().is_empty() { "" } else { " with changes" };
    Ok(format!("{}{changed}", commit.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_are_parsed_as_lists() {
        let cores: Cores = "0-1:2,3".parse().unwrap();
        assert_eq!([cores.server, cores.generator, cores.postgres], ["0-1", "2,3", "0-1,2,3"]);
        assert_eq!("0:1:2".parse::<Cores>().unwrap().postgres, "2");
        assert!(["0", ":1", "0:1:", "0:1:2:3"].into_iter().all(|cores| cores.parse::<Cores>().is_err()));
    }

    #[test]
    fn soft_and_hard_limit_are_parsed() {
        let line = "Max open files            1024                 20000                files     \n";
        assert_eq!(open_files(&format!("Max processes 1 2 processes\n{line}")), Some((1024, 20_000)));
        assert_eq!(open_files(&line.replace("20000", "unlimited")), Some((1024, u64::MAX)));
        assert_eq!(open_files("Max processes 1 2 processes\n"), None);
    }
}
