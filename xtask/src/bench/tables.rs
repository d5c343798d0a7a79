//! The figures as Markdown: medians, the spread of the rounds behind them, and the bar they are held against.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::peers::Peer;
use super::scenarios::Figures;
use crate::process;

/// What was measured, by scenario and peer.
#[derive(Default)]
pub(crate) struct Results {
    runs: BTreeMap<(&'static str, Peer), Vec<Figures>>,
    void: BTreeMap<(&'static str, Peer), String>,
    pub(crate) skipped: Vec<String>,
}

impl Results {
    pub(crate) fn add(&mut self, scenario: &'static str, peer: Peer, outcome: Result<Figures>) {
        match outcome {
            Ok(figures) => self.runs.entry((scenario, peer)).or_default().push(figures),
            Err(error) => {
                self.void.insert((scenario, peer), format!("{error:#}"));
            }
        }
    }

    /// One figure over the rounds; `None` if no round has it.
    fn spread(&self, scenario: &str, peer: Peer, figure: fn(&Figures) -> Option<f64>) -> Option<Spread> {
        let runs = self.runs.iter().find(|((key, who), _)| *key == scenario && *who == peer)?.1;
        Spread::of(runs.iter().filter_map(figure).collect())
    }

    fn median(&self, scenario: &str, peer: Peer, figure: fn(&Figures) -> Option<f64>) -> Option<f64> {
        Some(self.spread(scenario, peer, figure)?.median)
    }

    fn cell(&self, scenario: &str, peer: Peer, figure: fn(&Figures) -> Option<f64>, digits: usize) -> String {
        let is_void = self.void.keys().any(|(key, who)| *key == scenario && *who == peer);
        match self.spread(scenario, peer, figure) {
            Some(spread) => spread.show(digits),
            None if is_void => "void".to_owned(),
            None => "–".to_owned(),
        }
    }

    /// Bytes for one more idle connection that has joined: the slope, so that what a server needs at all does not count.
    fn slope(&self, peer: Peer) -> Option<f64> {
        Some((self.median("d10000", peer, memory)? - self.median("d5000", peer, memory)?) / 5000.0)
    }
}

/// The middle of the rounds, the least and the greatest.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Spread {
    median: f64,
    least: f64,
    most: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let (least, most) = (*values.first()?, *values.last()?);
        let (low, high) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
        Some(Spread { median: f64::midpoint(low, high), least, most })
    }

    fn show(self, digits: usize) -> String {
        let [median, least, most] = [self.median, self.least, self.most].map(|value| number(value, digits));
        format!("{median} ({least} to {most})")
    }
}

/// With commas between thousands.
fn number(value: f64, digits: usize) -> String {
    let text = format!("{value:.digits$}");
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut grouped = String::new();
    for (at, digit) in whole.char_indices() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped + rest
}

/// When, on what and with what it was measured.
pub(crate) struct Conditions {
    text: String,
}

impl Conditions {
    pub(crate) fn now(root: &Path, rounds: u32, seconds: f64, settle: f64) -> Result<Self> {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let field = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
            line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
        };
        let (cpu, memory) = (read("/proc/cpuinfo"), read("/proc/meminfo"));
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let kib: u64 = field(&memory, "MemTotal").trim_end_matches(" kB").parse().unwrap_or(0);
        let load = read("/proc/loadavg");
        let load = load.split(' ').next().unwrap_or_default();
        let day = process::output(Command::new("date").args(["-u", "+%Y-%m-%d %H:%M UTC"]))?;
        let text = format!(
            "Measured {} at commit {}, on {cores} cores ({}), {} GiB, Linux {}. {rounds} rounds of {seconds} s; idle \
             connections were looked at {settle} s after the last had joined. Load average of the machine's last minute \
             when it began: {load}.",
            day.trim(),
            super::commit(root)?,
            field(&cpu, "model name"),
            (kib + (1 << 19)) >> 20,
            read("/proc/sys/kernel/osrelease").trim(),
        );
        Ok(Self { text })
    }
}

fn rate(figures: &Figures) -> Option<f64> {
    Some(figures.deliveries_per_second)
}

fn cpu(figures: &Figures) -> Option<f64> {
    figures.server?.cpu_us_per_delivery
}

fn p50(figures: &Figures) -> Option<f64> {
    Some(figures.latency_ms.p50)
}

fn p99(figures: &Figures) -> Option<f64> {
    Some(figures.latency_ms.p99)
}

fn answer(figures: &Figures) -> Option<f64> {
    Some(figures.acknowledge_ms.p50)
}

fn memory(figures: &Figures) -> Option<f64> {
    Some(figures.server?.memory_joined as f64)
}

