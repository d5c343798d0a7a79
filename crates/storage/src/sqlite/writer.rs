//! Transactions: how a batch is committed, and what happens when that fails.

use std::ops::Range;

use domain::RoomLimits;
use protocol::{Timestamp, UserId};
use rusqlite::Connection;

use super::checkpoints::{Bounds, Checkpoints};
use super::rows::{execute, first, int, uint};
use super::work::{BEGIN, HeadCache, OperationError, Transaction};
use super::{WriterPlace, open};
use crate::{Batch, Operation, Request, RequestId, StoreError, Writer};

/// The one connection that writes.
pub(super) struct SqliteWriter {
    /// None after a failure: opened anew before the next transaction, so that nothing of the failed one is believed.
    conn: Option<Connection>,
    heads: HeadCache,
    limits: RoomLimits,
    /// An fsync has failed: nothing is written any more.
    broken: Option<StoreError>,
    /// After the connection, whose commits ask for checkpoints.
    checkpoints: Checkpoints,
    /// After the connections: SQLite's files are closed before the place is given up.
    place: WriterPlace,
}

impl SqliteWriter {
    pub(super) fn new(place: WriterPlace, limits: RoomLimits) -> Result<Self, StoreError> {
        let checkpoints = Checkpoints::start(place.database().to_owned())?;
        let conn = Some(open_watched(&place, &checkpoints)?);
        Ok(SqliteWriter { conn, heads: HeadCache::default(), limits, broken: None, checkpoints, place })
    }

    /// Why nothing may be written any more.
    fn broken(&self) -> Option<&StoreError> {
        self.broken.as_ref().or(self.checkpoints.broken())
    }

