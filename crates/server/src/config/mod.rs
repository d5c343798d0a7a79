//! What is configured: a table of settings, and four places a value may come from.
//!
//! A default stands in the table; `teahouse.toml` comes before the environment (`TEAHOUSE_…`), and that before flags. A
//! value is checked where it is given, also when another one overrides it: a typing error should be found on the day it
//! is made.
//!
//! | file | what it holds |
//! |---|---|
//! | `settings.rs` | the table: key, default, what is allowed, what it is for, how it is read |
//! | `values.rs` | how texts become durations, sizes, rates, addresses, origins |
//! | `file.rs` | `teahouse.toml`, with the lines on which things stand |
//! | `environment.rs` | `TEAHOUSE_…` |
//! | `print.rs` | `teahouse config` |

mod environment;
mod file;
mod print;
mod settings;
mod values;

use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use domain::Rates;

pub(crate) use print::{example, in_force};
use settings::{SETTINGS, Setting};

/// The file that is read when none is named, if it is there.
const FILE: &str = "teahouse.toml";

/// Everything that can be set, as it is in force.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// Where to listen. An unspecified IPv6 address means all addresses, IPv4 too.
    pub(crate) listen: SocketAddr,
    /// The folder in which everything is kept.
    pub(crate) data: PathBuf,
    /// Origins of foreign pages that may connect, in lower case, without a default port.
    pub(crate) allowed_origins: Vec<String>,
    /// Longest message body; at most [`protocol::Limits::MAX_BODY_BYTES`].
    pub(crate) max_message_bytes: u32,
    /// Shards to start; 0 is one for each core.
    pub(crate) shards: usize,
    /// What is logged, as `tracing_subscriber` filters are written.
    pub(crate) log: String,
    /// How it is logged.
    pub(crate) log_format: LogFormat,
    /// How many, and how often.
    pub(crate) limits: Limits,
    /// How long.
    pub(crate) timeouts: Timeouts,
}

/// Caps and rates. With `enabled = false` they are all out of reach; what bounds sizes and memory is not among them.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// Whether caps and rates are in force.
    pub(crate) enabled: bool,
    /// Connections in all.
    pub(crate) connections: u32,
    /// Connections per IPv4 address, or per IPv6 /64.
    pub(crate) connections_per_address: u32,
    /// Rooms that one person may be in.
    pub(crate) rooms_per_person: u32,
    /// How often each thing may be done.
    pub(crate) rates: Rates,
}

/// When patience ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    /// From accepting a connection to its first byte.
    pub(crate) first_byte: Duration,
    /// From the first byte of a request to the end of its head, and again to the end of its body.
    pub(crate) headers: Duration,
    /// Between requests, and for a response of which not one byte is taken.
    pub(crate) http_keep_alive: Duration,
    /// Between the WebSocket pings of a quiet connection.
    pub(crate) ping_interval: Duration,
    /// After which silence, or after how long without a byte taken, a connection is given up.
    pub(crate) websocket_idle: Duration,
    /// For a message that was begun and is not ended.
    pub(crate) message_assembly: Duration,
    /// For the other side's close frame.
    pub(crate) close: Duration,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people on a terminal, JSON otherwise.
    Auto,
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// What was said on the command line.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flags {
    /// `--config FILE`
    pub(crate) config: Option<PathBuf>,
    /// Settings, as key and value.
    pub(crate) settings: Vec<(&'static str, String)>,
}

/// The settings, and where each came from.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    /// As the program uses them.
    pub(crate) config: Config,
    /// As they were written; one for each of [`SETTINGS`], in the same order.
    chosen: Vec<Chosen>,
}

#[derive(Clone, Debug)]
struct Chosen {
    text: String,
    source: Source,
}

/// Where a value was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// In the table.
    Default,
    /// In a file, on a line.
    File(PathBuf, usize),
    /// In an environment variable.
    Environment(String),
    /// With a flag.
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

