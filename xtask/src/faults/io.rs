//! `cargo xtask faults io`: a disk that fails now and then to write or to sync.
//!
//! Each life of the server has failures of one kind. libfiu fails the calls with which SQLite writes (a socket is written with
//! others), each with the same probability; `strace` fails one sync and lets those after it succeed, as a kernel does that has
//! dropped what it could not write, and takes down whether anything is written then.

mod after;

use std::fs::{self, File};
use std::io::BufReader;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use self::after::Silence;
use super::dice::Dice;
use super::disk::check_integrity;
use super::prey::Prey;
use super::scene::Scene;
use super::stage::{Common, Stage};
use super::trace;
use super::witnesses::{Witnesses, check};
use crate::workspace::Workspace;

/// After so many lives the history and the database are checked, and others begin in an empty folder.
const LIVES_A_HISTORY: u32 = 25;
/// How long a life is at the most, once the server is open.
const LIFE: Duration = Duration::from_millis(2_000);
const STOP: Duration = Duration::from_secs(20);
/// What the server ends with when it cannot trust the disk.
const DISTRUST: i32 = 70;
/// What SQLite says of a sync that failed: of a file, of a folder.
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
    pub(super) common: Common,
}

pub(super) const SHORT: Args = Args { runs: 8, rate: 400, common: Common::SHORT };

/// What fails in a life.
#[derive(Clone, Copy, Debug)]
enum Failing {
    /// By libfiu, so many times in a thousand.
    Often(&'static [&'static str], u64),
    /// By `strace`, a thread's nth sync.
    Once(u64),
}

/// Writes fail, are cut short, syncs fail, all of these.
const KINDS: [&[&str]; 4] = [
    &["posix/io/rw/pwrite"],
    &["posix/io/rw/pwrite/reduce"],
    &["posix/io/sync/fdatasync", "posix/io/sync/fsync"],
    &["posix/io/rw/pwrite", "posix/io/rw/pwrite/reduce", "posix/io/sync/fdatasync", "posix/io/sync/fsync"],
];

/// How the lives ended.
#[derive(Debug, Default)]
struct Ends {
    not_opened: u32,
    distrusted: u32,
    killed: u32,
    /// In the log: something was not done because of the disk.
    errors: usize,
    /// After a failed sync, as a trace shows.
    silent: u32,
}

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let stage = Stage::build(workspace, &args.common)?;
    let (mut seed, mut left) = (stage.seed, args.runs);
    let mut ends = Ends::default();
    while left > 0 {
        let runs = left.min(LIVES_A_HISTORY);
        println!("seed {seed}: {runs} lives, {left} to go");
        let again = format!("io --runs {runs} --rate {}", args.rate);
        stage.play(&again, seed, |scene| one_history(&stage, args, scene, (seed, runs), &mut ends))?;
        left -= runs;
        seed = seed.wrapping_add(1);
    }
    println!(
        "{} lives on a failing disk: {} times it did not open and said why, {} times it ended by itself after a failed sync, {} times \
         it was killed; {} traces of a failed sync show nothing written after it; {} errors in its logs; no acknowledgement was \
         false, and no database is damaged",
        args.runs, ends.not_opened, ends.distrusted, ends.killed, ends.silent, ends.errors
    );
    if ends.errors == 0 {
        bail!("nothing failed: this proves nothing");
    }
    Ok(())
}

