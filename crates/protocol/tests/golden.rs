//! The frames of `golden/` are read and written back unchanged here and by the web client's tests: two programs that agree
//! with these files agree with each other and with docs/PROTOCOL.md.

use serde_json::Value;
use teahouse_protocol::{
    CommandEnvelope, ControlFrame, ErrorCode, Event, EventKind, Limits, MessageCount, OPERATIONS, RoomId,
    RoomName, Seq, ServerFrame, Timestamp, User, UserId, UserName, parse_frame,
};

fn golden(text: &str) -> Vec<Value> {
    serde_json::from_str(text).unwrap()
}

#[test]
fn client_frame_is_parsed_and_written_unchanged() {
    for frame in golden(include_str!("../golden/client.json")) {
        let command = CommandEnvelope::parse(&frame.to_string(), 8192).unwrap();
        assert_eq!(serde_json::to_value(&command).unwrap(), frame);
    }
}

#[test]
fn server_frame_is_parsed_and_written_unchanged() {
    for frame in golden(include_str!("../golden/server.json")) {
        let read: ServerFrame = serde_json::from_value(frame.clone()).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&read.to_json()).unwrap(), frame, "{read:?}");
    }
}

#[test]
fn golden_files_are_the_generated_ones() {
    let (client, server) = (teahouse_protocol::golden::client(), teahouse_protocol::golden::server());
    let are_current =
        include_str!("../golden/client.json") == client && include_str!("../golden/server.json") == server;
    assert!(are_current, "golden/ is stale: run `cargo xtask generate`");
}

#[test]
fn golden_error_has_a_message_that_the_server_sends() {
    let malformed = parse_frame("hello", 8192).unwrap().remove(0).unwrap_err().message;
    for frame in golden(include_str!("../golden/server.json")) {
        let read: ServerFrame = serde_json::from_value(frame).unwrap();
        let ServerFrame::ControlFrame(ControlFrame::Error(error)) = read else { continue };
        let is_sent = error.message == error.code.message() || error.message == malformed;
        assert!(is_sent, "{:?}", error.message);
    }
}

#[test]
fn every_operation_has_examples_of_its_own() {
    for definition in OPERATIONS {
        let row = definition.row;
        assert!(!row.requests.is_empty(), "{}", row.name);
        for request in row.requests {
            let command = CommandEnvelope::parse(request, 8192).unwrap().command;
            assert_eq!(command.row().name, row.name, "{request}");
        }
    }
}

#[test]
fn full_event_of_joint_joins_is_far_below_the_frame_limit() {
    // The longest names; with `"` or `\` instead, each character would have two bytes.
    let name = UserName::new(&"𠮷".repeat(Limits::USER_NAME_CHARS as usize)).unwrap();
    let user = User { id: UserId(u64::MAX), name };
    let event = Event {
        kind: EventKind::MemberJoined { also_joined: vec![user.clone(); Limits::JOINED_TOGETHER - 1] },
        room: RoomId(u64::MAX),
        seq: Seq(u64::MAX),
        n: MessageCount(u64::MAX),
        by: user,
        at: Timestamp(0),
    };
    let bytes = serde_json::to_vec(&event).unwrap().len();
    assert!(bytes < 20 * 1024 && bytes < Limits::FRAME_BYTES as usize / 2, "{bytes}");
}

#[test]
fn name_rules_match_the_golden_file() {
    let names: Value = serde_json::from_str(include_str!("../golden/names.json")).unwrap();
    for (text, name) in names["room"]["accepted"].as_object().unwrap() {
        assert_eq!(RoomName::new(text).unwrap().as_str(), name, "{text}");
    }
    for (text, name) in names["user"]["accepted"].as_object().unwrap() {
        assert_eq!(UserName::new(text).unwrap().as_str(), name, "{text}");
    }
    for text in names["room"]["rejected"].as_array().unwrap() {
        assert!(RoomName::new(text.as_str().unwrap()).is_err(), "{text}");
    }
    for text in names["user"]["rejected"].as_array().unwrap() {
        assert!(UserName::new(text.as_str().unwrap()).is_err(), "{text}");
    }
}

#[test]
fn every_error_code_has_its_row_in_the_documentation() {
    let protocol = include_str!("../../../docs/PROTOCOL.md");
    for code in ErrorCode::ALL {
        let retryable = if code.is_retryable() { "yes" } else { "no" };
        let row = format!("| `{code}` | {retryable} | {} |", code.http_status());
        assert!(protocol.contains(&row), "docs/PROTOCOL.md lacks a row that begins with {row}");
    }
}
