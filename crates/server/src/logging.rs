//! The log: fields on standard error, formatted for reading on a terminal, and as JSON otherwise.
//!
//! The log never contains message bodies, tokens or addresses: its readers need not be members of a room.

use std::io::{self, IsTerminal};
use std::panic;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use crate::config::{Config, LogFormat};

/// Starts the log. Panics if it is called a second time in a process.
pub(crate) fn start(config: &Config) {
    let human = match config.log_format {
        LogFormat::Auto => io::stderr().is_terminal(),
        LogFormat::Human => true,
        LogFormat::Json => false,
    };
    // The configuration was checked with the same parser. If the two ever differed, a plain level would be better than no log.
    let filter = EnvFilter::try_new(&config.log).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = fmt().with_writer(io::stderr).with_env_filter(filter);
    if human {
        builder.with_ansi(io::stderr().is_terminal()).init();
    } else {
        builder.json().flatten_event(true).with_current_span(false).init();
    }
    panic::set_hook(Box::new(|defect| {
        // Without the panic message, which may quote a user's text.
        let location = defect.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current();
        let backtrace = std::backtrace::Backtrace::capture();
        tracing::error!(location, thread = thread.name(), %backtrace, "panicked");
    }));
}

#[cfg(test)]
mod tests {
    /// A filter such as `teahouse=debug` selects the targets that begin with its name.
    #[test]
    fn log_targets_of_all_layers_begin_with_teahouse() {
        for name in [
            std::any::type_name::<gateway::Gateway>(),
            std::any::type_name::<api::Settings>(),
            std::any::type_name::<storage_sqlite::SqliteStore>(),
            std::any::type_name::<storage_postgres::PostgresStore>(),
            std::any::type_name::<crate::config::Config>(),
        ] {
            assert!(name.starts_with("teahouse"), "{name}");
        }
    }
}
