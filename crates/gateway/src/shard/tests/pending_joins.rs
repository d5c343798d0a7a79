//! Granted joins that wait until the log of the room has reached them.

use serde_json::Value;

use super::world::{World, send_in_lobby};
use super::{join, types};

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
