//! The gateway owns the WebSocket connections: it takes a request from a socket through the writer to the sockets of the members.
//!
//! [`Gateway`] starts the threads and is what HTTP uses. A connection arrives as an [`UpgradedConnection`], belongs to one shard
//! until it ends, and is served there; a request over HTTP is admitted by the shard of its user, and HTTP applies the
//! [`HandlerEffect`]s that follow. The store, the bus and sockets are behind the traits `storage::Store`, `bus::Bus` and
//! `shard::Transport`. Out of scope: rules, which are in `domain`; HTTP and the configuration, which fill [`Settings`].
//! `docs/ARCHITECTURE.md` traces a message through the files.
//!
//! | file | contents |
//! |---|---|
//! | `gateway.rs` | [`Gateway`]: start and stop of the threads, and the interface for HTTP |
//! | `handoff.rs` | the hand-off of an upgraded connection from HTTP to a shard |
//! | `shard/`, `shard_thread/` | a shard owns its connections: it reads, handles and writes them; its thread |
//! | `operations/` | the handlers of the operations: from a request to effects, and from the writer's reply to effects |
//! | `codec/` | client messages to requests, replies to bytes: JSON and plain text |
//! | `encoding.rs` | events as bytes, encoded once per encoding |
//! | `writer.rs`, `commit_batch.rs` | the thread that commits, and what it publishes to the shards |
//! | `readers.rs`, `queries.rs` | the threads that read the store, and the queries that they run |
//! | `sessions.rs` | sessions of guests who are not stored yet, and sessions that have just ended |
//! | `i18n/` | the server's user-visible texts in both languages |
//! | `metrics.rs` | the gateway's metrics |
//! | `critical_thread.rs` | threads whose panic ends the process |
//! | `sim/` | deterministic simulation in virtual time, with faults from a seed; tests only |
//! | `fault_injection.rs` | injected faults that prove that the tests detect violations; not in release builds |
//! | `instruction_bench.rs`, `bin/instruction_bench.rs` | the program that `cargo xtask instructions` measures; not in release builds |

mod codec;
mod commit_batch;
mod critical_thread;
mod encoding;
mod fault_injection;
mod gateway;
mod handoff;
mod i18n;
#[cfg(feature = "instruction-bench")]
#[doc(hidden)]
pub mod instruction_bench;
mod metrics;
mod operations;
mod queries;
mod readers;
mod sessions;
mod shard;
mod shard_thread;
#[cfg(test)]
mod sim;
mod writer;

pub use gateway::{Gateway, StartError, UpgradeGuard};
pub use handoff::{Identity, SlotGuard, UpgradedConnection, WireProtocol};
pub use i18n::Language;
pub use metrics::Metrics;
pub use operations::{Attach, ClientRequest, HandlerEffect, OnReply, PresenceReply, ReadOperation};
pub use sessions::Sessions;
pub use shard::{HttpRequest, Rejection, Settings};

/// Whether `TEAHOUSE_FAULT_INJECTION` selects an existing fault. With another value, or none, the server would inject nothing.
#[cfg(feature = "fault-injection")]
#[must_use]
pub fn fault_injection_is_named() -> bool {
    fault_injection::is_named()
}
