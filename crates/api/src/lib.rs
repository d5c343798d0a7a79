//! HTTP: the web client, the API, and the upgrade after which a shard of the gateway owns the connection.
//!
//! [`serve`] accepts connections within the limits (`accept.rs`, `connection_limiter.rs`) and serves each within its deadlines
//! (`connection.rs`, `connection_deadlines.rs`); a request calls one of the routes below. `/ws` (`upgrade.rs`) hands the stream
//! to a shard of the gateway. The crate has no rooms and no cursors.
//!
//! | file | contents |
//! |---|---|
//! | `settings.rs` | [`Settings`]: what the configuration decides |
//! | `accept.rs` | the socket, the accept loop, rejection, shutdown |
//! | `connection_limiter.rs` | the limits of connections, in total and per address; `Permit` |
//! | `connection.rs` | one connection: hyper, deadlines, the headers of every response |
//! | `connection_deadlines.rs` | the deadlines of a connection |
//! | `origin.rs`, `request_origin.rs` | the origin of a web page; the origin of a request, and whether its cookie counts |
//! | `token.rs`, `identity.rs` | session tokens; from a token to a user; new guests |
//! | `upgrade.rs` | `/ws` |
//! | `session.rs` | `/api/v1/session` |
//! | `operations.rs` | the routes of the operation table: from a request to a command |
//! | `effects.rs` | from the effects of an operation to a response |
//! | `request_body.rs` | a request's body, with bounds of size and time |
//! | `docs/` | `/api/v1/openapi.json`, `/api/docs` |
//! | `health.rs` | `/healthz`, `/readyz`, `/metrics` |
//! | `metrics.rs` | the metrics of HTTP |
//! | `page.rs` | the embedded web client |
//! | `error.rs` | `ApiError`: the response to a request that failed |

mod accept;
mod connection;
mod connection_deadlines;
mod connection_limiter;
mod docs;
mod effects;
mod error;
mod health;
mod identity;
mod metrics;
mod operations;
mod origin;
mod page;
mod request_body;
mod request_origin;
mod session;
mod settings;
#[cfg(test)]
mod tests;
mod token;
mod upgrade;

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use domain::{KeyedBuckets, Rate};
use gateway::Gateway;
use prometheus_client::registry::Registry;

pub use accept::{ListenError, Serving, listen, raise_file_limit};
pub use metrics::Metrics;
pub use origin::Origin;
pub use settings::{Settings, Timeouts};

use accept::Capacity;
use connection_limiter::{Address, ConnectionLimiter, Permit};
use error::ApiError;
use page::Page;

struct HttpState {
    settings: Settings,
    gateway: Arc<Gateway>,
    /// The metrics of the gateway and of HTTP, which `/metrics` renders.
    registry: Registry,
    page: Page,
    start: Instant,
    // owner: each request that creates a guest; held for one look-up; cap KeyedBuckets::CAPACITY, beyond it the fullest bucket is
    // dropped.
    guests: Mutex<KeyedBuckets<Address>>,
}

/// Starts to accept connections. `/metrics` serves `registry`, in which the caller has registered `metrics`.
pub fn serve(
    listener: tokio::net::TcpListener,
    settings: Settings,
    gateway: Arc<Gateway>,
    metrics: Metrics,
    registry: Registry,
) -> Serving {
    let capacity = Capacity::measure(settings.connections);
    let connection_limiter =
        ConnectionLimiter::new(capacity.connections, settings.connections_per_address, metrics.clone());
    let timeouts = settings.timeouts;
    let router = router(HttpState {
        settings,
        gateway,
        registry,
        page: Page::embedded(),
        start: Instant::now(),
        guests: Mutex::default(),
    });
    accept::serve(listener, connection::Server { router, timeouts, metrics }, connection_limiter, capacity)
}

/// The client's address and its slot, in the extensions of every request.
#[derive(Clone, Debug)]
struct Peer {
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
    /// Takes a token from `key`'s bucket, or returns an error with this message.
    fn acquire<K: Ord + Clone>(
        &self,
        buckets: &Mutex<KeyedBuckets<K>>,
        key: &K,
        rate: Rate,
        message: &'static str,
    ) -> Result<(), ApiError> {
        // A panic while the lock was held leaves a bucket off by at most one token.
        let mut buckets = buckets.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.take(key, self.now(), rate).map_err(|wait| ApiError::rate_limited(message, wait))
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }
}

/// A random number for purposes without secrecy, such as the name of a guest.
fn any_number() -> u64 {
    RandomState::new().hash_one(())
}
