//! The effects of a decision: all that a backend has to be able to write.

use protocol::{Event, ReadPosition, RoomAttributes, RoomId, RoomName, Seq, User, UserId, UserName};

use crate::TokenHash;

/// One change of the stored state. A backend applies the effects of a batch in order, inside one transaction, without checking
/// rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Stores a new user.
    InsertUser {
        /// An id that was never used before.
        user: UserId,
        /// The name at the time of the first permitted request.
        name: UserName,
        /// Whether the user has no session, and therefore leaves all rooms when the connection ends.
        transient: bool,
    },
    /// Stores a session of a user who is stored.
    InsertSession {
        /// The hash of the session's token; unique.
        token: TokenHash,
        /// The user who can return with the token.
        user: UserId,
    },
    /// Ends a session that is stored.
    DeleteSession {
        /// The hash of the session's token.
        token: TokenHash,
        /// The user of the session, whose session count decreases.
        user: UserId,
    },
    /// Creates a room.
    InsertRoom {
        /// The value of [`Fact::NextRoom`](crate::Fact::NextRoom).
        room: RoomId,
        /// A name whose [`key`](RoomName::key) no other room has.
        name: RoomName,
        /// The user who requested it; informational, and grants nothing.
        created_by: UserId,
    },
    /// Deletes a room, which has no members, with its events and read positions.
    DeleteRoom {
        /// The room; its id is not reused.
        room: RoomId,
    },
    /// Changes attributes of a room.
    SetRoomAttributes {
        /// The room whose log has the event that changed them.
        room: RoomId,
        /// All attributes, including those that stay the same.
        attributes: RoomAttributes,
    },
    /// Appends an event; its number follows the room's head.
    AppendEvent(Event),
    /// Adds a user to the `member_joined` at the room's head, which an earlier request of the same batch appended.
    ShareJoin {
        /// The room whose head is that event.
        room: RoomId,
        /// The user who joins, with the name at that time.
        user: User,
    },
    /// Starts a membership, which does not exist.
    InsertMembership {
        /// The room that the user joins.
        room: RoomId,
        /// The new member; stored, possibly by an earlier effect of the batch.
        user: UserId,
        /// The number of the `member_joined` event that contains the user.
        since: Seq,
    },
    /// Ends a membership, which exists.
    DeleteMembership {
        /// The room that the user leaves.
        room: RoomId,
        /// The former member.
        user: UserId,
    },
    /// Changes the stored name of a user.
    SetUserName {
        /// A user who is stored.
        user: UserId,
        /// The name in the user's later events.
        name: UserName,
    },
    /// Moves a read position, or stores the first one.
    SetReadPosition {
        /// The room to which the position belongs.
        room: RoomId,
        /// A member of the room.
        user: UserId,
        /// A position after the stored one, and not after the head.
        position: ReadPosition,
    },
}
