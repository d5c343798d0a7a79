//! The server program: settings, logging, and the wiring of store, gateway and HTTP. It contains no rule of the chat: those are in
//! `domain`. `docs/ARCHITECTURE.md` traces a message from the socket through the store to the sockets of the members.
//!
//! | file | contents |
//! |---|---|
//! | `config/`, `cli.rs`, `logging.rs` | settings and their sources, the command line, logging |
//! | `app.rs` | from the configuration to the store, the gateway and HTTP |

mod app;
mod cli;
mod config;
mod logging;

pub use cli::main;

/// Whether `TEAHOUSE_FAULT_INJECTION` selects an existing fault. With another value, or none, the server would inject nothing.
#[cfg(feature = "fault-injection")]
pub use gateway::fault_injection_is_named;
