//! Departures of transient guests, who leave all rooms after their last connection has ended.

use std::collections::VecDeque;

use domain::Actor;

/// The departures that the writer has not accepted or the store could not commit.
///
/// **Invariant:** a departure stays here until it is submitted, and returns if it fails
/// (`failed_departure_waits_for_retry`). Bounded by the number of guests who connected.
#[derive(Debug, Default)]
pub(super) struct Departures {
    waiting: VecDeque<Actor>,
    /// Retried once per second: the store has just failed.
    failed: Vec<Actor>,
}

impl Departures {
    pub(super) fn push(&mut self, actor: Actor) {
        self.waiting.push_back(actor);
    }

    pub(super) fn pop(&mut self) -> Option<Actor> {
        self.waiting.pop_front()
    }

    /// Returns a departure that the writer did not accept to the front.
    pub(super) fn requeue(&mut self, actor: Actor) {
        self.waiting.push_front(actor);
    }

    pub(super) fn fail(&mut self, actor: Actor) {
        self.failed.push(actor);
    }

    /// Makes the failed departures ready again.
    pub(super) fn retry_failed(&mut self) {
        self.waiting.extend(self.failed.drain(..));
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.failed.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use protocol::{User, UserId, UserName};

    use super::*;

    fn guest(user: u64) -> Actor {
        let user = User { id: UserId(user), name: UserName::new("guest").unwrap() };
        Actor { user, registration: None }
    }

    #[test]
    fn failed_departure_waits_for_retry() {
        let mut departures = Departures::default();
        departures.push(guest(1));
        departures.push(guest(2));
        let first = departures.pop().unwrap();
        departures.requeue(first);
        let next = |departures: &mut Departures| departures.pop().map(|actor| actor.user.id.0);
        assert_eq!((next(&mut departures), next(&mut departures)), (Some(1), Some(2)));
        departures.fail(guest(1));
        assert_eq!(next(&mut departures), None);
        assert!(!departures.is_empty());
        departures.retry_failed();
        assert_eq!(next(&mut departures), Some(1));
        assert!(departures.is_empty());
    }
}
