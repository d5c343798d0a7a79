//! Reads the body of a request within bounds of size and time.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use bytes::Bytes;
use http::StatusCode;
use protocol::ErrorCode;
use tokio::time::timeout;

use crate::ApiError;

/// The whole body. After an error the connection is closed, because the rest of the body would be taken for the next request.
pub(crate) async fn read_body(body: Body, max_bytes: usize, within: Duration) -> Result<Bytes, ApiError> {
    let read = timeout(within, to_bytes(body, max_bytes)).await.map_err(|_| {
        ApiError::new(ErrorCode::Malformed, "the request's body did not arrive in time")
            .with_status(StatusCode::REQUEST_TIMEOUT)
            .with_headers(&[("connection", "close")])
    })?;
    read.map_err(|_| {
        ApiError::new(ErrorCode::BodyTooLong, "the request's body is too long, or incomplete")
            .with_headers(&[("connection", "close")])
    })
}
