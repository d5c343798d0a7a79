//! `cargo xtask faults stalled`: one in five stops reading for a minute, while all others write and listen.
//!
//! Some stop between two frames and some inside of one, some with a small receive buffer, some shrink it when they stop, some go
//! on talking. The server must hold nothing for them, and they must have everything in the end.

use std::time::Duration;

use anyhow::{Result, bail, ensure};

use super::harness::{CommonArgs, Harness};
use super::recorder_process::{MinimumActivity, RecorderProcess, check};
use super::resource_usage::{MIB, Memory, Metrics, mib};
use super::run_dir::RunDir;
use super::server_under_test::ServerUnderTest;
use crate::workspace::Workspace;

/// What those who do not read may cost in memory of the server's own, however long they do not: the logs of the rooms grow to
/// 4 MiB each in each shard, and answers of at most 16 KiB wait for each connection.
const MOST_ADDED: u64 = 50 * MIB;
/// One in so many talks.
const USERS_PER_WRITER: u32 = 20;
/// Long enough to see what the server uses while everybody reads.
const BASELINE_TIME: Duration = Duration::from_secs(5);
const ROOMS: u32 = 2;
/// Each has a log of each room.
const SHARDS: &str = "2";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many people there are.
    #[arg(long, default_value_t = 1_000)]
    pub(super) people: u32,
    /// How many of them stop reading.
    #[arg(long, default_value_t = 200)]
    pub(super) stalled: u32,
    /// For how many seconds.
    #[arg(long, default_value_t = 60)]
    pub(super) seconds: u64,
    /// About how many messages are sent in a second.
    #[arg(long, default_value_t = 50)]
    pub(super) rate: u32,
    /// The longest message, in bytes.
    #[arg(long, default_value_t = 8_000)]
    pub(super) longest: u32,
    #[command(flatten)]
    pub(super) common: CommonArgs,
}

pub(super) const SHORT_RUN: Args =
    Args { people: 100, stalled: 20, seconds: 5, rate: 100, longest: 8_000, common: CommonArgs::SHORT_RUN };

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    if args.stalled >= args.people {
        bail!("somebody has to read");
    }
    let harness = Harness::build(workspace, &args.common)?;
    let Args { people, stalled, seconds, rate, longest, .. } = args;
    let replay_args = format!(
        "stalled --people {people} --stalled {stalled} --seconds {seconds} --rate {rate} --longest {longest}"
    );
    harness.run(&replay_args, harness.seed, |run_dir| run_history(&harness, args, run_dir))
}

/// A tenth of what is to be said meanwhile, heard by a tenth of all.
fn least(args: &Args) -> MinimumActivity {
    let acknowledged = u64::from(args.rate) * args.seconds / 10;
    let people = u64::from(args.people);
    MinimumActivity {
        acknowledged,
        percent: 50,
        deliveries: acknowledged * people / 10,
        views: people,
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
    let writers = args.people.div_ceil(USERS_PER_WRITER);
    let options = [
        format!("--writers={writers}"),
        "--receivers=0".to_owned(),
        format!("--listeners={}", args.people - writers),
        format!("--rooms={ROOMS}"),
        format!("--rate={}", args.rate),
        format!("--max-body-bytes={}", args.longest),
        format!("--slow-readers={}", args.stalled),
        format!("--seed={}", harness.seed),
    ];
    let mut recorder = RecorderProcess::start(&program, server.address, &run_dir.history(), &options)?;
    let stall = Duration::from_secs(args.seconds);
    let all_read = Memory::most_of(pid, BASELINE_TIME.min(stall))?;
    let before = Metrics::scrape(server.address)?;
    recorder.note("pause reading")?;
    let some_stall = Memory::most_of(pid, stall)?;
    let stalled = Metrics::scrape(server.address)?;
    recorder.note("resume reading")?;
    recorder.finish()?;
    let after = Metrics::scrape(server.address)?;
    println!(
        "{} of {} did not read for {} s: {:.1} MiB while all read, {:.1} MiB at most while they did not; the kernel held {:.0} \
         and {:.0} MiB for all sockets",
        args.stalled,
        args.people,
        args.seconds,
        mib(all_read.own),
        mib(some_stall.own),
        mib(all_read.sockets),
        mib(some_stall.sockets),
    );
    let since = |name| Ok::<u64, anyhow::Error>(after.value(name)?.saturating_sub(before.value(name)?));
    println!(
        "{} messages; {} connections were open when they read on; {} gaps, {} times the rest came from the store",
        since("messages_total")?,
        stalled.value("connections")?,
        since("gaps_total")?,
        since("catch_ups_total")?
    );
    let added = some_stall.own.saturating_sub(all_read.own);
    check(&program, &run_dir.history(), least(args))?;
    ensure!(
        added <= MOST_ADDED,
        "{} who did not read cost {:.1} MiB of the server's memory, and may cost {:.0}",
        args.stalled,
        mib(added),
        mib(MOST_ADDED)
    );
    Ok(())
}
