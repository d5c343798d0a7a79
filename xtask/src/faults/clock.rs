//! `cargo xtask faults clock`: the wall clock jumps, and nobody is to notice.

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
/// How far from the truth the clock stands, one after the other: an hour and thirty days, both ways, and each time back.
const JUMPS: [i64; 8] = [HOUR, 0, -HOUR, 0, MONTH, 0, -MONTH, 0];
/// How long it is left alone after a jump, at the most.
const MAX_UPTIME: Duration = Duration::from_secs(1);
/// So many messages have to be stored after each jump before the next.
const MESSAGES: u64 = 100;
/// How long that may take; and a stop.
const TIMEOUT: Duration = Duration::from_secs(20);
/// How often it is looked.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// What a clock that is read later may differ.
const CLOCK_TOLERANCE_SECS: i64 = 60;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How often all eight jumps are made, with a restart among them.
    #[arg(long, default_value_t = 20)]
    pub(super) rounds: u32,
    /// About how many messages are sent in a second.
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

/// The server, and the file from which its clock is set.
struct ClockController {
    server: ServerUnderTest,
    file: PathBuf,
    /// Sessions of people who are stored, and of one who is not; with what they are called when they are lost.
    tokens: Vec<(&'static str, String)>,
    /// Rooms that were made to see what the clock says.
    rooms: u32,
}

/// After each jump some hundred messages are stored, and not all of them are answered before a stop. Fifty cursors are named when all
/// come for the first time.
fn least(args: &Args) -> MinimumActivity {
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
    // A kernel's monotonic clock does not jump. Two names, of older and newer versions.
    server.set("DONT_FAKE_MONOTONIC", "1");
    server.set("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    // Whoever is held dead, and should not be, is so within the run.
    server.set("TEAHOUSE_TIMEOUTS_PING_INTERVAL", "2s");
    server.set("TEAHOUSE_TIMEOUTS_WEBSOCKET_IDLE", "8s");
    server.start()?;
    server.wait_until_open()?;
    let options = ["--writers=30", "--receivers=6"].map(str::to_owned).into_iter();
    let options: Vec<_> =
        options.chain([format!("--rate={}", args.rate), format!("--seed={}", harness.seed)]).collect();
    let mut recorder = RecorderProcess::start(&program, server.address, &run_dir.history(), &options)?;
    let mut it = ClockController { server, file, tokens: Vec::new(), rooms: 0 };
    it.log_in()?;
    let mut rng = Rng::new(harness.seed);
    for round in 1..=args.rounds {
        for (number, ahead) in JUMPS.into_iter().enumerate() {
            let jump = format!("jump {} of round {round}, to {ahead} s ahead of the truth", number + 1);
            recorder.note(&jump)?;
            set(&it.file, ahead)?;
            it.look(ahead).with_context(|| jump.clone())?;
            thread::sleep(rng.moment_within(MAX_UPTIME));
            // In turn with each jump; all that was stored then is in the future, or in the past.
            if number as u32 == round % JUMPS.len() as u32 {
                it.restart().with_context(|| jump.clone())?;
                it.look(ahead).with_context(|| jump.clone())?;
            }
        }
    }
    recorder.finish()?;
    let connections = check_no_disconnects(&run_dir.history())?;
    println!(
        "the clock jumped {} times, with {} restarts; none of {connections} connections was ended by it, and no session",
        args.rounds as usize * JUMPS.len(),
        args.rounds
    );
    check(&program, &run_dir.history(), least(args))
}

/// In one step, so that it is never read half written.
fn set(file: &Path, ahead: i64) -> Result<()> {
    let next = file.with_extension("next");
    fs::write(&next, format!("{ahead:+}\n"))?;
    fs::rename(&next, file).context("the clock cannot be set")
}

impl ClockController {
    /// One who is stored, and one who has done nothing durable.
    fn log_in(&mut self) -> Result<()> {
        let (_, stored) = client::new_session(self.server.address, None)?;
        client::Client::connect(self.server.address, client::Options::bearer(&stored))?.join("lobby")?;
        let (_, looking) = client::new_session(self.server.address, None)?;
        self.tokens.push(("somebody who is stored", stored));
        self.tokens.push(("somebody who has only looked in", looking));
        Ok(())
    }

    /// The jump has come to the store, life goes on, and everybody is who they were.
    fn look(&mut self, ahead: i64) -> Result<()> {
        let address = self.server.address;
        let before = Metrics::scrape(address)?.value("messages_total")?;
        // A new room has no earlier time that would hold its clock.
        self.rooms += 1;
        let (_, token) = client::new_session(address, None)?;
        let mut client = client::Client::connect(address, client::Options::bearer(&token))?;
        let room = client.join(&format!("clock-{}", self.rooms))?.room;
        let bearer = format!("Bearer {token}");
        let path = format!("/api/v1/rooms/{room}/events");
        let page: EventPage =
            client::http(address, "GET", &path, &[("Authorization", &bearer)], b"")?.json()?;
        let event = page.events.first().context("a new room has no event")?;
        let truth = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?;
        let off = event.at.0 / 1_000 - truth;
        ensure!(
            (off - ahead).abs() <= CLOCK_TOLERANCE_SECS,
            "the server's clock is {off} s ahead, and not {ahead} s"
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
        let status = self.server.wait_for_end(TIMEOUT)?;
        ensure!(status.success(), "the server ended with {status}");
        self.server.start()?;
        self.server.wait_until_open()?;
        // Who has done nothing durable is forgotten by a restart, as docs/PROTOCOL.md says.
        self.tokens.retain(|(who, _)| *who == "somebody who is stored");
        self.log_in()
    }
}

/// Every connection was ended by its client, or told that the server stops. How many there were.
fn check_no_disconnects(history: &Path) -> Result<usize> {
    let mut connections = 0;
    let files = histories(history)?;
    let notes = files.first().context("there is no history")?;
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
