//! Change the topic of a room.

use protocol::{EventKind, RoomRef, Topic, UserId};

use super::{Context, Decision};
use crate::{Effect, Fact, OperationResult, Permission};

pub(super) fn facts(room: &RoomRef, user: UserId) -> Vec<Fact> {
    vec![Fact::Room(room.clone()), Fact::Member(room.clone(), user)]
}

pub(super) fn decide(context: &Context<'_>, reference: &RoomRef, topic: &Topic) -> Decision {
    let (room, person) = context.member_of(Permission::Member, reference)?;
    let mut effects = Vec::new();
    if room.topic != *topic {
        let event = context.event(room, person, EventKind::TopicChanged { topic: topic.clone() });
        effects.push(Effect::AppendEvent(event));
        effects.push(Effect::SetRoomTopic { room: room.id, topic: topic.clone() });
    }
    Ok((effects, OperationResult::TopicSet { topic: topic.clone() }))
}

#[cfg(test)]
mod tests {
    use protocol::{ErrorCode, MessageCount, RoomId, Seq};

    use super::*;
    use crate::decide::testing::{TEA, outcome, world};
    use crate::{Operation, Outcome, World};

    fn topic(text: &str) -> Topic {
        Topic::new(text).unwrap()
    }

    fn set_topic(room: RoomId, text: &str) -> Operation {
        Operation::SetTopic { room: RoomRef::Id(room), topic: topic(text) }
    }

    fn with_topic(text: &str) -> World {
        let mut world = world();
        world.apply(&Effect::SetRoomTopic { room: TEA, topic: topic(text) });
        world.load_room(&RoomRef::Id(RoomId(77)), None);
        world
    }

    #[test]
    fn new_topic_is_appended_and_is_no_message() {
        let Outcome::Done(effects, result) = outcome(&with_topic("old"), 1, set_topic(TEA, "new")) else {
            panic!()
        };
        let [Effect::AppendEvent(event), Effect::SetRoomTopic { room: TEA, topic: stored }] = &effects[..]
        else {
            panic!("{effects:?}")
        };
        assert_eq!((event.seq, event.n, event.by.name.as_str()), (Seq(10), MessageCount(4), "stored"));
        assert_eq!(event.kind, EventKind::TopicChanged { topic: topic("new") });
        assert_eq!((stored, result), (&topic("new"), OperationResult::TopicSet { topic: topic("new") }));
    }

    #[test]
    fn empty_topic_removes_the_topic() {
        let outcome = outcome(&with_topic("old"), 1, set_topic(TEA, ""));
        assert!(matches!(outcome, Outcome::Done(effects, _) if effects.len() == 2));
    }

    #[test]
    fn same_topic_has_no_effects() {
        let result = OperationResult::TopicSet { topic: topic("old") };
        assert_eq!(outcome(&with_topic("old"), 1, set_topic(TEA, "old")), Outcome::Done(Vec::new(), result));
    }

    #[test]
    fn topic_by_non_member_or_of_missing_room_is_refused() {
        let world = with_topic("old");
        assert_eq!(outcome(&world, 2, set_topic(TEA, "x")), Outcome::Refused(ErrorCode::NotAMember));
        assert_eq!(outcome(&world, 1, set_topic(RoomId(77), "x")), Outcome::Refused(ErrorCode::RoomNotFound));
    }
}
