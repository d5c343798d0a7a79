//! What a handler sees of the connection that sent the command.

use protocol::{ErrorCode, Person, RoomId, RoomRef, UserId, UserName};
use storage::CommandError;

/// A read-only view of a connection and its user.
pub(crate) struct View<'a> {
    /// The user.
    pub(crate) user: UserId,
    /// The user's name.
    pub(crate) name: &'a UserName,
    /// Whether a token of the operation's additional rate class was taken.
    pub(crate) additional_paid: bool,
    /// The rooms that the connection has open.
    pub(crate) rooms: &'a dyn OpenRooms,
}

/// The rooms that a connection has open.
pub(crate) trait OpenRooms {
    /// The room of this id or name, if it is open and the membership has not ended.
    fn find(&self, room: &RoomRef) -> Option<RoomId>;
}

impl View<'_> {
    /// The open room that a command names, or the error for one that is not open.
    pub(super) fn open_room(&self, room: &RoomRef) -> Result<RoomId, CommandError> {
        self.rooms.find(room).ok_or_else(|| CommandError::from(ErrorCode::NotAMember))
    }

    /// The user, as other users see them.
    pub(super) fn person(&self) -> Person {
        Person { id: self.user, name: self.name.clone() }
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
        with(&View { user: UserId(7), name: &name, additional_paid: false, rooms: &Lobby(is_open) })
    }
}
