//! Figures, and under what they were counted.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use anyhow::{Result, bail};
use serde::Deserialize;

/// In per cent. Below it lies what code that moved, and not what it does, may cost.
const TOLERANCE: f64 = 5.0;

/// What is in the file.
#[derive(Debug, PartialEq, Deserialize)]
pub(crate) struct Table {
    #[serde(rename = "recorded-under")]
    pub(crate) conditions: Conditions,
    /// For each operation those of doing it once.
    pub(crate) instructions: BTreeMap<String, u64>,
}

/// What the figures depend on beside our code.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct Conditions {
    pub(crate) target: String,
    pub(crate) rustc: String,
    pub(crate) libc: String,
    pub(crate) valgrind: String,
}

impl FromStr for Table {
    type Err = toml::de::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        toml::from_str(text)
    }
}

/// As it stands in the file.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Conditions { target, rustc, libc, valgrind } = &self.conditions;
        writeln!(
            f,
            "# Instructions of each operation in crates/server/src/bin/counts.rs, done once, as callgrind counts them."
        )?;
        writeln!(f, "# `cargo xtask counts --record` writes this file; nothing in it is written by hand.")?;
        writeln!(f, "\n[recorded-under]")?;
        for (key, value) in [("target", target), ("rustc", rustc), ("libc", libc), ("valgrind", valgrind)] {
            writeln!(f, "{key} = {value:?}")?;
        }
        writeln!(f, "\n[instructions]")?;
        self.instructions.iter().try_for_each(|(name, count)| writeln!(f, "{name} = {count}"))
    }
}

impl Conditions {
    /// Another processor has other instructions: there is nothing to compare.
    pub(crate) fn check_target(&self, now: &Self) -> Result<()> {
        if self.target != now.target {
            bail!("the instructions were recorded for {}, and this is {}", self.target, now.target);
        }
        Ok(())
    }

    /// What is not as it was recorded. A newer compiler may well be all that has changed, but who says so must have looked:
    /// it is compared all the same, so that the gate does not end quietly with the next release of Rust.
    pub(crate) fn differing_from(&self, now: &Self) -> Vec<String> {
        let both = [
            ("rustc", &self.rustc, &now.rustc),
            ("libc", &self.libc, &now.libc),
            ("valgrind", &self.valgrind, &now.valgrind),
        ];
        let differing = both.into_iter().filter(|(_, was, is)| was != is);
        differing.map(|(what, was, is)| format!("{what} {was}, and this is {is}")).collect()
    }
}

impl Table {
    /// Holds what is counted now against this record.
    pub(crate) fn compare(&self, now: &Self) -> Comparison {
        let mut rows: BTreeMap<String, (Option<u64>, Option<u64>)> = BTreeMap::new();
        for (name, count) in &self.instructions {
            rows.entry(name.clone()).or_default().0 = Some(*count);
        }
        for (name, count) in &now.instructions {
            rows.entry(name.clone()).or_default().1 = Some(*count);
        }
        Comparison(rows.into_iter().map(|(name, (was, is))| Row { name, was, is }).collect())
    }
}

/// A line for each operation.
pub(crate) struct Comparison(Vec<Row>);

struct Row {
    name: String,
    was: Option<u64>,
    is: Option<u64>,
}

impl Row {
    /// In per cent, if there is something to compare.
    fn change(&self) -> Option<f64> {
        let (was, is) = (self.was? as f64, self.is? as f64);
        Some((is - was) / was * 100.0)
    }

    fn is_more(&self) -> bool {
        self.change().is_some_and(|change| change > TOLERANCE)
    }

    fn is_less(&self) -> bool {
        self.change().is_some_and(|change| change < -TOLERANCE)
    }
}

