//! The facts about the user and the connection that a handler may use.

use std::time::Duration;

use domain::{CommandError, Permission};
use protocol::{ErrorCode, RoomId, RoomRef, User, UserId, UserName};

use super::access;

/// A read-only view of the user, and of the connection if there is one.
pub(crate) struct View<'a> {
    pub(crate) user: UserId,
    pub(crate) name: &'a UserName,
    /// Whether a token of the request's additional rate class was taken, or after how long there is one. `None`: it has no
    /// such class.
    pub(crate) additional_token: Option<Result<(), Duration>>,
    /// The rooms that the connection has open. A request over HTTP has none.
    pub(crate) rooms: &'a dyn OpenRooms,
}

/// The open rooms of a request over HTTP, which has none.
pub(crate) struct NoOpenRooms;

impl OpenRooms for NoOpenRooms {
    fn find(&self, _: &RoomRef) -> Option<RoomId> {
        None
    }
}

pub(crate) trait OpenRooms {
    /// The room of this id or name, if it is open and the membership has not ended.
    fn find(&self, room: &RoomRef) -> Option<RoomId>;
}

impl View<'_> {
    /// The open room that a command names, if the user has `permission` in it. An open room proves the membership.
    pub(super) fn permitted_room(
        &self,
        permission: Permission,
        room: &RoomRef,
    ) -> Result<RoomId, CommandError> {
        let room = self.rooms.find(room);
        access::check(permission, room.is_some())?;
        room.ok_or_else(|| ErrorCode::NotAMember.into())
    }

    /// The user, as other users see them.
    pub(super) fn user(&self) -> User {
        User { id: self.user, name: self.name.clone() }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A connection that has one room open, as `r1` and `lobby`; or none.
    pub(in crate::operations) struct Lobby(pub(in crate::operations) bool);

    impl OpenRooms for Lobby {
        fn find(&self, room: &RoomRef) -> Option<RoomId> {
            let is_lobby = *room == RoomRef::Id(RoomId(1)) || *room == super::super::lobby();
            (self.0 && is_lobby).then_some(RoomId(1))
        }
    }

    /// Calls `with` with the view of user 7.
    pub(in crate::operations) fn view<T>(is_open: bool, with: impl FnOnce(&View<'_>) -> T) -> T {
        let name = UserName::new("Li").unwrap();
        with(&View { user: UserId(7), name: &name, additional_token: None, rooms: &Lobby(is_open) })
    }
}
