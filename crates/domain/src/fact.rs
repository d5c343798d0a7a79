//! The facts of the store that a decision depends on.

use protocol::{ClientMessageId, RoomId, RoomRef, Seq, UserId};

use crate::TokenHash;

/// A fact that a store loads into a [`World`](crate::World). Each variant names the setter that records it; a store calls the
/// setter for each requested fact, also if it finds nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Fact {
    /// A room, with the number, the message count and the time of its last event:
    /// [`World::load_room`](crate::World::load_room).
    Room(RoomRef),
    /// The stored name of a user: [`World::load_user`](crate::World::load_user).
    User(UserId),
    /// Whether the user is a member of the room, and the stored name of a member:
    /// [`World::load_member`](crate::World::load_member). A room that does not exist needs no call. The same list has `Room`
    /// with the same reference before it, unless that is loaded already.
    Member(RoomRef, UserId),
    /// The user's read position in the room: [`World::load_read_position`](crate::World::load_read_position). Like
    /// `Member`, it follows the `Room` of its reference.
    ReadPosition(RoomRef, UserId),
    /// The room's message count as of the event `seq`: [`World::load_message_count`](crate::World::load_message_count).
    /// Like `Member`, it follows the `Room` of its reference.
    MessageCount(RoomRef, Seq),
    /// The number of members of the room: [`World::load_member_count`](crate::World::load_member_count).
    MemberCount(RoomId),
    /// The ids of the rooms of which the user is a member: [`World::load_rooms_of`](crate::World::load_rooms_of).
    RoomsOf(UserId),
    /// The message that the user sent under this key: [`World::load_keyed_message`](crate::World::load_keyed_message).
    KeyedMessage(UserId, ClientMessageId),
    /// The user of the session: [`World::load_session`](crate::World::load_session).
    Session(TokenHash),
    /// The number of sessions of the user: [`World::load_session_count`](crate::World::load_session_count).
    SessionCount(UserId),
    /// An id for the next room, greater than that of every room that was ever stored, including deleted ones:
    /// [`World::load_next_room`](crate::World::load_next_room).
    NextRoom,
}
