//! `cargo xtask faults stop`: repeated SIGTERM under many clients.

mod reconnects;
mod shutdown_connects;

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use super::harness::{CommonArgs, Harness};
use super::recorder_process::{MinimumActivity, RecorderProcess, check};
use super::resource_usage::Metrics;
use super::rng::Rng;
use super::run_dir::RunDir;
use super::server_under_test::ServerUnderTest;
use crate::workspace::Workspace;
use shutdown_connects::{Outcomes, ShutdownConnects};

/// The longest shutdown that docs/ARCHITECTURE.md permits, with tolerance for a busy machine.
const STOP_TIMEOUT: Duration = Duration::from_secs(12);
/// Bounds the time in which all clients reconnect: the longest retry window, with tolerance for a busy machine.
const CONNECT_ALL_TIMEOUT: Duration = Duration::from_secs(60);
/// The interval between two reads of the number of connections.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// The connection attempts during each shutdown.
const CONNECT_ATTEMPTS: u32 = 64;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The number of clients.
    #[arg(long, default_value_t = 2_000)]
    pub(super) clients: u32,
    /// How many of them send messages.
    #[arg(long, default_value_t = 50)]
    pub(super) writers: u32,
    /// How often the server is stopped and started.
    #[arg(long, default_value_t = 20)]
    pub(super) restarts: u32,
    /// Messages sent per second, approximately.
    #[arg(long, default_value_t = 20)]
    pub(super) rate: u32,
    #[command(flatten)]
    pub(super) common: CommonArgs,
}

pub(super) const SHORT_RUN: Args =
    Args { clients: 200, writers: 20, restarts: 2, rate: 400, common: CommonArgs::SHORT_RUN };

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let harness = Harness::build(workspace, &args.common)?;
    let replay_args = format!(
        "stop --clients {} --writers {} --restarts {} --rate {}",
        args.clients, args.writers, args.restarts, args.rate
    );
    harness.run(&replay_args, harness.seed, |run_dir| restarts(&harness, args, run_dir))
}

/// Each client names a cursor at its first join, reconnects after each stop, and receives some of the messages in between.
fn minimum_activity(args: &Args) -> MinimumActivity {
    let (clients, restarts) = (u64::from(args.clients), u64::from(args.restarts));
    MinimumActivity {
        acknowledged: 5 * restarts,
        percent: 25,
        deliveries: clients * restarts,
        resumed: clients + clients * restarts * 3 / 4,
        views: clients,
    }
}

fn restarts(harness: &Harness, args: &Args, run_dir: &RunDir) -> Result<()> {
    let program = harness.binary("history");
    let mut server = ServerUnderTest::new(harness.binary("teahouse"), run_dir.path())?;
    server.start()?;
    server.wait_until_open()?;
    let listeners = args.clients.checked_sub(args.writers).context("there are more writers than clients")?;
    let options = [
        format!("--writers={}", args.writers),
        "--receivers=0".to_owned(),
        format!("--listeners={listeners}"),
        format!("--rate={}", args.rate),
        format!("--seed={}", harness.seed),
    ];
    let mut recorder = RecorderProcess::start(&program, server.address, &run_dir.history(), &options)?;
    // The session is durable, because its user has joined a room.
    let (_, token) = client::new_session(server.address, None)?;
    client::Client::connect(server.address, client::Options::bearer(&token))?.join("lobby")?;
    let mut rng = Rng::new(harness.seed);
    let (mut longest, mut outcomes) = (Duration::ZERO, Outcomes::default());
    for number in 1..=args.restarts {
        wait_for_all(&server, args.clients)?;
        let connects = ShutdownConnects::ready(server.address, &token, CONNECT_ATTEMPTS, &mut rng)?;
        recorder.note(&format!("{}{number}", reconnects::STOP_NOTE))?;
        let signalled = Instant::now();
        server.signal(Signal::TERM)?;
        connects.begin();
        let status = server.wait_for_exit(STOP_TIMEOUT).with_context(|| format!("stop {number}"))?;
        longest = longest.max(signalled.elapsed());
        if !status.success() {
            bail!("stop {number}: the server exited with {status}");
        }
        connects.end();
        server.start()?;
        server.wait_until_open().with_context(|| format!("start {}", number + 1))?;
        recorder.note(reconnects::OPEN_NOTE)?;
        outcomes.add(&connects.outcomes().with_context(|| format!("stop {number}"))?);
    }
    wait_for_all(&server, args.clients)?;
    recorder.finish()?;
    let summary = reconnects::check_reconnects(&run_dir.history(), args.clients, CONNECT_ATTEMPTS)?;
    println!(
        "stopped {} times under {} clients, the longest shutdown took {longest:.1?}; {summary}",
        args.restarts, args.clients
    );
    println!("of the connection attempts during shutdowns, {outcomes}");
    check(&program, &run_dir.history(), minimum_activity(args))
}

/// Waits until the server counts all clients as connected.
fn wait_for_all(server: &ServerUnderTest, clients: u32) -> Result<()> {
    let deadline = Instant::now() + CONNECT_ALL_TIMEOUT;
    loop {
        let count = Metrics::scrape(server.address)?.value("connections")?;
        if count >= u64::from(clients) {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("only {count} of {clients} clients were connected after {CONNECT_ALL_TIMEOUT:?}");
        }
        thread::sleep(POLL_INTERVAL);
    }
}
