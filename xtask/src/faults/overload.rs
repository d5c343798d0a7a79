//! `cargo xtask faults overload`: twice as many messages as the server can accept, and twice as many connections as its limit.
//!
//! First the peak rate of this machine is measured, with clients that each keep a window of unanswered messages. Then twice that
//! rate is sent on a schedule, independent of the answers. Meanwhile a few recorded clients are served and rejected like all others.

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

use super::connection_limit;
use super::harness::{CommonArgs, Harness};
use super::load_process::{LoadProcess, Report};
use super::recorder_process::{MinimumActivity, RecorderProcess, check};
use super::resource_usage::{MIB, Memory, mib};
use super::run_dir::RunDir;
use super::server_under_test::ServerUnderTest;
use crate::workspace::Workspace;

/// The accepted messages under overload, in per cent of the peak.
const MIN_GOODPUT_PERCENT: u64 = 80;
/// Bounds the time from the end of the overload until latency is normal again.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(30);
/// A latency is normal up to this multiple of the earlier one, or up to some milliseconds.
const MAX_LATENCY_RATIO: f64 = 4.0;
const NORMAL_MS: f64 = 50.0;
/// Memory of a request that waits for the writer (docs/ARCHITECTURE.md, "Bounds"): its body and key, its sender, its entries in the
/// queue and in the shard, and its answer.
const MAX_REQUESTS: u64 = 16 * 1024;
const REQUEST_BYTES: u64 = 2 * 1024;
/// The memory of a connection in bytes: 16 KiB of replies, 16 KiB of input, and 256 answers that may arrive at once.
const CONNECTION_BYTES: u64 = 64 * 1024;
/// The memory of a room's log in a shard while a client lags, in bytes.
const ROOM_BYTES: u64 = 4 * MIB;
/// The unanswered messages per client while the peak is measured: enough that the writer never waits for work.
const PEAK_WINDOW: u32 = 32;
/// Bounds the unanswered messages per client under overload: twice what the server accepts from one client.
const FLOOD_WINDOW: u32 = 512;
/// Where the peak is not judged, the rate doubles up to this multiple of the peak until something is rejected.
const MAX_MULTIPLE: u64 = 32;
/// The 99th percentile may exceed the time to work off the backlog (or one second) by this factor.
const MAX_BACKLOG_FACTOR: f64 = 5.0;
/// Small rooms, so that accepting messages is the bottleneck and not delivering them.
const USERS_PER_ROOM: u32 = 10;

/// Slightly less than the recorded clients do before the overload.
const MINIMUM_ACTIVITY: MinimumActivity =
    MinimumActivity { acknowledged: 50, percent: 10, deliveries: 200, resumed: 0, views: 20 };

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many clients send.
    #[arg(long, default_value_t = 200)]
    pub(super) clients: u32,
    /// Duration of the measurement of the peak, and of the overload, in seconds.
    #[arg(long, default_value_t = 15)]
    pub(super) seconds: u64,
    /// The connection limit of the server that twice as many clients connect to.
    #[arg(long, default_value_t = 400)]
    pub(super) connection_limit: u32,
    /// Do not judge how much is accepted, for machines with unreliable performance. Debug builds are never judged.
    #[arg(long)]
    pub(super) lenient: bool,
    #[command(flatten)]
    pub(super) common: CommonArgs,
}

pub(super) const SHORT_RUN: Args =
    Args { clients: 100, seconds: 3, connection_limit: 100, lenient: true, common: CommonArgs::SHORT_RUN };

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let harness = Harness::build(workspace, &args.common)?;
    let Args { clients, seconds, connection_limit, lenient, .. } = args;
    let lenient = if *lenient { " --lenient" } else { "" };
    let replay_args = format!(
        "overload --clients {clients} --seconds {seconds} --connection-limit {connection_limit}{lenient}"
    );
    harness.run(&replay_args, harness.seed, |run_dir| {
        exceed_message_rate(&harness, args, run_dir)?;
        connection_limit::exceed_connection_limit(&harness, args.connection_limit, run_dir)
    })
}

