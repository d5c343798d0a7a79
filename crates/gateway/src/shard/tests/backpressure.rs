//! Backpressure: slow peers, an overloaded writer, and the bounds of what is queued for them.

use std::time::Duration;

use serde_json::json;
use websocket::Opcode;

use super::world::{Peer, World, are_contiguous, send_in_lobby};
use super::{BODY, join, seconds, send_to, types};

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
    let mut received = slow.take_seqs();
    for _ in 0..50 {
        world.accept_bytes(&slow, 777);
        received.extend(slow.take_seqs());
    }
    world.accept_bytes(&slow, usize::MAX);
    received.extend(slow.take_seqs());
    assert!(are_contiguous(&received, 3, 302), "{received:?}");
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
fn paused_member_is_read_after_the_fanout() {
    let mut world = World::new();
    let senders: Vec<Peer> = (1..=40).map(|user| world.connect_to_lobby(user)).collect();
    // Its socket is full, so no flush of its own resumes reading.
    let full = world.connect_to_lobby(41);
    full.limit_bytes(0);
    let body = "x".repeat(BODY);
    for number in 0..64 {
        for sender in &senders {
            world.text(sender, &send_in_lobby(&format!("k{number}"), &body));
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
