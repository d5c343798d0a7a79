//! `cargo xtask faults overload`: twice as many messages as the server can take, and twice as many connections as it may.
//!
//! First it is found what it can take here: people who each have some messages unanswered, and send the next when one is answered.
//! Then twice as much is sent on a schedule, whatever the answers say. Beside all of it a few people take down what they do and
//! see, and are refused like everybody else.

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

/// Of the peak, in per cent: what is accepted while more is offered.
const MIN_GOODPUT_PERCENT: u64 = 80;
/// So long after the last message of too many, all is as it was before.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(30);
/// How slow an answer may be and still be normal: so many times what it took before, or so many milliseconds.
const SLOWER: f64 = 4.0;
const NORMAL_MS: f64 = 50.0;
/// What a request costs that waits for the writer (docs/ARCHITECTURE.md, "Bounds"): its body and key, who sent it, its place in
/// the queue and in the shard, its answer.
const REQUESTS: u64 = 16 * 1024;
const REQUEST_BYTES: u64 = 2 * 1024;
/// Of a connection: 16 KiB of replies, 16 KiB that were read already, and 256 answers that may come at once.
const CONNECTION_BYTES: u64 = 64 * 1024;
/// Of a room in a shard, while somebody lags.
const ROOM_BYTES: u64 = 4 * MIB;
/// Messages that each has unanswered while the peak is sought: enough that the writer never waits for work.
const WINDOW: u32 = 32;
/// Messages that each leaves unanswered at the most when too much is sent: twice what the server takes of one.
const FLOOD_WINDOW: u32 = 512;
/// So many times the peak is sent at the most, where the peak is not judged, until something is refused.
const MAX_MULTIPLE: u64 = 32;
/// How much longer than it takes to work all of that off (or a second) 99 of 100 answers may take.
const TIMEOUT: f64 = 5.0;
/// Few hear each message: it is the taking of messages that is to be too much.
const USERS_PER_ROOM: u32 = 10;

/// Of those who take down what they see: what they say before it is too much, and a little.
const LEAST: MinimumActivity =
    MinimumActivity { acknowledged: 50, percent: 10, deliveries: 200, resumed: 0, views: 20 };

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many people send.
    #[arg(long, default_value_t = 200)]
    pub(super) people: u32,
    /// For how many seconds the peak is sought, and for how many too much is sent.
    #[arg(long, default_value_t = 15)]
    pub(super) seconds: u64,
    /// How many connections the server may have when twice as many come.
    #[arg(long, default_value_t = 400)]
    pub(super) connection_limit: u32,
    /// Do not judge how much is accepted, for machines whose figures say nothing. Of a debug build it is never judged.
    #[arg(long)]
    pub(super) lenient: bool,
    #[command(flatten)]
    pub(super) common: CommonArgs,
}

pub(super) const SHORT_RUN: Args =
    Args { people: 100, seconds: 3, connection_limit: 100, lenient: true, common: CommonArgs::SHORT_RUN };

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let harness = Harness::build(workspace, &args.common)?;
    let Args { people, seconds, connection_limit, lenient, .. } = args;
    let lenient = if *lenient { " --lenient" } else { "" };
    let replay_args =
        format!("overload --people {people} --seconds {seconds} --places {connection_limit}{lenient}");
    harness.run(&replay_args, harness.seed, |run_dir| {
        too_many_messages(&harness, args, run_dir)?;
        connection_limit::exceed_connection_limit(&harness, args.connection_limit, run_dir)
    })
}

