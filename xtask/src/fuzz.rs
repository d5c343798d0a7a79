//! `cargo xtask fuzz`: libFuzzer looks for bytes that break a promise of the pure crates.
//!
//! What must hold is in plain functions in the crates (`crates/*/tests/fuzzed/`), which the ordinary tests hold for a moment; the
//! package `fuzz/` makes a program of each, and this command builds and runs these. Everything comes from a stable toolchain and
//! a C++ compiler: the crates have no `unsafe` that a sanitizer would watch, and the pass that tells libFuzzer where the code has been is
//! LLVM's, which stable hands flags to. So neither nightly nor cargo-fuzz is needed; who has them can use them on `fuzz/` as well.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::prerequisites::Prerequisite;
use crate::process;
use crate::workspace::{Workspace, host};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// One target alone; all of them without it.
    target: Option<String>,
    /// How long each target runs.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
}

/// Counts where the code has been, and tells libFuzzer what it compared with what. `fuzzing` is what cargo-fuzz sets, too.
const FLAGS: &[&str] = &[
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    Prerequisite::CxxCompiler.check()?;
    let all = targets(workspace)?;
    let chosen: Vec<&str> = match &args.target {
        None => all.iter().map(String::as_str).collect(),
        Some(name) if all.contains(name) => vec![name],
        Some(name) => bail!("there is no target {name}; there are {}", all.join(", ")),
    };
    build(workspace)?;
    fuzz_each(workspace, &chosen, &[format!("-max_total_time={}", args.seconds)])
}

/// For CI: everything builds, what is kept holds, and so does what a second makes of it, the same way each time.
pub(crate) fn smoke_test(workspace: &Workspace) -> Result<()> {
    let all = targets(workspace)?;
    build(workspace)?;
    let chosen: Vec<&str> = all.iter().map(String::as_str).collect();
    fuzz_each(workspace, &chosen, &["-max_total_time=1".into(), "-seed=1".into()])
}

/// One for each file in `fuzz/fuzz_targets/`.
fn targets(workspace: &Workspace) -> Result<Vec<String>> {
    let folder = workspace.fuzz().join("fuzz_targets");
    let files = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut names = Vec::new();
    for file in files {
        let path = file?.path();
        names.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
    }
    names.sort();
    Ok(names)
}

/// In a folder of its own, since other flags make everything anew.
fn built_to(workspace: &Workspace) -> PathBuf {
    workspace.target.join("fuzz")
}

fn build(workspace: &Workspace) -> Result<()> {
    let mut cargo = process::cargo();
    cargo.current_dir(workspace.fuzz()).env("CARGO_TARGET_DIR", built_to(workspace));
    cargo.env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\x1f"));
    // With a target named, the flags are for what runs there, and not for build scripts and macros, which have no libFuzzer.
    cargo.args(["build", "--release", "--target", &host()?]);
    process::run(&mut cargo)
}

/// Every target runs, also after one has found something.
fn fuzz_each(workspace: &Workspace, targets: &[&str], args: &[String]) -> Result<()> {
    let mut broken = Vec::new();
    for target in targets {
        if let Err(error) = fuzz(workspace, target, args) {
            println!("{target}: {error:#}");
            broken.push(*target);
        }
    }
    if broken.is_empty() {
        return Ok(());
    }
    bail!(
        "{} found something. The input is in {}: mend it, give it a test of its own beside the code that it broke, and keep the \
         input in fuzz/corpus/TARGET/",
        broken.join(", "),
        found_in(workspace).display()
    )
}

fn found_in(workspace: &Workspace) -> PathBuf {
    built_to(workspace).join("found")
}

fn fuzz(workspace: &Workspace, target: &str, args: &[String]) -> Result<()> {
    let (grown, found) = (built_to(workspace).join("corpus").join(target), found_in(workspace));
    for folder in [&grown, &found] {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let program = built_to(workspace).join(host()?).join("release").join(target);
    let mut fuzzer = Command::new(program);
    // Longer inputs are slower, and say nothing that shorter ones do not. A case takes microseconds: ten seconds are a loop.
    fuzzer.args([
        "-verbosity=0",
        "-print_final_stats=1",
        "-max_len=4096",
        "-timeout=10",
        "-rss_limit_mb=2048",
    ]);
    fuzzer.arg(format!("-artifact_prefix={}/{target}-", found.display())).args(args);
    let words = workspace.fuzz().join("dictionaries").join(target);
    if words.exists() {
        fuzzer.arg(format!("-dict={}", words.display()));
    }
    // What it learns is kept for the next time in the first folder; the second is only read.
    process::run(fuzzer.arg(grown).arg(workspace.fuzz().join("corpus").join(target)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_is_a_program_and_has_something_to_begin_with() {
        let workspace = Workspace::find().unwrap();
        let manifest = fs::read_to_string(workspace.fuzz().join("Cargo.toml")).unwrap();
        let targets = targets(&workspace).unwrap();
        assert!(targets.len() >= 5);
        for target in targets {
            assert!(manifest.contains(&format!("path = \"fuzz_targets/{target}.rs\"")), "{target}");
            let corpus = fs::read_dir(workspace.fuzz().join("corpus").join(&target)).unwrap();
            assert!(corpus.count() > 5, "{target}");
        }
    }
}
