//! Resume from a cursor: missed events arrive once and in order, or a gap names them.

use client::{Client, http};
use protocol::{Command, ControlFrame, Event, EventPage, RoomId, ServerFrame};
use serde_json::json;

use crate::client_ext::{ClientExt, bearer, body};
use crate::server::TestServer;

/// A room with `count` messages after the join of its creator: 1, 2, 3 …
fn room_with(server: &TestServer, name: &str, count: u64) -> RoomId {
    let (mut host, _) = server.user("Host");
    let room = host.join(name).unwrap().info.room;
    send_numbers(&mut host, room, 1..=count);
    room
}

/// Sends numbers as fast as the server accepts them, and waits for the last `ok`.
pub(crate) fn send_numbers(client: &mut Client, room: RoomId, numbers: std::ops::RangeInclusive<u64>) {
    let mut started = Vec::new();
    for number in numbers {
        started.push(client.start(&message_command(room, &number.to_string())).unwrap());
        if started.len() == 100 {
            for id in started.drain(..) {
                client.reply_to(id).unwrap();
            }
        }
    }
    for id in started {
        client.reply_to(id).unwrap();
    }
}

/// A `send` command whose idempotency key is derived from the text.
pub(crate) fn message_command(room: RoomId, text: &str) -> Command {
    Command::Send(protocol::Send {
        room: protocol::RoomRef::Id(room),
        // Long texts differ at the end.
        client_message_id: protocol::ClientMessageId::new(format!(
            "key-{}",
            &text[text.len().saturating_sub(40)..]
        ))
        .unwrap(),
        body: protocol::MessageBody::new(text, 8192).unwrap(),
    })
}

/// All events after `after`, page by page: by the command, and over HTTP, which must return the same.
fn history(
    server: &TestServer,
    client: &mut Client,
    token: &str,
    room: RoomId,
    after: u64,
    to: u64,
) -> Vec<Event> {
    let (mut events, mut by_http) = (Vec::<Event>::new(), Vec::<Event>::new());
    while events.last().map_or(after, |event| event.seq.0) < to {
        let after = events.last().map_or(after, |event| event.seq.0);
        let reply =
            client.request(json!({"type":"history","room":room.to_string(),"after":after,"limit":500}));
        let page: EventPage = serde_json::from_value(reply).unwrap();
        assert!(!page.events.is_empty());
        events.extend(page.events);
        let path = format!("/api/v1/rooms/{room}/events?after={after}&limit=500");
        let answer =
            http(server.addr, "GET", &path, &[("Authorization", &format!("Bearer {token}"))], b"").unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        let other: EventPage = answer.json().unwrap();
        assert_eq!(other.more, page.more);
        by_http.extend(other.events);
    }
    assert_eq!(events, by_http);
    events
}

#[test]
fn resume_is_served_from_memory() {
    // Each shard has its own log of a room in memory, for as long as one of its connections has the room open.
    let server = TestServer::with(&[("SHARDS", "1")]);
    let (mut li, token) = server.user("Li");
    let mut ann = server.guest();
    let room = li.join("lobby").unwrap().info.room;
    let head = ann.join("lobby").unwrap().head.0;
    li.event_where(|event| event.seq.0 == head).unwrap();
    drop(li);
    send_numbers(&mut ann, room, 1..=50);
    let before = server.metric("teahouse_catch_ups_total");
    let mut li = server.reconnect(&token);
    let joined = li.resume(&[(room, head)]);
    assert_eq!((joined[0].head.0, joined[0].n.0), (head + 50, 50));
    let missed = li.events_of(room, head, 50);
    assert_eq!(body(&missed[49]), "50");
    assert_eq!(server.metric("teahouse_catch_ups_total"), before, "the store was not read");
    ann.send_body(room, "live").unwrap();
    assert_eq!(body(&li.events_of(room, head + 50, 1)[0]), "live");
}

#[test]
fn resume_after_restart_is_served_from_the_store() {
    let mut server = TestServer::open();
    let (mut li, token) = server.user("Li");
    let (mut ann, ann_token) = server.user("Ann");
    let room = li.join("茶馆").unwrap().info.room;
    let head = ann.join("茶馆").unwrap().head.0;
    send_numbers(&mut ann, room, 1..=1000);
    server.restart();
    let mut li = server.reconnect(&token);
    let joined = li.join_after(room, head);
    assert_eq!((joined.head.0, joined.n.0, joined.info.name.as_str()), (head + 1000, 1000, "茶馆"));
    let missed = li.events_of(room, head, 1000);
    assert!(missed.iter().zip(1..).all(|(event, number)| body(event) == number.to_string()));
    let mut ann = server.reconnect(&ann_token);
    ann.resume(&[(room, head + 1000)]);
    ann.send_body(room, "live").unwrap();
    assert_eq!(body(&li.events_of(room, head + 1000, 1)[0]), "live");
}

