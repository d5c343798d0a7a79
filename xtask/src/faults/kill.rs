//! `cargo xtask faults kill`: SIGKILL at random instants.

use std::thread;
use std::time::Duration;

use anyhow::Result;

use super::dice::Dice;
use super::prey::Prey;
use super::scene::Scene;
use super::stage::{Common, Stage};
use super::witnesses::{Least, Witnesses, check};
use crate::workspace::Workspace;

/// After so many kills the history is checked, and another begins in an empty folder: it has to fit into memory.
const KILLS_A_HISTORY: u32 = 50;
/// How long the server is left alone once it is open.
const LONGEST_PEACE: Duration = Duration::from_millis(1_500);
/// Once in so many times it is killed while it starts.
const STARTS_A_KILL: u64 = 8;
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
    pub(super) common: Common,
}

pub(super) const SHORT: Args = Args { kills: 10, rate: 1_000, common: Common::SHORT };

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let stage = Stage::build(workspace, &args.common)?;
    let mut seed = stage.seed;
    let mut left = args.kills;
    while left > 0 {
        let kills = left.min(KILLS_A_HISTORY);
        println!("seed {seed}: {kills} kills, {left} to go");
        let again = format!("kill --kills {kills} --rate {}", args.rate);
        stage.play(&again, seed, |scene| one_history(&stage, args, scene, seed, kills))?;
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
fn least(kills: u32) -> Least {
    let kills = u64::from(kills);
    Least {
        acknowledged: 20 * kills,
        percent: 10,
        deliveries: 100 * kills,
        resumed: COMINGS + 5 * kills,
        views: 60,
    }
}

fn one_history(stage: &Stage, args: &Args, scene: &Scene, seed: u64, kills: u32) -> Result<()> {
    let program = stage.binary("history");
    let mut server = Prey::new(stage.binary("teahouse"), scene.folder())?;
    server.start()?;
    server.wait_until_open()?;
    let options = [format!("--rate={}", args.rate), format!("--seed={seed}")];
    let mut witnesses = Witnesses::call(&program, server.address, &scene.history(), &options)?;
    let mut dice = Dice::new(seed);
    for number in 1..=kills {
        // The first one begins with a server that is open.
        if number > 1 && dice.below(STARTS_A_KILL) == 0 {
            thread::sleep(dice.moment_within(START));
        } else {
            if number > 1 {
                server.wait_until_open()?;
            }
            thread::sleep(dice.moment_within(LONGEST_PEACE));
        }
        server.kill()?;
        witnesses.note(&format!("killed for the {number}. time"))?;
        server.start()?;
    }
    server.wait_until_open()?;
    witnesses.note("open for the last time")?;
    witnesses.finish()?;
    check(&program, &scene.history(), least(kills))
}
