//! Large rooms: delayed delivery of joins, and backpressure.

use std::time::Duration;

use room_log::RoomLog;
use serde_json::Value;

use super::seconds;
use super::world::{Peer, World, are_contiguous, send_in_lobby};
use crate::encoding::Encoding;

const ALMOST_A_SECOND: Duration = Duration::from_millis(900);

/// A lobby with a first member and `others`; the first has received all their joins.
fn room_with(others: u64) -> (World, Peer) {
    let mut world = World::new();
    let mut first = world.connect_to_lobby(1);
    for user in 2..=others + 1 {
        world.connect_to_lobby(user);
    }
    world.wait(seconds(3));
    first.take();
    (world, first)
}

fn joins(peer: &mut Peer) -> usize {
    peer.take().iter().filter(|frame: &&Value| frame["type"] == "member_joined").count()
}

#[test]
fn join_in_small_room_is_delivered_at_once() {
    let (mut world, mut first) = room_with(98);
    world.connect_to_lobby(200);
    assert_eq!(joins(&mut first), 1);
}

#[test]
fn join_in_large_room_is_delivered_within_a_second() {
    let (mut world, mut first) = room_with(120);
    for user in 200..205 {
        world.connect_to_lobby(user);
    }
    assert_eq!(joins(&mut first), 0);
    let before = first.writes();
    world.wait(seconds(2));
    assert_eq!(joins(&mut first), 5);
    // One write for the joins, and at most one for the presence frame.
    assert!(first.writes() - before <= 2);
}

#[test]
fn message_in_large_room_is_immediate_and_after_joins() {
    let (mut world, mut first) = room_with(120);
    let late = world.connect_to_lobby(200);
    world.send(&late, "k1", "hello");
    let seqs: Vec<u64> = first.take().iter().filter_map(|frame| frame["seq"].as_u64()).collect();
    assert_eq!(seqs.len(), 2);
    assert_eq!(seqs[0] + 1, seqs[1]);
}

#[test]
fn each_join_waits_at_most_one_second() {
    let (mut world, mut first) = room_with(120);
    let early = world.connect_to_lobby(200);
    world.wait(ALMOST_A_SECOND);
    // This fan-out delivers the first join too, and cancels its delay.
    world.send(&early, "k1", "hello");
    assert_eq!(joins(&mut first), 1);
    world.connect_to_lobby(201);
    world.wait(seconds(2));
    assert_eq!(joins(&mut first), 1);
}

/// All members send faster than the room can deliver, with one fan-out slice per read.
#[test]
fn congested_room_pauses_reading_its_members() {
    const MEMBERS: u64 = 40;
    const EACH: u64 = 64;
    let mut world = World::new();
    let mut members: Vec<Peer> = (1..=MEMBERS).map(|user| world.connect_to_lobby(user)).collect();
    members.iter_mut().for_each(|member| drop(member.take_raw()));
    let body = "x".repeat(8_000);
    for number in 0..EACH {
        for member in &members {
            world.text(member, &send_in_lobby(&format!("k{number}"), &body));
        }
        world.shard.work(world.now);
        world.commit_all();
        world.deliver_all();
        let shard = &world.shard;
        let log = shard.rooms.iter().next().unwrap().1.existing_log(Encoding::Json).unwrap();
        let lags =
            shard.connections.iter().map(|(_, member)| log.bytes_after(member.subscriptions[0].cursor));
        let furthest = lags.max().unwrap();
        assert!(furthest < RoomLog::HARD_BYTES * 3 / 4, "a member that keeps up lags by {furthest} bytes");
    }
    world.settle();
    let all = MEMBERS + MEMBERS * EACH;
    assert_eq!(world.events_of(1).len() as u64, all, "paused input is read later");
    assert!(are_contiguous(&members[0].take_seqs(), MEMBERS + 1, all));
}

#[test]
fn message_of_a_member_who_does_not_read_is_delivered() {
    let mut world = World::new();
    let (mut li, mei) = (world.connect_to_lobby(1), world.connect_to_lobby(2));
    mei.limit_bytes(0);
    let body = "x".repeat(8_000);
    for number in 0..200 {
        world.send(&li, &format!("k{number}"), &body);
    }
    li.take();
    world.send(&mei, "k", "I am here");
    assert!(li.take().iter().any(|frame| frame["body"] == "I am here"));
}

/// The fan-out has passed some members, to whom the join would otherwise be written at once.
#[test]
fn join_during_fanout_of_large_room_waits() {
    let (mut world, first) = room_with(120);
    let newcomer = world.connect(200);
    world.wait(seconds(3));
    let before = first.writes();
    world.text(&first, &send_in_lobby("k", "hello"));
    world.text(&newcomer, r#"{"type":"join","id":1,"room":"lobby"}"#);
    // The message is committed and its fan-out starts; then the join is committed.
    world.shard.work(world.now);
    let join = world.shard.services.requests.pop().unwrap();
    world.commit_all();
    world.deliver_all();
    world.shard.work(world.now);
    world.shard.services.requests.push(join);
    world.commit_all();
    world.deliver_all();
    world.work();
    assert_eq!(first.writes() - before, 1, "the message and its reply, and no join");
}
