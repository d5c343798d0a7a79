//! One-line mutations that no other test detects: each of these tests fails with one of them.

use serde_json::json;

use super::types;
use super::world::{Peer, World, are_contiguous, send_in_lobby};
use crate::handoff::WireProtocol;
use crate::i18n::Language;

const BODY: usize = 8_000;

fn send_frame(world: &mut World, by: &Peer, count: usize) {
    for number in 0..count {
        world.send(by, &format!("k{number}"), &"x".repeat(BODY));
    }
}

#[test]
fn member_moved_during_fanout_is_not_skipped() {
    // More than a fan-out slice.
    let mut world = World::new();
    let mut members: Vec<Peer> = (1..=40).map(|user| world.connect_to_lobby(user)).collect();
    members.iter_mut().for_each(|member| drop(member.take_raw()));
    world.text(&members[20], &send_in_lobby("k", "hello"));
    world.shard.work(world.now);
    world.commit_all();
    world.deliver_all();
    world.shard.work(world.now);
    assert!(members[39].take().is_empty(), "the fan-out has not reached this member");
    // A member that was passed disconnects, and the last member moves to its index.
    world.disconnect_without_settling(&members[3]);
    world.work();
    assert!(types(&members[39].take()).contains(&"message"));
}

#[test]
fn paused_member_is_read_after_the_fanout() {
    let mut world = World::new();
    let talkers: Vec<Peer> = (1..=40).map(|user| world.connect_to_lobby(user)).collect();
    // Its socket is full, so no flush of its own resumes reading.
    let full = world.connect_to_lobby(41);
    full.limit_bytes(0);
    let body = "x".repeat(BODY);
    for number in 0..64 {
        for talker in &talkers {
            world.text(talker, &send_in_lobby(&format!("k{number}"), &body));
        }
        world.text(&full, &send_in_lobby(&format!("k{number}"), "I am here"));
        world.shard.work(world.now);
        world.commit_all();
        world.deliver_all();
    }
    world.settle();
    let sent = world.events_of(1).iter().filter(|event| event.by.id == protocol::UserId(41)).count();
    assert_eq!(sent, 1 + 64);
}

