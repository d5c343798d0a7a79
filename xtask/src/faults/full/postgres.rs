//! The disk of PostgreSQL fills up: its tables and its write-ahead log share the small disk.
//!
//! If a table cannot grow, PostgreSQL rejects the statement and continues. If the log cannot grow, PostgreSQL ends, and does not start
//! again until there is space: the run then starts it, as an operator would.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;
use storage_postgres::testing::Options;

use super::probe::{Answer, Probe, Reads};
use super::{
    Args, FILL_TIMEOUT, FULL_DURATION, MAX_FREE_PAGES, MAX_TIME_WITH_SPACE, RESUME_TIMEOUT, SEND_INTERVAL,
    STOP_TIMEOUT, check, minimum_activity, start_recorder, start_when_full,
};
use crate::faults::database::TestPostgres;
use crate::faults::disk::{FillerFile, with_small_disk};
use crate::faults::harness::Harness;
use crate::faults::rng::Rng;
use crate::faults::run_dir::RunDir;
use crate::faults::server_under_test::ServerUnderTest;

/// The disk in MiB: two databases and a log of at most `max_wal_size`, and the same again as free space.
const DISK_MIB: u32 = 192;
/// A small log, so that it soon needs a new file.
const SETTINGS: &str = "min_wal_size = 32MB\nmax_wal_size = 48MB";
/// Bounds PostgreSQL's recovery, on a busy machine.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(30);
/// The interval between two checks whether PostgreSQL accepts connections.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// What a round fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    /// The tables: the log has a file with space, or can reuse one.
    Tables,
    /// The log as well.
    Log,
}

pub(super) fn run(harness: &Harness, args: &Args, run_dir: &RunDir) -> Result<()> {
    // PostgreSQL runs as another user, who may not be able to reach the run's folder.
    let disk = tempfile::tempdir()?;
    with_small_disk(disk.path(), DISK_MIB, || all_rounds(harness, args, run_dir, disk.path()))
}

fn all_rounds(harness: &Harness, args: &Args, run_dir: &RunDir, disk: &Path) -> Result<()> {
    let mut server = ServerUnderTest::new(harness.binary("teahouse"), run_dir.path())?;
    let options = Options { disk: Some(disk), settings: SETTINGS, ..Options::default() };
    let postgres = TestPostgres::start(run_dir, &mut server, &options)?;
    server.start()?;
    server.wait_until_open()?;
    let mut recorder = start_recorder(harness, args, run_dir, &server)?;
    let probe = Probe::connect(server.address)?;
    let filler = FillerFile::new(&disk.join("filler"))?;
    let mut run = Run { probe, filler, postgres, rng: Rng::new(harness.seed), totals: Totals::default() };
    for round in 1..=args.rounds {
        let target = if round % 2 == 1 { Target::Tables } else { Target::Log };
        recorder.note(&format!("round {round}: the disk is filled, {target:?}"))?;
        let resumed = run.round(target).with_context(|| format!("round {round}, {target:?}"))?;
        recorder.note(&format!("space was freed, and {resumed:?} later a message was stored"))?;
    }
    let Run { probe, mut filler, postgres, totals, .. } = run;
    let (rejected, read) = (probe.rejected, probe.read);
    // The probe's connections do not survive the server.
    drop(probe);
    let before = crashes(&postgres);
    // If PostgreSQL has ended, the message states that.
    let is_clear = |line: &str| line.contains("full") || crashes(&postgres) > before;
    let recover = || ensure_running(&postgres);
    let start = start_when_full(&mut server, &mut filler, &mut recorder, is_clear, recover)?;
    recorder.finish()?;
    check(&harness.binary("history"), &run_dir.history(), minimum_activity(args))?;
    server.signal(Signal::TERM)?;
    let status = server.wait_for_exit(STOP_TIMEOUT)?;
    if !status.success() {
        bail!("the server exited with {status}");
    }
    println!(
        "{} times full: {} rejections with `storage_full` and {} with `unavailable`, the slowest after {rejected:?}; PostgreSQL ended \
         {} times; reading and reconnecting took at most {read:?}; sending resumed at most {:?} after PostgreSQL had space and was \
         running; killed and started while full: {start}",
        args.rounds, totals.full, totals.unavailable, totals.crashes, totals.resumed
    );
    Ok(())
}