#[test]
fn gap_above_a_thousand_is_filled_by_history() {
    let mut server = TestServer::open();
    let (mut li, token) = server.user("Li");
    let (mut ann, ann_token) = server.user("Ann");
    let room = li.join("lobby").unwrap().info.room;
    let head = ann.join("lobby").unwrap().head.0;
    send_numbers(&mut ann, room, 1..=1001);
    server.restart();
    let mut li = server.reconnect(&token);
    assert_eq!(li.join_after(room, head).head.0, head + 1001);
    let gap = li.gap();
    assert_eq!((gap.room, gap.from.0, gap.to.0), (room, head + 1, head + 1001));
    let mut ann = server.reconnect(&ann_token);
    ann.join_after(room, head + 1001);
    ann.send_body(room, "live").unwrap();
    assert_eq!(body(&li.events_of(room, head + 1001, 1)[0]), "live", "live events follow the gap");
    let filled = history(&server, &mut li, &token, room, head, head + 1001);
    let filled: Vec<_> =
        filled.iter().map(|event| (event.seq.0, body(event).to_owned())).take(1001).collect();
    assert_eq!(filled, (1..=1001).map(|number| (head + number, number.to_string())).collect::<Vec<_>>());
    assert_eq!(server.metric("teahouse_gaps_total"), 1.0);
}

#[test]
fn history_pages_reach_the_first_event() {
    let server = TestServer::open();
    let room = room_with(&server, "lobby", 250);
    let mut li = server.guest();
    let head = li.join("lobby").unwrap().head.0;
    let mut before = head + 1;
    let mut pages = Vec::new();
    loop {
        let reply = li.request(json!({"type":"history","room":room.to_string(),"before":before}));
        let page: EventPage = serde_json::from_value(reply).unwrap();
        assert!(page.events.len() <= 100, "the default limit is 100");
        before = page.events[0].seq.0;
        let more = page.more;
        pages.push(page.events);
        if !more {
            break;
        }
    }
    let seqs: Vec<u64> = pages.iter().rev().flatten().map(|event| event.seq.0).collect();
    assert_eq!(seqs, (1..=head).collect::<Vec<_>>());
    // Pages beyond either end are empty.
    for command in [
        json!({"type":"history","room":"lobby","before":1}),
        json!({"type":"history","room":"lobby","before":0}),
        json!({"type":"history","room":"lobby","after":head}),
        json!({"type":"history","room":"lobby","after":u64::MAX}),
    ] {
        let reply = li.request(command.clone());
        assert_eq!((&reply["events"], &reply["more"]), (&json!([]), &json!(false)), "{command}");
    }
    let newest = li.request(json!({"type":"history","room":"lobby","before":u64::MAX,"limit":1}));
    assert_eq!(newest["events"][0]["seq"], head);
    let clamped = li.request(json!({"type":"history","room":"lobby","limit":0}));
    assert_eq!(clamped["events"].as_array().unwrap().len(), 1);
    let clamped = li.request(json!({"type":"history","room":"lobby","limit":4_000_000_000_u64}));
    assert_eq!(clamped["events"].as_array().unwrap().len() as u64, head);
}

#[test]
fn history_page_is_bounded_by_256_kib() {
    let server = TestServer::open();
    let mut li = server.guest();
    let room = li.join("lobby").unwrap().info.room;
    for _ in 0..50 {
        li.send_body(room, &"x".repeat(8192)).unwrap();
    }
    let mut after = 0;
    let mut pages = 0;
    loop {
        let reply = li.request(json!({"type":"history","room":"lobby","after":after,"limit":500}));
        let page: EventPage = serde_json::from_value(reply).unwrap();
        let bytes: usize = page.events.iter().map(|event| serde_json::to_string(event).unwrap().len()).sum();
        assert!(bytes <= 256 * 1024 + 9000, "{bytes}");
        assert_eq!(page.events[0].seq.0, after + 1);
        after = page.events.last().unwrap().seq.0;
        pages += 1;
        if !page.more {
            break;
        }
    }
    assert_eq!((after, pages), (51, 2));
}

