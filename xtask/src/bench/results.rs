//! All measurements: stored unchanged, and evaluated as spreads over the rounds.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::figures::{self, Figure, Figures, number};
use super::peers::Peer;

#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Results {
    /// Time, machine and commit.
    pub(crate) conditions: String,
    pub(crate) skipped: Vec<String>,
    runs: Vec<Run>,
}

/// One run, with its figures or the reason why it is void.
#[derive(Serialize, Deserialize)]
struct Run {
    round: u32,
    scenario: String,
    peer: Peer,
    /// Stored unchanged, so that later tables can use fields that the current ones do not.
    #[serde(skip_serializing_if = "Option::is_none")]
    raw: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    void: Option<String>,
    #[serde(skip)]
    figures: Option<Figures>,
}

/// A figure of a server in a scenario.
#[derive(Clone, Copy)]
pub(crate) struct Measure {
    pub(crate) scenario: &'static str,
    pub(crate) peer: Peer,
    pub(crate) figure: Figure,
}

impl Results {
    pub(crate) fn skip(&mut self, what: String) {
        println!("skipped: {what}");
        self.skipped.push(what);
    }

    /// Adds a run. Returns a line of progress output.
    pub(crate) fn add(&mut self, round: u32, scenario: &str, peer: Peer, outcome: Result<Value>) -> String {
        let mut run =
            Run { round, scenario: scenario.to_owned(), peer, raw: None, void: None, figures: None };
        match outcome {
            Ok(raw) => run.raw = Some(raw),
            Err(why) => run.void = Some(format!("{why:#}")),
        }
        run.read();
        let summary = match (&run.figures, &run.void) {
            (Some(figures), _) => figures.to_string(),
            (None, why) => format!("void: {}", why.as_deref().unwrap_or_default()),
        };
        self.runs.push(run);
        summary
    }

    pub(crate) fn write(&self, file: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
    }

    pub(crate) fn read(file: &Path) -> Result<Self> {
        let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let mut results: Results =
            serde_json::from_str(&text).with_context(|| format!("{} contains no results", file.display()))?;
        results.runs.iter_mut().for_each(Run::read);
        Ok(results)
    }

    fn of(&self, scenario: &str, peer: Peer) -> impl Iterator<Item = &Run> {
        self.runs.iter().filter(move |run| run.scenario == scenario && run.peer == peer)
    }

    /// Whether the scenario ran on this peer, including void runs.
    pub(crate) fn has(&self, scenario: &str, peer: Peer) -> bool {
        self.of(scenario, peer).next().is_some()
    }

    /// A figure in a table; `void` if its runs are void.
    pub(crate) fn cell(&self, of: Measure, digits: usize) -> String {
        let is_void = || self.of(of.scenario, of.peer).any(|run| run.void.is_some());
        match self.spread(of) {
            Some(spread) => spread.show(digits),
            None if is_void() => "void".to_owned(),
            None => "–".to_owned(),
        }
    }

    /// One figure over the rounds; `None` if no round has it.
    pub(crate) fn spread(&self, of: Measure) -> Option<Spread> {
        let figures = self.of(of.scenario, of.peer).filter_map(|run| run.figures.as_ref());
        Spread::of(figures.filter_map(of.figure).collect())
    }

    /// A function of two figures of the same turn of a round, over all turns that have both.
    pub(crate) fn within_rounds(&self, a: Measure, b: Measure, f: fn(f64, f64) -> f64) -> Option<Spread> {
        let (a, b) = (self.by_turn(a), self.by_turn(b));
        Spread::of(a.iter().filter_map(|(turn, a)| Some(f(*a, *b.get(turn)?))).collect())
    }

    /// The figures by round and by position within the round; void runs count for the position.
    fn by_turn(&self, of: Measure) -> BTreeMap<(u32, u32), f64> {
        let mut turns = BTreeMap::<u32, u32>::new();
        let mut figures = BTreeMap::new();
        for run in self.of(of.scenario, of.peer) {
            let turn = turns.entry(run.round).and_modify(|turn| *turn += 1).or_default();
            if let Some(figure) = run.figures.as_ref().and_then(of.figure) {
                figures.insert((run.round, *turn), figure);
            }
        }
        figures
    }

    /// KiB per additional idle connection. The slope excludes what the server needs without connections.
    pub(crate) fn slope(&self, peer: Peer) -> Option<Spread> {
        let at = |scenario| Measure { scenario, peer, figure: figures::memory };
        self.within_rounds(at("d15000"), at("d5000"), |most, least| (most - least) * 1024.0 / 10_000.0)
    }

    /// Messages per commit of this server in this round's durable sends.
    pub(crate) fn batch_of_round(&self, round: u32, peer: Peer) -> Option<f64> {
        let of = Measure { scenario: "g100", peer, figure: figures::batch };
        self.by_turn(of).remove(&(round, 0))
    }

    /// The generator's warnings in a scenario, with the number of rounds of each.
    pub(crate) fn warnings(&self, scenario: &str, peer: Peer) -> Vec<(String, usize)> {
        let mut found: Vec<(String, usize)> = Vec::new();
        let figures = self.of(scenario, peer).filter_map(|run| run.figures.as_ref());
        for warning in figures.flat_map(Figures::warnings) {
            match found.iter_mut().find(|(known, _)| known == warning) {
                Some((_, times)) => *times += 1,
                None => found.push((warning.to_owned(), 1)),
            }
        }
        found
    }

