//! `cargo xtask faults full`: the disk fills up, and has space again.

mod postgres;
mod probe;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use self::probe::{Answer, Probe, Reads};
use super::database::Database;
use super::disk::{FillerFile, check_integrity, with_small_disk};
use super::harness::{CommonArgs, Harness};
use super::recorder_process::{MinimumActivity, RecorderProcess, check};
use super::rng::Rng;
use super::run_dir::RunDir;
use super::server_under_test::ServerUnderTest;
use crate::process;
use crate::workspace::Workspace;

/// The disk in MiB: enough for a write-ahead log at its checkpoint, and for everything that thirty rounds leave in the
/// database.
const DISK_MIB: u32 = 160;
/// Bounds the time until the free space is used up: a log that was reset has 16 MiB of its own.
const FILL_TIMEOUT: Duration = Duration::from_secs(60);
/// The time for which the disk stays full.
const FULL_DURATION: Duration = Duration::from_millis(700);
/// The promised delay between free space and the next stored message.
const RESUME_TIMEOUT: Duration = Duration::from_secs(5);
/// Bounds the time with free space: sometimes enough for the log to approach its checkpoint.
const MAX_TIME_WITH_SPACE: Duration = Duration::from_secs(4);
/// The interval between two sends, so that the probe leaves capacity to the recorded clients.
const SEND_INTERVAL: Duration = Duration::from_millis(20);
const STOP_TIMEOUT: Duration = Duration::from_secs(20);
/// Bounds the pages left free, in the rounds that leave some.
const MAX_FREE_PAGES: u64 = 24;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How often the disk is filled.
    #[arg(long, default_value_t = 30)]
    pub(super) rounds: u32,
    /// Messages sent per second, approximately.
    #[arg(long, default_value_t = 500)]
    pub(super) rate: u32,
    /// The database whose disk is filled.
    #[arg(long, value_enum, default_value_t)]
    pub(super) database: Database,
    #[command(flatten)]
    pub(super) common: CommonArgs,
}

pub(super) const SHORT_RUN: Args =
    Args { rounds: 3, rate: 500, database: Database::Sqlite, common: CommonArgs::SHORT_RUN };
pub(super) const SHORT_RUN_ON_POSTGRES: Args = Args { rounds: 2, database: Database::Postgres, ..SHORT_RUN };

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let harness = Harness::build(workspace, &args.common)?;
    let replay_args =
        format!("full --rounds {} --rate {}{}", args.rounds, args.rate, args.database.replay_args());
    harness.run(&replay_args, harness.seed, |run_dir| {
        if args.database == Database::Postgres {
            return postgres::run(&harness, args, run_dir);
        }
        let disk = run_dir.path().join("disk");
        with_small_disk(&disk, DISK_MIB, || {
            let outcome = all_rounds(&harness, args, run_dir, &disk);
            if outcome.is_err() {
                // The disk disappears with its namespace, so its content is copied for analysis.
                process::output(Command::new("cp").arg("-r").arg(disk.join("data")).arg(run_dir.path()))?;
            }
            outcome
        })
    })
}

/// A fiftieth of what is usually sent in a round, which may end as soon as there is space again.
fn minimum_activity(args: &Args) -> MinimumActivity {
    let rounds = u64::from(args.rounds);
    MinimumActivity {
        acknowledged: 20 * rounds,
        percent: 10,
        deliveries: 60 * rounds,
        views: 20,
        ..MinimumActivity::default()
    }
}

fn all_rounds(harness: &Harness, args: &Args, run_dir: &RunDir, disk: &Path) -> Result<()> {
    let program = harness.binary("history");
    let mut server = ServerUnderTest::new(harness.binary("teahouse"), run_dir.path())?;
    server.set_data_dir(disk.join("data"));
    server.start()?;
    server.wait_until_open()?;
    let mut recorder = start_recorder(harness, args, run_dir, &server)?;
    let mut probe = Probe::connect(server.address)?;
    let mut filler = FillerFile::new(&disk.join("filler"))?;
    let mut rng = Rng::new(harness.seed);
    let (mut rejections, mut resumed) = (0, Duration::ZERO);
    for round in 1..=args.rounds {
        let free = if rng.below(2) == 0 { 0 } else { rng.below(MAX_FREE_PAGES) };
        recorder.note(&format!("round {round}: the disk is filled, except for {free} pages"))?;
        let outcome = run_round(&mut probe, &mut filler, free, rng.moment_within(MAX_TIME_WITH_SPACE));
        let (rejected, after) = outcome.with_context(|| format!("round {round}, {free} pages left free"))?;
        recorder.note(&format!("space was freed, and {after:?} later a message was stored"))?;
        rejections += rejected;
        resumed = resumed.max(after);
        check_while_open(&disk.join("data/teahouse.db"))?;
    }
    let (rejected, read) = (probe.rejected, probe.read);
    // The probe's connections do not survive the server.
    drop(probe);
    let is_clear = |line: &str| line.contains("full");
    let start = start_when_full(&mut server, &mut filler, &mut recorder, is_clear, || Ok(()))?;
    recorder.finish()?;
    check(&program, &run_dir.history(), minimum_activity(args))?;
    server.signal(Signal::TERM)?;
    let status = server.wait_for_exit(STOP_TIMEOUT)?;
    if !status.success() {
        bail!("the server exited with {status}");
    }
    check_integrity(&disk.join("data/teahouse.db"))?;
    let log = fs::read_to_string(run_dir.path().join("server.log"))?;
    let checkpoints =
        log.lines().filter(|line| line.contains("could not be copied into the database")).count();
    println!(
        "{} times full: {rejections} rejections, the slowest after {rejected:?}; reading and reconnecting took at most {read:?}; \
         sending resumed at most {resumed:?} after space was freed; {checkpoints} failed checkpoints; killed and \
         started while full: {start}",
        args.rounds
    );
    Ok(())
}

