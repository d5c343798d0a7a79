//! The response to a request that failed: a status, and the same stable codes as over WebSocket.

use std::borrow::Cow;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{self, HeaderName, HeaderValue};
use protocol::{ErrorCode, HttpError};

/// The error of a request. The message is public.
#[derive(Clone, Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    pub(crate) code: ErrorCode,
    message: Cow<'static, str>,
    retry_after: Option<Duration>,
    headers: Vec<(&'static str, &'static str)>,
}

impl ApiError {
    pub(crate) fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        // `every_code_has_a_status` checks them all.
        let status = StatusCode::from_u16(code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = match code {
            // Required by RFC 9110, 15.5.2.
            ErrorCode::Unauthorized => vec![("www-authenticate", "Bearer")],
            _ => Vec::new(),
        };
        ApiError { status, code, message: message.into(), retry_after: None, headers }
    }

    /// 401: the request has no session, or one that has ended.
    pub(crate) fn unauthorized() -> Self {
        ErrorCode::Unauthorized.into()
    }

    /// 404: no route and no file has this path.
    pub(crate) fn not_found() -> Self {
        ErrorCode::NotFound.into()
    }

    /// 405: the path has a route, but not for this method. The router adds `Allow`.
    pub(crate) fn method_not_allowed() -> Self {
        Self::new(ErrorCode::NotFound, "this path does not have this method")
            .with_status(StatusCode::METHOD_NOT_ALLOWED)
    }

    /// 429: the request exceeds a rate; `wait` is the time until there is a token.
    pub(crate) fn rate_limited(message: &'static str, wait: Duration) -> Self {
        ApiError { retry_after: Some(wait), ..Self::new(ErrorCode::RateLimited, message) }
    }

    /// The same error with a status that fits better than the code's own.
    pub(crate) fn with_status(self, status: StatusCode) -> Self {
        ApiError { status, ..self }
    }

    /// The same error with the headers that its status requires.
    pub(crate) fn with_headers(mut self, headers: &[(&'static str, &'static str)]) -> Self {
        self.headers.extend_from_slice(headers);
        self
    }

    /// The whole response, for a connection that hyper does not serve.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let body = self.body();
        let reason = self.status.canonical_reason().unwrap_or_default();
        let mut head = format!(
            "HTTP/1.1 {} {reason}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n",
            self.status.as_u16(),
            body.len()
        );
        if let Some(seconds) = self.retry_after_seconds() {
            head.push_str(&format!("retry-after: {seconds}\r\n"));
        }
        head.push_str("\r\n");
        [head.into_bytes(), body].concat()
    }

    fn body(&self) -> Vec<u8> {
        let retry_after_ms =
            // Rounded up, so that a retry after this time succeeds.
            self.retry_after.map(|wait| u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX).max(1));
        let retryable = self.code.is_retryable();
        // Strings, a bool and a number, which serde_json always serializes.
        serde_json::to_vec(&HttpError { code: self.code, message: &self.message, retryable, retry_after_ms })
            .unwrap_or_default()
    }

    /// Whole seconds, as RFC 9110 requires; rounded up, so that a retry after this time succeeds.
    fn retry_after_seconds(&self) -> Option<u64> {
        match self.retry_after {
            Some(wait) => Some(wait.as_secs() + u64::from(wait.subsec_nanos() > 0)),
            None => self.code.is_retryable().then_some(1),
        }
    }
}

impl From<ErrorCode> for ApiError {
    fn from(code: ErrorCode) -> Self {
        Self::new(code, code.message())
    }
}

impl From<domain::CommandError> for ApiError {
    fn from(error: domain::CommandError) -> Self {
        Self::new(error.code, error.message)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.body()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(seconds) = self.retry_after_seconds() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        for (name, value) in self.headers {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        // `connection.rs` counts it in the metrics.
        response.extensions_mut().insert(self.code);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_status() {
        for code in ErrorCode::ALL {
            let error = ApiError::from(*code);
            assert_eq!(error.status.as_u16(), code.http_status(), "{code}");
            assert!(error.status.is_client_error() || error.status.is_server_error());
        }
    }

    #[test]
    fn retry_delay_has_both_units_and_is_rounded_up() {
        let error = ApiError::rate_limited("too often", Duration::from_millis(1500));
        let text = String::from_utf8(error.to_bytes()).unwrap();
        assert!(text.starts_with("HTTP/1.1 429 Too Many Requests\r\n"), "{text}");
        assert!(text.contains("\r\nretry-after: 2\r\n"));
        assert!(text.ends_with(
            r#"{"code":"rate_limited","message":"too often","retryable":true,"retry_after_ms":1500}"#
        ));
        let response = error.into_response();
        assert_eq!(response.headers()["retry-after"], "2");
    }

    #[test]
    fn permanent_error_has_no_retry_after() {
        let response = ApiError::unauthorized().into_response();
        assert!(!response.headers().contains_key(header::RETRY_AFTER));
        assert_eq!(response.headers()["www-authenticate"], "Bearer");
    }
}
