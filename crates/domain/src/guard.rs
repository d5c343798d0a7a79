//! The permission table: what each permission requires, checked in one place.

use protocol::{ErrorCode, Permission};

/// The facts about the user on which a permission depends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberContext {
    /// Whether the user is a member of the room.
    pub member: bool,
    /// The number of rooms of which the user is a member, this one included.
    pub rooms_joined: u32,
}

/// Bounds on rooms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoomLimits {
    /// The number of rooms of which one user can be a member. Each is a cursor in memory and a row in the store.
    pub rooms_per_person: u32,
}

impl Default for RoomLimits {
    fn default() -> Self {
        RoomLimits { rooms_per_person: 200 }
    }
}

/// What a permission requires of the user.
struct Guard {
    members_only: bool,
    /// Whether the operation adds a membership.
    adds_a_room: bool,
}

/// The table. A permission without a row does not compile.
const fn guard(permission: Permission) -> Guard {
    match permission {
        Permission::Join => Guard { members_only: false, adds_a_room: true },
        Permission::Leave => Guard { members_only: true, adds_a_room: false },
        Permission::Send => Guard { members_only: true, adds_a_room: false },
        Permission::SetTopic => Guard { members_only: true, adds_a_room: false },
        Permission::Read => Guard { members_only: true, adds_a_room: false },
        Permission::History => Guard { members_only: true, adds_a_room: false },
        Permission::Typing => Guard { members_only: true, adds_a_room: false },
        Permission::Who => Guard { members_only: true, adds_a_room: false },
        Permission::Resume => Guard { members_only: true, adds_a_room: false },
    }
}

/// Checks a permission; an error is the code of the reply.
pub fn check(permission: Permission, context: MemberContext, limits: &RoomLimits) -> Result<(), ErrorCode> {
    let guard = guard(permission);
    if guard.members_only && !context.member {
        return Err(ErrorCode::NotAMember);
    }
    if guard.adds_a_room && !context.member && context.rooms_joined >= limits.rooms_per_person {
        return Err(ErrorCode::TooManyRooms);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: RoomLimits = RoomLimits { rooms_per_person: 3 };
    const FOR_MEMBERS: [Permission; 8] = [
        Permission::Leave,
        Permission::Send,
        Permission::SetTopic,
        Permission::Read,
        Permission::History,
        Permission::Typing,
        Permission::Who,
        Permission::Resume,
    ];

    fn member() -> MemberContext {
        MemberContext { member: true, rooms_joined: 1 }
    }

    fn stranger() -> MemberContext {
        MemberContext { member: false, rooms_joined: 0 }
    }

    #[test]
    fn member_has_every_member_permission() {
        for permission in FOR_MEMBERS {
            assert_eq!(check(permission, member(), &LIMITS), Ok(()), "{permission:?}");
        }
    }

    #[test]
    fn non_member_can_only_join() {
        for permission in FOR_MEMBERS {
            assert_eq!(check(permission, stranger(), &LIMITS), Err(ErrorCode::NotAMember), "{permission:?}");
        }
        assert_eq!(check(Permission::Join, stranger(), &LIMITS), Ok(()));
    }

    #[test]
    fn user_at_the_room_limit_cannot_join_another_room() {
        let in_rooms = |rooms_joined| MemberContext { member: false, rooms_joined };
        assert_eq!(check(Permission::Join, in_rooms(2), &LIMITS), Ok(()));
        assert_eq!(check(Permission::Join, in_rooms(3), &LIMITS), Err(ErrorCode::TooManyRooms));
        assert_eq!(check(Permission::Join, in_rooms(4), &LIMITS), Err(ErrorCode::TooManyRooms));
    }

    #[test]
    fn member_at_the_room_limit_can_join_again() {
        let full = MemberContext { member: true, rooms_joined: 3 };
        assert_eq!(check(Permission::Join, full, &LIMITS), Ok(()));
    }

    #[test]
    fn room_limit_applies_to_joining_only() {
        let full = MemberContext { member: true, rooms_joined: 300 };
        for permission in FOR_MEMBERS {
            assert_eq!(check(permission, full, &LIMITS), Ok(()), "{permission:?}");
        }
    }

    #[test]
    fn room_limit_defaults_to_two_hundred() {
        let limits = RoomLimits::default();
        assert_eq!(
            check(Permission::Join, MemberContext { member: false, rooms_joined: 199 }, &limits),
            Ok(())
        );
        assert_eq!(
            check(Permission::Join, MemberContext { member: false, rooms_joined: 200 }, &limits),
            Err(ErrorCode::TooManyRooms)
        );
    }
}
