//! The table of settings: the single source of keys, defaults, parsers and texts.
//!
//! `reference.rs` and `print.rs` generate docs/CONFIGURATION.md, docs/CONFIGURATION.zh.md and teahouse.example.toml from it. A new
//! setting is a row here and a field of `Config`.

use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use domain::{Rates, RoomLimits};

use super::{Config, Limits, LogFormat, Timeouts, values};

/// A row of the table.
pub(super) struct Setting {
    /// The key in the file: `limits.connections` is `connections` in `[limits]`.
    pub(super) key: &'static str,
    /// The command-line flag, if the setting has one.
    pub(super) flag: Option<&'static str>,
    /// In the syntax of the environment; `each_default_is_valid` parses it.
    pub(super) default: &'static str,
    pub(super) kind: Kind,
    /// The allowed values, to follow "expected".
    pub(super) allowed: &'static str,
    /// The description in English for docs/CONFIGURATION.md; backticks mark code.
    pub(super) doc: &'static str,
    /// The same in Chinese, for docs/CONFIGURATION.zh.md.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "only `reference.rs` reads it, which is built for tests")
    )]
    pub(super) doc_zh: &'static str,
    /// Parses a value into the configuration. `Err(None)`: the value is not what `allowed` describes.
    pub(super) read: fn(&mut Config, &str) -> Result<(), Option<String>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `"…"`
    Text,
    /// `8`
    Number,
    /// `true` or `false`
    Switch,
    /// `["…", "…"]`; separated by commas in the environment and in flags.
    List,
}

impl Setting {
    /// `TEAHOUSE_LIMITS_CONNECTIONS`
    pub(super) fn variable(&self) -> String {
        format!("TEAHOUSE_{}", self.key.to_ascii_uppercase().replace('.', "_"))
    }

    /// The value for a message, quoted. A value that may hold a password is not repeated.
    pub(super) fn quoted(&self, text: &str) -> String {
        if self.holds_password() { "\"…\"".to_owned() } else { format!("{text:?}") }
    }

    /// The value for a message, as it stands in the file. A value that may hold a password is not repeated.
    pub(super) fn as_written(&self, text: &str) -> String {
        if self.holds_password() { "…".to_owned() } else { text.to_owned() }
    }

    /// The value for `teahouse config`: a valid one, without its password.
    pub(super) fn without_password(&self, text: String) -> String {
        match values::database(&text) {
            Ok(Some(url)) if self.holds_password() => url.to_string(),
            _ => text,
        }
    }

    fn holds_password(&self) -> bool {
        self.key == "database"
    }
}

pub(super) fn index_of(key: &str) -> Option<usize> {
    SETTINGS.iter().position(|setting| setting.key == key)
}