fn joins(figures: &Figures) -> Option<f64> {
    (figures.connect_seconds > 0.0).then(|| f64::from(figures.connections) / figures.connect_seconds)
}

fn generator(figures: &Figures) -> Option<f64> {
    Some(figures.generator_cpu_cores * 100.0)
}

/// A column: what stands above it, scenario, figure, digits.
type Column = (&'static str, &'static str, fn(&Figures) -> Option<f64>, usize);

const TABLES: &[(&str, &[Column])] = &[
    (
        "(a) One room of 1,000, 50 messages a second",
        &[
            ("server CPU a delivery, µs", "a", cpu, 2),
            ("sent to received, p50 ms", "a", p50, 1),
            ("p99 ms", "a", p99, 1),
            ("generator, % of its core", "a", generator, 0),
        ],
    ),
    (
        "(b) One room of 1,000, 16 messages in flight",
        &[
            ("deliveries a second", "b16", rate, 0),
            ("server CPU a delivery, µs", "b16", cpu, 2),
            ("p99 ms", "b16", p99, 1),
            ("generator, % of its core", "b16", generator, 0),
        ],
    ),
    (
        "(b) One room of 1,000, 128 messages in flight",
        &[
            ("deliveries a second", "b128", rate, 0),
            ("server CPU a delivery, µs", "b128", cpu, 2),
            ("p99 ms", "b128", p99, 1),
            ("generator, % of its core", "b128", generator, 0),
        ],
    ),
    (
        "(e) Connecting and joining 10,000, a second",
        &[("all into one room", "d10000", joins, 0), ("into 100 rooms of 100", "e100", joins, 0)],
    ),
    (
        "(g) Durable sends",
        &[
            ("one sender alone: acknowledged a second", "g1", rate, 0),
            ("sent to acknowledged, p50 ms", "g1", answer, 2),
            ("100 senders in rooms of one: acknowledged a second", "g100", rate, 0),
        ],
    ),
];

pub(crate) fn render(results: &Results, conditions: &Conditions) -> String {
    let mut text = format!("\n{}\n", conditions.text);
    for (title, columns) in TABLES {
        let has_any = |peer: &Peer| {
            let has = |key: &str| {
                results.runs.keys().chain(results.void.keys()).any(|(run, who)| *run == key && who == peer)
            };
            columns.iter().any(|column| has(column.1))
        };
        let heads: Vec<_> = columns.iter().map(|column| column.0).collect();
        let peers: Vec<_> = Peer::ALL.into_iter().filter(has_any).collect();
        if peers.is_empty() {
            continue;
        }
        table(&mut text, title, &heads, peers.into_iter(), |peer| {
            columns.iter().map(|&(_, key, figure, digits)| results.cell(key, peer, figure, digits)).collect()
        });
    }
    let peers: Vec<_> = Peer::ALL.into_iter().filter(|peer| results.slope(*peer).is_some()).collect();
    if !peers.is_empty() {
        let heads = ["KiB for each connection", "MiB at 10,000"];
        table(
            &mut text,
            "(d) Memory of idle connections that have joined",
            &heads,
            peers.into_iter(),
            |peer| {
                let at_10000 = results.median("d10000", peer, memory).unwrap_or_default();
                let slope = results.slope(peer).unwrap_or_default();
                vec![number(slope / 1024.0, 2), number(at_10000 / 1024.0 / 1024.0, 0)]
            },
        );
    }
    bar(&mut text, results);
    for ((scenario, peer), why) in &results.void {
        let short: String = why.chars().take(400).collect();
        // Writing to a String cannot fail, here and below.
        let _ = writeln!(text, "\nVoid: ({scenario}) {}: {short}", peer.name());
    }
    for skipped in &results.skipped {
        let _ = writeln!(text, "\nSkipped: {skipped}");
    }
    text
}

fn table(
    text: &mut String,
    title: &str,
    heads: &[&str],
    peers: impl Iterator<Item = Peer>,
    cells: impl Fn(Peer) -> Vec<String>,
) {
    let _ = writeln!(text, "\n### {title}\n\n| server | stores first | {} |", heads.join(" | "));
    let _ = writeln!(text, "|---|---|{}", "---|".repeat(heads.len()));
    for peer in peers {
        let _ = writeln!(text, "| {} | {} | {} |", peer.name(), peer.stores(), cells(peer).join(" | "));
    }
}

/// A bound that the medians must keep.
#[derive(Clone, Copy)]
enum Bound {
    AtMost(f64, f64),
    AtLeast(f64, f64),
}

impl Bound {
    fn verdict(self, value: f64) -> &'static str {
        let (must, aim) = match self {
            Bound::AtMost(must, aim) => (value <= must, value <= aim),
            Bound::AtLeast(must, aim) => (value >= must, value >= aim),
        };
        match (must, aim) {
            (_, true) => "aim reached",
            (true, false) => "kept",
            (false, false) => "**missed**",
        }
    }
}

