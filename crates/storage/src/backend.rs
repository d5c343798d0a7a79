//! The port of the commit loop: what a database has to do.

use std::ops::Range;

use domain::{Fact, World};
use protocol::{Timestamp, UserId};

use crate::{Changes, StoreError};

/// A database, as its one writer uses it. It loads facts and applies changes; it contains no rule.
///
/// A batch is `begin`, any number of `load`, and `commit` or `rollback`. A backend behind a network does `begin` in one
/// round trip (BEGIN and the look-ups, pipelined), each `load` in one, and `commit` in one (the changes and COMMIT,
/// pipelined). Most batches need no `load`.
///
/// **An error ends the transaction**, whichever method returns it: nothing of the batch is stored, or, after a COMMIT
/// without an answer, that is not known. What the backend has cached is then forgotten. The error's variant decides what
/// happens next:
///
/// - [`StoreError::Defect`] and [`StoreError::Corrupt`] (a constraint failed, a row cannot be read) may be the fault of one
///   request: the batch is split, and its parts are tried again. Nothing may have been stored.
/// - [`StoreError::Full`]: nothing was stored. Requests that change nothing are answered from the stored state.
/// - [`StoreError::Unavailable`] and [`StoreError::Fatal`]: every request of the batch fails. A COMMIT whose outcome is not
///   known is `Unavailable`.
pub trait Backend: Send {
    /// Begins a transaction that may write, and loads `facts` into `world`.
    fn begin(&mut self, facts: &[Fact], world: &mut World) -> Result<(), StoreError>;

    /// Loads more facts in the transaction: what is committed, not what the batch is about to change.
    fn load(&mut self, facts: &[Fact], world: &mut World) -> Result<(), StoreError>;

    /// Writes `changes` and commits. Rows are created at `now`; events have times of their own.
    fn commit(&mut self, now: Timestamp, changes: &Changes) -> Result<(), StoreError>;

    /// Ends a transaction in which nothing was written.
    fn rollback(&mut self);

    /// Transient users who are members of a room, in the order of their ids. Outside of a transaction.
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

    /// What went wrong since the last call without failing a transaction, for the log.
    fn take_warnings(&mut self) -> Vec<String> {
        Vec::new()
    }
}
