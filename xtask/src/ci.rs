//! `cargo xtask ci`: every gate, as CI runs them.

use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::need::Need;
use crate::steps::{self, Context, Done, Step};
use crate::workspace::Workspace;
use crate::{counts, edges, faults, fuzz, process, test};

/// What is checked beside the tests. clippy and doc share what they check of the dependencies, so they ask for
/// the same features.
const STEPS: &[Step] = &[
    Step { name: "format", run: format, ..Step::BLANK },
    Step { name: "edges", run: |it| edges::run(&it.workspace).map(|()| Done::Ok), ..Step::BLANK },
    Step {
        name: "licences",
        needs: &[Need::CargoDeny],
        run: |it| cargo(it, "deny check licenses bans sources"),
        ..Step::BLANK
    },
    Step { name: "advisories", needs: &[Need::CargoDeny], run: advisories, ..Step::BLANK },
    Step {
        name: "clippy",
        run: |it| cargo(it, "clippy --workspace --all-targets --all-features -- -D warnings"),
        ..Step::BLANK
    },
    Step { name: "doc", run: doc, ..Step::BLANK },
    Step { name: "counts", run: counts, ..Step::BLANK },
    Step {
        name: "fuzz",
        needs: &[Need::CxxCompiler],
        run: |it| fuzz::try_out(&it.workspace).map(|()| Done::Ok),
        ..Step::BLANK
    },
];

pub(crate) fn run(workspace: Workspace) -> ExitCode {
    let context = Context { workspace, all: true, words: Vec::new() };
    steps::run(&context, STEPS.iter().chain(test::all()).chain(faults::SHORT))
}

fn cargo(context: &Context, args: &str) -> Result<Done> {
    process::run(context.workspace.cargo().args(args.split(' ')))?;
    Ok(Done::Ok)
}

fn format(context: &Context) -> Result<Done> {
    cargo(context, "fmt --all --check")?;
    cargo(context, "fmt --manifest-path fuzz/Cargo.toml --check")
}

fn doc(context: &Context) -> Result<Done> {
    let mut cargo = context.workspace.cargo();
    cargo.args(["doc", "--workspace", "--no-deps", "--all-features"]);
    process::run(cargo.env("RUSTDOCFLAGS", "-D warnings"))?;
    Ok(Done::Ok)
}

/// Where there is no valgrind, or another processor than in the record, nothing can be said, and the code is none the worse.
fn counts(context: &Context) -> Result<Done> {
    if let Some(why) = counts::why_not(&context.workspace)? {
        return Ok(Done::Skipped(why));
    }
    counts::run(&context.workspace, &counts::Args::default())?;
    Ok(Done::Ok)
}

/// The database of advisories is fetched from the network. Where that cannot be reached, the code is none the
/// worse, so it is no failure.
fn advisories(context: &Context) -> Result<Done> {
    let deny = |args: &str| -> Command {
        let mut cargo = context.workspace.cargo();
        cargo.arg("deny").args(args.split(' '));
        cargo
    };
    if process::output(&mut deny("fetch db")).is_err() {
        return Ok(Done::Skipped("the advisory database cannot be fetched from here".into()));
    }
    process::run(&mut deny("check --disable-fetch advisories"))?;
    Ok(Done::Ok)
}
