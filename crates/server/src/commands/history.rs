//! `history`: a stretch of a room's events. The reply is encoded where it is read, and is as large as it gets.

use bytes::Bytes;
use protocol::{CommandId, ErrorCode, History};
use storage::CommandError;

use crate::shard::{ConnKey, Connection, Query, Shard, ShardServices, Transport};

pub(super) fn history<L: Transport, O: ShardServices>(
    shard: &mut Shard<L, O>,
    of: ConnKey,
    id: Option<CommandId>,
    history: History,
) {
    ask(shard, of, id, |user| Query::History { of, id, user, history });
}

/// Asks a reader, if not too many read for this connection already.
pub(super) fn ask<L: Transport, O: ShardServices>(
    shard: &mut Shard<L, O>,
    of: ConnKey,
    id: Option<CommandId>,
    query: impl FnOnce(protocol::UserId) -> Query,
) {
    let Some(connection) = shard.connection(of) else { return };
    if connection.reading_store >= Connection::<L>::MAX_STORE_READS {
        // Each may bring a quarter of a megabyte: so many are held for one connection, and no more.
        return shard.send_rate_limited(of, id, std::time::Duration::from_millis(100));
    }
    let user = connection.user;
    if shard.is_full() {
        return shard.send_error_code(of, id, ErrorCode::Overloaded);
    }
    match shard.services.read(query(user)) {
        Ok(()) => {
            if let Some(connection) = shard.connection(of) {
                connection.reading_store += 1;
            }
        }
        Err(code) => shard.send_error_code(of, id, code),
    }
}

impl<L: Transport, O: ShardServices> Shard<L, O> {
    pub(crate) fn handle_history(
        &mut self,
        of: ConnKey,
        frame: Result<Option<Bytes>, (Option<CommandId>, CommandError)>,
    ) {
        self.one_read_less(of);
        match frame {
            Ok(Some(frame)) => self.send_shared(of, frame),
            Ok(None) => {}
            Err((id, refusal)) => {
                debug_assert_ne!(refusal.code, ErrorCode::Malformed);
                self.send_error(of, id, refusal);
            }
        }
    }

    /// A read of the store has come, or will not: a catch-up that waited for its place goes on.
    pub(crate) fn one_read_less(&mut self, of: ConnKey) {
        if let Some(connection) = self.connection(of) {
            connection.reading_store = connection.reading_store.saturating_sub(1);
            self.queue_write(of.index);
        }
    }
}
