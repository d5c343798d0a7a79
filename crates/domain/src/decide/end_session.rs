//! Ending a session. A user without another session leaves every room.

use protocol::UserId;

use super::leave_all::leave_every_room;
use super::{Context, Decide, Decision};
use crate::{Effect, Fact, TokenHash};

/// Invalidates a session token. A user without another session cannot return, and leaves every room. The actor is ignored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndSession {
    /// The hash of the token. An unknown one counts as ended, so that a repeated request succeeds.
    pub token: TokenHash,
}

impl Decide for EndSession {
    type Done = ();

    fn facts(&self, _: UserId) -> Vec<Fact> {
        vec![Fact::Session(self.token)]
    }

    fn decide(&self, context: &Context<'_>) -> Decision<()> {
        let token = self.token;
        let Some(user) = context.world.session(&token)? else { return Ok((Vec::new(), ())) };
        let mut effects = vec![Effect::DeleteSession { token, user }];
        if context.world.session_count(user)? <= 1 {
            leave_every_room(context, user, &mut effects)?;
        }
        Ok((effects, ()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::testing::{TEA, TOKEN, outcome, world};
    use crate::{OperationResult, Outcome};

    const END: EndSession = EndSession { token: TOKEN };

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
        let done = Outcome::Done(Vec::new(), OperationResult::EndSession(()));
        assert_eq!(outcome(&world, 9, END), done);
    }
}
