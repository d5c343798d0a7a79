//! The Markdown tables: medians, spreads, and warnings about the figures.

use std::fmt::Write;

use super::figures::number;
use super::figures::{self, Figure};
use super::peers::Peer;
use super::results::{Measure, Results};
use super::thresholds;

/// Per cent of a core. Above this, the generator may have limited the result.
const BUSY_GENERATOR_PERCENT: f64 = 90.0;

struct Table {
    title: &'static str,
    columns: &'static [Column],
    rows: Rows,
    /// What readers must know to interpret the table.
    note: &'static str,
}

/// The heading, the figure, and the number of decimals.
type Column = (&'static str, Figure, usize);

enum Rows {
    /// One row for each server of the scenario.
    Servers(&'static str),
    /// Named rows: name, scenario, server.
    Cases(&'static [(&'static str, &'static str, Peer)]),
}

const GENERATOR: Column = ("generator, % of its core", figures::generator, 0);

const FLIGHT: &[Column] = &[
    ("deliveries a second", figures::rate, 0),
    ("server CPU a delivery, µs", figures::cpu, 2),
    ("p99 ms", figures::p99, 1),
    GENERATOR,
];

const PACED: &[Column] = &[
    ("server CPU a delivery, µs", figures::cpu, 2),
    ("sent to received, p50 ms", figures::p50, 1),
    ("p99 ms", figures::p99, 1),
    GENERATOR,
];

const TABLES: &[Table] = &[
    Table {
        title: "(a) One room of 1,000, 50 messages a second",
        columns: PACED,
        rows: Rows::Servers("a"),
        note: "",
    },
    Table {
        title: "(b) One room of 1,000, 16 messages in flight",
        columns: FLIGHT,
        rows: Rows::Servers("b16"),
        note: "",
    },
    Table {
        title: "(b) One room of 1,000, 128 messages in flight",
        columns: FLIGHT,
        rows: Rows::Servers("b128"),
        note: "",
    },
    Table {
        title: "(b) One room of 1,000, 1,024 messages in flight",
        columns: FLIGHT,
        rows: Rows::Servers("b1024"),
        note: "",
    },
    Table {
        title: "(c) 100 rooms of 100, one message a second in each, everyone in 5 rooms",
        columns: PACED,
        rows: Rows::Servers("c"),
        note: "Clients of the baseline are in one of 20 channels of 100: as many sockets, messages a second and deliveries per message.",
    },
    Table {
        title: "(e) Connecting and joining 10,000",
        columns: &[
            ("connections and joins a second", figures::joins, 0),
            ("server, % of its core", figures::joining_server, 0),
            ("generator, % of its core", figures::joining_generator, 0),
            ("until all had received all joins, s", figures::caught_up, 2),
        ],
        rows: Rows::Cases(&[
            ("Teahouse, into one room", "e1", Peer::Teahouse),
            ("Teahouse, into 100 rooms of 100", "e100", Peer::Teahouse),
            ("Go hub (gorilla)", "e1", Peer::GoHub),
            ("nats-server (WebSocket)", "e1", Peer::Nats),
            ("Node hub (ws)", "e1", Peer::NodeWs),
        ]),
        note: "The peers do not announce joins.",
    },
    Table {
        title: "(f) One room of 10,000, one message at a time",
        columns: &[
            ("sent to received by all, p50 ms", figures::complete_p50, 1),
            ("p99 ms", figures::complete_p99, 1),
            ("server CPU a delivery, µs", figures::cpu, 2),
            GENERATOR,
        ],
        rows: Rows::Servers("f"),
        note: "",
    },
    Table {
        title: "(g) Durable sends",
        columns: &[
            ("acknowledged a second", figures::rate, 0),
            ("sent to acknowledged, p50 ms", figures::answer, 2),
            ("messages a commit", figures::batch, 1),
            GENERATOR,
        ],
        rows: Rows::Cases(&[
            ("Teahouse, one sender alone", "g1", Peer::Teahouse),
            ("baseline, one sender alone", "g1", Peer::BaselineSend),
            ("SQLite alone, one at a time", "reference1", Peer::ReferenceStore),
            ("Teahouse, 100 senders in rooms of one", "g100", Peer::Teahouse),
            ("SQLite alone, in batches of 16", "reference16", Peer::ReferenceStore),
            ("SQLite alone, in batches of 100", "reference100", Peer::ReferenceStore),
            (
                "SQLite alone, in batches as large as Teahouse's with 100 senders",
                "reference",
                Peer::ReferenceStore,
            ),
            ("Teahouse on PostgreSQL, one sender alone", "g1", Peer::TeahousePostgres),
            ("PostgreSQL alone, one at a time", "reference1", Peer::ReferencePostgres),
            ("Teahouse on PostgreSQL, 100 senders in rooms of one", "g100", Peer::TeahousePostgres),
            ("PostgreSQL alone, in batches of 16", "reference16", Peer::ReferencePostgres),
            ("PostgreSQL alone, in batches of 100", "reference100", Peer::ReferencePostgres),
            (
                "PostgreSQL alone, in batches as large as Teahouse's with 100 senders",
                "reference",
                Peer::ReferencePostgres,
            ),
        ]),
        note: "SQLite alone and PostgreSQL alone are loops that insert into the server's schema and do nothing else; their latency is that of \
               one commit. PostgreSQL runs on both cores.",
    },
    Table {
        title: "(h) A pair of clients, alone and while (f) runs",
        columns: &[
            ("sent to received, p50 ms", figures::p50, 2),
            ("p99 ms", figures::p99, 2),
            ("generators, % of their core", figures::generator, 0),
        ],
        rows: Rows::Cases(&[("alone", "h1", Peer::Teahouse), ("during (f)", "h2", Peer::Teahouse)]),
        note: "",
    },
    Table {
        title: "(i) A room of 800 readers, without and with 200 stalled ones",
        columns: &[
            ("sent to received by readers, p50 ms", figures::p50, 1),
            ("p99 ms", figures::p99, 1),
            ("server memory at most, MiB", figures::peak, 1),
            ("server CPU a delivery, µs", figures::cpu, 2),
            ("gaps sent to stalled readers", figures::stalled_gaps, 0),
            GENERATOR,
        ],
        rows: Rows::Cases(&[
            ("800 readers", "i0", Peer::Teahouse),
            ("800 readers and 200 stalled", "i200", Peer::Teahouse),
        ]),
        note: "",
    },
    Table {
        title: "Idle server",
        columns: &[
            ("start to first answer, ms", figures::start_ms, 1),
            ("memory, MiB", figures::start_memory, 2),
            ("messages in its folder", figures::start_messages, 0),
        ],
        rows: Rows::Cases(&[
            ("on an empty folder", "start", Peer::Teahouse),
            ("on a folder with data", "startdata", Peer::Teahouse),
        ]),
        note: "",
    },
];

pub(super) fn render(results: &Results) -> String {
    // Cannot fail, here and below: the target is a `String`.
    let mut text = format!("\n{}\n", results.conditions);
    thresholds::render(&mut text, results);
    for table in TABLES {
        if table.title.starts_with("(e)") {
            idle(&mut text, results);
        }
        table.render(&mut text, results);
    }
    for (round, scenario, peer, why) in results.void() {
        let short: String = why.chars().take(400).collect();
        let _ = writeln!(text, "\nVoid: round {round}, ({scenario}), {}: {short}", peer.name());
    }
    for skipped in &results.skipped {
        let _ = writeln!(text, "\nSkipped: {skipped}");
    }
    text
}

impl Table {
    fn render(&self, text: &mut String, results: &Results) {
        let rows = self.rows(results);
        if rows.is_empty() {
            return;
        }
        let heads: Vec<_> = self.columns.iter().map(|column| column.0).collect();
        let with_stores = matches!(self.rows, Rows::Servers(_));
        head(text, self.title, with_stores, &heads);
        for (name, scenario, peer) in &rows {
            let stores = if with_stores { format!("{} | ", peer.stores()) } else { String::new() };
            let cell = |&(_, figure, digits): &Column| {
                results.cell(Measure { scenario, peer: *peer, figure }, digits)
            };
            let cells: Vec<_> = self.columns.iter().map(cell).collect();
            let _ = writeln!(text, "| {name} | {stores}{} |", cells.join(" | "));
        }
        if !self.note.is_empty() {
            let _ = writeln!(text, "\n{}", self.note);
        }
        for (name, scenario, peer) in rows {
            self.warnings_of(text, results, name, scenario, peer);
        }
    }

    /// The name, the scenario and the server of each row with a run.
    fn rows(&self, results: &Results) -> Vec<(&'static str, &'static str, Peer)> {
        let all: Vec<_> = match self.rows {
            Rows::Servers(scenario) => Peer::ALL.map(|peer| (peer.name(), scenario, peer)).to_vec(),
            Rows::Cases(cases) => cases.to_vec(),
        };
        all.into_iter().filter(|(_, scenario, peer)| results.has(scenario, *peer)).collect()
    }

    /// Notes on runs that the generator limited or warned about.
    fn warnings_of(
        &self,
        text: &mut String,
        results: &Results,
        name: &str,
        scenario: &'static str,
        peer: Peer,
    ) {
        let cores = self.columns.iter().filter(|column| column.0.starts_with("generator"));
        for &(_, figure, _) in cores {
            if let Some(used) = results.spread(Measure { scenario, peer, figure })
                && used.median >= BUSY_GENERATOR_PERCENT
            {
                let percent = number(used.median, 0);
                let _ = writeln!(
                    text,
                    "\nThe generator limited the result of {name}, at {percent} % of its core: the server can do more than \
                     was measured."
                );
            }
        }
        for (warning, times) in results.warnings(scenario, peer) {
            // The note above already mentions a busy generator.
            if !warning.contains("measured itself") {
                let runs = if times == 1 { "one run".to_owned() } else { format!("{times} runs") };
                let _ = writeln!(text, "\n{name}, in {runs}: {warning}.");
            }
        }
    }
}

fn head(text: &mut String, title: &str, with_stores: bool, heads: &[&str]) {
    let (stores, line) = if with_stores { ("server | stores first | ", "---|---|") } else { (" | ", "---|") };
    let _ = writeln!(text, "\n### {title}\n\n| {stores}{} |", heads.join(" | "));
    let _ = writeln!(text, "|{line}{}", "---|".repeat(heads.len()));
}

/// The table of idle connections: its columns are scenarios, and the slope between two of them.
fn idle(text: &mut String, results: &Results) {
    const COUNTS: [(&str, &str); 3] =
        [("MiB at 5,000", "d5000"), ("at 10,000", "d10000"), ("at 15,000", "d15000")];
    let was_tried = |peer: &Peer| COUNTS.iter().any(|(_, scenario)| results.has(scenario, *peer));
    let peers: Vec<_> = Peer::ALL.into_iter().filter(was_tried).collect();
    if peers.is_empty() {
        return;
    }
    let mut heads = vec!["KiB for each connection"];
    heads.extend(COUNTS.map(|(head, _)| head));
    head(text, "(d) Memory of idle connections that have joined", true, &heads);
    for peer in peers {
        let slope = results.slope(peer).map_or_else(|| "–".to_owned(), |slope| slope.show(2));
        let at = |(_, scenario)| results.cell(Measure { scenario, peer, figure: figures::memory }, 0);
        let cells = COUNTS.map(at).join(" | ");
        let _ = writeln!(text, "| {} | {} | {slope} | {cells} |", peer.name(), peer.stores());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::results::tests::load;
    use super::*;

    #[test]
    fn every_server_has_a_row_with_its_spread() {
        let mut results = Results::default();
        results.conditions.push_str("Measured once.");
        for (round, rate) in [(1, 300.0), (2, 700.0), (3, 500.0)] {
            results.add(round, "b128", Peer::Teahouse, Ok(load(rate, 0.125, 0.0)));
        }
        let text = render(&results);
        assert!(text.starts_with("\nMeasured once.\n"));
        assert!(text.contains("| Teahouse | SQLite, synced | 500 (300 to 700) | 0.12 | "), "{text}");
        assert!(!text.contains("(b) One room of 1,000, 16"), "a table without figures: {text}");
    }

    #[test]
    fn void_run_shows_its_reason_in_place_of_figures() {
        let mut results = Results::default();
        results.add(2, "b128", Peer::GoHub, Err(anyhow::anyhow!("3 lost")));
        let text = render(&results);
        assert!(text.contains("| Go hub (gorilla) | nothing | void | void | void | void |"), "{text}");
        assert!(text.contains("Void: round 2, (b128), Go hub (gorilla): 3 lost"), "{text}");
    }

    #[test]
    fn busy_generator_is_reported() {
        let mut results = Results::default();
        let run = |cores: f64| {
            let warnings = ["the generator used 97 % of a core: it may have measured itself", "slow"];
            Ok(json!({ "load": { "generator_cpu_cores": cores, "warnings": warnings } }))
        };
        results.add(1, "b128", Peer::Teahouse, run(0.97));
        results.add(1, "b128", Peer::NodeWs, run(0.5));
        let text = render(&results);
        assert!(text.contains("The generator limited the result of Teahouse, at 97 % of its core"), "{text}");
        assert!(!text.contains("limited the result of Node hub"), "{text}");
        assert!(
            text.contains("Node hub (ws), in one run: slow.") && !text.contains("measured itself"),
            "{text}"
        );
    }

    #[test]
    fn idle_memory_is_shown_as_a_slope_and_per_count() {
        let mut results = Results::default();
        for (key, mib) in [("d5000", 20.0), ("d15000", 40.0)] {
            results.add(1, key, Peer::Nats, Ok(load(0.0, 0.0, mib)));
        }
        let text = render(&results);
        assert!(text.contains("| nats-server (WebSocket) | nothing | 2.05 | 20 | – | 40 |"), "{text}");
    }

    #[test]
    fn each_case_has_one_row() {
        let mut results = Results::default();
        results.add(
            1,
            "g100",
            Peer::Teahouse,
            Ok(json!({ "load": { "deliveries_per_second": 9000.0 }, "batch": 23.44 })),
        );
        let reference_store =
            json!({ "reference_store": { "batch": 23, "per_second": 20_500.0, "commit_ms_p50": 1.1 } });
        results.add(1, "reference", Peer::ReferenceStore, Ok(reference_store));
        let text = render(&results);
        assert!(text.contains("| Teahouse, 100 senders in rooms of one | 9,000 | – | 23.4 | 0 |"), "{text}");
        assert!(text.contains("Teahouse's with 100 senders | 20,500 | 1.10 | 23.0 | – |"), "{text}");
    }
}
