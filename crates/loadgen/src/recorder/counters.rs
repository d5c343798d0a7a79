//! Totals of what the clients have sent. The checker counts what they received.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// Totals of a run, which all clients update.
#[derive(Debug, Default)]
pub struct Counters {
    reserved: AtomicU64,
    answered: AtomicU64,
    resent: AtomicU64,
    closed: AtomicU64,
    given_up: AtomicU64,
}

impl Counters {
    /// Reserves one more message. Returns `false` if `most` are already reserved; `None` is no limit.
    pub(super) fn reserve_message(&self, most: Option<u64>) -> bool {
        let before = self.reserved.fetch_add(1, Ordering::Relaxed);
        most.is_none_or(|most| before < most)
    }

    pub(super) fn on_replies(&self, messages: usize) {
        self.answered.fetch_add(messages as u64, Ordering::Release);
    }

    pub(super) fn answered(&self) -> u64 {
        self.answered.load(Ordering::Acquire)
    }

    pub(super) fn on_resend(&self) {
        self.resent.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn on_close(&self) {
        self.closed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn on_give_up(&self) {
        self.given_up.fetch_add(1, Ordering::Relaxed);
    }
}

impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |number: &AtomicU64| number.load(Ordering::Relaxed);
        write!(
            f,
            "{} messages sent and answered, {} resends; {} connections closed by the clients, {} given up for \
             silence",
            of(&self.answered),
            of(&self.resent),
            of(&self.closed),
            of(&self.given_up)
        )
    }
}
