//! Attributes of rooms. The tests use attributes that this version does not define, because a store must not distinguish them.

use domain::Effect;
use protocol::{RoomAttributes, RoomId, RoomRef, UserId};
use serde_json::{Value, json};

use super::fixture::*;
use crate::{OperationResult, RoomQuery};

fn attributes(json: Value) -> RoomAttributes {
    serde_json::from_value(json).unwrap()
}

fn set(room: RoomId, json: Value) -> Effect {
    Effect::SetRoomAttributes { room, attributes: attributes(json) }
}

fn stored(fixture: &mut Fixture, room: RoomId) -> RoomAttributes {
    fixture.reader.room(&RoomRef::Id(room)).unwrap().unwrap().info.attributes
}

pub fn attributes_are_stored_and_listed(fixture: &mut Fixture) {
    let room = fixture.join(1, "tea");
    fixture.send(1, "tea", "hello");
    let json = json!({"future": "今天喝 \"龙井\" \\ 👩‍🚀", "picture": {"id": 7, "tags": [true, null]}});
    fixture.writer.commit_effects(fixture.now, vec![set(room, json.clone())]).unwrap();
    let expected = attributes(json);
    assert_eq!(stored(fixture, room), expected);
    let user = UserId(1);
    let query = RoomQuery { user, joined: true, after: None, limit: 10 };
    assert_eq!(fixture.reader.rooms(query).unwrap().rooms[0].info.attributes, expected);
    let all = RoomQuery { joined: false, ..query };
    assert_eq!(fixture.reader.rooms(all).unwrap().rooms[1].info.attributes, expected);
    let open = fixture.reader.open_rooms(user, &[room]).unwrap().remove(0).unwrap();
    assert_eq!(open.room.info.attributes, expected);
    for operation in [join("tea"), domain::Open { room }.into()] {
        let (OperationResult::Join(joined) | OperationResult::Open(joined)) = fixture.done(1, operation)
        else {
            panic!()
        };
        assert_eq!(joined.info.attributes, expected);
    }
    fixture.writer.commit_effects(fixture.now, vec![set(room, json!({}))]).unwrap();
    assert_eq!(stored(fixture, room), RoomAttributes::default());
}

pub fn attributes_of_a_batch_are_the_last_ones(fixture: &mut Fixture) {
    let (tea, milk) = (fixture.join(1, "tea"), fixture.join(1, "milk"));
    let effects =
        vec![set(tea, json!({"a": 1, "b": 2})), set(milk, json!({"c": 3})), set(tea, json!({"b": 4}))];
    fixture.writer.commit_effects(fixture.now, effects).unwrap();
    assert_eq!(stored(fixture, tea), attributes(json!({"b": 4})));
    assert_eq!(stored(fixture, milk), attributes(json!({"c": 3})));
}

pub fn attributes_of_a_deleted_room_are_gone(fixture: &mut Fixture) {
    let room = fixture.join(1, "tea");
    fixture.writer.commit_effects(fixture.now, vec![set(room, json!({"a": 1}))]).unwrap();
    fixture.done(1, leave("tea"));
    assert_eq!(fixture.reader.room(&RoomRef::Id(room)).unwrap(), None);
    let room = fixture.join(1, "tea");
    assert_eq!(stored(fixture, room), RoomAttributes::default());
}
