//! Invalidate a session token. A user without another session leaves every room.

use super::leave_all::leave_every_room;
use super::{Context, Decision};
use crate::{Effect, Fact, OperationResult, TokenHash};

pub(super) fn facts(token: &TokenHash) -> Vec<Fact> {
    vec![Fact::Session(*token)]
}

pub(super) fn decide(context: &Context<'_>, token: &TokenHash) -> Decision {
    let Some(user) = context.world.session(token)? else {
        return Ok((Vec::new(), OperationResult::SessionEnded));
    };
    let mut effects = vec![Effect::DeleteSession { token: *token, user }];
    if context.world.session_count(user)? <= 1 {
        leave_every_room(context, user, &mut effects)?;
    }
    Ok((effects, OperationResult::SessionEnded))
}

#[cfg(test)]
mod tests {
    use protocol::UserId;

    use super::*;
    use crate::decide::testing::{TEA, TOKEN, outcome, world};
    use crate::{Operation, Outcome};

    const END: Operation = Operation::EndSession { token: TOKEN };

    #[test]
    fn last_session_takes_the_user_out_of_all_rooms() {
        let Outcome::Done(effects, _) = outcome(&world(), 9, END) else { panic!() };
        let user = UserId(1);
        assert_eq!(effects[0], Effect::DeleteSession { token: TOKEN, user });
        assert_eq!(effects[2], Effect::DeleteMembership { room: TEA, user });
    }

    #[test]
    fn one_session_of_two_ends_alone() {
        let mut world = world();
        world.apply(&Effect::InsertSession { token: TokenHash([9; 32]), user: UserId(1) });
        let Outcome::Done(effects, _) = outcome(&world, 9, END) else { panic!() };
        assert_eq!(effects, [Effect::DeleteSession { token: TOKEN, user: UserId(1) }]);
    }

    #[test]
    fn ended_session_ends_without_effects() {
        let mut world = world();
        world.apply(&Effect::DeleteSession { token: TOKEN, user: UserId(1) });
        let done = Outcome::Done(Vec::new(), OperationResult::SessionEnded);
        assert_eq!(outcome(&world, 9, END), done);
    }
}
