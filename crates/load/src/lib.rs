//! A typed client of the protocol, and a load generator that checks what it is told.
//!
//! [`Client`] blocks, and is for tests and tools: one connection, one thread, plain calls. The load generator
//! ([`generator`], the program `teahouse-load`) holds thousands of connections on one thread and looks at every frame.
//!
//! It does **not** know the server: only what docs/PROTOCOL.md promises to any client.
//!
//! | file | what it holds |
//! |---|---|
//! | `client.rs` | [`Client`]: connect, call, wait for what is said; the bare frames too, for hostile tests |
//! | `options.rs` | [`Options`]: as whom, from where, speaking what |
//! | `error.rs` | [`Error`] |
//! | `http.rs` | [`http()`], [`new_session`]: the few requests that a client makes |
//! | `dial.rs` | a TCP connection from a chosen address |
//! | `generator/` | [`generator`]: the load generator and its checker |
//! | `witness/` | [`witness`]: clients that take down what they do and see, for the checker of histories |
//! | `main.rs` | the program `teahouse-load` |
//! | `bin/history.rs` | the program `history`: records with those clients, and checks |
//! | `bin/floor.rs` | the program `floor`: the least that a server must do, to measure beside |
//!
//! ```no_run
//! use std::time::Duration;
//! use teahouse_load::{Client, Options};
//!
//! let addr = "127.0.0.1:9999".parse().unwrap();
//! let (_, token) = teahouse_load::new_session(addr, Some("Li"))?;
//! let mut li = Client::connect(addr, Options::bearer(&token))?;
//! let mut ann = Client::connect(addr, Options::default())?;
//! let room = li.join("lobby")?.room;
//! ann.join("lobby")?;
//! let seq = li.say(room, "hello")?;
//! let heard = ann.event_where(|event| event.seq == seq)?;
//! # Ok::<(), teahouse_load::Error>(())
//! ```

mod client;
mod dial;
mod error;
pub mod generator;
mod http;
mod options;
pub mod witness;

pub use client::{Client, Received, Reply};
pub use dial::dial;
pub use error::Error;
pub use http::{Response, http, http_from, new_session, new_session_from};
pub use options::Options;
