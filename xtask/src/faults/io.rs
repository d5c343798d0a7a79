//! `cargo xtask faults io`: a disk on which writes or syncs sometimes fail.
//!
//! The server is restarted many times, each time with one kind of fault. libfiu fails the calls with which SQLite writes (sockets use
//! others), each with the same probability; `strace` fails one sync and lets later ones succeed, as a kernel does that has dropped
//! dirty pages, and its trace shows whether anything is written afterwards.

mod after_failed_sync;
mod short_write;

use std::fs::{self, File};
use std::io::BufReader;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use self::after_failed_sync::FailedSyncCheck;
use self::short_write::is_short_write;
use super::disk::check_integrity;
use super::harness::{CommonArgs, Harness};
use super::recorder_process::{MinimumActivity, RecorderProcess, check};
use super::rng::Rng;
use super::run_dir::RunDir;
use super::server_under_test::ServerUnderTest;
use super::trace;
use crate::workspace::Workspace;

/// After this many restarts the history and the database are checked, and the next history starts in an empty folder.
const RUNS_PER_HISTORY: u32 = 25;
/// Bounds the time between the server's start and its end.
const MAX_UPTIME: Duration = Duration::from_millis(2_000);
const STOP_TIMEOUT: Duration = Duration::from_secs(20);
/// The server's exit code when it cannot trust the disk.
const UNTRUSTED_DISK_EXIT_CODE: i32 = 70;
/// A part of the log message that accompanies it.
const UNTRUSTED_DISK_MESSAGE: &str = "cannot be trusted";
/// SQLite's extended result code for a failed write.
const FAILED_WRITE: &str = "(SQLite 778)";
/// SQLite's extended result codes for a failed sync: of a file, and of a folder.
const FAILED_SYNCS: [&str; 2] = ["(SQLite 1034)", "(SQLite 1290)"];
/// More syncs than one thread makes while the server starts.
const SYNCS_DURING_START: u64 = 20;
/// About the number of further syncs until the server ends.
const SYNCS_PER_RUN: u64 = 60;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How often the server runs with injected faults.
    #[arg(long, default_value_t = 200)]
    pub(super) runs: u32,
    /// Messages sent per second, approximately.
    #[arg(long, default_value_t = 400)]
    pub(super) rate: u32,
    #[command(flatten)]
    pub(super) common: CommonArgs,
}

pub(super) const SHORT_RUN: Args = Args { runs: 8, rate: 400, common: CommonArgs::SHORT_RUN };

/// From this number of runs on, each kind of fault must have occurred: 17 to 44 of 200 had each, so fewer than one in ten million
/// would miss one.
const MIN_RUNS_FOR_ALL_FAULTS: u32 = 200;

/// The fault of one server run.
#[derive(Clone, Copy, Debug)]
enum InjectedFault {
    /// libfiu fails calls of this kind, with this probability in thousandths.
    Often(Kind, u64),
    /// `strace` fails the nth sync of a thread.
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
    /// The names of libfiu's failure points.
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
    /// Rotates through the kinds, so that each one occurs.
    fn for_run(number: u32, rng: &mut Rng) -> Self {
        let kind = match number % 6 {
            0 => Kind::Write,
            1 => Kind::ShortWrite,
            2 => Kind::Sync,
            3 => Kind::All,
            _ => return Self::Once(SYNCS_DURING_START + rng.below(SYNCS_PER_RUN)),
        };
        // 0.1 % to 5 %, on a logarithmic scale.
        let thousandths = [1, 2, 5, 10, 20, 50];
        Self::Often(kind, thousandths[rng.below(thousandths.len() as u64) as usize])
    }
}

/// The outcomes of the server runs.
#[derive(Debug, Default)]
struct Outcomes {
    not_opened: u32,
    distrusted: u32,
    killed: u32,
    /// The log lines about operations that the disk failed.
    errors: usize,
    /// Runs with a failed write in the log.
    failed_writes: u32,
    /// Runs with a short write in the trace.
    short_writes: u32,
    /// Runs with a failed sync in the log.
    failed_syncs: u32,
    /// The runs whose trace has no write after a failed sync.
    silent: u32,
}

