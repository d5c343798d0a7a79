//! How a client connects.

use std::net::IpAddr;
use std::time::Duration;

/// The session, the source address, the subprotocol and further settings of a connection.
#[derive(Clone, Debug)]
pub struct Options {
    /// The token of a session, sent as `Authorization: Bearer`.
    pub bearer: Option<String>,
    /// Sent as `Origin`, as browsers do.
    pub origin: Option<String>,
    /// Sent as `Cookie`.
    pub cookie: Option<String>,
    /// Further headers.
    pub headers: Vec<(String, String)>,
    /// The subprotocol to offer. Without one, the connection uses plain text.
    pub protocol: Option<String>,
    /// The path of the upgrade.
    pub path: String,
    /// The source address. Linux allows any of 127.0.0.0/8, each with its own ports.
    pub source: Option<IpAddr>,
    /// The kernel's receive buffer in bytes. A small one makes the server see a slow reader sooner.
    pub receive_buffer: Option<usize>,
    /// The timeout of the calls of [`Client`](crate::Client) that wait for a frame.
    pub timeout: Duration,
}

impl Options {
    /// The subprotocol of docs/PROTOCOL.md.
    pub const JSON: &str = "teahouse.v1.json";

    /// Options with a session's token.
    #[must_use]
    pub fn bearer(token: &str) -> Self {
        Options { bearer: Some(token.to_owned()), ..Options::default() }
    }

    /// Options without a subprotocol: lines of plain text.
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
