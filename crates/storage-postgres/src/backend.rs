//! The port of the commit loop: `begin` and `commit` cost one round trip each.

use std::ops::Range;

use domain::{Fact, World};
use protocol::{Timestamp, UserId};
use storage::{Backend, Changes, StoreError};

use crate::facts;
use crate::failure::Failure;
use crate::link::Link;
use crate::rows::{int, uint};
use crate::session::Session;
use crate::target::WriterPlace;
use crate::write;

/// The connection that writes.
pub(crate) struct PostgresBackend {
    /// Before the place: the connection is closed before another writer may come.
    link: Link,
    place: WriterPlace,
}

impl PostgresBackend {
    /// `session`: one that holds the lock already.
    pub(crate) fn new(place: WriterPlace, session: Option<Session>) -> Result<Self, StoreError> {
        let mut backend = PostgresBackend { link: Link::new(session), place };
        // Connects, and prepares the statements, before the first batch waits for it.
        backend.repeat(|session| session.prepare_for_writing())?;
        Ok(backend)
    }

    /// Calls `work`, which commits nothing that must not be repeated; reconnects and takes the lock again if necessary.
    fn repeat<T>(&mut self, work: impl FnMut(&mut Session) -> Result<T, Failure>) -> Result<T, StoreError> {
        let target = &self.place.0;
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
        // BEGIN is sent also when all facts are cached, so that a session that was lost is replaced before a decision depends on
        // what it cached.
        let loaded = self.repeat(|session| facts::load(session, "BEGIN", facts, world));
        self.clean_up(loaded)
    }

    fn load(&mut self, facts: &[Fact], world: &mut World) -> Result<(), StoreError> {
        let loaded = self.link.once(|session| facts::load(session, "", facts, world));
        self.clean_up(loaded)
    }

    fn commit(&mut self, now: Timestamp, changes: &Changes) -> Result<(), StoreError> {
        let steps = write::steps(now, changes);
        let written = steps.and_then(|steps| {
            self.link.once(|session| {
                session.pipeline("", &steps, "COMMIT")?;
                session.cache.committed(changes);
                Ok(())
            })
        });
        self.clean_up(written)
    }

    fn rollback(&mut self) {
        if self.link.once(|session| session.execute("ROLLBACK")).is_err() {
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
