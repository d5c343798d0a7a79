//! Leaving every room.

use protocol::UserId;

use super::{Context, Decide, Decision, DecisionError};
use crate::{Effect, Fact};

/// Leaves every room: the connection of a transient user has ended, and no client can return as that user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaveAll;

impl Decide for LeaveAll {
    type Done = ();

    fn facts(&self, user: UserId) -> Vec<Fact> {
        vec![Fact::User(user), Fact::RoomsOf(user)]
    }

    fn decide(&self, context: &Context<'_>) -> Decision<()> {
        let mut effects = Vec::new();
        leave_every_room(context, context.user(), &mut effects)?;
        Ok((effects, ()))
    }
}

/// The rooms are in the order of their ids. A user who is not stored is a member of no room.
pub(super) fn leave_every_room(
    context: &Context<'_>,
    user: UserId,
    effects: &mut Vec<Effect>,
) -> Result<(), DecisionError> {
    if context.world.user(user)?.is_none() {
        return Ok(());
    }
    let rooms = context.rooms(context.world.rooms_of(user)?.iter().copied())?;
    context.remove_member(&rooms, &context.stored(user)?, effects)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use protocol::{RoomId, RoomRef};

    use super::*;
    use crate::decide::testing::{TEA, outcome, world};
    use crate::{OperationResult, Outcome};

    #[test]
    fn user_leaves_each_of_their_rooms() {
        let Outcome::Done(effects, result) = outcome(&world(), 1, LeaveAll) else { panic!() };
        assert_eq!(effects[1], Effect::DeleteMembership { room: TEA, user: UserId(1) });
        assert_eq!((effects.len(), result), (2, OperationResult::LeaveAll(())));
    }

    #[test]
    fn user_who_is_not_stored_has_nothing_to_leave() {
        let done = Outcome::Done(Vec::new(), OperationResult::LeaveAll(()));
        assert_eq!(outcome(&world(), 2, LeaveAll), done);
    }

    #[test]
    fn all_missing_rooms_are_reported_at_once() {
        let mut world = world();
        world.apply(&Effect::InsertMembership { room: RoomId(8), user: UserId(1), since: protocol::Seq(1) });
        world.apply(&Effect::InsertMembership { room: RoomId(9), user: UserId(1), since: protocol::Seq(1) });
        let missing = [8, 9].map(|room| Fact::Room(RoomRef::Id(RoomId(room)))).to_vec();
        assert_eq!(outcome(&world, 1, LeaveAll), Outcome::Missing(missing));
    }
}
