//! `cargo xtask ci`: every check that CI runs.

use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::prerequisites::Prerequisite;
use crate::steps::{self, Context, Step, StepResult};
use crate::workspace::Workspace;
use crate::{api_contract, crate_graph, faults, fuzz, generate, instruction_bench, process, test};

/// The checks other than tests. clippy and doc use the same features, so that they share the checked dependencies.
const STEPS: &[Step] = &[
    Step { name: "format", run: format, ..Step::BLANK },
    Step {
        name: "crate-graph",
        run: |it| crate_graph::run(&it.workspace).map(|()| StepResult::Ok),
        ..Step::BLANK
    },
    Step {
        name: "generate",
        run: |it| generate::check(&it.workspace).map(|()| StepResult::Ok),
        ..Step::BLANK
    },
    Step { name: "licenses", needs: &[Prerequisite::CargoDeny], run: licenses, ..Step::BLANK },
    Step { name: "advisories", needs: &[Prerequisite::CargoDeny], run: advisories, ..Step::BLANK },
    Step {
        name: "clippy",
        run: |it| cargo(it, "clippy --workspace --all-targets --all-features -- -D warnings"),
        ..Step::BLANK
    },
    Step { name: "doc", run: doc, ..Step::BLANK },
    Step { name: "instructions", run: instruction_bench, ..Step::BLANK },
    Step {
        name: "fuzz",
        needs: &[Prerequisite::CxxCompiler],
        run: |it| fuzz::smoke_test(&it.workspace).map(|()| StepResult::Ok),
        ..Step::BLANK
    },
];

/// Runs after the tests, because the server is compiled again when the web client has been built.
const API_CONTRACT: Step = Step {
    name: "api-contract",
    needs: &[Prerequisite::Python3],
    run: |it| api_contract::run(&it.workspace).map(|()| StepResult::Ok),
    ..Step::BLANK
};

pub(crate) fn run(workspace: Workspace) -> ExitCode {
    let context = Context { workspace, all: true, test_filter: Vec::new() };
    steps::run(&context, STEPS.iter().chain(test::all()).chain([&API_CONTRACT]).chain(faults::SHORT_RUN))
}

fn cargo(context: &Context, args: &str) -> Result<StepResult> {
    process::run(context.workspace.cargo().args(args.split(' ')))?;
    Ok(StepResult::Ok)
}

fn format(context: &Context) -> Result<StepResult> {
    cargo(context, "fmt --all --check")?;
    cargo(context, "fmt --manifest-path fuzz/Cargo.toml --check")
}

/// The workspace, and the separate workspace of the fuzz targets.
const LOCKED: [&str; 2] = ["Cargo.toml", "fuzz/Cargo.toml"];

fn deny(context: &Context, manifest: &str, args: &str) -> Command {
    let mut cargo = context.workspace.cargo();
    cargo.args(["deny", "--manifest-path", manifest, "--config", "deny.toml"]).args(args.split(' '));
    cargo
}

fn licenses(context: &Context) -> Result<StepResult> {
    for manifest in LOCKED {
        process::run(&mut deny(context, manifest, "check licenses bans sources"))?;
    }
    Ok(StepResult::Ok)
}

fn doc(context: &Context) -> Result<StepResult> {
    let mut cargo = context.workspace.cargo();
    cargo.args(["doc", "--workspace", "--no-deps", "--all-features"]);
    process::run(cargo.env("RUSTDOCFLAGS", "-D warnings"))?;
    Ok(StepResult::Ok)
}

/// Skipped without valgrind, or on a processor other than the recorded one, whose counts cannot be compared.
fn instruction_bench(context: &Context) -> Result<StepResult> {
    if let Some(why) = instruction_bench::unavailable_reason(&context.workspace)? {
        return Ok(StepResult::Skipped(why));
    }
    instruction_bench::run(&context.workspace, &instruction_bench::Args::default())?;
    Ok(StepResult::Ok)
}

/// Skipped if the advisory database cannot be fetched, because an unreachable network is not a defect of the code.
fn advisories(context: &Context) -> Result<StepResult> {
    if process::output(&mut deny(context, LOCKED[0], "fetch db")).is_err() {
        return Ok(StepResult::Skipped("the advisory database cannot be fetched from here".into()));
    }
    for manifest in LOCKED {
        process::run(&mut deny(context, manifest, "check --disable-fetch advisories"))?;
    }
    Ok(StepResult::Ok)
}
