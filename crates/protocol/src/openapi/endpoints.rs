//! The HTTP endpoints that are not operations: their handlers are written by hand, and these rows put them into the document.

use schemars::{Schema, SchemaGenerator};

use crate::ErrorCode::{self, *};
use crate::operations::{Access, Method, Route};
use crate::{CreateSession, Session};

/// An endpoint whose handler is written by hand.
pub(super) struct Endpoint {
    pub(super) operation_id: &'static str,
    pub(super) tag: &'static str,
    pub(super) summary: &'static str,
    pub(super) route: Route,
    pub(super) request: Option<fn(&mut SchemaGenerator) -> Schema>,
    pub(super) replies: &'static [(u16, &'static str, Content)],
    /// The error codes in addition to those that any route may return.
    pub(super) errors: &'static [ErrorCode],
}

/// The body of a response.
#[derive(Clone, Copy)]
pub(super) enum Content {
    Nothing,
    Json(fn(&mut SchemaGenerator) -> Schema),
    /// A body of this media type, without a schema.
    Media(&'static str),
}

const SESSION: Content = Content::Json(SchemaGenerator::subschema_for::<Session>);
const STORE: &[ErrorCode] = &[Unavailable, StorageFull];

pub(super) const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        operation_id: "create_session",
        tag: "sessions",
        summary: "Creates a guest and a session, unless the request has a valid session.",
        // Needs no session; a request from a page of another origin is rejected unless the origin is allowed.
        route: Route { access: Access::Session, ..Route::change(Method::Post, "/api/v1/session").creating() },
        request: Some(SchemaGenerator::subschema_for::<CreateSession>),
        replies: &[(200, "The session of the request.", SESSION), (201, "A new guest.", SESSION)],
        errors: &[InvalidName, RateLimited, Unavailable, StorageFull],
    },
    Endpoint {
        operation_id: "get_session",
        tag: "sessions",
        summary: "Returns the user of the session.",
        route: Route::get("/api/v1/session"),
        request: None,
        replies: &[(200, "The session.", SESSION)],
        errors: STORE,
    },
    Endpoint {
        operation_id: "delete_session",
        tag: "sessions",
        summary: "Ends the session. The response is sent after its connections are closed.",
        route: Route::change(Method::Delete, "/api/v1/session"),
        request: None,
        replies: &[(204, "The session has ended.", Content::Nothing)],
        errors: STORE,
    },
    Endpoint {
        operation_id: "healthz",
        tag: "server",
        summary: "Answers 200 while the process runs.",
        route: Route::get("/healthz").public(),
        request: None,
        replies: &[(200, "The process runs.", Content::Media("text/plain"))],
        errors: &[],
    },
    Endpoint {
        operation_id: "readyz",
        tag: "server",
        summary: "Answers 200 while the server accepts messages.",
        route: Route::get("/readyz").public(),
        request: None,
        replies: &[(200, "The store accepts writes.", Content::Media("text/plain"))],
        errors: STORE,
    },
    Endpoint {
        operation_id: "metrics",
        tag: "server",
        summary: "Counters and gauges in the OpenMetrics text format.",
        route: Route::get("/metrics").public(),
        request: None,
        replies: &[(200, "The metrics.", Content::Media("application/openmetrics-text"))],
        errors: &[],
    },
    Endpoint {
        operation_id: "openapi",
        tag: "server",
        summary: "This document.",
        route: Route::get("/api/v1/openapi.json").public(),
        request: None,
        replies: &[(200, "The document.", Content::Media("application/json"))],
        errors: &[],
    },
    Endpoint {
        operation_id: "docs",
        tag: "server",
        summary: "This document as an HTML page.",
        route: Route::get("/api/docs").public(),
        request: None,
        replies: &[(200, "The page.", Content::Media("text/html"))],
        errors: &[],
    },
];
