//! What a shard needs of the world, as it sees it.

use std::io::{self, IoSlice};

use bytes::Bytes;
use domain::Presence;
use protocol::{CommandId, ErrorCode, Event, RoomId, Seq};
use storage::{Actor, Operation, TokenHash};

use super::ConnKey;
use crate::encoding::Encoding;
use crate::operations::{Effect, ReadCaller, ReadOperation};

/// A stream of bytes that never blocks: a socket, a TLS session, a pipe in memory.
pub(crate) trait Transport {
    /// As `Read::read` of a non-blocking socket.
    fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;
    /// As `Write::write_vectored` of a non-blocking socket.
    fn try_write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize>;
    /// Says that nothing more will be written; what comes is still read.
    fn finish_writing(&mut self);
}

/// The rest of the house. Nothing here blocks; what is asked for arrives later through a `handle_*`.
pub(crate) trait ShardServices {
    /// Asks the store's writer. Its answer comes back with `request_id` in a round.
    fn write(&mut self, actor: Actor, operation: Operation, request_id: u64) -> Result<(), ErrorCode>;
    /// Asks a reader. What it finds comes back through [`super::Shard::handle_found`].
    fn read(&mut self, query: Query) -> Result<(), ErrorCode>;
    /// Tells every shard something that is no event.
    fn aside(&mut self, room: RoomId, frame: Bytes);
    /// Who is online, in all shards.
    fn presence<T>(&mut self, look: impl FnOnce(&mut Presence) -> T) -> T;
    /// Whether a session has just ended. Its token was good when HTTP looked, and has ended on the way.
    fn session_has_ended(&self, session: &TokenHash) -> bool;
    /// A session is in the store now.
    fn session_stored(&mut self, session: &TokenHash);
}

/// What a reader may be asked.
#[derive(Debug)]
pub(crate) enum Query {
    /// A page for everybody who came back to `room` with `after`.
    Page { room: RoomId, after: Seq, until: Seq, encoding: Encoding },
    /// Events that the log of a live room lacks.
    Fill { room: RoomId, after: Seq },
    /// Where the logs of live rooms end.
    Heads { rooms: Vec<RoomId> },
    /// An operation that reads.
    Operation { of: ConnKey, caller: ReadCaller, operation: Box<dyn ReadOperation> },
}

/// What a reader found.
#[derive(Debug)]
pub(crate) enum Found {
    /// To [`Query::Page`].
    Page { room: RoomId, after: Seq, until: Seq, encoding: Encoding, page: Result<Page, ErrorCode> },
    /// To [`Query::Fill`].
    Fill { room: RoomId, events: Result<Vec<Event>, ErrorCode> },
    /// To [`Query::Heads`].
    Heads { heads: Vec<(RoomId, Option<Seq>)> },
    /// To [`Query::Operation`].
    Operation { of: ConnKey, id: Option<CommandId>, effects: Vec<Effect> },
}

/// A stretch of a room's log, as frames in one encoding.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    /// The frames, one behind the other.
    pub(crate) frames: Bytes,
    /// The last event in it.
    pub(crate) last: Seq,
}
