//! The interfaces between a shard and the rest of the server.

use std::io::{self, IoSlice};

use bytes::Bytes;
use domain::{Actor, Operation, Presence, TokenHash};
use protocol::{ErrorCode, Event, RoomId, Seq};

use super::pending::EffectOrigin;
use crate::encoding::Encoding;
use crate::operations::{HandlerEffect, ReadOperation};

/// A non-blocking byte stream: a socket, a TLS session, a pipe in memory.
pub(crate) trait Transport {
    /// As `Read::read` of a non-blocking socket.
    fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;
    /// As `Write::write_vectored` of a non-blocking socket.
    fn try_write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize>;
    /// Shuts down the write side. Reading continues, so that the peer's remaining bytes do not cause a reset.
    fn finish_writing(&mut self);
}

/// The services that a shard uses. No method waits for I/O; results arrive later through a `handle_*` method.
pub(crate) trait ShardServices {
    /// Submits a request to the writer. Its reply has the same `request_id` and arrives with a bus delivery.
    fn write(&mut self, actor: Actor, operation: Operation, request_id: u64) -> Result<(), ErrorCode>;
    /// Submits a query to a reader. Its result arrives through [`super::Shard::handle_query_result`].
    fn read(&mut self, query: Query) -> Result<(), ErrorCode>;
    fn publish_ephemeral(&mut self, room: RoomId, frame: Bytes);
    /// Calls `access` with the presence of all shards, under its lock.
    fn presence<T>(&mut self, access: impl FnOnce(&mut Presence) -> T) -> T;
    /// Whether a session has ended since HTTP validated its token.
    fn session_has_ended(&self, session: &TokenHash) -> bool;
    fn session_stored(&mut self, session: &TokenHash);
}

#[derive(Debug)]
pub(crate) enum Query {
    /// A catch-up page for the connections that resume `room` at `after`.
    Page {
        room: RoomId,
        after: Seq,
        until: Seq,
        encoding: Encoding,
    },
    /// Events that the log of an open room is missing.
    Backfill {
        room: RoomId,
        after: Seq,
    },
    /// The heads of open rooms in the store.
    Heads {
        rooms: Vec<RoomId>,
    },
    Operation {
        origin: EffectOrigin,
        encoding: Encoding,
        operation: Box<dyn ReadOperation>,
    },
}

#[derive(Debug)]
pub(crate) enum QueryResult {
    Page { room: RoomId, after: Seq, until: Seq, encoding: Encoding, page: Result<Page, ErrorCode> },
    Backfill { room: RoomId, events: Result<Vec<Event>, ErrorCode> },
    Heads { heads: Vec<(RoomId, Option<Seq>)> },
    Operation { origin: EffectOrigin, effects: Vec<HandlerEffect> },
}

/// A range of a room's events as frames in one encoding.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    /// Whole frames, concatenated.
    pub(crate) frames: Bytes,
    pub(crate) last: Seq,
}
