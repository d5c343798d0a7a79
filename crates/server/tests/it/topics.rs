//! The topic of a room, over each protocol.

use client::Client;
use protocol::EventKind;
use serde_json::{Value, json};

use crate::client_ext::{ClientExt, plain_text};
use crate::http_operations::{HttpUser, rejection};
use crate::server::TestServer;

fn set_topic(room: &str, topic: &str) -> Value {
    json!({"type":"set_topic","room":room,"topic":topic})
}

fn next_topic(client: &mut Client) -> String {
    match client.next_event().unwrap().kind {
        EventKind::TopicChanged { topic } => topic.to_string(),
        other => panic!("{other:?}"),
    }
}

/// The next line that contains `part`.
fn line(client: &mut Client, part: &str) -> String {
    loop {
        let line = client.next_line().unwrap();
        if line.contains(part) {
            return line;
        }
    }
}

#[test]
fn topic_reaches_members_and_later_joiners() {
    let server = TestServer::open();
    let (mut li, mut ann) = (server.guest(), server.guest());
    let room = li.join("tea").unwrap().info.room;
    ann.join("tea").unwrap();
    assert_eq!(li.next_event().unwrap().seq.0, 2);
    let reply = li.request(set_topic("tea", " 今天喝龙井 "));
    assert_eq!((&reply["type"], &reply["topic"]), (&json!("ok"), &json!("今天喝龙井")));
    let event = ann.next_event().unwrap();
    assert_eq!((event.room, event.seq.0, event.n.0, event.by.id), (room, 3, 0, li.user_id()));
    assert!(matches!(event.kind, EventKind::TopicChanged { topic } if topic.as_str() == "今天喝龙井"));
    assert_eq!(next_topic(&mut li), "今天喝龙井");
    let mut bob = server.guest();
    assert_eq!(bob.request(json!({"type":"join","room":"tea"}))["topic"], "今天喝龙井");
    let listed = bob.request(json!({"type":"rooms","joined":true}));
    assert_eq!(listed["rooms"][0]["topic"], "今天喝龙井");
    assert_eq!(bob.request(set_topic("tea", ""))["topic"], "");
    assert!(bob.request(json!({"type":"join","room":"tea"})).get("topic").is_none());
}

#[test]
fn same_topic_is_appended_once() {
    let server = TestServer::open();
    let mut li = server.guest();
    li.join("tea").unwrap();
    for _ in 0..2 {
        assert_eq!(li.request(set_topic("tea", "x"))["topic"], "x");
    }
    assert_eq!(li.request(json!({"type":"history","room":"tea"}))["events"].as_array().unwrap().len(), 2);
}

#[test]
fn topic_survives_a_restart() {
    let mut server = TestServer::open();
    let (mut li, token) = server.user("Li");
    li.join("lobby").unwrap();
    li.request(set_topic("lobby", "龙井"));
    server.restart();
    let mut li = server.reconnect(&token);
    assert_eq!(li.join("lobby").unwrap().info.attributes.topic.as_str(), "龙井");
    let page = li.request(json!({"type":"history","room":"lobby"}));
    assert_eq!(page["events"][1]["topic"], "龙井");
}

#[test]
fn rejected_topics_have_the_codes_of_the_protocol() {
    let server = TestServer::open();
    let (mut li, token) = server.user("Li");
    let mut ann = server.guest();
    ann.join("tea").unwrap();
    li.join("lobby").unwrap();
    let http = HttpUser::of(&server, &token);
    let longest = "茶".repeat(250);
    let too_long = format!("{longest}茶");
    for (room, topic, status, code) in [
        ("tea", "x", 403, "not_a_member"),
        ("nowhere", "x", 404, "room_not_found"),
        ("a b", "x", 400, "invalid_name"),
        ("lobby", &too_long, 400, "topic_too_long"),
        ("lobby", "a\nb", 400, "malformed"),
        ("lobby", "a\u{1b}b", 400, "malformed"),
    ] {
        assert_eq!(li.rejected_with(set_topic(room, topic)), code, "{topic:?}");
        let path = format!("/api/v1/rooms/{}/topic", room.replace(' ', "%20"));
        assert_eq!(
            rejection(http.put(&path, json!({"topic":topic}))),
            (status, code.to_owned()),
            "{topic:?}"
        );
    }
    assert_eq!(li.rejected_with(json!({"type":"set_topic","room":"lobby"})), "malformed");
    assert_eq!(li.request(set_topic("lobby", &longest))["topic"], longest);
}

#[test]
fn topics_are_limited_like_messages() {
    let settings = [("LIMITS_ENABLED", "true"), ("LIMITS_MESSAGES", "0.01/h burst 2")];
    let server = TestServer::with(&settings);
    let (mut li, token) = server.user("Li");
    li.join("lobby").unwrap();
    assert_eq!(li.request(set_topic("lobby", "one"))["type"], "ok");
    let message = json!({"type":"send","room":"lobby","client_message_id":"k","body":"x"});
    assert_eq!(li.request(message)["type"], "ok");
    assert_eq!(li.rejected_with(set_topic("lobby", "two")), "rate_limited");
    let over_http = HttpUser::of(&server, &token).put("/api/v1/rooms/lobby/topic", json!({"topic":"two"}));
    assert_eq!(rejection(over_http), (429, "rate_limited".to_owned()));
}

#[test]
fn topic_set_over_http_reaches_the_room() {
    let server = TestServer::open();
    let li = HttpUser::new(&server, "Li");
    li.post("/api/v1/rooms/tea/join", json!({}));
    let mut ann = server.guest();
    ann.join("tea").unwrap();
    let path = "/api/v1/rooms/tea/topic";
    assert_eq!(li.put(path, json!({"topic":" 龙井 "})), (200, json!({"topic":"龙井"})));
    assert_eq!(next_topic(&mut ann), "龙井");
    assert_eq!(li.get("/api/v1/rooms?joined=true").1["rooms"][0]["topic"], "龙井");
    assert_eq!(li.post("/api/v1/rooms/tea/join", json!({})).1["topic"], "龙井");
    assert_eq!(li.put(path, json!({"topic":""})), (200, json!({"topic":""})));
    assert!(li.post("/api/v1/rooms/tea/join", json!({})).1.get("topic").is_none());
}

#[test]
fn topic_is_a_command_and_a_notice_in_plain_text() {
    let server = TestServer::open();
    let mut li = server.lines(plain_text());
    let chinese = vec![("Accept-Language".to_owned(), "zh".to_owned())];
    let mut ann = server.lines(client::Options { headers: chinese, ..plain_text() });
    li.send_text("/topic Tea, all day").unwrap();
    assert!(line(&mut li, "topic").ends_with(" changed the topic to “Tea, all day”"));
    assert!(line(&mut ann, "话题").ends_with(" 把话题改为“Tea, all day”"));
    let mut bob = server.lines(plain_text());
    assert_eq!(line(&mut bob, "Topic"), "* Topic: Tea, all day");
    bob.send_text("/topic").unwrap();
    assert!(line(&mut bob, "topic").ends_with(" removed the topic"));
    assert!(line(&mut ann, "话题").ends_with(" 清除了话题"));
    bob.send_text(&format!("/topic {}", "茶".repeat(251))).unwrap();
    assert!(line(&mut bob, "topic").starts_with("* error: A topic has at most 250 characters."));
    bob.send_text("/topic a\u{7}b").unwrap();
    assert!(line(&mut bob, "error").starts_with("* error: "));
}
