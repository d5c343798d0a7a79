//! The required and target values, compared with the measured ones.

use std::fmt::Write;

use super::figures::number;
use super::figures::{self, Figure};
use super::peers::Peer;
use super::results::{Measure, Results, Spread};

/// The required median, and the target.
#[derive(Clone, Copy)]
enum Bound {
    AtMost(f64, f64),
    AtLeast(f64, f64),
}

impl Bound {
    fn verdict(self, value: f64) -> &'static str {
        let (required, target) = match self {
            Bound::AtMost(required, target) => (value <= required, value <= target),
            Bound::AtLeast(required, target) => (value >= required, value >= target),
        };
        match (required, target) {
            (_, true) => "target met",
            (true, false) => "required met",
            (false, false) => "**missed**",
        }
    }
}

struct Row {
    what: &'static str,
    unit: &'static str,
    bound: Bound,
    measured: fn(&Results) -> Option<Spread>,
}

use Bound::{AtLeast, AtMost};

const ROWS: &[Row] = &[
    Row {
        what: "(a) server CPU a delivery, ratio to the baseline's plain sends",
        unit: "×",
        bound: AtMost(1.25, 1.0),
        measured: |it| ratio(it, ours("a", figures::cpu), ours("a", figures::cpu).of(Peer::BaselineSend)),
    },
    Row {
        what: "(a) p99 from sent to received, ratio to the baseline's",
        unit: "×",
        bound: AtMost(1.5, 1.1),
        measured: |it| ratio(it, ours("a", figures::p99), ours("a", figures::p99).of(Peer::BaselineSend)),
    },
    Row {
        what: "(b) deliveries a second at 128 in flight, ratio to the Go hub",
        unit: "×",
        bound: AtLeast(3.0, 6.0),
        measured: |it| ratio(it, ours("b128", figures::rate), ours("b128", figures::rate).of(Peer::GoHub)),
    },
    Row {
        what: "(b) server CPU a delivery at 128 in flight",
        unit: " µs",
        bound: AtMost(0.5, 0.2),
        measured: |it| it.spread(ours("b128", figures::cpu)),
    },
    Row {
        what: "(c) server CPU a delivery, ratio to the baseline's plain sends",
        unit: "×",
        bound: AtMost(1.4, 1.1),
        measured: |it| ratio(it, ours("c", figures::cpu), ours("c", figures::cpu).of(Peer::BaselineSend)),
    },
    Row {
        what: "(d) memory for each idle connection, from 5,000 to 15,000",
        unit: " KiB",
        bound: AtMost(2.0, 1.25),
        measured: |it| it.slope(Peer::Teahouse),
    },
    Row {
        what: "(e) connections and joins a second, into one room",
        unit: "",
        bound: AtLeast(4000.0, 8000.0),
        measured: |it| it.spread(ours("e1", figures::joins)),
    },
    Row {
        what: "(e) the same, into 100 rooms",
        unit: "",
        bound: AtLeast(4000.0, 8000.0),
        measured: |it| it.spread(ours("e100", figures::joins)),
    },
    Row {
        what: "(f) p99 from sent to received by all of 10,000",
        unit: " ms",
        bound: AtMost(150.0, 80.0),
        measured: |it| it.spread(ours("f", figures::complete_p99)),
    },
    Row {
        what: "(g) durable sends a second, ratio to SQLite alone in batches of 100",
        unit: "×",
        bound: AtLeast(0.5, 0.75),
        measured: |it| {
            ratio(
                it,
                ours("g100", figures::rate),
                ours("reference100", figures::rate).of(Peer::ReferenceStore),
            )
        },
    },
    Row {
        what: "(g) the same, ratio to SQLite alone in batches as large as Teahouse's",
        unit: "×",
        bound: AtLeast(0.5, 0.75),
        measured: |it| {
            ratio(it, ours("g100", figures::rate), ours("reference", figures::rate).of(Peer::ReferenceStore))
        },
    },
    Row {
        what: "(g) on PostgreSQL: durable sends a second, ratio to PostgreSQL alone in batches as large as Teahouse's",
        unit: "×",
        bound: AtLeast(0.75, 0.9),
        measured: |it| {
            ratio(
                it,
                ours("g100", figures::rate).of(Peer::TeahousePostgres),
                ours("reference", figures::rate).of(Peer::ReferencePostgres),
            )
        },
    },
    Row {
        what: "(g) latency with one in flight, ratio to one commit of SQLite alone",
        unit: "×",
        bound: AtMost(2.0, 1.3),
        measured: |it| {
            ratio(
                it,
                ours("g1", figures::answer),
                ours("reference1", figures::answer).of(Peer::ReferenceStore),
            )
        },
    },
    Row {
        what: "(h) p99 of a pair of clients while (f) runs, ratio to alone",
        unit: "×",
        bound: AtMost(5.0, 2.0),
        measured: |it| ratio(it, ours("h2", figures::p99), ours("h1", figures::p99)),
    },
    Row {
        what: "(i) p99 of 800 readers with 200 stalled ones, ratio to 800 alone",
        unit: "×",
        bound: AtMost(1.25, 1.05),
        measured: |it| ratio(it, ours("i200", figures::p99), ours("i0", figures::p99)),
    },
    Row {
        what: "(i) server memory that the 200 stalled readers add, at most",
        unit: " MiB",
        bound: AtMost(50.0, 10.0),
        measured: |it| it.within_rounds(ours("i200", figures::peak), ours("i0", figures::peak), |a, b| a - b),
    },
    Row {
        what: "idle server: memory, on an empty folder",
        unit: " MiB",
        bound: AtMost(15.0, 8.0),
        measured: |it| it.spread(ours("start", figures::start_memory)),
    },
    Row {
        what: "idle server: memory, on a folder with data",
        unit: " MiB",
        bound: AtMost(15.0, 8.0),
        measured: |it| it.spread(ours("startdata", figures::start_memory)),
    },
    Row {
        what: "idle server: start to first answer, on an empty folder",
        unit: " ms",
        bound: AtMost(150.0, 50.0),
        measured: |it| it.spread(ours("start", figures::start_ms)),
    },
    Row {
        what: "idle server: start to first answer, on a folder with data",
        unit: " ms",
        bound: AtMost(150.0, 50.0),
        measured: |it| it.spread(ours("startdata", figures::start_ms)),
    },
];

