//! Injected failures, backups, and views of deleted rooms, for simulations.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::{Epoch, Event, RoomId, Seq};

use super::MemoryStore;
use super::failure::Failure;
use super::state::State;

/// A copy of a store's state, for [`MemoryStore::restore`].
pub struct Backup(State);

impl MemoryStore {
    /// Makes the next commit fail in this way; the one after it succeeds.
    pub fn fail_next(&self, failure: Failure) {
        self.shared.state().next_fails = Some(failure);
    }

    /// Copies the whole state, as a backup of the database file would.
    #[must_use]
    pub fn backup(&self) -> Backup {
        Backup(self.shared.state().clone())
    }

    /// Replaces the state by `backup` under a new epoch, as an operator who restores a backup does.
    pub fn restore(&self, backup: &Backup, epoch: Epoch) {
        let mut state = self.shared.state();
        let commits = state.commits + 1;
        *state = State { epoch, commits, ..backup.0.clone() };
    }

    /// One event, including those of deleted rooms; `None` if it does not exist.
    #[must_use]
    pub fn event(&self, room: RoomId, seq: Seq) -> Option<Arc<Event>> {
        let at = usize::try_from(seq.0).ok()?.checked_sub(1)?;
        let state = self.shared.state();
        state.rooms.get(&room).or_else(|| state.deleted.get(&room))?.events.get(at).cloned()
    }

    /// The number of the room's last event, also if the room is deleted.
    #[must_use]
    pub fn head(&self, room: RoomId) -> Seq {
        let state = self.shared.state();
        let room = state.rooms.get(&room).or_else(|| state.deleted.get(&room));
        room.map_or(Seq(0), |room| room.head().seq)
    }

    /// Every event, sorted by room and number, including those of deleted rooms.
    #[must_use]
    pub fn events(&self) -> Vec<Arc<Event>> {
        let state = self.shared.state();
        let rooms: BTreeMap<_, _> = state.rooms.iter().chain(&state.deleted).collect();
        rooms.into_values().flat_map(|room| room.events.iter().cloned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use domain::RoomLimits;
    use protocol::ErrorCode;

    use super::*;
    use crate::conformance::{Fixture, guest, join, send};
    use crate::{LOBBY, Store};

    fn fixture() -> (MemoryStore, Fixture) {
        let store = MemoryStore::new(RoomLimits::default());
        (store.clone(), Fixture::new(Box::new(store)))
    }

    #[test]
    fn injected_failure_fails_one_commit() {
        for (failure, code, stored, fatal) in [
            (Failure::Full, ErrorCode::StorageFull, false, false),
            (Failure::Lost, ErrorCode::Unavailable, false, false),
            (Failure::NotKnown, ErrorCode::Unavailable, true, false),
            (Failure::FatalLost, ErrorCode::Unavailable, false, true),
            (Failure::FatalNotKnown, ErrorCode::Unavailable, true, true),
        ] {
            let (store, mut fixture) = fixture();
            fixture.done(1, join("lobby"));
            store.fail_next(failure);
            let batch = fixture.all([(guest(1), send("lobby", Some("k"), "x"))]);
            assert_eq!(batch.replies[0].1.as_ref().unwrap_err().code, code);
            assert_eq!((batch.events.len(), batch.fatal.is_some()), (0, fatal));
            assert_eq!(store.event(LOBBY, Seq(2)).is_some(), stored, "{failure:?}");
            fixture.done(1, send("lobby", Some("k"), "x"));
            assert_eq!(store.head(LOBBY), Seq(2));
        }
    }

    #[test]
    fn restored_store_has_old_state_and_new_epoch() {
        let (store, mut fixture) = fixture();
        fixture.done(1, join("lobby"));
        let backup = store.backup();
        fixture.done(1, send("lobby", Some("k"), "x"));
        store.restore(&backup, Epoch("e2".to_owned()));
        assert_eq!(store.epoch(), Epoch("e2".to_owned()));
        assert_eq!(store.head(LOBBY), Seq(1));
    }
}
