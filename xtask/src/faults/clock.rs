//! `cargo xtask faults clock`: the wall clock jumps; no client may be disconnected or logged out.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use history::RecordKind;
use protocol::EventPage;
use rustix::process::Signal;

use super::harness::{CommonArgs, Harness};
use super::recorder_process::{MinimumActivity, RecorderProcess, check, histories};
use super::resource_usage::Metrics;
use super::rng::Rng;
use super::run_dir::RunDir;
use super::server_under_test::ServerUnderTest;
use crate::prerequisites;
use crate::workspace::Workspace;

const HOUR: i64 = 3_600;
const MONTH: i64 = 30 * 24 * HOUR;
/// Offsets of the server's clock from the real time, in turn: an hour and thirty days, both ways, each followed by a return.
const JUMPS: [i64; 8] = [HOUR, 0, -HOUR, 0, MONTH, 0, -MONTH, 0];
/// Bounds the time between the check after a jump and the next jump.
const MAX_UPTIME: Duration = Duration::from_secs(1);
/// The messages that must be stored after each jump before the next.
const MESSAGES: u64 = 100;
/// Bounds the wait for those messages, and for a stop.
const TIMEOUT: Duration = Duration::from_secs(20);
/// The interval between two reads of the metrics.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// The server's clock is compared after it was read, so a small difference is normal.
const CLOCK_TOLERANCE_SECS: i64 = 60;
const DURABLE: &str = "a session with durable state";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How often all eight jumps are made, with one restart among them.
    #[arg(long, default_value_t = 20)]
    pub(super) rounds: u32,
    /// Messages sent per second, approximately.
    #[arg(long, default_value_t = 300)]
    pub(super) rate: u32,
    #[command(flatten)]
    pub(super) common: CommonArgs,
}

pub(super) const SHORT_RUN: Args = Args { rounds: 1, rate: 300, common: CommonArgs::SHORT_RUN };

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let harness = Harness::build(workspace, &args.common)?;
    let replay_args = format!("clock --rounds {} --rate {}", args.rounds, args.rate);
    harness.run(&replay_args, harness.seed, |run_dir| jumps(&harness, args, run_dir))
}

