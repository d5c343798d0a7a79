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
    const FOR_MEMBERS: [Permission; 7] = [
        Permission::Leave,
        Permission::Send,
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
    fn a_member_may_do_all_that_members_do() {
        for deed in FOR_MEMBERS {
            assert_eq!(check(deed, member(), &LIMITS), Ok(()), "{deed:?}");
        }
    }

    #[test]
    fn a_stranger_may_do_nothing_but_join() {
        for deed in FOR_MEMBERS {
            assert_eq!(check(deed, stranger(), &LIMITS), Err(ErrorCode::NotAMember), "{deed:?}");
        }
        assert_eq!(check(Permission::Join, stranger(), &LIMITS), Ok(()));
    }

    #[test]
    fn whoever_is_in_as_many_rooms_as_allowed_cannot_join_one_more() {
        let in_rooms = |rooms_joined| MemberContext { member: false, rooms_joined };
        assert_eq!(check(Permission::Join, in_rooms(2), &LIMITS), Ok(()));
        assert_eq!(check(Permission::Join, in_rooms(3), &LIMITS), Err(ErrorCode::TooManyRooms));
        assert_eq!(check(Permission::Join, in_rooms(4), &LIMITS), Err(ErrorCode::TooManyRooms));
    }

    #[test]
    fn a_member_may_join_again_however_many_rooms_they_are_in() {
        let full = MemberContext { member: true, rooms_joined: 3 };
        assert_eq!(check(Permission::Join, full, &LIMITS), Ok(()));
    }

    #[test]
    fn a_full_house_of_rooms_hinders_nothing_but_joining() {
        let full = MemberContext { member: true, rooms_joined: 300 };
        for deed in FOR_MEMBERS {
            assert_eq!(check(deed, full, &LIMITS), Ok(()), "{deed:?}");
        }
    }

    #[test]
    fn two_hundred_rooms_unless_configured() {
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
