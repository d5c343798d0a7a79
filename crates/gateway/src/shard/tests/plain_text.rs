//! Clients that use plain text: one room at a time, and a read position in the store.

use domain::TokenHash;

use super::world::{World, send_in_lobby};
use super::{join, seconds, types};
use crate::handoff::WireProtocol;
use crate::i18n::Language;

#[test]
fn text_client_gets_lines_and_keeps_its_position() {
    let mut world = World::new();
    let li = world.connect_to_lobby(1);
    let session = Some(domain::TokenHash([7; 32]));
    let mut reader = world.connect_as(7, WireProtocol::PlainText(Language::En), session);
    world.send(&li, "a", "two\nlines");
    world.send_frame(&reader, "hello");
    let lines = reader.take_text();
    assert!(lines.ends_with(&["guest 1: two lines".to_owned(), "guest 7: hello".to_owned()]), "{lines:?}");
    world.disconnect(&reader);
    world.send(&li, "b", "while you were away");
    let mut reader = world.connect_as(7, WireProtocol::PlainText(Language::En), session);
    let lines = reader.take_text();
    assert_eq!(
        lines.iter().filter(|line| line.starts_with("guest ")).collect::<Vec<_>>(),
        ["guest 1: while you were away"]
    );
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
    let brief = world.connect_without_settling(7, WireProtocol::PlainText(Language::En), session);
    for _ in 0..3 {
        world.work();
        world.commit_all();
        world.deliver_all();
    }
    // Its page has not been delivered.
    world.disconnect(&brief);
    let mut back = world.connect_as(7, WireProtocol::PlainText(Language::En), session);
    let lines = back.take_text();
    for number in 0..5 {
        assert!(lines.contains(&format!("guest 1: missed {number}")), "{lines:?}");
    }
}

#[test]
fn text_client_leaving_lobby_receives_lobby_events() {
    let mut world = World::new();
    let li = world.connect_to_lobby(1);
    let mut reader =
        world.connect_as(7, WireProtocol::PlainText(Language::En), Some(domain::TokenHash([7; 32])));
    reader.take_text();
    world.text(&reader, "/leave");
    world.work();
    world.text(&li, &send_in_lobby("a", "same commit"));
    world.settle();
    world.send(&li, "b", "later");
    let lines = reader.take_text();
    assert!(lines.contains(&"guest 1: later".to_owned()), "{lines:?}");
}

#[test]
fn text_client_on_lagging_shard_has_one_room() {
    let mut world = World::new();
    let li = world.connect_to_lobby(1);
    world.send_frame(&li, &join("a"));
    let reader = world.connect_as(7, WireProtocol::PlainText(Language::En), Some(domain::TokenHash([7; 32])));
    world.bus_is_down = true;
    world.text(&reader, "/join a");
    world.text(&reader, "/join b");
    world.settle();
    world.bus_is_down = false;
    world.wait(seconds(3));
    assert_eq!(world.shard.connection(reader.key).unwrap().subscriptions.len(), 1);
}

#[test]
fn text_client_with_rejected_join_stays_in_its_room() {
    let mut world = World::new();
    let mut li = world.connect_to_lobby(1);
    let reader = world.connect_as(7, WireProtocol::PlainText(Language::En), Some(domain::TokenHash([7; 32])));
    world.send_frame(&reader, "/join r999");
    world.send_frame(&reader, "still here");
    assert!(types(&li.take()).contains(&"message"));
}

#[test]
fn line_goes_to_the_room_of_the_last_granted_join() {
    let mut world = World::new();
    let mut li = world.connect_to_lobby(1);
    world.send_frame(&li, r#"{"type":"join","id":1,"room":"tea"}"#);
    let reader = world.connect_as(7, WireProtocol::PlainText(Language::En), Some(TokenHash([7; 32])));
    li.take();
    // Two concurrent joins, of which the first is rejected.
    world.text(&reader, "/join r99");
    world.text(&reader, "/join tea");
    world.settle();
    world.send_frame(&reader, "hello");
    let message = li.take().into_iter().find(|frame| frame["type"] == "message").unwrap();
    assert_eq!(message["room"], "r2");
}

#[test]
fn line_goes_to_a_granted_room_that_is_not_open_yet() {
    let mut world = World::new();
    let mut li = world.connect_to_lobby(1);
    world.send_frame(&li, r#"{"type":"join","id":1,"room":"tea"}"#);
    let reader = world.connect_as(7, WireProtocol::PlainText(Language::En), Some(TokenHash([7; 32])));
    world.bus_is_down = true;
    world.text(&reader, "/join tea");
    world.work();
    world.commit_all();
    let lost = world.deliveries.pop_front().unwrap();
    world.shard.handle_commit(world.now, lost);
    world.bus_is_down = false;
    world.text(&reader, "/join r99");
    world.settle();
    world.wait(seconds(3));
    li.take();
    world.send_frame(&reader, "hello");
    let frames = li.take();
    let message = frames.iter().find(|frame| frame["type"] == "message").unwrap();
    assert_eq!(message["room"], "r2", "{:?}", types(&frames));
}
