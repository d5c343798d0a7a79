//! Changing a user's name, with an event in every room of the user.

pub(super) use protocol::Rename;
use protocol::{EventKind, Named, User, UserId};

use super::{Context, Decide, Decision};
use crate::{Effect, Fact};

impl Decide for Rename {
    type Done = Named;

    fn facts(&self, user: UserId) -> Vec<Fact> {
        vec![Fact::User(user), Fact::RoomsOf(user)]
    }

    fn decide(&self, context: &Context<'_>) -> Decision<Named> {
        let name = &self.name;
        let mut effects = Vec::new();
        let old = context.registered(&mut effects)?;
        if old.name != *name {
            effects.push(Effect::SetUserName { user: old.id, name: name.clone() });
            for room in context.rooms(context.world.rooms_of(old.id)?.iter().copied())? {
                let by = User { id: old.id, name: name.clone() };
                let event = context.event(room, by, EventKind::Renamed { old_name: old.name.clone() });
                effects.push(Effect::AppendEvent(event));
            }
        }
        Ok((effects, Named { name: name.clone() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Outcome;
    use crate::decide::testing::{TEA, outcome, user_name, world};

    fn rename(name: &str) -> Rename {
        Rename { name: user_name(name) }
    }

    #[test]
    fn new_name_is_appended_in_every_room() {
        let Outcome::Done(effects, _) = outcome(&world(), 1, rename("new")) else { panic!() };
        let [Effect::SetUserName { .. }, Effect::AppendEvent(event)] = &effects[..] else {
            panic!("{effects:?}")
        };
        assert_eq!((event.room, event.by.name.as_str()), (TEA, "new"));
        assert_eq!(event.kind, EventKind::Renamed { old_name: user_name("stored") });
    }

    #[test]
    fn same_name_has_no_effects() {
        let outcome = outcome(&world(), 1, rename("stored"));
        assert!(matches!(outcome, Outcome::Done(effects, _) if effects.is_empty()));
    }

    #[test]
    fn new_guest_is_stored_with_the_rename() {
        let Outcome::Done(effects, _) = outcome(&world(), 2, rename("new")) else { panic!() };
        assert!(matches!(effects[0], Effect::InsertUser { user: UserId(2), .. }));
        assert_eq!(effects[2..], [Effect::SetUserName { user: UserId(2), name: user_name("new") }]);
    }
}
