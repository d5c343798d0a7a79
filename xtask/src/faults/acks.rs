//! `cargo xtask faults acks`: every second acknowledgement is destroyed on its way, and the server is restarted all the time.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;

use super::ack_drop_proxy::AckDropProxy;
use super::harness::{CommonArgs, Harness};
use super::recorder_process::{MinimumActivity, RecorderProcess, check};
use super::rng::Rng;
use super::run_dir::RunDir;
use super::server_under_test::ServerUnderTest;
use crate::workspace::Workspace;

const WRITERS: u32 = 50;
const RECEIVERS: u32 = 4;
/// So many are begun in a second, if all are answered; which they are not.
const RATE: u32 = 2_000;
/// How long a client waits for an answer before it sends again on the same connection.
const AGAIN_MS: u32 = 300;
/// How long the server is left alone once it is open.
const MAX_UPTIME: Duration = Duration::from_secs(2);
/// What it is granted to stop, and more.
const STOP_TIMEOUT: Duration = Duration::from_secs(15);
/// Fewer messages in a second than this are no load but a standstill.
const MIN_RATE: u32 = 20;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many messages.
    #[arg(long, default_value_t = 100_000)]
    pub(super) messages: u32,
    #[command(flatten)]
    pub(super) common: CommonArgs,
}

pub(super) const SHORT_RUN: Args = Args { messages: 3_000, common: CommonArgs::SHORT_RUN };

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let harness = Harness::build(workspace, &args.common)?;
    let replay_args = format!("acks --messages {}", args.messages);
    harness.run(&replay_args, harness.seed, |run_dir| run_history(&harness, args, run_dir))
}

/// Each message has its answer in the end; the other half of the attempts has none.
fn least(args: &Args) -> MinimumActivity {
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
    server.start()?;
    server.wait_until_open()?;
    let proxy = AckDropProxy::start(server.address, harness.seed)?;
    let options = [
        format!("--writers={WRITERS}"),
        format!("--receivers={RECEIVERS}"),
        format!("--rate={RATE}"),
        format!("--seed={}", harness.seed),
        format!("--messages={}", args.messages),
        format!("--retry-ms={AGAIN_MS}"),
    ];
    let mut recorder = RecorderProcess::start(&program, proxy.address, &run_dir.history(), &options)?;
    let mut rng = Rng::new(harness.seed);
    let (mut killed, mut stopped) = (0, 0);
    let deadline = Instant::now() + Duration::from_secs(60 + u64::from(args.messages / MIN_RATE));
    while !recorder.is_done_within(rng.moment_within(MAX_UPTIME))? {
        ensure!(Instant::now() < deadline, "the clients are not answered, however often they ask");
        if rng.below(2) == 0 {
            server.kill()?;
            killed += 1;
            recorder.note("killed")?;
        } else {
            server.signal(Signal::TERM)?;
            let status = server.wait_for_end(STOP_TIMEOUT)?;
            if !status.success() {
                bail!("told to stop, the server ended with {status}");
            }
            stopped += 1;
            recorder.note("stopped")?;
        }
        server.start()?;
        server.wait_until_open().context("after a restart")?;
    }
    proxy.stop_dropping();
    recorder.note("nothing is destroyed any more")?;
    let counts = proxy.counts();
    println!(
        "{} of {} acknowledgements were destroyed, {} connections were cut after it; the server was killed {killed} times and \
         stopped {stopped} times",
        counts.destroyed, counts.seen, counts.cut
    );
    ensure!(
        counts.destroyed * 5 > counts.seen * 2 && counts.seen > u64::from(args.messages),
        "too few acknowledgements were destroyed, so nothing is proved"
    );
    recorder.finish()?;
    // Says so if it ended by itself.
    server.kill()?;
    check(&program, &run_dir.history(), least(args))
}
