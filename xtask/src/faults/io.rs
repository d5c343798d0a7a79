//! `cargo xtask faults io`: a disk that fails now and then to write or to sync.
//!
//! Each life of the server has failures of one kind. libfiu fails the calls with which SQLite writes (a socket is written with
//! others), each with the same probability; `strace` fails one sync and lets those after it succeed, as a kernel does that has
//! dropped what it could not write, and takes down whether anything is written then.

mod after;
mod short;

use std::fs::{self, File};
use std::io::BufReader;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use self::after::Silence;
use self::short::is_cut_short;
use super::dice::Dice;
use super::disk::check_integrity;
use super::prey::Prey;
use super::scene::Scene;
use super::stage::{Common, Stage};
use super::trace;
use super::witnesses::{Least, Witnesses, check};
use crate::workspace::Workspace;

/// After so many lives the history and the database are checked, and others begin in an empty folder.
const LIVES_A_HISTORY: u32 = 25;
/// How long a life is at the most, once the server is open.
const LIFE: Duration = Duration::from_millis(2_000);
const STOP: Duration = Duration::from_secs(20);
/// What the server ends with when it cannot trust the disk.
const DISTRUST: i32 = 70;
/// What it says then.
const ITS_END: &str = "cannot be trusted";
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
    pub(super) common: Common,
}

pub(super) const SHORT: Args = Args { runs: 8, rate: 400, common: Common::SHORT };

/// From so many lives on it must be seen of each harm that it was done: it was that in 17 to 44 of them, so that less than one in
/// ten million runs would miss one.
const LONG: u32 = 200;

/// What fails in a life.
#[derive(Clone, Copy, Debug)]
enum Failing {
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

impl Failing {
    /// By turns, so that no kind is left out.
    fn in_turn(life: u32, dice: &mut Dice) -> Self {
        let kind = match life % 6 {
            0 => Kind::Write,
            1 => Kind::ShortWrite,
            2 => Kind::Sync,
            3 => Kind::All,
            _ => return Self::Once(SYNCS_OF_A_START + dice.below(SYNCS)),
        };
        // 0.1 to 5 %, small ones as often as large ones.
        let thousandths = [1, 2, 5, 10, 20, 50];
        Self::Often(kind, thousandths[dice.below(thousandths.len() as u64) as usize])
    }
}

/// How the lives ended.
#[derive(Debug, Default)]
struct Ends {
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

impl Ends {
    /// What a long run should have shown, and did not.
    fn lacks(&self) -> Vec<&'static str> {
        let harms = [
            ("a write that fails", self.failed_writes),
            ("a write that is cut short", self.short_writes),
            ("syncs that fail", self.failed_syncs),
            ("one sync that fails", self.silent),
        ];
        harms.into_iter().filter(|(_, lives)| *lives == 0).map(|(harm, _)| harm).collect()
    }
}

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let stage = Stage::build(workspace, &args.common)?;
    let (mut seed, mut left, mut lives) = (stage.seed, args.runs, 0);
    let mut ends = Ends::default();
    // In one of some two hundred short runs nothing fails, which would prove nothing: it goes on.
    while left > 0 || ends.errors == 0 && lives < args.runs.saturating_mul(4) {
        left = if left > 0 { left } else { args.runs };
        let runs = left.min(LIVES_A_HISTORY);
        println!("seed {seed}: {runs} lives, {left} to go");
        let again = format!("io --runs {runs} --rate {}", args.rate);
        stage.play(&again, seed, |scene| one_history(&stage, args, scene, (seed, runs), &mut ends))?;
        left -= runs;
        lives += runs;
        seed = seed.wrapping_add(1);
    }
    println!(
        "{} lives on a failing disk: {} times it did not open and said why, {} times it ended by itself after a failed sync, {} times \
         it was killed; writes failed in {} of them, were cut short in {}, syncs failed in {}; {} traces of a failed sync show \
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
    let lacks = ends.lacks();
    if args.runs >= LONG && !lacks.is_empty() {
        bail!("in {} lives the server never met {}", args.runs, lacks.join(", nor "));
    }
    Ok(())
}

/// A life may be over at once, and a server that does not open hears nobody; but not each. Twenty-four cursors are named when all
/// come for the first time.
fn least(runs: u32) -> Least {
    let lives = u64::from(runs);
    Least { acknowledged: 5 * lives, percent: 10, deliveries: 20 * lives, resumed: 24 + 2 * lives, views: 16 }
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
        let failing = Failing::in_turn(life, &mut dice);
        witnesses.note(&format!("life {life}: {failing:?}"))?;
        let lived = one_life(&mut server, scene, failing, dice.moment_within(LIFE), ends);
        lived.with_context(|| format!("life {life}, {failing:?}"))?;
    }
    be_well(&mut server);
    server.start()?;
    server.wait_until_open()?;
    witnesses.note("open for the last time, on a disk that is well")?;
    witnesses.finish()?;
    check(&program, &scene.history(), least(runs))?;
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
        Failing::Often(kind, thousandths) => {
            // 5: EIO.
            let enable =
                |name: &&str| format!("enable_random name={name},probability=0.{thousandths:03},failinfo=5");
            server.set("LD_PRELOAD", "/usr/lib/fiu/fiu_run_preload.so:/usr/lib/fiu/fiu_posix_preload.so");
            server.set("FIU_ENABLE", kind.points().iter().map(enable).collect::<Vec<_>>().join("\n"));
            if kind == Kind::ShortWrite {
                server.start_through(trace::through(&calls, &[]));
            }
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
            let said = String::from_utf8_lossy(&fs::read(&log)?[logged..]).into_owned();
            if goes_on(&said) {
                bail!("the server goes on after a sync that failed:\n{said}");
            }
            ends.killed += 1;
        }
        Some(status) => {
            let last = server.last_words()?;
            if status.code() != Some(DISTRUST) || !last.contains(ITS_END) {
                bail!("the server ended with {status}, and said: {last}");
            }
            ends.distrusted += 1;
        }
    }
    let said = String::from_utf8_lossy(&fs::read(&log)?[logged..]).into_owned();
    ends.failed_writes += u32::from(said.contains(FAILED_WRITE));
    match failing {
        Failing::Once(_) => ends.silent += u32::from(is_silent_after_a_failed_sync(&calls)?),
        Failing::Often(Kind::ShortWrite, _) => ends.short_writes += u32::from(has_short_writes(&calls)?),
        Failing::Often(..) => {
            ends.failed_syncs += u32::from(FAILED_SYNCS.iter().any(|code| said.contains(code)));
        }
    }
    Ok(())
}

