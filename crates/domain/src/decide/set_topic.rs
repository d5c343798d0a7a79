//! Changing the topic of a room.

pub(super) use protocol::SetTopic;
use protocol::{EventKind, TopicSet, UserId};

use super::{Context, Decide, Decision};
use crate::{Fact, Permission};

impl Decide for SetTopic {
    type Done = TopicSet;

    fn facts(&self, user: UserId) -> Vec<Fact> {
        vec![Fact::Room(self.room.clone()), Fact::Member(self.room.clone(), user)]
    }

    fn decide(&self, context: &Context<'_>) -> Decision<TopicSet> {
        let (room, user) = context.member_of(Permission::Member, &self.room)?;
        let topic = self.topic.clone();
        let kind = EventKind::TopicChanged { topic: topic.clone() };
        Ok((context.change_attributes(room, user, kind), TopicSet { topic }))
    }
}

#[cfg(test)]
mod tests {
    use protocol::{ErrorCode, MessageCount, RoomAttributes, RoomId, RoomRef, Seq, Topic};

    use super::*;
    use crate::decide::testing::{TEA, outcome, world};
    use crate::{Effect, OperationResult, Outcome, World};

    fn topic(text: &str) -> Topic {
        Topic::new(text).unwrap()
    }

    fn set_topic(room: RoomId, text: &str) -> SetTopic {
        SetTopic { room: RoomRef::Id(room), topic: topic(text) }
    }

    fn with_topic(text: &str) -> World {
        let mut world = world();
        let attributes = RoomAttributes { topic: topic(text), ..RoomAttributes::default() };
        world.apply(&Effect::SetRoomAttributes { room: TEA, attributes });
        world.load_room(&RoomRef::Id(RoomId(77)), None);
        world
    }

    #[test]
    fn new_topic_is_appended_and_is_no_message() {
        let Outcome::Done(effects, result) = outcome(&with_topic("old"), 1, set_topic(TEA, "new")) else {
            panic!()
        };
        let [Effect::AppendEvent(event), Effect::SetRoomAttributes { room: TEA, attributes }] = &effects[..]
        else {
            panic!("{effects:?}")
        };
        assert_eq!((event.seq, event.n, event.by.name.as_str()), (Seq(10), MessageCount(4), "stored"));
        assert_eq!(event.kind, EventKind::TopicChanged { topic: topic("new") });
        assert_eq!(
            (&attributes.topic, result),
            (&topic("new"), OperationResult::SetTopic(TopicSet { topic: topic("new") }))
        );
    }

    #[test]
    fn empty_topic_removes_the_topic() {
        let outcome = outcome(&with_topic("old"), 1, set_topic(TEA, ""));
        assert!(matches!(outcome, Outcome::Done(effects, _) if effects.len() == 2));
    }

    #[test]
    fn same_topic_has_no_effects() {
        let result = OperationResult::SetTopic(TopicSet { topic: topic("old") });
        assert_eq!(outcome(&with_topic("old"), 1, set_topic(TEA, "old")), Outcome::Done(Vec::new(), result));
    }

    #[test]
    fn topic_by_non_member_or_of_missing_room_is_rejected() {
        let world = with_topic("old");
        assert_eq!(outcome(&world, 2, set_topic(TEA, "x")), Outcome::Rejected(ErrorCode::NotAMember));
        assert_eq!(
            outcome(&world, 1, set_topic(RoomId(77), "x")),
            Outcome::Rejected(ErrorCode::RoomNotFound)
        );
    }
}
