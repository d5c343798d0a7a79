//! The options of a load run, and their bounds.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

use clap::Args;
use protocol::RoomName;

use super::LoadError;
use super::payload::MIN_BODY_BYTES;
use super::process::open_files_limit;
use client::Options;

/// The ephemeral ports of one address on Linux (32768 to 60999).
const PORTS_PER_SOURCE: u32 = 28_232;

/// Open files in addition to the connections.
const OTHER_FILES: u64 = 32;

/// The options of a load run.
#[derive(Args, Clone, Debug)]
pub struct Plan {
    /// URL of the server.
    #[arg(long, default_value = "ws://127.0.0.1:9999")]
    pub url: String,
    /// Measure another kind of server with this protocol.
    #[arg(long, value_enum, num_args = 0..=1, default_missing_value = "hub")]
    pub peer: Option<Peer>,
    /// Connections, each with its own guest, that never pause reading.
    #[arg(long, default_value_t = 100)]
    pub connections: u32,
    /// Rooms, over which the connections are spread evenly. Several rooms of a hub are the paths `/channel/0`, `/channel/1` …
    #[arg(long, default_value_t = 1)]
    pub rooms: u32,
    /// Number of rooms that each connection joins.
    #[arg(long, default_value_t = 1)]
    pub rooms_each: u32,
    /// Room names: this prefix, `-` and a number. [default: another prefix in each run]
    #[arg(long, value_name = "PREFIX")]
    pub room_names: Option<String>,
    /// Further connections that join, and read nothing between the last join and the end of the run.
    #[arg(long, default_value_t = 0)]
    pub stalled: u32,
    /// Connections that send, spread over the rooms; 0 to measure idle connections.
    #[arg(long, default_value_t = 1)]
    pub senders: u32,
    /// Messages per second of all senders together. [default: as fast as --window allows]
    #[arg(long, conflicts_with_all = ["window", "in_flight"])]
    pub rate: Option<f64>,
    /// Continue to send at the rate after a retryable rejection.
    #[arg(long, requires = "rate")]
    pub ignore_retry_after: bool,
    /// Most messages of a sender without a reply when sending at a rate.
    #[arg(long, default_value_t = 10_000, requires = "rate")]
    pub max_unanswered: u32,
    /// Messages of each sender without a reply at a time.
    #[arg(long, default_value_t = 16)]
    pub window: u32,
    /// Messages of all senders together without a reply at a time, spread over them evenly.
    #[arg(long, conflicts_with = "window")]
    pub in_flight: Option<u32>,
    /// Length of a message body in bytes.
    #[arg(long, default_value_t = 128)]
    pub body: usize,
    /// Measured time in seconds.
    #[arg(long, default_value = "10", value_parser = seconds)]
    pub duration: Duration,
    /// Time of sending before the measured time, in seconds.
    #[arg(long, default_value = "1", value_parser = seconds)]
    pub warmup: Duration,
    /// Number of source addresses in 127.0.0.0/8: each has 28,232 ports, and its own limits at the server.
    #[arg(long, default_value_t = 1)]
    pub sources: u32,
    /// Connections that join in parallel.
    #[arg(long, default_value_t = 200)]
    pub parallel: u32,
    /// Delay between the last join and the first message, in seconds, so that the server's memory use settles.
    #[arg(long, default_value = "2", value_parser = seconds)]
    pub settle: Duration,
    /// Silence after which missing events count as lost, in seconds.
    #[arg(long, default_value = "10", value_parser = seconds)]
    pub idle_timeout: Duration,
    /// Process id of the server, to measure its CPU and memory.
    #[arg(long)]
    pub server_pid: Option<u32>,
}

/// The protocol of a server other than Teahouse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Peer {
    /// A hub: it sends every text to all connections with the same path.
    Hub,
    /// NATS over WebSocket: all connections subscribe to one subject, to which the senders publish.
    Nats,
}

