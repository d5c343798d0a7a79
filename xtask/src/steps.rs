//! A command as a table of steps, and the summary that tells how they went.
//!
//! A step that fails does not stop the others: who waits for CI wants to hear of all that is broken at once. Only
//! what builds on a failed step is left out.

use std::collections::VecDeque;
use std::fmt;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::prerequisites::{Missing, Prerequisite};
use crate::process;
use crate::workspace::Workspace;

/// One row of a command's table.
pub(crate) struct Step {
    /// What the summary calls it, and what one types to run it alone (`cargo xtask test e2e`).
    pub(crate) name: &'static str,
    /// The step without whose success this one makes no sense.
    pub(crate) after: Option<&'static str>,
    /// The programs without which it cannot run.
    pub(crate) needs: &'static [Prerequisite],
    /// The programs without which a part of it is left out.
    pub(crate) wants: &'static [Prerequisite],
    pub(crate) run: fn(&Context) -> Result<StepResult>,
}

impl Step {
    /// For `..Step::BLANK`: builds on nothing and needs nothing but a Rust toolchain.
    pub(crate) const BLANK: Self =
        Self { name: "", after: None, needs: &[], wants: &[], run: |_| Ok(StepResult::Ok) };
}

/// What a step may look at.
pub(crate) struct Context {
    pub(crate) workspace: Workspace,
    /// A missing program is a failure, not a step left out.
    pub(crate) all: bool,
    /// Names that the Rust tests are narrowed to; empty: all of them.
    pub(crate) test_filter: Vec<String>,
}

/// How a step that did not fail ended.
pub(crate) enum StepResult {
    Ok,
    /// It passed, and a part of it cannot be run here, which is no failure anywhere.
    Partial(String),
    /// It cannot be run here, and that is no failure even where everything must run: say, an answer from a
    /// network that this machine does not reach.
    Skipped(String),
}

#[derive(Debug, PartialEq)]
enum Outcome {
    Ok,
    /// It passed, and a part of it was left out.
    Partial(String),
    FailedProgram {
        why: String,
        /// The last of what the program said that failed.
        last_lines: VecDeque<String>,
    },
    Skipped(String),
}

struct Report {
    name: &'static str,
    outcome: Outcome,
    took: Duration,
}

/// Runs the steps in their order, prints the summary, and tells whether all is well. The summary's last line is
/// the last of all, so nothing is printed after it.
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
        let begun = Instant::now();
        let broken =
            reports.iter().find(|report| Some(report.name) == step.after && report.outcome.is_failed());
        let outcome = match broken {
            Some(report) => Outcome::Skipped(format!("builds on `{}`", report.name)),
            None => run_step(context, step, check),
        };
        if let Outcome::FailedProgram { why, .. } = &outcome {
            println!("failed: {why}");
        }
        reports.push(Report { name: step.name, outcome, took: begun.elapsed() });
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
        Ok(StepResult::Partial(why)) => {
            Outcome::Partial(wanted.map_or(why.clone(), |wanted| format!("{wanted}; {why}")))
        }
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

/// What failed says once more how, at the end: a log of CI is long, and often only its end is kept.
struct FailureOutput<'a>(&'a [Report]);

impl fmt::Display for FailureOutput<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Report { name, outcome, .. } in self.0 {
            if let Outcome::FailedProgram { last_lines, .. } = outcome
                && !last_lines.is_empty()
            {
                writeln!(f, "\n── the last of {name}")?;
                last_lines.iter().try_for_each(|line| writeln!(f, "{line}"))?;
            }
        }
        Ok(())
    }
}

/// A line a step, what was left out or failed and why, and the counts. The last line is read by programs:
/// `N passed, N failed`, and `, N skipped` where some were.
struct Summary(Vec<Report>);

