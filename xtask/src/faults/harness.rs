//! What all fault runs share: options, builds, seeds, and errors that contain the command to repeat the run.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

use super::run_dir::RunDir;
use crate::process;
use crate::workspace::Workspace;

/// The options of every run.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct CommonArgs {
    /// Determines the times of the faults and the clients' actions; without it each run uses another seed.
    #[arg(long)]
    pub(super) seed: Option<u64>,
    /// Use the debug build, as CI does; timings are then not meaningful.
    #[arg(long)]
    pub(super) debug: bool,
    /// Keep the history and the data of successful runs, too.
    #[arg(long)]
    pub(super) keep: bool,
    /// Use a server that breaks the promise named by TEAHOUSE_FAULT_INJECTION: the run has to fail.
    #[arg(long)]
    pub(super) inject: bool,
}

impl CommonArgs {
    /// The options of CI: another seed each time, with the debug build that the tests use.
    pub(super) const SHORT_RUN: Self = Self { seed: None, debug: true, keep: false, inject: false };

    /// The argument that selects the build profile; `None` for a debug build.
    fn profile(&self) -> Option<&'static str> {
        (!self.debug).then_some("--release")
    }
}

/// The built programs of a run, and its seed.
pub(super) struct Harness<'a> {
    pub(super) workspace: &'a Workspace,
    pub(super) seed: u64,
    common: &'a CommonArgs,
}

impl<'a> Harness<'a> {
    pub(super) fn build(workspace: &'a Workspace, common: &'a CommonArgs) -> Result<Self> {
        process::run(workspace.build_programs().args(common.profile()))?;
        if common.inject {
            // A binary with its own name, so that it cannot be mistaken for the regular server.
            let features = ["--features", "teahouse/fault-injection", "--bin", "fault_injected"];
            process::run(workspace.build_programs().args(features).args(common.profile()))?;
        }
        Ok(Self { workspace, seed: common.seed.unwrap_or_else(any_seed), common })
    }

    /// The path of one of the workspace's programs.
    pub(super) fn binary(&self, name: &str) -> PathBuf {
        let name = if self.common.inject && name == "teahouse" { "fault_injected" } else { name };
        self.workspace.binary(if self.common.debug { "debug" } else { "release" }, name)
    }

    /// Runs `act` in an empty folder. On failure the error contains the command that repeats the run: `replay_args` is the fault's name
    /// with its own options.
    pub(super) fn run(
        &self,
        replay_args: &str,
        seed: u64,
        act: impl FnOnce(&RunDir) -> Result<()>,
    ) -> Result<()> {
        let name = replay_args.split(' ').next().unwrap_or(replay_args);
        let run_dir = RunDir::create(self.workspace, &format!("{name}-{seed}"))?;
        act(&run_dir).with_context(|| {
            format!(
                "seed {seed}; to repeat this run: cargo xtask faults {replay_args} --seed {seed}{}{}; the history, the data and the \
                 server's log are in {}",
                if self.common.debug { " --debug" } else { "" },
                if self.common.inject { " --inject" } else { "" },
                run_dir.path().display()
            )
        })?;
        if self.common.keep { Ok(()) } else { run_dir.clear() }
    }
}

/// A seed from the clock; it need not be unpredictable.
fn any_seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_secs() * 1_000 + u64::from(now.subsec_millis())
}
