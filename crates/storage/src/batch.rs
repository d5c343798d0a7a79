//! The outcome of one commit: the durable events, and an answer to each request.

use std::sync::Arc;

use domain::{CommandError, OperationResult, RequestId};
use protocol::{Event, RoomId};

/// The outcome of one commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The appended events, in commit order; all of them are durable. Consecutive joins of a room share an event, at most
    /// [`protocol::Limits::JOINED_TOGETHER`] of them.
    pub events: Vec<Arc<Event>>,
    /// One answer for each request, in the order of the requests.
    pub replies: Vec<(RequestId, Result<OperationResult, CommandError>)>,
    /// The rooms that the batch deleted. Their last event, a `member_left`, is among `events`.
    pub deleted_rooms: Vec<RoomId>,
    /// The causes of failed requests, for the log only: they may contain paths and SQL.
    pub internal: Vec<String>,
    /// Set if an fsync failed and the disk cannot be trusted: the process must end. All later commits fail.
    pub fatal: Option<String>,
}

impl Batch {
    /// A batch of which nothing was stored; each request gets the same error.
    pub(crate) fn failed(ids: impl IntoIterator<Item = RequestId>, error: &CommandError) -> Self {
        let replies = ids.into_iter().map(|id| (id, Err(error.clone()))).collect();
        Batch { replies, ..Batch::default() }
    }

    /// Appends the outcome of a later commit, for a batch that was split.
    pub(crate) fn extend(&mut self, later: Batch) {
        self.events.extend(later.events);
        self.replies.extend(later.replies);
        self.deleted_rooms.extend(later.deleted_rooms);
        self.internal.extend(later.internal);
        self.fatal = self.fatal.take().or(later.fatal);
    }
}
