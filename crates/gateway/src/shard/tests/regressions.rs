//! Regression tests: each failed before a defect was corrected.

use std::time::Duration;

use serde_json::{Value, json};
use websocket::Opcode;

use super::types;
use super::world::{Peer, World, are_contiguous, send_in_lobby};
use crate::encoding::Encoding;
use crate::handoff::WireProtocol;
use crate::i18n::Language;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn join(room: &str) -> String {
    json!({"type":"join","id":1,"room":room}).to_string()
}

fn send_to(room: &str, key: &str, body: &str) -> String {
    json!({"type":"send","room":room,"client_message_id":key,"body":body}).to_string()
}

#[test]
fn departed_lagging_member_receives_its_departure() {
    let mut world = World::new();
    let li = world.connect_to_lobby(1);
    let mut slow = world.connect_to_lobby(2);
    let mei = world.connect(2);
    slow.take();
    slow.limit_bytes(100);
    world.send(&li, "before", "x");
    world.send_frame(&mei, r#"{"type":"leave","id":5,"room":"lobby"}"#);
    // More than the log retains for a lagging member.
    for n in 0..700 {
        world.send(&li, &format!("k{n}"), &"x".repeat(8192));
    }
    world.accept_bytes(&slow, usize::MAX);
    assert!(are_contiguous(&slow.take_seqs(), 3, 4));
    assert!(world.shard.connection(slow.key).unwrap().subscriptions.is_empty());
}

#[test]
fn leave_then_join_receives_later_events() {
    let mut world = World::new();
    let li = world.connect_to_lobby(1);
    let mut mei = world.connect_to_lobby(2);
    mei.take();
    world.text(&mei, r#"[{"type":"leave","id":5,"room":"lobby"},{"type":"join","id":6,"room":"lobby"}]"#);
    world.work();
    // In the same commit, after them.
    world.text(&li, &send_in_lobby("a", "same commit"));
    world.settle();
    world.send(&li, "b", "later");
    let bodies: Vec<Value> = mei.take().into_iter().filter(|frame| frame["type"] == "message").collect();
    assert_eq!(
        bodies.iter().map(|m| m["body"].as_str().unwrap()).collect::<Vec<_>>(),
        ["same commit", "later"]
    );
}

#[test]
fn text_client_leaving_lobby_receives_lobby_events() {
    let mut world = World::new();
    let li = world.connect_to_lobby(1);
    let mut reader =
        world.connect_as(7, WireProtocol::PlainText(Language::En), Some(domain::TokenHash([7; 32])));
    reader.take_text();
    world.text(&reader, "/leave");
    world.work();
    world.text(&li, &send_in_lobby("a", "same commit"));
    world.settle();
    world.send(&li, "b", "later");
    let lines = reader.take_text();
    assert!(lines.contains(&"guest 1: later".to_owned()), "{lines:?}");
}

#[test]
fn leave_on_lagging_shard_ends_the_waiting_join() {
    let mut world = World::new();
    let li = world.connect_to_lobby(1);
    let mut mei = world.connect(2);
    mei.take();
    world.bus_is_down = true;
    world.text(&mei, r#"[{"type":"join","id":5,"room":"lobby"},{"type":"leave","id":6,"room":"lobby"}]"#);
    world.settle();
    world.bus_is_down = false;
    world.send(&li, "a", "secret");
    let frames = mei.take();
    let left = frames.iter().position(|frame| frame["type"] == "ok" && frame["id"] == 6).unwrap();
    let after: Vec<&Value> = frames[left..].iter().filter(|frame| frame["type"] == "message").collect();
    assert!(after.is_empty(), "{frames:#?}");
}

#[test]
fn leave_on_other_connection_ends_the_waiting_join() {
    let mut world = World::new();
    let li = world.connect_to_lobby(1);
    let first = world.connect_to_lobby(2);
    let mut second = world.connect(2);
    second.take();
    world.bus_is_down = true;
    world.text(&li, &send_in_lobby("a", "dropped"));
    world.work();
    world.text(&second, &join("lobby"));
    world.work();
    world.text(&first, r#"{"type":"leave","id":6,"room":"lobby"}"#);
    world.settle();
    world.bus_is_down = false;
    world.send(&li, "b", "secret");
    let frames = second.take();
    assert!(frames.iter().all(|frame| frame["body"] != "secret"), "{frames:#?}");
}

#[test]
fn pages_of_closed_rooms_release_their_read_slots() {
    let mut world = World::new();
    let session = Some(domain::TokenHash([7; 32]));
    let li = world.connect(1);
    let reader = world.connect_as(7, WireProtocol::PlainText(Language::En), session);
    for room in ["a", "b", "c"] {
        world.send_frame(&li, &join(room));
        world.send_frame(&reader, &format!("/join {room}"));
        world.send_frame(&reader, "I was here");
    }
    world.disconnect(&reader);
    for room in ["a", "b", "c"] {
        for n in 0..3 {
            world.send_frame(&li, &send_to(room, &format!("{room}{n}"), "while you were away"));
        }
    }
    world.disconnect(&li);
    let mut back = world.connect_as(7, WireProtocol::PlainText(Language::En), session);
    for room in ["a", "b", "c"] {
        world.text(&back, &format!("/join {room}"));
    }
    world.settle();
    world.wait(seconds(3));
    let lines = back.take_text();
    assert_eq!(world.shard.connection(back.key).unwrap().store_reads, 0);
    assert_eq!(lines.iter().filter(|line| line.ends_with("while you were away")).count(), 3, "{lines:#?}");
}

#[test]
fn busy_peer_with_split_messages_is_not_closed() {
    let mut world = World::new();
    let mut li = world.connect_to_lobby(1);
    let whole = websocket::masked_frame(Opcode::Text, br#"{"type":"ping","id":1}"#, [0; 4]);
    let (front, back) = whole.split_at(9);
    world.bytes(&li, front);
    for _ in 0..40 {
        world.wait(seconds(1));
        world.bytes(&li, &[back, front].concat());
        world.settle();
    }
    let text = li.take_text();
    assert!(!text.iter().any(|text| text.starts_with("CLOSE")), "{:?}", text.last());
}

#[test]
fn unread_message_does_not_time_out_its_sender() {
    let mut world = World::new();
    let mut li = world.connect_to_lobby(1);
    li.take_text();
    li.limit_bytes(0);
    let ping = websocket::masked_frame(Opcode::Text, br#"{"type":"ping","id":123}"#, [0; 4]);
    for _ in 0..5000 {
        world.bytes(&li, &ping);
    }
    // The peer accepts bytes slowly, so it is alive.
    for _ in 0..50 {
        world.wait(seconds(1));
        world.accept_bytes(&li, 50);
    }
    assert!(world.shard.connection(li.key).is_some());
}

#[test]
fn every_open_room_is_compared_with_the_store() {
    let mut world = World::new();
    let mut peers: Vec<Peer> = Vec::new();
    for user in 1..=11 {
        let peer = world.connect(user);
        for room in 0..100 {
            world.send_frame(&peer, &join(&format!("room-{user}-{room}")));
        }
        peers.push(peer);
    }
    let mut last = peers.pop().unwrap();
    last.take();
    world.bus_is_down = true;
    world.text(&last, &send_to("room-11-99", "a", "x"));
    world.work();
    // The bus drops it, and the readers reject the backfill.
    world.shard.services.overloaded = true;
    world.commit_all();
    world.deliver_all();
    world.shard.services.overloaded = false;
    world.bus_is_down = false;
    world.wait(seconds(5));
    assert_eq!(last.take_seqs().len(), 1);
}

#[test]
fn idle_room_with_a_lagging_member_releases_memory() {
    let mut world = World::new();
    let li = world.connect_to_lobby(1);
    let mut slow = world.connect_to_lobby(2);
    world.wait(seconds(3));
    slow.limit_bytes(100);
    for n in 0..300 {
        world.send(&li, &format!("k{n}"), &"x".repeat(8192));
    }
    world.accept_bytes(&slow, usize::MAX);
    slow.take();
    world.wait(seconds(13));
    let held: usize =
        world.shard.rooms.iter().map(|(_, room)| room.existing_log(Encoding::Json).unwrap().len()).sum();
    assert_eq!(held, 0);
}

#[test]
fn nothing_is_written_after_a_close_frame() {
    let mut world = World::new();
    let li = world.connect_to_lobby(1);
    let mei = world.connect_to_lobby(2);
    for n in 0..10 {
        world.send(&li, &format!("k{n}"), "x");
    }
    world.wait(seconds(15));
    world.disconnect(&mei);
    let mut back = world.connect(2);
    back.take();
    world.text(&back, &json!({"type":"join","id":1,"room":"lobby","after":2}).to_string());
    world.work();
    world.shard.handle_session_end(world.now, protocol::UserId(2));
    world.settle();
    let raw = back.take_raw();
    // The close code 4100, big-endian.
    let close_code = raw.windows(2).position(|pair| pair == [0x10, 0x04]);
    let at = close_code.unwrap();
    let rest = String::from_utf8_lossy(&raw[at + 2..]).into_owned();
    assert!(!rest.contains("\"type\""), "{rest}");
}

#[test]
fn idle_room_is_served_despite_a_backlog() {
    let mut world = World::new();
    let li = world.connect(1);
    let mut slow = world.connect(2);
    for room in ["busy", "quiet"] {
        world.send_frame(&li, &join(room));
        world.send_frame(&slow, &join(room));
    }
    slow.take();
    slow.limit_bytes(100);
    for n in 0..350 {
        world.send_frame(&li, &send_to("busy", &format!("k{n}"), &"x".repeat(8192)));
    }
    world.send_frame(&li, &send_to("quiet", "q", "urgent"));
    let mut turns = 0;
    loop {
        world.accept_bytes(&slow, 32 * 1024);
        turns += 1;
        if slow.take().iter().any(|frame| frame["body"] == "urgent") {
            break;
        }
        assert!(turns < 200);
    }
    assert!(turns <= 8, "{turns} turns of 32 KiB");
}

#[test]
fn lagging_peer_is_read_again_after_taking_its_replies() {
    let mut world = World::new();
    let mut li = world.connect_to_lobby(1);
    let mut slow = world.connect_to_lobby(2);
    li.take();
    slow.take();
    slow.limit_bytes(0);
    for _ in 0..3000 {
        world.bytes(&slow, &websocket::masked_frame(Opcode::Text, br#"{"type":"ping","id":123}"#, [0; 4]));
    }
    world.text(&slow, &send_in_lobby("from-slow", "I am here"));
    let mut n = 0;
    for _ in 0..30 {
        for _ in 0..4 {
            n += 1;
            world.send(&li, &format!("k{n}"), &"x".repeat(8000));
        }
        world.accept_bytes(&slow, 30_000);
        slow.take();
    }
    assert!(li.take().iter().any(|frame| frame["body"] == "I am here"));
}

#[test]
fn catch_up_waiting_for_other_reads_continues() {
    let mut world = World::new();
    let li = world.connect_to_lobby(1);
    let mei = world.connect_to_lobby(2);
    for n in 0..10 {
        world.send(&li, &format!("k{n}"), "x");
    }
    world.wait(seconds(15));
    world.disconnect(&mei);
    let mut back = world.connect(2);
    world.text(&back, r#"[{"type":"history","room":"lobby"},{"type":"history","room":"lobby"}]"#);
    world.text(&back, &json!({"type":"join","id":1,"room":"lobby","after":2}).to_string());
    world.work();
    world.commit_all();
    world.deliver_all();
    world.work();
    world.read_all();
    world.settle();
    world.wait(seconds(3));
    assert!(are_contiguous(&back.take_seqs(), 3, 12));
}

#[test]
fn replies_to_malformed_input_are_bounded() {
    let mut world = World::new();
    let li = world.connect_to_lobby(1);
    li.limit_bytes(0);
    let nonsense = format!("[{}]", ["1"; 256].join(","));
    for _ in 0..1000 {
        world.text(&li, &nonsense);
    }
    world.settle();
    let waiting = world.shard.connection(li.key).unwrap().outbox.len();
    assert!(waiting < 64 * 1024, "{waiting}");
}

#[test]
fn text_client_on_lagging_shard_has_one_room() {
    let mut world = World::new();
    let li = world.connect_to_lobby(1);
    world.send_frame(&li, &join("a"));
    let reader = world.connect_as(7, WireProtocol::PlainText(Language::En), Some(domain::TokenHash([7; 32])));
    world.bus_is_down = true;
    world.text(&reader, "/join a");
    world.text(&reader, "/join b");
    world.settle();
    world.bus_is_down = false;
    world.wait(seconds(3));
    assert_eq!(world.shard.connection(reader.key).unwrap().subscriptions.len(), 1);
}

#[test]
fn text_client_with_rejected_join_stays_in_its_room() {
    let mut world = World::new();
    let mut li = world.connect_to_lobby(1);
    let reader = world.connect_as(7, WireProtocol::PlainText(Language::En), Some(domain::TokenHash([7; 32])));
    world.send_frame(&reader, "/join r999");
    world.send_frame(&reader, "still here");
    assert!(types(&li.take()).contains(&"message"));
}

#[test]
fn resume_is_answered_after_all_its_rooms() {
    let mut world = World::new();
    let li = world.connect_to_lobby(1);
    let mei = world.connect_to_lobby(2);
    world.disconnect(&mei);
    let mut back = world.connect(2);
    back.take();
    world.bus_is_down = true;
    world.text(&li, &send_in_lobby("a", "dropped"));
    world.work();
    world.text(&back, r#"{"type":"resume","id":2,"rooms":{"r1":1}}"#);
    world.settle();
    world.bus_is_down = false;
    world.wait(seconds(3));
    let frames = back.take();
    let at = |kind: &str| frames.iter().position(|frame| frame["type"] == kind).unwrap();
    assert!(at("joined") < at("ok"), "{frames:#?}");
}

#[test]
fn join_overtaken_by_removal_opens_nothing() {
    let mut world = World::new();
    let li = world.connect_to_lobby(1);
    let first = world.connect_to_lobby(2);
    let mut second = world.connect(2);
    second.take();
    // A message is dropped, and more is committed before the backfill, which returns those events as well.
    world.bus_is_down = true;
    world.text(&li, &send_in_lobby("a", "dropped"));
    world.work();
    world.commit_all();
    world.deliver_all();
    world.bus_is_down = false;
    world.text(&second, &join("lobby"));
    world.work();
    world.text(&first, r#"{"type":"leave","id":6,"room":"lobby"}"#);
    world.work();
    world.commit_all();
    world.read_all();
    world.settle();
    world.send(&li, "b", "secret");
    let frames = second.take();
    assert!(frames.iter().all(|frame| frame["body"] != "secret"), "{frames:#?}");
}

#[test]
fn deleted_room_is_closed_after_a_lost_bus_message() {
    let mut world = World::new();
    let first = world.connect(2);
    world.send_frame(&first, &join("silent"));
    let second = world.connect(2);
    world.send_frame(&second, &join("silent"));
    world.bus_is_down = true;
    world.send_frame(&first, r#"{"type":"leave","id":6,"room":"silent"}"#);
    world.bus_is_down = false;
    world.wait(seconds(5));
    assert!(world.shard.rooms.is_empty());
}

#[test]
fn waiting_join_survives_hang_up_of_another() {
    let mut world = World::new();
    let li = world.connect_to_lobby(1);
    let first = world.connect(2);
    let mut second = world.connect(3);
    second.take();
    world.bus_is_down = true;
    world.text(&li, &send_in_lobby("a", "dropped"));
    world.text(&first, &join("lobby"));
    world.text(&second, &join("lobby"));
    world.work();
    world.commit_all();
    world.deliver_all();
    world.bus_is_down = false;
    world.disconnect_without_settling(&li);
    world.disconnect_without_settling(&first);
    world.work();
    world.read_all();
    world.settle();
    assert!(types(&second.take()).contains(&"joined"));
}

#[test]
fn gap_does_not_hide_a_removal() {
    let mut world = World::new();
    world.shard.settings.limits.catch_up_events = 3;
    let li = world.connect_to_lobby(1);
    let mut slow = world.connect_to_lobby(2);
    let mei = world.connect(2);
    slow.take();
    slow.limit_bytes(100);
    for n in 0..700 {
        world.send(&li, &format!("k{n}"), &"x".repeat(8192));
    }
    world.send_frame(&mei, r#"{"type":"leave","id":5,"room":"lobby"}"#);
    world.accept_bytes(&slow, usize::MAX);
    let frames = slow.take();
    assert_eq!(frames.last().unwrap()["type"], "member_left", "{:?}", frames.last());
}

#[test]
fn failed_departure_is_retried() {
    let mut world = World::new();
    let passer_by = world.connect_as(7, WireProtocol::Json, None);
    world.send_frame(&passer_by, &join("lobby"));
    assert!(world.is_member(1, 7));
    world.store.fail_next(storage::Failure::Lost);
    world.disconnect(&passer_by);
    assert!(world.is_member(1, 7), "the commit failed");
    world.wait(seconds(2));
    assert!(!world.is_member(1, 7));
}

#[test]
fn guest_stored_by_a_failed_join_leaves_on_disconnect() {
    let mut world = World::new();
    let mut passer_by = world.connect_as(7, WireProtocol::Json, None);
    world.store.fail_next(storage::Failure::NotKnown);
    world.send_frame(&passer_by, &join("lobby"));
    assert_eq!(passer_by.take()[1]["code"], "unavailable");
    assert!(world.is_member(1, 7));
    world.disconnect(&passer_by);
    assert!(!world.is_member(1, 7));
}
