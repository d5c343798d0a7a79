//! Guards as data: what each deed needs, in one table, asked in one place.

use protocol::{ErrorCode, Permission};

/// How the person who does it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberContext {
    /// Whether they are a member of the room.
    pub member: bool,
    /// How many rooms they are a member of, this one counted.
    pub rooms_joined: u32,
}

/// Bounds on rooms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoomLimits {
    /// How many rooms one person can be in. Each is a cursor in memory and a row in the store.
    pub rooms_per_person: u32,
}

impl Default for RoomLimits {
    fn default() -> Self {
        RoomLimits { rooms_per_person: 200 }
    }
}

/// What a deed asks of whoever does it.
struct Guard {
    members_only: bool,
    /// Whether it makes its doer a member of one room more.
    adds_a_room: bool,
}

/// The table. A deed without a row does not compile.
const fn guard(deed: Permission) -> Guard {
    match deed {
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

/// Whether somebody who stands so may do it; if not, the code to answer with.
pub fn check(deed: Permission, standing: MemberContext, limits: &RoomLimits) -> Result<(), ErrorCode> {
    let guard = guard(deed);
    if guard.members_only && !standing.member {
        return Err(ErrorCode::NotAMember);
    }
    if guard.adds_a_room && !standing.member && standing.rooms_joined >= limits.rooms_per_person {
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
        for deed in FOR_MEMBERS {
            assert_eq!(check(deed, member(), &LIMITS), Ok(()), "{deed:?}");
        }
    }

    #[test]
    fn non_member_can_only_join() {
        for deed in FOR_MEMBERS {
            assert_eq!(check(deed, stranger(), &LIMITS), Err(ErrorCode::NotAMember), "{deed:?}");
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
        for deed in FOR_MEMBERS {
            assert_eq!(check(deed, full, &LIMITS), Ok(()), "{deed:?}");
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
