//! Every operation that needs a permission, over both transports: its allowed case, and the rejection of a user without it. The
//! operations come from the table, so that a new one cannot be forgotten.

use client::{Client, http};
use protocol::operations::{Access, Method, OPERATIONS, Permission, Row};
use protocol::{ControlFrame, ErrorCode, ServerFrame};
use serde_json::{Value, json};

use crate::client_ext::{ClientExt, reply_id};
use crate::server::TestServer;

/// The first example of the operation's request, for this room.
fn example(row: &Row, room: &str) -> Value {
    let mut request: Value = serde_json::from_str(row.requests[0]).unwrap();
    match row.name {
        "resume" => request["rooms"] = json!({ room: 1 }),
        _ => request["room"] = json!(room),
    }
    // A position that exists in every room.
    if row.name == "read" {
        request["seq"] = json!(1);
    }
    request
}

fn error_code(frame: ServerFrame) -> Option<String> {
    match frame {
        ServerFrame::ControlFrame(ControlFrame::Error(error)) => Some(error.code.to_string()),
        _ => None,
    }
}

/// The error code over WebSocket; `None` for a success. A `resume` has a frame per room, and `typing` has no reply but an
/// error.
fn over_websocket(user: &mut Client, request: &Value) -> Option<String> {
    let mut request = request.clone();
    if request["type"] == "resume" {
        user.send_text(&request.to_string()).unwrap();
        let outcome = |frame: &ServerFrame| {
            matches!(frame, ServerFrame::ControlFrame(ControlFrame::Error(_) | ControlFrame::Joined(_)))
        };
        let outcome = user.frame_where(outcome).unwrap();
        let id = request["id"].as_u64();
        user.frame_where(|frame| reply_id(frame) == id).expect("the resume itself is answered");
        return error_code(outcome);
    }
    if request["type"] == "typing" {
        request.as_object_mut().unwrap().remove("id");
        user.send_text(&request.to_string()).unwrap();
        return user.received().into_iter().find_map(error_code);
    }
    let reply = user.request(request);
    reply.get("code").map(|code| code.as_str().unwrap().to_owned())
}

/// The same over HTTP; `None` also if the operation has no route.
fn over_http(
    server: &TestServer,
    bearer: &str,
    row: &Row,
    mut request: Value,
    room: &str,
) -> Option<(u16, String)> {
    let route = row.http?;
    assert_ne!(route.access, Access::Public, "{}", row.name);
    let fields = request.as_object_mut().unwrap();
    for field in ["type", "id", "room"] {
        fields.remove(field);
    }
    let body = if route.method == Method::Get { String::new() } else { request.to_string() };
    let path = route.path.replace("{room}", room);
    let answer =
        http(server.addr, route.method.as_str(), &path, &[("Authorization", bearer)], body.as_bytes())
            .unwrap();
    let code = answer.json::<Value>().unwrap()["code"].as_str().map(str::to_owned);
    Some((answer.status, code.unwrap_or_default()))
}

#[test]
fn member_operation_is_allowed_to_members_only() {
    let server = TestServer::open();
    let (member, outsider) = (server.token("Li"), server.token("Ann"));
    let mut li = server.reconnect(&member);
    let mut ann = server.reconnect(&outsider);
    ann.join("lobby").unwrap();
    // A room without members would be deleted.
    let mut mei = server.guest();
    mei.join("tea").unwrap();
    let mut checked = 0;
    for row in OPERATIONS.iter().map(|definition| definition.row) {
        if row.permission != Some(Permission::Member) {
            continue;
        }
        checked += 1;
        // `leave` ends the membership.
        let room = li.join("tea").unwrap().info.room.to_string();
        let request = example(row, &room);
        assert_eq!(over_websocket(&mut ann, &request).as_deref(), Some("not_a_member"), "{}", row.name);
        assert_eq!(over_websocket(&mut li, &request), None, "{}", row.name);
        li.join("tea").unwrap();
        let rejected = over_http(&server, &format!("Bearer {outsider}"), row, request.clone(), &room);
        let allowed = over_http(&server, &format!("Bearer {member}"), row, request, &room);
        if row.http.is_some() {
            assert_eq!(rejected, Some((403, "not_a_member".to_owned())), "{}", row.name);
            let (status, code) = allowed.unwrap();
            assert!((200..300).contains(&status), "{} {status} {code}", row.name);
        }
    }
    assert!(checked >= 8, "the table has no member operations");
}

#[test]
fn join_beyond_the_rooms_of_a_user_is_rejected() {
    let server = TestServer::with(&[("LIMITS_ENABLED", "true"), ("LIMITS_ROOMS_PER_USER", "1")]);
    let token = server.token("Li");
    let mut li = server.reconnect(&token);
    li.join("one").unwrap();
    let joins: Vec<_> = OPERATIONS.iter().filter(|it| it.row.permission == Some(Permission::Join)).collect();
    assert_eq!(joins.len(), 1, "another operation needs this permission: add its cases");
    let code = ErrorCode::TooManyRooms.as_str();
    assert_eq!(li.rejected_with(json!({"type":"join","room":"two"})), code);
    let rejected = over_http(&server, &format!("Bearer {token}"), joins[0].row, json!({}), "two");
    assert_eq!(rejected.unwrap().1, code);
    let allowed = over_http(&server, &format!("Bearer {token}"), joins[0].row, json!({}), "one");
    assert_eq!(allowed.unwrap().0, 200, "a room of the user can still be joined");
}