/// Sets the server's clock, and checks sessions and progress after each jump.
struct ClockController {
    server: ServerUnderTest,
    file: PathBuf,
    /// One durable session and one that has stored nothing, each with the name used in error messages.
    tokens: Vec<(&'static str, String)>,
    /// The number of rooms created to read the server's clock.
    rooms: u32,
}

/// About a hundred messages are stored after each jump, some of them unanswered before a stop. The 50 cursors are those of the
/// clients' first joins.
fn minimum_activity(args: &Args) -> MinimumActivity {
    let rounds = u64::from(args.rounds);
    let acknowledged = MESSAGES * JUMPS.len() as u64 / 2 * rounds;
    MinimumActivity {
        acknowledged,
        percent: 50,
        deliveries: 2 * acknowledged,
        resumed: 50 + 10 * rounds,
        views: 36,
    }
}

fn jumps(harness: &Harness, args: &Args, run_dir: &RunDir) -> Result<()> {
    let program = harness.binary("history");
    let mut server = ServerUnderTest::new(harness.binary("teahouse"), run_dir.path())?;
    let file = run_dir.path().join("clock");
    set(&file, 0)?;
    server.set("LD_PRELOAD", prerequisites::faketime()?);
    server.set("FAKETIME_TIMESTAMP_FILE", &file);
    server.set("FAKETIME_NO_CACHE", "1");
    // The monotonic clock of a kernel does not jump. Older and newer versions of libfaketime have different names for this
    // setting.
    server.set("DONT_FAKE_MONOTONIC", "1");
    server.set("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    // Short, so that a connection that is wrongly considered dead is closed within the run.
    server.set("TEAHOUSE_TIMEOUTS_PING_INTERVAL", "2s");
    server.set("TEAHOUSE_TIMEOUTS_WEBSOCKET_IDLE", "8s");
    server.start()?;
    server.wait_until_open()?;
    let options = ["--writers=30", "--receivers=6"].map(str::to_owned).into_iter();
    let options: Vec<_> =
        options.chain([format!("--rate={}", args.rate), format!("--seed={}", harness.seed)]).collect();
    let mut recorder = RecorderProcess::start(&program, server.address, &run_dir.history(), &options)?;
    let mut controller = ClockController { server, file, tokens: Vec::new(), rooms: 0 };
    controller.log_in()?;
    let mut rng = Rng::new(harness.seed);
    for round in 1..=args.rounds {
        for (number, ahead) in JUMPS.into_iter().enumerate() {
            let jump = format!("jump {} of round {round}, to {ahead} s ahead of real time", number + 1);
            recorder.note(&jump)?;
            set(&controller.file, ahead)?;
            controller.check_after_jump(ahead).with_context(|| jump.clone())?;
            thread::sleep(rng.moment_within(MAX_UPTIME));
            // The restart happens at another jump in each round, so stored times are in the future or in the past.
            if number as u32 == round % JUMPS.len() as u32 {
                controller.restart().with_context(|| jump.clone())?;
                controller.check_after_jump(ahead).with_context(|| jump.clone())?;
            }
        }
    }
    recorder.finish()?;
    let connections = check_no_disconnects(&run_dir.history())?;
    println!(
        "the clock jumped {} times, with {} restarts; it ended none of {connections} connections, and no session",
        args.rounds as usize * JUMPS.len(),
        args.rounds
    );
    check(&program, &run_dir.history(), minimum_activity(args))
}

/// Replaces the file in one step, so that a reader never sees a part of it.
fn set(file: &Path, ahead: i64) -> Result<()> {
    let next = file.with_extension("next");
    fs::write(&next, format!("{ahead:+}\n"))?;
    fs::rename(&next, file).context("the clock cannot be set")
}

impl ClockController {
    /// Creates one session with durable state and one without.
    fn log_in(&mut self) -> Result<()> {
        let (_, stored) = client::new_session(self.server.address, None)?;
        client::Client::connect(self.server.address, client::Options::bearer(&stored))?.join("lobby")?;
        let (_, transient) = client::new_session(self.server.address, None)?;
        self.tokens.push((DURABLE, stored));
        self.tokens.push(("a session without durable state", transient));
        Ok(())
    }

    /// Checks that the store uses the new time, that sessions still hold and that messages are stored.
    fn check_after_jump(&mut self, ahead: i64) -> Result<()> {
        let address = self.server.address;
        let before = Metrics::scrape(address)?.value("messages_total")?;
        // A new room has no earlier event, whose time would be a lower bound.
        self.rooms += 1;
        let (_, token) = client::new_session(address, None)?;
        let mut client = client::Client::connect(address, client::Options::bearer(&token))?;
        let room = client.join(&format!("clock-{}", self.rooms))?.info.room;
        let bearer = format!("Bearer {token}");
        let path = format!("/api/v1/rooms/{room}/events");
        let page: EventPage =
            client::http(address, "GET", &path, &[("Authorization", &bearer)], b"")?.json()?;
        let event = page.events.first().context("a new room has no event")?;
        let real_time = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?;
        let offset = event.at.0 / 1_000 - real_time;
        ensure!(
            (offset - ahead).abs() <= CLOCK_TOLERANCE_SECS,
            "the server's clock is {offset} s ahead instead of {ahead} s"
        );
        for (who, token) in &self.tokens {
            let bearer = format!("Bearer {token}");
            let answer = client::http(address, "GET", "/api/v1/session", &[("Authorization", &bearer)], b"")?;
            ensure!(answer.status == 200, "{who} was logged out: {} {}", answer.status, answer.text());
        }
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let stored = Metrics::scrape(address)?.value("messages_total")?.saturating_sub(before);
            if stored >= MESSAGES {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("only {stored} messages were stored within {TIMEOUT:?}");
            }
            thread::sleep(POLL_INTERVAL);
        }
    }

    fn restart(&mut self) -> Result<()> {
        self.server.signal(Signal::TERM)?;
        let status = self.server.wait_for_exit(TIMEOUT)?;
        ensure!(status.success(), "the server ended with {status}");
        self.server.start()?;
        self.server.wait_until_open()?;
        // A restart forgets sessions without durable state, as docs/PROTOCOL.md states.
        self.tokens.retain(|(who, _)| *who == DURABLE);
        self.log_in()
    }
}

/// Fails unless every connection was closed by its client or by a shutdown. Returns how many there were.
pub(super) fn check_no_disconnects(history: &Path) -> Result<usize> {
    let mut connections = 0;
    let files = histories(history)?;
    let notes = files.first().context("the history is empty")?;
    let begin = notes.iter().find(|record| matches!(record.kind, RecordKind::Note { .. }));
    let begin = begin.context("the clock never jumped")?.at;
    for record in files.iter().flatten().filter(|record| record.at >= begin) {
        let RecordKind::Closed { code, .. } = &record.kind else { continue };
        connections += 1;
        if !matches!(code, 1000 | 1001) {
            bail!("the server ended a connection: {record}");
        }
    }
    Ok(connections)
}
