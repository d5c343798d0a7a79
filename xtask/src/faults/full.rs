//! `cargo xtask faults full`: the disk is full, and has room again.

mod probe;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use self::probe::{Answer, Probe};
use super::disk::{FillerFile, check_integrity, with_small_disk};
use super::harness::{CommonArgs, Harness};
use super::recorder_process::{MinimumActivity, RecorderProcess, check};
use super::rng::Rng;
use super::run_dir::RunDir;
use super::server_under_test::ServerUnderTest;
use crate::process;
use crate::workspace::Workspace;

/// Large enough for a write-ahead log that has come to its checkpoint, and for all that thirty rounds leave in the database.
const DISK_MIB: u32 = 160;
/// How long it may take to write what room there is: a log that was begun anew has 16 MiB.
const FILLING: Duration = Duration::from_secs(60);
/// How long it stays full.
const FULL_MESSAGE: Duration = Duration::from_millis(700);
/// What is promised for sending to go on, once there is room.
const RESUMES: Duration = Duration::from_secs(5);
/// The longest that it goes on then: now and then long enough for the log to come near its checkpoint.
const BASELINE_TIME: Duration = Duration::from_secs(4);
/// Between two looks, so that what is looked at is not all that is done.
const BREATH: Duration = Duration::from_millis(20);
const STOP: Duration = Duration::from_secs(20);
/// At most so many pages are left free, in the rounds in which some are.
const PAGES: u64 = 24;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How often the disk is filled.
    #[arg(long, default_value_t = 30)]
    pub(super) rounds: u32,
    /// About how many messages are sent in a second.
    #[arg(long, default_value_t = 500)]
    pub(super) rate: u32,
    #[command(flatten)]
    pub(super) common: CommonArgs,
}

pub(super) const SHORT_RUN: Args = Args { rounds: 3, rate: 500, common: CommonArgs::SHORT_RUN };

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let harness = Harness::build(workspace, &args.common)?;
    let replay_args = format!("full --rounds {} --rate {}", args.rounds, args.rate);
    harness.run(&replay_args, harness.seed, |run_dir| {
        let disk = run_dir.path().join("disk");
        with_small_disk(&disk, DISK_MIB, || {
            let outcome = all_rounds(&harness, args, run_dir, &disk);
            if outcome.is_err() {
                // The disk goes; what lay on it is to be looked at.
                process::output(Command::new("cp").arg("-r").arg(disk.join("data")).arg(run_dir.path()))?;
            }
            outcome
        })
    })
}

/// A fiftieth of what is said in a round, which may be over as soon as there is room again.
fn least(args: &Args) -> MinimumActivity {
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
    let options = ["--writers=15", "--receivers=5", "--rooms=4"].map(str::to_owned);
    let options =
        [&options[..], &[format!("--rate={}", args.rate), format!("--seed={}", harness.seed)]].concat();
    let mut recorder = RecorderProcess::start(&program, server.address, &run_dir.history(), &options)?;
    let mut probe = Probe::come(server.address)?;
    let mut filler = FillerFile::new(&disk.join("ballast"))?;
    let mut rng = Rng::new(harness.seed);
    let (mut refusals, mut resumed) = (0, Duration::ZERO);
    for round in 1..=args.rounds {
        let free = if rng.below(2) == 0 { 0 } else { rng.below(PAGES) };
        recorder.note(&format!("round {round}: the disk is filled, but for {free} pages"))?;
        let outcome = run_round(&mut probe, &mut filler, free, rng.moment_within(BASELINE_TIME));
        let (refused, after) = outcome.with_context(|| format!("round {round}, {free} pages left free"))?;
        recorder.note(&format!("there was room, and {after:?} later it was used"))?;
        refusals += refused;
        resumed = resumed.max(after);
        check_while_open(&disk.join("data/teahouse.db"))?;
    }
    let (refused, read) = (probe.refused, probe.read);
    // The next one does not survive its server.
    drop(probe);
    let start = start_when_full(&mut server, &mut filler, &mut recorder)?;
    recorder.finish()?;
    check(&program, &run_dir.history(), least(args))?;
    server.signal(Signal::TERM)?;
    let status = server.wait_for_end(STOP)?;
    if !status.success() {
        bail!("the server ended with {status}");
    }
    check_integrity(&disk.join("data/teahouse.db"))?;
    let log = fs::read_to_string(run_dir.path().join("server.log"))?;
    let checkpoints =
        log.lines().filter(|line| line.contains("could not be brought into the database")).count();
    println!(
        "{} times full: {refusals} refusals, the latest after {refused:?}; reading and coming back took {read:?} at the most; \
         sending went on {resumed:?} after there was room at the latest; {checkpoints} times in a checkpoint; killed and \
         started while full: {start}",
        args.rounds
    );
    Ok(())
}

/// How many refusals there were, and how long after there was room again something was stored.
fn run_round(
    probe: &mut Probe,
    filler: &mut FillerFile,
    free: u64,
    peace: Duration,
) -> Result<(u64, Duration)> {
    probe.say()?;
    probe.look().context("before the disk was full")?;
    filler.fill(free)?;
    let mut refusals = 0;
    let begun = Instant::now();
    while refusals == 0 {
        // A log that has been begun anew lies where it lay before, and needs no room for a while.
        if begun.elapsed() > FILLING {
            bail!("the disk has been full for {FILLING:?}, and nothing was refused");
        }
        refusals += u64::from(probe.say()? == Answer::Full);
    }
    let full = Instant::now();
    while full.elapsed() < FULL_MESSAGE {
        probe.look().context("while the disk was full")?;
        refusals += u64::from(probe.say()? == Answer::Full);
    }
    filler.empty()?;
    let room = Instant::now();
    while probe.say()? == Answer::Full && room.elapsed() <= RESUMES {}
    let resumed = room.elapsed();
    if resumed > RESUMES {
        bail!("there has been room for {resumed:?}, and nothing was stored in {RESUMES:?}");
    }
    while room.elapsed() < peace {
        if probe.say()? == Answer::Full {
            bail!("there is room, and {:?} after that something was refused", room.elapsed());
        }
        thread::sleep(BREATH);
    }
    Ok((refusals, resumed))
}

/// A server that is killed on a full disk: it opens again, or says what is the matter.
fn start_when_full(
    server: &mut ServerUnderTest,
    filler: &mut FillerFile,
    recorder: &mut RecorderProcess,
) -> Result<&'static str> {
    filler.fill(0)?;
    server.kill()?;
    recorder.note("killed on a full disk")?;
    server.start()?;
    let opened = server.wait_until_open();
    let said = match &opened {
        Ok(()) => "it opened",
        Err(_) => {
            let status = server.wait_for_end(STOP)?;
            let last = server.last_log_line()?;
            if !last.starts_with("teahouse: ") || !last.contains("full") || last.contains("panicked") {
                bail!("on a full disk the server ended with {status}, and said: {last}");
            }
            "it said that the disk is full"
        }
    };
    filler.empty()?;
    if opened.is_err() {
        server.start()?;
        server.wait_until_open()?;
    }
    recorder.note("open for the last time")?;
    Ok(said)
}

/// As another process reads it, beside the server.
fn check_while_open(database: &Path) -> Result<()> {
    let mut sqlite = Command::new("sqlite3");
    sqlite.arg("-readonly").args(["-cmd", ".timeout 2000"]).arg(database).arg("PRAGMA quick_check;");
    let said = process::output(&mut sqlite)?;
    if said.trim() != "ok" {
        bail!("the database is damaged: {}", said.trim());
    }
    Ok(())
}
