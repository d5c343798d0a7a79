//! The effects of an operation. Handlers and replies return them; the shard or HTTP applies them.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use domain::{Actor, CommandError, Operation, OperationResult, Presence, RateClass};
use protocol::{
    Epoch, MessageCount, ReadPosition, Reply, RoomId, RoomInfo, Seq, ServerFrame, UserId, UserName,
};
use storage::Reader;

use super::resume_progress::ResumeProgress;

/// A change that a handler requests, for the connection that sent the command or for its user.
#[derive(Debug)]
pub enum HandlerEffect {
    /// Reply `ok`, if the command has an id or the codec answers without one.
    Reply(Reply),
    /// The same for a command that was executed before. Over HTTP, its status is 200 instead of 201.
    Repeated(Reply),
    /// Reply `ok` whether the command has an id or not.
    ReplyAlways(Reply),
    /// Reply `ok`, with facts from presence.
    ReplyFromPresence(PresenceReply),
    /// Reply `ok` once the connection has everything of the room up to this event.
    ReplyAfter {
        /// The room that the user has left.
        room: RoomId,
        /// The event that ended the membership.
        seq: Seq,
        /// Over HTTP, it is the body at once.
        reply: Reply,
    },
    /// Send a reply that a reader's thread has encoded.
    Frame(Bytes),
    /// Reply `error`.
    Error(CommandError),
    /// Send an `error` without an id that names a room.
    RoomError {
        /// Named in the frame, so that the client can tell which room failed.
        room: RoomId,
        /// Its code and public message go into the frame.
        error: CommandError,
    },
    /// Reply `rate_limited`, with the time after which there is a token.
    RateLimited(Duration),
    /// Return a token that was taken in advance.
    Refund(RateClass),
    /// Submit to the store's writer.
    Write {
        /// Decided by `domain::decide` and committed with the batch.
        operation: Operation,
        /// Turns the writer's reply into further effects.
        on_reply: Box<dyn OnReply>,
    },
    /// Submit to a reader of the store.
    Read(Box<dyn ReadOperation>),
    /// Open a room for the connection.
    Attach(Attach),
    /// A join was rejected: the codec returns to the room that is open.
    JoinRejected,
    /// Send a frame that is no event to all connections that have the room open.
    Ephemeral {
        /// Every shard appends the frame to the log of this room, if it is open there.
        room: RoomId,
        /// Encoded as JSON: plain text has no ephemeral frames.
        frame: ServerFrame,
    },
    /// Change the user's name on all its connections.
    SetName(UserName),
    /// The user is in the store, and no longer provisional.
    UserStored,
    /// The commit that would have stored the user failed with an unknown outcome.
    UserPerhapsStored,
    /// The departure of a transient user failed and has to be tried again.
    RetryDeparture(Actor),
}

/// The continuation of a write, called with the writer's reply.
pub trait OnReply: fmt::Debug + Send {
    /// The operation is on disk.
    fn done(self: Box<Self>, result: OperationResult) -> Vec<HandlerEffect>;

    /// The operation was rejected, or the writer was not available.
    fn failed(self: Box<Self>, error: CommandError) -> Vec<HandlerEffect> {
        vec![HandlerEffect::Error(error)]
    }
}

/// The effects of a result of another operation. It cannot occur: `domain::decide` returns the result of its own operation.
pub(super) fn unexpected(result: &OperationResult) -> Vec<HandlerEffect> {
    debug_assert!(false, "the result of another operation: {result:?}");
    Vec::new()
}

/// An operation that only reads. It runs on a reader's thread.
pub trait ReadOperation: fmt::Debug + Send {
    /// Reads for `user`, and returns what follows.
    fn read(self: Box<Self>, user: UserId, reader: &mut dyn Reader) -> Vec<HandlerEffect>;
}

/// A reply that is completed from presence.
pub struct PresenceReply(pub Box<dyn FnOnce(&mut Presence) -> Reply + Send>);

impl fmt::Debug for PresenceReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PresenceReply")
    }
}

/// A room to open for a connection.
#[derive(Clone, Debug)]
pub struct Attach {
    /// The room, as of `head`.
    pub info: RoomInfo,
    /// The last event of the room when the membership was read.
    pub head: Seq,
    /// Its message count at `head`.
    pub n: MessageCount,
    /// The user's read position in the store; `None` before the first.
    pub read: Option<ReadPosition>,
    /// The last event that the client has; `None`: it starts at the head.
    pub(crate) after: Option<Seq>,
    /// The epoch in which the client received it.
    pub(crate) epoch: Option<Epoch>,
    /// The `resume` of which it is a part.
    pub(crate) resume: Option<ResumeProgress>,
}
