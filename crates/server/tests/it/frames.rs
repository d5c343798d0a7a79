//! Commands as the protocol document writes them, and malformed frames.

use std::collections::BTreeMap;

use client::Client;
use serde_json::{Map, Value, json};

use crate::client_ext::ClientExt;
use crate::server::TestServer;

/// Optional fields of frames; and the attributes of a room, which are absent while they have their default.
const OPTIONAL: [&str; 8] =
    ["id", "next", "read", "retry_after_ms", "online", "offline", "client_message_id", "room"];

fn golden(text: &str) -> Vec<Value> {
    serde_json::from_str(text).unwrap()
}

fn client_frames() -> Vec<Value> {
    golden(include_str!("../../../protocol/golden/client.json"))
}

fn server_frames() -> Vec<Value> {
    golden(include_str!("../../../protocol/golden/server.json"))
}

/// Whether `found` has the fields of `example`, with values of the same kinds.
fn fits(found: &Value, example: &Value) -> bool {
    match (found, example) {
        (Value::Object(found), Value::Object(example)) => fields_fit(found, example),
        (Value::Array(found), Value::Array(examples)) => {
            found.iter().all(|found| examples.iter().any(|example| fits(found, example)))
        }
        _ => std::mem::discriminant(found) == std::mem::discriminant(example),
    }
}

fn fields_fit(found: &Map<String, Value>, example: &Map<String, Value>) -> bool {
    let known = found.iter().all(|(key, value)| example.get(key).is_some_and(|example| fits(value, example)));
    known && example.keys().all(|key| found.contains_key(key) || OPTIONAL.contains(&key.as_str()))
}

fn check_shape(found: &Value) {
    let mut examples = server_frames();
    // A page may hold any event.
    let events: Vec<Value> = examples.iter().filter(|frame| frame.get("at").is_some()).cloned().collect();
    for page in examples.iter_mut().filter(|frame| frame.get("events").is_some()) {
        page["events"] = json!(events);
    }
    let fitting = examples
        .iter()
        .filter(|example| example["type"] == found["type"])
        .any(|example| fits(found, example));
    assert!(fitting, "not like any golden frame: {found}");
}

/// The objects of the next text frame.
fn next_objects(client: &mut Client) -> Vec<Value> {
    match serde_json::from_str(&client.next_line().unwrap()).unwrap() {
        Value::Array(several) => several,
        one => vec![one],
    }
}

/// Everything up to the reply to `id`.
fn until_reply(client: &mut Client, id: u64) -> Vec<Value> {
    let mut received = Vec::new();
    loop {
        for object in next_objects(client) {
            check_shape(&object);
            let done = object["id"] == id;
            received.push(object);
            if done {
                return received;
            }
        }
    }
}

