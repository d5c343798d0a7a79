//! A typed, blocking client of the protocol, for tests and tools: one connection, one thread, plain calls.
//!
//! The crate follows docs/PROTOCOL.md. It uses the types of `protocol` and the codec of `websocket`, and nothing else of the server.
//!
//! | file | contents |
//! |---|---|
//! | `client.rs` | [`Client`]: connects, sends commands, waits for replies and events; sends raw frames for hostile tests |
//! | `options.rs` | [`Options`]: session, source address, subprotocol, headers |
//! | `error.rs` | [`Error`] |
//! | `http.rs` | [`http()`], [`new_session`]: the HTTP requests that a client needs |
//! | `dial.rs` | [`dial`], [`dial_nonblocking`]: TCP connections from a chosen source address |
//!
//! ```no_run
//! use teahouse_client::{Client, Options};
//!
//! let addr = "127.0.0.1:9999".parse().unwrap();
//! let (_, token) = teahouse_client::new_session(addr, Some("Li"))?;
//! let mut li = Client::connect(addr, Options::bearer(&token))?;
//! let mut ann = Client::connect(addr, Options::default())?;
//! let room = li.join("lobby")?.info.room;
//! ann.join("lobby")?;
//! let seq = li.send_body(room, "hello")?;
//! let event = ann.event_where(|event| event.seq == seq)?;
//! # Ok::<(), teahouse_client::Error>(())
//! ```

mod client;
mod dial;
mod error;
mod http;
mod http_transport;
mod options;

pub use client::{Client, Received, ReplyFrame, read_reply};
pub use dial::{dial, dial_nonblocking};
pub use error::Error;
pub use http::{Response, http, http_from, new_session, new_session_from};
pub use options::Options;
