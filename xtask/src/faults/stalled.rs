//! `cargo xtask faults stalled`: one client in five stops reading for a minute, while the others write and read.
//!
//! Some stop between two frames and some inside one, some have a small receive buffer, some shrink it when they stop, and some
//! continue to send. The server's memory must stay bounded, and these clients must receive everything in the end.

use std::time::Duration;

use anyhow::{Result, bail, ensure};

use super::harness::{CommonArgs, Harness};
use super::recorder_process::{MinimumActivity, RecorderProcess, check};
use super::resource_usage::{MIB, Memory, Metrics, mib};
use super::run_dir::RunDir;
use super::server_under_test::ServerUnderTest;
use crate::workspace::Workspace;

/// Bounds the memory that stalled clients may cost the server, however long they stall: a room's log grows to 4 MiB in each
/// shard, and at most 16 KiB of replies wait for each connection.
const MAX_ADDED_MEMORY: u64 = 50 * MIB;
/// One client in this many sends.
const USERS_PER_WRITER: u32 = 20;
/// Long enough to measure the server's memory while all clients read.
const BASELINE_TIME: Duration = Duration::from_secs(5);
const ROOMS: u32 = 2;
/// The number of shards, fixed because each shard has a log of each room.
const SHARDS: &str = "2";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The number of clients.
    #[arg(long, default_value_t = 1_000)]
    pub(super) clients: u32,
    /// How many of them stop reading.
    #[arg(long, default_value_t = 200)]
    pub(super) stalled: u32,
    /// How long they stop, in seconds.
    #[arg(long, default_value_t = 60)]
    pub(super) seconds: u64,
    /// Messages sent per second, approximately.
    #[arg(long, default_value_t = 50)]
    pub(super) rate: u32,
    /// The longest message, in bytes.
    #[arg(long, default_value_t = 8_000)]
    pub(super) longest: u32,
    #[command(flatten)]
    pub(super) common: CommonArgs,
}

pub(super) const SHORT_RUN: Args =
    Args { clients: 100, stalled: 20, seconds: 5, rate: 100, longest: 8_000, common: CommonArgs::SHORT_RUN };

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    if args.stalled >= args.clients {
        bail!("at least one client has to read");
    }
    let harness = Harness::build(workspace, &args.common)?;
    let Args { clients, stalled, seconds, rate, longest, .. } = args;
    let replay_args = format!(
        "stalled --clients {clients} --stalled {stalled} --seconds {seconds} --rate {rate} --longest {longest}"
    );
    harness.run(&replay_args, harness.seed, |run_dir| run_history(&harness, args, run_dir))
}

/// A tenth of what is usually sent meanwhile, received by a tenth of the clients.
fn minimum_activity(args: &Args) -> MinimumActivity {
    let acknowledged = u64::from(args.rate) * args.seconds / 10;
    let clients = u64::from(args.clients);
    MinimumActivity {
        acknowledged,
        percent: 50,
        deliveries: acknowledged * clients / 10,
        views: clients,
        ..MinimumActivity::default()
    }
}

fn run_history(harness: &Harness, args: &Args, run_dir: &RunDir) -> Result<()> {
    let program = harness.binary("history");
    let mut server = ServerUnderTest::new(harness.binary("teahouse"), run_dir.path())?;
    server.set("TEAHOUSE_SHARDS", SHARDS);
    server.start()?;
    server.wait_until_open()?;
    let pid = server.pid()?;
    let writers = args.clients.div_ceil(USERS_PER_WRITER);
    let options = [
        format!("--writers={writers}"),
        "--receivers=0".to_owned(),
        format!("--listeners={}", args.clients - writers),
        format!("--rooms={ROOMS}"),
        format!("--rate={}", args.rate),
        format!("--max-body-bytes={}", args.longest),
        format!("--slow-readers={}", args.stalled),
        format!("--seed={}", harness.seed),
    ];
    let mut recorder = RecorderProcess::start(&program, server.address, &run_dir.history(), &options)?;
    let stall = Duration::from_secs(args.seconds);
    let all_read = Memory::max_during(pid, BASELINE_TIME.min(stall))?;
    let before = Metrics::scrape(server.address)?;
    recorder.note("pause reading")?;
    let some_stall = Memory::max_during(pid, stall)?;
    let stalled = Metrics::scrape(server.address)?;
    recorder.note("resume reading")?;
    recorder.finish()?;
    let after = Metrics::scrape(server.address)?;
    println!(
        "{} of {} clients stalled for {} s: {:.1} MiB while all read, at most {:.1} MiB during the stall; the kernel held {:.0} \
         and {:.0} MiB for all sockets",
        args.stalled,
        args.clients,
        args.seconds,
        mib(all_read.own),
        mib(some_stall.own),
        mib(all_read.sockets),
        mib(some_stall.sockets),
    );
    let since = |name| Ok::<u64, anyhow::Error>(after.value(name)?.saturating_sub(before.value(name)?));
    println!(
        "{} messages; {} connections were open at the end of the stall; {} gaps, {} catch-ups from the store",
        since("messages_total")?,
        stalled.value("connections")?,
        since("gaps_total")?,
        since("catch_ups_total")?
    );
    let added = some_stall.own.saturating_sub(all_read.own);
    check(&program, &run_dir.history(), minimum_activity(args))?;
    ensure!(
        added <= MAX_ADDED_MEMORY,
        "{} stalled clients cost {:.1} MiB of the server's memory; the bound is {:.0}",
        args.stalled,
        mib(added),
        mib(MAX_ADDED_MEMORY)
    );
    Ok(())
}
