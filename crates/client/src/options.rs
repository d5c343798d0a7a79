//! The options of a connection.

use std::net::IpAddr;
use std::time::Duration;

/// The credentials, the source address, the subprotocol and further settings of a connection.
#[derive(Clone, Debug)]
pub struct Options {
    /// The token of a session, sent as `Authorization: Bearer`.
    pub bearer: Option<String>,
    /// The `Origin` header; browsers always send one, programs do not.
    pub origin: Option<String>,
    /// The `Cookie` header, with which browsers present a session.
    pub cookie: Option<String>,
    /// Further headers of the upgrade request.
    pub headers: Vec<(String, String)>,
    /// The subprotocol to offer; `None` for plain text.
    pub protocol: Option<String>,
    /// The path of the upgrade: `/ws`.
    pub path: String,
    /// The source address. Linux allows any of 127.0.0.0/8, each with its own ports.
    pub source: Option<IpAddr>,
    /// The kernel's receive buffer in bytes. With a small one, the server notices a slow reader earlier.
    pub receive_buffer: Option<usize>,
    /// Bounds each call of [`Client`](crate::Client) that waits for a frame.
    pub timeout: Duration,
}

impl Options {
    /// The JSON subprotocol of docs/PROTOCOL.md.
    pub const JSON: &str = "teahouse.v1.json";

    /// Options with the token of a session, otherwise the defaults.
    #[must_use]
    pub fn bearer(token: &str) -> Self {
        Options { bearer: Some(token.to_owned()), ..Options::default() }
    }

    /// Options without a subprotocol: the server sends lines of plain text.
    #[must_use]
    pub fn plain_text() -> Self {
        Options { protocol: None, ..Options::default() }
    }
}

impl Default for Options {
    fn default() -> Self {
        Options {
            bearer: None,
            origin: None,
            cookie: None,
            headers: Vec::new(),
            protocol: Some(Self::JSON.to_owned()),
            path: "/ws".to_owned(),
            source: None,
            receive_buffer: None,
            timeout: Duration::from_secs(10),
        }
    }
}
