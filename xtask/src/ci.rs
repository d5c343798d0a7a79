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
    Step { name: "licences", needs: &[Need::CargoDeny], run: licences, ..Step::BLANK },
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

/// What Teahouse is made of, and what the fuzzers are made of, which are a workspace of their own.
const LOCKED: [&str; 2] = ["Cargo.toml", "fuzz/Cargo.toml"];

fn deny(context: &Context, manifest: &str, args: &str) -> Command {
    let mut cargo = context.workspace.cargo();
    cargo.args(["deny", "--manifest-path", manifest, "--config", "deny.toml"]).args(args.split(' '));
    cargo
}

fn licences(context: &Context) -> Result<Done> {
    for manifest in LOCKED {
        process::run(&mut deny(context, manifest, "check licenses bans sources"))?;
    }
    Ok(Done::Ok)
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
    if process::output(&mut deny(context, LOCKED[0], "fetch db")).is_err() {
        return Ok(Done::Skipped("the advisory database cannot be fetched from here".into()));
    }
    for manifest in LOCKED {
        process::run(&mut deny(context, manifest, "check --disable-fetch advisories"))?;
    }
    Ok(Done::Ok)
}