/// Why the configuration is refused: one line, with the place, the matter, and what would be right.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// A file that cannot be read.
    #[error("cannot read the configuration {}: {cause}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// A file that is not TOML.
    #[error("{source_}: {problem}")]
    Syntax {
        /// Where.
        source_: Source,
        /// What is wrong there.
        problem: String,
    },
    /// A key or variable that nothing knows.
    #[error("{source_}: there is no setting {key}{}", hint.as_ref().map_or_else(String::new, |hint| format!("; do you mean {hint}?")))]
    Unknown {
        /// Where.
        source_: Source,
        /// Which.
        key: String,
        /// What it may have been meant to be.
        hint: Option<String>,
    },
    /// A value that the setting does not allow.
    #[error("{source_}: {key} = {value}: {problem}")]
    Value {
        /// Where.
        source_: Source,
        /// Of which setting.
        key: &'static str,
        /// As it was given.
        value: String,
        /// What is wrong, or what is allowed.
        problem: String,
    },
}

impl Loaded {
    /// Reads everything, from the lowest place to the highest.
    pub(crate) fn load(
        flags: &Flags,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        Self::load_in(Path::new(""), flags, environment)
    }

    /// As [`Loaded::load`], with the folder in which `teahouse.toml` is looked for.
    fn load_in(
        folder: &Path,
        flags: &Flags,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let environment = environment::read(environment)?;
        let mut loaded = Self::defaults();
        let file = match flags.config.clone().or(environment.config) {
            Some(named) => Some(file::read(&named)?),
            // A file that nobody named may be absent; one that is there and cannot be read is a mistake.
            None => {
                let usual = folder.join(FILE);
                if usual.exists() { Some(file::read(&usual)?) } else { None }
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
            // `every_default_is_allowed` reads them all.
            (setting.read)(&mut config, setting.default).expect("every default is allowed");
            Chosen { text: setting.default.to_owned(), source: Source::Default }
        });
        let chosen = chosen.collect();
        Loaded { config, chosen }
    }

    fn set(&mut self, index: usize, text: String, source: Source) -> Result<(), ConfigError> {
        let setting = &SETTINGS[index];
        if let Err(problem) = (setting.read)(&mut self.config, &text) {
            let problem = problem.unwrap_or_else(|| format!("allowed is {}", setting.allowed));
            return Err(ConfigError::Value {
                source_: source,
                key: setting.key,
                value: quoted(&text),
                problem,
            });
        }
        self.chosen[index] = Chosen { text, source };
        Ok(())
    }

    /// What no value alone can be blamed for.
    fn check_together(&self) -> Result<(), ConfigError> {
        let timeouts = &self.config.timeouts;
        if timeouts.websocket_idle <= timeouts.ping_interval {
            let setting = "timeouts.websocket_idle";
            let Chosen { text, source } = &self.chosen[settings::index_of(setting).unwrap_or_default()];
            return Err(ConfigError::Value {
                source_: source.clone(),
                key: setting,
                value: quoted(text),
                problem: "it must be longer than timeouts.ping_interval, or quiet connections are given up before they are asked"
                    .to_owned(),
            });
        }
        Ok(())
    }

    /// Each setting with its text and where it came from.
    fn settings(&self) -> impl Iterator<Item = (&'static Setting, &Chosen)> {
        SETTINGS.iter().zip(&self.chosen)
    }
}

impl Limits {
    /// Out of reach rather than absent, so that nobody has to ask twice.
    fn lift_unless_enabled(&mut self) {
        if !self.enabled {
            self.connections = u32::MAX;
            self.connections_per_address = u32::MAX;
            self.rooms_per_person = u32::MAX;
            self.rates.enabled = false;
        }
    }
}

fn quoted(text: &str) -> String {
    format!("{text:?}")
}

/// The known name that is nearest to what was written, if any is near.
fn nearest<'a>(wanted: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = known.into_iter().map(|name| (strsim::jaro_winkler(wanted, name), name));
    near.filter(|(likeness, _)| *likeness > 0.8).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, name)| name)
}

#[cfg(test)]
pub(crate) mod tests;