impl Comparison {
    /// What the gate does not let pass, if there is anything: a figure that grew, and one of which nobody knows whether.
    pub(crate) fn worse(&self) -> Option<String> {
        let names = |which: fn(&Row) -> bool| {
            let names = self.0.iter().filter(|row| which(row)).map(|row| row.name.as_str());
            names.collect::<Vec<_>>().join(", ")
        };
        let complaints = [
            (format!("more than {TOLERANCE} % above the record"), names(Row::is_more)),
            ("not in the record".to_owned(), names(|row| row.was.is_none())),
            ("in the record, and not counted any more".to_owned(), names(|row| row.is.is_none())),
        ];
        let complaints = complaints.into_iter().filter(|(_, names)| !names.is_empty());
        complaints.map(|(what, names)| format!("{what}: {names}")).reduce(|all, one| format!("{all}\n{one}"))
    }

    /// Whether the record can be bettered.
    pub(crate) fn is_less(&self) -> bool {
        self.0.iter().any(Row::is_less)
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.0.iter().map(|row| row.name.len()).max().unwrap_or(0);
        write!(f, "{:width$}  {:>9}  {:>9}", "instructions of", "recorded", "now")?;
        let figure = |count: Option<u64>| count.map_or_else(|| "–".to_owned(), |count| count.to_string());
        for row in &self.0 {
            write!(f, "\n{:width$}  {:>9}  {:>9}", row.name, figure(row.was), figure(row.is))?;
            if let Some(change) = row.change() {
                write!(f, "  {change:>+6.1} %")?;
            }
            let mark = if row.is_more() { "  more" } else { "" };
            write!(f, "{}", if row.is_less() { "  less" } else { mark })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(instructions: &[(&str, u64)]) -> Table {
        let conditions = Conditions {
            target: "x86_64-unknown-linux-gnu".into(),
            rustc: "1.95.0".into(),
            libc: "glibc 2.36".into(),
            valgrind: "3.19.0".into(),
        };
        let instructions = instructions.iter().map(|&(name, count)| (name.to_owned(), count));
        Table { conditions, instructions: instructions.collect() }
    }

    #[test]
    fn what_is_written_is_read() {
        let table = table(&[("decode-128", 554), ("log-append", 219)]);
        assert_eq!(table.to_string().parse::<Table>().unwrap(), table);
    }

    #[test]
    fn five_per_cent_are_let_pass_and_more_is_not() {
        let recorded = table(&[("a", 1000), ("b", 1000)]);
        assert_eq!(recorded.compare(&table(&[("a", 1050), ("b", 950)])).worse(), None);
        let worse = recorded.compare(&table(&[("a", 1051), ("b", 1000)]));
        assert_eq!(worse.worse().unwrap(), "more than 5 % above the record: a");
        assert!(worse.to_string().contains("+5.1 %  more"), "{worse}");
    }

    #[test]
    fn fewer_pass_and_are_mentioned() {
        let recorded = table(&[("a", 1000)]);
        assert!(!recorded.compare(&table(&[("a", 950)])).is_less());
        let better = recorded.compare(&table(&[("a", 949)]));
        assert!(better.is_less() && better.worse().is_none());
        assert!(better.to_string().contains("-5.1 %  less"), "{better}");
    }

    #[test]
    fn operation_that_came_or_went_is_not_let_pass() {
        let comparison = table(&[("gone", 1), ("stays", 1)]).compare(&table(&[("new", 1), ("stays", 1)]));
        let worse = comparison.worse().unwrap();
        assert_eq!(worse, "not in the record: new\nin the record, and not counted any more: gone");
    }

    #[test]
    fn other_compiler_is_named_and_other_processor_is_not_compared() {
        let recorded = table(&[]).conditions;
        let newer = Conditions { rustc: "1.96.0".into(), ..recorded.clone() };
        assert_eq!(recorded.differing_from(&newer), ["rustc 1.95.0, and this is 1.96.0"]);
        assert!(recorded.differing_from(&recorded).is_empty());
        assert!(recorded.check_target(&newer).is_ok());
        let other = Conditions { target: "aarch64-unknown-linux-gnu".into(), ..recorded.clone() };
        assert!(recorded.check_target(&other).unwrap_err().to_string().contains("aarch64"));
    }
}
