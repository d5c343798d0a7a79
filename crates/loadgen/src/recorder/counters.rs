//! What the clients did, in numbers, while they do it. What they saw is for the checker to count.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// How much of what.
#[derive(Debug, Default)]
pub struct Counters {
    thought: AtomicU64,
    answered: AtomicU64,
    said_again: AtomicU64,
    closed: AtomicU64,
    given_up: AtomicU64,
}

impl Counters {
    /// Takes a place for another message, if not so many have been thought of already; `None`: there is no end.
    pub(super) fn compose(&self, most: Option<u64>) -> bool {
        let before = self.thought.fetch_add(1, Ordering::Relaxed);
        most.is_none_or(|most| before < most)
    }

    pub(super) fn answer(&self, messages: usize) {
        self.answered.fetch_add(messages as u64, Ordering::Release);
    }

    /// How many messages have their answers.
    pub(super) fn answered(&self) -> u64 {
        self.answered.load(Ordering::Acquire)
    }

    pub(super) fn resend_unanswered(&self) {
        self.said_again.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn close(&self) {
        self.closed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn give_up(&self) {
        self.given_up.fetch_add(1, Ordering::Relaxed);
    }
}

impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |number: &AtomicU64| number.load(Ordering::Relaxed);
        write!(
            f,
            "{} messages were said and answered, {} times one was said again; the clients closed {} connections and gave {} up \
             for their silence",
            of(&self.answered),
            of(&self.said_again),
            of(&self.closed),
            of(&self.given_up)
        )
    }
}
