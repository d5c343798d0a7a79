//! Close frames, and what precedes them.

use std::time::Duration;

use serde_json::json;
use websocket::Opcode;

use super::world::{World, send_in_lobby};
use super::{seconds, types};

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
