//! Requests that wait for the writer.

use domain::TokenHash;
use protocol::operations::Row;
use protocol::{CommandId, UserId};
use slab::Slab;

use super::ConnKey;
use crate::operations::OnReply;

/// The origin of effects: a command of a connection, or a background write of the shard.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EffectOrigin {
    /// The connection, which may end before the reply arrives.
    pub(crate) key: ConnKey,
    /// The id of the command, which its reply repeats.
    pub(crate) id: Option<CommandId>,
    /// The user, to whom the effects apply also after the connection has ended.
    pub(crate) user: UserId,
    /// The row of the operation, if a command is the origin.
    pub(crate) row: Option<&'static Row>,
    /// The session that the write stores together with a user who is not known to be stored.
    pub(crate) registers: Option<TokenHash>,
}

#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) origin: EffectOrigin,
    pub(crate) on_reply: Box<dyn OnReply>,
}

/// The waiting requests by the request id of their replies.
///
/// **Invariant:** the id of a waiting request is not assigned again (`request_id_in_use_is_not_reassigned`). The number of
/// requests is bounded by [`super::Connection::MAX_UNANSWERED`] per connection.
#[derive(Debug, Default)]
pub(crate) struct PendingReplies {
    waiting: Slab<Pending>,
}

impl PendingReplies {
    /// The id of the next inserted request.
    pub(super) fn next_id(&self) -> u64 {
        self.waiting.vacant_key() as u64
    }

    /// Inserts the request with the id [`Self::next_id`].
    pub(super) fn insert(&mut self, pending: Pending) {
        self.waiting.insert(pending);
    }

    /// Removes the request that a reply belongs to. `None` if it does not wait.
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
        let key = ConnKey { index: 0, generation: 0 };
        let origin = EffectOrigin { key, id: None, user: UserId(user), row: None, registers: None };
        Pending { origin, on_reply: Box::new(StoredPosition) }
    }

    #[test]
    fn request_id_in_use_is_not_reassigned() {
        let mut replies = PendingReplies::default();
        let first = replies.next_id();
        replies.insert(pending(1));
        let second = replies.next_id();
        replies.insert(pending(2));
        assert_ne!(first, second);
        assert_eq!(replies.take(first).map(|pending| pending.origin.user), Some(UserId(1)));
        assert!(replies.take(first).is_none(), "answered once");
        assert_ne!(replies.next_id(), second);
        assert!(!replies.is_empty());
    }
}