impl Summary {
    fn verdict(&self) -> ExitCode {
        if self.count(Outcome::is_failed) == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    /// Each reason for which something failed or was left out, once, after the names of the steps.
    fn reasons(&self) -> Vec<(String, &str)> {
        let mut reasons: Vec<(&str, Vec<&str>, &str)> = Vec::new();
        for Report { name, outcome, .. } in &self.0 {
            let (what, why) = match outcome {
                Outcome::Ok => continue,
                Outcome::Partial(why) => ("left out a part of", why),
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

    fn nothing_is_here(_: Prerequisite) -> Result<(), Missing> {
        Err(Missing { what: "no such thing".into(), how: "make one" })
    }

    fn last_line(reports: Vec<Report>) -> String {
        Summary(reports).to_string().lines().last().unwrap().to_owned()
    }

    fn outcomes(context: &Context, steps: &[&Step]) -> Vec<&'static str> {
        let reports = collect(context, steps, nothing_is_here);
        reports.iter().map(|report| report.outcome.label()).collect()
    }

    #[test]
    fn last_line_counts_passed_and_failed() {
        let (good, bad) = (step("good", |_| Ok(StepResult::Ok)), step("bad", |_| bail!("no")));
        let reports = collect(&context(false), &[&good, &good, &bad], nothing_is_here);
        assert_eq!(last_line(reports), "2 passed, 1 failed");
    }

    #[test]
    fn last_line_mentions_skipped_only_where_there_are() {
        let (good, left_out) =
            (step("good", |_| Ok(StepResult::Ok)), step("left out", |_| Ok(StepResult::Skipped("x".into()))));
        let reports = collect(&context(true), &[&good, &left_out], nothing_is_here);
        assert_eq!(last_line(reports), "1 passed, 0 failed, 1 skipped");
    }

    #[test]
    fn summary_has_a_line_a_step_and_says_why() {
        let bad = step("bad", |_| bail!("it broke"));
        let text = Summary(collect(&context(false), &[&bad], nothing_is_here)).to_string();
        assert!(text.lines().any(|line| line.starts_with("bad  failed ") && line.ends_with(" s")), "{text}");
        assert!(text.contains("failed bad: it broke"), "{text}");
    }

    #[test]
    fn program_that_failed_has_the_last_word() {
        let bad = step("bad", |_| {
            let last_lines = ["it was hot", "too hot"].map(str::to_owned).into();
            let failed =
                process::FailedProgram { line: "brew".into(), status: ExitStatus::default(), last_lines };
            Err(failed).context("no tea")
        });
        let (good, silent) = (step("good", |_| Ok(StepResult::Ok)), step("silent", |_| bail!("no")));
        let reports = collect(&context(false), &[&bad, &good, &silent], nothing_is_here);
        assert_eq!(FailureOutput(&reports).to_string(), "\n── the last of bad\nit was hot\ntoo hot\n");
    }

    #[test]
    fn missing_program_skips_a_step_and_with_all_fails_it() {
        let needy = Step { needs: &[Prerequisite::Chromium], ..step("needy", |_| Ok(StepResult::Ok)) };
        assert_eq!(outcomes(&context(false), &[&needy]), ["skipped"]);
        assert_eq!(outcomes(&context(true), &[&needy]), ["failed"]);
        let text = Summary(collect(&context(false), &[&needy], nothing_is_here)).to_string();
        assert!(text.contains("no such thing") && text.contains("make one"), "{text}");
    }

    #[test]
    fn missing_part_is_named_and_with_all_fails_the_step() {
        let partly = Step { wants: &[Prerequisite::SilentNetwork], ..step("partly", |_| Ok(StepResult::Ok)) };
        assert_eq!(outcomes(&context(false), &[&partly]), ["ok"]);
        assert_eq!(outcomes(&context(true), &[&partly]), ["failed"]);
        let text = Summary(collect(&context(false), &[&partly], nothing_is_here)).to_string();
        assert!(text.contains("left out a part of partly: no such thing"), "{text}");
    }

    #[test]
    fn part_that_nobody_must_have_is_named_and_fails_nothing() {
        let partly = step("partly", |_| Ok(StepResult::Partial("no such thing".into())));
        assert_eq!(outcomes(&context(true), &[&partly]), ["ok"]);
        let text = Summary(collect(&context(true), &[&partly], nothing_is_here)).to_string();
        assert!(text.contains("left out a part of partly: no such thing"), "{text}");
    }

    #[test]
    fn failed_step_stops_only_what_builds_on_it() {
        let bad = step("bad", |_| bail!("no"));
        let heir = Step { after: Some("bad"), ..step("heir", |_| Ok(StepResult::Ok)) };
        let stranger = step("stranger", |_| Ok(StepResult::Ok));
        assert_eq!(outcomes(&context(true), &[&bad, &heir, &stranger]), ["failed", "skipped", "ok"]);
    }

    #[test]
    fn one_failure_among_many_steps_fails_the_command() {
        let (good, bad) = (step("good", |_| Ok(StepResult::Ok)), step("bad", |_| bail!("no")));
        assert_eq!(run(&context(false), [&good, &bad, &good]), ExitCode::FAILURE);
        assert_eq!(run(&context(false), [&good, &good]), ExitCode::SUCCESS);
    }

    #[test]
    fn reason_that_several_steps_share_is_given_once() {
        let (one, two) = (step("one", |_| bail!("no tea")), step("two", |_| bail!("no tea")));
        let text = Summary(collect(&context(false), &[&one, &two], nothing_is_here)).to_string();
        assert!(text.contains("failed one, two: no tea"), "{text}");
        assert_eq!(text.matches("no tea").count(), 1, "{text}");
    }

    #[test]
    fn step_after_one_that_was_left_out_tells_its_own_lack() {
        let needy = Step { needs: &[Prerequisite::Node], ..step("needy", |_| Ok(StepResult::Ok)) };
        let heir = Step {
            after: Some("needy"),
            needs: &[Prerequisite::Chromium],
            ..step("heir", |_| Ok(StepResult::Ok))
        };
        let text = Summary(collect(&context(false), &[&needy, &heir], nothing_is_here)).to_string();
        assert!(text.contains("skipped needy, heir: no such thing"), "{text}");
    }
}
