//! The metrics of HTTP.

use http::StatusCode;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use protocol::ErrorCode;

/// A handle to the metrics. A clone is another handle to the same metrics.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// Counts the errors of both transports.
    gateway: gateway::Metrics,
    requests: Family<Class, Counter>,
    connections: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Class {
    status: &'static str,
}

impl Metrics {
    /// Errors are counted in `gateway`, which the caller registers itself.
    pub fn new(gateway: gateway::Metrics) -> Self {
        Metrics { gateway, ..Metrics::default() }
    }

    /// Adds the metrics to a registry, whose prefix their names get; those of the gateway are not included.
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "http_requests",
            "HTTP requests answered, by class of status",
            self.requests.clone(),
        );
        registry.register(
            "tcp_connections",
            "Accepted TCP connections, including WebSockets",
            self.connections.clone(),
        );
    }

    pub(crate) fn error(&self, code: ErrorCode) {
        self.gateway.error(code);
    }

    pub(crate) fn tcp_opened(&self) {
        self.connections.inc();
    }

    /// After an upgrade, when the shard drops the connection.
    pub(crate) fn tcp_closed(&self) {
        self.connections.dec();
    }

    pub(crate) fn http_responded(&self, status: StatusCode) {
        let status = match status.as_u16() {
            100..=199 => "1xx",
            200..=299 => "2xx",
            300..=399 => "3xx",
            400..=499 => "4xx",
            _ => "5xx",
        };
        self.requests.get_or_create_owned(&Class { status }).inc();
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text;

    use super::*;

    #[test]
    fn metrics_report_requests_by_class_of_status() {
        let metrics = Metrics::default();
        let mut registry = Registry::default();
        metrics.register(&mut registry);
        metrics.http_responded(StatusCode::NOT_FOUND);
        metrics.http_responded(StatusCode::BAD_REQUEST);
        metrics.http_responded(StatusCode::OK);
        metrics.tcp_opened();
        let mut rendered = String::new();
        text::encode(&mut rendered, &registry).unwrap();
        for line in [
            r#"http_requests_total{status="4xx"} 2"#,
            r#"http_requests_total{status="2xx"} 1"#,
            "tcp_connections 1",
        ] {
            assert!(rendered.lines().any(|found| found == line), "{line} is not in\n{rendered}");
        }
    }
}
