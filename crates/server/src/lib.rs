//! The server process: configuration, HTTP, shards, the embedded web client, metrics.
//!
//! `docs/ARCHITECTURE.md` traces a message from the socket through the store to the sockets of the members.
//!
//! | file | contents |
//! |---|---|
//! | `config/`, `cli.rs`, `logging.rs` | settings and their sources, the command line, logging |
//! | `origin.rs` | the origin of a web page, compared with `Host` and with the configuration |
//! | `http/` | accepting connections, the web client, the HTTP API, sessions, the upgrade to WebSocket |
//! | `handoff.rs` | the hand-off of an upgraded connection from HTTP to a shard |
//! | `shard/`, `shard_thread.rs` | a shard owns its connections: it reads, handles and writes them; its thread |
//! | `operations/` | the handlers of the operations: from a request to effects, and from the writer's reply to effects |
//! | `codec/` | client messages to requests, replies to bytes: JSON and plain text |
//! | `command_error.rs` | the errors of the server itself, as opposed to those of the store |
//! | `encoding.rs` | events as bytes, encoded once per encoding |
//! | `writer.rs`, `commit_batch.rs` | the thread that commits, and what it publishes to the shards |
//! | `readers.rs`, `queries.rs` | the threads that read the store, and the queries that they run |
//! | `app.rs` | start, wiring and stop of all of these |
//! | `sessions.rs` | tokens, and sessions whose guests are not stored yet |
//! | `i18n/` | user-visible texts in both languages |
//! | `metrics.rs` | the metrics of `/metrics` |
//! | `sim/` | deterministic simulation of the server in virtual time, with faults from a seed; tests only |
//! | `fault_injection.rs` | injected faults that prove that the tests detect violations; not in release builds |
//! | `critical_thread.rs` | threads whose end must end the process |
//! | `instruction_bench.rs`, `bin/instruction_bench.rs` | the program that `cargo xtask instructions` measures; not in release builds |

mod app;
mod cli;
mod codec;
mod commit_batch;
mod config;
mod critical_thread;
mod encoding;
mod fault_injection;
mod handoff;
mod http;
mod i18n;
#[cfg(feature = "instruction-bench")]
#[doc(hidden)]
pub mod instruction_bench;
mod logging;
mod metrics;
mod operations;
mod origin;
mod queries;
mod readers;
mod sessions;
mod shard;
mod shard_thread;
#[cfg(test)]
mod sim;
mod writer;

pub use cli::main;

/// Whether `TEAHOUSE_FAULT_INJECTION` selects an existing fault. With another value, or none, the server would inject nothing.
#[cfg(feature = "fault-injection")]
#[must_use]
pub fn fault_injection_is_named() -> bool {
    fault_injection::is_named()
}
