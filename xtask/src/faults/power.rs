//! `cargo xtask faults power`: whether a loss of power would lose something that was acknowledged.
//!
//! A kill leaves the kernel's memory as it is, so a forgotten sync is seen by no kill. Here `strace` writes down what the server
//! asks of the kernel, and `judge` holds each `ok` against the syncs before it.

mod judge;
mod sockets;

use std::fs::File;
use std::io::BufReader;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use self::judge::{Broken, Judge, Verdict};
use super::prey::Prey;
use super::scene::Scene;
use super::stage::{Common, Stage};
use super::trace;
use super::witnesses::{Least, Witnesses, check};
use crate::workspace::Workspace;

/// How long a server that is traced may take to stop.
const STOP: Duration = Duration::from_secs(30);
/// Fewer messages in a second than this are no load but a standstill.
const SLOWEST: u32 = 20;
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
    pub(super) common: Common,
}

pub(super) const SHORT: Args = Args { messages: 5_000, rate: 1_000, common: Common::SHORT };

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let stage = Stage::build(workspace, &args.common)?;
    let again = format!("power --messages {} --rate {}", args.messages, args.rate);
    stage.play(&again, stage.seed, |scene| {
        let verdict = one_life(&stage, args, scene, &[])?;
        for (broken, (count, first)) in &verdict.broken {
            println!("BROKEN: {broken}: {count} times\n  first: {first}");
        }
        if !verdict.broken.is_empty() {
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
    let args = Args { common: Common { fault_injection: true, ..Common::SHORT }, ..SHORT };
    let stage = Stage::build(workspace, &args.common)?;
    stage.play("power", stage.seed, |scene| {
        let verdict = one_life(&stage, &args, scene, &[FAULT_INJECTION])?;
        let (count, first) = verdict
            .broken
            .get(&Broken::Acknowledged)
            .context("commits were not synced, and nothing of it was seen")?;
        println!(
            "a server that does not sync its commits is seen: {count} of {} times; {first}",
            verdict.acknowledged
        );
        Ok(())
    })
}

/// Each message has its answer in the end, and is heard by some.
fn least(args: &Args) -> Least {
    let messages = u64::from(args.messages);
    Least {
        acknowledged: messages * 9 / 10,
        percent: 50,
        deliveries: 2 * messages,
        views: 20,
        ..Least::default()
    }
}

/// From an empty folder to SIGTERM, and what the trace says of it.
fn one_life(stage: &Stage, args: &Args, scene: &Scene, settings: &[(&str, &str)]) -> Result<Verdict> {
    let program = stage.binary("history");
    let calls = scene.folder().join("trace");
    let mut server = Prey::new(stage.binary("teahouse"), scene.folder())?;
    server.start_through(trace::through(&calls, &[]));
    for (name, value) in settings {
        server.set(name, value);
    }
    server.start()?;
    server.wait_until_open()?;
    let options = ["--writers=20", "--receivers=3", "--rooms=5"].map(str::to_owned);
    let further = [
        format!("--rate={}", args.rate),
        format!("--seed={}", stage.seed),
        format!("--messages={}", args.messages),
    ];
    let options = [&options[..], &further].concat();
    let mut witnesses = Witnesses::call(&program, server.address, &scene.history(), &options)?;
    let patience = Duration::from_secs(60 + u64::from(args.messages / SLOWEST));
    if !witnesses.have_enough_within(patience)? {
        bail!("{} messages were not answered within {patience:?}", args.messages);
    }
    witnesses.finish()?;
    server.signal(Signal::TERM)?;
    // Its output is the tracer's as well: when both have closed it, the trace is whole.
    let status = server.wait_for_end(STOP)?;
    if !status.success() {
        bail!("the server ended with {status}");
    }
    check(&program, &scene.history(), least(args))?;
    let mut judge = Judge::default();
    let file = File::open(&calls).with_context(|| format!("no trace in {}", calls.display()))?;
    trace::read(BufReader::new(file), |call| judge.take(&call))?;
    judge.finish()
}
