//! The options of the recorder.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// The clients of a run and their behavior.
#[derive(Clone, Debug, clap::Args)]
pub struct RecorderOptions {
    /// Address of the server.
    #[arg(long)]
    pub server: SocketAddr,
    /// Folder for the history, with one file for each client.
    #[arg(long)]
    pub history: PathBuf,
    /// Clients that send messages, each in one room.
    #[arg(long, default_value_t = 50)]
    pub writers: u32,
    /// Clients that only receive, each in three rooms, and sometimes stay offline.
    #[arg(long, default_value_t = 10)]
    pub receivers: u32,
    /// Clients that only receive, each in one room, and are always online.
    #[arg(long, default_value_t = 0)]
    pub listeners: u32,
    /// Number of rooms.
    #[arg(long, default_value_t = 10)]
    pub rooms: u32,
    /// Approximate number of messages per second, of all writers together.
    #[arg(long, default_value_t = 1_000)]
    pub rate: u32,
    /// Longest message body, in bytes.
    #[arg(long, default_value_t = 200)]
    pub max_body_bytes: u32,
    /// Clients of any role that pause reading on request.
    #[arg(long, default_value_t = 0)]
    pub slow_readers: u32,
    /// Seed of every random choice. A run repeats only as far as the server's replies do.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Connect each client from its own IPv4 address: this one plus the client's number.
    #[arg(long)]
    pub source_base: Option<Ipv4Addr>,
    /// Silence after which a client sends `ping`, and after as long again gives up the connection.
    #[arg(long, default_value_t = 25_000)]
    pub keepalive_ms: u64,
    /// Approximate interval at which a client closes its connection by itself; 0: never.
    #[arg(long, default_value_t = 0)]
    pub reconnect_ms: u64,
    /// Resend a message on the same connection when it has no reply for this long; 0: only on the next connection.
    #[arg(long, default_value_t = 0)]
    pub retry_ms: u64,
    /// Stop after this many messages and print `all answered`; 0: no limit.
    #[arg(long, default_value_t = 0)]
    pub messages: u64,
}

impl RecorderOptions {
    pub(super) fn count(&self) -> u32 {
        self.writers + self.receivers + self.listeners
    }

    /// Whether the client with this number (from 1) is a slow reader. They are spread evenly over the roles.
    pub(super) fn slow_reader(&self, number: u32) -> bool {
        let up_to =
            |number: u32| u64::from(number) * u64::from(self.slow_readers) / u64::from(self.count().max(1));
        up_to(number) > up_to(number - 1)
    }

    /// The client's source address; `None` leaves the choice to the kernel.
    pub(super) fn source(&self, number: u32) -> Option<IpAddr> {
        self.source_base.map(|first| Ipv4Addr::from_bits(first.to_bits().saturating_add(number)).into())
    }
}

pub(super) fn room_name(number: u32) -> String {
    format!("room-{number}")
}
