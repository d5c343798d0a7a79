//! End a membership. A room without messages is deleted with its last member.

use protocol::{ErrorCode, RoomRef, UserId};

use super::{Context, Decision};
use crate::{Fact, OperationResult, Permission};

pub(super) fn facts(room: &RoomRef, user: UserId) -> Vec<Fact> {
    vec![Fact::Room(room.clone()), Fact::Member(room.clone(), user)]
}

pub(super) fn decide(context: &Context<'_>, room: &RoomRef) -> Decision {
    let (room, person) = context.member_of(Permission::Member, room)?;
    let mut effects = Vec::new();
    let seqs = context.remove_member(&[room], &person, &mut effects)?;
    let seq = *seqs.first().ok_or(ErrorCode::Internal)?;
    Ok((effects, OperationResult::Left { room: room.id, seq }))
}

#[cfg(test)]
mod tests {
    use protocol::{EventKind, MessageCount, RoomId, Seq};

    use super::*;
    use crate::decide::testing::{TEA, outcome, person, room_name, tea, world};
    use crate::{Effect, LOBBY, Operation, Outcome, Room, World};

    fn leave(room: RoomId) -> Operation {
        Operation::Leave { room: RoomRef::Id(room) }
    }

    /// User 1 is a member of the room, which has no message.
    fn silent(room: RoomId, members: u64) -> World {
        let mut world = World::default();
        let silent = Room { id: room, name: room_name("silent"), n: MessageCount(0), ..tea() };
        world.load_room(&RoomRef::Id(room), Some(silent));
        world.load_member(room, UserId(1), Some(person(1).name));
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
        assert_eq!(result, OperationResult::Left { room: TEA, seq: Seq(10) });
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
    fn non_member_is_refused() {
        assert_eq!(outcome(&world(), 2, leave(TEA)), Outcome::Refused(ErrorCode::NotAMember));
    }

    #[test]
    fn room_that_does_not_exist_is_not_found() {
        let leave = Operation::Leave { room: RoomRef::Name(room_name("new")) };
        assert_eq!(outcome(&world(), 1, leave), Outcome::Refused(ErrorCode::RoomNotFound));
    }
}
