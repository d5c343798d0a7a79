//! `cargo xtask faults io`: a disk that fails now and then to write or to sync.
//!
//! Each life of the server has failures of one kind. libfiu fails the calls with which SQLite writes (a socket is written with
//! others), each with the same probability; `strace` fails one sync and lets those after it succeed, as a kernel does that has
//! dropped what it could not write, and takes down whether anything is written then.

mod after_failed_sync;
mod short_write;

use std::fs::{self, File};
use std::io::BufReader;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use self::after_failed_sync::FailedSyncCheck;
use self::short_write::is_cut_short;
use super::disk::check_integrity;
use super::harness::{CommonArgs, Harness};
use super::recorder_process::{MinimumActivity, RecorderProcess, check};
use super::rng::Rng;
use super::run_dir::RunDir;
use super::server_under_test::ServerUnderTest;
use super::trace;
use crate::workspace::Workspace;

/// After so many lives the history and the database are checked, and others begin in an empty folder.
const LIVES_PER_HISTORY: u32 = 25;
/// How long a life is at the most, once the server is open.
const LIFE: Duration = Duration::from_millis(2_000);
const STOP: Duration = Duration::from_secs(20);
/// What the server ends with when it cannot trust the disk.
const UNTRUSTED_DISK_EXIT_CODE: i32 = 70;
/// What it says then.
const UNTRUSTED_DISK_MESSAGE: &str = "cannot be trusted";
/// What SQLite says of a write that failed, and of a sync that did: of a file, of a folder.
const FAILED_WRITE: &str = "(SQLite 778)";
const FAILED_SYNCS: [&str; 2] = ["(SQLite 1034)", "(SQLite 1290)"];
/// More syncs than a thread makes while the server starts, and about how many more in a life.
const SYNCS_OF_A_START: u64 = 20;
const SYNCS: u64 = 60;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many lives with failures the server has.
    #[arg(long, default_value_t = 200)]
    pub(super) runs: u32,
    /// About how many messages are sent in a second.
    #[arg(long, default_value_t = 400)]
    pub(super) rate: u32,
    #[command(flatten)]
    pub(super) common: CommonArgs,
}

pub(super) const SHORT_RUN: Args = Args { runs: 8, rate: 400, common: CommonArgs::SHORT_RUN };

/// From so many lives on it must be seen of each harm that it was done: it was that in 17 to 44 of them, so that less than one in
/// ten million runs would miss one.
const LONG: u32 = 200;

/// What fails in a life.
#[derive(Clone, Copy, Debug)]
enum InjectedFault {
    /// By libfiu, so many times in a thousand.
    Often(Kind, u64),
    /// By `strace`, a thread's nth sync.
    Once(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Write,
    ShortWrite,
    Sync,
    All,
}

impl Kind {
    /// As libfiu calls it.
    fn points(self) -> &'static [&'static str] {
        match self {
            Self::Write => &["posix/io/rw/pwrite"],
            Self::ShortWrite => &["posix/io/rw/pwrite/reduce"],
            Self::Sync => &["posix/io/sync/fdatasync", "posix/io/sync/fsync"],
            Self::All => &[
                "posix/io/rw/pwrite",
                "posix/io/rw/pwrite/reduce",
                "posix/io/sync/fdatasync",
                "posix/io/sync/fsync",
            ],
        }
    }
}

impl InjectedFault {
    /// By turns, so that no kind is left out.
    fn for_life(life: u32, rng: &mut Rng) -> Self {
        let kind = match life % 6 {
            0 => Kind::Write,
            1 => Kind::ShortWrite,
            2 => Kind::Sync,
            3 => Kind::All,
            _ => return Self::Once(SYNCS_OF_A_START + rng.below(SYNCS)),
        };
        // 0.1 to 5 %, small ones as often as large ones.
        let thousandths = [1, 2, 5, 10, 20, 50];
        Self::Often(kind, thousandths[rng.below(thousandths.len() as u64) as usize])
    }
}

/// How the lives ended.
#[derive(Debug, Default)]
struct Outcomes {
    not_opened: u32,
    distrusted: u32,
    killed: u32,
    /// In the log: something was not done because of the disk.
    errors: usize,
    /// Lives in which a write failed and the log says so; in which one was cut short, as a trace shows; in which a sync failed.
    failed_writes: u32,
    short_writes: u32,
    failed_syncs: u32,
    /// After a failed sync, as a trace shows.
    silent: u32,
}

