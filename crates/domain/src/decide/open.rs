//! Opening a room of which the user is a member. Nothing is written.

use protocol::{RoomId, RoomRef, UserId};

use super::join::{JoinedRoom, joined};
use super::{Context, Decide, Decision};
use crate::{Fact, Permission};

/// Opens a room of which the user is a member. Nothing is written: the request passes the writer so that its answer has a
/// position among the events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open {
    /// The room. A user who is not a member is rejected.
    pub room: RoomId,
}

impl Decide for Open {
    type Done = JoinedRoom;

    fn facts(&self, user: UserId) -> Vec<Fact> {
        let room = RoomRef::Id(self.room);
        vec![Fact::Room(room.clone()), Fact::Member(room.clone(), user), Fact::ReadPosition(room, user)]
    }

    fn decide(&self, context: &Context<'_>) -> Decision<JoinedRoom> {
        let (room, _) = context.member_of(Permission::Member, &RoomRef::Id(self.room))?;
        Ok((Vec::new(), joined(context, room, false)?))
    }
}

#[cfg(test)]
mod tests {
    use protocol::{ErrorCode, Seq};

    use super::*;
    use crate::decide::testing::{TEA, outcome, world};
    use crate::{OperationResult, Outcome};

    #[test]
    fn member_opens_the_room_as_it_stands() {
        let Outcome::Done(effects, result) = outcome(&world(), 1, Open { room: TEA }) else { panic!() };
        assert!(effects.is_empty());
        assert!(matches!(result, OperationResult::Open(JoinedRoom { head: Seq(9), created: false, .. })));
    }

    #[test]
    fn non_member_is_rejected() {
        let rejected = Outcome::Rejected(ErrorCode::NotAMember);
        assert_eq!(outcome(&world(), 2, Open { room: TEA }), rejected);
    }
}
