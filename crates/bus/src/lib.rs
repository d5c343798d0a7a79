//! How shards learn what the store's writer committed.
//!
//! The writer alone publishes, in commit order; every subscriber sees the same words in that order, each with the answers
//! that are for it alone. Publishing never blocks: a subscriber that is too far behind loses *words*, and is told so when
//! it drains its inbox; it then reads from the store what it lacks. *Answers* are never lost, for somebody waits for each:
//! they are bounded by the commands that wait.
//!
//! It does **not** know what the words say, nor what a thread or a socket is: waking a subscriber is a closure.
//!
//! | file | what it holds |
//! |---|---|
//! | `lib.rs` | the port: `Bus`, `Inbox`, `Delivery` |
//! | `local.rs` | `LocalBus`: one process |
//! | `conformance.rs` | what every bus must do |
//!
//! ```
//! use std::sync::Arc;
//! use teahouse_bus::{Bus, LocalBus};
//!
//! let bus = LocalBus::<&str, u32>::new(1024);
//! let inbox = bus.subscribe(Box::new(|| ()));
//! bus.publish(Arc::new("room 7 has reached 1,234"), vec![(0, vec![42])]);
//! let mut words = Vec::new();
//! let missed = inbox.drain(&mut words);
//! assert!(!missed && *words[0].word.as_deref().unwrap() == "room 7 has reached 1,234" && words[0].answers == [42]);
//! ```

pub mod conformance;
mod local;

use std::sync::Arc;

pub use local::{Inbox, LocalBus};

/// Wakes a subscriber; called after each word, from the publisher's thread.
pub type Wake = Box<dyn Fn() + Send + Sync>;

/// One word, as one subscriber gets it.
#[derive(Debug)]
pub struct Delivery<W, A> {
    /// The word; `None` if it was dropped because the subscriber is behind.
    pub word: Option<Arc<W>>,
    /// The answers that came with it for this subscriber.
    pub answers: Vec<A>,
}

/// The port: from the store's writer to every shard.
pub trait Bus<W, A>: Send + Sync {
    /// A new subscriber; they are numbered 0, 1, 2 … in the order of subscription. It sees what is published from now on.
    fn subscribe(&self, wake: Wake) -> Inbox<W, A>;

    /// Gives `word` to every subscriber, and to those named the answers that are theirs. Never blocks.
    fn publish(&self, word: Arc<W>, answers: Vec<(usize, Vec<A>)>);
}