impl Outcomes {
    /// What a long run should have shown, and did not.
    fn missing_faults(&self) -> Vec<&'static str> {
        let harms = [
            ("a write that fails", self.failed_writes),
            ("a write that is cut short", self.short_writes),
            ("syncs that fail", self.failed_syncs),
            ("one sync that fails", self.silent),
        ];
        harms.into_iter().filter(|(_, lives)| *lives == 0).map(|(packet_counts, _)| packet_counts).collect()
    }
}

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let harness = Harness::build(workspace, &args.common)?;
    let (mut seed, mut left, mut lives) = (harness.seed, args.runs, 0);
    let mut ends = Outcomes::default();
    // In one of some two hundred short runs nothing fails, which would prove nothing: it goes on.
    while left > 0 || ends.errors == 0 && lives < args.runs.saturating_mul(4) {
        left = if left > 0 { left } else { args.runs };
        let runs = left.min(LIVES_PER_HISTORY);
        println!("seed {seed}: {runs} lives, {left} to go");
        let replay_args = format!("io --runs {runs} --rate {}", args.rate);
        harness.run(&replay_args, seed, |run_dir| {
            run_history(&harness, args, run_dir, (seed, runs), &mut ends)
        })?;
        left -= runs;
        lives += runs;
        seed = seed.wrapping_add(1);
    }
    println!(
        "{} lives on a failing disk: {} times it did not open and said why, {} times it ended by itself after a failed sync, {} times \
         it was killed; writes failed in {} of them, were short in {}, syncs failed in {}; {} traces of a failed sync show \
         nothing written after it; {} errors in its logs; no acknowledgement was false, and no database is damaged",
        lives,
        ends.not_opened,
        ends.distrusted,
        ends.killed,
        ends.failed_writes,
        ends.short_writes,
        ends.failed_syncs,
        ends.silent,
        ends.errors
    );
    if ends.errors == 0 {
        bail!("nothing failed: this proves nothing");
    }
    let missing_faults = ends.missing_faults();
    if args.runs >= LONG && !missing_faults.is_empty() {
        bail!("in {} lives the server never met {}", args.runs, missing_faults.join(", nor "));
    }
    Ok(())
}

/// A life may be over at once, and a server that does not open hears nobody; but not each. Twenty-four cursors are named when all
/// come for the first time.
fn least(runs: u32) -> MinimumActivity {
    let lives = u64::from(runs);
    MinimumActivity {
        acknowledged: 5 * lives,
        percent: 10,
        deliveries: 20 * lives,
        resumed: 24 + 2 * lives,
        views: 16,
    }
}

fn run_history(
    harness: &Harness,
    args: &Args,
    run_dir: &RunDir,
    (seed, runs): (u64, u32),
    ends: &mut Outcomes,
) -> Result<()> {
    let program = harness.binary("history");
    let mut server = ServerUnderTest::new(harness.binary("teahouse"), run_dir.path())?;
    // On a disk that is well: the clients have to get in.
    server.start()?;
    server.wait_until_open()?;
    let options = ["--writers=12", "--receivers=4", "--rooms=4"].map(str::to_owned);
    let options = [&options[..], &[format!("--rate={}", args.rate), format!("--seed={seed}")]].concat();
    let mut recorder = RecorderProcess::start(&program, server.address, &run_dir.history(), &options)?;
    server.kill()?;
    let mut rng = Rng::new(seed);
    for life in 1..=runs {
        let failing = InjectedFault::for_life(life, &mut rng);
        recorder.note(&format!("life {life}: {failing:?}"))?;
        let lived = run_life(&mut server, run_dir, failing, rng.moment_within(LIFE), ends);
        lived.with_context(|| format!("life {life}, {failing:?}"))?;
    }
    remove_faults(&mut server);
    server.start()?;
    server.wait_until_open()?;
    recorder.note("open for the last time, on a disk that is well")?;
    recorder.finish()?;
    check(&program, &run_dir.history(), least(runs))?;
    server.signal(Signal::TERM)?;
    let status = server.wait_for_end(STOP)?;
    if !status.success() {
        bail!("the server ended with {status}");
    }
    let log = fs::read_to_string(run_dir.path().join("server.log"))?;
    ends.errors += log.lines().filter(|line| line.contains("disk I/O error")).count();
    check_integrity(&run_dir.path().join("data/teahouse.db"))
}

fn remove_faults(server: &mut ServerUnderTest) {
    server.start_via([""; 0]);
    server.set("LD_PRELOAD", "");
    server.set("FIU_ENABLE", "");
}

