//! `cargo xtask faults postgres`: PostgreSQL crashes and recovers under the running server.

use std::thread;
use std::time::Duration;

use anyhow::Result;
use storage_postgres::testing::{Durability, Options};

use super::clock::check_no_disconnects;
use super::database::TestPostgres;
use super::harness::{CommonArgs, Harness};
use super::recorder_process::{MinimumActivity, RecorderProcess, check};
use super::rng::Rng;
use super::run_dir::RunDir;
use super::server_under_test::ServerUnderTest;
use crate::workspace::Workspace;

/// After this many restarts the history is checked and the next begins in an empty database, because a history must fit into memory.
const RESTARTS_PER_HISTORY: u32 = 25;
/// Bounds the time between the end of a recovery and the next crash.
const MAX_UPTIME: Duration = Duration::from_millis(1_500);

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many times PostgreSQL is restarted.
    #[arg(long, default_value_t = 100)]
    pub(super) restarts: u32,
    /// Messages sent per second, approximately.
    #[arg(long, default_value_t = 500)]
    pub(super) rate: u32,
    #[command(flatten)]
    pub(super) common: CommonArgs,
}

pub(super) const SHORT_RUN: Args = Args { restarts: 5, rate: 200, common: CommonArgs::SHORT_RUN };

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let harness = Harness::build(workspace, &args.common)?;
    let mut seed = harness.seed;
    let mut left = args.restarts;
    while left > 0 {
        let restarts = left.min(RESTARTS_PER_HISTORY);
        println!("seed {seed}: {restarts} restarts of PostgreSQL, {left} to go");
        let replay_args = format!("postgres --restarts {restarts} --rate {}", args.rate);
        harness.run(&replay_args, seed, |run_dir| run_history(&harness, args, run_dir, seed, restarts))?;
        left -= restarts;
        seed = seed.wrapping_add(1);
    }
    println!("PostgreSQL was restarted {} times, and every promise held", args.restarts);
    Ok(())
}

fn minimum_activity(restarts: u32) -> MinimumActivity {
    let restarts = u64::from(restarts);
    MinimumActivity {
        acknowledged: 10 * restarts,
        percent: 10,
        deliveries: 50 * restarts,
        // The cursors of the clients' first joins; no client has a reason to reconnect.
        resumed: 40,
        views: 36,
    }
}

fn run_history(harness: &Harness, args: &Args, run_dir: &RunDir, seed: u64, restarts: u32) -> Result<()> {
    let program = harness.binary("history");
    let mut server = ServerUnderTest::new(harness.binary("teahouse"), run_dir.path())?;
    let options = Options { durability: Durability::Full, ..Options::default() };
    let postgres = TestPostgres::start(run_dir, &mut server, &options)?;
    server.start()?;
    server.wait_until_open()?;
    let options = ["--writers=30", "--receivers=6"].map(str::to_owned).into_iter();
    let options: Vec<_> =
        options.chain([format!("--rate={}", args.rate), format!("--seed={seed}")]).collect();
    let mut recorder = RecorderProcess::start(&program, server.address, &run_dir.history(), &options)?;
    let mut rng = Rng::new(seed);
    for number in 1..=restarts {
        thread::sleep(rng.moment_within(MAX_UPTIME));
        recorder.note(&format!("restart {number} of PostgreSQL"))?;
        postgres.restart_immediately()?;
    }
    recorder.note("PostgreSQL stays")?;
    recorder.finish()?;
    let connections = check_no_disconnects(&run_dir.history())?;
    println!("{restarts} restarts of PostgreSQL ended none of {connections} connections");
    check(&program, &run_dir.history(), minimum_activity(restarts))
}
