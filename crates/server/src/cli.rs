//! The command line, and the start and stop of a server.

use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use prometheus_client::registry::Registry;
use tokio::signal::unix::{SignalKind, signal};

use crate::app;
use crate::config::{self, Flags, Loaded};
use crate::logging;

/// The exit code for a wrong command line or configuration, equal to clap's.
const EXIT_USAGE: u8 = 2;

/// How long the store and the shards may take to stop: a disk that hangs must not keep a supervisor waiting.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(9);

/// How long HTTP requests in flight may take after that. The sum is below the ten seconds after which many supervisors send
/// SIGKILL.
const FINISH_TIMEOUT: Duration = Duration::from_millis(500);

/// How long the threads of the HTTP runtime may take to end.
const RUNTIME_TIMEOUT: Duration = Duration::from_millis(100);

// A stop ends within the promised ten seconds.
const _: () =
    assert!(DRAIN_TIMEOUT.as_millis() + FINISH_TIMEOUT.as_millis() + RUNTIME_TIMEOUT.as_millis() < 10_000);

/// A self-hosted chat server: rooms, users and messages over WebSocket.
#[derive(Debug, Parser)]
#[command(
    name = "teahouse",
    version,
    after_help = "Every setting can be given in teahouse.toml, in the environment (TEAHOUSE_…) \
    or, some of them, with a flag; flags win. `teahouse config` prints the effective settings."
)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    settings: SettingFlags,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the server (the default command).
    Serve,
    /// Prints the effective settings and their sources, as TOML.
    Config {
        /// Prints a template instead: every setting with its description, at its default.
        #[arg(long)]
        example: bool,
    },
}

// A constant, because rustdoc would take the brackets in a doc comment for a link.
const LISTEN_HELP: &str =
    "Address to listen on: 127.0.0.1:9999 is this machine only, [::]:9999 is all addresses";

/// Texts instead of parsed values, so that an invalid one causes the same error as in the file or the environment.
#[derive(Debug, Args)]
struct SettingFlags {
    #[arg(long, global = true, value_name = "ADDR:PORT", help = LISTEN_HELP)]
    listen: Option<String>,
    /// The data folder.
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<String>,
    /// The PostgreSQL database to use instead of the embedded one.
    #[arg(long, global = true, value_name = "URL")]
    database: Option<String>,
    /// The file to read settings from, instead of ./teahouse.toml (which may be absent).
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl SettingFlags {
    fn into_flags(self) -> Flags {
        let settings = [("listen", self.listen), ("data", self.data), ("database", self.database)];
        let settings = settings.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
        Flags { config: self.config, settings }
    }
}

/// Runs the program, and returns its exit code: 0, 1 after a failure, 2 for a wrong command line or configuration.
#[must_use]
pub fn main() -> ExitCode {
    let CommandLine { command, settings } = CommandLine::parse();
    if let Some(Command::Config { example: true }) = command {
        return print(&config::example());
    }
    let loaded = match Loaded::load(&settings.into_flags(), std::env::vars_os()) {
        Ok(loaded) => loaded,
        Err(error) => return fail(&error, EXIT_USAGE),
    };
    match command {
        Some(Command::Config { .. }) => print(&config::effective(&loaded)),
        None | Some(Command::Serve) => match serve(loaded) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&format_args!("{error:#}"), 1),
        },
    }
}

/// Prints to standard output. A closed standard output is not an error: `teahouse config | head` closes it.
fn print(text: &str) -> ExitCode {
    let _ = io::stdout().write_all(text.as_bytes());
    ExitCode::SUCCESS
}

fn fail(error: &dyn std::fmt::Display, code: u8) -> ExitCode {
    let line = error.to_string().replace('\n', " ");
    let _ = writeln!(io::stderr(), "teahouse: {line}");
    ExitCode::from(code)
}

fn serve(loaded: Loaded) -> Result<()> {
    logging::start(&loaded.config);
    api::raise_file_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("http").build();
    let runtime = runtime.context("cannot start threads")?;
    let outcome = runtime.block_on(run_server(loaded));
    // A pending name resolution or file read must not delay the exit.
    runtime.shutdown_timeout(RUNTIME_TIMEOUT);
    outcome
}

async fn run_server(loaded: Loaded) -> Result<()> {
    let config = loaded.config;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for signals")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for signals")?;

    let listener = api::listen(config.listen)?;
    let address = listener.local_addr().context("cannot read the address of the socket")?;
    let mut registry = Registry::with_prefix("teahouse");
    let metrics = gateway::Metrics::default();
    metrics.register(&mut registry);
    // PostgreSQL is connected on a runtime of its own, which must not block a thread of this one.
    let gateway = tokio::task::block_in_place(|| app::start_gateway(&config, metrics.clone()))?;
    let http_metrics = api::Metrics::new(metrics);
    http_metrics.register(&mut registry);
    let serving =
        api::serve(listener, app::api_settings(&config), Arc::clone(&gateway), http_metrics, registry);
    let _ = writeln!(io::stdout(), "Teahouse is open at http://{}", display_url(address));
    tracing::info!(port = address.port(), version = env!("CARGO_PKG_VERSION"), "open");

    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    serving.stop_accepting();
    let second_interrupt = async {
        // A second Ctrl-C ends the process at once. A second SIGTERM does not, because some supervisors repeat it.
        interrupt.recv().await;
        tracing::warn!("stopped at once");
        std::process::exit(130);
    };
    tokio::select! {
        () = gateway.stop() => {}
        () = second_interrupt => {}
        () = tokio::time::sleep(DRAIN_TIMEOUT) => {
            // Acknowledged messages are durable, and clients send the others again.
            tracing::warn!("the server did not stop in time; the process exits");
            std::process::exit(1);
        }
    }
    serving.finish(FINISH_TIMEOUT).await;
    tracing::info!("stopped");
    Ok(())
}

/// The host and port that a browser on this machine can open: an unspecified address is no destination.
fn display_url(address: SocketAddr) -> String {
    let everywhere = match address.ip() {
        IpAddr::V4(ip) => ip.is_unspecified(),
        IpAddr::V6(ip) => ip.is_unspecified(),
    };
    if everywhere { format!("localhost:{}", address.port()) } else { address.to_string() }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn command_line_definition_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn flags_are_accepted_before_and_after_the_command() {
        for line in [["teahouse", "--data", "x", "config"], ["teahouse", "config", "--data", "x"]] {
            let parsed = CommandLine::try_parse_from(line).unwrap();
            assert!(matches!(parsed.command, Some(Command::Config { example: false })));
            assert_eq!(parsed.settings.into_flags().settings, [("data", "x".to_owned())]);
        }
    }

    #[test]
    fn unknown_flag_is_rejected() {
        for line in [["teahouse", "--lisen", "x"], ["teahouse", "brew", "x"]] {
            assert!(CommandLine::try_parse_from(line).is_err());
        }
    }

    #[test]
    fn unspecified_address_is_displayed_as_localhost() {
        assert_eq!(display_url("[::]:9999".parse().unwrap()), "localhost:9999");
        assert_eq!(display_url("0.0.0.0:80".parse().unwrap()), "localhost:80");
        assert_eq!(display_url("[::1]:80".parse().unwrap()), "[::1]:80");
        assert_eq!(display_url("192.0.2.1:80".parse().unwrap()), "192.0.2.1:80");
    }
}
