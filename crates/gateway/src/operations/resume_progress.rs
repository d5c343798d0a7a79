//! A `resume` in progress.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The number of rooms of a `resume` that have no result yet. Shared by the rooms, some of which wait for events of others.
#[derive(Clone, Debug)]
pub(crate) struct ResumeProgress {
    unanswered: Arc<AtomicUsize>,
}

impl ResumeProgress {
    pub(crate) fn of(rooms: usize) -> Self {
        ResumeProgress { unanswered: Arc::new(AtomicUsize::new(rooms)) }
    }

    /// Counts a room as opened or rejected. Returns whether it was the last one.
    pub(crate) fn finish_room(&self) -> bool {
        self.unanswered.fetch_sub(1, Ordering::Relaxed) == 1
    }
}
