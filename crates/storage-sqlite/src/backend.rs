//! The single connection that writes: its transactions, and the recovery after a failed one.

use std::ops::Range;

use domain::{Fact, World};
use protocol::{Timestamp, UserId};
use rusqlite::Connection;
use storage::{Backend, Changes, StoreError};

use super::checkpoints::{Bounds, Checkpoints};
use super::failure::{Failure, store_error};
use super::room_cache::RoomCache;
use super::rows::{execute, first, int, uint};
use super::{WriterPermit, apply, load, open};

/// Takes the write lock at once: a transaction that starts as a reader may fail when it first writes.
const BEGIN: &str = "BEGIN IMMEDIATE";

/// The backend of the commit loop for SQLite.
pub(crate) struct SqliteBackend {
    /// `None` after a failure: it is opened again before the next transaction, so that nothing of the failed one remains.
    conn: Option<Connection>,
    cache: RoomCache,
    /// Set when an fsync fails. After that, nothing is written any more.
    broken: Option<StoreError>,
    /// Declared after the connection, because the connection's commits request checkpoints until it is dropped.
    checkpoints: Checkpoints,
    /// Declared last: SQLite's files must be closed before another writer may be opened.
    permit: WriterPermit,
}

impl SqliteBackend {
    pub(super) fn new(permit: WriterPermit) -> Result<Self, StoreError> {
        let checkpoints = Checkpoints::start(permit.database().to_owned())?;
        let conn = Some(open_watched(&permit, &checkpoints)?);
        Ok(SqliteBackend { conn, cache: RoomCache::default(), broken: None, checkpoints, permit })
    }

    /// The reason why nothing may be written any more.
    fn broken(&self) -> Option<&StoreError> {
        self.broken.as_ref().or(self.checkpoints.broken())
    }

    /// Runs `work` on the connection. An error ends the transaction.
    fn run<T>(
        &mut self,
        work: impl FnOnce(&Connection, &mut RoomCache) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        if let Some(broken) = self.broken() {
            return Err(broken.clone());
        }
        let result = self.connect().and_then(|(conn, cache)| work(conn, cache)).map_err(StoreError::from);
        if let Err(error) = &result {
            self.recover(error);
        }
        result
    }

    fn connect(&mut self) -> Result<(&Connection, &mut RoomCache), Failure> {
        let conn = match self.conn.take() {
            Some(conn) => self.conn.insert(conn),
            None => self.conn.insert(open_watched(&self.permit, &self.checkpoints)?),
        };
        Ok((conn, &mut self.cache))
    }

    fn recover(&mut self, error: &StoreError) {
        self.cache.clear();
        if error.fatal().is_some() {
            self.broken = Some(error.clone());
        }
        let undone = match &self.conn {
            Some(conn) => conn.is_autocommit() || conn.execute_batch("ROLLBACK").is_ok(),
            None => false,
        };
        // After a full disk or a failed constraint the connection stays usable; opening another one may need disk space.
        let trusted = matches!(error, StoreError::Full(_) | StoreError::Defect(_));
        if !(trusted && undone) {
            self.conn = None;
        }
    }

    /// Runs `work` in a transaction of its own.
    fn transact<T>(&mut self, work: impl FnOnce(&Connection) -> Result<T, Failure>) -> Result<T, StoreError> {
        self.run(|conn, _| {
            execute(conn, BEGIN, [])?;
            let value = work(conn)?;
            commit(conn)?;
            Ok(value)
        })
    }

    #[cfg(test)]
    pub(super) fn connection(&self) -> &Connection {
        self.conn.as_ref().expect("the connection is open")
    }

    /// Replaces the bounds of the log, so that a test reaches them.
    #[cfg(test)]
    pub(super) fn checkpoint_at(&mut self, bounds: Bounds) -> &Checkpoints {
        let conn = self.conn.as_mut().expect("the connection is open");
        self.checkpoints.watch(conn, bounds).expect("a hook can be set");
        &self.checkpoints
    }

