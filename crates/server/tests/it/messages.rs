//! Messages: order, delivery, and limits of bodies and frames.

use client::Received;
use protocol::EventKind;
use serde_json::json;

use crate::client_ext::{ClientExt, WAIT_TIMEOUT, body};
use crate::server::TestServer;

#[test]
fn two_members_receive_one_order() {
    let server = TestServer::open();
    let (mut li, _) = server.user("李雷");
    let (mut ann, _) = server.user("Ann");
    let room = li.join("lobby").unwrap().info.room;
    let head = ann.join("lobby").unwrap().head.0;
    // Both send at once, without waiting for replies.
    for number in 0..100 {
        for client in [&mut li, &mut ann] {
            let command = json!({"type":"send","room":room.to_string(),"client_message_id":format!("k{number}"),"body":number.to_string()});
            client.send_text(&command.to_string()).unwrap();
        }
    }
    let joined = li.next_event().unwrap();
    assert_eq!(
        (joined.kind, joined.by.id),
        (EventKind::MemberJoined { also_joined: Vec::new() }, ann.user_id())
    );
    let received = li.events_of(room, head, 200);
    assert_eq!(ann.events_of(room, head, 200), received);
    for (before, event) in received.iter().enumerate() {
        assert_eq!(event.n.0, before as u64 + 1, "n counts messages");
        let EventKind::Message { client_message_id: Some(key), body } = &event.kind else {
            panic!("{event:?}")
        };
        assert_eq!(key.as_str(), format!("k{}", body.as_str()), "the key is that of the sender");
    }
    for (client, name) in [(&li, "李雷"), (&ann, "Ann")] {
        let own: Vec<_> = received.iter().filter(|event| event.by.id == client.user_id()).collect();
        assert!(own.iter().all(|event| event.by.name.as_str() == name));
        let bodies: Vec<String> = own.iter().map(|event| body(event).to_owned()).collect();
        assert_eq!(bodies, (0..100).map(|number| number.to_string()).collect::<Vec<_>>());
    }
}

#[test]
fn body_is_delivered_unchanged() {
    let server = TestServer::open();
    let mut li = server.guest();
    let mut ann = server.guest();
    let room = li.join("lobby").unwrap().info.room;
    ann.join("lobby").unwrap();
    let longest = "茶".repeat(8192 / 3) + "ab";
    assert_eq!(longest.len(), 8192);
    let controls = "\u{1}".repeat(8192);
    for typed in [
        "你好，世界",
        "👩‍🚀👨‍👩‍👧‍👦🏳️‍🌈",
        "<script>alert(1)</script>&amp;\"'\\",
        "one\ntwo\r\n\tthree ",
        " leading and trailing\n",
        "e\u{301} and é are not the same",
        "\u{202e}right to left\u{2028}\u{feff}",
        "/join is text here, not a command",
        &longest,
        &controls,
    ] {
        let seq = li.send_body(room, typed).unwrap();
        let event = ann.event_where(|event| event.seq == seq).unwrap();
        assert_eq!(body(&event), typed);
        let page = ann.request(json!({"type":"history","room":"lobby","limit":1}));
        assert_eq!(page["events"][0]["body"], typed);
    }
}

#[test]
fn body_above_the_limit_is_rejected() {
    for (setting, limit) in [(None, 8192), (Some("1KiB"), 1024), (Some("10KiB"), 10_240)] {
        let server = match setting {
            Some(size) => TestServer::with(&[("MAX_MESSAGE_BYTES", size)]),
            None => TestServer::open(),
        };
        let mut li = server.guest();
        assert_eq!(li.welcome().unwrap().limits.body_bytes, limit);
        let room = li.join("lobby").unwrap().info.room;
        let longest = "x".repeat(limit as usize);
        let command = |body: &str| json!({"type":"send","room":room.to_string(),"client_message_id":body.len().to_string(),"body":body});
        assert_eq!(li.rejected_with(command(&format!("{longest}x"))), "body_too_long");
        assert_eq!(li.request(command(&longest))["type"], "ok");
    }
}

#[test]
fn frame_above_64_kib_closes_with_1009() {
    let server = TestServer::open();
    let mut li = server.guest();
    let frame = |len: usize| {
        let empty = r#"{"type":"ping","x":""}"#;
        empty.replace(r#""""#, &format!(r#""{}""#, "x".repeat(len - empty.len())))
    };
    li.send_text(&frame(65_536)).unwrap();
    li.received();
    li.send_text(&frame(65_537)).unwrap();
    assert_eq!(li.closed().unwrap(), 1009);
}

#[test]
fn message_reaches_all_connections_of_its_sender() {
    let server = TestServer::open();
    let (mut li, token) = server.user("Li");
    let mut also_li = server.reconnect(&token);
    let room = li.join("lobby").unwrap().info.room;
    let second = also_li.join("lobby").unwrap();
    assert_eq!(second.head.0, 1, "a second connection appends no event");
    let seq = li.send_body(room, "hello").unwrap();
    for client in [&mut li, &mut also_li] {
        assert_eq!(
            client.event_where(|event| event.seq == seq).map(|event| body(&event).to_owned()).unwrap(),
            "hello"
        );
    }
}

#[test]
fn events_reach_members_only() {
    let server = TestServer::open();
    let mut li = server.guest();
    let mut ann = server.guest();
    let tea = li.join("tea").unwrap().info.room;
    let coffee = ann.join("coffee").unwrap().info.room;
    li.send_body(tea, "for the tea room").unwrap();
    ann.send_body(coffee, "for the coffee room").unwrap();
    ann.event_where(|event| event.room == coffee && matches!(event.kind, EventKind::Message { .. })).unwrap();
    assert_eq!(ann.received().iter().filter(|frame| frame.to_json().contains("tea")).count(), 0);
}

#[test]
fn server_sends_no_binary_or_fragmented_frames() {
    let server = TestServer::open();
    let mut li = server.guest();
    let room = li.join("lobby").unwrap().info.room;
    li.send_body(room, "hello").unwrap();
    li.send_text(r#"{"type":"history","id":1,"room":"lobby"}"#).unwrap();
    loop {
        match li.next_message(WAIT_TIMEOUT).unwrap() {
            Received::Text(text) if text.contains(r#""more""#) => return,
            Received::Text(_) | Received::Ping(_) => {}
            other => panic!("{other:?}"),
        }
    }
}
