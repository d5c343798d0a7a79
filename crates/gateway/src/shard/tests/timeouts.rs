//! Pings, idle peers and incomplete messages.

use serde_json::json;
use websocket::Opcode;

use super::seconds;
use super::world::World;

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
