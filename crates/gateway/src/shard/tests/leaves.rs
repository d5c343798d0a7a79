//! The end of a membership: earlier events are delivered first, later ones not at all.

use serde_json::{Value, json};
use websocket::Opcode;

use super::world::{Peer, World, are_contiguous, send_in_lobby};
use super::{join, seconds, types};

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
fn removed_member_gets_no_presence() {
    let mut world = World::new();
    let li = world.connect_to_lobby(1);
    let mut mei = world.connect_to_lobby(2);
    let mut other = world.connect(2);
    world.send_frame(&other, r#"{"type":"join","id":1,"room":"lobby"}"#);
    world.wait(seconds(3));
    mei.take();
    other.take();
    world.send_frame(&mei, r#"{"type":"leave","id":5,"room":"lobby"}"#);
    world.send_frame(&li, r#"{"type":"typing","room":"lobby"}"#);
    world.connect_to_lobby(3);
    // Presence is published at most once per second.
    world.wait(seconds(3));
    assert_eq!(types(&mei.take()), ["member_left", "ok"]);
    assert_eq!(types(&other.take()), ["member_left"]);
}

#[test]
fn removed_member_may_not_ask_for_presence() {
    let mut world = World::new();
    let li = world.connect_to_lobby(1);
    let mut stalled = world.connect_to_lobby(2);
    let other = world.connect(2);
    stalled.take();
    stalled.limit_bytes(10);
    world.send(&li, "a", "x");
    world.send_frame(&other, r#"{"type":"leave","id":5,"room":"lobby"}"#);
    world.connect_to_lobby(3);
    world.send_frame(
        &stalled,
        r#"[{"type":"who","id":6,"room":"lobby"},{"type":"typing","id":7,"room":"lobby"}]"#,
    );
    world.accept_bytes(&stalled, usize::MAX);
    let frames = stalled.take();
    for id in [6, 7] {
        let reply = frames.iter().find(|frame| frame["id"] == id).unwrap();
        assert_eq!(reply["code"], "not_a_member", "{frames:?}");
    }
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
