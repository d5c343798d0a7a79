//! `cargo xtask test`: all tests of the workspace and of the web client.

use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::prerequisites::{self, Prerequisite};
use crate::steps::{self, Context, Step, StepResult};
use crate::workspace::Workspace;
use crate::{autobahn, process, sim, web};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Fail if a program for some test is missing, and run Autobahn's test suite as well.
    #[arg(long)]
    all: bool,
    /// Names of steps to run alone (`cargo xtask test e2e`); any other word restricts the Rust tests to names that
    /// contain it.
    filter: Vec<String>,
}

/// In this order, because the server embeds the built page, and quick steps come first.
const STEPS: &[Step] = &[
    Step { name: "web-client", needs: &[Prerequisite::Node], run: web_client, ..Step::BLANK },
    Step {
        name: "web-types",
        needs: &[Prerequisite::Node],
        run: |it| web_script(it, "check"),
        ..Step::BLANK
    },
    Step { name: "web-unit", needs: &[Prerequisite::Node], run: |it| web_script(it, "test"), ..Step::BLANK },
    Step {
        name: "rust",
        // Without them, the tests that trace system calls and those of the PostgreSQL store skip themselves.
        wants: &[Prerequisite::Strace, Prerequisite::Postgres],
        run: rust,
        ..Step::BLANK
    },
    Step { name: "doctests", run: doctests, ..Step::BLANK },
    Step {
        name: "fault-injection",
        run: |it| sim::prove(&it.workspace).map(|()| StepResult::Ok),
        ..Step::BLANK
    },
    Step {
        name: "e2e",
        after: Some("web-client"),
        needs: &[Prerequisite::Node, Prerequisite::Chromium],
        wants: &[Prerequisite::SilentNetwork],
        run: end_to_end,
    },
    Step {
        name: "autobahn",
        needs: &[Prerequisite::Python27],
        run: |it| autobahn::run(&it.workspace, &autobahn::Args::default()).map(|()| StepResult::Ok),
        ..Step::BLANK
    },
];

/// Run only with `--all` or by name: they need programs that few machines have.
const RARE: &[&str] = &["autobahn"];

pub(crate) fn run(workspace: Workspace, args: &Args) -> ExitCode {
    let (steps, test_filter) = choose(args.all, &args.filter);
    steps::run(&Context { workspace, all: args.all, test_filter }, steps)
}

pub(crate) fn all() -> impl Iterator<Item = &'static Step> {
    STEPS.iter()
}

/// The steps to run, and the filter for the Rust tests.
fn choose(all: bool, filter: &[String]) -> (Vec<&'static Step>, Vec<String>) {
    let (mut names, test_filter): (Vec<_>, Vec<_>) =
        filter.iter().cloned().partition(|word| STEPS.iter().any(|step| step.name == word));
    if !test_filter.is_empty() {
        names.push("rust".into());
    }
    let is_chosen = |step: &&Step| match names.as_slice() {
        [] => all || !RARE.contains(&step.name),
        names => names.iter().any(|name| name == step.name),
    };
    (STEPS.iter().filter(is_chosen).collect(), test_filter)
}

fn web_client(context: &Context) -> Result<StepResult> {
    web::build_if_stale(&context.workspace)?;
    Ok(StepResult::Ok)
}

fn web_script(context: &Context, script: &str) -> Result<StepResult> {
    web::install_if_stale(&context.workspace)?;
    process::run(&mut web::npm_run(&context.workspace, script))?;
    Ok(StepResult::Ok)
}

/// Uses nextest if it is installed: it runs each test in its own process, in parallel.
fn rust(context: &Context) -> Result<StepResult> {
    let mut cargo = context.workspace.cargo();
    if process::output(process::cargo().args(["nextest", "--version"])).is_ok() {
        cargo.args(["nextest", "run", "--workspace", "--no-fail-fast"]).args(&context.test_filter);
    } else {
        cargo.args(["test", "--workspace", "--all-targets", "--no-fail-fast"]);
        if !context.test_filter.is_empty() {
            cargo.arg("--").args(&context.test_filter);
        }
    }
    if context.all {
        // A test of the PostgreSQL store then fails instead of skipping itself.
        cargo.env("CI", "1");
    }
    process::run(&mut cargo)?;
    Ok(StepResult::Ok)
}

/// A separate step, because nextest does not run doctests.
fn doctests(context: &Context) -> Result<StepResult> {
    process::run(context.workspace.cargo().args(["test", "--workspace", "--doc"]))?;
    Ok(StepResult::Ok)
}

/// Runs the tests of `web/`, which the environment configures: `TEAHOUSE_BIN` is the server, `CHROMIUM` the browser, and
/// `TEAHOUSE_NETNS` is `1` if they can create a network namespace, otherwise `0`.
fn end_to_end(context: &Context) -> Result<StepResult> {
    let workspace = &context.workspace;
    process::run(&mut workspace.build_programs())?;
    web::install_if_stale(workspace)?;
    let mut npm: Command = web::npm_run(workspace, "e2e");
    npm.env("TEAHOUSE_BIN", workspace.binary("debug", "teahouse"));
    npm.env("CHROMIUM", prerequisites::chromium()?);
    npm.env("TEAHOUSE_NETNS", if Prerequisite::SilentNetwork.check().is_ok() { "1" } else { "0" });
    process::run(&mut npm)?;
    Ok(StepResult::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(all: bool, filter: &[&str]) -> (Vec<&'static str>, Vec<String>) {
        let filter: Vec<_> = filter.iter().map(|word| word.to_string()).collect();
        let (steps, test_filter) = choose(all, &filter);
        (steps.iter().map(|step| step.name).collect(), test_filter)
    }

    #[test]
    fn without_a_filter_all_but_rare_steps_run() {
        let (names, test_filter) = chosen(false, &[]);
        assert_eq!(names.len(), STEPS.len() - RARE.len());
        assert!(test_filter.is_empty() && !names.contains(&"autobahn"));
    }

    #[test]
    fn all_runs_every_step() {
        assert_eq!(chosen(true, &[]).0.len(), STEPS.len());
    }

    #[test]
    fn step_name_runs_the_step_alone() {
        assert_eq!(chosen(false, &["autobahn"]), (vec!["autobahn"], vec![]));
        assert_eq!(chosen(true, &["e2e", "web-unit"]).0, ["web-unit", "e2e"]);
    }

    #[test]
    fn other_word_filters_the_rust_tests_and_runs_only_them() {
        assert_eq!(chosen(false, &["resume"]), (vec!["rust"], vec!["resume".to_owned()]));
    }

    #[test]
    fn step_comes_after_the_step_it_depends_on() {
        for (index, step) in STEPS.iter().enumerate() {
            let Some(after) = step.after else { continue };
            assert!(STEPS[..index].iter().any(|earlier| earlier.name == after), "{}", step.name);
        }
    }
}
