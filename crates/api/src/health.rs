//! Health checks and metrics, for supervisors and monitors. They are public, since they contain no names and no messages; a
//! reverse proxy can block these three paths.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use prometheus_client::encoding::text;
use protocol::ErrorCode;

use crate::{ApiError, HttpState};

/// OpenMetrics text, which Prometheus reads.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The start of a request for [`alive`] on a connection beyond the limits, and the whole response to it.
pub(crate) const REQUEST_LINE: &[u8] = b"GET /healthz ";
pub(crate) const ALIVE: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";

/// `GET /healthz`: the process answers. It does not depend on the store, so that no supervisor kills the process while the store
/// is slow.
pub(crate) async fn alive() -> &'static str {
    "ok"
}

/// `GET /readyz`: the store accepts writes, and the server is not stopping.
pub(crate) async fn ready(State(state): State<Arc<HttpState>>) -> Result<&'static str, ApiError> {
    if state.gateway.is_stopping() {
        return Err(ErrorCode::ShuttingDown.into());
    }
    state.gateway.probe().await?;
    Ok("ready")
}

/// `GET /metrics`, for Prometheus.
pub(crate) async fn metrics(State(state): State<Arc<HttpState>>) -> Response {
    let mut rendered = String::new();
    // Writing into a `String` does not fail.
    let _ = text::encode(&mut rendered, &state.registry);
    ([(CONTENT_TYPE, OPENMETRICS)], rendered).into_response()
}