struct Run {
    probe: Probe,
    filler: FillerFile,
    postgres: TestPostgres,
    rng: Rng,
    totals: Totals,
}

#[derive(Default)]
struct Totals {
    full: u64,
    unavailable: u64,
    /// The number of times that PostgreSQL ended by itself.
    crashes: usize,
    resumed: Duration,
}

impl Run {
    /// Fills the disk and frees it again. Returns the time from PostgreSQL's recovery to the next stored message.
    fn round(&mut self, target: Target) -> Result<Duration> {
        self.probe.send()?;
        ensure!(self.probe.check_reads()? == Reads::Served, "a read was rejected before the disk was full");
        let before = crashes(&self.postgres);
        let free = if self.rng.below(2) == 0 { 0 } else { self.rng.below(MAX_FREE_PAGES) };
        self.filler.fill(free)?;
        self.send_until_rejected(target)?;
        let full_since = Instant::now();
        while full_since.elapsed() < FULL_DURATION {
            let reads = self.probe.check_reads().context("while the disk was full")?;
            if reads == Reads::Unavailable && crashes(&self.postgres) == before {
                bail!("PostgreSQL was running, and a read was rejected with `unavailable`");
            }
            self.send()?;
        }
        self.filler.empty()?;
        ensure_running(&self.postgres)?;
        self.totals.crashes += crashes(&self.postgres) - before;
        self.send_with_space()
    }

    /// Sends until the disk is full; with [`Target::Log`], until PostgreSQL has ended.
    fn send_until_rejected(&mut self, target: Target) -> Result<()> {
        let before = crashes(&self.postgres);
        let started = Instant::now();
        loop {
            if started.elapsed() > FILL_TIMEOUT {
                bail!("the disk has been full for {FILL_TIMEOUT:?}, and PostgreSQL still has space");
            }
            let answer = self.send()?;
            match target {
                Target::Tables if answer != Answer::Stored => return Ok(()),
                Target::Tables => {}
                Target::Log if crashes(&self.postgres) > before => return Ok(()),
                // Each call leaves the rest of a log file unused. It fails after PostgreSQL has ended.
                Target::Log => drop(self.postgres.psql("postgres", "SELECT pg_switch_wal()")),
            }
        }
    }

    /// Checks that sending resumes, and that nothing is rejected for a while.
    fn send_with_space(&mut self) -> Result<Duration> {
        let space_time = self.rng.moment_within(MAX_TIME_WITH_SPACE);
        let space_since = Instant::now();
        while self.send()? != Answer::Stored && space_since.elapsed() <= RESUME_TIMEOUT {}
        let resumed = space_since.elapsed();
        if resumed > RESUME_TIMEOUT {
            bail!("after {resumed:?} with free space nothing was stored; the bound is {RESUME_TIMEOUT:?}");
        }
        self.totals.resumed = self.totals.resumed.max(resumed);
        while space_since.elapsed() < space_time {
            let answer = self.send()?;
            if answer != Answer::Stored {
                bail!("a message was rejected {:?} after space was freed: {answer:?}", space_since.elapsed());
            }
            thread::sleep(SEND_INTERVAL);
        }
        Ok(resumed)
    }

    fn send(&mut self) -> Result<Answer> {
        let answer = self.probe.send()?;
        match answer {
            Answer::Stored => {}
            Answer::StorageFull => self.totals.full += 1,
            Answer::Unavailable => self.totals.unavailable += 1,
        }
        Ok(answer)
    }
}

/// The number of times that PostgreSQL has ended by itself, from its log.
fn crashes(postgres: &TestPostgres) -> usize {
    postgres.log().matches(" PANIC: ").count()
}

/// Does what an operator does: starts PostgreSQL if it has ended. Returns when it accepts connections.
fn ensure_running(postgres: &TestPostgres) -> Result<()> {
    let deadline = Instant::now() + RECOVERY_TIMEOUT;
    while postgres.psql("postgres", "SELECT 1").is_err() {
        if Instant::now() > deadline {
            bail!("PostgreSQL did not recover within {RECOVERY_TIMEOUT:?}");
        }
        // While it recovers from a crash by itself, it is already running.
        if !postgres.is_running() {
            postgres.start_again().context("PostgreSQL does not start again")?;
        }
        thread::sleep(POLL_INTERVAL);
    }
    Ok(())
}
