//! The services of a shard's thread: the writer, the readers, the bus, presence and sessions.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use domain::{Actor, Presence, TokenHash};
use protocol::{ErrorCode, RoomId};

use super::handle::{Input, ShardHandle};
use crate::commit_batch::{BusMessage, ReplyTarget, ShardBus};
use crate::metrics::Metrics;
use crate::queries;
use crate::readers::Readers;
use crate::sessions::Sessions;
use crate::shard::{Query, ShardServices};
use crate::writer::WriterHandle;

/// The values that the threads of the shards share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) writer: WriterHandle,
    pub(crate) readers: Readers,
    pub(crate) bus: Arc<ShardBus>,
    // owner: shared by the shards; held for one read or update, never per recipient.
    pub(crate) presence: Arc<Mutex<Presence>>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) metrics: Metrics,
    /// The time zero of all shards.
    pub(crate) started: Instant,
}

/// [`ShardServices`] over the threads of the server.
pub(super) struct LiveServices {
    pub(super) number: usize,
    pub(super) shared: Shared,
    /// The handle to this shard, to which readers send results.
    pub(super) handle: ShardHandle,
}

impl ShardServices for LiveServices {
    fn write(
        &mut self,
        actor: Actor,
        operation: domain::Operation,
        request_id: u64,
    ) -> Result<(), ErrorCode> {
        self.shared.writer.submit(actor, operation, ReplyTarget::Shard { shard: self.number, request_id })
    }

    fn read(&mut self, query: Query) -> Result<(), ErrorCode> {
        let handle = self.handle.clone();
        self.shared
            .readers
            .submit(move |reader| handle.submit(Input::QueryResult(queries::run_query(query, reader))))
    }

    fn publish_ephemeral(&mut self, room: RoomId, frame: Bytes) {
        self.shared.bus.publish(Arc::new(BusMessage::Ephemeral { room, frame }), Vec::new());
    }

    fn presence<T>(&mut self, access: impl FnOnce(&mut Presence) -> T) -> T {
        access(&mut self.shared.presence.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn session_has_ended(&self, session: &TokenHash) -> bool {
        self.shared.sessions.has_ended(session)
    }

    fn session_stored(&mut self, session: &TokenHash) {
        self.shared.sessions.stored(session);
    }
}
