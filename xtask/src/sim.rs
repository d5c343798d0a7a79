//! `cargo xtask sim`: simulates shards, handlers, commit pipeline and bus under virtual time, with faults chosen by seeds.

use anyhow::Result;

use crate::process;
use crate::workspace::Workspace;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many seeds; the default is 5,000 starting at 0, or one with `--seed`.
    #[arg(long)]
    seeds: Option<u64>,
    /// The first seed.
    #[arg(long)]
    seed: Option<u64>,
    /// Break a promise on purpose, to see that it is detected: a name from `crates/gateway/src/fault_injection.rs`.
    #[arg(long, value_name = "FAULT")]
    inject: Option<String>,
}

/// Enough to find a failure that one seed in a thousand triggers.
const SEEDS: u64 = 5000;

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let (seed, seeds) = match (args.seed, args.seeds) {
        (Some(seed), seeds) => (seed, seeds.unwrap_or(1)),
        (None, seeds) => (0, seeds.unwrap_or(SEEDS)),
    };
    let mut cargo = workspace.cargo();
    cargo.args(["test", "--profile", "sim", "-p", "teahouse-gateway", "--lib"]);
    if let Some(fault) = &args.inject {
        cargo.args(["--features", "fault-injection"]).env("TEAHOUSE_FAULT_INJECTION", fault);
    }
    cargo.args(["--", "--exact", "sim::simulation_with_faults_keeps_every_promise", "--nocapture"]);
    cargo.env("TEAHOUSE_SIM_SEED", seed.to_string()).env("TEAHOUSE_SIM_SEEDS", seeds.to_string());
    process::run(&mut cargo)
}

/// Breaks each promise on purpose; the simulation must detect it.
pub(crate) fn prove(workspace: &Workspace) -> Result<()> {
    let mut cargo = workspace.cargo();
    // The whole workspace, so that dependencies have the features of the ordinary tests and are not compiled again.
    cargo.args(["test", "--workspace", "--lib", "--features", "teahouse/fault-injection"]);
    cargo.args(["--", "--exact", "sim::every_injected_fault_is_detected"]);
    cargo.arg("sim::truncated_history_breaks_no_promise");
    process::run(&mut cargo)
}
