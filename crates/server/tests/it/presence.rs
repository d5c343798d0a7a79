//! Presence, typing, and guests who leave when their connection ends.

use std::collections::BTreeSet;

use client::Client;
use protocol::{ControlFrame, EventKind, Presence, ServerFrame, UserId};
use serde_json::{Value, json};

use crate::client_ext::{ClientExt, plain_text};
use crate::server::TestServer;

fn presence(client: &mut Client, wanted: impl Fn(&Presence) -> bool) -> Presence {
    let frame = client.frame_where(
        |frame| matches!(frame, ServerFrame::ControlFrame(ControlFrame::Presence(found)) if wanted(found)),
    );
    match frame.unwrap() {
        ServerFrame::ControlFrame(ControlFrame::Presence(presence)) => presence,
        other => unreachable!("{other:?}"),
    }
}

fn count(client: &mut Client) -> Value {
    client.request(json!({"type":"who","room":"lobby"}))["count"].clone()
}

#[test]
fn presence_changes_reach_the_room() {
    let server = TestServer::open();
    let mut ann = server.guest();
    ann.join("lobby").unwrap();
    let (mut li, _) = server.user("Li");
    let joined = li.join("lobby").unwrap();
    assert_eq!(joined.count, 2);
    assert_eq!(joined.online.iter().map(|user| user.id).collect::<Vec<_>>(), [ann.user_id(), li.user_id()]);
    let arrival = presence(&mut ann, |frame| frame.online.iter().any(|user| user.id == li.user_id()));
    assert_eq!((arrival.count, arrival.offline), (2, vec![]));
    let who = li.user_id();
    li.close().unwrap();
    let departure = presence(&mut ann, |frame| frame.offline.contains(&who));
    assert_eq!((departure.count, departure.online), (1, vec![]));
    let received = ann.received();
    assert!(!received.iter().any(|frame| matches!(frame, ServerFrame::Event(event) if matches!(event.kind, EventKind::MemberLeft {}))), "a user with a token stays a member: {received:?}");
}

#[test]
fn closing_one_of_two_connections_keeps_presence() {
    let server = TestServer::open();
    let mut ann = server.guest();
    ann.join("lobby").unwrap();
    let (mut li, token) = server.user("Li");
    let mut also_li = server.reconnect(&token);
    let who = li.user_id();
    li.join("lobby").unwrap();
    assert_eq!(also_li.join("lobby").unwrap().count, 2);
    presence(&mut ann, |frame| frame.online.iter().any(|user| user.id == who));
    li.close().unwrap();
    assert_eq!(count(&mut ann), 2);
    also_li.close().unwrap();
    assert_eq!(count(&mut ann), 1);
    let departure = presence(&mut ann, |frame| frame.offline.contains(&who));
    assert_eq!(departure.count, 1);
}

#[test]
fn reconnect_within_a_second_changes_no_presence() {
    let server = TestServer::open();
    let mut ann = server.guest();
    ann.join("lobby").unwrap();
    let (mut li, token) = server.user("Li");
    li.join("lobby").unwrap();
    let who = li.user_id();
    presence(&mut ann, |frame| frame.online.iter().any(|user| user.id == who));
    li.close().unwrap();
    let mut li = server.reconnect(&token);
    li.join("lobby").unwrap();
    let (mut mei, _) = server.user("Mei");
    mei.join("lobby").unwrap();
    // If the machine stalls for a second, both changes are sent; otherwise neither is.
    let mut balance = 0;
    loop {
        let change = presence(&mut ann, |_| true);
        balance += i32::from(change.online.iter().any(|user| user.id == who));
        balance -= i32::from(change.offline.contains(&who));
        if change.online.iter().any(|user| user.id == mei.user_id()) {
            assert_eq!(change.count, 3);
            break;
        }
    }
    assert_eq!(balance, 0);
}

#[test]
fn large_presence_is_a_count_and_pages() {
    let server = TestServer::open();
    let mut clients: Vec<Client> = (0..120).map(|_| server.guest()).collect();
    for client in &mut clients {
        client.join("lobby").unwrap();
    }
    let last = &mut clients[119];
    let joined = last.join("lobby").unwrap();
    assert_eq!((joined.count, joined.online.len()), (120, 50));
    let summary = presence(last, |frame| frame.count == 120);
    assert_eq!(
        (summary.online, summary.offline),
        (vec![], vec![]),
        "above a hundred users only the count is sent"
    );
    for (limit, size) in [(json!(50), 50), (json!(1000), 100), (Value::Null, 100)] {
        let mut users: Vec<UserId> = Vec::new();
        let mut command = json!({"type":"who","room":"lobby"});
        if !limit.is_null() {
            command["limit"] = limit;
        }
        loop {
            let page = clients[0].request(command.clone());
            assert_eq!(page["count"], 120);
            let listed = page["users"].as_array().unwrap();
            assert!(listed.len() <= size);
            users.extend(listed.iter().map(|user| user["id"].as_str().unwrap().parse::<UserId>().unwrap()));
            match page.get("next") {
                Some(next) => command["after"] = next.clone(),
                None => break,
            }
        }
        assert!(users.is_sorted());
        let all: BTreeSet<UserId> = clients.iter().map(|client| client.user_id()).collect();
        assert_eq!(users.iter().copied().collect::<BTreeSet<_>>(), all);
        assert_eq!(users.len(), 120);
    }
}