fn run_life(
    server: &mut ServerUnderTest,
    run_dir: &RunDir,
    failing: InjectedFault,
    life: Duration,
    ends: &mut Outcomes,
) -> Result<()> {
    let calls = run_dir.path().join("trace");
    let log = run_dir.path().join("server.log");
    let logged = fs::read(&log)?.len();
    remove_faults(server);
    match failing {
        InjectedFault::Often(kind, thousandths) => {
            // 5: EIO.
            let enable =
                |name: &&str| format!("enable_random name={name},probability=0.{thousandths:03},failinfo=5");
            server.set("LD_PRELOAD", "/usr/lib/fiu/fiu_run_preload.so:/usr/lib/fiu/fiu_posix_preload.so");
            server.set("FIU_ENABLE", kind.points().iter().map(enable).collect::<Vec<_>>().join("\n"));
            if kind == Kind::ShortWrite {
                server.start_via(trace::through(&calls, &[]));
            }
        }
        InjectedFault::Once(nth) => {
            let inject = format!("inject=fsync,fdatasync:error=EIO:when={nth}");
            server.start_via(trace::through(&calls, &["-e", &inject]));
        }
    }
    server.start()?;
    if server.wait_until_open().is_err() {
        let status = server.wait_for_end(STOP)?;
        let last = server.last_log_line()?;
        if status.code() != Some(1) && status.code() != Some(UNTRUSTED_DISK_EXIT_CODE)
            || !last.contains("disk I/O error")
        {
            bail!("the server did not open, ended with {status}, and said: {last}");
        }
        ends.not_opened += 1;
        return Ok(());
    }
    match server.ended_within(life)? {
        None => {
            server.signal(Signal::KILL)?;
            // Also the tracer has come to its end then.
            server.wait_for_end(STOP)?;
            let said = String::from_utf8_lossy(&fs::read(&log)?[logged..]).into_owned();
            if writes_after_failed_sync(&said) {
                bail!("the server goes on after a sync that failed:\n{said}");
            }
            ends.killed += 1;
        }
        Some(status) => {
            let last = server.last_log_line()?;
            if status.code() != Some(UNTRUSTED_DISK_EXIT_CODE) || !last.contains(UNTRUSTED_DISK_MESSAGE) {
                bail!("the server ended with {status}, and said: {last}");
            }
            ends.distrusted += 1;
        }
    }
    let said = String::from_utf8_lossy(&fs::read(&log)?[logged..]).into_owned();
    ends.failed_writes += u32::from(said.contains(FAILED_WRITE));
    match failing {
        InjectedFault::Once(_) => ends.silent += u32::from(check_failed_sync(&calls)?),
        InjectedFault::Often(Kind::ShortWrite, _) => {
            ends.short_writes += u32::from(has_short_writes(&calls)?)
        }
        InjectedFault::Often(..) => {
            ends.failed_syncs += u32::from(FAILED_SYNCS.iter().any(|code| said.contains(code)));
        }
    }
    Ok(())
}

/// The first sync that fails ends it; killed in that very moment it may have said what failed, and that it ends.
fn writes_after_failed_sync(said: &str) -> bool {
    let is_failure = |line: &&str| FAILED_SYNCS.iter().any(|code| line.contains(code));
    said.lines().filter(is_failure).filter(|line| !line.contains(UNTRUSTED_DISK_MESSAGE)).count() > 1
}

fn has_short_writes(calls: &Path) -> Result<bool> {
    let mut short_write = false;
    trace::read(BufReader::new(File::open(calls)?), |call| {
        short_write |= is_cut_short(&call);
        Ok(())
    })?;
    Ok(short_write)
}

/// Whether a sync failed. An error: something came after it.
fn check_failed_sync(calls: &Path) -> Result<bool> {
    let mut silence = FailedSyncCheck::default();
    trace::read(BufReader::new(File::open(calls)?), |call| silence.take(&call))?;
    Ok(silence.saw_failed_sync())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_turn_in_six_lives() {
        let mut rng = Rng::new(1);
        let lives: Vec<_> = (1..=6).map(|life| InjectedFault::for_life(life, &mut rng)).collect();
        for kind in [Kind::Write, Kind::ShortWrite, Kind::Sync, Kind::All] {
            assert!(lives.iter().any(|life| matches!(life, InjectedFault::Often(it, _) if *it == kind)));
        }
        assert!(lives.iter().any(|life| matches!(life, InjectedFault::Once(_))));
    }

    #[test]
    fn second_failed_sync_is_seen_and_word_of_the_end_is_none() {
        let failed = "the store could not do what it was asked: disk I/O error (SQLite 1034)\n";
        let ends = "the disk cannot be trusted any more: disk I/O error (SQLite 1034)\n";
        assert!(!writes_after_failed_sync(&format!("open\n{failed}{ends}")));
        assert!(writes_after_failed_sync(&format!("{failed}{failed}")));
    }

    #[test]
    fn harm_that_was_never_done_is_named() {
        let ends = Outcomes { failed_writes: 3, failed_syncs: 1, silent: 2, ..Outcomes::default() };
        assert_eq!(ends.missing_faults(), ["a write that is cut short"]);
        assert_eq!(Outcomes::default().missing_faults().len(), 4);
    }
}
