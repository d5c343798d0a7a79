//! A room that is about to be opened for a connection.

use protocol::CommandId;

use super::ConnKey;
use crate::operations::Attach;

/// A granted join that waits until the log of the room has reached the head of the reply.
#[derive(Clone, Debug)]
pub(crate) struct PendingSubscription {
    pub(crate) key: ConnKey,
    pub(crate) id: Option<CommandId>,
    /// The number that the codec assigned to the join.
    pub(crate) join: u32,
    pub(crate) attach: Attach,
}
