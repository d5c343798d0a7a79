//! Leaves: earlier events are delivered first, and a deleted room is reported.

use std::time::Duration;

use domain::TokenHash;
use serde_json::json;

use super::types;
use super::world::{World, send_in_lobby};
use crate::handoff::WireProtocol;
use crate::i18n::Language;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn leave_with_lost_bus_message_delivers_earlier_events() {
    let mut world = World::new();
    let li = world.connect_to_lobby(1);
    let mut mei = world.connect_to_lobby(2);
    mei.take();
    world.bus_is_down = true;
    world.text(&li, &send_in_lobby("a", "before"));
    world.work();
    world.text(&mei, r#"{"type":"leave","id":5,"room":"lobby"}"#);
    world.work();
    world.text(&li, &send_in_lobby("b", "after"));
    world.work();
    // The reply arrives, and the bus drops the messages.
    world.commit_all();
    world.deliver_all();
    world.work();
    assert!(mei.take().is_empty(), "earlier events have not been backfilled yet");
    world.settle();
    let frames = mei.take();
    assert_eq!(types(&frames), ["message", "member_left", "ok"], "{frames:?}");
    assert_eq!(frames[0]["body"], "before");
}

#[test]
fn leave_waits_for_a_reader_and_is_answered() {
    let mut world = World::new();
    let mut mei = world.connect_to_lobby(2);
    mei.take();
    world.bus_is_down = true;
    world.text(&mei, r#"{"type":"leave","id":5,"room":"lobby"}"#);
    world.work();
    world.commit_all();
    world.shard.services.overloaded = true;
    world.settle();
    assert!(mei.take().is_empty());
    world.shard.services.overloaded = false;
    world.wait(seconds(4));
    assert_eq!(types(&mei.take()), ["member_left", "ok"]);
}

#[test]
fn deleted_room_is_closed_with_an_error_to_members() {
    let mut world = World::new();
    let mut first = world.connect(2);
    let join = json!({"type":"join","id":1,"room":"silent"}).to_string();
    world.send_frame(&first, &join);
    let mut second = world.connect(2);
    world.send_frame(&second, &join);
    first.take();
    second.take();
    world.store.fail_next(storage::Failure::NotKnown);
    world.send_frame(&first, r#"{"type":"leave","id":6,"room":"silent"}"#);
    let frames = first.take();
    assert_eq!((&frames[0]["id"], &frames[0]["code"]), (&json!(6), &json!("unavailable")));
    world.wait(seconds(3));
    for mut peer in [first, second] {
        let frames = peer.take();
        let closed: Vec<_> = frames.iter().filter(|frame| frame["type"] == "error").collect();
        assert_eq!(closed.len(), 1, "{frames:?}");
        assert_eq!((&closed[0]["room"], &closed[0]["code"]), (&json!("r2"), &json!("room_not_found")));
        assert!(closed[0]["id"].is_null());
    }
}

#[test]
fn leave_during_stop_is_answered_after_earlier_events() {
    let mut world = World::new();
    let li = world.connect_to_lobby(1);
    let mut mei = world.connect_to_lobby(2);
    let mut mei_too = world.connect_to_lobby(2);
    mei.take();
    mei_too.take();
    mei.limit_bytes(0);
    world.send(&li, "a", "before");
    world.send_frame(&mei, r#"{"type":"leave","id":5,"room":"lobby"}"#);
    world.shard.handle_draining(world.now);
    world.settle();
    world.shard.handle_closing(world.now, seconds(1));
    world.accept_bytes(&mei, usize::MAX);
    assert_eq!(mei.take_text(), ["CLOSE 1001 retry_within_ms=1000"]);
    // A connection whose socket accepts bytes receives everything.
    assert_eq!(&types(&mei_too.take())[..2], ["message", "member_left"]);
}

#[test]
fn waiting_join_is_opened_by_a_late_bus_message() {
    let mut world = World::new();
    let li = world.connect_to_lobby(1);
    let mut mei = world.connect(2);
    mei.take();
    // A query runs before the event is in the store.
    world.shard.handle_dropped_messages(world.now);
    let early: Vec<_> = std::mem::take(&mut world.shard.services.queries);
    let found: Vec<_> = early.into_iter().map(|query| world.run_query(query)).collect();
    world.text(&mei, r#"{"type":"join","id":1,"room":"lobby"}"#);
    world.work();
    world.commit_all();
    let mut late = world.deliveries.pop_front().unwrap();
    let message = late.message.take();
    world.shard.handle_commit(world.now, late);
    for found in found {
        world.shard.handle_query_result(world.now, found);
    }
    world.shard.handle_commit(world.now, bus::Delivery { message, replies: Vec::new() });
    world.work();
    assert_eq!(types(&mei.take()), ["joined"]);
    world.send(&li, "a", "hello");
    assert_eq!(types(&mei.take()), ["message"]);
}

#[test]
fn connection_of_ended_session_sends_no_request() {
    let mut world = World::new();
    for protocol in [WireProtocol::Json, WireProtocol::PlainText(Language::En)] {
        let session = TokenHash([7; 32]);
        world.shard.services.sessions.end(session);
        let mut late = world.connect_without_settling(7, protocol, Some(session));
        // A text client would join the lobby automatically.
        assert!(world.shard.services.requests.is_empty());
        world.send_frame(&late, r#"{"type":"join","id":1,"room":"lobby"}"#);
        // 4100, big-endian, after an opcode and a length.
        assert_eq!(late.take_raw()[2..4], [0x10, 0x04]);
        assert!(world.shard.services.requests.is_empty());
        world.disconnect(&late);
    }
    world.shard.check_empty();
    assert!(!world.is_member(1, 7));
}
