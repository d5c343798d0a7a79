//! The process: configuration, HTTP, shards, the embedded page, metrics.
//!
//! The way of one message, from socket to disk to sockets, is printed at the top of `docs/ARCHITECTURE.md`.
//!
//! | file | what it holds |
//! |---|---|
//! | `config/`, `cli.rs`, `logging.rs` | what is in force, and where each value came from |
//! | `http/` | accepting, the page, sessions, the upgrade to WebSocket |
//! | `handoff.rs` | what HTTP hands to a shard |
//! | `shard/` | a shard owns its connections: reads, handles, writes |
//! | `operations/` | one operation, one file: a request to effects, and the store's answer to effects |
//! | `codec/` | messages of a client to requests, replies to bytes: JSON and plain text |
//! | `encoding.rs` | events as bytes, once for each encoding |
//! | `writer.rs`, `round.rs` | the thread that commits, and what it tells the shards |
//! | `readers.rs`, `queries.rs` | the threads that read the store, and what they are asked |
//! | `app.rs` | all of these, wired to each other |
//! | `sessions.rs` | tokens, and guests who are not stored yet |
//! | `i18n/` | what the server says to people, in both languages |
//! | `metrics.rs` | what `/metrics` tells |
//! | `sim/` | all of these under virtual time, for the tests: what goes wrong comes from a seed |
//! | `fault_injection.rs` | promises broken on purpose, to prove that the tests see it; no part of a release |
//! | `critical_thread.rs` | threads whose end is the process's end |
//! | `instruction_bench.rs`, `bin/instruction_bench.rs` | what `cargo xtask instructions` counts; no part of a release |

mod app;
mod cli;
mod codec;
mod command_error;
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

/// Whether `TEAHOUSE_FAULT_INJECTION` names a promise that can be broken: with another name, or none, the server would be honest.
#[cfg(feature = "fault-injection")]
#[must_use]
pub fn fault_injection_is_named() -> bool {
    fault_injection::is_named()
}
