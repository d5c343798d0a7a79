//! The port of the commit loop: `begin` and `commit` cost one round trip each. Rarely, BEGIN costs a third.

use std::ops::Range;

use domain::{Fact, World};
use protocol::{Timestamp, UserId};
use storage::{Backend, Changes, StoreError};

use crate::facts;
use crate::failure::Failure;
use crate::link::Link;
use crate::rows::{int, uint};
use crate::session::Session;
use crate::target::{WriterPermit, prepare_for_writing};
use crate::write;

/// The connection that writes.
pub(crate) struct PostgresBackend {
    /// Before the permit: the connection is closed before another writer may come.
    link: Link,
    permit: WriterPermit,
    /// BEGIN was sent, and neither COMMIT nor ROLLBACK.
    in_transaction: bool,
}

impl PostgresBackend {
    /// `session`: one that holds the lock already.
    pub(crate) fn new(permit: WriterPermit, session: Option<Session>) -> Result<Self, StoreError> {
        let mut backend = PostgresBackend { link: Link::new(session), permit, in_transaction: false };
        // Connects, and prepares the statements, before the first batch waits for it.
        backend.repeat(prepare_for_writing)?;
        Ok(backend)
    }

    /// Calls `work`, which commits nothing that must not be repeated; reconnects and takes the lock again if necessary.
    fn repeat<T>(&mut self, work: impl FnMut(&mut Session) -> Result<T, Failure>) -> Result<T, StoreError> {
        let target = &self.permit.0;
        self.link.repeat(|| target.connect_for_writing(), work)
    }

    /// Ends what may be left of a transaction that failed, and forgets the facts that it may have been decided on.
    fn clean_up<T>(&mut self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        if outcome.is_err() {
            self.rollback();
            self.link.clear_cache();
        }
        outcome
    }
}

impl Backend for PostgresBackend {
    fn begin(&mut self, facts: &[Fact], world: &mut World) -> Result<(), StoreError> {
        // One statement writes a batch of sends. In a transaction block it would cost the answers to BEGIN and COMMIT too, and each
        // answer wakes this thread. Something is always sent, so that a session that was lost is replaced before a decision depends
        // on what it cached.
        self.in_transaction = !facts::only_looked_up_by_sends(facts);
        let first = if self.in_transaction { "BEGIN" } else { "" };
        let loaded = self.repeat(|session| facts::load(session, first, facts, world));
        self.clean_up(loaded)
    }

    fn load(&mut self, facts: &[Fact], world: &mut World) -> Result<(), StoreError> {
        let loaded = self.link.once(|session| facts::load(session, "", facts, world));
        self.clean_up(loaded)
    }

    fn commit(&mut self, now: Timestamp, changes: &Changes) -> Result<(), StoreError> {
        let steps = write::steps(now, changes);
        let written = steps.and_then(|steps| {
            // Whether COMMIT succeeds or not, it ends the transaction.
            let in_transaction = std::mem::take(&mut self.in_transaction);
            let in_block = in_transaction || steps.len() > 1;
            self.link.once(|session| {
                if in_block && !in_transaction {
                    // Not sent together with the statements: if it failed, each would be committed by itself.
                    session.execute("BEGIN")?;
                }
                session.pipeline("", &steps, if in_block { "COMMIT" } else { "" })?;
                session.cache.committed(changes);
                Ok(())
            })
        });
        self.clean_up(written)
    }

    fn rollback(&mut self) {
        let in_transaction = std::mem::take(&mut self.in_transaction);
        if in_transaction && self.link.once(|session| session.execute("ROLLBACK")).is_err() {
            self.link.drop_session();
        }
    }

    fn transient_members(&mut self) -> Result<Vec<UserId>, StoreError> {
        let sql = "SELECT id FROM user_account u WHERE transient \
                   AND EXISTS (SELECT 1 FROM membership m WHERE m.user_id = u.id) ORDER BY id";
        let rows = self.repeat(|session| session.query(sql, &[]))?;
        rows.iter().map(|row| uint(row, 0).map(UserId)).collect()
    }

    fn probe(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let sql = "UPDATE counter SET value = $1 WHERE key = 'probed_at'";
        self.repeat(|session| session.query(sql, &[&now.0])).map(drop)
    }

    fn checkpoint(&mut self) -> Result<(), StoreError> {
        // PostgreSQL does it by itself.
        Ok(())
    }

    fn reserve_user_ids(&mut self, count: u32) -> Result<Range<u64>, StoreError> {
        let count = u64::from(count);
        let sql = "UPDATE counter SET value = value + $1 WHERE key = 'next_user' RETURNING value";
        // Repeated after a lost answer, it leaves ids unused, which is harmless.
        let rows = self.repeat(|session| session.query(sql, &[&int(count)]))?;
        let missing = || StoreError::Corrupt("the counter of user ids is missing".to_owned());
        let end = uint(rows.first().ok_or_else(missing)?, 0)?;
        Ok(end.saturating_sub(count)..end)
    }
}
