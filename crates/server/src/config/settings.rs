//! The table of settings. A new one is a row here, a field of `Config`, and a line that `teahouse config --example` adds.

use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use domain::{Rates, RoomLimits};

use super::{Config, Limits, LogFormat, Timeouts, values};

/// One thing that can be set.
pub(super) struct Setting {
    /// In the file: `limits.connections` is `connections` in `[limits]`.
    pub(super) key: &'static str,
    /// On the command line, if it can be said there.
    pub(super) flag: Option<&'static str>,
    /// As it would be written.
    pub(super) default: &'static str,
    /// How it is written in TOML.
    pub(super) kind: Kind,
    /// What is allowed, to follow "allowed is".
    pub(super) allowed: &'static str,
    /// What it is for.
    pub(super) doc: &'static str,
    /// Reads a value, or says what is wrong with it (`None`: what `allowed` says).
    pub(super) read: fn(&mut Config, &str) -> Result<(), Option<String>>,
}

/// How a value is written in TOML.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `"…"`
    Text,
    /// `8`
    Number,
    /// `true` or `false`
    Switch,
    /// `["…", "…"]`; parted by commas elsewhere.
    List,
}

impl Setting {
    /// `TEAHOUSE_LIMITS_CONNECTIONS`
    pub(super) fn variable(&self) -> String {
        format!("TEAHOUSE_{}", self.key.to_ascii_uppercase().replace('.', "_"))
    }
}

pub(super) fn index_of(key: &str) -> Option<usize> {
    SETTINGS.iter().position(|setting| setting.key == key)
}

/// A configuration whose every value is about to be overwritten by the defaults of the table.
pub(super) fn unset() -> Config {
    Config {
        listen: SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        data: PathBuf::new(),
        allowed_origins: Vec::new(),
        max_message_bytes: protocol::Limits::BODY_BYTES,
        shards: 0,
        log: String::new(),
        log_format: LogFormat::Auto,
        limits: Limits {
            enabled: true,
            connections: 0,
            connections_per_address: 0,
            rooms_per_person: RoomLimits::default().rooms_per_person,
            rates: Rates::default(),
        },
        timeouts: Timeouts {
            first_byte: Duration::ZERO,
            headers: Duration::ZERO,
            http_keep_alive: Duration::ZERO,
            ping_interval: Duration::ZERO,
            websocket_idle: Duration::ZERO,
            message_assembly: Duration::ZERO,
            close: Duration::ZERO,
        },
    }
}

/// A row whose value is read by one of the parsers in `values`.
macro_rules! setting {
    ($key:literal, $kind:ident, $default:literal, $allowed:expr, $parse:expr => $($field:ident).+, $doc:literal $(, $flag:literal)?) => {
        Setting {
            key: $key,
            flag: setting!(@flag $($flag)?),
            default: $default,
            kind: Kind::$kind,
            allowed: $allowed,
            doc: $doc,
            read: |config, text| {
                config.$($field).+ = $parse(text)?;
                Ok(())
            },
        }
    };
    (@flag) => { None };
    (@flag $flag:literal) => { Some($flag) };
}

const DURATION: &str = r#"a duration from 1ms to 24h, such as "500ms", "75s" or "5m""#;
const COUNT: &str = "a whole number from 1 to 4000000000";
const RATE: &str = r#"a rate such as "5/s burst 20", "2/min burst 5" or "0.5/h burst 1""#;

pub(super) const SETTINGS: &[Setting] = &[
    setting!("listen", Text, "[::]:9999", r#""ADDRESS:PORT", such as "127.0.0.1:9999"; "[::]:9999" is all addresses, of IPv4 too"#,
        values::address => listen, "Where to listen. [::] is all addresses, of IPv4 too (also on a machine without IPv6).", "--listen"),
    setting!("data", Text, "./data", "the path of a folder",
        values::folder => data, "The folder in which everything is kept. It is made if it is not there.", "--data"),
    setting!("allowed_origins", List, "", r#"a list of origins, such as "https://example.org": no path, no "*""#,
        values::origins => allowed_origins, "Pages of other origins that may connect, as new guests: their cookies do not count."),
    setting!("max_message_bytes", Text, "8KiB", "a size from 1B to 10KiB",
        values::max_message_bytes => max_message_bytes, "The longest message."),
    setting!("shards", Number, "0", "a whole number from 0 to 1024",
        values::whole::<usize, 0, 1024> => shards, "Threads that own connections. 0 is one for each core."),
    setting!("log", Text, "info", r#"a filter such as "info", "debug" or "warn,teahouse=debug""#,
        values::log_filter => log, "What is logged: error, warn, info, debug, trace, or a filter by module."),
    setting!("log_format", Text, "auto", r#""auto", "human" or "json""#,
        values::log_format => log_format, "How it is logged. auto is for people on a terminal, and JSON otherwise."),
    setting!("limits.enabled", Switch, "true", "true or false",
        values::switch => limits.enabled, "false turns the caps and rates of this section off, for load tests; never what bounds sizes and memory."),
    setting!("limits.connections", Number, "10000", COUNT,
        values::count => limits.connections, "Connections at a time. Further ones are answered 503."),
    setting!("limits.connections_per_address", Number, "256", COUNT,
        values::count => limits.connections_per_address, "The same per IPv4 address, or IPv6 /64: 429. Behind a proxy everybody has the proxy's address: raise it."),
    setting!("limits.rooms_per_person", Number, "200", COUNT,
        values::count => limits.rooms_per_person, "Rooms that one person can be in."),
    setting!("limits.messages", Text, "5/s burst 20", RATE,
        values::rate => limits.rates.messages, "Messages, per session: so many a second, and so many at once after a rest."),
    setting!("limits.joins", Text, "2/s burst 20", RATE,
        values::rate => limits.rates.joins, "Joins, per session."),
    setting!("limits.typing", Text, "2/s burst 10", RATE,
        values::rate => limits.rates.typing, "Notices that somebody is typing, per session."),
    setting!("limits.commands", Text, "20/s burst 60", RATE,
        values::rate => limits.rates.others, "Every other command, per session; and pages of history over HTTP, per person."),
    setting!("limits.new_rooms", Text, "2/min burst 5", RATE,
        values::rate => limits.rates.new_rooms, "Rooms made, per session."),
    setting!("limits.guest_creation", Text, "1/s burst 30", RATE,
        values::rate => limits.rates.guest_creation, "Guests made, per IPv4 address or IPv6 /64."),
    setting!("timeouts.first_byte", Text, "10s", DURATION,
        values::duration => timeouts.first_byte, "For the first byte on a new connection."),
    setting!("timeouts.headers", Text, "10s", DURATION,
        values::duration => timeouts.headers, "For the rest of a request's head; and again for its body."),
    setting!("timeouts.http_keep_alive", Text, "70s", DURATION,
        values::duration => timeouts.http_keep_alive, "For the next request on a connection."),
    setting!("timeouts.ping_interval", Text, "30s", DURATION,
        values::duration => timeouts.ping_interval, "Between WebSocket pings."),
    setting!("timeouts.websocket_idle", Text, "75s", DURATION,
        values::duration => timeouts.websocket_idle, "After so much silence, or so long without taking a byte, a WebSocket is given up."),
    setting!("timeouts.message_assembly", Text, "30s", DURATION,
        values::duration => timeouts.message_assembly, "For a WebSocket message that was begun."),
    setting!("timeouts.close", Text, "5s", DURATION,
        values::duration => timeouts.close, "For the other side's answer to a close."),
];
