//! The bus of one process: an inbox a subscriber.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Bus, Delivery, Wake};

/// The bus of one process.
pub struct LocalBus<W, A> {
    // owner: the bus; grows at start, when shards subscribe.
    subscribers: Mutex<Vec<Arc<Subscriber<W, A>>>>,
    capacity: usize,
}

struct Subscriber<W, A> {
    // owner: shared by the publisher and one shard; held for a push or a swap; cap `capacity` words; full => dirty.
    waiting: Mutex<Waiting<W, A>>,
    wake: Wake,
}

struct Waiting<W, A> {
    deliveries: VecDeque<Delivery<W, A>>,
    missed: bool,
}

/// Where a subscriber finds what was published.
pub struct Inbox<W, A>(Arc<Subscriber<W, A>>);

/// A poisoned lock means that a thread died between two field writes of a queue, which cannot leave it torn.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<W, A> LocalBus<W, A> {
    /// A bus whose subscribers may each be `capacity` words behind.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        LocalBus { subscribers: Mutex::new(Vec::new()), capacity }
    }
}

impl<W: Send + Sync, A: Send> Bus<W, A> for LocalBus<W, A> {
    fn subscribe(&self, wake: Wake) -> Inbox<W, A> {
        let waiting = Mutex::new(Waiting { deliveries: VecDeque::new(), missed: false });
        let subscriber = Arc::new(Subscriber { waiting, wake });
        lock(&self.subscribers).push(Arc::clone(&subscriber));
        Inbox(subscriber)
    }

    fn publish(&self, word: Arc<W>, answers: Vec<(usize, Vec<A>)>) {
        let mut answers: Vec<(usize, Vec<A>)> = answers;
        for (number, subscriber) in lock(&self.subscribers).iter().enumerate() {
            let mine = answers
                .iter_mut()
                .filter(|(to, _)| *to == number)
                .flat_map(|(_, mine)| mine.drain(..))
                .collect();
            let mut waiting = lock(&subscriber.waiting);
            let full = waiting.deliveries.len() >= self.capacity;
            waiting.missed |= full;
            let delivery = Delivery { word: (!full).then(|| Arc::clone(&word)), answers: mine };
            match waiting.deliveries.back_mut() {
                // A dropped word leaves nothing but its answers; they join the last delivery, so that the queue stays short.
                Some(last) if full => last.answers.extend(delivery.answers),
                _ => waiting.deliveries.push_back(delivery),
            }
            drop(waiting);
            (subscriber.wake)();
        }
    }
}

impl<W, A> Inbox<W, A> {
    /// Takes all that waits, in order. `true`: words were dropped since the last time, and the store knows them.
    pub fn drain(&self, into: &mut Vec<Delivery<W, A>>) -> bool {
        let mut waiting = lock(&self.0.waiting);
        into.extend(waiting.deliveries.drain(..));
        std::mem::take(&mut waiting.missed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_local_bus_is_a_bus() {
        crate::conformance::run_all(&|capacity| Box::new(LocalBus::new(capacity)));
    }
}
