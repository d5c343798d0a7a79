//! Health checks and metrics, for supervisors and monitors. They are public, since they contain no names and no messages; a
//! reverse proxy can hide these three paths.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use protocol::ErrorCode;

use super::{ApiError, HttpState};
use crate::metrics;

/// The start of a request for [`alive`] on a connection beyond the limits, and the whole response to it.
pub(super) const REQUEST_LINE: &[u8] = b"GET /healthz ";
pub(super) const ALIVE: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";

/// `GET /healthz`: the process answers. It depends on nothing else, so that a slow store does not get the process killed.
pub(super) async fn alive() -> &'static str {
    "ok"
}

/// `GET /readyz`: messages are accepted: the store is writable, and the server is not stopping.
pub(super) async fn ready(State(state): State<Arc<HttpState>>) -> Result<&'static str, ApiError> {
    if state.app.is_stopping() {
        return Err(ErrorCode::ShuttingDown.into());
    }
    state.app.probe().await?;
    Ok("ready")
}

/// `GET /metrics`
pub(super) async fn metrics(State(state): State<Arc<HttpState>>) -> Response {
    ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], state.metrics.render()).into_response()
}
