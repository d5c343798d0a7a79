//! The topic of a room.

use protocol::{ErrorCode, EventKind, MessageCount, RoomRef, Seq, Topic, TopicSet};

use super::fixture::*;
use crate::{Operation, OperationResult, RoomQuery};

fn topic(text: &str) -> Topic {
    Topic::new(text).unwrap()
}

fn set_topic(name: &str, text: &str) -> Operation {
    protocol::SetTopic { room: named(name), topic: topic(text) }.into()
}

fn stored_topic(fixture: &mut Fixture, name: &str) -> String {
    fixture.reader.room(&named(name)).unwrap().unwrap().info.attributes.topic.to_string()
}

pub fn topic_is_appended_stored_and_listed(fixture: &mut Fixture) {
    let room = fixture.join(1, "tea");
    fixture.send(1, "tea", "hello");
    let text = "今天喝 \"龙井\" \\ 👩‍🚀";
    let result = fixture.done(1, set_topic("tea", text));
    assert_eq!(result, OperationResult::SetTopic(TopicSet { topic: topic(text) }));
    let event = fixture.events(room).pop().unwrap();
    assert_eq!(event.kind, EventKind::TopicChanged { topic: topic(text) });
    assert_eq!((event.seq, event.n, event.by), (Seq(3), MessageCount(1), person(1)));
    assert_eq!(stored_topic(fixture, "tea"), text);
    let query = RoomQuery { user: protocol::UserId(1), joined: true, after: None, limit: 10 };
    assert_eq!(fixture.reader.rooms(query).unwrap().rooms[0].info.attributes.topic, topic(text));
    let all = RoomQuery { joined: false, ..query };
    assert_eq!(fixture.reader.rooms(all).unwrap().rooms[1].info.attributes.topic, topic(text));
    let open = fixture.reader.open_rooms(protocol::UserId(1), &[room]).unwrap().remove(0).unwrap();
    assert_eq!(open.room.info.attributes.topic, topic(text));
    for operation in [join("tea"), Operation::Open(domain::Open { room })] {
        let (OperationResult::Join(joined) | OperationResult::Open(joined)) = fixture.done(1, operation)
        else {
            panic!()
        };
        assert_eq!(joined.info.attributes.topic, topic(text));
    }
}

pub fn same_topic_appends_nothing(fixture: &mut Fixture) {
    let room = fixture.join(1, "tea");
    fixture.done(1, set_topic("tea", ""));
    assert_eq!(fixture.events(room).len(), 1, "there was none");
    fixture.done(1, set_topic("tea", "龙井"));
    let (answer, events) = fixture.one(1, set_topic("tea", "龙井"));
    assert_eq!(answer, Ok(OperationResult::SetTopic(TopicSet { topic: topic("龙井") })));
    assert_eq!(events, []);
}

pub fn empty_topic_removes_the_topic(fixture: &mut Fixture) {
    let room = fixture.join(1, "tea");
    fixture.done(1, set_topic("tea", "龙井"));
    fixture.done(1, set_topic("tea", ""));
    assert_eq!(stored_topic(fixture, "tea"), "");
    assert_eq!(fixture.events(room).pop().unwrap().kind, EventKind::TopicChanged { topic: topic("") });
}

pub fn topic_of_a_batch_is_the_last_one(fixture: &mut Fixture) {
    let batch = fixture.all([
        (guest(1), join("tea")),
        (guest(1), set_topic("tea", "one")),
        (guest(1), set_topic("tea", "two")),
        (guest(1), set_topic("tea", "two")),
        (guest(2), join("tea")),
    ]);
    assert_eq!(batch.events.len(), 4);
    let Ok(OperationResult::Join(joined)) = &batch.answers[4].1 else { panic!() };
    assert_eq!(joined.info.attributes.topic, topic("two"));
    assert_eq!(stored_topic(fixture, "tea"), "two");
}

pub fn topic_requires_membership(fixture: &mut Fixture) {
    fixture.join(1, "tea");
    fixture.join(2, "lobby");
    assert_eq!(fixture.refused(2, set_topic("tea", "x")), ErrorCode::NotAMember);
    assert_eq!(fixture.refused(2, set_topic("nowhere", "x")), ErrorCode::RoomNotFound);
    fixture.done(2, join("tea"));
    fixture.done(2, leave("tea"));
    assert_eq!(fixture.refused(2, set_topic("tea", "x")), ErrorCode::NotAMember);
    assert_eq!(stored_topic(fixture, "tea"), "");
}

pub fn topic_of_a_deleted_room_is_gone(fixture: &mut Fixture) {
    let room = fixture.join(1, "tea");
    fixture.all([(guest(1), set_topic("tea", "龙井")), (guest(1), leave("tea"))]);
    assert_eq!(fixture.reader.room(&RoomRef::Id(room)).unwrap(), None, "a topic is no message");
    fixture.join(1, "tea");
    assert_eq!(stored_topic(fixture, "tea"), "");
}
