//! The settings of the crate; `server` reads them from the configuration.

use std::time::Duration;

use domain::Rate;

/// The settings of [`crate::serve`].
#[derive(Clone, Debug)]
pub struct Settings {
    /// Other origins whose pages may connect, in lower case, without a default port.
    pub allowed_origins: Vec<String>,
    /// The longest body of a message, in bytes.
    pub max_message_bytes: u32,
    /// The most concurrent TCP connections; `u32::MAX` is no limit.
    pub connections: u32,
    /// The most concurrent connections per IPv4 address or IPv6 /64.
    pub connections_per_address: u32,
    /// The rate of new guests per address; `None` is no limit.
    pub guest_creation: Option<Rate>,
    /// Apply to each connection until its upgrade.
    pub timeouts: Timeouts,
}

/// The deadlines of a connection that is not a WebSocket.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// From accepting a connection to its first byte.
    pub first_byte: Duration,
    /// From the first byte of a request to the end of its head, and again to the end of its body.
    pub headers: Duration,
    /// Between requests, and for a response of which the peer accepts no byte.
    pub keep_alive: Duration,
}
