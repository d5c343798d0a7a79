//! A command as a table of steps, and the summary of their results.
//!
//! A failed step does not stop the others, so that one CI run reports all failures. Only steps that depend on it are skipped.

use std::collections::VecDeque;
use std::fmt;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::prerequisites::{Missing, Prerequisite};
use crate::process;
use crate::workspace::Workspace;

/// A step of a command.
pub(crate) struct Step {
    /// The name in the summary, which is also the argument that runs the step alone (`cargo xtask test e2e`).
    pub(crate) name: &'static str,
    /// The step that must have succeeded before this one; `None` if there is none.
    pub(crate) after: Option<&'static str>,
    /// The programs without which the step cannot run.
    pub(crate) needs: &'static [Prerequisite],
    /// The programs without which a part of the step is skipped.
    pub(crate) wants: &'static [Prerequisite],
    pub(crate) run: fn(&Context) -> Result<StepResult>,
}

impl Step {
    /// The base for `..Step::BLANK`: depends on no step, and needs only a Rust toolchain.
    pub(crate) const BLANK: Self =
        Self { name: "", after: None, needs: &[], wants: &[], run: |_| Ok(StepResult::Ok) };
}

/// The options that steps use.
pub(crate) struct Context {
    pub(crate) workspace: Workspace,
    /// Whether a missing program is a failure, instead of skipping the step.
    pub(crate) all: bool,
    /// The words of which one must be in the name of a Rust test; empty for all tests.
    pub(crate) test_filter: Vec<String>,
}

/// The result of a step that did not fail.
pub(crate) enum StepResult {
    Ok,
    /// The step cannot run here, for example because the network is unreachable. Not a failure, even with `all`.
    Skipped(String),
}

#[derive(Debug, PartialEq)]
enum Outcome {
    Ok,
    /// The step passed, but a part of it was skipped, for this reason.
    Partial(String),
    FailedProgram {
        why: String,
        /// The last lines of output of the failed program.
        last_lines: VecDeque<String>,
    },
    Skipped(String),
}

struct Report {
    name: &'static str,
    outcome: Outcome,
    took: Duration,
}

/// Runs the steps in order and prints the summary. Programs parse its last line, so nothing may be printed after it.
pub(crate) fn run<'a>(context: &Context, steps: impl IntoIterator<Item = &'a Step>) -> ExitCode {
    let steps: Vec<_> = steps.into_iter().collect();
    let summary = Summary(collect(context, &steps, Prerequisite::check));
    print!("{}", FailureOutput(&summary.0));
    println!("\n{summary}");
    summary.verdict()
}

fn collect(
    context: &Context,
    steps: &[&Step],
    check: fn(Prerequisite) -> Result<(), Missing>,
) -> Vec<Report> {
    let mut reports: Vec<Report> = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        println!("\n── {} ({} of {})", step.name, index + 1, steps.len());
        let started = Instant::now();
        let broken =
            reports.iter().find(|report| Some(report.name) == step.after && report.outcome.is_failed());
        let outcome = match broken {
            Some(report) => Outcome::Skipped(format!("depends on `{}`", report.name)),
            None => run_step(context, step, check),
        };
        if let Outcome::FailedProgram { why, .. } = &outcome {
            println!("failed: {why}");
        }
        reports.push(Report { name: step.name, outcome, took: started.elapsed() });
    }
    reports
}

fn run_step(context: &Context, step: &Step, check: fn(Prerequisite) -> Result<(), Missing>) -> Outcome {
    let missing = |needs: &[Prerequisite]| {
        let missing = needs
            .iter()
            .filter_map(|prerequisites| check(*prerequisites).err())
            .map(|missing| missing.to_string());
        missing.reduce(|all, one| format!("{all}; {one}"))
    };
    let (needed, wanted) = (missing(step.needs), missing(step.wants));
    if context.all
        && let Some(why) = needed.as_ref().or(wanted.as_ref())
    {
        return Outcome::failed(why.clone());
    }
    if let Some(why) = needed {
        return Outcome::Skipped(why);
    }
    match (step.run)(context) {
        Ok(StepResult::Ok) => wanted.map_or(Outcome::Ok, Outcome::Partial),
        Ok(StepResult::Skipped(why)) => Outcome::Skipped(why),
        Err(error) => Outcome::FailedProgram {
            why: format!("{error:#}"),
            last_lines: error
                .downcast::<process::FailedProgram>()
                .map(|it| it.last_lines)
                .unwrap_or_default(),
        },
    }
}