#[test]
fn foreign_epoch_or_cursor_above_head_is_reset() {
    let server = TestServer::open();
    let room = room_with(&server, "lobby", 3);
    let (mut li, token) = server.user("Li");
    let head = li.join("lobby").unwrap().head.0;
    let epoch = json!(li.welcome().unwrap().epoch);
    drop(li);
    let resets = |after: u64, epoch_sent: &serde_json::Value| {
        for command in [
            json!({"type":"join","room":"lobby","after":after,"epoch":epoch_sent}),
            json!({"type":"resume","rooms":{room.to_string():after},"epoch":epoch_sent}),
        ] {
            let mut li = server.reconnect(&token);
            li.request(command.clone());
            let mut received = li.received();
            received.retain(|frame| !matches!(frame, ServerFrame::ControlFrame(ControlFrame::Presence(_))));
            let reset = received.iter().any(|frame| {
                matches!(frame, ServerFrame::ControlFrame(ControlFrame::Reset(reset)) if reset.room == room && json!(reset.epoch) == epoch)
            });
            let events = received.iter().any(|frame| matches!(frame, ServerFrame::Event(_)));
            assert!(!(reset && events), "no earlier event follows a reset: {received:?}");
            assert_eq!(
                reset,
                matches!(received.first(), Some(ServerFrame::ControlFrame(ControlFrame::Reset(_)))),
                "{command}: {received:?}"
            );
            if !reset {
                return false;
            }
        }
        true
    };
    for after in [0, 1, head, head + 1, u64::MAX] {
        assert!(resets(after, &json!("another")));
        assert_eq!(resets(after, &epoch), after > head, "{after}");
        assert_eq!(resets(after, &serde_json::Value::Null), after > head, "{after}");
    }
}

#[test]
fn resume_opens_own_rooms_and_rejects_others() {
    let server = TestServer::open();
    let secret = room_with(&server, "strangers", 3);
    let mut host = server.guest();
    let mut elsewhere = server.guest();
    elsewhere.join("strangers").unwrap();
    let (mut li, token) = server.user("Li");
    let tea = li.join("tea").unwrap().info.room;
    let coffee = li.join("coffee").unwrap().info.room;
    host.join("tea").unwrap();
    host.join("coffee").unwrap();
    drop(li);
    send_numbers(&mut host, tea, 1..=10);
    send_numbers(&mut host, coffee, 11..=30);
    let mut li = server.reconnect(&token);
    let rooms = json!({tea.to_string(): 2, coffee.to_string(): 22, secret.to_string(): 0, "r999": 5});
    let reply = li.request(json!({"type":"resume","rooms":rooms}));
    assert_eq!(reply["type"], "ok");
    elsewhere.send_body(secret, "not for Li").unwrap();
    host.send_body(tea, "live tea").unwrap();
    host.send_body(coffee, "live coffee").unwrap();
    let mut frames = Vec::new();
    while !["live tea", "live coffee"]
        .iter()
        .all(|last| frames.iter().any(|frame: &ServerFrame| frame.to_json().contains(last)))
    {
        frames.push(li.next_frame(crate::client_ext::WAIT_TIMEOUT).unwrap());
    }
    let errors: Vec<_> = frames
        .iter()
        .filter_map(|frame| match frame {
            ServerFrame::ControlFrame(ControlFrame::Error(error)) => Some((error.room, error.code.as_str())),
            _ => None,
        })
        .collect();
    assert_eq!(errors, [(Some(secret), "not_a_member"), (Some(RoomId(999)), "room_not_found")]);
    for (room, after, last) in [(tea, 2, 13), (coffee, 22, 23)] {
        let joined = frames.iter().position(
            |frame| matches!(frame, ServerFrame::ControlFrame(ControlFrame::Joined(joined)) if joined.info.room == room),
        );
        let events: Vec<(usize, u64)> = frames
            .iter()
            .enumerate()
            .filter_map(|(index, frame)| match frame {
                ServerFrame::Event(event) if event.room == room => Some((index, event.seq.0)),
                _ => None,
            })
            .collect();
        assert!(joined.unwrap() < events[0].0, "joined comes before the room's events");
        assert_eq!(
            events.iter().map(|(_, seq)| *seq).collect::<Vec<_>>(),
            (after + 1..=last).collect::<Vec<_>>()
        );
    }
    assert!(frames.iter().all(|frame| !frame.to_json().contains("not for Li")));
}

#[test]
fn former_member_cannot_resume() {
    let server = TestServer::open();
    let (mut li, token) = server.user("Li");
    let mut ann = server.guest();
    let room = li.join("lobby").unwrap().info.room;
    ann.join("lobby").unwrap();
    li.request(json!({"type":"leave","room":"lobby"}));
    drop(li);
    let mut li = server.reconnect(&token);
    let reply = li.request(json!({"type":"resume","rooms":{room.to_string():1}}));
    assert_eq!(reply["type"], "ok");
    ann.send_body(room, "not for Li").unwrap();
    ann.event_where(|event| matches!(event.kind, protocol::EventKind::Message { .. })).unwrap();
    let received = li.received();
    let [ServerFrame::ControlFrame(ControlFrame::Error(error))] = &received[..] else {
        panic!("{received:?}")
    };
    assert_eq!((error.room, error.code.as_str()), (Some(room), "not_a_member"));
}

