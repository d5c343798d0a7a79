//! Requests for durable changes, and their results.

use std::fmt;

use protocol::{
    ClientMessageId, ErrorCode, MessageBody, MessageCount, Person, ReadPosition, RoomId, RoomName, RoomRef,
    Seq, Topic, UserName,
};

/// Correlates an answer with its request. Chosen by the caller, opaque to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// SHA-256 of a session token. The token itself never reaches the store.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash(pub [u8; 32]);

/// Not even the hash belongs into a log.
impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(…)")
    }
}

/// The user who makes a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The user's id, and the name to store if the user is new. For a stored user the **stored** name goes into events,
    /// so that no event carries the old name after `renamed`.
    pub person: Person,
    /// How to store the user if they are not stored yet. Required until the caller has seen that they are.
    pub registration: Option<Registration>,
}

/// How a guest is stored: with the first permitted [`Operation::Join`], or the first [`Operation::Rename`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The session with which the user can return. `None`: the user is *transient* and leaves all rooms when their
    /// connection ends. Stored only together with a new user, so that nothing revives a session that has ended.
    pub token: Option<TokenHash>,
}

/// One durable change, requested by one user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Returned with the answer.
    pub request_id: RequestId,
    /// The user who makes the request.
    pub actor: Actor,
    /// The requested change.
    pub operation: Operation,
}

/// The changes that can be requested. [`decide`](crate::decide()) checks the rules inside the transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Become a member. For a member nothing is appended.
    Join {
        /// The room.
        room: RoomRef,
        /// Create the room if no room has this name.
        create_if_missing: bool,
    },
    /// Return to a room as a member. Writes nothing: it goes through the writer so that its answer has a position among
    /// the events.
    Open {
        /// The room.
        room: RoomId,
    },
    /// End the membership. A room without messages is deleted with its last member.
    Leave {
        /// The room.
        room: RoomRef,
    },
    /// Send a message.
    Send {
        /// The room.
        room: RoomRef,
        /// The idempotency key: the same key, room and body is the same message. Checked before the rules.
        key: Option<ClientMessageId>,
        /// The text.
        body: MessageBody,
    },
    /// Change the topic of a room. The same topic: nothing is appended.
    SetTopic {
        /// The room.
        room: RoomRef,
        /// The new topic. The empty one removes it.
        topic: Topic,
    },
    /// Change the user's name: appends `renamed` in each of their rooms. The same name: nothing is appended.
    Rename {
        /// The new name.
        name: UserName,
    },
    /// Advance the read position: never back, never past the head.
    Read {
        /// The room.
        room: RoomRef,
        /// The last event read.
        seq: Seq,
    },
    /// Leave every room: the connection of a transient user has ended.
    LeaveAll,
    /// Invalidate a session token. A user without another session cannot return, and leaves every room. The actor is
    /// ignored.
    EndSession {
        /// The session. An unknown one counts as ended.
        token: TokenHash,
    },
}

/// What a request did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperationResult {
    /// [`Operation::Join`], [`Operation::Open`]
    Joined {
        /// The room's id.
        room: RoomId,
        /// Its stored name.
        name: RoomName,
        /// Its topic as of `head`.
        topic: Topic,
        /// The number of its last event: of `member_joined`, if the user became a member now.
        head: Seq,
        /// Its message count.
        n: MessageCount,
        /// The user's read position.
        read: Option<ReadPosition>,
        /// Whether the request created the room.
        created: bool,
    },
    /// [`Operation::Leave`]
    Left {
        /// The room's id.
        room: RoomId,
        /// The number of `member_left`.
        seq: Seq,
    },
    /// [`Operation::Send`]
    Sent {
        /// The room's id.
        room: RoomId,
        /// The number of the message.
        seq: Seq,
        /// The message was stored before; nothing was appended.
        repeated: bool,
    },
    /// [`Operation::SetTopic`]
    TopicSet {
        /// The topic in force.
        topic: Topic,
    },
    /// [`Operation::Rename`]
    Renamed {
        /// The name in force.
        name: UserName,
    },
    /// [`Operation::Read`]: the position in force.
    Read(RoomId, ReadPosition),
    /// [`Operation::LeaveAll`]
    LeftAll,
    /// [`Operation::EndSession`]
    SessionEnded,
}

/// Why a request failed: a code for programs, and a message for the author of the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandError {
    /// The code.
    pub code: ErrorCode,
    /// Public: never the text of an internal error.
    pub message: String,
}

impl From<ErrorCode> for CommandError {
    fn from(code: ErrorCode) -> Self {
        CommandError { code, message: code.message().to_owned() }
    }
}
