//! `/api/v1/openapi.json` and `/api/docs`: the documentation of the HTTP API, for programs and for readers.

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

use crate::HttpState;

/// Generated at the first request: most servers never serve it.
static DOCUMENT: LazyLock<String> = LazyLock::new(protocol::openapi::text);

/// Style and script are files of their own, because the content security policy permits none in a page.
pub(super) fn add_routes(router: Router<Arc<HttpState>>) -> Router<Arc<HttpState>> {
    router
        .route("/api/v1/openapi.json", get(|| async { text("application/json", DOCUMENT.as_str()) }))
        .route("/api/docs", get(|| async { text("text/html; charset=utf-8", include_str!("page.html")) }))
        .route("/api/docs.css", get(|| async { text("text/css; charset=utf-8", include_str!("page.css")) }))
        .route(
            "/api/docs.js",
            get(|| async { text("text/javascript; charset=utf-8", include_str!("page.js")) }),
        )
}

fn text(content_type: &'static str, text: &'static str) -> Response {
    ([(CONTENT_TYPE, content_type), (CACHE_CONTROL, "no-cache")], text).into_response()
}