impl Outcome {
    fn failed(why: String) -> Self {
        Self::FailedProgram { why, last_lines: VecDeque::new() }
    }

    fn is_ok(&self) -> bool {
        matches!(self, Self::Ok | Self::Partial(_))
    }

    fn is_failed(&self) -> bool {
        matches!(self, Self::FailedProgram { .. })
    }

    fn label(&self) -> &'static str {
        match self {
            Self::Ok | Self::Partial(_) => "ok",
            Self::FailedProgram { .. } => "failed",
            Self::Skipped(_) => "skipped",
        }
    }
}

/// The output of the failed programs, repeated at the end, because a CI log is long, and often only its end is kept.
struct FailureOutput<'a>(&'a [Report]);

impl fmt::Display for FailureOutput<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Report { name, outcome, .. } in self.0 {
            if let Outcome::FailedProgram { last_lines, .. } = outcome
                && !last_lines.is_empty()
            {
                writeln!(f, "\n── last lines of `{name}`")?;
                last_lines.iter().try_for_each(|line| writeln!(f, "{line}"))?;
            }
        }
        Ok(())
    }
}

/// The summary: one line per step, the reasons for failures and skipped parts, and the totals. Programs parse the last line:
/// `N passed, N failed`, and `, N skipped` if there are any.
struct Summary(Vec<Report>);

