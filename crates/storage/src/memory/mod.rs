//! The store for tests and simulations: plain maps, lost when the process ends.

mod backend;
mod failure;
mod faults;
#[cfg(any(test, feature = "testing"))]
mod model;
mod reader;
mod state;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::RoomLimits;
use protocol::Epoch;

use crate::{CommitLoop, Reader, Store, StoreError, Writer};
pub use failure::Failure;
pub use faults::Backup;
use state::State;

/// Rooms in memory. Clones of the handle share one store.
#[derive(Clone)]
pub struct MemoryStore {
    shared: Arc<Shared>,
    limits: RoomLimits,
}

struct Shared {
    // Owner: the caller, for the length of one call.
    state: Mutex<State>,
    has_writer: AtomicBool,
}

impl Shared {
    /// A poisoned lock is recovered: no change panics halfway, so another thread's panic leaves the state valid.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MemoryStore {
    /// A store that contains only an empty lobby.
    #[must_use]
    pub fn new(limits: RoomLimits) -> Self {
        let shared = Shared { state: Mutex::new(State::new()), has_writer: AtomicBool::new(false) };
        MemoryStore { shared: Arc::new(shared), limits }
    }

    /// The independent model of the rules, in the place of the writer.
    #[cfg(any(test, feature = "testing"))]
    #[must_use]
    pub fn model(&self) -> Box<dyn Writer> {
        self.shared.has_writer.store(true, Ordering::Release);
        Box::new(model::ModelWriter { shared: self.shared.clone(), limits: self.limits })
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
        let backend = backend::MemoryBackend { shared: self.shared.clone() };
        Ok(Box::new(CommitLoop::new(backend, self.limits)))
    }

    fn reader(&self) -> Result<Box<dyn Reader>, StoreError> {
        Ok(Box::new(reader::MemoryReader { shared: self.shared.clone(), seen: None }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::{Fixture, ROOMS};

    fn fixture() -> Fixture {
        Fixture::new(Box::new(MemoryStore::new(RoomLimits { rooms_per_user: ROOMS })))
    }

    crate::store_tests!(fixture);
}