fn one_history(
    stage: &Stage,
    args: &Args,
    scene: &Scene,
    (seed, runs): (u64, u32),
    ends: &mut Ends,
) -> Result<()> {
    let program = stage.binary("history");
    let mut server = Prey::new(stage.binary("teahouse"), scene.folder())?;
    // On a disk that is well: the clients have to get in.
    server.start()?;
    server.wait_until_open()?;
    let options = ["--writers=12", "--receivers=4", "--rooms=4"].map(str::to_owned);
    let options = [&options[..], &[format!("--rate={}", args.rate), format!("--seed={seed}")]].concat();
    let mut witnesses = Witnesses::call(&program, server.address, &scene.history(), &options)?;
    server.kill()?;
    let mut dice = Dice::new(seed);
    for life in 1..=runs {
        let failing = match dice.below(6) {
            4 | 5 => Failing::Once(SYNCS_OF_A_START + dice.below(SYNCS)),
            // 0.1 to 5 %, small ones as often as large ones.
            kind => Failing::Often(
                KINDS[usize::try_from(kind)?],
                [1, 2, 5, 10, 20, 50][usize::try_from(dice.below(6))?],
            ),
        };
        witnesses.note(&format!("life {life}: {failing:?}"))?;
        let lived = one_life(&mut server, scene, failing, dice.moment_within(LIFE), ends);
        lived.with_context(|| format!("life {life}, {failing:?}"))?;
    }
    be_well(&mut server);
    server.start()?;
    server.wait_until_open()?;
    witnesses.note("open for the last time, on a disk that is well")?;
    witnesses.finish()?;
    check(&program, &scene.history())?;
    server.signal(Signal::TERM)?;
    let status = server.wait_for_end(STOP)?;
    if !status.success() {
        bail!("the server ended with {status}");
    }
    let log = fs::read_to_string(scene.folder().join("server.log"))?;
    ends.errors += log.lines().filter(|line| line.contains("disk I/O error")).count();
    check_integrity(&scene.folder().join("data/teahouse.db"))
}

fn be_well(server: &mut Prey) {
    server.start_through([""; 0]);
    server.set("LD_PRELOAD", "");
    server.set("FIU_ENABLE", "");
}

fn one_life(
    server: &mut Prey,
    scene: &Scene,
    failing: Failing,
    life: Duration,
    ends: &mut Ends,
) -> Result<()> {
    let calls = scene.folder().join("trace");
    let log = scene.folder().join("server.log");
    let logged = fs::read(&log)?.len();
    be_well(server);
    match failing {
        Failing::Often(names, thousandths) => {
            // 5: EIO.
            let enable =
                |name: &&str| format!("enable_random name={name},probability=0.{thousandths:03},failinfo=5");
            server.set("LD_PRELOAD", "/usr/lib/fiu/fiu_run_preload.so:/usr/lib/fiu/fiu_posix_preload.so");
            server.set("FIU_ENABLE", names.iter().map(enable).collect::<Vec<_>>().join("\n"));
        }
        Failing::Once(nth) => {
            let inject = format!("inject=fsync,fdatasync:error=EIO:when={nth}");
            server.start_through(trace::through(&calls, &["-e", &inject]));
        }
    }
    server.start()?;
    if server.wait_until_open().is_err() {
        let status = server.wait_for_end(STOP)?;
        let last = server.last_words()?;
        if status.code() != Some(1) && status.code() != Some(DISTRUST) || !last.contains("disk I/O error") {
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
            // The first one ends it; killed in that very moment it may have said so.
            let said = String::from_utf8_lossy(&fs::read(&log)?[logged..]).into_owned();
            if FAILED_SYNCS.iter().map(|code| said.matches(code).count()).sum::<usize>() > 1 {
                bail!("the server goes on after a sync that failed:\n{said}");
            }
            ends.killed += 1;
        }
        Some(status) => {
            let last = server.last_words()?;
            if status.code() != Some(DISTRUST) || !last.contains("cannot be trusted") {
                bail!("the server ended with {status}, and said: {last}");
            }
            ends.distrusted += 1;
        }
    }
    if let Failing::Once(_) = failing {
        ends.silent += u32::from(is_silent_after_a_failed_sync(&calls)?);
    }
    Ok(())
}

/// Whether a sync failed. An error: something came after it.
fn is_silent_after_a_failed_sync(calls: &Path) -> Result<bool> {
    let mut silence = Silence::default();
    trace::read(BufReader::new(File::open(calls)?), |call| silence.take(&call))?;
    Ok(silence.was_put_to_the_test())
}
