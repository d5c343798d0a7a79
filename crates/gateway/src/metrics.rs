//! The gateway's metrics. They are updated once per batch, not once per message.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use protocol::ErrorCode;

/// In seconds, from a commit into the disk's cache to one on a slow disk.
const COMMIT_BUCKETS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];

/// A handle to the counters. A clone is another handle to the same counters.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    connections: Gauge,
    open_rooms: Gauge,
    messages: Counter,
    deliveries: Counter,
    bytes_sent: Counter,
    gaps: Counter,
    catch_ups: Counter,
    errors: Family<Code, Counter>,
    commit_duration: Histogram,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Code {
    code: CodeValue,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct CodeValue(ErrorCode);

impl EncodeLabelValue for CodeValue {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        self.0.as_str().encode(encoder)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let inner = Inner {
            connections: Gauge::default(),
            open_rooms: Gauge::default(),
            messages: Counter::default(),
            deliveries: Counter::default(),
            bytes_sent: Counter::default(),
            gaps: Counter::default(),
            catch_ups: Counter::default(),
            errors: Family::default(),
            commit_duration: Histogram::new(COMMIT_BUCKETS),
        };
        // Present from the first scrape, so that the rate of a code that occurs later starts at zero.
        for code in ErrorCode::ALL {
            inner.errors.get_or_create_owned(&Code { code: CodeValue(*code) });
        }
        Metrics(Arc::new(inner))
    }
}

impl Metrics {
    /// Adds the metrics to a registry, whose prefix their names get.
    pub fn register(&self, registry: &mut Registry) {
        let inner = &*self.0;
        registry.register("connections", "WebSocket connections that are open", inner.connections.clone());
        registry.register("open_rooms", "Rooms with users online", inner.open_rooms.clone());
        registry.register("messages", "Messages stored", inner.messages.clone());
        registry.register("deliveries", "Events written to connections", inner.deliveries.clone());
        registry.register_with_unit(
            "sent",
            "Written to WebSocket connections",
            Unit::Bytes,
            inner.bytes_sent.clone(),
        );
        registry.register(
            "gaps",
            "Ranges of events that were reported to a client as a gap",
            inner.gaps.clone(),
        );
        registry.register(
            "catch_ups",
            "Returns to a room that were served from the store",
            inner.catch_ups.clone(),
        );
        registry.register("errors", "Errors returned, by code", inner.errors.clone());
        registry.register_with_unit(
            "commit_duration",
            "From the start of a commit to its result",
            Unit::Seconds,
            inner.commit_duration.clone(),
        );
    }

    pub(crate) fn connection_opened(&self) {
        self.0.connections.inc();
    }

    pub(crate) fn connection_closed(&self) {
        self.0.connections.dec();
    }

    pub(crate) fn connections(&self) -> u64 {
        u64::try_from(self.0.connections.get()).unwrap_or(0)
    }

    /// `by` is 1 when a shard opens a room, and -1 when it closes one.
    pub(crate) fn rooms_changed(&self, by: i64) {
        self.0.open_rooms.inc_by(by);
    }

    pub(crate) fn messages(&self, count: u64) {
        self.0.messages.inc_by(count);
    }

    pub(crate) fn delivered(&self, events: u64, bytes: u64) {
        self.0.deliveries.inc_by(events);
        self.0.bytes_sent.inc_by(bytes);
    }

    pub(crate) fn gaps(&self, count: u64) {
        self.0.gaps.inc_by(count);
    }

    pub(crate) fn caught_up(&self, count: u64) {
        self.0.catch_ups.inc_by(count);
    }

    /// Counts an error that was returned over either transport.
    pub fn error(&self, code: ErrorCode) {
        self.0.errors.get_or_create_owned(&Code { code: CodeValue(code) }).inc();
    }

    /// Also for a commit that failed.
    pub(crate) fn committed(&self, took: Duration) {
        self.0.commit_duration.observe(took.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text;

    use super::*;

    #[test]
    fn metrics_report_what_was_counted() {
        let metrics = Metrics::default();
        let mut registry = Registry::with_prefix("teahouse");
        metrics.register(&mut registry);
        metrics.connection_opened();
        metrics.connection_opened();
        metrics.connection_closed();
        metrics.rooms_changed(3);
        metrics.messages(5);
        metrics.delivered(40, 4096);
        metrics.gaps(1);
        metrics.caught_up(2);
        metrics.error(ErrorCode::RateLimited);
        metrics.committed(Duration::from_millis(3));
        let mut rendered = String::new();
        text::encode(&mut rendered, &registry).unwrap();
        for line in [
            "teahouse_connections 1",
            "teahouse_open_rooms 3",
            "teahouse_messages_total 5",
            "teahouse_deliveries_total 40",
            "teahouse_sent_bytes_total 4096",
            "teahouse_gaps_total 1",
            "teahouse_catch_ups_total 2",
            "teahouse_errors_total{code=\"rate_limited\"} 1",
            "teahouse_errors_total{code=\"storage_full\"} 0",
            "teahouse_commit_duration_seconds_bucket{le=\"0.0025\"} 0",
            "teahouse_commit_duration_seconds_bucket{le=\"0.005\"} 1",
        ] {
            assert!(rendered.lines().any(|found| found == line), "{line} is not in\n{rendered}");
        }
    }
}
