//! What a load run does, and the bounds within which it may.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

use clap::Args;

use super::LoadError;
use super::process::open_files_limit;
use super::said::LEAST_BODY;
use crate::Options;

/// The ports that Linux gives to connections from one address (32768 to 60999).
const PORTS_PER_SOURCE: u32 = 28_232;

/// Files that are open beside the connections.
const OTHER_FILES: u64 = 32;

/// What to do.
#[derive(Args, Clone, Debug)]
pub struct Plan {
    /// The server.
    #[arg(long, default_value = "ws://127.0.0.1:9999")]
    pub url: String,
    /// The server is a bare hub: it knows no protocol, and tells everybody whatever text it is told.
    #[arg(long)]
    pub peer: bool,
    /// Connections, each a guest of its own and a member of one room.
    #[arg(long, default_value_t = 100)]
    pub connections: u32,
    /// Rooms, over which the connections are spread evenly.
    #[arg(long, default_value_t = 1)]
    pub rooms: u32,
    /// Connections that send, spread over the rooms; 0 for a look at idle ones.
    #[arg(long, default_value_t = 1)]
    pub senders: u32,
    /// Messages a second, of all senders together. [default: as fast as --window lets them]
    #[arg(long, conflicts_with = "window")]
    pub rate: Option<f64>,
    /// Messages that each sender has unanswered at a time.
    #[arg(long, default_value_t = 16)]
    pub window: u32,
    /// Bytes of a message's body.
    #[arg(long, default_value_t = 128)]
    pub body: usize,
    /// How long it is measured, in seconds.
    #[arg(long, default_value = "10", value_parser = seconds)]
    pub duration: Duration,
    /// How long it is sent before it is measured, in seconds.
    #[arg(long, default_value = "1", value_parser = seconds)]
    pub warmup: Duration,
    /// Addresses of 127.0.0.0/8 to connect from: each has 28,232 ports, and its own limits at the server.
    #[arg(long, default_value_t = 1)]
    pub sources: u32,
    /// How many connections are under way at a time.
    #[arg(long, default_value_t = 200)]
    pub parallel: u32,
    /// How long to wait between the last join and the first message, in seconds: for the server's memory to come to rest.
    #[arg(long, default_value = "2", value_parser = seconds)]
    pub settle: Duration,
    /// How long nothing may come before what is missing counts as lost, in seconds.
    #[arg(long, default_value = "10", value_parser = seconds)]
    pub patience: Duration,
    /// The server's process, to tell its CPU and memory.
    #[arg(long)]
    pub server_pid: Option<u32>,
}

impl Plan {
    /// Whether this can be done at all.
    pub fn check(&self) -> Result<(), LoadError> {
        let refuse = |why: String| Err(LoadError::Plan(why));
        if self.connections == 0
            || self.rooms == 0
            || self.parallel == 0
            || self.sources == 0
            || self.window == 0
        {
            return refuse("connections, rooms, window, parallel and sources are at least 1".to_owned());
        }
        if self.rooms > self.connections || self.senders > self.connections {
            return refuse("there cannot be more rooms, or more senders, than connections".to_owned());
        }
        if self.peer && self.rooms > 1 {
            return refuse("a bare hub has one room".to_owned());
        }
        if self.connections.div_ceil(self.sources) > PORTS_PER_SOURCE {
            return refuse(format!("one address has {PORTS_PER_SOURCE} ports: more --sources"));
        }
        if self.sources > 60_000 {
            return refuse("at most 60000 sources".to_owned());
        }
        let files = open_files_limit().unwrap_or(u64::MAX);
        if u64::from(self.connections) + OTHER_FILES > files {
            return refuse(format!(
                "a process may have {files} files open here: at most {} connections",
                files.saturating_sub(OTHER_FILES)
            ));
        }
        if self.body < LEAST_BODY {
            return refuse(format!(
                "a body has at least {LEAST_BODY} bytes: who sent it, as which one, and when"
            ));
        }
        if self.rate.is_some_and(|rate| !(rate > 0.0 && rate <= 1e6)) {
            return refuse("a rate is above 0 and at most 1,000,000 a second".to_owned());
        }
        if self.duration.is_zero() || self.duration + self.warmup + self.settle > Duration::from_secs(3600) {
            return refuse("a run takes more than nothing and at most an hour".to_owned());
        }
        Ok(())
    }

    /// Where the server is, and the path of the upgrade.
    pub(crate) fn target(&self) -> Result<Target, LoadError> {
        let wrong = || LoadError::Plan(format!("no address like ws://127.0.0.1:9999: {}", self.url));
        let rest = self.url.strip_prefix("ws://").ok_or_else(wrong)?;
        let (host, path) = rest
            .split_once('/')
            .map_or((rest, "ws"), |(host, path)| (host, if path.is_empty() { "ws" } else { path }));
        let addr = host.to_socket_addrs().map_err(|_| wrong())?.next().ok_or_else(wrong)?;
        let protocols: &[&str] = if self.peer { &[] } else { &[Options::JSON] };
        Ok(Target { addr, path: format!("/{path}"), protocols })
    }

    /// Where the connection with this number comes from; with one source, from wherever the kernel likes.
    pub(crate) fn source(&self, connection: u32) -> Option<IpAddr> {
        if self.sources == 1 {
            return None;
        }
        let source = connection % self.sources;
        Some(Ipv4Addr::new(127, 1, (source / 250) as u8, (1 + source % 250) as u8).into())
    }
}

/// Where to connect to, and what to offer there.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) addr: SocketAddr,
    pub(crate) path: String,
    pub(crate) protocols: &'static [&'static str],
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
    fn the_default_plan_can_be_carried_out() {
        assert!(plan("").check().is_ok());
        assert!(Cli::try_parse_from(["load", "--rate", "5", "--window", "5"]).is_err());
    }

    #[test]
    fn a_plan_beyond_its_bounds_is_refused() {
        for line in [
            "--connections 0",
            "--connections 100 --rooms 101",
            "--senders 101",
            "--peer --rooms 2",
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
    fn an_url_is_an_address_and_a_path() {
        let target =
            |url: &str| plan(&format!("--url {url}")).target().ok().map(|to| (to.addr.to_string(), to.path));
        assert_eq!(target("ws://127.0.0.1:9999"), Some(("127.0.0.1:9999".to_owned(), "/ws".to_owned())));
        assert_eq!(target("ws://127.0.0.1:9999/"), Some(("127.0.0.1:9999".to_owned(), "/ws".to_owned())));
        assert_eq!(target("ws://127.0.0.1:1/a/b"), Some(("127.0.0.1:1".to_owned(), "/a/b".to_owned())));
        assert_eq!(target("http://127.0.0.1:1"), None);
        assert_eq!(target("ws://127.0.0.1"), None);
    }

    #[test]
    fn sources_are_spread_and_legal() {
        let plan = plan("--sources 600");
        assert_eq!(plan.source(0), Some(Ipv4Addr::new(127, 1, 0, 1).into()));
        assert_eq!(plan.source(599), Some(Ipv4Addr::new(127, 1, 2, 100).into()));
        assert_eq!(plan.source(600), plan.source(0));
    }
}
