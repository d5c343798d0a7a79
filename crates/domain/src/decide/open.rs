//! Return to a room as a member. Nothing is written.

use protocol::{RoomId, RoomRef, UserId};

use super::{Context, Decision, join};
use crate::{Fact, Permission};

pub(super) fn facts(room: RoomId, user: UserId) -> Vec<Fact> {
    let room = RoomRef::Id(room);
    vec![Fact::Room(room.clone()), Fact::Member(room.clone(), user), Fact::ReadPosition(room, user)]
}

pub(super) fn decide(context: &Context<'_>, room: RoomId) -> Decision {
    let (room, _) = context.member_of(Permission::Member, &RoomRef::Id(room))?;
    Ok((Vec::new(), join::joined(context, room, false)?))
}

#[cfg(test)]
mod tests {
    use protocol::{ErrorCode, Seq};

    use crate::decide::testing::{TEA, outcome, world};
    use crate::{Operation, OperationResult, Outcome};

    #[test]
    fn member_opens_the_room_as_it_stands() {
        let Outcome::Done(effects, result) = outcome(&world(), 1, Operation::Open { room: TEA }) else {
            panic!()
        };
        assert!(effects.is_empty());
        assert!(matches!(result, OperationResult::Joined { head: Seq(9), created: false, .. }));
    }

    #[test]
    fn non_member_is_refused() {
        let refused = Outcome::Refused(ErrorCode::NotAMember);
        assert_eq!(outcome(&world(), 2, Operation::Open { room: TEA }), refused);
    }
}
