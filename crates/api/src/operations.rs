//! The HTTP form of the operations, from the table in `protocol`: path, query and body of a request become one object, which is
//! parsed by the same code as a WebSocket frame.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, RawPathParams, Request, State};
use axum::http::request::Parts;
use axum::response::Response;
use axum::routing::{MethodFilter, on};
use protocol::operations::{Definition, FieldType, Method, OPERATIONS, Route, Row};
use protocol::{Command, ErrorCode, FrameError, Limits};
use serde_json::{Map, Value};

use crate::identity::Credential;
use crate::request_body::read_body;
use crate::request_origin::RequestOrigin;
use crate::{ApiError, HttpState, effects};

/// The parts of an operation's row that its handler uses.
struct Endpoint {
    row: &'static Row,
    route: Route,
    /// The types of the fields: in a query, a number is text.
    fields: BTreeMap<String, FieldType>,
}

/// Adds a route for each operation that has an HTTP form.
pub(crate) fn add_routes(mut router: Router<Arc<HttpState>>) -> Router<Arc<HttpState>> {
    for definition in OPERATIONS {
        let Definition { row, .. } = definition;
        let Some(route) = row.http else { continue };
        let endpoint = Arc::new(Endpoint { row, route, fields: definition.field_types() });
        let filter = match route.method {
            Method::Get => MethodFilter::GET,
            Method::Post => MethodFilter::POST,
            Method::Put => MethodFilter::PUT,
            Method::Patch => MethodFilter::PATCH,
            Method::Delete => MethodFilter::DELETE,
        };
        let handler = move |State(state): State<Arc<HttpState>>,
                            path: Result<RawPathParams, axum::extract::rejection::RawPathParamsRejection>,
                            request: Request| {
            let endpoint = Arc::clone(&endpoint);
            async move {
                let done = endpoint.handle(&state, path.ok(), request).await;
                if let Err(error) = &done {
                    debug_assert!(
                        endpoint.row.may_return(error.code),
                        "{} returned {}",
                        endpoint.row.name,
                        error.code
                    );
                }
                done
            }
        };
        router = router.route(route.path, on(filter, handler));
    }
    router
}

impl Endpoint {
    async fn handle(
        &self,
        state: &HttpState,
        path: Option<RawPathParams>,
        request: Request,
    ) -> Result<Response, ApiError> {
        let (parts, body) = request.into_parts();
        let origin = RequestOrigin::of(&parts.headers, &state.settings.allowed_origins)?;
        let credential = match self.route.method {
            Method::Get => Credential::of(&parts.headers, &origin),
            _ => Credential::for_change(&parts.headers, &origin),
        };
        let identity = state.must_identify(credential).await?;
        let body = match self.route.method {
            Method::Get => Map::new(),
            _ => {
                let limit = Limits::FRAME_BYTES as usize;
                object(&read_body(body, limit, state.settings.timeouts.headers).await?)?
            }
        };
        let parameters = self.parameters(path, &parts, body)?;
        let command = Command::from_parameters(self.row.name, parameters, state.settings.max_message_bytes)?;
        effects::execute(state, identity, command, self.route.creates).await
    }

    /// One object of all parameters. The path overrides the query and the body; these must not both contain a field.
    fn parameters(
        &self,
        path: Option<RawPathParams>,
        parts: &Parts,
        mut parameters: Map<String, Value>,
    ) -> Result<Map<String, Value>, ApiError> {
        let query = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri);
        let Query(query) = query.map_err(|_| malformed("the query cannot be decoded"))?;
        for (name, text) in query {
            // Unknown fields are ignored, as in a frame.
            let Some(field_type) = self.fields.get(&name) else { continue };
            if parameters.insert(name, field_type.read(text)).is_some() {
                return Err(malformed("a parameter occurs twice"));
            }
        }
        for name in self.route.omits {
            parameters.remove(*name);
        }
        // `None`: the path is not UTF-8.
        let path =
            path.ok_or_else(|| ApiError::new(ErrorCode::InvalidName, "not the id or name of a room"))?;
        for (name, text) in &path {
            parameters.insert(name.to_owned(), Value::String(text.to_owned()));
        }
        Ok(parameters)
    }
}

fn object(body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    if body.is_empty() {
        return Ok(Map::new());
    }
    serde_json::from_slice(body).map_err(|_| malformed("the body must be a JSON object"))
}

fn malformed(message: &'static str) -> ApiError {
    ApiError::new(ErrorCode::Malformed, message)
}

impl From<FrameError> for ApiError {
    fn from(error: FrameError) -> Self {
        ApiError::new(error.code, error.message)
    }
}