#[test]
fn page_rejected_by_readers_is_retried_at_next_tick() {
    let mut world = World::new();
    let li = world.connect_to_lobby(1);
    let mei = world.connect_to_lobby(2);
    send_frame(&mut world, &li, 5);
    world.disconnect(&li);
    world.disconnect(&mei);
    let mut back = world.connect(2);
    back.take();
    world.text(&back, r#"{"type":"join","id":1,"room":"lobby","after":2}"#);
    world.work();
    world.commit_all();
    world.shard.services.overloaded = true;
    world.deliver_all();
    world.settle();
    assert_eq!(types(&back.take()), ["joined"]);
    world.shard.services.overloaded = false;
    world.shard.handle_timeout(world.now);
    world.settle();
    assert!(are_contiguous(&back.take_seqs(), 3, 7));
}

#[test]
fn page_of_abandoned_cursor_is_ignored() {
    let mut world = World::new();
    let li = world.connect_to_lobby(1);
    let mei = world.connect_to_lobby(2);
    send_frame(&mut world, &li, 8);
    world.disconnect(&li);
    world.disconnect(&mei);
    let mut back = world.connect(2);
    back.take();
    for after in [7, 2] {
        world.text(&back, &json!({"type":"join","id":1,"room":"lobby","after":after}).to_string());
        world.work();
        world.commit_all();
        world.deliver_all();
        world.work();
    }
    world.settle();
    assert!(are_contiguous(&back.take_seqs(), 3, 10));
}

#[test]
fn rejoin_after_removal_starts_at_head() {
    let mut world = World::new();
    // More than a fan-out slice of members before it.
    let _others: Vec<Peer> = (3..=42).map(|user| world.connect_to_lobby(user)).collect();
    let mut mei = world.connect_to_lobby(2);
    mei.take();
    world.text(&mei, r#"[{"type":"leave","id":5,"room":"lobby"},{"type":"join","id":6,"room":"lobby"}]"#);
    world.shard.work(world.now);
    let join = world.shard.services.requests.pop().unwrap();
    world.commit_all();
    world.deliver_all();
    // One turn: the end is written, and the connection is not detached yet.
    world.shard.work(world.now);
    assert_eq!(types(&mei.take()), ["member_left"]);
    world.shard.services.requests.push(join);
    world.commit_all();
    world.deliver_all();
    world.settle();
    let frames = mei.take();
    assert_eq!(types(&frames), ["joined", "ok"], "and not its own join: {frames:?}");
}

#[test]
fn waiting_join_is_not_ended_by_an_earlier_removal() {
    let mut world = World::new();
    let li = world.connect_to_lobby(1);
    let mut mei = world.connect_to_lobby(2);
    mei.take();
    world.bus_is_down = true;
    world.text(&mei, r#"[{"type":"leave","id":5,"room":"lobby"},{"type":"join","id":6,"room":"lobby"}]"#);
    world.settle();
    world.bus_is_down = false;
    world.send(&li, "k", "hello");
    let frames = mei.take();
    assert!(frames.iter().all(|frame| frame["type"] != "error"), "{frames:?}");
    assert_eq!(frames.iter().filter(|frame| frame["type"] == "message").count(), 1, "{frames:?}");
}

#[test]
fn unread_input_is_read_after_unanswered_commands() {
    let mut world = World::new();
    let mut li = world.connect_to_lobby(1);
    li.take();
    let many = vec![json!({"type":"read","room":"lobby","seq":1}); 256];
    world.text(&li, &json!(many).to_string());
    world.text(&li, r#"{"type":"ping","id":7}"#);
    world.settle();
    assert_eq!(types(&li.take()), ["ok"]);
}

#[test]
fn lag_within_the_log_is_served_from_memory() {
    let mut world = World::new();
    let li = world.connect_to_lobby(1);
    let mut slow = world.connect_to_lobby(2);
    slow.take();
    slow.limit_bytes(0);
    send_frame(&mut world, &li, 200);
    world.accept_bytes_without_settling(&slow, usize::MAX);
    // No query is submitted.
    world.work();
    assert!(are_contiguous(&slow.take_seqs(), 3, 202));
}

#[test]
fn text_client_gets_missed_lines_on_next_connect() {
    let mut world = World::new();
    let session = Some(domain::TokenHash([7; 32]));
    let li = world.connect_to_lobby(1);
    let reader = world.connect_as(7, WireProtocol::PlainText(Language::En), session);
    world.send(&li, "first", "first");
    world.disconnect(&reader);
    for number in 0..5 {
        world.send(&li, &format!("k{number}"), &format!("missed {number}"));
    }
    world.disconnect(&li);
    let hasty = world.connect_without_settling(7, WireProtocol::PlainText(Language::En), session);
    for _ in 0..3 {
        world.work();
        world.commit_all();
        world.deliver_all();
    }
    // Its page has not been delivered.
    world.disconnect(&hasty);
    let mut back = world.connect_as(7, WireProtocol::PlainText(Language::En), session);
    let lines = back.take_text();
    for number in 0..5 {
        assert!(lines.contains(&format!("guest 1: missed {number}")), "{lines:?}");
    }
}

#[test]
fn pages_in_progress_per_connection_are_bounded() {
    let mut world = World::new();
    let mut mei = world.connect_to_lobby(2);
    for id in 0..6 {
        world.text(&mei, &json!({"type":"history","id":id,"room":"lobby"}).to_string());
    }
    world.work();
    assert_eq!(world.shard.services.queries.len(), 4);
    let throttled = mei.take();
    assert_eq!(throttled.len(), 2);
    assert!(throttled.iter().all(|frame| frame["code"] == "rate_limited"), "{throttled:?}");
    world.settle();
    assert_eq!(mei.take().len(), 4);
}

#[test]
fn full_outboxes_suspend_large_reads() {
    let mut world = World::new();
    let mut mei = world.connect_to_lobby(2);
    let ask = json!({"type":"history","id":1,"room":"lobby"}).to_string();
    for (waits, code) in [(256 << 20, json!(null)), ((256 << 20) + 1, json!("overloaded"))] {
        world.shard.private_bytes = waits;
        world.send_frame(&mei, &ask);
        world.shard.private_bytes = 0;
        assert_eq!(mei.take()[0]["code"], code);
    }
}