impl Plan {
    /// Checks the bounds, including this machine's ports and open files. The error names the option.
    pub fn check(&self) -> Result<(), LoadError> {
        let reject = |why: String| Err(LoadError::Plan(why));
        if self.connections == 0
            || self.rooms == 0
            || self.parallel == 0
            || self.sources == 0
            || self.window == 0
            || self.max_unanswered == 0
            || self.rooms_each == 0
            || self.in_flight == Some(0)
        {
            return reject(
                "connections, rooms, rooms-each, window, max-unanswered, in-flight, parallel and sources are at least 1"
                    .to_owned(),
            );
        }
        if self.senders > self.connections {
            return reject("senders cannot exceed connections".to_owned());
        }
        if u64::from(self.rooms) > u64::from(self.connections) * u64::from(self.rooms_each) {
            return reject("rooms cannot exceed connections times rooms-each".to_owned());
        }
        if self.rooms_each > self.rooms {
            return reject("rooms-each cannot exceed rooms".to_owned());
        }
        if self.peer == Some(Peer::Nats) && self.rooms > 1 {
            return reject("nats supports one room".to_owned());
        }
        if self.peer.is_some() && self.rooms_each > 1 {
            return reject("a peer supports one room for each connection".to_owned());
        }
        if let Some(prefix) = &self.room_names
            && let Err(why) = RoomName::new(&room_name(prefix, self.rooms - 1))
        {
            return reject(format!("invalid room-names: {why}"));
        }
        let Some(all) = self.connections.checked_add(self.stalled) else {
            return reject("too many connections".to_owned());
        };
        if all.div_ceil(self.sources) > PORTS_PER_SOURCE {
            return reject(format!("one address has {PORTS_PER_SOURCE} ports: increase --sources"));
        }
        if self.sources > 60_000 {
            return reject("sources are at most 60000".to_owned());
        }
        let files = open_files_limit().unwrap_or(u64::MAX);
        if u64::from(all) + OTHER_FILES > files {
            return reject(format!(
                "the limit of open files is {files}: at most {} connections",
                files.saturating_sub(OTHER_FILES)
            ));
        }
        if self.body < MIN_BODY_BYTES {
            return reject(format!(
                "body is at least {MIN_BODY_BYTES} bytes, for the sender, the message number and the time"
            ));
        }
        if self.rate.is_some_and(|rate| !(rate > 0.0 && rate <= 1e6)) {
            return reject("rate is above 0 and at most 1,000,000 per second".to_owned());
        }
        if self.duration.is_zero() || self.duration + self.warmup + self.settle > Duration::from_secs(3600) {
            return reject("duration is above 0, and a run takes at most an hour".to_owned());
        }
        Ok(())
    }

    pub(crate) fn all_connections(&self) -> u32 {
        self.connections + self.stalled
    }

    /// The most unanswered messages of this sender.
    pub(crate) fn window_of(&self, sender: u32) -> u32 {
        if self.rate.is_some() {
            return self.max_unanswered;
        }
        match self.in_flight {
            None => self.window,
            Some(all) => all / self.senders + u32::from(sender < all % self.senders),
        }
    }

    /// The server's address, and the paths of the upgrade.
    pub(crate) fn target(&self) -> Result<Target, LoadError> {
        let wrong = || LoadError::Plan(format!("url is not like ws://127.0.0.1:9999: {}", self.url));
        let rest = self.url.strip_prefix("ws://").ok_or_else(wrong)?;
        let (host, path) = rest
            .split_once('/')
            .map_or((rest, "ws"), |(host, path)| (host, if path.is_empty() { "ws" } else { path }));
        let addr = host.to_socket_addrs().map_err(|_| wrong())?.next().ok_or_else(wrong)?;
        let protocols: &[&str] = if self.peer.is_some() { &[] } else { &[Options::JSON] };
        let paths = if self.peer.is_some() && self.rooms > 1 {
            (0..self.rooms).map(|channel| format!("/channel/{channel}")).collect()
        } else {
            vec![format!("/{path}")]
        };
        Ok(Target { addr, paths, protocols })
    }

    /// The source address of the connection; with a single source `None`, which leaves the choice to the kernel.
    pub(crate) fn source(&self, connection: u32) -> Option<IpAddr> {
        if self.sources == 1 {
            return None;
        }
        let source = connection % self.sources;
        Some(Ipv4Addr::new(127, 1, (source / 250) as u8, (1 + source % 250) as u8).into())
    }
}

/// The server's address, paths and subprotocols.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) addr: SocketAddr,
    /// The upgrade paths, to which connections are assigned in turn, as to a hub's channels.
    pub(crate) paths: Vec<String>,
    pub(crate) protocols: &'static [&'static str],
}

