//! `cargo xtask faults power`: whether a loss of power would lose something that was acknowledged.
//!
//! A kill leaves the kernel's memory as it is, so a forgotten sync is seen by no kill. Here `strace` writes down what the server
//! asks of the kernel, and `durability` holds each `ok` against the syncs before it.

mod durability;
mod sockets;

use std::fs::File;
use std::io::BufReader;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use self::durability::{DurabilityChecker, Verdict, Violation};
use super::harness::{CommonArgs, Harness};
use super::recorder_process::{MinimumActivity, RecorderProcess, check};
use super::run_dir::RunDir;
use super::server_under_test::ServerUnderTest;
use super::trace;
use crate::workspace::Workspace;

/// How long a server that is traced may take to stop.
const STOP: Duration = Duration::from_secs(30);
/// Fewer messages in a second than this are no load but a standstill.
const MIN_RATE: u32 = 20;
/// Commits are not synced: `synchronous` in `crates/storage/src/sqlite/open.rs`.
const FAULT_INJECTION: (&str, &str) = ("TEAHOUSE_FAULT_INJECTION", "synchronous-normal");

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many messages people write.
    #[arg(long, default_value_t = 50_000)]
    pub(super) messages: u32,
    /// About how many messages are sent in a second.
    #[arg(long, default_value_t = 1_000)]
    pub(super) rate: u32,
    #[command(flatten)]
    pub(super) common: CommonArgs,
}

pub(super) const SHORT_RUN: Args = Args { messages: 5_000, rate: 1_000, common: CommonArgs::SHORT_RUN };

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let harness = Harness::build(workspace, &args.common)?;
    let replay_args = format!("power --messages {} --rate {}", args.messages, args.rate);
    harness.run(&replay_args, harness.seed, |run_dir| {
        let verdict = run_life(&harness, args, run_dir, &[])?;
        for (violations, (count, first)) in &verdict.violations {
            println!("BROKEN: {violations}: {count} times\n  first: {first}");
        }
        if !verdict.violations.is_empty() {
            bail!("a loss of power would lose what was acknowledged");
        }
        println!(
            "{} acknowledgements and {} deliveries, each after the sync of its message ({} syncs); {} times the log was begun \
             anew, each after the sync of the database",
            verdict.acknowledged, verdict.told, verdict.log_syncs, verdict.begun_anew
        );
        // At the start and at the end; and in between, where there is time for it.
        let begun_anew = if args.messages < 20_000 { 2 } else { 3 };
        if verdict.acknowledged == 0 || verdict.begun_anew < begun_anew {
            bail!("too little happened to say anything");
        }
        Ok(())
    })
}

/// A server that does not sync its commits is found out.
pub(crate) fn prove(workspace: &Workspace) -> Result<()> {
    let args = Args { common: CommonArgs { inject: true, ..CommonArgs::SHORT_RUN }, ..SHORT_RUN };
    let harness = Harness::build(workspace, &args.common)?;
    harness.run("power", harness.seed, |run_dir| {
        let verdict = run_life(&harness, &args, run_dir, &[FAULT_INJECTION])?;
        let (count, first) = verdict
            .violations
            .get(&Violation::Acknowledged)
            .context("commits were not synced, and nothing of it was seen")?;
        println!(
            "a server that does not sync its commits is seen: {count} of {} times; {first}",
            verdict.acknowledged
        );
        Ok(())
    })
}

/// Each message has its answer in the end, and is heard by some.
fn least(args: &Args) -> MinimumActivity {
    let messages = u64::from(args.messages);
    MinimumActivity {
        acknowledged: messages * 9 / 10,
        percent: 50,
        deliveries: 2 * messages,
        views: 20,
        ..MinimumActivity::default()
    }
}

/// From an empty folder to SIGTERM, and what the trace says of it.
fn run_life(harness: &Harness, args: &Args, run_dir: &RunDir, settings: &[(&str, &str)]) -> Result<Verdict> {
    let program = harness.binary("history");
    let calls = run_dir.path().join("trace");
    let mut server = ServerUnderTest::new(harness.binary("teahouse"), run_dir.path())?;
    server.start_via(trace::through(&calls, &[]));
    for (name, value) in settings {
        server.set(name, value);
    }
    server.start()?;
    server.wait_until_open()?;
    let options = ["--writers=20", "--receivers=3", "--rooms=5"].map(str::to_owned);
    let further = [
        format!("--rate={}", args.rate),
        format!("--seed={}", harness.seed),
        format!("--messages={}", args.messages),
    ];
    let options = [&options[..], &further].concat();
    let mut recorder = RecorderProcess::start(&program, server.address, &run_dir.history(), &options)?;
    let patience = Duration::from_secs(60 + u64::from(args.messages / MIN_RATE));
    if !recorder.is_done_within(patience)? {
        bail!("{} messages were not answered within {patience:?}", args.messages);
    }
    recorder.finish()?;
    server.signal(Signal::TERM)?;
    // Its output is the tracer's as well: when both have closed it, the trace is whole.
    let status = server.wait_for_end(STOP)?;
    if !status.success() {
        bail!("the server ended with {status}");
    }
    check(&program, &run_dir.history(), least(args))?;
    let mut durability = DurabilityChecker::default();
    let file = File::open(&calls).with_context(|| format!("no trace in {}", calls.display()))?;
    trace::read(BufReader::new(file), |call| durability.take(&call))?;
    durability.finish()
}
