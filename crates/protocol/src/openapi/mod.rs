//! The OpenAPI 3.1 document, generated from the table of operations and the schemas of their types.
//!
//! OpenAPI cannot describe WebSocket frames. The frames are among the components (`Command`, `ServerFrame`), and the extension
//! `x-websocket` lists every operation with what a path cannot express.

mod endpoints;
mod schemas;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::operations::{Access, Definition, Method, OPERATIONS, Route, Row};
use crate::{ErrorCode, HttpError};
use endpoints::{Content, ENDPOINTS, Endpoint};
use schemas::Schemas;

/// The document as a JSON value.
#[must_use]
pub fn document() -> Value {
    let mut schemas = Schemas::default();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for definition in OPERATIONS {
        if let Some(route) = definition.row.http {
            let operation = operation(&mut schemas, definition, route);
            paths.entry(route.path).or_default().insert(method(route), operation);
        }
    }
    for endpoint in ENDPOINTS {
        let route = endpoint.route;
        paths.entry(route.path).or_default().insert(method(route), hand_written(&mut schemas, endpoint));
    }
    let websocket: Vec<Value> =
        OPERATIONS.iter().map(|definition| websocket(&mut schemas, definition)).collect();
    schemas.add_frames();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Teahouse",
            "version": "1",
            "description": "The HTTP API of a Teahouse server. Every operation has the same fields, error codes, limits and \
                rates over HTTP and over WebSocket (`/ws`, subprotocol `teahouse.v1.json`).",
        },
        "tags": [
            { "name": "operations", "description": "Rooms and messages." },
            { "name": "sessions", "description": "The session of the client." },
            { "name": "server", "description": "For operators and authors of clients." },
        ],
        "paths": paths,
        "x-websocket": { "path": "/ws", "subprotocol": "teahouse.v1.json", "operations": websocket },
        "components": {
            "schemas": schemas.into_components(),
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer", "description": "The token of `create_session`." },
                "cookie": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "teahouse_session",
                    "description": "For pages of the server's own origin. A request that changes something needs their `Origin`.",
                },
            },
        },
    })
}

/// The document as it is served and committed: pretty-printed, with a final line break.
#[must_use]
pub fn text() -> String {
    // Cannot fail: all keys are strings, and no value implements `Serialize` by hand.
    serde_json::to_string_pretty(&document()).expect("the document is JSON") + "\n"
}

fn method(route: Route) -> String {
    route.method.as_str().to_ascii_lowercase()
}

fn operation(schemas: &mut Schemas, definition: &Definition, route: Route) -> Value {
    let row = definition.row;
    let fields = schemas.request_fields(definition);
    let in_path: Vec<&str> = route.path_parameters().collect();
    let (path, rest): (Vec<_>, Vec<_>) = fields
        .into_iter()
        .filter(|field| !route.omits.contains(&field.name.as_str()))
        .partition(|field| in_path.contains(&field.name.as_str()));
    let mut parameters: Vec<Value> = path.iter().map(|field| field.parameter("path")).collect();
    let mut result = json!({
        "operationId": row.name,
        "tags": ["operations"],
        "summary": row.summary,
        "security": security(route.access),
        "x-rate-class": row.rate.as_str(),
        "x-permission": row.permission.map(|permission| format!("{permission:?}")),
        "x-events": row.events,
    });
    if route.method == Method::Get {
        parameters.extend(rest.iter().map(|field| field.parameter("query")));
    } else if !rest.is_empty() {
        let required: Vec<_> = rest.iter().filter(|field| field.required).map(|field| &field.name).collect();
        let properties: Map<String, Value> =
            rest.iter().map(|field| (field.name.clone(), field.schema.clone())).collect();
        let schema = json!({ "type": "object", "properties": properties, "required": required });
        let is_required = !required.is_empty();
        result["requestBody"] =
            json!({ "required": is_required, "content": { "application/json": { "schema": schema } } });
    }
    if !parameters.is_empty() {
        result["parameters"] = parameters.into();
    }
    let reply = schemas.reply(definition.reply);
    let mut replies = vec![(200, "Done.", json_content(&reply))];
    if route.creates {
        replies = vec![
            (200, "A repetition: the request was carried out before.", json_content(&reply)),
            (201, "Created.", json_content(&reply)),
        ];
    }
    result["responses"] = responses(schemas, route, replies, |code| row.may_return(code));
    result
}

