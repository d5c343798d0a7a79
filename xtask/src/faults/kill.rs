//! `cargo xtask faults kill`: SIGKILL at random instants.

use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

use super::dice::Dice;
use super::prey::Prey;
use super::scene::Scene;
use super::witnesses::{Witnesses, check};
use crate::process;
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
    /// When, and what the clients do; without it another one each time.
    #[arg(long)]
    pub(super) seed: Option<u64>,
    /// About how many messages are sent in a second.
    #[arg(long, default_value_t = 1_000)]
    pub(super) rate: u32,
    /// Use the release build.
    #[arg(long)]
    pub(super) release: bool,
    /// Leave the history and the data also of what went well.
    #[arg(long)]
    pub(super) keep: bool,
}

impl Default for Args {
    fn default() -> Self {
        Self { kills: 1_000, seed: None, rate: 1_000, release: false, keep: false }
    }
}

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let mut cargo = workspace.cargo();
    cargo.args(["build", "-p", "teahouse", "-p", "teahouse-load"]).args(args.release.then_some("--release"));
    process::run(&mut cargo)?;
    let mut seed = args.seed.unwrap_or_else(any_seed);
    let mut left = args.kills;
    while left > 0 {
        let kills = left.min(KILLS_A_HISTORY);
        println!("seed {seed}: {kills} kills, {left} to go");
        let scene = Scene::set(workspace, &format!("kill-{seed}"))?;
        let again = format!(
            "seed {seed}; to do the same again: cargo xtask faults kill --kills {kills} --seed {seed} --rate {}{}; \
             the history, the data and the server's log are in {}",
            args.rate,
            if args.release { " --release" } else { "" },
            scene.folder().display()
        );
        one_history(workspace, args, &scene, seed, kills).context(again)?;
        if !args.keep {
            scene.clear()?;
        }
        left -= kills;
        seed = seed.wrapping_add(1);
    }
    println!("killed {} times, and every promise was kept", args.kills);
    Ok(())
}

fn one_history(workspace: &Workspace, args: &Args, scene: &Scene, seed: u64, kills: u32) -> Result<()> {
    let profile = if args.release { "release" } else { "debug" };
    let program = workspace.binary(profile, "history");
    let mut server = Prey::new(workspace.binary(profile, "teahouse"), scene.folder())?;
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
    check(&program, &scene.history())
}

/// Nobody has to guess it.
fn any_seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_secs() * 1_000 + u64::from(now.subsec_millis())
}
