//! HTTP: the web client, the API, and the upgrade that hands a connection to its shard.
//!
//! A connection is accepted within the limits (`accept.rs`, `connection_limiter.rs`), served within its deadlines
//! (`connection.rs`, `connection_deadlines.rs`), and calls one of the routes below. `/ws` (`upgrade.rs`) hands the stream to a shard.
//! The module has no rooms and no cursors.
//!
//! | file | contents |
//! |---|---|
//! | `accept.rs` | the socket, the accept loop, rejection, shutdown |
//! | `connection_limiter.rs` | the limits of connections, in total and per address; [`Permit`] |
//! | `connection.rs` | one connection: hyper, deadlines, the headers of every response |
//! | `connection_deadlines.rs` | the deadlines of a connection |
//! | `origin.rs` | the page that a request comes from, and its rights |
//! | `identity.rs` | from a token to a user; new guests |
//! | `upgrade.rs` | `/ws` |
//! | `session.rs` | `/api/v1/session` |
//! | `operations.rs` | the routes of the operation table: from a request to a command |
//! | `effects.rs` | from the effects of an operation to a response |
//! | `request_body.rs` | a request's body, with bounds of size and time |
//! | `docs/` | `/api/v1/openapi.json`, `/api/docs` |
//! | `health.rs` | `/healthz`, `/readyz`, `/metrics` |
//! | `page.rs` | the embedded web client |
//! | `error.rs` | [`ApiError`]: the response to a request that failed |

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
use accept::Capacity;
use connection_limiter::ConnectionLimiter;
use page::Page;

/// The state that the routes share.
pub(crate) struct HttpState {
    config: Arc<Config>,
    app: Arc<AppState>,
    metrics: Metrics,
    page: Page,
    start: Instant,
    // owner: each request that creates a guest; held for one look-up; cap KeyedBuckets::CAPACITY, beyond it the fullest is dropped.
    guests: Mutex<KeyedBuckets<Address>>,
}

/// Starts to accept connections. The shards must be running.
pub(crate) fn serve(
    listener: tokio::net::TcpListener,
    config: Arc<Config>,
    app: Arc<AppState>,
    metrics: Metrics,
) -> Serving {
    let capacity = Capacity::measure(&config);
    let connection_limiter =
        ConnectionLimiter::new(capacity.connections, config.limits.connections_per_address, metrics.clone());
    let timeouts = config.timeouts;
    let router = router(HttpState::new(config, app, metrics.clone()));
    accept::serve(listener, connection::Server { router, timeouts, metrics }, connection_limiter, capacity)
}

/// The client's address and its slot, in the extensions of every request.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    address: Address,
    permit: Permit,
}

fn router(state: HttpState) -> Router {
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
        .with_state(Arc::new(state))
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

    /// Takes a token from `key`'s bucket, or returns an error with this message.
    fn acquire<K: Ord + Clone>(
        &self,
        buckets: &Mutex<KeyedBuckets<K>>,
        key: &K,
        rate: Rate,
        message: &'static str,
    ) -> Result<(), ApiError> {
        if !self.config.limits.rates.enabled {
            return Ok(());
        }
        // A panic while the lock was held leaves a bucket off by at most one token.
        let mut buckets = buckets.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.take(key, self.now(), rate).map_err(|wait| ApiError::too_often(message, wait))
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }
}

/// A random number for purposes without secrecy, such as the name of a guest.
fn any_number() -> u64 {
    RandomState::new().hash_one(())
}

#[cfg(test)]
mod tests;
