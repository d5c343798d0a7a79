//! Parses Autobahn's results from `index.json`.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// The results of one server, ordered by case.
pub(super) struct Report {
    cases: Vec<(String, Verdict)>,
}

/// The result of a case, and of the close of its connection.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Verdict {
    behavior: String,
    behavior_close: String,
}

/// Closes that are reported but do not violate the protocol.
const UNUSUAL_CLOSES: &[&str] = &["WRONG CODE", "UNCLEAN", "FAILED BY CLIENT"];

impl Verdict {
    fn is_failed(&self) -> bool {
        self.behavior == "FAILED" || self.behavior_close == "FAILED"
    }

    fn is_unusual(&self) -> bool {
        UNUSUAL_CLOSES.contains(&self.behavior_close.as_str())
    }
}

impl Report {
    pub(super) fn parse(text: &str, agent: &str) -> Result<Self> {
        let mut agents: BTreeMap<String, BTreeMap<String, Verdict>> =
            serde_json::from_str(text).context("cannot parse Autobahn's report")?;
        let mut cases: Vec<_> = agents
            .remove(agent)
            .context("Autobahn's report does not contain our server")?
            .into_iter()
            .collect();
        cases.sort_by_key(|(case, _)| number(case));
        Ok(Self { cases })
    }

    /// Fails if a case failed, or if not all cases were run.
    pub(super) fn check(&self, expected: Option<usize>) -> Result<()> {
        let ran = self.cases.len();
        if let Some(expected) = expected
            && ran != expected
        {
            bail!("{ran} cases ran, not {expected}");
        }
        if ran == 0 {
            bail!("no case ran");
        }
        let failed = self.cases.iter().filter(|(_, verdict)| verdict.is_failed()).count();
        if failed > 0 {
            bail!("{failed} of {ran} cases failed");
        }
        Ok(())
    }

    fn counts(&self, of: impl Fn(&Verdict) -> &str) -> String {
        let mut counts = BTreeMap::new();
        for (_, verdict) in &self.cases {
            *counts.entry(of(verdict)).or_insert(0) += 1;
        }
        let counts: Vec<_> = counts.iter().map(|(what, count)| format!("{count} {what}")).collect();
        counts.join(", ")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (case, verdict) in self.cases.iter().filter(|(_, it)| it.is_failed() || it.is_unusual()) {
            writeln!(f, "case {case}: {}, close: {}", verdict.behavior, verdict.behavior_close)?;
        }
        writeln!(f, "{} cases: {}", self.cases.len(), self.counts(|it| &it.behavior))?;
        write!(f, "closes: {}", self.counts(|it| &it.behavior_close))
    }
}

/// The parts of `7.9.13` as numbers, so that it sorts after `7.9.2`.
fn number(case: &str) -> Vec<u32> {
    case.split('.').map_while(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(cases: &[(&str, &str, &str)]) -> Report {
        let cases: BTreeMap<_, _> = cases
            .iter()
            .map(|(case, behavior, close)| {
                (*case, serde_json::json!({"behavior": behavior, "behaviorClose": close, "duration": 1}))
            })
            .collect();
        Report::parse(&serde_json::json!({"teahouse": cases}).to_string(), "teahouse").unwrap()
    }

    #[test]
    fn report_without_failures_passes() {
        let good =
            report(&[("1.1.1", "OK", "OK"), ("6.4.1", "NON-STRICT", "OK"), ("7.1.6", "INFORMATIONAL", "OK")]);
        assert!(good.check(Some(3)).is_ok());
    }

    #[test]
    fn failed_case_fails_and_is_named() {
        for bad in [report(&[("1.1.1", "FAILED", "OK")]), report(&[("1.1.1", "OK", "FAILED")])] {
            assert!(bad.check(None).is_err());
            assert!(bad.to_string().contains("case 1.1.1: "), "{bad}");
        }
    }

    #[test]
    fn unusual_close_is_named_and_passes() {
        let unusual =
            report(&[("7.3.5", "OK", "WRONG CODE"), ("7.3.6", "OK", "UNCLEAN"), ("7.3.7", "OK", "OK")]);
        assert!(unusual.check(None).is_ok());
        let text = unusual.to_string();
        assert!(text.contains("case 7.3.5: ") && text.contains("case 7.3.6: "), "{text}");
        assert!(!text.contains("case 7.3.7"), "{text}");
    }

    #[test]
    fn incomplete_suite_fails() {
        assert!(report(&[("1.1.1", "OK", "OK")]).check(Some(247)).is_err());
        assert!(report(&[]).check(None).is_err());
        assert!(Report::parse(r#"{"another": {}}"#, "teahouse").is_err());
    }

    #[test]
    fn cases_are_ordered_by_number() {
        let text =
            report(&[("10.1.1", "FAILED", "OK"), ("7.9.13", "FAILED", "OK"), ("7.9.2", "FAILED", "OK")])
                .to_string();
        let places = ["7.9.2:", "7.9.13:", "10.1.1:"].map(|case| text.find(case).unwrap());
        assert!(places.is_sorted(), "{text}");
    }
}