    /// Does `work` in one transaction. An error: nothing of it is stored, or (see [`StoreError::Unavailable`]) it is not
    /// known; what this writer remembers is forgotten.
    fn transact<T>(
        &mut self,
        now: Timestamp,
        work: impl FnOnce(&mut Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<(T, Batch), StoreError> {
        if let Some(broken) = self.broken() {
            return Err(broken.clone());
        }
        let outcome = self.try_transact(now, work);
        match &outcome {
            Ok(_) => self.heads.keep_small(),
            Err(error) => self.recover(error),
        }
        outcome
    }

    fn try_transact<T>(
        &mut self,
        now: Timestamp,
        work: impl FnOnce(&mut Transaction<'_>) -> Result<T, StoreError>,
    ) -> Result<(T, Batch), StoreError> {
        let conn = match self.conn.take() {
            Some(conn) => self.conn.insert(conn),
            None => self.conn.insert(open_watched(&self.place, &self.checkpoints)?),
        };
        execute(conn, BEGIN, [])?;
        let mut transaction = Transaction::new(conn, &mut self.heads, &self.limits, now);
        let value = work(&mut transaction)?;
        transaction.close_join_groups()?;
        let mut batch = transaction.batch;
        if let Some(failure) = self.checkpoints.take_failure() {
            batch
                .internal
                .push(format!("the write-ahead log could not be brought into the database: {failure}"));
        }
        execute(conn, "COMMIT", []).map_err(|error| match StoreError::from(error) {
            // The frame that commits comes last: cut short, it is none, and nothing was stored.
            error @ (StoreError::Full(_) | StoreError::Fatal(_)) => error,
            error => StoreError::Unavailable(format!("COMMIT failed: {error}")),
        })?;
        Ok((value, batch))
    }

    fn recover(&mut self, error: &StoreError) {
        self.heads.forget_all();
        if error.fatal().is_some() {
            self.broken = Some(error.clone());
        }
        let full = matches!(error, StoreError::Full(_));
        let undone = match &self.conn {
            Some(conn) => conn.is_autocommit() || conn.execute_batch("ROLLBACK").is_ok(),
            None => false,
        };
        // A full disk is no reason to doubt the connection, and opening one anew may need room itself.
        if !(full && undone) {
            self.conn = None;
        }
    }

    /// Whoever came back in a batch that found the disk full is not to wait for those who wrote in it.
    fn open_all(&mut self, now: Timestamp, perhaps: Vec<Request>, batch: &mut Batch) {
        let opened = self.transact(now, |work| {
            for request in perhaps {
                if work.needs_no_room(&request)? {
                    work.attempt(request)?;
                }
            }
            Ok(())
        });
        let opened = match opened {
            Ok(((), opened)) => opened,
            Err(error) => {
                batch.internal.push(error.to_string());
                batch.fatal = error.fatal();
                return;
            }
        };
        batch.internal.extend(opened.internal);
        // Both are in the order of the requests.
        let mut answers = opened.answers.into_iter().peekable();
        for (request_id, answer) in &mut batch.answers {
            if let Some((_, opened)) = answers.next_if(|(of, _)| of == request_id) {
                *answer = opened;
            }
        }
    }

    #[cfg(test)]
    pub(super) fn connection(&self) -> &Connection {
        self.conn.as_ref().expect("the connection is open")
    }

    /// Checkpoints at other lengths of the log.
    #[cfg(test)]
    pub(super) fn checkpoint_at(&mut self, bounds: Bounds) -> &Checkpoints {
        let conn = self.conn.as_mut().expect("the connection is open");
        self.checkpoints.watch(conn, bounds).expect("a hook can be set");
        &self.checkpoints
    }

    /// Has every COMMIT fail, as long as this connection lives.
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

/// [`Transaction::needs_no_room`] is to be asked of these alone, so that nothing large is kept for it.
fn may_need_no_room(request: &Request) -> bool {
    matches!(request.operation, Operation::Open { .. } | Operation::Join { .. })
}

fn open_watched(place: &WriterPlace, checkpoints: &Checkpoints) -> Result<Connection, StoreError> {
    let mut conn = open::for_writing(place.database())?;
    checkpoints.watch(&mut conn, Bounds::USUAL)?;
    Ok(conn)
}

impl Writer for SqliteWriter {
    fn commit(&mut self, now: Timestamp, requests: Vec<Request>) -> Batch {
        if requests.is_empty() {
            return Batch::default();
        }
        let request_ids: Vec<RequestId> = requests.iter().map(|request| request.request_id).collect();
        let perhaps: Vec<Request> =
            requests.iter().filter(|request| may_need_no_room(request)).cloned().collect();
        let committed = self.transact(now, |work| {
            work.batch.answers.reserve(requests.len());
            if let [_] = requests[..] {
                return requests.into_iter().try_for_each(|request| work.attempt_alone(request));
            }
            requests.into_iter().try_for_each(|request| work.attempt(request))
        });
        match committed {
            Ok(((), batch)) => batch,
            Err(error) => {
                let mut batch = Batch {
                    internal: vec![error.to_string()],
                    fatal: error.fatal(),
                    ..Batch::failed(request_ids, &error.refusal())
                };
                if matches!(error, StoreError::Full(_)) && !perhaps.is_empty() {
                    self.open_all(now, perhaps, &mut batch);
                }
                batch
            }
        }
    }

    fn probe(&mut self, now: Timestamp) -> Result<(), StoreError> {
        self.transact(now, |work| {
            let sql = "INSERT INTO meta (key, value) VALUES ('probed_at', ?1) \
                       ON CONFLICT (key) DO UPDATE SET value = excluded.value";
            execute(work.conn, sql, [work.now.0])?;
            Ok(())
        })?;
        Ok(())
    }

    fn checkpoint(&mut self) -> Result<(), StoreError> {
        if let Some(broken) = self.broken() {
            return Err(broken.clone());
        }
        let Some(conn) = &self.conn else { return Ok(()) };
        // Says whether a reader was in the way. Then the log stays a little longer, and nothing is lost.
        let done =
            conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).map_err(StoreError::from);
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
        let (range, _) = self.transact(Timestamp(0), |work| {
            let sql =
                "UPDATE meta SET value = value + ?1 WHERE key = 'next_user' RETURNING value AS next_user";
            let end = first(work.conn, sql, [int(count)], |row| uint(row, 0))?
                .ok_or_else(|| StoreError::Corrupt("the next person's id is missing".to_owned()))?;
            Ok(end.saturating_sub(count)..end)
        })?;
        Ok(range)
    }

    fn cleanup_transient_users(&mut self, now: Timestamp) -> Result<Batch, StoreError> {
        let ((), batch) = self.transact(now, |work| {
            let left: Vec<UserId> = {
                let sql = "SELECT id FROM person WHERE transient = 1 \
                           AND EXISTS (SELECT 1 FROM membership WHERE user = person.id) ORDER BY id";
                let mut left = work.conn.prepare_cached(sql)?;
                left.query_map([], |row| uint(row, 0).map(UserId))?.collect::<Result<_, _>>()?
            };
            for user in left {
                work.leave_all(user).map_err(|stop| match stop {
                    OperationError::Failed(error) => error,
                    OperationError::Refused(code) => {
                        StoreError::Defect(format!("leaving was refused: {code}"))
                    }
                })?;
            }
            Ok(())
        })?;
        Ok(batch)
    }
}
