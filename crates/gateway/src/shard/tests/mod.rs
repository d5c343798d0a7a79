//! Tests of the shard with in-memory pipes and virtual time.

mod allocations;
mod grouped_joins;
mod large_rooms;
mod leaves;
mod mutants;
mod races;
mod random;
mod regressions;
pub(super) mod world;

use std::time::Duration;

use serde_json::{Value, json};
use websocket::Opcode;

use crate::handoff::WireProtocol;
use crate::i18n::Language;
use world::{World, are_contiguous, send_in_lobby};

fn types(frames: &[Value]) -> Vec<&str> {
    frames.iter().map(|frame| frame["type"].as_str().unwrap_or("?")).collect()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn messages_reach_all_members_in_one_order() {
    let mut world = World::new();
    let mut li = world.connect_to_lobby(1);
    let mut mei = world.connect_to_lobby(2);
    world.send(&li, "a", "你好");
    world.send(&mei, "b", "hello");
    let received = |frames: Vec<Value>| -> Vec<Value> {
        frames.into_iter().filter(|frame| frame["type"] == "message").collect()
    };
    let (by_li, by_mei) = (received(li.take()), received(mei.take()));
    assert_eq!(by_li, by_mei);
    assert_eq!((by_li[0]["body"].as_str(), by_li[1]["body"].as_str()), (Some("你好"), Some("hello")));
}

#[test]
fn removed_member_receives_nothing_later() {
    let mut world = World::new();
    let li = world.connect_to_lobby(1);
    let mut mei = world.connect_to_lobby(2);
    let mut second = world.connect(2);
    world.send_frame(&second, r#"{"type":"join","id":1,"room":"lobby"}"#);
    mei.take();
    second.take();
    // In one commit: a message before, the leave, a message after.
    world.bytes(&li, &websocket::masked_frame(Opcode::Text, send_in_lobby("a", "before").as_bytes(), [0; 4]));
    world.shard.work(world.now);
    world.bytes(
        &mei,
        &websocket::masked_frame(Opcode::Text, br#"{"type":"leave","id":5,"room":"lobby"}"#, [0; 4]),
    );
    world.shard.work(world.now);
    world.send_frame(&li, &send_in_lobby("b", "after"));
    world.send(&li, "c", "later");
    let frames = mei.take();
    assert_eq!(types(&frames), ["message", "member_left", "ok"], "{frames:?}");
    assert_eq!(frames[0]["body"], "before");
    assert_eq!(
        types(&second.take()),
        ["message", "member_left"],
        "the other connection of the user ends there, too"
    );
    world.send(&mei, "d", "from outside");
    assert_eq!(mei.take()[0]["code"], "not_a_member");
}

#[test]
fn one_write_carries_all_new_events() {
    let mut world = World::new();
    let li = world.connect_to_lobby(1);
    let mut mei = world.connect_to_lobby(2);
    world.wait(seconds(2));
    mei.take();
    let before = mei.writes();
    let frames: Vec<Value> = (0..100)
        .map(|n| json!({"type":"send","room":"lobby","client_message_id":format!("k{n}"),"body":"x"}))
        .collect();
    world.send_frame(&li, &Value::from(frames).to_string());
    assert_eq!(mei.take_seqs().len(), 100);
    assert_eq!(mei.writes() - before, 1);
}

#[test]
fn stalled_reader_delays_no_member_and_loses_nothing() {
    let mut world = World::new();
    let mut li = world.connect_to_lobby(1);
    let mut slow = world.connect_to_lobby(2);
    li.take();
    slow.take();
    slow.limit_bytes(500);
    for n in 0..300 {
        world.send(&li, &format!("k{n}"), &"x".repeat(1000));
    }
    assert!(are_contiguous(&li.take_seqs(), 3, 302));
    // It accepts a little, not at frame boundaries, and then everything.
    let mut got = slow.take_seqs();
    for _ in 0..50 {
        world.accept_bytes(&slow, 777);
        got.extend(slow.take_seqs());
    }
    world.accept_bytes(&slow, usize::MAX);
    got.extend(slow.take_seqs());
    assert!(are_contiguous(&got, 3, 302), "{got:?}");
}

#[test]
fn evicted_cursor_catches_up_from_the_store() {
    let mut world = World::new();
    let li = world.connect_to_lobby(1);
    let mut slow = world.connect_to_lobby(2);
    slow.take();
    slow.limit_bytes(100);
    // 8 MB: twice what the log retains for a lagging member.
    for n in 0..900 {
        world.send(&li, &format!("k{n}"), &"x".repeat(8192));
    }
    assert!(
        world.shard.rooms.iter().all(|(_, room)| room
            .existing_log(crate::encoding::Encoding::Json)
            .unwrap()
            .len()
            <= 4 << 20)
    );
    world.accept_bytes(&slow, usize::MAX);
    let got = slow.take_seqs();
    assert!(are_contiguous(&got, 3, 902), "{:?}", got.iter().take(9).collect::<Vec<_>>());
    assert!(got.iter().all(|(from, to)| from == to), "no gap was needed");
}

#[test]
fn too_large_catch_up_is_a_gap() {
    let mut world = World::new();
    let li = world.connect_to_lobby(1);
    let mut slow = world.connect_to_lobby(2);
    slow.take();
    slow.limit_bytes(100);
    for n in 0..1500 {
        world.send(&li, &format!("k{n}"), &"x".repeat(8192));
    }
    world.accept_bytes(&slow, usize::MAX);
    let got = slow.take_seqs();
    assert!(are_contiguous(&got, 3, 1502), "{:?}", got.iter().take(9).collect::<Vec<_>>());
    assert!(got.iter().any(|(from, to)| from < to), "a gap was due");
}

#[test]
fn resume_is_served_from_log_or_store_or_as_gap() {
    let mut world = World::new();
    let li = world.connect_to_lobby(1);
    let mei = world.connect_to_lobby(2);
    world.disconnect(&mei);
    // The log retains the last few hundred of these.
    for n in 0..1200 {
        world.send(&li, &format!("k{n}"), &"x".repeat(400));
    }
    for (after, gap) in [(1200, false), (500, false), (203, false), (201, true), (2, true)] {
        let mut back = world.connect(2);
        world.send_frame(
            &back,
            &json!({"type":"resume","id":2,"epoch":"e1","rooms":{"r1":after}}).to_string(),
        );
        let frames = back.take();
        let joined = frames.iter().position(|frame| frame["type"] == "joined").unwrap();
        assert_eq!(types(&frames)[..joined], ["welcome"], "joined precedes the events of the room");
        assert_eq!(frames[joined]["head"], 1202);
        assert_eq!(frames.iter().any(|frame| frame["type"] == "gap"), gap, "after {after}");
        assert_eq!(frames.iter().filter(|frame| frame["type"] == "ok" && frame["id"] == 2).count(), 1);
        let ranges: Vec<(u64, u64)> = frames
            .iter()
            .filter_map(|frame| match frame["type"].as_str()? {
                "gap" => Some((frame["from"].as_u64()?, frame["to"].as_u64()?)),
                "message" => frame["seq"].as_u64().map(|seq| (seq, seq)),
                _ => None,
            })
            .collect();
        assert!(are_contiguous(&ranges, after + 1, 1202), "after {after}: {:?}", ranges.first());
        world.disconnect(&back);
    }
}

#[test]
fn cursor_of_another_epoch_is_reset() {
    let mut world = World::new();
    let _li = world.connect_to_lobby(1);
    for (epoch, after) in [("e0", 1), ("e1", 99)] {
        let mut back = world.connect(1);
        world.send_frame(
            &back,
            &json!({"type":"join","id":2,"room":"lobby","epoch":epoch,"after":after}).to_string(),
        );
        assert_eq!(types(&back.take()), ["welcome", "reset", "joined"], "{epoch} {after}");
    }
}

#[test]
fn dropped_bus_messages_are_read_from_the_store() {
    let mut world = World::new();
    let mut li = world.connect_to_lobby(1);
    world.bus_is_down = true;
    for n in 0..5 {
        world.send(&li, &format!("k{n}"), "x");
    }
    let mut mei = world.connect(2);
    world.send_frame(&mei, r#"{"type":"join","id":1,"room":"lobby"}"#);
    world.wait(seconds(3));
    world.bus_is_down = false;
    world.send(&li, "last", "x");
    assert!(are_contiguous(&li.take_seqs(), 2, 8));
    assert!(
        are_contiguous(&mei.take_seqs(), 8, 8),
        "a member that joined meanwhile starts at the head in the store"
    );
}

#[test]
fn lagging_member_gets_no_typing() {
    let mut world = World::new();
    let li = world.connect_to_lobby(1);
    let mut mei = world.connect_to_lobby(2);
    let mut slow = world.connect_to_lobby(3);
    mei.take();
    slow.take();
    slow.limit_bytes(10);
    world.send(&li, "a", "x");
    world.send_frame(&li, r#"{"type":"typing","room":"lobby"}"#);
    world.send(&li, "b", "x");
    world.accept_bytes(&slow, usize::MAX);
    let quick = mei.take();
    assert_eq!(types(&quick), ["message", "typing", "message"], "{quick:?}");
    assert_eq!(types(&slow.take()), ["message", "message"]);
}

#[test]
fn silent_peer_is_pinged_and_then_dropped() {
    let mut world = World::new();
    let mut li = world.connect_to_lobby(1);
    let mut mei = world.connect_to_lobby(2);
    li.take_text();
    mei.take_text();
    world.wait(seconds(31));
    assert_eq!(li.take_text().iter().filter(|text| *text == "PING").count(), 1);
    world.bytes(&mei, &websocket::masked_frame(Opcode::Pong, b"", [0; 4]));
    world.wait(seconds(47));
    assert!(world.shard.connection(li.key).is_none(), "no bytes for 75 s");
    assert!(world.shard.connection(mei.key).is_some(), "received bytes keep the connection alive");
    assert!(mei.take().iter().any(|frame| frame["type"] == "presence" && frame["offline"] == json!(["u1"])));
}

#[test]
fn full_socket_that_takes_some_bytes_stays_open() {
    let mut world = World::new();
    let li = world.connect_to_lobby(1);
    let slow = world.connect_to_lobby(2);
    let stuck = world.connect_to_lobby(3);
    slow.limit_bytes(0);
    stuck.limit_bytes(0);
    world.send(&li, "a", &"x".repeat(5000));
    for _ in 0..3 {
        world.wait(seconds(50));
        world.accept_bytes(&slow, 10);
        world.send_frame(&li, r#"{"type":"ping"}"#);
    }
    assert!(world.shard.connection(slow.key).is_some());
    assert!(world.shard.connection(stuck.key).is_none(), "it accepted no byte for 75 s");
}

#[test]
fn unfinished_message_times_out_after_30_seconds() {
    let mut world = World::new();
    let mut li = world.connect_to_lobby(1);
    let whole = websocket::masked_frame(Opcode::Text, br#"{"type":"ping"}"#, [0; 4]);
    world.bytes(&li, &whole[..7]);
    world.settle();
    world.wait(seconds(20));
    world.bytes(&li, &whole[7..9]);
    world.settle();
    world.wait(seconds(11));
    assert!(
        li.take_text().iter().any(|text| text.starts_with("CLOSE 4000")),
        "single bytes do not extend the timeout"
    );
    world.wait(seconds(6));
    assert!(
        world.shard.connection(li.key).is_none(),
        "a peer that does not answer the close frame is dropped"
    );
}

#[test]
fn peer_that_takes_no_replies_is_not_read() {
    let mut world = World::new();
    let mut li = world.connect_to_lobby(1);
    li.take_text();
    li.limit_bytes(0);
    for _ in 0..20_000 {
        world.bytes(&li, &websocket::masked_frame(Opcode::Text, br#"{"type":"ping","id":123}"#, [0; 4]));
    }
    world.settle();
    let waiting = world.shard.connection(li.key).unwrap().outbox.len();
    assert!((16 * 1024..64 * 1024).contains(&waiting), "{waiting}");
    world.accept_bytes(&li, usize::MAX);
    assert_eq!(li.take_text().len(), 20_000, "and nothing was dropped");
}

#[test]
fn transient_guest_leaves_on_disconnect() {
    let mut world = World::new();
    let mut li = world.connect_to_lobby(1);
    let passer_by = world.connect_as(2, WireProtocol::PlainText(Language::En), None);
    world.disconnect(&passer_by);
    assert_eq!(types(&li.take())[..2], ["member_joined", "member_left"]);
    assert!(world.shard.connections.users().count() == 1 && world.shard.connections.len() == 1);
}

#[test]
fn departure_waits_for_the_writer() {
    let mut world = World::new();
    let mut li = world.connect_to_lobby(1);
    let passer_by = world.connect_as(2, WireProtocol::PlainText(Language::En), None);
    world.shard.services.overloaded = true;
    world.disconnect(&passer_by);
    assert_eq!(types(&li.take()), ["member_joined"]);
    world.shard.services.overloaded = false;
    world.wait(seconds(1));
    assert!(types(&li.take()).contains(&"member_left"));
}

#[test]
fn overloaded_sender_is_not_read_until_the_next_tick() {
    let mut world = World::new();
    let mut li = world.connect_to_lobby(1);
    world.shard.services.overloaded = true;
    for n in 0..10 {
        world.text(&li, &send_in_lobby(&format!("k{n}"), "x"));
    }
    world.settle();
    // One rejection; the other nine are not read yet.
    assert_eq!(types(&li.take()), ["error"]);
    world.wait(Duration::from_millis(100));
    assert_eq!(types(&li.take()), ["error"]);
    world.shard.services.overloaded = false;
    world.wait(Duration::from_millis(100));
    let sent = li.take().iter().filter(|frame| frame["type"] == "message").count();
    assert_eq!(sent, 8);
}

#[test]
fn overloaded_writer_is_reported_and_retry_succeeds() {
    let mut world = World::new();
    let mut li = world.connect_to_lobby(1);
    world.shard.services.overloaded = true;
    world.send(&li, "a", "x");
    let throttled = li.take();
    assert_eq!((&throttled[0]["code"], &throttled[0]["retryable"]), (&json!("overloaded"), &json!(true)));
    world.shard.services.overloaded = false;
    world.wait(Duration::from_millis(100));
    world.send(&li, "a", "x");
    assert_eq!(li.take_seqs(), [(2, 2)]);
}

#[test]
fn text_client_gets_lines_and_keeps_its_position() {
    let mut world = World::new();
    let li = world.connect_to_lobby(1);
    let session = Some(domain::TokenHash([7; 32]));
    let mut reader = world.connect_as(7, WireProtocol::PlainText(Language::En), session);
    world.send(&li, "a", "two\nlines");
    world.send_frame(&reader, "hello");
    let lines = reader.take_text();
    assert!(lines.ends_with(&["guest 1: two lines".to_owned(), "guest 7: hello".to_owned()]), "{lines:?}");
    world.disconnect(&reader);
    world.send(&li, "b", "while you were away");
    let mut reader = world.connect_as(7, WireProtocol::PlainText(Language::En), session);
    let lines = reader.take_text();
    assert_eq!(
        lines.iter().filter(|line| line.starts_with("guest ")).collect::<Vec<_>>(),
        ["guest 1: while you were away"]
    );
}

#[test]
fn shutdown_writes_pending_events_and_closes_all() {
    let mut world = World::new();
    let mut li = world.connect_to_lobby(1);
    let mut mei = world.connect_to_lobby(2);
    li.take();
    mei.take();
    world.bytes(
        &li,
        &websocket::masked_frame(Opcode::Text, send_in_lobby("a", "last words").as_bytes(), [0; 4]),
    );
    world.shard.work(world.now);
    world.shard.handle_draining(world.now);
    world.bytes(
        &mei,
        &websocket::masked_frame(Opcode::Text, send_in_lobby("b", "too late").as_bytes(), [0; 4]),
    );
    world.settle();
    world.shard.handle_closing(world.now, Duration::from_millis(500));
    world.settle();
    let frames = mei.take();
    assert_eq!(frames[0]["body"], "last words");
    assert_eq!(frames.last().unwrap(), "CLOSE 1001 retry_within_ms=500");
    assert_eq!(types(&frames[1..frames.len() - 1]), [""; 0], "input after the drain is not executed");
    world.wait(seconds(6));
    assert!(world.shard.is_empty(), "a peer that does not answer is dropped");
}

#[test]
fn idle_room_releases_memory() {
    let mut world = World::new();
    let mut li = world.connect_to_lobby(1);
    world.send(&li, "a", &"x".repeat(5000));
    world.wait(seconds(13));
    let log_is_empty = world
        .shard
        .rooms
        .iter()
        .all(|(_, room)| room.existing_log(crate::encoding::Encoding::Json).unwrap().is_empty());
    assert!(log_is_empty);
    li.take();
    world.send(&li, "b", "still here");
    assert_eq!(li.take_seqs(), [(3, 3)]);
}

#[test]
fn backlog_of_unread_resume_is_bounded() {
    let mut world = World::new();
    let li = world.connect(1);
    let mut rooms = serde_json::Map::new();
    for room in 0..20 {
        world.send_frame(&li, &json!({"type":"join","room":format!("room{room}")}).to_string());
        for n in 0..30 {
            let key = format!("{room}-{n}");
            let body = "x".repeat(8000);
            let send =
                json!({"type":"send","room":format!("room{room}"),"client_message_id":key,"body":body});
            world.send_frame(&li, &send.to_string());
        }
        rooms.insert(format!("r{}", room + 2), json!(1));
    }
    world.disconnect(&li);
    let mut back = world.connect(1);
    back.limit_bytes(0);
    world.send_frame(&back, &json!({"type":"resume","id":2,"rooms":rooms}).to_string());
    world.wait(seconds(2));
    let waiting = world.shard.connection(back.key).unwrap().outbox.len();
    assert!(waiting < 3 * 64 * 1024, "{waiting}");
    world.accept_bytes(&back, usize::MAX);
    assert_eq!(back.take_seqs().len(), 20 * 30, "everything arrives when it reads");
    assert_eq!(world.shard.private_bytes, 0);
}
