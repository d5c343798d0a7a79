//! The state of a connection, of its subscriptions, and of its user.

use domain::{Actor, Registration, TokenHash, UserBuckets};
use protocol::{CommandId, Reply, Seq, User, UserId, UserName};
use room_log::{Cursor, Outbox};
use websocket::Decoder;

use super::deadlines::Deadlines;
use super::wheel::Tick;
use crate::codec::Codec;
use crate::encoding::Encoding;

/// Identifies a connection. The generation distinguishes it from earlier connections with the same index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ConnKey {
    pub(crate) index: usize,
    pub(crate) generation: u32,
}

/// An upgraded connection. There may be a million, so rarely needed state is boxed.
pub(crate) struct Connection<T> {
    pub(crate) transport: T,
    pub(crate) key: ConnKey,
    pub(crate) user: UserId,
    pub(crate) decoder: Decoder,
    pub(crate) outbox: Outbox,
    pub(crate) subscriptions: Vec<Subscription>,
    /// Commands that wait for the writer. From [`Connection::MAX_UNANSWERED`] on, the connection is not read.
    pub(crate) unanswered: u16,
    /// Store reads in progress, each of which may return a large reply.
    pub(crate) store_reads: u8,
    pub(crate) phase: Phase,
    pub(crate) flags: Flags,
    pub(crate) deadlines: Deadlines,
    /// The tick of its valid entry in the timer wheel.
    pub(crate) next_check: Tick,
    /// The encoding of its codec, which selects the log of each room.
    pub(crate) encoding: Encoding,
    pub(crate) codec: Codec,
    /// Input that was read from the socket but not decoded before reading was paused.
    pub(crate) unread_input: Option<Box<[u8]>>,
    /// The subscription that the next write starts with (round-robin).
    pub(crate) first_subscription: u32,
}

impl<T> Connection<T> {
    /// Backpressure: the number of commands that may wait for the writer before the connection is not read.
    pub(crate) const MAX_UNANSWERED: u16 = 256;
    /// The number of store reads that may be in progress for a connection; each may return a quarter of a megabyte.
    pub(crate) const MAX_STORE_READS: u8 = 4;

    pub(super) fn new(
        key: ConnKey,
        transport: T,
        user: UserId,
        codec: Codec,
        max_frame_bytes: u32,
        now: Tick,
    ) -> Self {
        Connection {
            transport,
            key,
            user,
            decoder: Decoder::new(websocket::Role::Server, max_frame_bytes),
            outbox: Outbox::default(),
            subscriptions: Vec::new(),
            unanswered: 0,
            store_reads: 0,
            phase: Phase::Open,
            // The socket may be readable already, and an edge-triggered event would not be repeated.
            flags: Flags { readable: true, ..Flags::default() },
            deadlines: Deadlines::new(now),
            next_check: Tick::MAX,
            encoding: codec.encoding(),
            codec,
            unread_input: None,
            first_subscription: 0,
        }
    }

    #[cfg(test)]
    pub(crate) fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    pub(crate) fn subscription(&mut self, room: usize) -> Option<&mut Subscription> {
        self.subscriptions.iter_mut().find(|subscription| subscription.room == room)
    }