fn too_many_messages(harness: &Harness, args: &Args, run_dir: &RunDir) -> Result<()> {
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
    let before = flood.look()?;
    let (peak, _) = flood.send(&format!("--window {WINDOW}"))?;
    let peak_rate = peak.rate()?;
    println!("it takes {peak_rate} messages a second; {}", answers(&peak));

    let judged = !args.lenient && !args.common.debug;
    let mut times = 2;
    let (burst, course) = loop {
        recorder.note(&format!("{times} times as much is sent"))?;
        let rate = peak_rate * times;
        let sent =
            flood.send(&format!("--ignore-retry-after --rate {rate} --max-unanswered {FLOOD_WINDOW}"))?;
        recorder.note("no longer")?;
        // On a machine that has much else to do the peak was no peak.
        if judged || sent.0.refused > 0 || times >= MAX_MULTIPLE {
            break sent;
        }
        times *= 2;
    };
    let (accepted, refused) = (burst.rate()?, burst.refused / args.seconds.max(1));
    println!(
        "{times} times that was due, of which {} could be sent, the rest being held back: {accepted} a second were accepted ({} %), {refused} refused; {}",
        burst.sent,
        accepted * 100 / peak_rate.max(1),
        answers(&burst)
    );
    let most = course.joined.own + flood.may_add();
    println!(
        "memory: {:.1} MiB before they came, {:.1} at most; may be {:.0}",
        mib(course.joined.own),
        mib(course.most.own),
        mib(most)
    );
    let (normal, after) = flood.wait_until_normal(before, course.ended)?;
    println!(
        "an answer took {before:.1} ms (99 of 100) before, and {normal:.1} ms {:.1} s after the end of it",
        after.as_secs_f64()
    );
    recorder.finish()?;
    check(&program, &run_dir.history(), LEAST)?;

    ensure!(burst.errors.contains_key("overloaded"), "nothing was refused: it was not too much");
    let other: Vec<_> = burst.errors.keys().filter(|code| *code != "overloaded").collect();
    ensure!(other.is_empty(), "the excess was refused with {other:?}");
    ensure!(course.most.own <= most, "the server used {:.1} MiB of memory", mib(course.most.own));
    let work_off = f64::from(args.people * FLOOD_WINDOW) / accepted.max(1) as f64 * 1000.0;
    let latest = TIMEOUT * work_off.max(1000.0);
    if judged {
        ensure!(
            burst.acknowledge_ms.p99 <= latest,
            "answers came late: one in 100 after more than {latest:.0} ms"
        );
        ensure!(
            accepted * 100 >= peak_rate * MIN_GOODPUT_PERCENT,
            "of {peak_rate} messages a second it took {accepted} when it was sent twice as many"
        );
    }
    Ok(())
}

/// Many who send, one after the other in different ways.
struct Flood<'a> {
    harness: &'a Harness<'a>,
    args: &'a Args,
    server: &'a ServerUnderTest,
}

/// Of the server, while there was a flood.
struct Course {
    joined: Memory,
    most: Memory,
    /// When the last message was sent.
    ended: Instant,
}

impl Flood<'_> {
    fn send(&self, how: &str) -> Result<(Report, Course)> {
        let Args { people, seconds, .. } = self.args;
        let rooms = people.div_ceil(USERS_PER_ROOM);
        let options = format!(
            "--connections {people} --senders {people} --rooms {rooms} --settle 1 --warmup 1 --duration {seconds} {how}"
        );
        let pid = self.server.pid()?;
        let joined = Memory::most_of(pid, Duration::ZERO)?;
        let mut load_process =
            LoadProcess::start(&self.harness.binary("teahouse-loadgen"), self.server.address, &options)?;
        load_process.wait_until_measuring()?;
        let ended = Instant::now() + Duration::from_secs(*seconds);
        let most = Memory::most_until(pid, || load_process.has_ended())?;
        Ok((load_process.finish()?, Course { joined, most, ended }))
    }

    /// What the server may add to its memory, by its bounds.
    fn may_add(&self) -> u64 {
        let people = u64::from(self.args.people);
        let rooms = u64::from(self.args.people.div_ceil(USERS_PER_ROOM));
        // As many shards as cores, unless something else is asked for.
        let shards = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
        REQUESTS * REQUEST_BYTES + people * CONNECTION_BYTES + rooms * shards * ROOM_BYTES
    }

    /// A few who say little: what an answer takes, in milliseconds (99 of 100).
    fn look(&self) -> Result<f64> {
        let options = "--connections 4 --senders 4 --rate 50 --settle 0 --warmup 0 --duration 2";
        let load_process =
            LoadProcess::start(&self.harness.binary("teahouse-loadgen"), self.server.address, options)?;
        Ok(load_process.finish()?.acknowledge_ms.p99)
    }

    /// Until an answer takes what it took before, give or take. What it takes then, and how long after the end that was.
    fn wait_until_normal(&self, before: f64, ended: Instant) -> Result<(f64, Duration)> {
        loop {
            let now = self.look()?;
            let after = ended.elapsed();
            if after > RECOVERY_TIMEOUT {
                bail!("{after:?} after it was over an answer took {now:.1} ms, and {before:.1} ms before");
            }
            if now <= NORMAL_MS.max(before * SLOWER) {
                return Ok((now, after));
            }
        }
    }
}

fn answers(report: &Report) -> String {
    let times = &report.acknowledge_ms;
    format!(
        "answers came after {:.0} ms, 99 of 100 within {:.0}, all within {:.0}",
        times.p50, times.p99, times.max
    )
}
