//! Users and their sessions: transient guests, users who are not stored yet, and ended sessions.

use domain::{Rate, Rates, TokenHash};

use super::world::{Peer, World};
use super::{join, seconds, types};
use crate::handoff::WireProtocol;
use crate::i18n::Language;

#[test]
fn transient_guest_leaves_on_disconnect() {
    let mut world = World::new();
    let mut li = world.connect_to_lobby(1);
    let guest = world.connect_as(2, WireProtocol::PlainText(Language::En), None);
    world.disconnect(&guest);
    assert_eq!(types(&li.take())[..2], ["member_joined", "member_left"]);
    assert!(world.shard.connections.users().count() == 1 && world.shard.connections.len() == 1);
}

#[test]
fn departure_waits_for_the_writer() {
    let mut world = World::new();
    let mut li = world.connect_to_lobby(1);
    let guest = world.connect_as(2, WireProtocol::PlainText(Language::En), None);
    world.shard.services.overloaded = true;
    world.disconnect(&guest);
    assert_eq!(types(&li.take()), ["member_joined"]);
    world.shard.services.overloaded = false;
    world.wait(seconds(1));
    assert!(types(&li.take()).contains(&"member_left"));
}

#[test]
fn failed_departure_is_retried() {
    let mut world = World::new();
    let guest = world.connect_as(7, WireProtocol::Json, None);
    world.send_frame(&guest, &join("lobby"));
    assert!(world.is_member(1, 7));
    world.store.fail_next(storage::Failure::Lost);
    world.disconnect(&guest);
    assert!(world.is_member(1, 7), "the commit failed");
    world.wait(seconds(2));
    assert!(!world.is_member(1, 7));
}

#[test]
fn guest_stored_by_a_failed_join_leaves_on_disconnect() {
    let mut world = World::new();
    let mut guest = world.connect_as(7, WireProtocol::Json, None);
    world.store.fail_next(storage::Failure::NotKnown);
    world.send_frame(&guest, &join("lobby"));
    assert_eq!(guest.take()[1]["code"], "unavailable");
    assert!(world.is_member(1, 7));
    world.disconnect(&guest);
    assert!(!world.is_member(1, 7));
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
fn connection_of_ended_session_sends_no_request() {
    let mut world = World::new();
    for protocol in [WireProtocol::Json, WireProtocol::PlainText(Language::En)] {
        let session = TokenHash([7; 32]);
        world.shard.services.sessions.end(session);
        let mut late = world.connect_without_settling(7, protocol, Some(session));
        // A text client would join the lobby automatically.
        assert!(world.shard.services.requests.is_empty());
        world.send_frame(&late, r#"{"type":"join","id":1,"room":"lobby"}"#);
        // 4100, big-endian, after an opcode and a length.
        assert_eq!(late.take_raw()[2..4], [0x10, 0x04]);
        assert!(world.shard.services.requests.is_empty());
        world.disconnect(&late);
    }
    world.shard.check_empty();
    assert!(!world.is_member(1, 7));
}

#[test]
fn reconnect_does_not_refill_the_buckets() {
    let mut world = World::new();
    world.shard.settings.rates = Rates { messages: Rate { per_second: 0.001, burst: 2 }, ..Rates::default() };
    let mut mei = world.connect_to_lobby(2);
    let is_limited = |world: &mut World, peer: &mut Peer, key: &str| {
        world.send(peer, key, "hi");
        peer.take().iter().any(|frame| frame["code"] == "rate_limited")
    };
    assert!(!is_limited(&mut world, &mut mei, "a"));
    assert!(!is_limited(&mut world, &mut mei, "b"));
    world.disconnect(&mei);
    let mut mei = world.connect_to_lobby(2);
    assert!(is_limited(&mut world, &mut mei, "c"));
}