/// Placeholder values; the defaults of the table overwrite all of them.
pub(super) fn unset() -> Config {
    Config {
        listen: SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        data: PathBuf::new(),
        database: None,
        allowed_origins: Vec::new(),
        max_message_bytes: protocol::Limits::BODY_BYTES,
        shards: 0,
        log: String::new(),
        log_format: LogFormat::Auto,
        limits: Limits {
            enabled: true,
            connections: 0,
            connections_per_address: 0,
            rooms_per_user: RoomLimits::default().rooms_per_user,
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

/// A row whose value is parsed by a function of `values`.
macro_rules! setting {
    ($key:literal, $kind:ident, $default:literal, $allowed:expr, $parse:expr => $($field:ident).+, $doc:literal, $doc_zh:literal $(, $flag:literal)?) => {
        Setting {
            key: $key,
            flag: setting!(@flag $($flag)?),
            default: $default,
            kind: Kind::$kind,
            allowed: $allowed,
            doc: $doc,
            doc_zh: $doc_zh,
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
    setting!("listen", Text, "[::]:9999", r#""ADDRESS:PORT", such as "127.0.0.1:9999"; "[::]:9999" is all addresses, including IPv4"#,
        values::address => listen,
        "Address and port to listen on. `[::]` is all addresses, including IPv4 (also on a machine without IPv6); `127.0.0.1:9999` is this machine only. Port 0 selects a free port.",
        "监听的地址和端口。`[::]` 表示所有地址，包括 IPv4（没有 IPv6 的机器也一样）；`127.0.0.1:9999` 只限本机。端口为 0 时选用一个空闲端口。", "--listen"),
    setting!("data", Text, "./data", "the path of a folder",
        values::folder => data,
        "The data folder. It is created if it does not exist, and only its owner can read it.",
        "数据目录。不存在时自动创建，只有属主可以读取。", "--data"),
    setting!("database", Text, "", r#"a PostgreSQL database, such as "postgres://user@host/name", or "" for the embedded one"#,
        values::database => database,
        "The PostgreSQL database that stores rooms, users and messages: `postgres://user:password@host:port/name`, or `postgres:///name?host=/var/run/postgresql` for a Unix socket. PostgreSQL 15 or newer, UTF-8, without TLS and without a pooler; one server per database. Empty: the embedded SQLite database in the data folder. Put a password in the file or the environment, because every user of the machine can see flags.",
        "存放房间、用户和消息的 PostgreSQL 数据库：`postgres://用户:密码@主机:端口/名称`；使用 Unix 套接字时为 `postgres:///名称?host=/var/run/postgresql`。需要 PostgreSQL 15 或更高版本，UTF-8 编码，不经过 TLS 和连接池；一个数据库只供一个服务器使用。留空时使用数据目录中内嵌的 SQLite。密码请写在配置文件或环境变量中，因为本机的所有用户都能看到命令行参数。", "--database"),
    setting!("allowed_origins", List, "", r#"a list of origins, such as "https://example.org": no path, no "*""#,
        values::origins => allowed_origins,
        "Origins of other web pages that may connect, such as `https://example.org`. Their visitors connect as new guests: cookies are accepted only from the server's own origin.",
        "允许连接的其他网页的来源（origin），例如 `https://example.org`。它们的访客都是新访客：只有服务器自己的来源才接受 cookie。"),
    setting!("max_message_bytes", Text, "8KiB", "a size from 1B to 10KiB",
        values::max_message_bytes => max_message_bytes,
        "Maximum length of a message body in bytes of UTF-8. A longer body is rejected with `body_too_long`.",
        "消息正文的最大长度，按 UTF-8 字节计。超出时以 `body_too_long` 拒绝。"),
    setting!("shards", Number, "0", "a whole number from 0 to 1024",
        values::whole::<usize, 0, 1024> => shards,
        "Number of shards, the threads that own connections. 0 is one per core.",
        "分片数，即负责连接的线程数。0 表示每个核一个。"),
    setting!("log", Text, "info", r#"a filter such as "info", "debug" or "warn,teahouse=debug""#,
        values::log_filter => log,
        "Log level: `error`, `warn`, `info`, `debug`, `trace`, or a filter by module such as `warn,teahouse=debug`.",
        "日志级别：`error`、`warn`、`info`、`debug`、`trace`，或按模块过滤，例如 `warn,teahouse=debug`。"),
    setting!("log_format", Text, "auto", r#""auto", "human" or "json""#,
        values::log_format => log_format,
        "Log format. `auto` is `human` on a terminal and `json` otherwise.",
        "日志格式。`auto` 在终端上为 `human`，否则为 `json`。"),
    setting!("limits.enabled", Switch, "true", "true or false",
        values::switch => limits.enabled,
        "`false` disables all limits of this section, for load tests. Bounds on sizes and memory still apply.",
        "设为 `false` 时本节的限制全部停用，供压力测试使用。大小和内存的上限仍然有效。"),
    setting!("limits.connections", Number, "10000", COUNT,
        values::count => limits.connections,
        "Maximum number of concurrent TCP connections, HTTP and WebSocket together. Further connections receive 503, except for `/healthz` (up to 64 concurrently). The server raises its limit of open files as far as the system allows; if that is not enough, it logs this at start and accepts only as many connections as it has files for, even if limits are disabled.",
        "TCP 并发连接数的上限，HTTP 与 WebSocket 合计。超出的连接收到 503，但 `/healthz` 除外（同时至多 64 个）。服务器会把自己的打开文件数上限提高到系统允许的最大值；如果仍然不够，会在启动时写入日志，并只接受文件数允许的连接，即使停用了限制也是如此。"),
    setting!("limits.connections_per_address", Number, "256", COUNT,
        values::count => limits.connections_per_address,
        "The same per address (an IPv4 address or an IPv6 /64); further connections receive 429. Behind a proxy all clients share its address: raise this limit.",
        "同上，按每个地址（一个 IPv4 地址或一个 IPv6 /64 网段）计算；超出的连接收到 429。经过代理时所有客户端共用代理的地址，请调高此项。"),
    setting!("limits.rooms_per_user", Number, "200", COUNT,
        values::count => limits.rooms_per_user,
        "Maximum number of rooms that a user can be a member of.",
        "一个用户最多可以加入的房间数。"),
    setting!("limits.messages", Text, "5/s burst 20", RATE,
        values::rate => limits.rates.messages,
        "Messages, per user, for all connections and HTTP requests together.",
        "发送消息，按用户计算：所有连接和 HTTP 请求合计。"),
    setting!("limits.joins", Text, "2/s burst 20", RATE,
        values::rate => limits.rates.joins,
        "Joins, per user.",
        "加入房间，按用户计算。"),
    setting!("limits.typing", Text, "2/s burst 10", RATE,
        values::rate => limits.rates.typing,
        "Typing notifications, per user.",
        "“正在输入”通知，按用户计算。"),
    setting!("limits.commands", Text, "20/s burst 60", RATE,
        values::rate => limits.rates.commands,
        "All other commands, per user.",
        "其他所有命令，按用户计算。"),
    setting!("limits.new_rooms", Text, "2/min burst 5", RATE,
        values::rate => limits.rates.new_rooms,
        "Room creation, per user.",
        "新建房间，按用户计算。"),
    setting!("limits.guest_creation", Text, "1/s burst 30", RATE,
        values::rate => limits.rates.guest_creation,
        "Guest creation, per address (an IPv4 address or an IPv6 /64).",
        "新建访客，按每个地址（一个 IPv4 地址或一个 IPv6 /64 网段）计算。"),
    setting!("timeouts.first_byte", Text, "10s", DURATION,
        values::duration => timeouts.first_byte,
        "For the first byte on a new connection.",
        "新连接收到第一个字节。"),
    setting!("timeouts.headers", Text, "10s", DURATION,
        values::duration => timeouts.headers,
        "For the remaining header of a request, and again for its body.",
        "收完请求头；请求体另计一次。"),
    setting!("timeouts.http_keep_alive", Text, "70s", DURATION,
        values::duration => timeouts.http_keep_alive,
        "For the next request on a connection, and for a response that makes no progress.",
        "等待同一连接上的下一个请求；也用于没有进展的响应。"),
    setting!("timeouts.ping_interval", Text, "30s", DURATION,
        values::duration => timeouts.ping_interval,
        "Interval of the server's WebSocket pings. The idle timeout of a proxy must be longer.",
        "服务器发送 WebSocket ping 的间隔。代理的空闲超时必须比它长。"),
    setting!("timeouts.websocket_idle", Text, "75s", DURATION,
        values::duration => timeouts.websocket_idle,
        "A WebSocket connection is closed if the server receives nothing for this long, or can send nothing for this long. Must be longer than `timeouts.ping_interval`.",
        "在这段时间内没有收到任何数据，或没有能够发出任何数据，服务器就关闭该 WebSocket 连接。必须比 `timeouts.ping_interval` 长。"),
    setting!("timeouts.message_assembly", Text, "30s", DURATION,
        values::duration => timeouts.message_assembly,
        "For a WebSocket message, from its first byte to its last.",
        "一条 WebSocket 消息从第一个字节到最后一个字节。"),
    setting!("timeouts.close", Text, "5s", DURATION,
        values::duration => timeouts.close,
        "For the peer's answer to a close frame.",
        "等待对端对关闭帧的回应。"),
];