fn bar(text: &mut String, results: &Results) {
    let ours = |key, figure| results.median(key, Peer::Teahouse, figure);
    let to = |key, figure, other| Some(ours(key, figure)? / results.median(key, other, figure)?);
    let rows = [
        (
            "(a) server CPU a delivery, to the floor's plain sends",
            to("a", cpu, Peer::FloorSend),
            Bound::AtMost(1.25, 1.0),
        ),
        ("(a) p99, to the floor's", to("a", p99, Peer::FloorSend), Bound::AtMost(1.5, 1.1)),
        (
            "(b) deliveries a second at 128 in flight, to the Go hub",
            to("b128", rate, Peer::GoHub),
            Bound::AtLeast(3.0, 6.0),
        ),
        ("(b) server CPU a delivery at 128 in flight, µs", ours("b128", cpu), Bound::AtMost(0.5, 0.2)),
        (
            "(d) memory for each idle connection, KiB",
            results.slope(Peer::Teahouse).map(|it| it / 1024.0),
            Bound::AtMost(2.0, 1.25),
        ),
        (
            "(e) connections and joins a second, into one room",
            ours("d10000", joins),
            Bound::AtLeast(4000.0, 8000.0),
        ),
        ("(e) the same, into 100 rooms", ours("e100", joins), Bound::AtLeast(4000.0, 8000.0)),
    ];
    let _ = writeln!(text, "\n### Against the bar\n\n| | must | aim | measured | |\n|---|---|---|---|---|");
    for (what, value, bound) in rows {
        let (sign, must, aim) = match bound {
            Bound::AtMost(must, aim) => ('≤', must, aim),
            Bound::AtLeast(must, aim) => ('≥', must, aim),
        };
        let measured =
            value.map_or("–".to_owned(), |value| number(value, if value < 100.0 { 2 } else { 0 }));
        let verdict = value.map_or("not measured", |value| bound.verdict(value));
        let _ = writeln!(text, "| {what} | {sign} {must} | {sign} {aim} | {measured} | {verdict} |");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(rate: f64, memory: u64) -> Figures {
        let json = serde_json::json!({
            "deliveries_per_second": rate,
            "server": { "cpu_us_per_delivery": 0.3, "memory_joined": memory },
        });
        serde_json::from_value(json).unwrap()
    }

    fn page(results: &Results) -> String {
        render(results, &Conditions { text: "Measured once.".to_owned() })
    }

    #[test]
    fn median_stands_between_the_extremes() {
        assert_eq!(Spread::of(vec![3.0, 1.0, 9.0]), Some(Spread { median: 3.0, least: 1.0, most: 9.0 }));
        assert_eq!(Spread::of(vec![4.0, 2.0]).unwrap().median, 3.0);
        assert_eq!(Spread::of(vec![]), None);
        assert_eq!(number(1_234_567.89, 1), "1,234,567.9");
    }

    #[test]
    fn bar_is_held_against_medians_of_the_same_run() {
        let mut results = Results::default();
        for rate in [300.0, 700.0, 500.0] {
            results.add("b128", Peer::Teahouse, Ok(figures(rate, 0)));
            results.add("b128", Peer::GoHub, Ok(figures(rate / 4.0, 0)));
        }
        let page = page(&results);
        assert!(page.contains("to the Go hub | ≥ 3 | ≥ 6 | 4.00 | kept |"), "{page}");
        assert!(page.contains("| 500 (300 to 700) |"), "{page}");
        assert!(page.contains("a second, into one room | ≥ 4000 | ≥ 8000 | – | not measured |"), "{page}");
    }

    #[test]
    fn void_run_gives_no_figure_but_its_reason() {
        let mut results = Results::default();
        results.add("b128", Peer::GoHub, Err(anyhow::anyhow!("3 lost")));
        let page = page(&results);
        assert!(page.contains("| Go hub (gorilla) | nothing | void |"), "{page}");
        assert!(page.contains("Void: (b128) Go hub (gorilla): 3 lost"), "{page}");
    }

    #[test]
    fn memory_of_a_connection_is_a_slope() {
        let mut results = Results::default();
        results.add("d5000", Peer::Teahouse, Ok(figures(0.0, 50_000_000)));
        assert_eq!(results.slope(Peer::Teahouse), None);
        results.add("d10000", Peer::Teahouse, Ok(figures(0.0, 50_000_000 + 5000 * 2048)));
        assert_eq!(results.slope(Peer::Teahouse), Some(2048.0));
        assert!(page(&results).contains("| Teahouse | SQLite, synced | 2.00 |"));
    }
}
