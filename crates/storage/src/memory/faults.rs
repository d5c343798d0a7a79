//! How this store fails, when a simulation wants it to; and how it is set back.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::{Epoch, Event, RoomId, Seq};

use super::MemoryStore;
use super::state::State;
use crate::{Batch, CommandError, Request, StoreError};

/// What becomes of a commit. Whoever asked is told the same in all of these but [`Failure::Full`]: it is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The disk is full: nothing is stored, and that is said.
    Full,
    /// Nothing is stored.
    Lost,
    /// All of it is stored, and the word of it got lost.
    NotKnown,
    /// An fsync failed, and nothing is stored: the process is to end.
    FatalLost,
    /// An fsync failed, and all of it is stored: the process is to end.
    FatalNotKnown,
}

impl Failure {
    pub(super) fn stores(self) -> bool {
        matches!(self, Failure::NotKnown | Failure::FatalNotKnown)
    }

    /// What those who asked for `requests` hear.
    pub(super) fn batch(self, requests: &[Request]) -> Batch {
        let text = "as the simulation wants it".to_owned();
        let error = match self {
            Failure::Full => StoreError::Full(text),
            Failure::Lost | Failure::NotKnown => StoreError::Unavailable(text),
            Failure::FatalLost | Failure::FatalNotKnown => StoreError::Fatal(text),
        };
        let refusal: CommandError = error.refusal();
        let request_ids = requests.iter().map(|request| request.request_id);
        Batch { fatal: error.fatal(), ..Batch::failed(request_ids, &refusal) }
    }
}

/// A store as it was at a moment.
pub struct Backup(State);

impl MemoryStore {
    /// The next commit fails so.
    pub fn fail_next(&self, failure: Failure) {
        self.shared.state().next_fails = Some(failure);
    }

    /// All that is stored.
    #[must_use]
    pub fn backup(&self) -> Backup {
        Backup(self.shared.state().clone())
    }

    /// What was stored since `backup` is gone, and the store has a new life.
    pub fn restore(&self, backup: &Backup, epoch: Epoch) {
        let mut state = self.shared.state();
        let commits = state.commits + 1;
        *state = State { epoch, commits, ..backup.0.clone() };
    }

    /// An event, if it is stored, or was in a room that is gone: a look that costs nothing.
    #[must_use]
    pub fn event(&self, room: RoomId, seq: Seq) -> Option<Arc<Event>> {
        let at = usize::try_from(seq.0).ok()?.checked_sub(1)?;
        let state = self.shared.state();
        state.rooms.get(&room).or_else(|| state.gone.get(&room))?.events.get(at).cloned()
    }

    /// Where a room's log ends, or ended.
    #[must_use]
    pub fn head(&self, room: RoomId) -> Seq {
        let state = self.shared.state();
        let room = state.rooms.get(&room).or_else(|| state.gone.get(&room));
        room.map_or(Seq(0), |room| room.head().seq)
    }

    /// Every event, room by room in the order of their numbers; those of rooms that are gone, too.
    #[must_use]
    pub fn events(&self) -> Vec<Arc<Event>> {
        let state = self.shared.state();
        let rooms: BTreeMap<_, _> = state.rooms.iter().chain(&state.gone).collect();
        rooms.into_values().flat_map(|room| room.events.iter().cloned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use domain::RoomLimits;
    use protocol::ErrorCode;

    use super::*;
    use crate::conformance::{House, guest, join, say};
    use crate::{LOBBY, Store};

    fn house() -> (MemoryStore, House) {
        let store = MemoryStore::new(RoomLimits::default());
        (store.clone(), House::new(Box::new(store), None))
    }

    #[test]
    fn a_commit_fails_as_it_was_told_and_the_next_one_does_not() {
        for (failure, code, stored, fatal) in [
            (Failure::Full, ErrorCode::StorageFull, false, false),
            (Failure::Lost, ErrorCode::Unavailable, false, false),
            (Failure::NotKnown, ErrorCode::Unavailable, true, false),
            (Failure::FatalLost, ErrorCode::Unavailable, false, true),
            (Failure::FatalNotKnown, ErrorCode::Unavailable, true, true),
        ] {
            let (store, mut house) = house();
            house.done(1, join("lobby"));
            store.fail_next(failure);
            let batch = house.all([(guest(1), say("lobby", Some("k"), "x"))]);
            assert_eq!(batch.answers[0].1.as_ref().unwrap_err().code, code);
            assert_eq!((batch.events.len(), batch.fatal.is_some()), (0, fatal));
            assert_eq!(store.event(LOBBY, Seq(2)).is_some(), stored, "{failure:?}");
            house.done(1, say("lobby", Some("k"), "x"));
            assert_eq!(store.head(LOBBY), Seq(2));
        }
    }

    #[test]
    fn a_restored_store_knows_nothing_later_and_has_another_epoch() {
        let (store, mut house) = house();
        house.done(1, join("lobby"));
        let backup = store.backup();
        house.done(1, say("lobby", Some("k"), "x"));
        store.restore(&backup, Epoch("e2".to_owned()));
        assert_eq!(store.epoch(), Epoch("e2".to_owned()));
        assert_eq!(store.head(LOBBY), Seq(1));
    }
}
