//! The port of the commit loop: the operations of a database.

use std::ops::Range;

use domain::{Fact, World};
use protocol::{Timestamp, UserId};

use crate::{Changes, StoreError};

/// A database, as its single writer uses it. It loads facts and applies changes; it contains no rule.
///
/// A batch is `begin`, any number of `load`, and `commit` or `rollback`. A backend behind a network does `begin` in one
/// round trip (BEGIN and the look-ups, pipelined), each `load` in one, and `commit` in one (the changes and COMMIT,
/// pipelined). Most batches need no `load`.
///
/// **An error ends the transaction**, whichever method returns it: nothing of the batch is stored, or, if a COMMIT was not
/// answered, the outcome is unknown. The backend then discards its caches. The variant of the error decides what happens next:
///
/// - [`StoreError::Defect`] and [`StoreError::Corrupt`] (a constraint failed, a row is unreadable) may be caused by one
///   request: the batch is split, and its parts are tried again. Nothing may have been stored.
/// - [`StoreError::Full`]: nothing was stored. Requests that change nothing are answered from the stored state.
/// - [`StoreError::Unavailable`] and [`StoreError::Fatal`]: every request of the batch fails. A COMMIT with an unknown outcome
///   is `Unavailable`.
pub trait Backend: Send {
    /// Begins a transaction that may write, and loads `facts` into `world`.
    fn begin(&mut self, facts: &[Fact], world: &mut World) -> Result<(), StoreError>;

    /// Loads more facts in the same transaction. They are the committed state, without the changes of the batch.
    fn load(&mut self, facts: &[Fact], world: &mut World) -> Result<(), StoreError>;

    /// Writes `changes` and commits. `now` is the creation time of rows; events have their own times.
    fn commit(&mut self, now: Timestamp, changes: &Changes) -> Result<(), StoreError>;

    /// Ends a transaction in which nothing was written.
    fn rollback(&mut self);

    /// The transient users who are members of a room, sorted by id. Called outside a transaction.
    fn transient_members(&mut self) -> Result<Vec<UserId>, StoreError>;

    /// See [`Writer::probe`](crate::Writer::probe).
    fn probe(&mut self, now: Timestamp) -> Result<(), StoreError>;

    /// See [`Writer::checkpoint`](crate::Writer::checkpoint).
    fn checkpoint(&mut self) -> Result<(), StoreError>;

    /// See [`Writer::failure`](crate::Writer::failure).
    fn failure(&self) -> Option<StoreError> {
        None
    }

    /// See [`Writer::reserve_user_ids`](crate::Writer::reserve_user_ids).
    fn reserve_user_ids(&mut self, count: u32) -> Result<Range<u64>, StoreError>;

    /// Warnings since the last call about failures that did not fail a transaction, for the log.
    fn take_warnings(&mut self) -> Vec<String> {
        Vec::new()
    }
}