pub(crate) fn room_name(prefix: &str, index: u32) -> String {
    format!("{prefix}-{index}")
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        plan: Plan,
    }

    fn plan(line: &str) -> Plan {
        Cli::try_parse_from(std::iter::once("load").chain(line.split_whitespace())).unwrap().plan
    }

    #[test]
    fn default_plan_is_within_its_bounds() {
        assert!(plan("").check().is_ok());
        for line in
            ["--rate 5 --window 5", "--rate 5 --in-flight 5", "--window 5 --in-flight 5", "--peer irc"]
        {
            assert!(Cli::try_parse_from(std::iter::once("load").chain(line.split(' '))).is_err(), "{line}");
        }
    }

    #[test]
    fn plan_beyond_its_bounds_is_rejected() {
        for line in [
            "--connections 0",
            "--connections 100 --rooms 101",
            "--senders 101",
            "--peer --rooms 2 --rooms-each 2",
            "--peer nats --rooms 2",
            "--rooms-each 0",
            "--rooms 4 --rooms-each 5",
            "--connections 10 --rooms 21 --rooms-each 2",
            "--room-names two/words",
            "--room-names a-prefix-with-which-no-name-is-of-64-letters-or-less-since-it-has-63",
            "--stalled 4294967290",
            "--stalled 4000000 --sources 10000",
            "--in-flight 0",
            "--window 0",
            "--rate 0",
            "--rate nan",
            "--body 10",
            "--duration 0",
            "--duration 3600",
            "--connections 4000000 --sources 10000",
            "--sources 0",
        ] {
            assert!(matches!(plan(line).check(), Err(LoadError::Plan(_))), "{line}");
        }
    }

    #[test]
    fn peer_without_a_value_is_a_hub() {
        let peer = |line| plan(line).peer;
        assert_eq!(
            (peer(""), peer("--peer"), peer("--peer --rooms 1")),
            (None, Some(Peer::Hub), Some(Peer::Hub))
        );
        assert_eq!((peer("--peer hub"), peer("--peer nats")), (Some(Peer::Hub), Some(Peer::Nats)));
    }

    #[test]
    fn connections_may_be_fewer_than_rooms() {
        assert!(plan("--connections 10 --rooms 20 --rooms-each 2").check().is_ok());
    }

    #[test]
    fn in_flight_messages_are_spread_evenly() {
        let windows = |line: &str| {
            let plan = plan(line);
            (0..plan.senders).map(|sender| plan.window_of(sender)).collect::<Vec<_>>()
        };
        assert_eq!(windows("--senders 3 --in-flight 8"), [3, 3, 2]);
        assert_eq!(windows("--senders 3 --in-flight 2"), [1, 1, 0]);
        assert_eq!(windows("--senders 3 --window 5"), [5, 5, 5]);
        assert_eq!(windows("--senders 1000 --connections 1000 --in-flight 1024").iter().sum::<u32>(), 1024);
    }

    #[test]
    fn url_has_an_address_and_a_path() {
        let target = |url: &str| {
            plan(&format!("--url {url}")).target().ok().map(|to| (to.addr.to_string(), to.paths.concat()))
        };
        assert_eq!(target("ws://127.0.0.1:9999"), Some(("127.0.0.1:9999".to_owned(), "/ws".to_owned())));
        assert_eq!(target("ws://127.0.0.1:9999/"), Some(("127.0.0.1:9999".to_owned(), "/ws".to_owned())));
        assert_eq!(target("ws://127.0.0.1:1/a/b"), Some(("127.0.0.1:1".to_owned(), "/a/b".to_owned())));
        assert_eq!(target("http://127.0.0.1:1"), None);
        assert_eq!(target("ws://127.0.0.1"), None);
    }

    #[test]
    fn each_channel_of_a_hub_has_its_own_path() {
        let paths = |line: &str| plan(line).target().unwrap().paths;
        assert!(plan("--peer --rooms 2").check().is_ok());
        assert_eq!(paths("--peer --rooms 2"), ["/channel/0", "/channel/1"]);
        assert_eq!(paths("--peer --url ws://127.0.0.1:1/a"), ["/a"]);
        assert_eq!(paths("--rooms 2"), ["/ws"]);
    }

    #[test]
    fn sources_are_spread_over_loopback_addresses() {
        let plan = plan("--sources 600");
        assert_eq!(plan.source(0), Some(Ipv4Addr::new(127, 1, 0, 1).into()));
        assert_eq!(plan.source(599), Some(Ipv4Addr::new(127, 1, 2, 100).into()));
        assert_eq!(plan.source(600), plan.source(0));
    }
}
