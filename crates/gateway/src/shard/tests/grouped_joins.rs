//! Concurrent joins, which share one event.

use serde_json::{Value, json};

use super::types;
use super::world::{Peer, World};
use crate::handoff::WireProtocol;
use crate::i18n::Language;

fn join(room: &str) -> String {
    json!({"type":"join","id":1,"room":room}).to_string()
}

/// The users that a `member_joined` contains.
fn joined_users(event: &Value) -> Vec<&str> {
    let also_joined = event["also_joined"].as_array().into_iter().flatten();
    std::iter::once(&event["by"]).chain(also_joined).map(|user| user["id"].as_str().unwrap()).collect()
}

#[test]
fn grouped_join_is_one_event_and_opens_for_each() {
    let mut world = World::new();
    let mut li = world.connect_to_lobby(1);
    let mut lines = world.connect_as(2, WireProtocol::PlainText(Language::En), None);
    lines.take_text();
    li.take();
    let mut joining: Vec<Peer> = (3..9).map(|user| world.connect(user)).collect();
    for peer in &mut joining {
        peer.take();
        world.text(peer, &join("lobby"));
    }
    world.settle();
    let received = li.take();
    assert_eq!(types(&received), ["member_joined"]);
    assert_eq!(joined_users(&received[0]), ["u3", "u4", "u5", "u6", "u7", "u8"]);
    assert_eq!(lines.take_text(), ["* guest 3, guest 4, guest 5, guest 6, guest 7 and 1 other joined"]);
    world.send(&li, "k", "welcome");
    for peer in &mut joining {
        let received = peer.take();
        assert_eq!(types(&received), ["joined", "message"]);
        assert_eq!((received[0]["head"].as_u64(), received[1]["seq"].as_u64()), (Some(3), Some(4)));
    }
}

#[test]
fn leave_after_grouped_join_ends_one_membership() {
    let mut world = World::new();
    let li = world.connect_to_lobby(1);
    let (mut ann, mut bob) = (world.connect(2), world.connect(3));
    for peer in [&mut bob, &mut ann] {
        peer.take();
        world.text(peer, &join("lobby"));
    }
    // In the same commit as the joins.
    world.text(&ann, r#"{"type":"leave","id":2,"room":"lobby"}"#);
    world.settle();
    assert_eq!(joined_users(&serde_json::to_value(&world.events_of(1)[1]).unwrap()), ["u3", "u2"]);
    world.send(&li, "k", "hello");
    assert_eq!(types(&ann.take()), ["joined", "member_left", "ok"]);
    assert_eq!(types(&bob.take()), ["joined", "member_left", "message"]);
}

#[test]
fn only_the_creator_uses_a_new_room_token() {
    let mut world = World::new();
    world.shard.settings.rates = domain::Rates::default();
    let (creator, mut other) = (world.connect(1), world.connect(2));
    // Both take a token for each room. The join of `creator` comes first and creates it, so the token of `other` is returned.
    for n in 0..4 {
        for peer in [&creator, &other] {
            world.text(peer, &join(&format!("room{n}")));
        }
        world.settle();
    }
    other.take();
    for n in 0..5 {
        world.send_frame(&other, &join(&format!("own{n}")));
    }
    let replies = other.take();
    assert_eq!(types(&replies).iter().filter(|kind| **kind == "joined").count(), 5, "{replies:?}");
}
