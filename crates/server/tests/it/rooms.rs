//! Names, rooms, memberships, and read positions.

use protocol::{EventKind, RoomId};
use serde_json::{Value, json};

use crate::client_ext::{ClientExt, body};
use crate::server::TestServer;

fn golden_names() -> Value {
    serde_json::from_str(include_str!("../../../protocol/golden/names.json")).unwrap()
}

#[test]
fn room_names_match_the_golden_file() {
    let server = TestServer::open();
    let mut li = server.guest();
    let names = golden_names();
    for (typed, shown) in names["room"]["accepted"].as_object().unwrap() {
        let joined = li.request(json!({"type":"join","room":typed}));
        assert_eq!((&joined["type"], &joined["name"]), (&json!("joined"), shown), "{typed:?}");
    }
    for bad in names["room"]["rejected"].as_array().unwrap() {
        let command = json!({"type":"join","room":bad});
        // Text in the canonical form of an id is an id.
        let is_id = bad.as_str().unwrap().parse::<RoomId>().is_ok();
        let expected = if is_id {
            li.request(command);
            continue;
        } else {
            "invalid_name"
        };
        assert_eq!(li.rejected_with(command), expected, "{bad:?}");
    }
    assert_eq!(li.request(json!({"type":"join","room":"x".repeat(64)}))["type"], "joined");
}

#[test]
fn user_names_match_the_golden_file() {
    let server = TestServer::open();
    let mut li = server.guest();
    let names = golden_names();
    for (typed, shown) in names["user"]["accepted"].as_object().unwrap() {
        let ok = li.request(json!({"type":"rename","name":typed}));
        assert_eq!((&ok["type"], &ok["name"]), (&json!("ok"), shown), "{typed:?}");
    }
    for bad in names["user"]["rejected"].as_array().unwrap() {
        assert_eq!(li.rejected_with(json!({"type":"rename","name":bad})), "invalid_name", "{bad:?}");
    }
}

#[test]
fn room_is_found_regardless_of_case_and_width() {
    let server = TestServer::open();
    let (mut li, mut ann) = (server.guest(), server.guest());
    let created = li.join("Tea").unwrap();
    assert_eq!((created.info.name.as_str(), created.head.0, created.n.0, created.count), ("Tea", 1, 0, 1));
    for (spelling, head) in [("tea", 2), ("TEA", 2), ("ｔｅａ", 2), ("#tea", 2)] {
        let joined = ann.join(spelling).unwrap();
        assert_eq!(
            (joined.info.room, joined.info.name.as_str(), joined.head.0),
            (created.info.room, "Tea", head)
        );
    }
    assert_eq!(
        ann.rejected_with(json!({"type":"join","room":"r999"})),
        "room_not_found",
        "a join by id creates no room"
    );
}