impl Outcomes {
    /// The faults that a run of this length must contain, and does not.
    fn missing_faults(&self) -> Vec<&'static str> {
        let kinds = [
            ("a failed write", self.failed_writes),
            ("a short write", self.short_writes),
            ("failed syncs", self.failed_syncs),
            ("a single failed sync", self.silent),
        ];
        kinds
            .into_iter()
            .filter(|(_, server_runs)| *server_runs == 0)
            .map(|(packet_counts, _)| packet_counts)
            .collect()
    }
}

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let harness = Harness::build(workspace, &args.common)?;
    let (mut seed, mut left, mut server_runs) = (harness.seed, args.runs, 0);
    let mut outcomes = Outcomes::default();
    // In about one of two hundred short runs no fault occurs, which would prove nothing, so the run continues.
    while left > 0 || outcomes.errors == 0 && server_runs < args.runs.saturating_mul(4) {
        left = if left > 0 { left } else { args.runs };
        let runs = left.min(RUNS_PER_HISTORY);
        println!("seed {seed}: {runs} server runs, {left} to go");
        let replay_args = format!("io --runs {runs} --rate {}", args.rate);
        harness.run(&replay_args, seed, |run_dir| {
            run_history(&harness, args, run_dir, (seed, runs), &mut outcomes)
        })?;
        left -= runs;
        server_runs += runs;
        seed = seed.wrapping_add(1);
    }
    println!(
        "{} server runs on a failing disk: {} failed to open with a clear message, {} exited after a failed sync, {} were \
         killed; writes failed in {} of them, were short in {}, syncs failed in {}; {} traces of a failed sync show \
         no write after it; {} errors in the logs; no acknowledgement was false, and no database is damaged",
        server_runs,
        outcomes.not_opened,
        outcomes.distrusted,
        outcomes.killed,
        outcomes.failed_writes,
        outcomes.short_writes,
        outcomes.failed_syncs,
        outcomes.silent,
        outcomes.errors
    );
    if outcomes.errors == 0 {
        bail!("no fault occurred, so the run proves nothing");
    }
    let missing_faults = outcomes.missing_faults();
    if args.runs >= MIN_RUNS_FOR_ALL_FAULTS && !missing_faults.is_empty() {
        bail!("in {} server runs the disk never had {}", args.runs, missing_faults.join(", nor "));
    }
    Ok(())
}

/// A server run may end at once, and one that fails to open serves no client; but not all do. The 24 cursors are those of the first
/// joins.
fn minimum_activity(runs: u32) -> MinimumActivity {
    let server_runs = u64::from(runs);
    MinimumActivity {
        acknowledged: 5 * server_runs,
        percent: 10,
        deliveries: 20 * server_runs,
        resumed: 24 + 2 * server_runs,
        views: 16,
    }
}

fn run_history(
    harness: &Harness,
    args: &Args,
    run_dir: &RunDir,
    (seed, runs): (u64, u32),
    outcomes: &mut Outcomes,
) -> Result<()> {
    let program = harness.binary("history");
    let mut server = ServerUnderTest::new(harness.binary("teahouse"), run_dir.path())?;
    // Starts on a healthy disk, because the clients have to log in.
    server.start()?;
    server.wait_until_open()?;
    let options = ["--writers=12", "--receivers=4", "--rooms=4"].map(str::to_owned);
    let options = [&options[..], &[format!("--rate={}", args.rate), format!("--seed={seed}")]].concat();
    let mut recorder = RecorderProcess::start(&program, server.address, &run_dir.history(), &options)?;
    server.kill()?;
    let mut rng = Rng::new(seed);
    for number in 1..=runs {
        let fault = InjectedFault::for_run(number, &mut rng);
        recorder.note(&format!("server run {number}: {fault:?}"))?;
        let outcome = run_server(&mut server, run_dir, fault, rng.moment_within(MAX_UPTIME), outcomes);
        outcome.with_context(|| format!("server run {number}, {fault:?}"))?;
    }
    remove_faults(&mut server);
    server.start()?;
    server.wait_until_open()?;
    recorder.note("opened for the last time, on a healthy disk")?;
    recorder.finish()?;
    check(&program, &run_dir.history(), minimum_activity(runs))?;
    server.signal(Signal::TERM)?;
    let status = server.wait_for_exit(STOP_TIMEOUT)?;
    if !status.success() {
        bail!("the server exited with {status}");
    }
    let log = fs::read_to_string(run_dir.path().join("server.log"))?;
    outcomes.errors += log.lines().filter(|line| line.contains("disk I/O error")).count();
    check_integrity(&run_dir.path().join("data/teahouse.db"))
}

fn remove_faults(server: &mut ServerUnderTest) {
    server.start_via([""; 0]);
    server.set("LD_PRELOAD", "");
    server.set("FIU_ENABLE", "");
}

