//! How a client connects.

use std::net::IpAddr;
use std::time::Duration;

/// As whom, from where, speaking what.
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
    /// The subprotocol to offer; without one, plain text is spoken.
    pub protocol: Option<String>,
    /// The path of the upgrade.
    pub path: String,
    /// The address to connect from; on Linux any of 127.0.0.0/8 can be had, each with its own ports.
    pub source: Option<IpAddr>,
    /// The kernel's receive buffer in bytes: a small one makes a slow reader of whoever does not read.
    pub receive_buffer: Option<usize>,
    /// How long [`Client`](crate::Client)'s calls wait for what must come.
    pub timeout: Duration,
}

impl Options {
    /// The subprotocol of docs/PROTOCOL.md.
    pub const JSON: &str = "teahouse.v1.json";

    /// With a session's token.
    #[must_use]
    pub fn bearer(token: &str) -> Self {
        Options { bearer: Some(token.to_owned()), ..Options::default() }
    }

    /// Without a subprotocol: lines of plain text.
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