fn exceed_message_rate(harness: &Harness, args: &Args, run_dir: &RunDir) -> Result<()> {
    let program = harness.binary("history");
    let mut server = ServerUnderTest::new(harness.binary("teahouse"), run_dir.path())?;
    server.start()?;
    server.wait_until_open()?;
    let options = [
        "--writers=16".to_owned(),
        "--receivers=4".to_owned(),
        "--rooms=4".to_owned(),
        "--rate=100".to_owned(),
        format!("--seed={}", harness.seed),
    ];
    let mut recorder = RecorderProcess::start(&program, server.address, &run_dir.history(), &options)?;
    let flood = Flood { harness, args, server: &server };
    let before = flood.measure_latency()?;
    let (peak, _) = flood.send(&format!("--window {PEAK_WINDOW}"))?;
    let peak_rate = peak.rate()?;
    println!("peak: {peak_rate} messages a second; {}", latencies(&peak));

    let is_judged = !args.lenient && !args.common.debug;
    let mut multiple = 2;
    let (overload, memory) = loop {
        recorder.note(&format!("overload: {multiple} times the peak rate is sent"))?;
        let rate = peak_rate * multiple;
        let sent =
            flood.send(&format!("--ignore-retry-after --rate {rate} --max-unanswered {FLOOD_WINDOW}"))?;
        recorder.note("the overload has ended")?;
        // On a busy machine the measured peak may be far below the real one.
        if is_judged || sent.0.rejected > 0 || multiple >= MAX_MULTIPLE {
            break sent;
        }
        multiple *= 2;
    };
    let (accepted, rejected) = (overload.rate()?, overload.rejected / args.seconds.max(1));
    println!(
        "overload with {multiple} times the peak: {} sent, the rest held back; {accepted} a second accepted ({} %), {rejected} rejected; {}",
        overload.sent,
        accepted * 100 / peak_rate.max(1),
        latencies(&overload)
    );
    let most = memory.joined.own + flood.memory_bound();
    println!(
        "memory: {:.1} MiB before the overload, at most {:.1} during it; the bound is {:.0}",
        mib(memory.joined.own),
        mib(memory.most.own),
        mib(most)
    );
    let (normal, after) = flood.wait_until_normal(before, memory.ended)?;
    println!(
        "p99 latency: {before:.1} ms before, {normal:.1} ms {:.1} s after the end of the overload",
        after.as_secs_f64()
    );
    recorder.finish()?;
    check(&program, &run_dir.history(), MINIMUM_ACTIVITY)?;

    ensure!(overload.errors.contains_key("overloaded"), "nothing was rejected, so there was no overload");
    let other: Vec<_> = overload.errors.keys().filter(|code| *code != "overloaded").collect();
    ensure!(other.is_empty(), "messages were rejected with {other:?}");
    ensure!(memory.most.own <= most, "the server used {:.1} MiB of memory", mib(memory.most.own));
    let work_off = f64::from(args.clients * FLOOD_WINDOW) / accepted.max(1) as f64 * 1000.0;
    let latest = MAX_BACKLOG_FACTOR * work_off.max(1000.0);
    if is_judged {
        ensure!(overload.acknowledge_ms.p99 <= latest, "one answer in 100 took more than {latest:.0} ms");
        ensure!(
            accepted * 100 >= peak_rate * MIN_GOODPUT_PERCENT,
            "at twice the peak of {peak_rate} messages a second only {accepted} were accepted"
        );
    }
    Ok(())
}

struct Flood<'a> {
    harness: &'a Harness<'a>,
    args: &'a Args,
    server: &'a ServerUnderTest,
}

/// The server's memory during a load, and the end of the load.
struct LoadedMemory {
    joined: Memory,
    most: Memory,
    /// The time of the last sent message.
    ended: Instant,
}

impl Flood<'_> {
    fn send(&self, load_options: &str) -> Result<(Report, LoadedMemory)> {
        let Args { clients, seconds, .. } = self.args;
        let rooms = clients.div_ceil(USERS_PER_ROOM);
        let options = format!(
            "--connections {clients} --senders {clients} --rooms {rooms} --settle 1 --warmup 1 --duration {seconds} {load_options}"
        );
        let pid = self.server.pid()?;
        let joined = Memory::max_during(pid, Duration::ZERO)?;
        let mut load_process =
            LoadProcess::start(&self.harness.binary("teahouse-loadgen"), self.server.address, &options)?;
        load_process.wait_until_measuring()?;
        let ended = Instant::now() + Duration::from_secs(*seconds);
        let most = Memory::max_until(pid, || load_process.has_ended())?;
        Ok((load_process.finish()?, LoadedMemory { joined, most, ended }))
    }

    /// The memory that the server may add, by its documented bounds.
    fn memory_bound(&self) -> u64 {
        let clients = u64::from(self.args.clients);
        let rooms = u64::from(self.args.clients.div_ceil(USERS_PER_ROOM));
        // By default there is one shard per core.
        let shards = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
        MAX_REQUESTS * REQUEST_BYTES + clients * CONNECTION_BYTES + rooms * shards * ROOM_BYTES
    }

    /// Measures the p99 latency of a light load, in milliseconds.
    fn measure_latency(&self) -> Result<f64> {
        let options = "--connections 4 --senders 4 --rate 50 --settle 0 --warmup 0 --duration 2";
        let load_process =
            LoadProcess::start(&self.harness.binary("teahouse-loadgen"), self.server.address, options)?;
        Ok(load_process.finish()?.acknowledge_ms.p99)
    }

    /// Waits until the latency is about what it was before. Returns the latency then, and the time since the end of the overload.
    fn wait_until_normal(&self, before: f64, ended: Instant) -> Result<(f64, Duration)> {
        loop {
            let now = self.measure_latency()?;
            let after = ended.elapsed();
            if after > RECOVERY_TIMEOUT {
                bail!(
                    "{after:?} after the overload an answer took {now:.1} ms, and {before:.1} ms before it"
                );
            }
            if now <= NORMAL_MS.max(before * MAX_LATENCY_RATIO) {
                return Ok((now, after));
            }
        }
    }
}

fn latencies(report: &Report) -> String {
    let times = &report.acknowledge_ms;
    format!("answers after {:.0} ms (median), {:.0} (p99), {:.0} (maximum)", times.p50, times.p99, times.max)
}