    /// Whether the connection may be read now. Backpressure: not while its peer does not accept replies, or while the writer is
    /// overloaded.
    pub(crate) fn can_read(&self) -> bool {
        !self.flags.throttled
            && self.outbox.len() < Outbox::PAUSE_BYTES
            && self.unanswered < Self::MAX_UNANSWERED
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Open,
    /// The server has sent a close frame and waits for the peer's.
    Closing,
    /// The peer violated the protocol: the outbox is flushed, then the write side is shut down; input is discarded.
    Draining,
    /// Both sides have sent a close frame: the outbox is flushed, then the connection ends.
    Finishing,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Flags {
    /// The socket accepted less than it was offered; epoll reports when it is writable.
    pub(crate) blocked: bool,
    /// The connection was blocked and has not caught up since: ephemeral frames are skipped.
    pub(crate) lagging: bool,
    /// The socket may have input. Kept, because an edge-triggered event is not repeated.
    pub(crate) readable: bool,
    pub(crate) read_queued: bool,
    pub(crate) write_queued: bool,
    /// The connection is in the `read_paused` list of a congested room.
    pub(crate) read_paused: bool,
    /// A command was rejected as `overloaded`, and the connection is not read until the next tick. A rejection costs a quarter
    /// of an execution, so a server that kept reading would spend its time on rejections.
    pub(crate) throttled: bool,
    pub(crate) finished_writing: bool,
}

/// A connection's subscription to a room: 32 bytes.
#[derive(Debug)]
pub(crate) struct Subscription {
    /// The index of the room in the shard.
    pub(crate) room: usize,
    pub(crate) cursor: Cursor,
    pub(crate) rare_state: Option<Box<RareState>>,
}

/// State that few subscriptions have.
#[derive(Debug, Default)]
pub(crate) struct RareState {
    /// Where the membership ended: nothing after this position is written.
    pub(crate) end: Option<Cursor>,
    /// `leave` commands whose `ok` is due when the end is reached: after it, no event of the room follows.
    pub(crate) pending_leaves: Vec<(Option<CommandId>, Reply)>,
    /// A catch-up, which comes before the log.
    pub(crate) catch_up: Option<CatchUp>,
}

/// A range of events that the connection receives from the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CatchUp {
    /// The last event that is in the outbox.
    pub(crate) after: Seq,
    /// The last event to read from the store; the cursor is after it.
    pub(crate) until: Seq,
    pub(crate) requested: bool,
    /// The request is in the shard's list of postponed pages.
    pub(crate) postponed: bool,
}

impl CatchUp {
    pub(crate) fn wants_page(self) -> bool {
        !self.requested && !self.postponed
    }
}

impl Subscription {
    pub(crate) fn rare_state(&mut self) -> &mut RareState {
        self.rare_state.get_or_insert_default()
    }

    pub(crate) fn end(&self) -> Option<Cursor> {
        self.rare_state.as_ref().and_then(|rare_state| rare_state.end)
    }

    /// Whether everything up to the end of the membership has been written.
    pub(crate) fn has_ended(&self) -> bool {
        self.catch_up().is_none() && self.end().is_some_and(|end| self.cursor.has_reached(end))
    }

    pub(crate) fn catch_up(&self) -> Option<CatchUp> {
        self.rare_state.as_ref().and_then(|rare_state| rare_state.catch_up)
    }

    /// Frees the rare state if it is empty.
    pub(crate) fn compact(&mut self) {
        let is_empty = |rare_state: &RareState| {
            rare_state.end.is_none() && rare_state.pending_leaves.is_empty() && rare_state.catch_up.is_none()
        };
        if self.rare_state.as_deref().is_some_and(is_empty) {
            self.rare_state = None;
        }
    }
}

pub(crate) struct UserState {
    pub(crate) name: UserName,
    pub(crate) session: Option<TokenHash>,
    /// Whether the user is certainly in the store.
    pub(crate) stored: bool,
    /// Whether a commit that would have stored the user failed with an unknown outcome.
    pub(crate) perhaps_stored: bool,
    pub(crate) buckets: UserBuckets,
    /// Indexes in the connection table.
    pub(crate) connections: Vec<usize>,
}

impl UserState {
    /// Whether the user leaves all rooms when the last connection ends: without a session, nobody can reconnect as this user.
    pub(crate) fn is_transient(&self) -> bool {
        self.session.is_none()
    }

    pub(crate) fn user(&self, id: UserId) -> User {
        User { id, name: self.name.clone() }
    }

    pub(crate) fn actor(&self, id: UserId) -> Actor {
        Actor {
            user: self.user(id),
            registration: (!self.stored).then_some(Registration { token: self.session }),
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn subscription_is_32_bytes() {
        assert_eq!(size_of::<super::Subscription>(), 32);
    }
}