/// The first sync that fails ends it; killed in that very moment it may have said what failed, and that it ends.
fn goes_on(said: &str) -> bool {
    let is_failure = |line: &&str| FAILED_SYNCS.iter().any(|code| line.contains(code));
    said.lines().filter(is_failure).filter(|line| !line.contains(ITS_END)).count() > 1
}

fn has_short_writes(calls: &Path) -> Result<bool> {
    let mut short = false;
    trace::read(BufReader::new(File::open(calls)?), |call| {
        short |= is_cut_short(&call);
        Ok(())
    })?;
    Ok(short)
}

/// Whether a sync failed. An error: something came after it.
fn is_silent_after_a_failed_sync(calls: &Path) -> Result<bool> {
    let mut silence = Silence::default();
    trace::read(BufReader::new(File::open(calls)?), |call| silence.take(&call))?;
    Ok(silence.was_put_to_the_test())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_turn_in_six_lives() {
        let mut dice = Dice::new(1);
        let lives: Vec<_> = (1..=6).map(|life| Failing::in_turn(life, &mut dice)).collect();
        for kind in [Kind::Write, Kind::ShortWrite, Kind::Sync, Kind::All] {
            assert!(lives.iter().any(|life| matches!(life, Failing::Often(it, _) if *it == kind)));
        }
        assert!(lives.iter().any(|life| matches!(life, Failing::Once(_))));
    }

    #[test]
    fn second_failed_sync_is_seen_and_word_of_the_end_is_none() {
        let failed = "the store could not do what it was asked: disk I/O error (SQLite 1034)\n";
        let ends = "the disk cannot be trusted any more: disk I/O error (SQLite 1034)\n";
        assert!(!goes_on(&format!("open\n{failed}{ends}")));
        assert!(goes_on(&format!("{failed}{failed}")));
    }

    #[test]
    fn harm_that_was_never_done_is_named() {
        let ends = Ends { failed_writes: 3, failed_syncs: 1, silent: 2, ..Ends::default() };
        assert_eq!(ends.lacks(), ["a write that is cut short"]);
        assert_eq!(Ends::default().lacks().len(), 4);
    }
}
