//! What every run begins with, and what is said when it fails.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};

use super::run_dir::RunDir;
use crate::process;
use crate::workspace::Workspace;

/// What can be asked of every run.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct CommonArgs {
    /// When harm is done, and what the clients do; without it another one each time.
    #[arg(long)]
    pub(super) seed: Option<u64>,
    /// Use the debug build, as CI does: what is fast or slow then says nothing.
    #[arg(long)]
    pub(super) debug: bool,
    /// Leave the history and the data also of what went well.
    #[arg(long)]
    pub(super) keep: bool,
    /// Use a server that breaks the promise which TEAHOUSE_FAULT_INJECTION names: the run has to fail.
    #[arg(long)]
    pub(super) inject: bool,
}

impl CommonArgs {
    /// Another seed each time, with the build that the tests have made.
    pub(super) const SHORT_RUN: Self = Self { seed: None, debug: true, keep: false, inject: false };

    /// What Cargo is told.
    fn profile(&self) -> Option<&'static str> {
        (!self.debug).then_some("--release")
    }
}

/// The programs of a run, built, and its seed.
pub(super) struct Harness<'a> {
    pub(super) workspace: &'a Workspace,
    pub(super) seed: u64,
    common: &'a CommonArgs,
}

impl<'a> Harness<'a> {
    pub(super) fn build(workspace: &'a Workspace, common: &'a CommonArgs) -> Result<Self> {
        let mut cargo = workspace.cargo();
        cargo.args(["build", "-p", "teahouse", "-p", "teahouse-loadgen"]);
        process::run(cargo.args(common.profile()))?;
        if common.inject {
            // A program of its own, so that nobody takes it for the honest one.
            let mut cargo = workspace.cargo();
            cargo.args([
                "build",
                "-p",
                "teahouse",
                "--features",
                "fault-injection",
                "--bin",
                "fault_injected",
            ]);
            process::run(cargo.args(common.profile()))?;
        }
        Ok(Self { workspace, seed: common.seed.unwrap_or_else(any_seed), common })
    }

    /// A program of ours, as it was built.
    pub(super) fn binary(&self, name: &str) -> PathBuf {
        let name = if self.common.inject && name == "teahouse" { "fault_injected" } else { name };
        self.workspace.binary(if self.common.debug { "debug" } else { "release" }, name)
    }

    /// One run in an empty folder of its own. If it fails, the error says how to have it again: `replay_args` is the fault's name and
    /// its own options.
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
                "seed {seed}; to do the same again: cargo xtask faults {replay_args} --seed {seed}{}{}; the history, the data and the \
                 server's log are in {}",
                if self.common.debug { " --debug" } else { "" },
                if self.common.inject { " --inject" } else { "" },
                run_dir.path().display()
            )
        })?;
        if self.common.keep { Ok(()) } else { run_dir.clear() }
    }
}

/// Nobody has to guess it.
fn any_seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_secs() * 1_000 + u64::from(now.subsec_millis())
}