    /// Makes every COMMIT of this connection fail.
    #[cfg(test)]
    pub(super) fn break_commits(&mut self) {
        let conn = self.conn.as_mut().expect("the connection is open");
        conn.commit_hook(Some(|| true)).expect("a hook can be set");
    }

    #[cfg(test)]
    pub(super) fn mark_untrusted(&mut self, error: StoreError) {
        self.recover(&error);
    }
}

fn open_watched(permit: &WriterPermit, checkpoints: &Checkpoints) -> Result<Connection, Failure> {
    let mut conn = open::for_writing(permit.database())?;
    checkpoints.watch(&mut conn, Bounds::USUAL)?;
    Ok(conn)
}

fn commit(conn: &Connection) -> Result<(), StoreError> {
    execute(conn, "COMMIT", []).map_err(|error| match store_error(error) {
        // The frame that commits is written last. SQLite ignores an incomplete one, so nothing was stored.
        error @ (StoreError::Full(_) | StoreError::Fatal(_)) => error,
        error => StoreError::Unavailable(format!("COMMIT failed: {error}")),
    })?;
    Ok(())
}

impl Backend for SqliteBackend {
    fn begin(&mut self, facts: &[Fact], world: &mut World) -> Result<(), StoreError> {
        self.run(|conn, cache| {
            execute(conn, BEGIN, [])?;
            Ok(load::load(conn, cache, facts, world)?)
        })
    }

    fn load(&mut self, facts: &[Fact], world: &mut World) -> Result<(), StoreError> {
        self.run(|conn, cache| Ok(load::load(conn, cache, facts, world)?))
    }

    fn commit(&mut self, now: Timestamp, changes: &Changes) -> Result<(), StoreError> {
        self.run(|conn, cache| {
            apply::apply(conn, now, changes)?;
            commit(conn)?;
            cache.committed(changes);
            Ok(())
        })
    }

    fn rollback(&mut self) {
        let undone = self.run(|conn, _| Ok(execute(conn, "ROLLBACK", [])?));
        // `run` has closed the connection if it could not roll back.
        drop(undone);
    }

    fn transient_members(&mut self) -> Result<Vec<UserId>, StoreError> {
        self.run(|conn, _| {
            let sql = "SELECT id FROM person WHERE transient = 1 \
                       AND EXISTS (SELECT 1 FROM membership WHERE user = person.id) ORDER BY id";
            let mut users = conn.prepare_cached(sql)?;
            let users = users.query_map([], |row| uint(row, 0).map(UserId))?;
            Ok(users.collect::<Result<_, _>>()?)
        })
    }

    fn probe(&mut self, now: Timestamp) -> Result<(), StoreError> {
        self.transact(|conn| {
            let sql = "INSERT INTO meta (key, value) VALUES ('probed_at', ?1) \
                       ON CONFLICT (key) DO UPDATE SET value = excluded.value";
            execute(conn, sql, [now.0])?;
            Ok(())
        })
    }

    fn checkpoint(&mut self) -> Result<(), StoreError> {
        if let Some(broken) = self.broken() {
            return Err(broken.clone());
        }
        let Some(conn) = &self.conn else { return Ok(()) };
        // A reader may prevent the truncation; the statement's row reports that. The log then stays longer, without any loss.
        let done = conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(store_error);
        if let Err(error) = &done {
            self.recover(error);
        }
        done
    }

    fn failure(&self) -> Option<StoreError> {
        self.broken().cloned()
    }

    fn reserve_user_ids(&mut self, count: u32) -> Result<Range<u64>, StoreError> {
        let count = u64::from(count);
        self.transact(|conn| {
            let sql =
                "UPDATE meta SET value = value + ?1 WHERE key = 'next_user' RETURNING value AS next_user";
            let end = first(conn, sql, [int(count)], |row| uint(row, 0))?
                .ok_or_else(|| StoreError::Corrupt("the next user's id is missing".to_owned()))?;
            Ok(end.saturating_sub(count)..end)
        })
    }

    fn take_warnings(&mut self) -> Vec<String> {
        let failure = self.checkpoints.take_failure();
        failure
            .map(|failure| format!("the write-ahead log could not be checkpointed: {failure}"))
            .into_iter()
            .collect()
    }
}
