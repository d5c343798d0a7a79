//! What may be asked of the writer, and what it answers.

use std::fmt;
use std::sync::Arc;

use protocol::{
    ClientMessageId, ErrorCode, Event, MessageBody, MessageCount, Person, ReadPosition, RoomId, RoomName,
    RoomRef, Seq, UserName,
};

/// The asker's own word for a request. It comes back with the answer and means nothing to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// SHA-256 of a session's token. The token itself never comes here.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash(pub [u8; 32]);

/// Not even the hash belongs into a log.
impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(…)")
    }
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// Their id, and the name to store them by if they are new. Otherwise the **stored** name goes into events, so that
    /// none bears the old name after `renamed`.
    pub person: Person,
    /// How to store them if they are not stored yet. To be given until the asker knows that they are.
    pub registration: Option<Registration>,
}

/// How a guest is stored: with the first [`Operation::Join`] that is allowed, or the first [`Operation::Rename`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The session by which they can come back. None: they are *transient*, and leave all rooms when their connection
    /// ends. Stored only together with a new person, so that nothing revives a session that has ended.
    pub token: Option<TokenHash>,
}

/// One thing to be done durably.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Comes back with the answer.
    pub request_id: RequestId,
    /// Who asks.
    pub actor: Actor,
    /// For what.
    pub operation: Operation,
}

/// What can be done durably. The rules are asked again here, inside the transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Become a member. A member already: nothing is appended.
    Join {
        /// Which room.
        room: RoomRef,
        /// Make the room if no room has this name.
        create_if_missing: bool,
    },
    /// Come back to a room that one is a member of. Nothing is written: it is asked of the writer because its answer then
    /// has a place among the events.
    Open {
        /// Which room.
        room: RoomId,
    },
    /// Stop being a member. A room in which nothing was ever said goes with its last member.
    Leave {
        /// Which room.
        room: RoomRef,
    },
    /// Say something.
    Send {
        /// Where.
        room: RoomRef,
        /// The sender's name for it: the same key, room and body again is the same message. Asked before the rules.
        key: Option<ClientMessageId>,
        /// What.
        body: MessageBody,
    },
    /// Be called something else: `renamed` in every room of the person. The same name: nothing is appended.
    Rename {
        /// The new name.
        name: UserName,
    },
    /// Move one's read position: never back, never past the head.
    Read {
        /// Where.
        room: RoomRef,
        /// Up to and with this event.
        seq: Seq,
    },
    /// Leave every room: the connection of a transient guest has ended.
    LeaveAll,
    /// Make a session's token worth nothing. Whoever has no other can never come back, and leaves every room. The author
    /// does not matter.
    EndSession {
        /// Which session. If there is none, that is what was wanted.
        token: TokenHash,
    },
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperationResult {
    /// [`Operation::Join`], [`Operation::Open`]
    Joined {
        /// The room's id.
        room: RoomId,
        /// Its name as it is stored.
        name: RoomName,
        /// The number of its last event: of `member_joined`, if they became a member now.
        head: Seq,
        /// Its messages so far.
        n: MessageCount,
        /// How far the person has read.
        read: Option<ReadPosition>,
        /// Whether the room was made for them.
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
        /// It was there already; nothing was appended.
        repeated: bool,
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

/// Why something was not done: what a program acts on, and words for the person who writes the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandError {
    /// The code.
    pub code: ErrorCode,
    /// Public: never the text of an internal error.
    pub message: String,
}

impl From<ErrorCode> for CommandError {
    fn from(code: ErrorCode) -> Self {
        let message = match code {
            ErrorCode::RoomNotFound => "there is no such room",
            ErrorCode::NotAMember => "you are not a member of this room",
            ErrorCode::KeyConflict => "this client_message_id was used for another room or body",
            ErrorCode::TooManyRooms => "you are in as many rooms as one person may be",
            ErrorCode::Unauthorized => "there is no such person",
            ErrorCode::StorageFull => "the server's disk is full; nothing was stored",
            ErrorCode::Unavailable => {
                "the store did not answer as it should; whether it was stored is not known"
            }
            _ => "the server could not do this",
        };
        CommandError { code, message: message.to_owned() }
    }
}

/// What became of the requests of one commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// What was appended, in commit order; all of it is on disk. People who joined a room one right after the other share an
    /// event, up to [`protocol::Limits::JOINED_TOGETHER`] of them.
    pub events: Vec<Arc<Event>>,
    /// One for each request, in their order.
    pub answers: Vec<(RequestId, Result<OperationResult, CommandError>)>,
    /// Rooms that exist no more. Their last event, a `member_left`, is among `events`.
    pub gone: Vec<RoomId>,
    /// What went wrong, for the log only.
    pub internal: Vec<String>,
    /// The disk can be trusted no more (an fsync failed): the process is to end. Later commits are all refused.
    pub fatal: Option<String>,
}

impl Batch {
    /// Nothing was done; everybody hears why.
    pub(crate) fn refused(request_ids: Vec<RequestId>, refusal: &CommandError) -> Self {
        let answers = request_ids.into_iter().map(|request_id| (request_id, Err(refusal.clone()))).collect();
        Batch { answers, ..Batch::default() }
    }
}
