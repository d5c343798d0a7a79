//! PostgreSQL as a store: the same ports as SQLite, for an operator who runs PostgreSQL already.
//!
//! [`PostgresStore::open`] connects, takes the database's advisory lock, and brings the schema up to date. One connection
//! writes and a few read; each is driven by the thread that calls it, on a runtime of its own, so that the ports stay
//! synchronous. Statements that do not depend on each other are sent together: a batch costs two round trips, whatever its
//! size (`batch_costs_two_round_trips`); three, if sends are mixed with requests that need a statement of their own.
//!
//! This crate contains no rules: what a request does is decided by the commit loop of `storage`. It starts no threads, reads no
//! settings and writes no log lines.
//!
//! **Invariant:** at most one process writes. The writer's session holds an advisory lock; a session that lost its connection has
//! lost the lock, and takes it again before it writes (`second_process_is_rejected`, `writer_retakes_the_lock_after_a_restart`).
//!
//! | file | contents |
//! |---|---|
//! | `store.rs` | [`PostgresStore`]: a database, opened and checked |
//! | `target.rs` | how this process reaches the database, and its right to write |
//! | `url.rs` | the database's address, and its form without the password |
//! | `session.rs` | one connection: its settings, its prepared statements, its time limits |
//! | `link.rs` | a session that is replaced when it is lost |
//! | `lock.rs` | the advisory lock |
//! | `migrate.rs` | the schema and its versions |
//! | `failure.rs`, `open_error.rs` | PostgreSQL's error codes as [`storage::StoreError`]; why a database cannot be opened |
//! | `rows.rs` | rows as values, and values as parameters |
//! | `reader.rs` | the [`storage::Reader`] port |
//! | `backend.rs` | the [`storage::Backend`] port, from which `storage` makes the writer |
//! | `cache.rs` | rooms, members and names as they are committed |
//! | `facts.rs` | the look-ups of a batch, and what they found |
//! | `step.rs` | a statement of a pipeline, with its parameters |
//! | `write.rs` | the changes of a batch as statements |
//! | `testing.rs` | PostgreSQL servers for tests |

mod backend;
mod cache;
mod facts;
mod failure;
mod link;
mod lock;
mod migrate;
mod open_error;
mod reader;
mod rows;
mod session;
mod step;
mod store;
mod target;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;
mod url;
mod write;

pub use open_error::OpenError;
pub use store::PostgresStore;
pub use url::{DatabaseUrl, UrlError};