impl Summary {
    fn verdict(&self) -> ExitCode {
        if self.count(Outcome::is_failed) == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    /// Each reason for a failure or a skipped part, once, after the names of its steps.
    fn reasons(&self) -> Vec<(String, &str)> {
        let mut reasons: Vec<(&str, Vec<&str>, &str)> = Vec::new();
        for Report { name, outcome, .. } in &self.0 {
            let (what, why) = match outcome {
                Outcome::Ok => continue,
                Outcome::Partial(why) => ("partly skipped", why),
                Outcome::FailedProgram { why, .. } => ("failed", why),
                Outcome::Skipped(why) => ("skipped", why),
            };
            match reasons.iter_mut().find(|(known, _, reason)| *known == what && reason == why) {
                Some((_, names, _)) => names.push(name),
                None => reasons.push((what, vec![name], why)),
            }
        }
        reasons.into_iter().map(|(what, names, why)| (format!("{what} {}", names.join(", ")), why)).collect()
    }

    fn count(&self, which: impl Fn(&Outcome) -> bool) -> usize {
        self.0.iter().filter(|report| which(&report.outcome)).count()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "── summary")?;
        let width = self.0.iter().map(|report| report.name.len()).max().unwrap_or(0);
        for Report { name, outcome, took } in &self.0 {
            writeln!(f, "{name:width$}  {:7}  {:6.1} s", outcome.label(), took.as_secs_f64())?;
        }
        for (which, why) in self.reasons() {
            writeln!(f, "{which}: {why}")?;
        }
        let passed = self.count(Outcome::is_ok);
        let failed = self.count(Outcome::is_failed);
        write!(f, "{passed} passed, {failed} failed")?;
        match self.0.len() - passed - failed {
            0 => Ok(()),
            skipped => write!(f, ", {skipped} skipped"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::process::ExitStatus;

    use anyhow::{Context as _, bail};

    use super::*;

    fn context(all: bool) -> Context {
        let workspace = Workspace { root: PathBuf::new(), target: PathBuf::new() };
        Context { workspace, all, test_filter: Vec::new() }
    }

    fn step(name: &'static str, run: fn(&Context) -> Result<StepResult>) -> Step {
        Step { name, run, ..Step::BLANK }
    }

    fn no_prerequisite(_: Prerequisite) -> Result<(), Missing> {
        Err(Missing { what: "no such thing".into(), how: "make one" })
    }

    fn last_line(reports: Vec<Report>) -> String {
        Summary(reports).to_string().lines().last().unwrap().to_owned()
    }

    fn outcomes(context: &Context, steps: &[&Step]) -> Vec<&'static str> {
        let reports = collect(context, steps, no_prerequisite);
        reports.iter().map(|report| report.outcome.label()).collect()
    }

    #[test]
    fn last_line_counts_passed_and_failed() {
        let (good, bad) = (step("good", |_| Ok(StepResult::Ok)), step("bad", |_| bail!("no")));
        let reports = collect(&context(false), &[&good, &good, &bad], no_prerequisite);
        assert_eq!(last_line(reports), "2 passed, 1 failed");
    }

    #[test]
    fn last_line_mentions_skipped_steps_only_if_there_are_any() {
        let (good, skipped_step) =
            (step("good", |_| Ok(StepResult::Ok)), step("skipped", |_| Ok(StepResult::Skipped("x".into()))));
        let reports = collect(&context(true), &[&good, &skipped_step], no_prerequisite);
        assert_eq!(last_line(reports), "1 passed, 0 failed, 1 skipped");
    }

    #[test]
    fn summary_has_a_line_per_step_and_the_reasons() {
        let bad = step("bad", |_| bail!("it broke"));
        let text = Summary(collect(&context(false), &[&bad], no_prerequisite)).to_string();
        assert!(text.lines().any(|line| line.starts_with("bad  failed ") && line.ends_with(" s")), "{text}");
        assert!(text.contains("failed bad: it broke"), "{text}");
    }

    #[test]
    fn output_of_a_failed_program_is_repeated_at_the_end() {
        let bad = step("bad", |_| {
            let last_lines = ["first line", "last line"].map(str::to_owned).into();
            let failed =
                process::FailedProgram { line: "program".into(), status: ExitStatus::default(), last_lines };
            Err(failed).context("no output")
        });
        let (good, silent) = (step("good", |_| Ok(StepResult::Ok)), step("silent", |_| bail!("no")));
        let reports = collect(&context(false), &[&bad, &good, &silent], no_prerequisite);
        assert_eq!(FailureOutput(&reports).to_string(), "\n── last lines of `bad`\nfirst line\nlast line\n");
    }

    #[test]
    fn missing_program_skips_a_step_and_fails_it_with_all() {
        let blocked = Step { needs: &[Prerequisite::Chromium], ..step("blocked", |_| Ok(StepResult::Ok)) };
        assert_eq!(outcomes(&context(false), &[&blocked]), ["skipped"]);
        assert_eq!(outcomes(&context(true), &[&blocked]), ["failed"]);
        let text = Summary(collect(&context(false), &[&blocked], no_prerequisite)).to_string();
        assert!(text.contains("no such thing") && text.contains("make one"), "{text}");
    }

    #[test]
    fn missing_optional_program_is_named_and_fails_with_all() {
        let partly = Step { wants: &[Prerequisite::SilentNetwork], ..step("partly", |_| Ok(StepResult::Ok)) };
        assert_eq!(outcomes(&context(false), &[&partly]), ["ok"]);
        assert_eq!(outcomes(&context(true), &[&partly]), ["failed"]);
        let text = Summary(collect(&context(false), &[&partly], no_prerequisite)).to_string();
        assert!(text.contains("partly skipped partly: no such thing"), "{text}");
    }

    #[test]
    fn failed_step_skips_only_steps_that_depend_on_it() {
        let bad = step("bad", |_| bail!("no"));
        let dependent = Step { after: Some("bad"), ..step("dependent", |_| Ok(StepResult::Ok)) };
        let independent = step("independent", |_| Ok(StepResult::Ok));
        assert_eq!(outcomes(&context(true), &[&bad, &dependent, &independent]), ["failed", "skipped", "ok"]);
    }

    #[test]
    fn one_failed_step_fails_the_command() {
        let (good, bad) = (step("good", |_| Ok(StepResult::Ok)), step("bad", |_| bail!("no")));
        assert_eq!(run(&context(false), [&good, &bad, &good]), ExitCode::FAILURE);
        assert_eq!(run(&context(false), [&good, &good]), ExitCode::SUCCESS);
    }

    #[test]
    fn shared_reason_is_printed_once() {
        let (one, two) = (step("one", |_| bail!("out of memory")), step("two", |_| bail!("out of memory")));
        let text = Summary(collect(&context(false), &[&one, &two], no_prerequisite)).to_string();
        assert!(text.contains("failed one, two: out of memory"), "{text}");
        assert_eq!(text.matches("out of memory").count(), 1, "{text}");
    }

    #[test]
    fn step_after_a_skipped_one_reports_its_own_reason() {
        let blocked = Step { needs: &[Prerequisite::Node], ..step("blocked", |_| Ok(StepResult::Ok)) };
        let dependent = Step {
            after: Some("blocked"),
            needs: &[Prerequisite::Chromium],
            ..step("dependent", |_| Ok(StepResult::Ok))
        };
        let text = Summary(collect(&context(false), &[&blocked, &dependent], no_prerequisite)).to_string();
        assert!(text.contains("skipped blocked, dependent: no such thing"), "{text}");
    }
}