#[test]
fn resume_of_more_than_500_rooms_is_malformed() {
    let server = TestServer::open();
    let mut li = server.guest();
    let rooms = |count: u64| {
        let rooms: serde_json::Map<_, _> =
            (1..=count).map(|id| (format!("r{}", id + 1000), json!(0))).collect();
        json!({"type":"resume","rooms":rooms})
    };
    assert_eq!(li.rejected_with(rooms(501)), "malformed");
    assert_eq!(li.request(rooms(500))["type"], "ok");
    assert_eq!(li.received().len(), 500, "one error for each");
}

#[test]
fn catch_up_during_messages_is_contiguous() {
    let mut server = TestServer::open();
    let (mut li, token) = server.user("Li");
    let (mut ann, ann_token) = server.user("Ann");
    let room = li.join("lobby").unwrap().info.room;
    let head = ann.join("lobby").unwrap().head.0;
    send_numbers(&mut ann, room, 1..=900);
    server.restart();
    let mut ann = server.reconnect(&ann_token);
    ann.join_after(room, head + 900);
    // Some of these messages are before the head that the resuming clients receive, some after.
    let ids: Vec<_> =
        (901..=1300).map(|number| ann.start(&message_command(room, &number.to_string())).unwrap()).collect();
    let mut resumed: Vec<Client> =
        (0..8).map(|_| Client::connect(server.addr, bearer(&token)).unwrap()).collect();
    for (number, client) in resumed.iter_mut().enumerate() {
        let after = head + 100 * number as u64;
        client
            .send_text(&json!({"type":"resume","id":1,"rooms":{room.to_string():after}}).to_string())
            .unwrap();
    }
    for id in ids {
        ann.reply_to(id).unwrap();
    }
    for (number, client) in resumed.iter_mut().enumerate() {
        let mut next = head + 100 * number as u64 + 1;
        while next <= head + 1300 {
            match client.next_frame(crate::client_ext::WAIT_TIMEOUT).unwrap() {
                ServerFrame::Event(event) => {
                    assert_eq!((event.seq.0, body(&event)), (next, (next - head).to_string().as_str()));
                    next += 1;
                }
                // A gap starts at the next event.
                ServerFrame::ControlFrame(ControlFrame::Gap(gap)) => {
                    assert_eq!(gap.from.0, next);
                    next = gap.to.0 + 1;
                }
                _ => {}
            }
        }
    }
}

#[test]
fn resume_of_open_room_moves_the_cursor() {
    let server = TestServer::open();
    let room = room_with(&server, "lobby", 5);
    let mut li = server.guest();
    let head = li.join("lobby").unwrap().head.0;
    li.events_of(room, 0, 0);
    li.resume(&[(room, 0)]);
    li.events_of(room, 0, head);
    // A join without a cursor does not move it.
    li.join("lobby").unwrap();
    li.send_body(room, "once").unwrap();
    assert_eq!(body(&li.events_of(room, head, 1)[0]), "once");
}

#[test]
fn non_member_cannot_read_history() {
    let server = TestServer::open();
    let room = room_with(&server, "lobby", 3);
    let (mut li, token) = server.user("Li");
    assert_eq!(li.rejected_with(json!({"type":"history","room":"lobby"})), "not_a_member");
    assert_eq!(li.rejected_with(json!({"type":"history","room":"nowhere"})), "room_not_found");
    let request = |path: &str, token: &str| {
        http(server.addr, "GET", path, &[("Authorization", &format!("Bearer {token}"))], b"").unwrap()
    };
    assert_eq!(request(&format!("/api/v1/rooms/{room}/events"), &token).status, 403);
    assert_eq!(request("/api/v1/rooms/r999/events", &token).status, 404);
    assert_eq!(request("/api/v1/rooms/lobby/events", &"A".repeat(43)).status, 401);
    assert_eq!(server.get("/api/v1/rooms/lobby/events").status, 401);
    li.join("lobby").unwrap();
    let answer = request("/api/v1/rooms/LOBBY/events?after=1&limit=2", &token);
    let page: EventPage = answer.json().unwrap();
    assert_eq!(page.events.iter().map(|event| event.seq.0).collect::<Vec<_>>(), [2, 3]);
    li.join("茶馆").unwrap();
    assert_eq!(request("/api/v1/rooms/%E8%8C%B6%E9%A6%86/events", &token).status, 200);
    assert_eq!(request("/api/v1/rooms/%ff/events", &token).status, 400);
    assert_eq!(request("/api/v1/rooms/a%20b/events", &token).status, 400);
    for bad in ["after=1&before=3", "after=x", "limit=-1"] {
        assert_eq!(request(&format!("/api/v1/rooms/lobby/events?{bad}"), &token).status, 400, "{bad}");
    }
    li.request(json!({"type":"leave","room":"lobby"}));
    assert_eq!(request("/api/v1/rooms/lobby/events", &token).status, 403);
}
