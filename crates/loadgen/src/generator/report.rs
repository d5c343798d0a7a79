//! The report of a run: counts, rates, latencies, violations.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use super::Findings;
use super::histogram::Histogram;

/// A distribution of times, in milliseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Times {
    /// The median, exact to two digits.
    pub p50: f64,
    /// The 99th percentile, exact to two digits.
    pub p99: f64,
    /// The maximum, exact to two digits.
    pub max: f64,
}

impl Times {
    pub(crate) fn of(histogram: &Histogram) -> Self {
        let ms = |micros: u64| micros as f64 / 1000.0;
        Times {
            p50: ms(histogram.quantile(0.5)),
            p99: ms(histogram.quantile(0.99)),
            max: ms(histogram.max()),
        }
    }
}

/// The CPU and memory use of the server's process.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct ServerUse {
    /// Cores used in the measured time; 1.0 is one core without pause.
    pub cpu_cores: f64,
    /// Microseconds of CPU for each message to each member; `None` without deliveries.
    pub cpu_us_per_delivery: Option<f64>,
    /// Anonymous memory (RssAnon) before the first connection, in bytes.
    pub memory_before: u64,
    /// The same after the last join and the settle delay.
    pub memory_joined: u64,
    /// The same at the end of the measured time.
    pub memory_after: u64,
    /// The largest sample in the measured time, of ten per second.
    pub memory_peak: u64,
    /// Bytes added by each joined connection.
    pub memory_per_connection: f64,
}

/// The joining phase: from the first connection to the last `joined`.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Joining {
    /// Its length in seconds.
    pub seconds: f64,
    /// Connections per second that joined all their rooms.
    pub per_second: f64,
    /// Cores used by the generator; near 1.0 it measures itself.
    pub generator_cpu_cores: f64,
    /// Cores used by the server; `None` without its process id.
    pub server_cpu_cores: Option<f64>,
}

/// The result of a run, printed as text or as JSON.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Connections that never paused reading.
    pub connections: u32,
    /// Connections that paused reading.
    pub stalled: u32,
    /// The rooms over which the connections were spread.
    pub rooms: u32,
    /// The rooms that each connection joined.
    pub rooms_each: u32,
    /// The connections that sent messages.
    pub senders: u32,
    /// The length of each message body in bytes.
    pub body_bytes: usize,
    /// Seconds from the first connection to the last `joined`.
    pub connect_seconds: f64,
    /// The same interval, with its CPU.
    pub joining: Joining,
    /// Seconds from the first connection until all had received every join; `None` if they never had.
    pub caught_up_seconds: Option<f64>,
    /// The measured time in seconds.
    pub seconds: f64,
    /// Messages sent in total, including warm-up.
    pub sent: u64,
    /// Messages acknowledged in total, including warm-up.
    pub acknowledged: u64,
    /// Messages acknowledged in each second of the measured time.
    pub acknowledged_by_second: Vec<u64>,
    /// Commands rejected in the measured time.
    pub rejected: u64,
    /// Commands without a reply, on connections that stayed open.
    pub unanswered: u64,
    /// Deliveries to members in the measured time.
    pub deliveries: u64,
    /// Deliveries per second.
    pub deliveries_per_second: f64,
    /// Deliveries in total, including warm-up and drain.
    pub deliveries_total: u64,
    /// From the write of a message to its read by each member, in the measured time.
    pub latency_ms: Times,
    /// Messages written in the measured time that every member read.
    pub completed: u64,
    /// From the write of a message to its read by the last member, for messages written in the measured time.
    pub complete_ms: Times,
    /// From the write of a message to the read of its `ok`, in the measured time.
    pub acknowledge_ms: Times,
    /// The greatest delay of a message against the configured rate, in milliseconds; 0 without a rate.
    pub late_ms: f64,
    /// The violations and gaps that the checker found.
    #[serde(flatten)]
    pub findings: Findings,
    /// Rejected commands by error code, over the whole run.
    pub errors: BTreeMap<String, u64>,
    /// Connections that ended early, by close code; 1006 without a close frame.
    pub closed: BTreeMap<u16, u64>,
    /// The use of the server's process; `None` without its process id.
    pub server: Option<ServerUse>,
    /// Cores used by the generator in the measured time.
    pub generator_cpu_cores: f64,
    /// Reasons to doubt the measurements, such as a saturated generator.
    pub warnings: Vec<String>,
}

