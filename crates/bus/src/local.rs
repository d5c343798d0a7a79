//! The bus within one process: one inbox per subscriber.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Bus, Delivery, Wake};

/// The bus within one process, for a server that is a single node.
pub struct LocalBus<M, R> {
    // owner: the bus; grows only at start, when the shards subscribe.
    subscribers: Mutex<Vec<Arc<Subscriber<M, R>>>>,
    capacity: usize,
}

struct Subscriber<M, R> {
    // owner: shared by the publishers and one shard; held for a push or a swap; cap `capacity` messages; full => `dropped`.
    queue: Mutex<Queue<M, R>>,
    wake: Wake,
}

struct Queue<M, R> {
    deliveries: VecDeque<Delivery<M, R>>,
    dropped: bool,
}

/// The receiving end of a subscription. Dropping it does not end the subscription: shards live as long as the bus.
pub struct Inbox<M, R>(Arc<Subscriber<M, R>>);

/// Recovers a poisoned lock: a panic between two field writes of a queue cannot leave it in an invalid state.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<M, R> LocalBus<M, R> {
    /// Creates a bus whose inboxes hold up to `capacity` messages each.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        LocalBus { subscribers: Mutex::new(Vec::new()), capacity }
    }
}

impl<M: Send + Sync, R: Send> Bus<M, R> for LocalBus<M, R> {
    fn subscribe(&self, wake: Wake) -> Inbox<M, R> {
        let queue = Mutex::new(Queue { deliveries: VecDeque::new(), dropped: false });
        let subscriber = Arc::new(Subscriber { queue, wake });
        lock(&self.subscribers).push(Arc::clone(&subscriber));
        Inbox(subscriber)
    }

    fn publish(&self, message: Arc<M>, mut replies: Vec<(usize, Vec<R>)>) {
        // The lock is held for the whole loop, so all subscribers receive concurrent publications in the same order.
        for (index, subscriber) in lock(&self.subscribers).iter().enumerate() {
            let own_replies = replies
                .iter_mut()
                .filter(|(target, _)| *target == index)
                .flat_map(|(_, replies)| replies.drain(..))
                .collect();
            let mut queue = lock(&subscriber.queue);
            let full = queue.deliveries.len() >= self.capacity;
            queue.dropped |= full;
            let delivery = Delivery { message: (!full).then(|| Arc::clone(&message)), replies: own_replies };
            match queue.deliveries.back_mut() {
                // The replies of a dropped message join the last delivery: they must not be lost, and the queue must not grow.
                Some(last) if full => last.replies.extend(delivery.replies),
                _ => queue.deliveries.push_back(delivery),
            }
            drop(queue);
            (subscriber.wake)();
        }
    }
}

impl<M, R> Inbox<M, R> {
    /// Moves all queued deliveries to `into`, in order. Returns `true` if messages were dropped since the last call; the
    /// store has their events.
    pub fn drain(&self, into: &mut Vec<Delivery<M, R>>) -> bool {
        let mut queue = lock(&self.0.queue);
        into.extend(queue.deliveries.drain(..));
        std::mem::take(&mut queue.dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_bus_passes_conformance_suite() {
        crate::conformance::run_all(&|capacity| Box::new(LocalBus::new(capacity)));
    }
}
