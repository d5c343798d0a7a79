//! HTTP: the page, the API, and the way by which a connection comes to its shard.
//!
//! A connection is accepted under the caps (`accept.rs`, `caps.rs`), served while patience lasts (`connection.rs`,
//! `patience.rs`), and asks one of the routes below. `/ws` (`upgrade.rs`) hands the bare stream to the house and is done
//! with it. Nothing here knows rooms or cursors.
//!
//! | file | what it holds |
//! |---|---|
//! | `accept.rs` | the socket, the accept loop, turning away, ending |
//! | `caps.rs` | connections in all and per address; [`Permit`] |
//! | `connection.rs` | one connection: hyper, deadlines, what every answer bears |
//! | `patience.rs` | the deadlines of a connection |
//! | `origin.rs` | which pages may do what |
//! | `identity.rs` | from a token to a person; new guests |
//! | `upgrade.rs` | `/ws` |
//! | `session.rs` | `/api/v1/session` |
//! | `events.rs` | `/api/v1/rooms/{room}/events` |
//! | `health.rs` | `/healthz`, `/readyz`, `/metrics` |
//! | `page.rs` | the embedded web client |
//! | `refusal.rs` | how HTTP says no |

mod accept;
mod caps;
mod connection;
mod events;
mod health;
mod identity;
mod origin;
mod page;
mod patience;
mod refusal;
mod session;
mod upgrade;

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use protocol::UserId;
use domain::{KeyedBuckets, Rate};

pub(crate) use accept::{Serving, listen, raise_file_limit};
pub(crate) use caps::{Address, Permit};
pub(crate) use origin::Origin;
pub(crate) use refusal::Refusal;

use crate::config::Config;
use crate::house::House;
use crate::metrics::Metrics;
use accept::Room;
use caps::Caps;
use page::Page;

/// What the routes share.
pub(crate) struct Front {
    config: Arc<Config>,
    house: Arc<House>,
    metrics: Metrics,
    page: Page,
    start: Instant,
    // owner: whoever makes a guest; held for one look-up; cap KeyedBuckets::CAPACITY, beyond it the fullest is forgotten.
    guests: Mutex<KeyedBuckets<Address>>,
    // owner: whoever reads history over HTTP; the same bounds.
    readers: Mutex<KeyedBuckets<UserId>>,
}

/// Begins to accept. The house must be ready to take arrivals.
pub(crate) fn serve(
    listener: tokio::net::TcpListener,
    config: Arc<Config>,
    house: Arc<House>,
    metrics: Metrics,
) -> Serving {
    let room = Room::measure(&config);
    let caps = Caps::new(room.connections, config.limits.connections_per_address, metrics.clone());
    let deadlines = config.deadlines;
    let router = router(Front::new(config, house, metrics.clone()));
    accept::serve(listener, connection::Server { router, deadlines, metrics }, caps, room)
}

/// Who is at the other end; in the extensions of every request.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    address: Address,
    permit: Permit,
}

fn router(front: Front) -> Router {
    let router = Router::new()
        .route("/ws", get(upgrade::open))
        .route("/api/v1/session", get(session::show).post(session::begin).delete(session::end))
        .route("/api/v1/rooms/{room}/events", get(events::page))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics));
    #[cfg(feature = "echo")]
    let router = router.route("/echo", get(upgrade::open_echo));
    router
        .method_not_allowed_fallback(|| async { Refusal::method_not_allowed() })
        .fallback(page::file)
        .with_state(Arc::new(front))
}

impl Front {
    fn new(config: Arc<Config>, house: Arc<House>, metrics: Metrics) -> Self {
        Front {
            config,
            house,
            metrics,
            page: Page::embedded(),
            start: Instant::now(),
            guests: Mutex::default(),
            readers: Mutex::default(),
        }
    }

    /// Takes a token from `key`'s bucket, or refuses in these words.
    fn spend<K: Ord + Clone>(
        &self,
        buckets: &Mutex<KeyedBuckets<K>>,
        key: &K,
        rate: Rate,
        words: &'static str,
    ) -> Result<(), Refusal> {
        if !self.config.limits.rates.enabled {
            return Ok(());
        }
        // A bucket that a panic left half taken is off by one token.
        let mut buckets = buckets.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.take(key, self.now(), rate).map_err(|wait| Refusal::too_often(words, wait))
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }
}

/// A number for things that need not be secret, such as which tea a guest is called after.
fn any_number() -> u64 {
    RandomState::new().hash_one(())
}

#[cfg(test)]
mod tests;
