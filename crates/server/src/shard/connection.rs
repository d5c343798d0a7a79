//! What is kept for a connection, for its place in each room, and for the person behind it.

use domain::SessionBuckets;
use protocol::{CommandId, Person, Seq, UserId, UserName};
use room_log::{Cursor, Outbox};
use storage::{Actor, Registration, TokenHash};
use websocket::Decoder;

use super::wheel::Tick;
use crate::codec::Codec;
use crate::encoding::Encoding;

/// A connection, told apart from whoever had its place before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ConnKey {
    pub(crate) index: usize,
    pub(crate) generation: u32,
}

/// One upgraded connection. There may be a million: what most of them do not need is boxed.
pub(crate) struct Connection<L> {
    pub(crate) transport: L,
    pub(crate) key: ConnKey,
    pub(crate) user: UserId,
    pub(crate) decoder: Decoder,
    pub(crate) outbox: Outbox,
    /// The rooms it has open.
    pub(crate) subscriptions: Vec<Subscription>,
    /// Commands that were handed on and have not been answered. Above [`Connection::MAX_UNANSWERED`] it is not read.
    pub(crate) unanswered: u16,
    /// Reads of the store under way for it, each of which may bring a large reply.
    pub(crate) reading_store: u8,
    pub(crate) phase: Phase,
    pub(crate) flags: Flags,
    /// The last sign of life: bytes that came, or that a socket took which had been full.
    pub(crate) alive: Tick,
    /// When the message that is unfinished was begun.
    pub(crate) begun: Tick,
    /// The tick for which the wheel holds it.
    pub(crate) due: Tick,
    /// When the goodbye was said.
    pub(crate) closing_since: Tick,
    /// Which log of a room it reads: that of its codec.
    pub(crate) encoding: Encoding,
    pub(crate) codec: Codec,
    /// What had been read when it was paused: it comes before what the socket has.
    pub(crate) unread: Option<Box<[u8]>>,
    /// Which of its rooms has the first turn next time.
    pub(crate) next_turn: u32,
}

impl<L> Connection<L> {
    /// How many commands a connection may leave unanswered before it is not read.
    pub(crate) const MAX_UNANSWERED: u16 = 256;
    /// How many pages of the store may be under way for a connection.
    pub(crate) const MAX_STORE_READS: u8 = 4;

    /// Whether it may still be told something.
    #[cfg(test)]
    pub(crate) fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    pub(crate) fn subscription(&mut self, room: usize) -> Option<&mut Subscription> {
        self.subscriptions.iter_mut().find(|subscription| subscription.room == room)
    }

    /// Whether it may be read now: a peer that does not take its answers is not asked for more questions, nor one whose questions
    /// were too many a moment ago.
    pub(crate) fn may_be_read(&self) -> bool {
        !self.flags.throttled
            && self.outbox.len() < Outbox::PAUSE_BYTES
            && self.unanswered < Self::MAX_UNANSWERED
    }
}

/// Where a connection is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Open,
    /// We said goodbye, and wait for the peer's.
    Closing,
    /// The peer broke the rules: what is written is flushed, then the write side ends; what comes is thrown away.
    Draining,
    /// Both said goodbye: what is written is flushed, then it ends.
    Finishing,
}

/// What is true of a connection at the moment.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Flags {
    /// The socket took less than it was offered; it will say when it takes more.
    pub(crate) blocked: bool,
    /// It was blocked and has not caught up since: typing and presence pass it by.
    pub(crate) lagging: bool,
    /// The socket has bytes for us.
    pub(crate) readable: bool,
    pub(crate) in_to_read: bool,
    pub(crate) in_to_write: bool,
    /// A room has it in its list of those who are not read because of it.
    pub(crate) read_paused: bool,
    /// It was told that the server has more to do than it can. Until the next tick it is not read: to refuse costs a quarter of what
    /// it costs to do it, and who only refuses does nothing else.
    pub(crate) throttled: bool,
    /// Asked for a sign of life since the last one.
    pub(crate) pinged: bool,
    /// The write side has been ended.
    pub(crate) finished_writing: bool,
}

/// A connection's place in a room: 32 bytes.
#[derive(Debug)]
pub(crate) struct Subscription {
    /// The room's place in the shard.
    pub(crate) room: usize,
    pub(crate) cursor: Cursor,
    pub(crate) special: Option<Box<Special>>,
}

/// What few memberships have.
#[derive(Debug, Default)]
pub(crate) struct Special {
    /// The person is a member no more: nothing beyond this is written.
    pub(crate) end: Option<Cursor>,
    /// Commands to answer when the end is reached: an `ok` to a `leave` says that nothing will follow.
    pub(crate) leaving: Vec<(Option<CommandId>, Seq)>,
    /// Until this is done the log waits.
    pub(crate) catch_up: Option<CatchUp>,
}

/// Events that come from the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CatchUp {
    /// The last event that was put into the outbox.
    pub(crate) after: Seq,
    /// The last event to come from the store: the cursor stands behind it.
    pub(crate) until: Seq,
    /// A page is under way.
    pub(crate) asked: bool,
    /// It is asked for at the next tick: it stands in the shard's list, once.
    pub(crate) postponed: bool,
}

impl Subscription {
    pub(crate) fn special(&mut self) -> &mut Special {
        self.special.get_or_insert_default()
    }

    pub(crate) fn end(&self) -> Option<Cursor> {
        self.special.as_ref().and_then(|special| special.end)
    }

    /// Whether it has been given everything up to the end of the membership.
    pub(crate) fn has_ended(&self) -> bool {
        self.catch_up().is_none() && self.end().is_some_and(|end| self.cursor.has_reached(end))
    }

    pub(crate) fn catch_up(&self) -> Option<CatchUp> {
        self.special.as_ref().and_then(|special| special.catch_up)
    }

    /// Forgets what is special when nothing is any more.
    pub(crate) fn compact(&mut self) {
        let plain = |special: &Special| {
            special.end.is_none() && special.leaving.is_empty() && special.catch_up.is_none()
        };
        if self.special.as_deref().is_some_and(plain) {
            self.special = None;
        }
    }
}

/// Somebody who has a connection in this shard.
pub(crate) struct UserState {
    pub(crate) name: UserName,
    pub(crate) session: Option<TokenHash>,
    /// Whether the store is known to know them.
    pub(crate) stored: bool,
    /// A commit that would have stored them failed in a way that leaves open whether it did.
    pub(crate) perhaps_stored: bool,
    pub(crate) buckets: SessionBuckets,
    /// Their connections.
    pub(crate) connections: Vec<usize>,
}

impl UserState {
    /// Whether they leave when their last connection ends: nobody could come back as them.
    pub(crate) fn is_transient(&self) -> bool {
        self.session.is_none()
    }

    pub(crate) fn person(&self, id: UserId) -> Person {
        Person { id, name: self.name.clone() }
    }

    pub(crate) fn actor(&self, id: UserId) -> Actor {
        Actor {
            person: self.person(id),
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