#[test]
fn concurrent_creation_makes_one_room() {
    let server = TestServer::open();
    let mut clients: Vec<_> = (0..8).map(|_| server.guest()).collect();
    for client in &mut clients {
        client.send_text(r#"{"type":"join","id":1,"room":"tea"}"#).unwrap();
    }
    let rooms: Vec<RoomId> = clients.iter_mut().map(|client| client.join("tea").unwrap().info.room).collect();
    assert!(rooms.iter().all(|room| *room == rooms[0]), "{rooms:?}");
}

#[test]
fn room_is_deleted_with_last_member_except_lobby() {
    let server = TestServer::open();
    let mut li = server.guest();
    let silent = li.join("silent").unwrap().info.room;
    let spoken = li.join("spoken").unwrap().info.room;
    let lobby = li.join("lobby").unwrap().info.room;
    li.send_body(spoken, "hello").unwrap();
    for room in ["silent", "spoken", "lobby"] {
        assert_eq!(li.request(json!({"type":"leave","room":room}))["type"], "ok");
    }
    let rooms = li.request(json!({"type":"rooms"}));
    let names: Vec<&str> =
        rooms["rooms"].as_array().unwrap().iter().map(|room| room["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["lobby", "spoken"]);
    assert_eq!(li.rejected_with(json!({"type":"join","room":silent.to_string()})), "room_not_found");
    assert_ne!(li.join("silent").unwrap().info.room, silent, "ids are not reused");
    assert_eq!(li.join("spoken").unwrap().info.room, spoken);
    assert_eq!(li.join("lobby").unwrap().info.room, lobby);
}

#[test]
fn rooms_are_listed_by_id_in_pages() {
    let server = TestServer::open();
    let (mut li, mut ann) = (server.guest(), server.guest());
    let lobby = li.join("lobby").unwrap().info.room;
    for number in 0..5 {
        ann.join(&format!("room-{number}")).unwrap();
    }
    li.join("room-3").unwrap();
    li.send_body(lobby, "hello").unwrap();
    li.request(json!({"type":"read","room":"lobby","seq":2}));
    let mut found = Vec::new();
    let mut after = Value::Null;
    loop {
        let mut command = json!({"type":"rooms","limit":2});
        if !after.is_null() {
            command["after"] = after;
        }
        let page = li.request(command);
        let rooms = page["rooms"].as_array().unwrap().clone();
        assert!(rooms.len() <= 2);
        found.extend(rooms);
        match page.get("next") {
            Some(next) => after = next.clone(),
            None => break,
        }
    }
    let names: Vec<&str> = found.iter().map(|room| room["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["lobby", "room-0", "room-1", "room-2", "room-3", "room-4"]);
    assert_eq!(
        found[0],
        json!({"room":lobby.to_string(),"name":"lobby","head":2,"n":1,"count":1,"joined":true,"read":{"seq":2,"n":1}})
    );
    assert_eq!(
        (&found[1]["joined"], &found[1]["count"], found[1].get("read")),
        (&json!(false), &json!(1), None)
    );
    assert_eq!(found[4]["count"], 2);
    let mine = li.request(json!({"type":"rooms","joined":true}));
    let mine: Vec<&str> =
        mine["rooms"].as_array().unwrap().iter().map(|room| room["name"].as_str().unwrap()).collect();
    assert_eq!(mine, ["lobby", "room-3"]);
}

#[test]
fn rename_reaches_every_room_and_persists() {
    let mut server = TestServer::open();
    let (mut li, token) = server.user("Li");
    let mut ann = server.guest();
    for room in ["tea", "coffee"] {
        li.join(room).unwrap();
        ann.join(room).unwrap();
    }
    li.join("elsewhere").unwrap();
    assert_eq!(li.request(json!({"type":"rename","name":" 李  雷 "}))["name"], "李 雷");
    for _ in 0..2 {
        let event = ann.event_where(|event| matches!(event.kind, EventKind::Renamed { .. })).unwrap();
        assert_eq!(event.kind, EventKind::Renamed { old_name: protocol::UserName::new("Li").unwrap() });
        assert_eq!((event.by.id, event.by.name.as_str()), (li.user_id(), "李 雷"));
    }
    let who = ann.request(json!({"type":"who","room":"tea"}));
    assert!(who["users"].as_array().unwrap().contains(&json!({"id":li.user_id(),"name":"李 雷"})), "{who}");
    // A rename to the present name appends no event.
    let head = ann.request(json!({"type":"history","room":"tea","limit":1}))["events"][0]["seq"].clone();
    li.request(json!({"type":"rename","name":"李 雷"}));
    assert_eq!(ann.request(json!({"type":"history","room":"tea","limit":1}))["events"][0]["seq"], head);
    server.restart();
    assert_eq!(server.reconnect(&token).welcome().unwrap().you.name.as_str(), "李 雷");
}

#[test]
fn read_position_never_moves_back_and_persists() {
    let mut server = TestServer::open();
    let (mut li, token) = server.user("Li");
    let room = li.join("lobby").unwrap().info.room;
    for number in 1..=5 {
        li.send_body(room, &number.to_string()).unwrap();
    }
    for (requested, seq, n) in [(4, 4, 3), (2, 4, 3), (0, 4, 3), (5, 5, 4), (u64::MAX, 6, 5), (1, 6, 5)] {
        let position = li.request(json!({"type":"read","room":"lobby","seq":requested}));
        assert_eq!((&position["seq"], &position["n"]), (&json!(seq), &json!(n)), "{requested}");
    }
    let (mut ann, ann_token) = server.user("Ann");
    ann.join("lobby").unwrap();
    assert_eq!(ann.request(json!({"type":"read","room":"lobby","seq":3}))["n"], 2);
    server.restart();
    let joined = server.reconnect(&token).join("lobby").unwrap();
    let read = joined.read.unwrap();
    assert_eq!((read.seq.0, read.n.0, joined.n.0), (6, 5, 5), "nothing is unread");
    let joined = server.reconnect(&ann_token).join("lobby").unwrap();
    assert_eq!(joined.n.0 - joined.read.unwrap().n.0, 3, "three are unread");
}

#[test]
fn leave_is_answered_last() {
    let server = TestServer::open();
    let (mut li, token) = server.user("Li");
    let mut also_li = server.reconnect(&token);
    let mut ann = server.guest();
    let room = li.join("lobby").unwrap().info.room;
    also_li.join("lobby").unwrap();
    let head = ann.join("lobby").unwrap().head.0;
    let ids: Vec<_> = (0..300)
        .map(|number| ann.start(&crate::resume::message_command(room, &number.to_string())).unwrap())
        .collect();
    // Li leaves while Ann's messages are being delivered.
    ann.reply_to(ids[100]).unwrap();
    li.send_text(r#"{"type":"leave","id":1,"room":"lobby"}"#).unwrap();
    for id in &ids[101..] {
        ann.reply_to(*id).unwrap();
    }
    let left = ann.event_where(|event| matches!(event.kind, EventKind::MemberLeft {})).unwrap();
    assert_eq!(left.by.id, li.user_id());
    ann.send_body(room, "not for Li").unwrap();
    for client in [&mut li, &mut also_li] {
        client.event_where(|event| event.seq.0 == head).unwrap();
        client.events_of(room, head, left.seq.0 - head);
        let received = client.received();
        assert!(
            received.iter().all(|frame| !matches!(frame, protocol::ServerFrame::Event(_))),
            "{received:?}"
        );
    }
    assert_eq!(
        li.rejected_with(json!({"type":"send","room":"lobby","client_message_id":"k","body":"x"})),
        "not_a_member"
    );
}

#[test]
fn leave_reply_follows_the_last_event() {
    let server = TestServer::open();
    let mut li = server.guest();
    let mut ann = server.guest();
    let room = li.join("lobby").unwrap().info.room;
    ann.join("lobby").unwrap();
    for round in 0..20 {
        for number in 0..10 {
            ann.start(&crate::resume::message_command(room, &format!("{round}-{number}"))).unwrap();
        }
        li.send_text(r#"{"type":"leave","id":1,"room":"lobby"}"#).unwrap();
        let mut last = 0;
        loop {
            match li.next_frame(crate::client_ext::WAIT_TIMEOUT).unwrap() {
                protocol::ServerFrame::Event(event) => last = event.seq.0,
                frame if crate::client_ext::reply_id(&frame) == Some(1) => {
                    let reply: Value = serde_json::from_str(&frame.to_json()).unwrap();
                    assert_eq!(reply["seq"], last, "{reply}");
                    break;
                }
                _ => {}
            }
        }
        li.join("lobby").unwrap();
    }
}

#[test]
fn rejoined_member_receives_new_events() {
    let server = TestServer::open();
    let (mut li, mut ann) = (server.guest(), server.guest());
    let room = ann.join("lobby").unwrap().info.room;
    for round in 0..3 {
        assert_eq!(li.join("lobby").unwrap().count, 2);
        ann.send_body(room, &format!("hello {round}")).unwrap();
        assert_eq!(body(&li.next_event().unwrap()), format!("hello {round}"));
        li.request(json!({"type":"leave","room":"lobby"}));
        assert!(matches!(li.next_event().unwrap().kind, EventKind::MemberLeft {}));
        assert_eq!(li.rejected_with(json!({"type":"leave","room":"lobby"})), "not_a_member");
    }
    assert_eq!(li.rejected_with(json!({"type":"leave","room":"nowhere"})), "room_not_found");
}

#[test]
fn leave_and_join_in_one_frame_is_a_member() {
    let server = TestServer::open();
    let (mut li, mut ann) = (server.guest(), server.guest());
    let mut line = server.lines(crate::client_ext::plain_text());
    let room = li.join("lobby").unwrap().info.room;
    ann.join("lobby").unwrap();
    for round in 0..30 {
        // The send keeps the store busy, so that leave and join share a batch.
        li.send_text(&format!(
            r#"[{{"type":"send","id":1,"room":"lobby","client_message_id":"{round}","body":"x"}},
                {{"type":"leave","id":2,"room":"lobby"}},{{"type":"join","id":3,"room":"lobby"}}]"#
        ))
        .unwrap();
        line.send_text("y").unwrap();
        line.send_text("/leave").unwrap();
        li.frame_where(|frame| crate::client_ext::reply_id(frame) == Some(2)).unwrap();
        li.frame_where(|frame| crate::client_ext::reply_id(frame) == Some(3)).unwrap();
        loop {
            if line.next_line().unwrap() == "* you are in lobby" {
                break;
            }
        }
        let last = format!("round {round}");
        ann.send_body(room, &last).unwrap();
        assert!(li.bodies_until(&last).contains(&last));
        loop {
            if line.next_line().unwrap().ends_with(&last) {
                break;
            }
        }
    }
}

#[test]
fn rooms_per_user_are_limited() {
    let server = TestServer::with(&[("LIMITS_ENABLED", "true"), ("LIMITS_ROOMS_PER_USER", "2")]);
    let mut li = server.guest();
    li.join("one").unwrap();
    li.join("two").unwrap();
    assert_eq!(li.rejected_with(json!({"type":"join","room":"three"})), "too_many_rooms");
    assert_eq!(li.join("one").unwrap().head.0, 1, "rooms of the user can still be joined");
    li.request(json!({"type":"leave","room":"one"}));
    li.join("three").unwrap();
}
