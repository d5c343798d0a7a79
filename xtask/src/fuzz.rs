//! `cargo xtask fuzz`: libFuzzer searches for inputs that violate a property of the pure crates.
//!
//! The properties are plain functions in the crates (`crates/*/tests/fuzzed/`), which the ordinary tests run with a few
//! inputs. The package `fuzz/` has a program for each, which this command builds and runs. A stable toolchain and a C++
//! compiler are sufficient: the crates have no `unsafe` code for a sanitizer to watch, and stable Rust can pass LLVM the flags
//! of the coverage pass. Nightly and cargo-fuzz are not needed, but also work on `fuzz/`.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::prerequisites::Prerequisite;
use crate::process;
use crate::workspace::{Workspace, host};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// One target; without it all targets run.
    target: Option<String>,
    /// How long each target runs, in seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
}

/// Instruments the code for coverage and traces comparisons. `fuzzing` is what cargo-fuzz sets.
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

/// The check of CI: all targets build, and the corpus and one second of deterministic fuzzing find nothing.
pub(crate) fn smoke_test(workspace: &Workspace) -> Result<()> {
    let all = targets(workspace)?;
    build(workspace)?;
    let chosen: Vec<&str> = all.iter().map(String::as_str).collect();
    fuzz_each(workspace, &chosen, &["-max_total_time=1".into(), "-seed=1".into()])
}

/// The targets: one for each file in `fuzz/fuzz_targets/`.
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

/// A separate target folder, because different flags rebuild everything.
fn target_dir(workspace: &Workspace) -> PathBuf {
    workspace.target.join("fuzz")
}

fn build(workspace: &Workspace) -> Result<()> {
    let mut cargo = process::cargo();
    cargo.current_dir(workspace.fuzz()).env("CARGO_TARGET_DIR", target_dir(workspace));
    cargo.env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\x1f"));
    // With an explicit target, the flags do not apply to build scripts and macros, which are not linked with libFuzzer.
    cargo.args(["build", "--release", "--target", &host()?]);
    process::run(&mut cargo)
}

/// Runs every target, even after one has failed.
fn fuzz_each(workspace: &Workspace, targets: &[&str], args: &[String]) -> Result<()> {
    let mut failed = Vec::new();
    for target in targets {
        if let Err(error) = fuzz(workspace, target, args) {
            println!("{target}: {error:#}");
            failed.push(*target);
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    bail!(
        "{} failed. The input is in {}: fix the code, add a test next to it, and add the \
         input to fuzz/corpus/TARGET/",
        failed.join(", "),
        artifacts_of(workspace).display()
    )
}

fn artifacts_of(workspace: &Workspace) -> PathBuf {
    target_dir(workspace).join("found")
}

fn fuzz(workspace: &Workspace, target: &str, args: &[String]) -> Result<()> {
    let (new_corpus, found) = (target_dir(workspace).join("corpus").join(target), artifacts_of(workspace));
    for folder in [&new_corpus, &found] {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let program = target_dir(workspace).join(host()?).join("release").join(target);
    let mut fuzzer = Command::new(program);
    // Longer inputs are slower and reach no further code. A case takes microseconds, so ten seconds indicate an endless loop.
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
    // libFuzzer writes new inputs to the first folder, and only reads the second.
    process::run(fuzzer.arg(new_corpus).arg(workspace.fuzz().join("corpus").join(target)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_has_a_binary_and_a_corpus() {
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