#[test]
fn typing_reaches_its_room_and_needs_membership() {
    let server = TestServer::open();
    let (mut li, mut ann, mut mei) = (server.guest(), server.guest(), server.guest());
    let tea = li.join("tea").unwrap().info.room;
    ann.join("tea").unwrap();
    mei.join("coffee").unwrap();
    ann.join("coffee").unwrap();
    assert_eq!(li.request(json!({"type":"typing","room":"tea"}))["type"], "ok");
    let is_typing = |frame: &ServerFrame| matches!(frame, ServerFrame::ControlFrame(ControlFrame::Typing(_)));
    let ServerFrame::ControlFrame(ControlFrame::Typing(typing)) = ann.frame_where(is_typing).unwrap() else {
        unreachable!()
    };
    assert_eq!((typing.room, typing.by.id), (tea, li.user_id()));
    assert_eq!(mei.received().iter().filter(|frame| is_typing(frame)).count(), 0);
    for command in ["typing", "who"] {
        assert_eq!(mei.rejected_with(json!({"type":command,"room":"tea"})), "not_a_member");
        assert_eq!(mei.rejected_with(json!({"type":command,"room":tea.to_string()})), "not_a_member");
    }
    for command in ["read", "leave"] {
        assert_eq!(mei.rejected_with(json!({"type":command,"room":"tea","seq":1})), "not_a_member");
    }
}

fn left(client: &mut Client, who: UserId) {
    client.event_where(|event| event.by.id == who && matches!(event.kind, EventKind::MemberLeft {})).unwrap();
}

#[test]
fn guest_without_token_leaves_on_any_disconnect() {
    let server = TestServer::open();
    let mut ann = server.guest();
    ann.join("lobby").unwrap();
    ann.join("tea").unwrap();
    for way in ["close", "end", "reset", "binary"] {
        let mut li = server.guest();
        let who = li.user_id();
        li.join("lobby").unwrap();
        li.join("tea").unwrap();
        match way {
            "close" => drop(li.close().unwrap()),
            "end" => drop(li),
            "reset" => li.reset(),
            _ => {
                li.send_message(websocket::Opcode::Binary, b"x").unwrap();
                assert_eq!(li.closed().unwrap(), 1003);
            }
        }
        left(&mut ann, who);
        left(&mut ann, who);
    }
    assert_eq!(count(&mut ann), 1);
}

#[test]
fn guest_gone_before_join_reply_leaves() {
    let server = TestServer::open();
    let mut ann = server.guest();
    ann.join("lobby").unwrap();
    const MANY: usize = 30;
    for _ in 0..MANY {
        // The server joins a line client to the lobby at once; this one disconnects at once.
        Client::open(server.addr, plain_text()).unwrap().reset();
    }
    let (mut joined, mut left) = (BTreeSet::new(), BTreeSet::new());
    while left.len() < MANY {
        let event = ann.next_event().unwrap();
        match event.kind {
            EventKind::MemberJoined { also_joined } => {
                for user in std::iter::once(event.by).chain(also_joined) {
                    assert!(joined.insert(user.id));
                }
            }
            EventKind::MemberLeft {} => assert!(joined.contains(&event.by.id) && left.insert(event.by.id)),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn guests_of_killed_server_leave_at_next_start() {
    let mut server = TestServer::open();
    let (mut li, token) = server.user("Li");
    let mut guest = server.guest();
    let room = li.join("lobby").unwrap().info.room;
    let head = guest.join("lobby").unwrap().head.0;
    let (own, other) = (li.user_id(), guest.user_id());
    server.kill();
    server.start();
    let mut li = server.reconnect(&token);
    li.resume(&[(room, head)]);
    let event = li.events_of(room, head, 1).remove(0);
    assert_eq!((event.by.id, event.kind), (other, EventKind::MemberLeft {}));
    assert_eq!(li.user_id(), own);
    assert_eq!(count(&mut li), 1);
}