fn run_server(
    server: &mut ServerUnderTest,
    run_dir: &RunDir,
    fault: InjectedFault,
    number: Duration,
    outcomes: &mut Outcomes,
) -> Result<()> {
    let calls = run_dir.path().join("trace");
    let log = run_dir.path().join("server.log");
    let logged = fs::read(&log)?.len();
    remove_faults(server);
    match fault {
        InjectedFault::Often(kind, thousandths) => {
            // 5 is EIO.
            let enable =
                |name: &&str| format!("enable_random name={name},probability=0.{thousandths:03},failinfo=5");
            server.set("LD_PRELOAD", "/usr/lib/fiu/fiu_run_preload.so:/usr/lib/fiu/fiu_posix_preload.so");
            server.set("FIU_ENABLE", kind.points().iter().map(enable).collect::<Vec<_>>().join("\n"));
            if kind == Kind::ShortWrite {
                server.start_via(trace::command_prefix(&calls, &[]));
            }
        }
        InjectedFault::Once(nth) => {
            let inject = format!("inject=fsync,fdatasync:error=EIO:when={nth}");
            server.start_via(trace::command_prefix(&calls, &["-e", &inject]));
        }
    }
    server.start()?;
    if server.wait_until_open().is_err() {
        let status = server.wait_for_exit(STOP_TIMEOUT)?;
        let last = server.last_log_line()?;
        if status.code() != Some(1) && status.code() != Some(UNTRUSTED_DISK_EXIT_CODE)
            || !last.contains("disk I/O error")
        {
            bail!("the server did not open, exited with {status}, and logged: {last}");
        }
        outcomes.not_opened += 1;
        return Ok(());
    }
    match server.exited_within(number)? {
        None => {
            server.signal(Signal::KILL)?;
            // The tracer has ended by then as well.
            server.wait_for_exit(STOP_TIMEOUT)?;
            let log_text = String::from_utf8_lossy(&fs::read(&log)?[logged..]).into_owned();
            if writes_after_failed_sync(&log_text) {
                bail!("the server continued after a failed sync:\n{log_text}");
            }
            outcomes.killed += 1;
        }
        Some(status) => {
            let last = server.last_log_line()?;
            if status.code() != Some(UNTRUSTED_DISK_EXIT_CODE) || !last.contains(UNTRUSTED_DISK_MESSAGE) {
                bail!("the server exited with {status} and logged: {last}");
            }
            outcomes.distrusted += 1;
        }
    }
    let log_text = String::from_utf8_lossy(&fs::read(&log)?[logged..]).into_owned();
    outcomes.failed_writes += u32::from(log_text.contains(FAILED_WRITE));
    match fault {
        InjectedFault::Once(_) => outcomes.silent += u32::from(check_failed_sync(&calls)?),
        InjectedFault::Often(Kind::ShortWrite, _) => {
            outcomes.short_writes += u32::from(has_short_writes(&calls)?)
        }
        InjectedFault::Often(..) => {
            outcomes.failed_syncs += u32::from(FAILED_SYNCS.iter().any(|code| log_text.contains(code)));
        }
    }
    Ok(())
}

/// Whether the log has more than one failed sync, although the first one must end the server. The line that announces the end
/// does not count.
fn writes_after_failed_sync(log_text: &str) -> bool {
    let is_failure = |line: &&str| FAILED_SYNCS.iter().any(|code| line.contains(code));
    log_text.lines().filter(is_failure).filter(|line| !line.contains(UNTRUSTED_DISK_MESSAGE)).count() > 1
}

fn has_short_writes(calls: &Path) -> Result<bool> {
    let mut short_write = false;
    trace::read(BufReader::new(File::open(calls)?), |call| {
        short_write |= is_short_write(&call);
        Ok(())
    })?;
    Ok(short_write)
}

/// Checks the trace. Returns whether a sync failed; the error is a use of the file after it.
fn check_failed_sync(calls: &Path) -> Result<bool> {
    let mut check = FailedSyncCheck::default();
    trace::read(BufReader::new(File::open(calls)?), |call| check.check(&call))?;
    Ok(check.saw_failed_sync())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_occurs_within_six_server_runs() {
        let mut rng = Rng::new(1);
        let server_runs: Vec<_> = (1..=6).map(|number| InjectedFault::for_run(number, &mut rng)).collect();
        for kind in [Kind::Write, Kind::ShortWrite, Kind::Sync, Kind::All] {
            assert!(
                server_runs.iter().any(|number| matches!(number, InjectedFault::Often(it, _) if *it == kind))
            );
        }
        assert!(server_runs.iter().any(|number| matches!(number, InjectedFault::Once(_))));
    }

    #[test]
    fn second_failed_sync_in_the_log_is_detected() {
        let failed = "the store could not do what it was asked: disk I/O error (SQLite 1034)\n";
        let outcomes = "the disk cannot be trusted any more: disk I/O error (SQLite 1034)\n";
        assert!(!writes_after_failed_sync(&format!("open\n{failed}{outcomes}")));
        assert!(writes_after_failed_sync(&format!("{failed}{failed}")));
    }

    #[test]
    fn missing_kind_of_fault_is_named() {
        let outcomes = Outcomes { failed_writes: 3, failed_syncs: 1, silent: 2, ..Outcomes::default() };
        assert_eq!(outcomes.missing_faults(), ["a short write"]);
        assert_eq!(Outcomes::default().missing_faults().len(), 4);
    }
}
