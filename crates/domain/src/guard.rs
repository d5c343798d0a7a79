//! The permission table: what each permission requires, checked in one place.

use protocol::{ErrorCode, Permission};

/// The facts on which a permission depends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberContext {
    /// Whether the user is a member of the room.
    pub member: bool,
    /// The number of rooms of which the user is a member, including this one.
    pub rooms_joined: u32,
}

/// The configured bounds on rooms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoomLimits {
    /// The most rooms of which one user can be a member. Each costs a cursor in memory and a row in the store.
    pub rooms_per_user: u32,
}

impl Default for RoomLimits {
    fn default() -> Self {
        RoomLimits { rooms_per_user: 200 }
    }
}

/// Checks a permission. The error is the code of the reply.
pub fn check(permission: Permission, context: MemberContext, limits: &RoomLimits) -> Result<(), ErrorCode> {
    match permission {
        _ if context.member => Ok(()),
        Permission::Member => Err(ErrorCode::NotAMember),
        Permission::Join if context.rooms_joined >= limits.rooms_per_user => Err(ErrorCode::TooManyRooms),
        Permission::Join => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: RoomLimits = RoomLimits { rooms_per_user: 3 };

    fn member() -> MemberContext {
        MemberContext { member: true, rooms_joined: 1 }
    }

    fn stranger() -> MemberContext {
        MemberContext { member: false, rooms_joined: 0 }
    }

    #[test]
    fn member_has_the_member_permission() {
        assert_eq!(check(Permission::Member, member(), &LIMITS), Ok(()));
    }

    #[test]
    fn non_member_can_only_join() {
        assert_eq!(check(Permission::Member, stranger(), &LIMITS), Err(ErrorCode::NotAMember));
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
        assert_eq!(check(Permission::Member, full, &LIMITS), Ok(()));
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
