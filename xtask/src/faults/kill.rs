//! `cargo xtask faults kill`: SIGKILL at random instants.

use std::thread;
use std::time::Duration;

use anyhow::Result;

use super::harness::{CommonArgs, Harness};
use super::recorder_process::{MinimumActivity, RecorderProcess, check};
use super::rng::Rng;
use super::run_dir::RunDir;
use super::server_under_test::ServerUnderTest;
use crate::workspace::Workspace;

/// After so many kills the history is checked, and another begins in an empty folder: it has to fit into memory.
const KILLS_PER_HISTORY: u32 = 50;
/// How long the server is left alone once it is open.
const MAX_UPTIME: Duration = Duration::from_millis(1_500);
/// Once in so many times it is killed while it starts.
const KILLS_PER_STARTUP_KILL: u64 = 8;
/// How long a start takes at the most, give or take.
const START: Duration = Duration::from_millis(60);

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How often.
    #[arg(long, default_value_t = 1_000)]
    pub(super) kills: u32,
    /// About how many messages are sent in a second.
    #[arg(long, default_value_t = 1_000)]
    pub(super) rate: u32,
    #[command(flatten)]
    pub(super) common: CommonArgs,
}

pub(super) const SHORT_RUN: Args = Args { kills: 10, rate: 1_000, common: CommonArgs::SHORT_RUN };

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let harness = Harness::build(workspace, &args.common)?;
    let mut seed = harness.seed;
    let mut left = args.kills;
    while left > 0 {
        let kills = left.min(KILLS_PER_HISTORY);
        println!("seed {seed}: {kills} kills, {left} to go");
        let replay_args = format!("kill --kills {kills} --rate {}", args.rate);
        harness.run(&replay_args, seed, |run_dir| run_history(&harness, args, run_dir, seed, kills))?;
        left -= kills;
        seed = seed.wrapping_add(1);
    }
    println!("killed {} times, and every promise was kept", args.kills);
    Ok(())
}

/// Rooms in which fifty writers and ten receivers are, at the most: each names a cursor also when it comes for the first time.
const COMINGS: u64 = 50 + 10 * 3;

/// Of some five hundred messages, seven thousand deliveries and seventy cursors a kill: what a machine that is busy with other
/// things comes to as well.
fn least(kills: u32) -> MinimumActivity {
    let kills = u64::from(kills);
    MinimumActivity {
        acknowledged: 20 * kills,
        percent: 10,
        deliveries: 100 * kills,
        resumed: COMINGS + 5 * kills,
        views: 60,
    }
}

fn run_history(harness: &Harness, args: &Args, run_dir: &RunDir, seed: u64, kills: u32) -> Result<()> {
    let program = harness.binary("history");
    let mut server = ServerUnderTest::new(harness.binary("teahouse"), run_dir.path())?;
    server.start()?;
    server.wait_until_open()?;
    let options = [format!("--rate={}", args.rate), format!("--seed={seed}")];
    let mut recorder = RecorderProcess::start(&program, server.address, &run_dir.history(), &options)?;
    let mut rng = Rng::new(seed);
    for number in 1..=kills {
        // The first one begins with a server that is open.
        if number > 1 && rng.below(KILLS_PER_STARTUP_KILL) == 0 {
            thread::sleep(rng.moment_within(START));
        } else {
            if number > 1 {
                server.wait_until_open()?;
            }
            thread::sleep(rng.moment_within(MAX_UPTIME));
        }
        server.kill()?;
        recorder.note(&format!("killed for the {number}. time"))?;
        server.start()?;
    }
    server.wait_until_open()?;
    recorder.note("open for the last time")?;
    recorder.finish()?;
    check(&program, &run_dir.history(), least(kills))
}
