//! Requests that wait for the store's writer.

use protocol::operations::Row;
use protocol::{CommandId, UserId};
use slab::Slab;
use storage::TokenHash;

use super::ConnKey;
use crate::operations::OnReply;

/// Where effects come from: a command of a connection, or a write that the shard does by itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    /// The connection. It may be gone when the answer comes.
    pub(crate) of: ConnKey,
    /// The command's id.
    pub(crate) id: Option<CommandId>,
    /// The user. What a user did is theirs also if the connection has gone.
    pub(crate) user: UserId,
    /// The row of the operation, where a command is the origin.
    pub(crate) row: Option<&'static Row>,
    /// The session that is stored with the user, if they are not known to be stored.
    pub(crate) registers: Option<TokenHash>,
}

/// A request that waits for the writer.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) origin: Origin,
    pub(crate) on_reply: Box<dyn OnReply>,
}

/// The requests that wait, by the number under which the writer answers them.
///
/// **Invariant:** a number that is in use is not given again (`number_in_use_is_not_given_again`). Bounded by what each
/// connection may leave unanswered.
#[derive(Debug, Default)]
pub(crate) struct PendingReplies {
    waiting: Slab<Pending>,
}

impl PendingReplies {
    /// The number of the next request that is inserted.
    pub(super) fn next_id(&self) -> u64 {
        self.waiting.vacant_key() as u64
    }

    /// Waits for the answer to the request [`Self::next_id`].
    pub(super) fn insert(&mut self, pending: Pending) {
        self.waiting.insert(pending);
    }

    /// The request that has been answered. `None`: it does not wait any more.
    pub(super) fn take(&mut self, request_id: u64) -> Option<Pending> {
        self.waiting.try_remove(request_id as usize)
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operations::StoredPosition;

    fn pending(user: u64) -> Pending {
        let of = ConnKey { index: 0, generation: 0 };
        let origin = Origin { of, id: None, user: UserId(user), row: None, registers: None };
        Pending { origin, on_reply: Box::new(StoredPosition) }
    }

    #[test]
    fn number_in_use_is_not_given_again() {
        let mut replies = PendingReplies::default();
        let first = replies.next_id();
        replies.insert(pending(1));
        let second = replies.next_id();
        replies.insert(pending(2));
        assert_ne!(first, second);
        assert_eq!(replies.take(first).map(|it| it.origin.user), Some(UserId(1)));
        assert!(replies.take(first).is_none(), "answered once");
        assert_ne!(replies.next_id(), second);
        assert!(!replies.is_empty());
    }
}
