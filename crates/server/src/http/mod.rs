//! HTTP: the page, the API, and the way by which a connection comes to its shard.
//!
//! A connection is accepted under the caps (`accept.rs`, `connection_limiter.rs`), served while patience lasts (`connection.rs`,
//! `connection_deadlines.rs`), and asks one of the routes below. `/ws` (`upgrade.rs`) hands the bare stream to the house and is done
//! with it. Nothing here knows rooms or cursors.
//!
//! | file | what it holds |
//! |---|---|
//! | `accept.rs` | the socket, the accept loop, turning away, ending |
//! | `connection_limiter.rs` | connections in all and per address; [`Permit`] |
//! | `connection.rs` | one connection: hyper, deadlines, what every answer bears |
//! | `connection_deadlines.rs` | the deadlines of a connection |
//! | `origin.rs` | which pages may do what |
//! | `identity.rs` | from a token to a person; new guests |
//! | `upgrade.rs` | `/ws` |
//! | `session.rs` | `/api/v1/session` |
//! | `operations.rs` | the routes of the operation table: from a request to a command |
//! | `effects.rs` | from the effects of an operation to a response |
//! | `request_body.rs` | a body, within bounds |
//! | `docs/` | `/api/v1/openapi.json`, `/api/docs` |
//! | `health.rs` | `/healthz`, `/readyz`, `/metrics` |
//! | `page.rs` | the embedded web client |
//! | `refusal.rs` | how HTTP says no |

mod accept;
mod connection;
mod connection_deadlines;
mod connection_limiter;
mod docs;
mod effects;
mod error;
mod health;
mod identity;
mod operations;
mod origin;
mod page;
mod request_body;
mod session;
mod upgrade;

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use domain::{KeyedBuckets, Rate};

pub(crate) use accept::{Serving, listen, raise_file_limit};
pub(crate) use connection_limiter::{Address, Permit};
pub(crate) use error::ApiError;

use crate::app::AppState;
use crate::config::Config;
use crate::metrics::Metrics;
use accept::Room;
use connection_limiter::ConnectionLimiter;
use page::Page;

/// What the routes share.
pub(crate) struct HttpState {
    config: Arc<Config>,
    app: Arc<AppState>,
    metrics: Metrics,
    page: Page,
    start: Instant,
    // owner: each request that creates a guest; held for one look-up; cap KeyedBuckets::CAPACITY, beyond it the fullest is forgotten.
    guests: Mutex<KeyedBuckets<Address>>,
}

/// Begins to accept. The house must be ready to take arrivals.
pub(crate) fn serve(
    listener: tokio::net::TcpListener,
    config: Arc<Config>,
    app: Arc<AppState>,
    metrics: Metrics,
) -> Serving {
    let room = Room::measure(&config);
    let connection_limiter =
        ConnectionLimiter::new(room.connections, config.limits.connections_per_address, metrics.clone());
    let timeouts = config.timeouts;
    let router = router(HttpState::new(config, app, metrics.clone()));
    accept::serve(listener, connection::Server { router, timeouts, metrics }, connection_limiter, room)
}

/// Who is at the other end; in the extensions of every request.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    address: Address,
    permit: Permit,
}

fn router(front: HttpState) -> Router {
    let router = docs::add_routes(operations::add_routes(Router::new()))
        .route("/ws", get(upgrade::open))
        .route("/api/v1/session", get(session::show).post(session::begin).delete(session::end))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics));
    #[cfg(feature = "echo")]
    let router = router.route("/echo", get(upgrade::open_echo));
    router
        .method_not_allowed_fallback(|| async { ApiError::method_not_allowed() })
        .fallback(page::file)
        .with_state(Arc::new(front))
}

impl HttpState {
    fn new(config: Arc<Config>, app: Arc<AppState>, metrics: Metrics) -> Self {
        HttpState {
            config,
            app,
            metrics,
            page: Page::embedded(),
            start: Instant::now(),
            guests: Mutex::default(),
        }
    }

    /// Takes a token from `key`'s bucket, or refuses in these words.
    fn acquire<K: Ord + Clone>(
        &self,
        buckets: &Mutex<KeyedBuckets<K>>,
        key: &K,
        rate: Rate,
        words: &'static str,
    ) -> Result<(), ApiError> {
        if !self.config.limits.rates.enabled {
            return Ok(());
        }
        // A bucket that a panic left half taken is off by one token.
        let mut buckets = buckets.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.take(key, self.now(), rate).map_err(|wait| ApiError::too_often(words, wait))
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
