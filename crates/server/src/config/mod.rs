//! Configuration: a table of settings and four sources of values.
//!
//! In order of increasing precedence: the default in the table, `teahouse.toml`, the environment (`TEAHOUSE_…`), flags. Each
//! value is validated, including one that a later source overrides, so that a typing error is reported when it is made.
//!
//! | file | contents |
//! |---|---|
//! | `settings.rs` | the table: key, default, allowed values, descriptions, parser |
//! | `values.rs` | parsers for durations, sizes, rates, addresses, origins |
//! | `file.rs` | `teahouse.toml`, with line numbers |
//! | `environment.rs` | `TEAHOUSE_…` |
//! | `print.rs` | `teahouse config` |
//! | `reference.rs` | the generated tables of docs/CONFIGURATION.md and docs/CONFIGURATION.zh.md |

mod environment;
mod file;
mod print;
#[cfg(test)]
mod reference;
mod settings;
mod values;

use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use domain::Rates;
use storage_postgres::DatabaseUrl;

pub(crate) use print::{effective, example};
use settings::{SETTINGS, Setting};

/// The configuration file that is read, if it exists, when none is given.
const FILE: &str = "teahouse.toml";

/// The effective settings; docs/CONFIGURATION.md describes each of them.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// The address to listen on. An unspecified IPv6 address means all addresses, including IPv4.
    pub(crate) listen: SocketAddr,
    pub(crate) data: PathBuf,
    /// The PostgreSQL database; `None` is the embedded one in the data folder.
    pub(crate) database: Option<DatabaseUrl>,
    /// Other origins that may connect, in lower case, without a default port.
    pub(crate) allowed_origins: Vec<String>,
    /// Maximum length of a message body; at most [`protocol::Limits::MAX_BODY_BYTES`].
    pub(crate) max_message_bytes: u32,
    /// Number of shards; 0 is one per core.
    pub(crate) shards: usize,
    /// A filter in the syntax of `tracing_subscriber`.
    pub(crate) log: String,
    pub(crate) log_format: LogFormat,
    pub(crate) limits: Limits,
    pub(crate) timeouts: Timeouts,
}

/// Limits and rates. `enabled = false` disables all of them; bounds on sizes and memory are not included.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) enabled: bool,
    pub(crate) connections: u32,
    /// Maximum number of concurrent connections per IPv4 address or IPv6 /64.
    pub(crate) connections_per_address: u32,
    pub(crate) rooms_per_user: u32,
    pub(crate) rates: Rates,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    /// From accepting a connection to its first byte.
    pub(crate) first_byte: Duration,
    /// From the first byte of a request to the end of its head, and again to the end of its body.
    pub(crate) headers: Duration,
    /// Between requests, and for a response of which the peer accepts no byte.
    pub(crate) http_keep_alive: Duration,
    /// The time without input after which a connection is pinged.
    pub(crate) ping_interval: Duration,
    /// Time without a byte received, or without a byte accepted by the peer, after which a connection is closed.
    pub(crate) websocket_idle: Duration,
    /// From the first byte of a WebSocket message to its last.
    pub(crate) message_assembly: Duration,
    /// From the server's close frame to the peer's.
    pub(crate) close: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// `Human` on a terminal, `Json` otherwise.
    Auto,
    Human,
    /// One JSON object per line.
    Json,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Flags {
    pub(crate) config: Option<PathBuf>,
    pub(crate) settings: Vec<(&'static str, String)>,
}

/// The configuration, and where each of its values comes from.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    pub(crate) config: Config,
    /// One for each of [`SETTINGS`], in the same order.
    chosen: Vec<Chosen>,
}

#[derive(Clone, Debug)]
struct Chosen {
    text: String,
    source: Source,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Default,
    /// A file and a line number.
    File(PathBuf, usize),
    Environment(String),
    Flag(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Default => f.write_str("default"),
            Source::File(path, line) => write!(f, "{}:{line}", path.display()),
            Source::Environment(name) => write!(f, "environment {name}"),
            Source::Flag(flag) => write!(f, "flag {flag}"),
        }
    }
}

