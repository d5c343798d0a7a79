//! Races between a request and its reply, when the connection, the room or the membership changes in between.

use domain::TokenHash;
use serde_json::json;
use websocket::Opcode;

use super::world::World;
use super::{seconds, types};
use crate::handoff::WireProtocol;
use crate::i18n::Language;

#[test]
fn rename_on_closed_connection_applies_to_the_others() {
    let mut world = World::new();
    let session = TokenHash([2; 32]);
    let mut li = world.connect_to_lobby(1);
    let first = world.connect(2);
    let second = world.connect_to_lobby(2);
    world.text(&first, r#"{"type":"rename","id":1,"name":"Mei"}"#);
    world.work();
    world.disconnect_without_settling(&first);
    world.work();
    world.settle();
    li.take();
    world.send_frame(&second, r#"{"type":"typing","id":2,"room":"lobby"}"#);
    let typing = li.take().into_iter().find(|frame| frame["type"] == "typing").unwrap();
    assert_eq!(typing["by"]["name"], "Mei");
    world.send_frame(&li, r#"{"type":"who","id":3,"room":"lobby"}"#);
    assert_eq!(li.take()[0]["users"][1]["name"], "Mei");
    // The next connection of the session gets the user from the store.
    assert_eq!(world.shard.services.sessions.provisional(&session), None);
}

#[test]
fn first_write_answered_after_disconnect_marks_user_stored() {
    let mut world = World::new();
    for (user, first) in
        [(2, r#"{"type":"rename","id":1,"name":"Mei"}"#), (3, r#"{"type":"join","id":1,"room":"lobby"}"#)]
    {
        let session = TokenHash([u8::try_from(user).unwrap(); 32]);
        let guest = protocol::User {
            id: protocol::UserId(user),
            name: protocol::UserName::new(&format!("guest {user}")).unwrap(),
        };
        world.shard.services.sessions.begin(session, guest);
        let gone = world.connect(user);
        world.text(&gone, first);
        world.work();
        world.disconnect(&gone);
        // Otherwise a look-up of the session would find the provisional guest with the old name.
        assert_eq!(world.shard.services.sessions.provisional(&session), None, "{first}");
    }
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

#[test]
fn removed_member_gets_no_presence() {
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