const fn ours(scenario: &'static str, figure: Figure) -> Measure {
    Measure { scenario, peer: Peer::Teahouse, figure }
}

impl Measure {
    fn of(self, peer: Peer) -> Self {
        Measure { peer, ..self }
    }
}

/// The ratio of two figures of the same round.
fn ratio(results: &Results, a: Measure, b: Measure) -> Option<Spread> {
    results.within_rounds(a, b, |a, b| a / b)
}

pub(super) fn render(text: &mut String, results: &Results) {
    text.push_str(
        "\n### Required and target values\n\n| | required | target | measured (range of the rounds) | |\n|---|---|---|---|---|\n",
    );
    for row in ROWS {
        let (sign, required, target) = match row.bound {
            AtMost(required, target) => ('≤', required, target),
            AtLeast(required, target) => ('≥', required, target),
        };
        let [required, target] =
            [required, target].map(|it| number(it, if it.fract() == 0.0 { 0 } else { 2 }));
        let (measured, verdict) = match (row.measured)(results) {
            Some(spread) => {
                let digits = if spread.median < 100.0 { 2 } else { 0 };
                (format!("{}{}", spread.show(digits), row.unit), row.bound.verdict(spread.median))
            }
            None => ("–".to_owned(), "not measured"),
        };
        // Cannot fail: the target is a `String`.
        let _ = writeln!(
            text,
            "| {} | {sign} {required}{unit} | {sign} {target}{unit} | {measured} | {verdict} |",
            row.what,
            unit = row.unit
        );
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::results::tests::load;
    use super::*;

    fn render_thresholds(results: &Results) -> String {
        let mut text = String::new();
        render(&mut text, results);
        text
    }

    #[test]
    fn thresholds_are_compared_with_ratios_within_rounds() {
        let mut results = Results::default();
        for (round, rate) in [(1, 300.0), (2, 700.0), (3, 500.0)] {
            results.add(round, "b128", Peer::Teahouse, Ok(load(rate, 0.1 * f64::from(round), 0.0)));
            results.add(round, "b128", Peer::GoHub, Ok(load(rate / 4.0, 1.0, 0.0)));
        }
        let text = render_thresholds(&results);
        assert!(text.contains("ratio to the Go hub | ≥ 3× | ≥ 6× | 4.00× | required met |"), "{text}");
        assert!(
            text.contains("at 128 in flight | ≤ 0.50 µs | ≤ 0.20 µs | 0.20 (0.10 to 0.30) µs | target met |")
        );
        assert!(text.contains("a second, into one room | ≥ 4,000 | ≥ 8,000 | – | not measured |"), "{text}");
    }

    #[test]
    fn store_and_stalled_readers_have_their_own_references() {
        let mut results = Results::default();
        let reference_store = |rate: f64, ms: f64| json!({ "reference_store": { "batch": 1, "per_second": rate, "commit_ms_p50": ms } });
        results.add(1, "g100", Peer::Teahouse, Ok(load(9000.0, 1.0, 0.0)));
        results.add(1, "reference100", Peer::ReferenceStore, Ok(reference_store(20_000.0, 5.0)));
        results.add(
            1,
            "g1",
            Peer::Teahouse,
            Ok(json!({ "load": { "acknowledge_ms": { "p50": 0.3, "p99": 1.0 } } })),
        );
        results.add(1, "reference1", Peer::ReferenceStore, Ok(reference_store(5000.0, 0.2)));
        for (key, mib) in [("i0", 20.0), ("i200", 25.0)] {
            let peak = json!({ "load": { "server": { "memory_peak": mib * 1024.0 * 1024.0 } } });
            results.add(1, key, Peer::Teahouse, Ok(peak));
        }
        let text = render_thresholds(&results);
        assert!(text.contains("batches of 100 | ≥ 0.50× | ≥ 0.75× | 0.45× | **missed** |"), "{text}");
        assert!(text.contains("of SQLite alone | ≤ 2× | ≤ 1.30× | 1.50× | required met |"), "{text}");
        assert!(text.contains("add, at most | ≤ 50 MiB | ≤ 10 MiB | 5.00 MiB | target met |"), "{text}");
    }

    #[test]
    fn bound_itself_satisfies_the_threshold() {
        assert_eq!(AtMost(2.0, 1.0).verdict(1.0), "target met");
        assert_eq!(AtMost(2.0, 1.0).verdict(2.0), "required met");
        assert_eq!(AtLeast(2.0, 3.0).verdict(1.9), "**missed**");
        assert_eq!(AtLeast(2.0, 3.0).verdict(3.0), "target met");
    }
}