impl Report {
    /// Whether there is no violation, every command has a reply, and every connection stayed open.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.findings.is_clean() && self.unanswered == 0 && self.closed.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let times = |t: Times| format!("p50 {:.2} ms   p99 {:.2} ms   max {:.2} ms", t.p50, t.p99, t.max);
        write!(f, "{} connections", grouped(self.connections.into()))?;
        if self.stalled > 0 {
            write!(f, " and {} stalled", grouped(self.stalled.into()))?;
        }
        write!(f, " in {} rooms", grouped(self.rooms.into()))?;
        if self.rooms_each > 1 {
            write!(f, ", {} for each connection", self.rooms_each)?;
        }
        writeln!(f, ", {} senders, bodies of {} bytes", grouped(self.senders.into()), self.body_bytes)?;
        let joining = &self.joining;
        write!(
            f,
            "joined           in {:.2} s ({}/s), generator {:.0} % of a core",
            joining.seconds,
            grouped(joining.per_second as u64),
            joining.generator_cpu_cores * 100.0
        )?;
        if let Some(cores) = joining.server_cpu_cores {
            write!(f, ", server {:.0} %", cores * 100.0)?;
        }
        match self.caught_up_seconds {
            Some(seconds) => writeln!(f, "; caught up after {seconds:.2} s")?,
            None => writeln!(f, "; not caught up")?,
        }
        writeln!(
            f,
            "messages         {} sent, {} acknowledged",
            grouped(self.sent),
            grouped(self.acknowledged)
        )?;
        writeln!(
            f,
            "deliveries       {}/s ({} in {:.1} s)",
            grouped(self.deliveries_per_second as u64),
            grouped(self.deliveries),
            self.seconds
        )?;
        writeln!(f, "sent to received {}", times(self.latency_ms))?;
        writeln!(f, "sent to all      {}", times(self.complete_ms))?;
        writeln!(f, "sent to ok       {}", times(self.acknowledge_ms))?;
        if let Some(server) = &self.server {
            write!(f, "server           {:.0} % of a core", server.cpu_cores * 100.0)?;
            if let Some(micros) = server.cpu_us_per_delivery {
                write!(f, ", {micros:.2} µs CPU per delivery")?;
            }
            writeln!(
                f,
                ", {} bytes per connection ({} MiB at the end, {} at most)",
                grouped(server.memory_per_connection.max(0.0) as u64),
                server.memory_after >> 20,
                server.memory_peak >> 20
            )?;
        }
        write!(f, "generator        {:.0} % of a core", self.generator_cpu_cores * 100.0)?;
        if self.late_ms > 0.0 {
            write!(f, ", at most {:.1} ms late", self.late_ms)?;
        }
        writeln!(f)?;
        let found = &self.findings;
        writeln!(
            f,
            "guarantees       {}: {} lost, {} duplicated, {} out of order, {} altered, {} wrong seq, {} unexpected, {} unanswered",
            if self.is_clean() { "kept" } else { "VIOLATED" },
            grouped(found.lost),
            grouped(found.duplicated),
            grouped(found.out_of_order),
            grouped(found.altered),
            grouped(found.wrong_seq),
            grouped(found.unexpected),
            grouped(self.unanswered),
        )?;
        writeln!(f, "gaps             {} ({} events)", grouped(found.gaps), grouped(found.gap_events))?;
        if self.stalled > 0 {
            writeln!(f, "gaps, stalled    {}", grouped(found.stalled_gaps))?;
        }
        for (code, count) in &self.errors {
            writeln!(f, "error            {code}: {}", grouped(*count))?;
        }
        for (code, count) in &self.closed {
            writeln!(f, "closed           {code}: {} connections", grouped(*count))?;
        }
        for warning in &self.warnings {
            writeln!(f, "warning          {warning}")?;
        }
        Ok(())
    }
}

/// Formats 1234567 as 1,234,567.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn report_with_a_violation_is_not_clean() {
        assert!(Report::default().is_clean());
        assert!(!Report { unanswered: 1, ..Report::default() }.is_clean());
        assert!(!Report { closed: [(1006, 1)].into(), ..Report::default() }.is_clean());
        let findings = Findings { lost: 1, ..Findings::default() };
        let report = Report { findings, ..Report::default() };
        assert!(!report.is_clean() && report.to_string().contains("VIOLATED: 1 lost"));
        let gaps = Findings { gaps: 1, gap_events: 5, stalled_gaps: 2, ..Findings::default() };
        assert!(Report { findings: gaps, ..Report::default() }.is_clean());
    }

    #[test]
    fn findings_are_flattened_into_the_json_report() {
        let json = serde_json::to_value(Report::default()).unwrap();
        assert_eq!((&json["lost"], &json["deliveries"]), (&0.into(), &0.into()));
        assert!(json["stalled_gaps"].is_u64() && json["complete_ms"]["p99"].is_f64(), "{json}");
        assert!(json["joining"]["per_second"].is_f64() && json["caught_up_seconds"].is_null(), "{json}");
    }
}