#[test]
fn golden_commands_get_golden_replies() {
    let server = TestServer::open();
    let token = server.token("李雷");
    let mut li = server.reconnect(&token);
    // The golden frames refer to rooms r1 to r12, and to 60 events in r1.
    li.join("lobby").unwrap();
    for number in 2..=12 {
        assert_eq!(li.join(&format!("room-{number}")).unwrap().info.room.0, number);
    }
    let lobby = protocol::RoomId(1);
    for number in 1..=60 {
        li.send_body(lobby, &number.to_string()).unwrap();
    }
    drop(li);

    for command in client_frames() {
        // Reads raw text frames: the client library ignores unknown fields.
        let mut li = client::Client::open(server.addr, crate::client_ext::bearer(&token)).unwrap();
        let welcome = next_objects(&mut li);
        check_shape(&welcome[0]);
        assert_eq!(welcome[0]["type"], "welcome", "welcome comes first");
        let epoch = &welcome[0]["epoch"];
        li.send_text(r#"{"type":"join","id":7000,"room":"r1"}"#).unwrap();
        until_reply(&mut li, 7000);

        let mut command = command;
        if command.get("epoch").is_some() {
            command["epoch"] = epoch.clone();
        }
        li.send_text(&command.to_string()).unwrap();
        let id = command["id"].as_u64();
        let received = match id {
            Some(id) => until_reply(&mut li, id),
            None => {
                li.send_text(
                    r#"{"type":"send","id":7001,"room":"r1","client_message_id":"barrier","body":"b"}"#,
                )
                .unwrap();
                until_reply(&mut li, 7001)
            }
        };
        assert!(
            received.iter().all(|frame| frame["type"] != "error"),
            "{command} was rejected: {received:?}"
        );
        let replies: Vec<&Value> =
            received.iter().filter(|frame| id.is_some() && frame["id"] == command["id"]).collect();
        let kind = command["type"].as_str().unwrap();
        match (id, kind) {
            (None, _) => {}
            (_, "join") => assert_eq!(replies[0]["type"], "joined"),
            _ => assert_eq!(replies[0]["type"], "ok"),
        }
        let field = match kind {
            "send" | "leave" => "seq",
            "who" => "users",
            "rename" => "name",
            "rooms" => "rooms",
            "history" => "events",
            "read" => "n",
            _ => "type",
        };
        assert!(id.is_none() || replies[0].get(field).is_some(), "{command}: {replies:?}");
        if kind == "resume" {
            let rooms: Vec<&Value> = received
                .iter()
                .filter(|frame| frame["type"] == "joined")
                .map(|frame| &frame["room"])
                .collect();
            assert_eq!(rooms, ["r1", "r12"]);
            assert!(received.iter().all(|frame| frame["type"] != "joined" || frame.get("id").is_none()));
        }
    }
}

#[test]
fn events_and_ephemeral_frames_match_golden_frames() {
    let server = TestServer::open();
    let mut li = client::Client::open(server.addr, crate::client_ext::options()).unwrap();
    li.send_text(r#"{"type":"join","id":1,"room":"tea"}"#).unwrap();
    until_reply(&mut li, 1);
    let mut ann = server.guest();
    let room = ann.join("tea").unwrap().info.room;
    ann.request(json!({"type":"typing","room":"tea"}));
    ann.send_body(room, "hello").unwrap();
    ann.request(json!({"type":"rename","name":"安"}));
    drop(ann);
    let mut wanted = vec!["member_joined", "typing", "message", "renamed", "presence", "member_left"];
    while !wanted.is_empty() {
        for object in next_objects(&mut li) {
            check_shape(&object);
            wanted.retain(|kind| object["type"] != *kind);
        }
    }
    li.send_text(r#"{"type":"join","id":2,"room":"tea","after":1,"epoch":"another"}"#).unwrap();
    let received = until_reply(&mut li, 2);
    assert!(received.iter().any(|object| object["type"] == "reset"), "{received:?}");
}

#[test]
fn each_id_in_a_mixed_array_is_answered_once() {
    let server = TestServer::open();
    let mut li = server.guest();
    let room = li.join("lobby").unwrap().info.room;
    li.send_text(&format!(
        r#"[{{"type":"ping","id":1}},{{"type":"dance","id":2}},3,{{"type":"send","id":4,"room":"{room}","client_message_id":"k","body":"hi"}},
            {{"type":"send","id":5,"room":"{room}","client_message_id":"k","body":"ho"}},{{"type":"who","id":6,"room":"{room}"}},
            {{"type":"history","id":7,"room":"{room}"}},{{"type":"join","id":8,"room":"a b"}},{{"type":"join","id":9,"room":"tea"}},
            {{"type":"resume","id":10,"rooms":{{}}}},null,{{"id":11}},{{"type":"rooms","id":12}},{{"type":"leave","id":13,"room":"tea"}},
            {{"type":"ping","id":9007199254740991}}]"#
    ))
    .unwrap();
    let mut counts: BTreeMap<Option<u64>, Vec<String>> = BTreeMap::new();
    let all: Vec<u64> = vec![1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 9_007_199_254_740_991];
    let count = |frames: Vec<Value>, counts: &mut BTreeMap<_, Vec<String>>| {
        for frame in frames {
            let kind = frame["type"].as_str().unwrap().to_owned();
            if matches!(kind.as_str(), "ok" | "joined" | "error") {
                counts.entry(frame["id"].as_u64()).or_default().push(kind);
            }
        }
    };
    while !all.iter().all(|id| counts.contains_key(&Some(*id))) {
        let objects = next_objects(&mut li);
        count(objects, &mut counts);
    }
    li.send_text(r#"[{"type":"rooms","id":20},{"type":"read","id":21,"room":"lobby","seq":1}]"#).unwrap();
    while !(counts.contains_key(&Some(20)) && counts.contains_key(&Some(21))) {
        let objects = next_objects(&mut li);
        count(objects, &mut counts);
    }
    assert_eq!(counts.remove(&None), Some(vec!["error".to_owned(); 2]), "3 and null have no id");
    for (id, kinds) in counts {
        let expected = match id {
            Some(2 | 5 | 8 | 11) => "error",
            Some(9) => "joined",
            _ => "ok",
        };
        assert_eq!(kinds, [expected], "{id:?}");
    }
}

#[test]
fn command_without_id_gets_only_errors_and_pong() {
    let server = TestServer::open();
    let mut li = server.guest();
    li.join("lobby").unwrap();
    for silent in [
        r#"{"type":"send","room":"lobby","client_message_id":"k","body":"hi"}"#,
        r#"{"type":"typing","room":"lobby"}"#,
        r#"{"type":"who","room":"lobby"}"#,
        r#"{"type":"rename","name":"Li"}"#,
        r#"{"type":"rooms"}"#,
        r#"{"type":"history","room":"lobby"}"#,
        r#"{"type":"read","room":"lobby","seq":1}"#,
        r#"{"type":"resume","rooms":{}}"#,
        r#"{"type":"leave","room":"lobby"}"#,
    ] {
        li.send_text(silent).unwrap();
        // One request through the reader thread and one through the writer thread: both have sent their frames after these.
        li.request(json!({"type":"rooms"}));
        li.request(json!({"type":"join","room":"lobby"}));
        let received = li.received();
        let reply = received.iter().find(|frame| {
            let json = frame.to_json();
            ["ok", "joined", "error"].iter().any(|kind| json.contains(&format!(r#""type":"{kind}""#)))
        });
        assert_eq!(reply, None, "{silent}");
    }
    for answered in [r#"{"type":"ping"}"#, r#"{"type":"leave","room":"nowhere"}"#, r#"{"type":"dance"}"#] {
        li.send_text(answered).unwrap();
        let reply = li.next_frame(crate::client_ext::WAIT_TIMEOUT).unwrap().to_json();
        assert!(reply.contains("ok") || reply.contains("error"), "{answered} {reply}");
        assert!(!reply.contains(r#""id""#), "{reply}");
    }
}

#[test]
fn malformed_command_is_rejected_and_connection_stays() {
    let server = TestServer::open();
    let mut li = server.guest();
    let deep = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
    let deep_field = format!(r#"{{"type":"dance","x":{deep}}}"#);
    let many = format!("[{}]", vec![r#"{"type":"ping"}"#; 257].join(","));
    for (text, code) in [
        ("", "malformed"),
        ("hello", "malformed"),
        ("{", "malformed"),
        ("1", "malformed"),
        ("null", "malformed"),
        ("\"ping\"", "malformed"),
        ("{}", "malformed"),
        (r#"{"type":7}"#, "malformed"),
        (r#"{"type":"ping","id":-1}"#, "malformed"),
        (r#"{"type":"ping","id":1.5}"#, "malformed"),
        (r#"{"type":"ping","id":"1"}"#, "malformed"),
        (r#"{"type":"join"}"#, "malformed"),
        (r#"{"type":"join","room":1}"#, "malformed"),
        (r#"{"type":"resume","rooms":{"lobby":1}}"#, "malformed"),
        (r#"{"type":"history","room":"lobby","after":1,"before":2}"#, "malformed"),
        (r#"{"type":"send","room":"lobby","client_message_id":"a b","body":"x"}"#, "malformed"),
        (r#"{"type":"send","room":"lobby","client_message_id":"k","body":"a\u0000"}"#, "malformed"),
        (r#"{"type":"dance"}"#, "unknown_type"),
        (r#"{"type":"Ping"}"#, "unknown_type"),
        ("[1", "malformed"),
        ("[1]", "malformed"),
        (&deep, "malformed"),
        (&deep_field, "unknown_type"),
        (&many, "malformed"),
    ] {
        li.send_text(text).unwrap();
        let head: String = text.chars().take(60).collect();
        let reply = li
            .next_frame(crate::client_ext::WAIT_TIMEOUT)
            .unwrap_or_else(|error| panic!("{error} to {head}"));
        let reply: Value = serde_json::from_str(&reply.to_json()).unwrap();
        assert_eq!((&reply["type"], &reply["code"]), (&json!("error"), &json!(code)), "{head} {reply}");
    }
    assert_eq!(li.received(), [], "257 commands get one error, and none of them is executed");
}

#[test]
fn array_holds_at_most_256_commands() {
    let server = TestServer::open();
    let mut li = server.guest();
    li.send_text("[]").unwrap();
    li.send_text(&format!("[{}]", vec![r#"{"type":"ping"}"#; 256].join(","))).unwrap();
    assert_eq!(li.received().len(), 256);
}

#[test]
fn unknown_fields_are_ignored() {
    let server = TestServer::open();
    let mut li = server.guest();
    let joined = li.request(json!({"type":"join","room":"lobby","colour":"green","rooms":[1,{"x":null}]}));
    assert_eq!(joined["type"], "joined");
    let ok = li.request(
        json!({"type":"send","room":"lobby","client_message_id":"k","body":"hi","by":"Ann","seq":1}),
    );
    assert_eq!(ok["seq"], 2);
}