fn start_recorder(
    harness: &Harness,
    args: &Args,
    run_dir: &RunDir,
    server: &ServerUnderTest,
) -> Result<RecorderProcess> {
    let options = ["--writers=15", "--receivers=5", "--rooms=4"].map(str::to_owned);
    let options =
        [&options[..], &[format!("--rate={}", args.rate), format!("--seed={}", harness.seed)]].concat();
    RecorderProcess::start(&harness.binary("history"), server.address, &run_dir.history(), &options)
}

/// Sends to a server whose database is never unavailable. Returns whether the message was rejected because of the disk.
fn is_rejected(probe: &mut Probe) -> Result<bool> {
    match probe.send()? {
        Answer::Stored => Ok(false),
        Answer::StorageFull => Ok(true),
        Answer::Unavailable => bail!("on a full disk the error was not `storage_full`"),
    }
}

fn check_reads(probe: &mut Probe) -> Result<()> {
    match probe.check_reads()? {
        Reads::Served => Ok(()),
        Reads::Unavailable => bail!("a read was rejected with `unavailable`"),
    }
}

/// Fills the disk and frees it. Returns the number of rejections, and the time from free space to the next stored message.
fn run_round(
    probe: &mut Probe,
    filler: &mut FillerFile,
    free: u64,
    space_time: Duration,
) -> Result<(u64, Duration)> {
    probe.send()?;
    check_reads(probe).context("before the disk was full")?;
    filler.fill(free)?;
    let mut rejections = 0;
    let started = Instant::now();
    while rejections == 0 {
        // A log that was reset reuses its old space, and needs no further space for a while.
        if started.elapsed() > FILL_TIMEOUT {
            bail!("the disk has been full for {FILL_TIMEOUT:?}, and nothing was rejected");
        }
        rejections += u64::from(is_rejected(probe)?);
    }
    let full = Instant::now();
    while full.elapsed() < FULL_DURATION {
        check_reads(probe).context("while the disk was full")?;
        rejections += u64::from(is_rejected(probe)?);
    }
    filler.empty()?;
    let space_since = Instant::now();
    while is_rejected(probe)? && space_since.elapsed() <= RESUME_TIMEOUT {}
    let resumed = space_since.elapsed();
    if resumed > RESUME_TIMEOUT {
        bail!("after {resumed:?} with free space nothing was stored; the bound is {RESUME_TIMEOUT:?}");
    }
    while space_since.elapsed() < space_time {
        if is_rejected(probe)? {
            bail!("a message was rejected {:?} after space was freed", space_since.elapsed());
        }
        thread::sleep(SEND_INTERVAL);
    }
    Ok((rejections, resumed))
}

/// Kills the server on a full disk; after a restart it must open, or exit with a message that `is_clear`. `recover` does what the
/// database needs when there is space again.
fn start_when_full(
    server: &mut ServerUnderTest,
    filler: &mut FillerFile,
    recorder: &mut RecorderProcess,
    is_clear: impl Fn(&str) -> bool,
    recover: impl Fn() -> Result<()>,
) -> Result<&'static str> {
    filler.fill(0)?;
    server.kill()?;
    recorder.note("killed on a full disk")?;
    server.start()?;
    let opened = server.wait_until_open();
    let result = match &opened {
        Ok(()) => "it opened",
        Err(_) => {
            let status = server.wait_for_exit(STOP_TIMEOUT)?;
            let last = server.last_log_line()?;
            if !last.starts_with("teahouse: ") || !is_clear(&last) || last.contains("panicked") {
                bail!("on a full disk the server exited with {status} and logged: {last}");
            }
            "it reported the reason"
        }
    };
    filler.empty()?;
    recover()?;
    if opened.is_err() {
        server.start()?;
        server.wait_until_open()?;
    }
    recorder.note("opened for the last time")?;
    Ok(result)
}

/// Checks the database from another process while the server has it open.
fn check_while_open(database: &Path) -> Result<()> {
    let mut sqlite = Command::new("sqlite3");
    sqlite.arg("-readonly").args(["-cmd", ".timeout 2000"]).arg(database).arg("PRAGMA quick_check;");
    let result = process::output(&mut sqlite)?;
    if result.trim() != "ok" {
        bail!("the database is damaged: {}", result.trim());
    }
    Ok(())
}
