//! The publish/subscribe port between the publishers (the store's writer and the shards) and every shard.
//!
//! Every subscriber receives the same messages in the order of publication, each together with the replies addressed to that
//! subscriber. The writer publishes committed events in commit order; shards publish ephemeral frames (typing, presence).
//!
//! Publishing never blocks. When a subscriber's inbox is full, further *messages* are dropped, and the next
//! [`Inbox::drain`] reports it; the subscriber then backfills from the store. *Replies* are never dropped, because a pending
//! command waits for each of them; the number of pending commands bounds them.
//!
//! Out of scope: the content of messages, threads, sockets. Waking a subscriber is a closure.
//!
//! | file | contents |
//! |---|---|
//! | `lib.rs` | the port: `Bus`, `Delivery` |
//! | `local.rs` | `LocalBus`, `Inbox`: the bus of a single process |
//! | `conformance.rs` | the test suite that every bus must pass, behind the feature `testing` |
//!
//! ```
//! use std::sync::Arc;
//! use teahouse_bus::{Bus, LocalBus};
//!
//! let bus = LocalBus::<&str, u32>::new(1024);
//! let inbox = bus.subscribe(Box::new(|| ()));
//! bus.publish(Arc::new("room 7 has reached 1,234"), vec![(0, vec![42])]);
//! let mut deliveries = Vec::new();
//! let dropped = inbox.drain(&mut deliveries);
//! assert!(!dropped);
//! assert_eq!(deliveries[0].message.as_deref(), Some(&"room 7 has reached 1,234"));
//! assert_eq!(deliveries[0].replies, [42]);
//! ```

#[cfg(any(test, feature = "testing"))]
pub mod conformance;
mod local;

use std::sync::Arc;

pub use local::{Inbox, LocalBus};

/// Wakes a subscriber. It is called after each publication, on the publisher's thread, so it must not block.
pub type Wake = Box<dyn Fn() + Send + Sync>;

/// One publication, as one subscriber receives it.
#[derive(Debug)]
pub struct Delivery<M, R> {
    /// The message; `None` if it was dropped because the inbox was full.
    pub message: Option<Arc<M>>,
    /// The replies addressed to this subscriber; never dropped.
    pub replies: Vec<R>,
}

/// The port: delivers each message `M` to every subscriber, and each reply `R` to one.
pub trait Bus<M, R>: Send + Sync {
    /// Adds a subscriber, which receives what is published from now on. Subscribers are numbered from 0 in the order of
    /// subscription; replies are addressed by that number.
    fn subscribe(&self, wake: Wake) -> Inbox<M, R>;

    /// Publishes `message` to every subscriber, and to each listed subscriber its replies. Never blocks.
    fn publish(&self, message: Arc<M>, replies: Vec<(usize, Vec<R>)>);
}
