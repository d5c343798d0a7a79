//! How the program speaks to its operator: fields on stderr, for people on a terminal, as JSON otherwise.
//!
//! Message bodies, tokens and addresses never come here: a log is read, copied and kept by more people than a room.

use std::io::{self, IsTerminal};
use std::panic;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use crate::config::{Config, LogFormat};

/// Begins to log. Once in a process.
pub(crate) fn begin(config: &Config) {
    let human = match config.log_format {
        LogFormat::Auto => io::stderr().is_terminal(),
        LogFormat::Human => true,
        LogFormat::Json => false,
    };
    // The configuration was checked with the same parser; should they ever differ, a plain level is better than silence.
    let filter = EnvFilter::try_new(&config.log).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = fmt().with_writer(io::stderr).with_env_filter(filter);
    if human {
        builder.with_ansi(io::stderr().is_terminal()).init();
    } else {
        builder.json().flatten_event(true).with_current_span(false).init();
    }
    panic::set_hook(Box::new(|defect| {
        // Not what it says: that may quote what a person wrote. The place is what a developer needs.
        let location = defect.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current();
        let backtrace = std::backtrace::Backtrace::capture();
        tracing::error!(location, thread = thread.name(), %backtrace, "panicked");
    }));
}
