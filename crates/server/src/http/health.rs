//! For supervisors and monitors: alive, ready, counters. They answer everybody: they hold no names and no words, and
//! whoever wants them unseen closes these three addresses in the proxy before us.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use protocol::ErrorCode;

use super::{ApiError, HttpState};
use crate::metrics;

/// The beginning of a request for [`alive`] from a connection that found no place, and the whole answer to it.
pub(super) const ASKS_WHETHER_ALIVE: &[u8] = b"GET /healthz ";
pub(super) const ALIVE: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";

/// `GET /healthz`: the process answers. It asks nobody else, so that a store that is slow gets nobody killed.
pub(super) async fn alive() -> &'static str {
    "ok"
}

/// `GET /readyz`: messages can be taken; the store can be written and we are not stopping.
pub(super) async fn ready(State(front): State<Arc<HttpState>>) -> Result<&'static str, ApiError> {
    if front.app.is_stopping() {
        return Err(ErrorCode::ShuttingDown.into());
    }
    front.app.probe().await?;
    Ok("ready")
}

/// `GET /metrics`
pub(super) async fn metrics(State(front): State<Arc<HttpState>>) -> Response {
    ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], front.metrics.render()).into_response()
}
