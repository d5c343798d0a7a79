//! Catch-ups, gaps and backfills: events that the log of the room no longer has, or never received.

use serde_json::json;
use websocket::Opcode;

use super::world::{Peer, World, are_contiguous, send_in_lobby};
use super::{join, seconds, send_many, send_to, types};
use crate::handoff::WireProtocol;
use crate::i18n::Language;

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
    let received = slow.take_seqs();
    assert!(are_contiguous(&received, 3, 902), "{:?}", received.iter().take(9).collect::<Vec<_>>());
    assert!(received.iter().all(|(from, to)| from == to), "no gap was needed");
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
    let received = slow.take_seqs();
    assert!(are_contiguous(&received, 3, 1502), "{:?}", received.iter().take(9).collect::<Vec<_>>());
    assert!(received.iter().any(|(from, to)| from < to), "a gap was due");
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
fn page_rejected_by_readers_is_retried_at_next_tick() {
    let mut world = World::new();
    let li = world.connect_to_lobby(1);
    let mei = world.connect_to_lobby(2);
    send_many(&mut world, &li, 5);
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
    send_many(&mut world, &li, 8);
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
fn catch_up_continues_after_unwanted_pages() {
    let mut world = World::new();
    let li = world.connect_to_lobby(1);
    for n in 0..10 {
        world.send(&li, &format!("k{n}"), "x");
    }
    // The log of an idle room is empty.
    world.wait(seconds(15));
    let mut back = world.connect(2);
    world.send_frame(&back, r#"{"type":"join","id":1,"room":"lobby"}"#);
    back.take();
    let joins: Vec<_> =
        [3, 4, 2].map(|after| json!({"type":"join","id":after,"room":"lobby","after":after})).into();
    world.text(&back, &serde_json::Value::from(joins).to_string());
    world.work();
    world.commit_all();
    world.deliver_all();
    // All output is written before the first page arrives.
    world.work();
    world.settle();
    let last = back.take_seqs().into_iter().filter(|(from, _)| *from == 3).count();
    assert_eq!(last, 1, "only the events after the last cursor");
}

#[test]
fn repeated_wait_for_a_page_is_queued_once() {
    let mut world = World::new();
    let li = world.connect_to_lobby(1);
    for n in 0..10 {
        world.send(&li, &format!("k{n}"), "x");
    }
    world.wait(seconds(15));
    let mut back = world.connect(2);
    // Simulates full outboxes.
    let full = usize::MAX / 2;
    world.shard.private_bytes += full;
    world.send_frame(&back, r#"{"type":"join","id":1,"room":"lobby","after":1}"#);
    for _ in 0..100 {
        world.bytes(&back, &websocket::masked_frame(Opcode::Ping, b"", [1, 2, 3, 4]));
        world.settle();
    }
    world.wait(seconds(1));
    assert_eq!(world.shard.postponed.len(), 1);
    world.shard.private_bytes -= full;
    world.wait(seconds(1));
    assert!(world.shard.postponed.is_empty());
    assert_eq!(back.take_seqs().len(), 11);
}
