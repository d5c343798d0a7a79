//! What a decision changes.

use protocol::{Event, ReadPosition, RoomAttributes, RoomId, RoomName, Seq, User, UserId, UserName};

use crate::TokenHash;

/// One change of the stored state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// A user is stored.
    InsertUser {
        /// The user.
        user: UserId,
        /// The user's name.
        name: UserName,
        /// The user has no session, and leaves all rooms when their connection ends.
        transient: bool,
    },
    /// A session is stored.
    InsertSession {
        /// The session.
        token: TokenHash,
        /// Its user.
        user: UserId,
    },
    /// A session ends.
    DeleteSession {
        /// The session.
        token: TokenHash,
        /// Its user.
        user: UserId,
    },
    /// A room is created.
    InsertRoom {
        /// The room.
        room: RoomId,
        /// Its name.
        name: RoomName,
        /// The user who creates it.
        created_by: UserId,
    },
    /// A room is deleted, with its events and read positions. It has no members.
    DeleteRoom {
        /// The room.
        room: RoomId,
    },
    /// Attributes of a room change.
    SetRoomAttributes {
        /// The room.
        room: RoomId,
        /// All attributes, also those that stay.
        attributes: RoomAttributes,
    },
    /// An event is appended, with the number that follows the room's head.
    AppendEvent(Event),
    /// A user is added to the `member_joined` at the room's head, which an earlier request of the same batch appended.
    ShareJoin {
        /// The room.
        room: RoomId,
        /// The user who joins.
        user: User,
    },
    /// A membership begins.
    InsertMembership {
        /// The room.
        room: RoomId,
        /// The user.
        user: UserId,
        /// The number of the `member_joined` event.
        since: Seq,
    },
    /// A membership ends.
    DeleteMembership {
        /// The room.
        room: RoomId,
        /// The user.
        user: UserId,
    },
    /// A user's name changes.
    SetUserName {
        /// The user.
        user: UserId,
        /// The new name.
        name: UserName,
    },
    /// A read position advances.
    SetReadPosition {
        /// The room.
        room: RoomId,
        /// The user.
        user: UserId,
        /// The new position.
        position: ReadPosition,
    },
}
