//! `cargo xtask faults acks`: drops every second acknowledgement on its way to the client, and restarts the server continually.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;

use super::ack_drop_proxy::AckDropProxy;
use super::database::Database;
use super::harness::{CommonArgs, Harness};
use super::recorder_process::{MinimumActivity, RecorderProcess, check};
use super::rng::Rng;
use super::run_dir::RunDir;
use super::server_under_test::ServerUnderTest;
use crate::workspace::Workspace;

const WRITERS: u32 = 50;
const RECEIVERS: u32 = 4;
/// The messages offered per second if every message were answered, which half of them are not.
const RATE: u32 = 2_000;
/// How long a client waits for an answer before it sends again on the same connection.
const RESEND_MS: u32 = 300;
/// Bounds the time between the server's start and the next kill or stop.
const MAX_UPTIME: Duration = Duration::from_secs(2);
/// Above the shutdown limit of docs/ARCHITECTURE.md, with tolerance for a busy machine.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);
/// Below this message rate the run counts as stuck.
const MIN_RATE: u32 = 20;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many messages the clients send.
    #[arg(long, default_value_t = 100_000)]
    pub(super) messages: u32,
    /// The server's database.
    #[arg(long, value_enum, default_value_t)]
    pub(super) database: Database,
    #[command(flatten)]
    pub(super) common: CommonArgs,
}

pub(super) const SHORT_RUN: Args =
    Args { messages: 3_000, database: Database::Sqlite, common: CommonArgs::SHORT_RUN };
pub(super) const SHORT_RUN_ON_POSTGRES: Args =
    Args { messages: 2_000, database: Database::Postgres, ..SHORT_RUN };

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let harness = Harness::build(workspace, &args.common)?;
    let replay_args = format!("acks --messages {}{}", args.messages, args.database.replay_args());
    harness.run(&replay_args, harness.seed, |run_dir| run_history(&harness, args, run_dir))
}

/// In the end each message is acknowledged, although half of the attempts are not.
fn minimum_activity(args: &Args) -> MinimumActivity {
    let messages = u64::from(args.messages);
    MinimumActivity {
        acknowledged: messages * 9 / 10,
        percent: 10,
        deliveries: 2 * messages,
        resumed: messages / 20,
        views: u64::from(WRITERS + RECEIVERS),
    }
}

fn run_history(harness: &Harness, args: &Args, run_dir: &RunDir) -> Result<()> {
    let program = harness.binary("history");
    let mut server = ServerUnderTest::new(harness.binary("teahouse"), run_dir.path())?;
    let _postgres = args.database.start(run_dir, &mut server)?;
    server.start()?;
    server.wait_until_open()?;
    let proxy = AckDropProxy::start(server.address, harness.seed)?;
    let options = [
        format!("--writers={WRITERS}"),
        format!("--receivers={RECEIVERS}"),
        format!("--rate={RATE}"),
        format!("--seed={}", harness.seed),
        format!("--messages={}", args.messages),
        format!("--retry-ms={RESEND_MS}"),
    ];
    let mut recorder = RecorderProcess::start(&program, proxy.address, &run_dir.history(), &options)?;
    let mut rng = Rng::new(harness.seed);
    let (mut killed, mut stopped) = (0, 0);
    let deadline = Instant::now() + Duration::from_secs(60 + u64::from(args.messages / MIN_RATE));
    while !recorder.is_done_within(rng.moment_within(MAX_UPTIME))? {
        ensure!(Instant::now() < deadline, "the clients did not get all their answers in time");
        if rng.below(2) == 0 {
            server.kill()?;
            killed += 1;
            recorder.note("killed")?;
        } else {
            server.signal(Signal::TERM)?;
            let status = server.wait_for_exit(STOP_TIMEOUT)?;
            if !status.success() {
                bail!("after SIGTERM the server exited with {status}");
            }
            stopped += 1;
            recorder.note("stopped")?;
        }
        server.start()?;
        server.wait_until_open().context("after a restart")?;
    }
    proxy.stop_dropping();
    recorder.note("the proxy no longer drops acknowledgements")?;
    let counts = proxy.counts();
    println!(
        "{} of {} acknowledgements were dropped, {} connections were cut after one; the server was killed {killed} times and \
         stopped {stopped} times",
        counts.dropped, counts.seen, counts.cut
    );
    ensure!(
        counts.dropped * 5 > counts.seen * 2 && counts.seen > u64::from(args.messages),
        "too few acknowledgements were dropped for a conclusion"
    );
    recorder.finish()?;
    // Fails if the server has exited by itself.
    server.kill()?;
    check(&program, &run_dir.history(), minimum_activity(args))
}
