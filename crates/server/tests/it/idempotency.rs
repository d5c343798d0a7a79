//! Idempotency: a repeated send appends nothing, and acknowledged messages survive a crash.

use std::collections::BTreeMap;

use client::Error;
use protocol::{EventKind, EventPage, RoomId, RoomRef};
use serde_json::{Value, json};

use crate::client_ext::ClientExt;
use crate::resume::message_command;
use crate::server::TestServer;

fn send(room: RoomId, key: &str, body: &str) -> Value {
    json!({"type":"send","room":room.to_string(),"client_message_id":key,"body":body})
}

#[test]
fn repeated_send_returns_first_seq_or_conflicts() {
    let mut server = TestServer::open();
    let (mut li, token) = server.user("Li");
    let tea = li.join("tea").unwrap().info.room;
    let coffee = li.join("coffee").unwrap().info.room;
    let first = li.request(send(tea, "k", "hello"))["seq"].clone();
    assert_eq!(first, 2);
    for round in 0..2 {
        assert_eq!(li.request(send(tea, "k", "hello"))["seq"], first);
        assert_eq!(
            li.request(json!({"type":"send","room":"TEA","client_message_id":"k","body":"hello"}))["seq"],
            first
        );
        assert_eq!(li.rejected_with(send(tea, "k", "hello!")), "key_conflict");
        assert_eq!(li.rejected_with(send(coffee, "k", "hello")), "key_conflict");
        let page = li.request(json!({"type":"history","room":"tea"}));
        assert_eq!(page["events"].as_array().unwrap().len(), 2, "nothing was appended");
        if round == 0 {
            server.restart();
            li = server.reconnect(&token);
        }
    }
}

#[test]
fn same_key_of_two_users_is_two_messages() {
    let server = TestServer::open();
    let (mut li, mut ann) = (server.guest(), server.guest());
    let room = li.join("lobby").unwrap().info.room;
    ann.join("lobby").unwrap();
    assert_eq!(li.request(send(room, "k", "hello"))["seq"], 3);
    assert_eq!(ann.request(send(room, "k", "hello"))["seq"], 4);
    assert_eq!(ann.request(send(room, "K", "hello"))["seq"], 5, "keys are case-sensitive");
}

#[test]
fn former_member_may_repeat_but_not_send() {
    let server = TestServer::open();
    let mut li = server.guest();
    let room = li.join("lobby").unwrap().info.room;
    assert_eq!(li.request(send(room, "k", "hello"))["seq"], 2);
    li.request(json!({"type":"leave","room":"lobby"}));
    assert_eq!(li.request(send(room, "k", "hello"))["seq"], 2);
    assert_eq!(li.rejected_with(send(room, "k", "other")), "key_conflict");
    assert_eq!(li.rejected_with(send(room, "l", "hello")), "not_a_member");
    assert_eq!(li.rejected_with(send(RoomId(999), "l", "hello")), "room_not_found");
}

#[test]
fn message_key_has_1_to_64_visible_characters() {
    let server = TestServer::open();
    let mut li = server.guest();
    let room = li.join("lobby").unwrap().info.room;
    for bad in ["", " ", "a b", "键", "a\n", &"k".repeat(65)] {
        assert_eq!(li.rejected_with(send(room, bad, "hello")), "malformed", "{bad:?}");
    }
    for good in ["!", "~", &"k".repeat(64)] {
        assert_eq!(li.request(send(room, good, "hello"))["type"], "ok", "{good:?}");
    }
}

/// A client pipelines sends and repeats them after each crash; `sent` and `acknowledged` are its own record.
#[test]
fn killed_server_keeps_acknowledged_messages_once() {
    let mut server = TestServer::open();
    let (mut li, token) = server.user("Li");
    let room = li.join("lobby").unwrap().info.room;
    let mut sent: Vec<String> = Vec::new();
    let mut acknowledged: BTreeMap<String, u64> = BTreeMap::new();
    for burst in 0..3_u64 {
        let ids: Vec<_> = (0..400)
            .map(|number| {
                let text = format!("{burst}-{number}");
                let id = li.start(&message_command(room, &text)).unwrap();
                sent.push(text.clone());
                (id, text)
            })
            .collect();
        for (index, (id, text)) in ids.into_iter().enumerate() {
            // The server is killed while the other commands are in flight.
            if index == 100 * (burst as usize + 1) {
                server.kill();
            }
            match li.reply_to(id) {
                Ok(reply) => {
                    let protocol::Appended { seq } = reply.ok().unwrap();
                    acknowledged.insert(text, seq.0);
                }
                Err(Error::Closed { code: 1006, .. } | Error::Io(_)) => break,
                Err(error) => panic!("{error}"),
            }
        }
        server.start();
        li = server.reconnect(&token);
        li.call(&protocol::Command::Join(protocol::Join {
            room: RoomRef::Id(room),
            after: None,
            epoch: None,
        }))
        .unwrap();
        assert!(acknowledged.len() >= 100 * (burst as usize + 1));
    }
    let mut events = Vec::new();
    loop {
        let after = events.last().map_or(0, |event: &protocol::Event| event.seq.0);
        let reply = li.request(json!({"type":"history","room":"lobby","after":after,"limit":500}));
        let page: EventPage = serde_json::from_value(reply).unwrap();
        events.extend(page.events);
        if !page.more {
            break;
        }
    }
    let seqs: Vec<u64> = events.iter().map(|event| event.seq.0).collect();
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>(), "no hole");
    let mut stored: BTreeMap<String, u64> = BTreeMap::new();
    let mut order = Vec::new();
    for event in &events {
        if let EventKind::Message { body, .. } = &event.kind {
            assert_eq!(stored.insert(body.as_str().to_owned(), event.seq.0), None, "twice: {event:?}");
            order.push(body.as_str().to_owned());
        }
    }
    for (text, seq) in &acknowledged {
        assert_eq!(stored.get(text), Some(seq), "{text} was acknowledged");
    }
    let positions: Vec<usize> =
        order.iter().map(|text| sent.iter().position(|other| other == text).unwrap()).collect();
    assert!(positions.is_sorted(), "in the order in which they were sent");
    // All are sent again, unchanged: each is stored once, and stored ones keep their sequence number.
    for text in &sent {
        let reply = li.request(send(room, &format!("key-{text}"), text));
        let seq = reply["seq"].as_u64().unwrap();
        assert_eq!(*stored.entry(text.clone()).or_insert(seq), seq);
    }
    let all: std::collections::BTreeSet<u64> = stored.values().copied().collect();
    assert_eq!((all.len(), stored.len()), (1200, 1200));
}
