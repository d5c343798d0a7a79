//! Ending a membership. A room without messages is deleted with its last member.

pub(super) use protocol::Leave;
use protocol::{ErrorCode, RoomId, Seq, UserId};

use super::{Context, Decide, Decision};
use crate::{Fact, Permission};

/// A membership that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeftRoom {
    /// The room, which was deleted if it was disposable.
    pub room: RoomId,
    /// The number of the `member_left` event: the last one that the user receives of the room.
    pub seq: Seq,
}

impl Decide for Leave {
    type Done = LeftRoom;

    fn facts(&self, user: UserId) -> Vec<Fact> {
        vec![Fact::Room(self.room.clone()), Fact::Member(self.room.clone(), user)]
    }

    fn decide(&self, context: &Context<'_>) -> Decision<LeftRoom> {
        let (room, user) = context.member_of(Permission::Member, &self.room)?;
        let mut effects = Vec::new();
        let seqs = context.remove_member(&[room], &user, &mut effects)?;
        let seq = *seqs.first().ok_or(ErrorCode::Internal)?;
        Ok((effects, LeftRoom { room: room.id(), seq }))
    }
}

#[cfg(test)]
mod tests {
    use protocol::{EventKind, MessageCount, RoomInfo, RoomRef};

    use super::*;
    use crate::decide::testing::{TEA, outcome, room_name, tea, user, world};
    use crate::{Effect, LOBBY, OperationResult, Outcome, Room, World};

    fn leave(room: RoomId) -> Leave {
        Leave { room: RoomRef::Id(room) }
    }

    /// User 1 is a member of a room without a message.
    fn silent(room: RoomId, members: u64) -> World {
        let mut world = World::default();
        let silent = Room { info: RoomInfo::new(room, room_name("silent")), n: MessageCount(0), ..tea() };
        world.load_room(&RoomRef::Id(room), Some(silent));
        world.load_member(room, UserId(1), Some(user(1).name));
        world.load_member_count(room, members);
        world
    }

    #[test]
    fn member_leaves_under_the_stored_name() {
        let Outcome::Done(effects, result) = outcome(&world(), 1, leave(TEA)) else { panic!() };
        let [Effect::AppendEvent(event), Effect::DeleteMembership { room, user }] = &effects[..] else {
            panic!("{effects:?}")
        };
        assert_eq!((&event.kind, event.by.name.as_str()), (&EventKind::MemberLeft {}, "stored"));
        assert_eq!((*room, *user), (TEA, UserId(1)));
        assert_eq!(result, OperationResult::Leave(LeftRoom { room: TEA, seq: Seq(10) }));
    }

    #[test]
    fn silent_room_is_deleted_with_its_last_member_only() {
        let deletes = |world: &World, room| match outcome(world, 1, leave(room)) {
            Outcome::Done(effects, _) => effects.contains(&Effect::DeleteRoom { room }),
            other => panic!("{other:?}"),
        };
        assert!(deletes(&silent(TEA, 1), TEA));
        assert!(!deletes(&silent(TEA, 2), TEA));
        assert!(!deletes(&silent(LOBBY, 1), LOBBY));
    }

    #[test]
    fn non_member_is_rejected() {
        assert_eq!(outcome(&world(), 2, leave(TEA)), Outcome::Rejected(ErrorCode::NotAMember));
    }

    #[test]
    fn room_that_does_not_exist_is_not_found() {
        let leave = Leave { room: RoomRef::Name(room_name("new")) };
        assert_eq!(outcome(&world(), 1, leave), Outcome::Rejected(ErrorCode::RoomNotFound));
    }
}
