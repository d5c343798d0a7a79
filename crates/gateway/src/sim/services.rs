//! The services of a shard in memory: requests and queries are queued for their owner.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use domain::{Actor, Operation, Presence, TokenHash};
use protocol::{ErrorCode, RoomId};

use crate::sessions::Sessions;
use crate::shard::{Query, ShardServices};

#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) requests: Vec<(Actor, Operation, u64)>,
    pub(crate) queries: Vec<Query>,
    pub(crate) ephemeral_frames: Vec<(RoomId, Bytes)>,
    pub(crate) presence: Rc<RefCell<Presence>>,
    pub(crate) sessions: Arc<Sessions>,
    /// Whether the writer and the readers reject requests as overloaded.
    pub(crate) overloaded: bool,
}

impl ShardServices for Memory {
    fn write(&mut self, actor: Actor, operation: Operation, request_id: u64) -> Result<(), ErrorCode> {
        if self.overloaded {
            return Err(ErrorCode::Overloaded);
        }
        self.requests.push((actor, operation, request_id));
        Ok(())
    }

    fn read(&mut self, query: Query) -> Result<(), ErrorCode> {
        if self.overloaded {
            return Err(ErrorCode::Overloaded);
        }
        self.queries.push(query);
        Ok(())
    }

    fn publish_ephemeral(&mut self, room: RoomId, frame: Bytes) {
        self.ephemeral_frames.push((room, frame));
    }

    fn presence<T>(&mut self, access: impl FnOnce(&mut Presence) -> T) -> T {
        access(&mut self.presence.borrow_mut())
    }

    fn session_has_ended(&self, session: &TokenHash) -> bool {
        self.sessions.has_ended(session)
    }

    fn session_stored(&mut self, session: &TokenHash) {
        self.sessions.stored(session);
    }
}
