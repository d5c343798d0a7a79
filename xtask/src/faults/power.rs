//! `cargo xtask faults power`: whether a power loss could lose an acknowledged message.
//!
//! A kill keeps the kernel's memory, so no kill reveals a missing sync. Here `strace` records the server's system calls, and
//! `durability` checks each `ok` against the syncs before it.

mod durability;
mod sockets;

use std::fs::File;
use std::io::BufReader;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use self::durability::{DurabilityChecker, DurabilityReport, Violation};
use super::harness::{CommonArgs, Harness};
use super::recorder_process::{MinimumActivity, RecorderProcess, check};
use super::run_dir::RunDir;
use super::server_under_test::ServerUnderTest;
use super::trace;
use crate::workspace::Workspace;

/// Bounds the stop; a traced server stops slowly.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
/// Below this message rate the run counts as stuck.
const MIN_RATE: u32 = 20;
/// Turns off the sync of commits: `synchronous` in `crates/storage-sqlite/src/open.rs`.
const FAULT_INJECTION: (&str, &str) = ("TEAHOUSE_FAULT_INJECTION", "synchronous-normal");

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many messages the clients send.
    #[arg(long, default_value_t = 50_000)]
    pub(super) messages: u32,
    /// Messages sent per second, approximately.
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
        let report = trace_server(&harness, args, run_dir, &[])?;
        for (violations, (count, first)) in &report.violations {
            println!("VIOLATION: {violations}: {count} times\n  first: {first}");
        }
        if !report.violations.is_empty() {
            bail!("a power loss would lose acknowledged messages");
        }
        println!(
            "{} acknowledgements and {} deliveries, each after the sync of its message ({} syncs); {} resets of the log, \
             each after the sync of the database",
            report.acknowledged, report.delivered, report.log_syncs, report.log_resets
        );
        // One at the start, one at the end, and more in between if the run is long.
        let log_resets = if args.messages < 20_000 { 2 } else { 3 };
        if report.acknowledged == 0 || report.log_resets < log_resets {
            bail!("too little happened for a conclusion");
        }
        Ok(())
    })
}

/// Proves that a server which does not sync its commits is detected.
pub(crate) fn prove_detection(workspace: &Workspace) -> Result<()> {
    let args = Args { common: CommonArgs { inject: true, ..CommonArgs::SHORT_RUN }, ..SHORT_RUN };
    let harness = Harness::build(workspace, &args.common)?;
    harness.run("power", harness.seed, |run_dir| {
        let report = trace_server(&harness, &args, run_dir, &[FAULT_INJECTION])?;
        let (count, first) = report
            .violations
            .get(&Violation::Acknowledged)
            .context("commits were not synced, and the check did not detect it")?;
        println!(
            "a server that does not sync its commits is detected: {count} of {} times; {first}",
            report.acknowledged
        );
        Ok(())
    })
}

/// In the end each message is acknowledged, and some clients receive it.
fn minimum_activity(args: &Args) -> MinimumActivity {
    let messages = u64::from(args.messages);
    MinimumActivity {
        acknowledged: messages * 9 / 10,
        percent: 50,
        deliveries: 2 * messages,
        views: 20,
        ..MinimumActivity::default()
    }
}

/// Runs the server from an empty folder to SIGTERM, and checks the trace.
fn trace_server(
    harness: &Harness,
    args: &Args,
    run_dir: &RunDir,
    settings: &[(&str, &str)],
) -> Result<DurabilityReport> {
    let program = harness.binary("history");
    let calls = run_dir.path().join("trace");
    let mut server = ServerUnderTest::new(harness.binary("teahouse"), run_dir.path())?;
    server.start_via(trace::command_prefix(&calls, &[]));
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
    let timeout = Duration::from_secs(60 + u64::from(args.messages / MIN_RATE));
    if !recorder.is_done_within(timeout)? {
        bail!("{} messages were not answered within {timeout:?}", args.messages);
    }
    recorder.finish()?;
    server.signal(Signal::TERM)?;
    // The tracer shares the server's output: when both have closed it, the trace is complete.
    let status = server.wait_for_exit(STOP_TIMEOUT)?;
    if !status.success() {
        bail!("the server exited with {status}");
    }
    check(&program, &run_dir.history(), minimum_activity(args))?;
    let mut checker = DurabilityChecker::default();
    let file = File::open(&calls).with_context(|| format!("no trace in {}", calls.display()))?;
    trace::read(BufReader::new(file), |call| checker.check(&call))?;
    checker.finish()
}