/// An error in the configuration: one line with the source, the problem and what is expected.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// A file given by a flag or a variable, or a default file that exists.
    #[error("cannot read the configuration {}: {cause}", path.display())]
    Unreadable { path: PathBuf, cause: std::io::Error },
    /// Not TOML; the line is where the parser stopped.
    #[error("{source_}: {problem}")]
    Syntax { source_: Source, problem: String },
    /// Probably a typing error: it is never ignored.
    #[error("{source_}: unknown setting {key}{}", hint.as_ref().map_or_else(String::new, |hint| format!("; did you mean {hint}?")))]
    Unknown {
        source_: Source,
        /// The key in a file, or the name of a variable.
        key: String,
        /// The nearest known name, if there is a near one.
        hint: Option<String>,
    },
    /// Of another type or out of range, or in conflict with another setting.
    #[error("{source_}: {key} = {value}: {problem}")]
    Value {
        source_: Source,
        key: &'static str,
        value: String,
        /// "expected …" with the allowed values, unless the parser has a more specific message.
        problem: String,
    },
}

impl Loaded {
    /// Reads all sources in order of increasing precedence; `teahouse.toml` in the current folder is one of them.
    pub(crate) fn load(
        flags: &Flags,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        Self::load_in(Path::new(""), flags, environment)
    }

    /// [`Loaded::load`] for another folder, for tests.
    fn load_in(
        folder: &Path,
        flags: &Flags,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let environment = environment::read(environment)?;
        let mut loaded = Self::defaults();
        let file = match flags.config.clone().or(environment.config) {
            Some(named) => Some(file::read(&named)?),
            // The default file may be absent; if it exists and cannot be read, that is an error.
            None => {
                let default = folder.join(FILE);
                if default.exists() { Some(file::read(&default)?) } else { None }
            }
        };
        for (index, text, source) in file.into_iter().flatten().chain(environment.settings) {
            loaded.set(index, text, source)?;
        }
        for (key, text) in &flags.settings {
            if let Some(index) = settings::index_of(key) {
                let flag = SETTINGS[index].flag.unwrap_or_default();
                loaded.set(index, text.clone(), Source::Flag(flag))?;
            }
        }
        loaded.check_together()?;
        loaded.config.limits.lift_unless_enabled();
        Ok(loaded)
    }

    fn defaults() -> Self {
        let mut config = settings::unset();
        let chosen = SETTINGS.iter().map(|setting| {
            // `each_default_is_valid` parses all of them.
            (setting.read)(&mut config, setting.default).expect("each default is valid");
            Chosen { text: setting.default.to_owned(), source: Source::Default }
        });
        let chosen = chosen.collect();
        Loaded { config, chosen }
    }

    fn set(&mut self, index: usize, text: String, source: Source) -> Result<(), ConfigError> {
        let setting = &SETTINGS[index];
        if let Err(problem) = (setting.read)(&mut self.config, &text) {
            let problem = problem.unwrap_or_else(|| format!("expected {}", setting.allowed));
            return Err(ConfigError::Value {
                source_: source,
                key: setting.key,
                value: setting.quoted(&text),
                problem,
            });
        }
        let text = setting.without_password(text);
        self.chosen[index] = Chosen { text, source };
        Ok(())
    }

    fn check_together(&self) -> Result<(), ConfigError> {
        let timeouts = &self.config.timeouts;
        if timeouts.websocket_idle <= timeouts.ping_interval {
            let setting = "timeouts.websocket_idle";
            let Chosen { text, source } = &self.chosen[settings::index_of(setting).unwrap_or_default()];
            return Err(ConfigError::Value {
                source_: source.clone(),
                key: setting,
                value: quoted(text),
                problem: "must be longer than timeouts.ping_interval, or idle connections would be closed before the first ping"
                    .to_owned(),
            });
        }
        Ok(())
    }

    fn settings(&self) -> impl Iterator<Item = (&'static Setting, &Chosen)> {
        SETTINGS.iter().zip(&self.chosen)
    }
}

impl Limits {
    /// Sets the limits to values that are never reached, so that their users need no second check.
    fn lift_unless_enabled(&mut self) {
        if !self.enabled {
            self.connections = u32::MAX;
            self.connections_per_address = u32::MAX;
            self.rooms_per_user = u32::MAX;
            self.rates.enabled = false;
        }
    }
}

fn quoted(text: &str) -> String {
    format!("{text:?}")
}

/// The known name most similar to `wanted`, if one is similar enough.
fn nearest<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = known.into_iter().map(|name| (strsim::jaro_winkler(wanted, name), name));
    near.filter(|(likeness, _)| *likeness > 0.8).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, name)| name)
}

#[cfg(test)]
pub(crate) mod tests;
