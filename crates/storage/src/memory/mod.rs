//! The adapter that forgets: for tests and simulations. Plain maps, and no code in common with the one that remembers, so
//! that the two can be held against each other.

mod faults;
mod reader;
mod state;
mod writer;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::RoomLimits;
use protocol::Epoch;

use crate::{Reader, Store, StoreError, Writer};
pub use faults::{Backup, Failure};
use state::State;

/// Rooms in memory. Clones of the handle are the same store.
#[derive(Clone)]
pub struct MemoryStore {
    shared: Arc<Shared>,
    limits: RoomLimits,
}

struct Shared {
    // Owner: whoever calls; held for the length of one call.
    state: Mutex<State>,
    has_writer: AtomicBool,
}

impl Shared {
    /// A panic of another holder is its own affair: every change here is whole before anything can panic.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MemoryStore {
    /// A store with a lobby and nobody in it.
    #[must_use]
    pub fn new(limits: RoomLimits) -> Self {
        let shared = Shared { state: Mutex::new(State::new()), has_writer: AtomicBool::new(false) };
        MemoryStore { shared: Arc::new(shared), limits }
    }
}

impl Store for MemoryStore {
    fn epoch(&self) -> Epoch {
        self.shared.state().epoch.clone()
    }

    fn writer(&self) -> Result<Box<dyn Writer>, StoreError> {
        if self.shared.has_writer.swap(true, Ordering::AcqRel) {
            return Err(StoreError::WriterTaken);
        }
        Ok(Box::new(writer::MemoryWriter { shared: self.shared.clone(), limits: self.limits }))
    }

    fn reader(&self) -> Result<Box<dyn Reader>, StoreError> {
        Ok(Box::new(reader::MemoryReader { shared: self.shared.clone(), seen: None }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::{House, ROOMS, store_claims};

    fn house() -> House {
        House::new(Box::new(MemoryStore::new(RoomLimits { rooms_per_person: ROOMS })), None)
    }

    store_claims!(house);
}
