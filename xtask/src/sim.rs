//! `cargo xtask sim`: the whole server under virtual time, with what goes wrong chosen by seeds.

use anyhow::Result;

use crate::process;
use crate::workspace::Workspace;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many seeds; without `--seed` 5,000 from 0 on, with it that one alone.
    #[arg(long)]
    seeds: Option<u64>,
    /// The first one.
    #[arg(long)]
    seed: Option<u64>,
    /// Break a promise on purpose, and see whether it is noticed: a name from `crates/server/src/fault_injection.rs`.
    #[arg(long, value_name = "FAULT")]
    inject: Option<String>,
}

/// Many enough to find what one in a thousand finds.
const SEEDS: u64 = 5000;

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let (seed, seeds) = match (args.seed, args.seeds) {
        (Some(seed), seeds) => (seed, seeds.unwrap_or(1)),
        (None, seeds) => (0, seeds.unwrap_or(SEEDS)),
    };
    let mut cargo = workspace.cargo();
    cargo.args(["test", "--profile", "sim", "-p", "teahouse", "--lib"]);
    if let Some(fault) = &args.inject {
        cargo.args(["--features", "fault-injection"]).env("TEAHOUSE_FAULT_INJECTION", fault);
    }
    cargo.args(["--", "--exact", "sim::whatever_goes_wrong_every_promise_is_kept", "--nocapture"]);
    cargo.env("TEAHOUSE_SIM_SEED", seed.to_string()).env("TEAHOUSE_SIM_SEEDS", seeds.to_string());
    process::run(&mut cargo)
}

/// Each promise is broken on purpose, and the simulation has to see it.
pub(crate) fn prove(workspace: &Workspace) -> Result<()> {
    let mut cargo = workspace.cargo();
    cargo.args(["test", "-p", "teahouse", "--lib", "--features", "fault-injection"]);
    cargo.args(["--", "--exact", "sim::every_injected_fault_is_detected"]);
    cargo.arg("sim::a_history_that_breaks_off_breaks_no_promise");
    process::run(&mut cargo)
}