fn hand_written(schemas: &mut Schemas, endpoint: &Endpoint) -> Value {
    let route = endpoint.route;
    let is_open = endpoint.operation_id == "create_session" || route.access == Access::Public;
    let mut result = json!({
        "operationId": endpoint.operation_id,
        "tags": [endpoint.tag],
        "summary": endpoint.summary,
        "security": if is_open { json!([]) } else { security(route.access) },
    });
    if let Some(request) = endpoint.request {
        let schema = schemas.request(request);
        result["requestBody"] =
            json!({ "required": false, "content": { "application/json": { "schema": schema } } });
    }
    let replies = endpoint.replies.iter().map(|&(status, description, content)| {
        let content = match content {
            Content::Nothing => Value::Null,
            Content::Json(schema) => json_content(&schemas.reply(schema)),
            Content::Media(media) => json!({ media: {} }),
        };
        (status, description, content)
    });
    let replies = replies.collect();
    result["responses"] =
        responses(schemas, route, replies, |code| route.may_return(code) || endpoint.errors.contains(&code));
    result
}

fn security(access: Access) -> Value {
    match access {
        Access::Public => json!([]),
        Access::Session | Access::Change => json!([{ "bearer": [] }, { "cookie": [] }]),
    }
}

fn json_content(schema: &Value) -> Value {
    json!({ "application/json": { "schema": schema } })
}

/// The successful responses, and one response for each status that an error code maps to, with the codes that share it.
fn responses(
    schemas: &mut Schemas,
    route: Route,
    replies: Vec<(u16, &str, Value)>,
    may_return: impl Fn(ErrorCode) -> bool,
) -> Value {
    let mut responses = Map::new();
    for (status, description, content) in replies {
        let mut response = json!({ "description": description });
        if !content.is_null() {
            response["content"] = content;
        }
        responses.insert(status.to_string(), response);
    }
    let error = json_content(&schemas.reply(|generator| generator.subschema_for::<HttpError>()));
    let mut by_status: BTreeMap<u16, Vec<String>> = BTreeMap::new();
    for code in ErrorCode::ALL.iter().filter(|code| may_return(**code)) {
        by_status.entry(code.http_status()).or_default().push(format!("`{code}`: {}", code.meaning()));
    }
    if route.method != Method::Get {
        let late = "`malformed`: the body did not arrive in time.".to_owned();
        by_status.entry(408).or_default().push(late);
    }
    for (status, codes) in by_status {
        let response = json!({ "description": codes.join("\n\n"), "content": error });
        responses.insert(status.to_string(), response);
    }
    responses.into()
}

/// The description of an operation over WebSocket, for `x-websocket`.
fn websocket(schemas: &mut Schemas, definition: &Definition) -> Value {
    let Row { name, summary, reply, http, permission, rate, events, .. } = definition.row;
    let errors: Vec<&str> = definition
        .row
        .error_codes()
        .filter(|code| definition.row.may_return_over_websocket(*code))
        .map(ErrorCode::as_str)
        .collect();
    json!({
        "name": name,
        "summary": summary,
        "frame": schemas.command(definition),
        "reply": reply,
        "http": http.map(|route| format!("{} {}", route.method.as_str(), route.path)),
        "permission": permission.map(|permission| format!("{permission:?}")),
        "rate_class": rate.as_str(),
        "events": events,
        "errors": errors,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn committed_document_is_the_generated_one() {
        let committed = include_str!("../../../../docs/openapi.json");
        assert!(committed == text(), "docs/openapi.json is stale: run `cargo xtask generate`");
    }

    #[test]
    fn operation_ids_are_wire_names_and_unique() {
        let document = document();
        let mut ids = BTreeSet::new();
        for item in document["paths"].as_object().unwrap().values() {
            for operation in item.as_object().unwrap().values() {
                assert!(ids.insert(operation["operationId"].as_str().unwrap().to_owned()), "{operation}");
            }
        }
        for id in ["send", "join", "history", "rooms", "who", "rename", "read", "leave", "create_session"] {
            assert!(ids.contains(id), "{id}");
        }
        assert!(!ids.contains("typing"));
    }

    #[test]
    fn every_reference_has_its_component() {
        fn references<'v>(value: &'v Value, found: &mut BTreeSet<&'v str>) {
            match value {
                Value::Object(map) => {
                    found.extend(map.get("$ref").and_then(Value::as_str));
                    map.values().for_each(|value| references(value, found));
                }
                Value::Array(list) => list.iter().for_each(|value| references(value, found)),
                _ => {}
            }
        }
        let document = document();
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }
}
