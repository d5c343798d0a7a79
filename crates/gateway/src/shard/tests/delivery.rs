//! Delivery: order, one write for many events, and the memory of a room's log.

use serde_json::{Value, json};

use super::world::{Peer, World, are_contiguous, send_in_lobby};
use super::{seconds, send_many, types};
use crate::encoding::Encoding;

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
fn lag_within_the_log_is_served_from_memory() {
    let mut world = World::new();
    let li = world.connect_to_lobby(1);
    let mut slow = world.connect_to_lobby(2);
    slow.take();
    slow.limit_bytes(0);
    send_many(&mut world, &li, 200);
    world.accept_bytes_without_settling(&slow, usize::MAX);
    // No query is submitted.
    world.work();
    assert!(are_contiguous(&slow.take_seqs(), 3, 202));
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
