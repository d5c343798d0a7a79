//! The outcome of one commit.

use std::sync::Arc;

use domain::{CommandError, OperationResult, RequestId};
use protocol::{Event, RoomId};

/// What became of the requests of one commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The appended events, in commit order; all of them are durable. Users who join a room one right after the other
    /// share an event, up to [`protocol::Limits::JOINED_TOGETHER`] of them.
    pub events: Vec<Arc<Event>>,
    /// One for each request, in their order.
    pub answers: Vec<(RequestId, Result<OperationResult, CommandError>)>,
    /// Rooms that exist no more. Their last event, a `member_left`, is among `events`.
    pub gone: Vec<RoomId>,
    /// What went wrong, for the log only.
    pub internal: Vec<String>,
    /// The disk can be trusted no more (an fsync failed): the process has to end. Later commits are all rejected.
    pub fatal: Option<String>,
}

impl Batch {
    /// Nothing was stored; each request gets the same error.
    pub(crate) fn failed(ids: impl IntoIterator<Item = RequestId>, error: &CommandError) -> Self {
        let answers = ids.into_iter().map(|id| (id, Err(error.clone()))).collect();
        Batch { answers, ..Batch::default() }
    }

    /// Adds what a later commit did.
    pub(crate) fn extend(&mut self, later: Batch) {
        self.events.extend(later.events);
        self.answers.extend(later.answers);
        self.gone.extend(later.gone);
        self.internal.extend(later.internal);
        self.fatal = self.fatal.take().or(later.fatal);
    }
}
