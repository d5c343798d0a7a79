//! `cargo xtask faults kill`: SIGKILL at random moments.

use std::thread;
use std::time::Duration;

use anyhow::Result;

use super::database::Database;
use super::harness::{CommonArgs, Harness};
use super::recorder_process::{MinimumActivity, RecorderProcess, check};
use super::rng::Rng;
use super::run_dir::RunDir;
use super::server_under_test::ServerUnderTest;
use crate::workspace::Workspace;

/// After this many kills the history is checked and the next one starts in an empty folder, because a history must fit into
/// memory.
const KILLS_PER_HISTORY: u32 = 50;
/// Bounds the time between the server's start and the next kill.
const MAX_UPTIME: Duration = Duration::from_millis(1_500);
/// One kill in this many happens while the server starts.
const KILLS_PER_STARTUP_KILL: u64 = 8;
/// About the longest start on SQLite.
const STARTUP_TIME: Duration = Duration::from_millis(60);
/// About the longest start on PostgreSQL: the server connects, and may wait for the lock of the killed session.
const POSTGRES_STARTUP_TIME: Duration = Duration::from_millis(150);

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many times the server is killed.
    #[arg(long, default_value_t = 1_000)]
    pub(super) kills: u32,
    /// Messages sent per second, approximately.
    #[arg(long, default_value_t = 1_000)]
    pub(super) rate: u32,
    /// The server's database.
    #[arg(long, value_enum, default_value_t)]
    pub(super) database: Database,
    #[command(flatten)]
    pub(super) common: CommonArgs,
}

pub(super) const SHORT_RUN: Args =
    Args { kills: 10, rate: 1_000, database: Database::Sqlite, common: CommonArgs::SHORT_RUN };
pub(super) const SHORT_RUN_ON_POSTGRES: Args = Args { kills: 5, database: Database::Postgres, ..SHORT_RUN };

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let harness = Harness::build(workspace, &args.common)?;
    let mut seed = harness.seed;
    let mut left = args.kills;
    while left > 0 {
        let kills = left.min(KILLS_PER_HISTORY);
        println!("seed {seed}: {kills} kills, {left} to go");
        let replay_args = format!("kill --kills {kills} --rate {}{}", args.rate, args.database.replay_args());
        harness.run(&replay_args, seed, |run_dir| run_history(&harness, args, run_dir, seed, kills))?;
        left -= kills;
        seed = seed.wrapping_add(1);
    }
    println!("killed {} times, and every promise held", args.kills);
    Ok(())
}

/// The most joins of fifty writers and ten receivers; each names a cursor at its first join.
const FIRST_JOINS: u64 = 50 + 10 * 3;

/// About 500 messages, 7,000 deliveries and 70 cursors per kill are usual; these bounds hold on a busy machine as well.
fn minimum_activity(kills: u32) -> MinimumActivity {
    let kills = u64::from(kills);
    MinimumActivity {
        acknowledged: 20 * kills,
        percent: 10,
        deliveries: 100 * kills,
        resumed: FIRST_JOINS + 5 * kills,
        views: 60,
    }
}

fn run_history(harness: &Harness, args: &Args, run_dir: &RunDir, seed: u64, kills: u32) -> Result<()> {
    let program = harness.binary("history");
    let mut server = ServerUnderTest::new(harness.binary("teahouse"), run_dir.path())?;
    let _postgres = args.database.start(run_dir, &mut server)?;
    server.start()?;
    server.wait_until_open()?;
    let options = [format!("--rate={}", args.rate), format!("--seed={seed}")];
    let mut recorder = RecorderProcess::start(&program, server.address, &run_dir.history(), &options)?;
    let startup_time = match args.database {
        Database::Sqlite => STARTUP_TIME,
        Database::Postgres => POSTGRES_STARTUP_TIME,
    };
    let mut rng = Rng::new(seed);
    for number in 1..=kills {
        // The first kill must happen to a server that is open.
        if number > 1 && rng.below(KILLS_PER_STARTUP_KILL) == 0 {
            thread::sleep(rng.moment_within(startup_time));
        } else {
            if number > 1 {
                server.wait_until_open()?;
            }
            thread::sleep(rng.moment_within(MAX_UPTIME));
        }
        server.kill()?;
        recorder.note(&format!("kill {number}"))?;
        server.start()?;
    }
    server.wait_until_open()?;
    recorder.note("opened for the last time")?;
    recorder.finish()?;
    check(&program, &run_dir.history(), minimum_activity(kills))
}
