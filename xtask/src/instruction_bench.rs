//! `cargo xtask instructions`: compares the instruction counts of codec, log and encoder with the recorded ones.
//!
//! Times vary from hour to hour, instruction counts do not, so a check can compare them. The server's program
//! `instruction_bench` repeats one operation; callgrind counts two runs, and their difference is the operation alone.
//! `gungraun` (formerly `iai-callgrind`) does the same, but needs a runner of exactly its own version on every machine; these
//! 150 lines need only valgrind.
//!
//! | file | contents |
//! |---|---|
//! | `record` | recorded counts and their conditions: reads, writes, compares |

mod record;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use self::record::{Conditions, Record};
use crate::prerequisites::Prerequisite;
use crate::process;
use crate::workspace::Workspace;

#[derive(clap::Args, Default)]
pub(crate) struct Args {
    /// Record the counts, in place of the earlier ones.
    #[arg(long)]
    record: bool,
}

/// The repetitions of an operation in the first of two runs; the second has twice as many.
const TIMES: u64 = 500;

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    Prerequisite::Valgrind.check()?;
    let path = record_of(workspace);
    let recorded = if args.record { None } else { Some(read(&path)?) };
    if let Some(recorded) = &recorded {
        recorded.conditions.check_target(&conditions()?)?;
    }
    let mut build = workspace.cargo();
    build.args([
        "build",
        "--release",
        "-p",
        "teahouse-gateway",
        "--features",
        "instruction-bench",
        "--bin",
        "instruction_bench",
    ]);
    process::run(&mut build)?;
    let now = count_all(workspace)?;
    let Some(recorded) = recorded else {
        fs::write(&path, now.to_string()).with_context(|| format!("cannot write {}", path.display()))?;
        println!("{now}\nwritten to {}", path.display());
        return Ok(());
    };
    let comparison = recorded.compare(&now);
    println!("{comparison}");
    let differing = recorded.conditions.differing_from(&now.conditions);
    if !differing.is_empty() {
        println!(
            "\nThe record has other conditions, which may explain differences: {}.",
            differing.join(", ")
        );
    }
    if comparison.is_less() {
        println!("\nSome counts are lower: `cargo xtask instructions --record` records the improvement.");
    }
    if let Some(failures) = comparison.failures() {
        bail!(
            "{failures}\n\
             For details: `callgrind_annotate {}`, here and at the commit of the record.\n\
             If intended: `cargo xtask instructions --record`, with the reason in the commit message.",
            folder_of(workspace).join("OPERATION.out").display()
        );
    }
    Ok(())
}

/// The reason why the record cannot be compared on this machine; `None` if it can.
pub(crate) fn unavailable_reason(workspace: &Workspace) -> Result<Option<String>> {
    if let Err(missing) = Prerequisite::Valgrind.check() {
        return Ok(Some(missing.to_string()));
    }
    let recorded = read(&record_of(workspace))?.conditions;
    Ok(recorded.check_target(&conditions()?).err().map(|error| error.to_string()))
}

fn record_of(workspace: &Workspace) -> PathBuf {
    workspace.root.join("bench/instructions.toml")
}

fn folder_of(workspace: &Workspace) -> PathBuf {
    workspace.target.join("instructions")
}

fn read(path: &Path) -> Result<Record> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    text.parse().with_context(|| format!("cannot parse {}", path.display()))
}

fn count_all(workspace: &Workspace) -> Result<Record> {
    let (program, folder) = (workspace.binary("release", "instruction_bench"), folder_of(workspace));
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let names = process::output(&mut Command::new(&program))?;
    let count = |name: &str| -> Result<(String, u64)> {
        let out = folder.join(format!("{name}.out"));
        let (once, twice) =
            (collect(&program, name, TIMES, &out)?, collect(&program, name, 2 * TIMES, &out)?);
        // Rounded, because parsing an argument with one digit more takes a few instructions.
        Ok((name.to_owned(), (twice.saturating_sub(once) + TIMES / 2) / TIMES))
    };
    let instructions = names.lines().map(count).collect::<Result<_>>()?;
    Ok(Record { conditions: conditions()?, instructions })
}

/// The instruction count of one whole run.
fn collect(program: &Path, name: &str, times: u64, out: &Path) -> Result<u64> {
    let mut valgrind = Command::new("valgrind");
    valgrind.arg("--tool=callgrind").arg(format!("--callgrind-out-file={}", out.display()));
    // valgrind's log goes to standard output; the program itself prints nothing when it runs an operation.
    valgrind.arg("--log-fd=1").arg(program).args([name, &times.to_string()]);
    let output = process::output(&mut valgrind)?;
    collected(&output).with_context(|| format!("callgrind gives no count of {name}:\n{output}"))
}

fn collected(output: &str) -> Option<u64> {
    let line = output.lines().find_map(|line| line.split_once("Collected :"))?;
    line.1.trim().parse().ok()
}

fn conditions() -> Result<Conditions> {
    let rustc = process::output(Command::new("rustc").arg("-vV"))?;
    let of_rustc = |key: &str| {
        let value = rustc.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
        value.map(str::to_owned).with_context(|| format!("`rustc -vV` names no {key}"))
    };
    let valgrind = process::output(Command::new("valgrind").arg("--version"))?;
    // Not every libc is glibc; it only matters that the value is the same.
    let libc = process::output(Command::new("getconf").arg("GNU_LIBC_VERSION"));
    Ok(Conditions {
        target: of_rustc("host")?,
        rustc: of_rustc("release")?,
        libc: libc.map_or_else(|_| "unknown".to_owned(), |libc| libc.trim().to_owned()),
        valgrind: valgrind.trim().trim_start_matches("valgrind-").to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn count_is_parsed_from_callgrind_output() {
        let output = "==7== Callgrind, a call-graph generating cache profiler\n==7== Events    : Ir\n==7== Collected : 1411241\n";
        assert_eq!(collected(output), Some(1_411_241));
        assert_eq!(collected("==7== Collected : \n"), None);
        assert_eq!(collected(""), None);
    }

    #[test]
    fn record_of_this_workspace_is_valid() {
        let record = read(&record_of(&Workspace::find().unwrap())).unwrap();
        assert!(record.instructions.len() > 5);
    }
}