    /// The void runs with their reasons.
    pub(crate) fn void(&self) -> impl Iterator<Item = (u32, &str, Peer, &str)> {
        let void = |run: &'_ Run| run.void.is_some();
        self.runs
            .iter()
            .filter(move |run| void(run))
            .map(|run| (run.round, run.scenario.as_str(), run.peer, run.void.as_deref().unwrap_or_default()))
    }
}

impl Run {
    /// Parses the figures; unreadable ones make the run void.
    fn read(&mut self) {
        match self.raw.as_ref().map(Figures::deserialize) {
            Some(Ok(figures)) => self.figures = Some(figures),
            Some(Err(error)) => self.void = Some(format!("its figures cannot be read: {error}")),
            None => {}
        }
    }
}

/// The median, minimum and maximum of the rounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Spread {
    pub(crate) fn of(mut values: Vec<f64>) -> Option<Self> {
        values.retain(|value| value.is_finite());
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let (low, high) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
        Some(Spread { median: f64::midpoint(low, high), least, most })
    }

    /// One number if the rounds do not differ in the displayed digits, otherwise the median and the range.
    pub(crate) fn show(self, digits: usize) -> String {
        let [median, least, most] = [self.median, self.least, self.most].map(|value| number(value, digits));
        if least == most { median } else { format!("{median} ({least} to {most})") }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;

    /// A run of the generator with these figures.
    pub(crate) fn load(rate: f64, cpu: f64, memory_mib: f64) -> Value {
        json!({ "load": {
            "gaps": 0,
            "deliveries_per_second": rate,
            "joining": { "per_second": rate },
            "server": { "cpu_us_per_delivery": cpu, "memory_after": memory_mib * 1024.0 * 1024.0 },
        } })
    }

    #[test]
    fn median_is_between_minimum_and_maximum() {
        assert_eq!(Spread::of(vec![3.0, 1.0, 9.0]), Some(Spread { median: 3.0, least: 1.0, most: 9.0 }));
        assert_eq!(Spread::of(vec![4.0, 2.0]).unwrap().median, 3.0);
        assert_eq!(Spread::of(vec![]), None);
        assert_eq!(Spread::of(vec![f64::NAN, f64::INFINITY]), None);
        assert_eq!((number(1_234_567.89, 1).as_str(), number(-100.0, 0).as_str()), ("1,234,567.9", "-100"));
    }

    #[test]
    fn ratio_is_taken_within_a_turn_even_after_a_void_one() {
        let mut results = Results::default();
        for (turn, pace) in [(1, 1000.0), (2, 100.0), (3, 1000.0)] {
            let ours =
                if turn == 1 { Err(anyhow::anyhow!("1 lost")) } else { Ok(load(pace * 4.0, 0.1, 0.0)) };
            results.add(1, "c", Peer::Teahouse, ours);
            results.add(1, "c", Peer::BaselineSend, Ok(load(pace, 1.0, 0.0)));
        }
        let rate = |peer| Measure { scenario: "c", peer, figure: figures::rate };
        let ratio =
            results.within_rounds(rate(Peer::Teahouse), rate(Peer::BaselineSend), |a, b| a / b).unwrap();
        assert_eq!((ratio.least, ratio.most), (4.0, 4.0));
    }

    #[test]
    fn ratio_is_taken_within_a_round() {
        // The machine is ten times slower in the second round; the ratios show that nothing else has changed.
        let mut results = Results::default();
        for (round, pace) in [(1, 1000.0), (2, 100.0), (3, 1000.0)] {
            results.add(round, "b128", Peer::Teahouse, Ok(load(pace * 4.0, 0.1, 0.0)));
            let theirs = if round == 3 { Err(anyhow::anyhow!("1 lost")) } else { Ok(load(pace, 1.0, 0.0)) };
            results.add(round, "b128", Peer::GoHub, theirs);
        }
        let rate = |peer| Measure { scenario: "b128", peer, figure: figures::rate };
        let ratio = results.within_rounds(rate(Peer::Teahouse), rate(Peer::GoHub), |a, b| a / b).unwrap();
        assert_eq!(ratio, Spread { median: 4.0, least: 4.0, most: 4.0 });
        assert_eq!(results.spread(rate(Peer::Teahouse)).unwrap().least, 400.0);
        assert_eq!(results.void().next(), Some((3, "b128", Peer::GoHub, "1 lost")));
    }

    #[test]
    fn memory_of_a_connection_is_a_slope() {
        let mut results = Results::default();
        results.add(1, "d5000", Peer::Teahouse, Ok(load(0.0, 0.0, 20.0)));
        assert_eq!(results.slope(Peer::Teahouse), None);
        results.add(1, "d15000", Peer::Teahouse, Ok(load(0.0, 0.0, 40.0)));
        assert_eq!(results.slope(Peer::Teahouse).unwrap().median, 2.048);
    }

    #[test]
    fn results_are_read_back_from_disk_unchanged() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("results.json");
        let mut results = Results { conditions: "Once.".to_owned(), ..Results::default() };
        results.skipped.push("Node hub: not installed".to_owned());
        results.add(1, "a", Peer::Nats, Ok(load(50_000.0, 15.8, 1.0)));
        results.add(1, "a", Peer::GoHub, Err(anyhow::anyhow!("2 doubled")));
        results.write(&file).unwrap();
        let back = Results::read(&file).unwrap();
        assert_eq!((back.conditions.as_str(), &back.skipped), ("Once.", &results.skipped));
        let cpu = Measure { scenario: "a", peer: Peer::Nats, figure: figures::cpu };
        assert_eq!(back.spread(cpu), Some(Spread { median: 15.8, least: 15.8, most: 15.8 }));
        assert_eq!(back.void().count(), 1);
    }
}
