//! `cargo xtask faults descriptors`: fewer open files than people who want to come in.

mod clients;

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use protocol::ServerFrame;

use super::harness::{CommonArgs, Harness};
use super::open_files::Descriptors;
use super::recorder_process::{MinimumActivity, RecorderProcess, check};
use super::resource_usage::cpu_of;
use super::run_dir::RunDir;
use super::server_under_test::ServerUnderTest;
use crate::workspace::Workspace;
use clients::ConnectedClients;

/// What the server may have open, in all.
const LIMIT: usize = 256;
/// So many it must take in all the same: the rest is for the store and for telling others no.
const MIN_CLIENTS: usize = 100;
/// A room of those who take down what they hear.
const RECORDED_ROOM: &str = "room-0";
/// So many leave at a time, and others come in their places.
const LEAVING: usize = 30;
/// How long a free place may take to be given away.
const SLOT_REUSE_TIMEOUT: Duration = Duration::from_secs(2);
/// How often its open files are counted, and how long they may take to be as they were.
const POLL_INTERVAL: Duration = Duration::from_millis(10);
const TIMEOUT: Duration = Duration::from_secs(30);
/// So many more the server may have opened for itself meanwhile: what the database needs now and then.
const OWN: usize = 8;
/// In a second of being full, beside what its people say: a loop that spins takes all of it.
const CPU_SHARE: f64 = 0.5;
/// How often somebody knocks while it is full.
const CONNECT_INTERVAL: Duration = Duration::from_millis(20);
/// So many at once.
const BURST: usize = 200;
/// Of these so many have to hear why; who comes while many are being told may be cut off before it has listened.
const BURST_MIN_REJECTED: usize = 150;
/// So much has to be said inside in each second while it is full.
const MIN_MESSAGES_PER_SECOND: usize = 2;
/// What the log says when it is full, and how often it may: every ten seconds, and when it begins.
const FULL_MESSAGE: &str = "connections are turned away";
const LOG_INTERVAL_SECS: u64 = 10;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How often it is full, and half empty again.
    #[arg(long, default_value_t = 20)]
    pub(super) rounds: u32,
    /// How long it stays full each time, in seconds.
    #[arg(long, default_value_t = 10)]
    pub(super) seconds: u64,
    #[command(flatten)]
    pub(super) common: CommonArgs,
}

pub(super) const SHORT_RUN: Args = Args { rounds: 2, seconds: 2, common: CommonArgs::SHORT_RUN };

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let harness = Harness::build(workspace, &args.common)?;
    let replay_args = format!("descriptors --rounds {} --seconds {}", args.rounds, args.seconds);
    harness.run(&replay_args, harness.seed, |run_dir| full(&harness, args, run_dir))
}

/// A tenth of what those who are inside say while it is full.
fn least(args: &Args) -> MinimumActivity {
    let acknowledged = 10 * u64::from(args.rounds) * args.seconds;
    MinimumActivity {
        acknowledged,
        percent: 50,
        deliveries: 2 * acknowledged,
        views: 20,
        ..MinimumActivity::default()
    }
}

fn full(harness: &Harness, args: &Args, run_dir: &RunDir) -> Result<()> {
    let program = harness.binary("history");
    let mut server = ServerUnderTest::new(harness.binary("teahouse"), run_dir.path())?;
    // The hard limit as well, or the server would raise it.
    server.start_via(["prlimit".to_owned(), format!("--nofile={LIMIT}:{LIMIT}")]);
    server.start()?;
    server.wait_until_open()?;
    let descriptors = Descriptors::of(server.pid()?);
    let mut observations = Observations { files_alone: descriptors.count()?, ..Observations::default() };
    // They are inside before it is full, and go on.
    let options = ["--writers=20", "--receivers=0", "--rooms=4", "--rate=100"].map(str::to_owned);
    let options: Vec<_> = options.into_iter().chain([format!("--seed={}", harness.seed)]).collect();
    let mut recorder = RecorderProcess::start(&program, server.address, &run_dir.history(), &options)?;
    let mut ear = client::Client::connect(server.address, client::Options::default())?;
    ear.join(RECORDED_ROOM)?;
    let before_they_come: usize = descriptors.settled(POLL_INTERVAL, TIMEOUT)?.values().sum();
    for round in 1..=args.rounds {
        recorder.note(&format!("they come for the {round}. time"))?;
        run_round(&server, &descriptors, args, &mut ear, &mut observations)
            .with_context(|| format!("round {round}"))?;
        descriptors
            .wait_for(..=before_they_come + OWN, POLL_INTERVAL, TIMEOUT)
            .context("when they had gone")?;
        recorder.note("they have gone")?;
    }
    recorder.finish()?;
    check_log(run_dir, args, &mut observations)?;
    println!(
        "{} times full with {} to {} clients and at most {} of {LIMIT} files ({} without any client): {} were told 503 one by \
         one, and {} of {} who came all at once; at most {:.0} % of a core while full; {} free slots were reused, the \
         slowest after {:.0?}; {} lines of log",
        args.rounds,
        observations.inside.0,
        observations.inside.1,
        observations.files,
        observations.files_alone,
        observations.refused,
        observations.storm_told,
        args.rounds as usize * BURST,
        observations.cpu * 100.0,
        observations.given_again,
        observations.slowest,
        observations.log_lines,
    );
    check(&program, &run_dir.history(), least(args))
}

/// What is told in the end.
#[derive(Default)]
struct Observations {
    inside: (usize, usize),
    files: usize,
    files_alone: usize,
    refused: usize,
    storm_told: usize,
    cpu: f64,
    given_again: usize,
    slowest: Duration,
    log_lines: usize,
}

fn run_round(
    server: &ServerUnderTest,
    descriptors: &Descriptors,
    args: &Args,
    ear: &mut client::Client,
    observations: &mut Observations,
) -> Result<()> {
    let mut clients = ConnectedClients::default();
    // More than could ever fit; the first who is refused ends it.
    while clients.len() < LIMIT && clients.connect(server.address)? {}
    let inside = clients.len();
    ensure!((MIN_CLIENTS..LIMIT).contains(&inside), "{inside} came in beside the others");
    observations.inside = match observations.inside {
        (0, 0) => (inside, inside),
        (least, most) => (least.min(inside), most.max(inside)),
    };
    ear.roundtrip()?;
    stay_full(server, descriptors, args, observations)?;
    let heard = ear.roundtrip()?.iter().filter(|frame| matches!(frame, ServerFrame::Event(_))).count();
    let least = MIN_MESSAGES_PER_SECOND * args.seconds as usize;
    ensure!(
        heard >= least,
        "while it was full only {heard} events of {RECORDED_ROOM} were heard inside, and not {least}"
    );
    let told = clients::burst(server.address, BURST)?;
    ensure!(told >= BURST_MIN_REJECTED, "of {BURST} who came at once only {told} were told 503");
    observations.storm_told += told;
    clients.exchange_messages()?;
    // In the place of each who leaves comes another.
    clients.leave(LEAVING);
    for _ in 0..LEAVING {
        let begun = Instant::now();
        while !clients.connect(server.address)? {
            ensure!(
                begun.elapsed() < SLOT_REUSE_TIMEOUT,
                "a free place was not given away within {SLOT_REUSE_TIMEOUT:?}"
            );
            thread::sleep(CONNECT_INTERVAL);
        }
        let took = begun.elapsed();
        ensure!(
            took < SLOT_REUSE_TIMEOUT,
            "a free place was given away after {took:?}, and not within {SLOT_REUSE_TIMEOUT:?}"
        );
        observations.slowest = observations.slowest.max(took);
        observations.given_again += 1;
    }
    clients.exchange_messages()
}

/// Everybody who knocks is told no, at once and without much ado.
fn stay_full(
    server: &ServerUnderTest,
    descriptors: &Descriptors,
    args: &Args,
    observations: &mut Observations,
) -> Result<()> {
    let pid = server.pid()?;
    let (begun, cpu) = (Instant::now(), cpu_of(pid)?);
    while begun.elapsed() < Duration::from_secs(args.seconds) {
        clients::expect_rejection(server.address)?;
        observations.refused += 1;
        observations.files = observations.files.max(descriptors.count()?);
        thread::sleep(CONNECT_INTERVAL);
    }
    let share = cpu_of(pid)?.saturating_sub(cpu).as_secs_f64() / begun.elapsed().as_secs_f64();
    ensure!(share < CPU_SHARE, "while it was full it took {:.0} % of a core", share * 100.0);
    observations.cpu = observations.cpu.max(share);
    Ok(())
}

/// It says that it is full, and does not say it all the time; and nothing failed for want of a file.
fn check_log(run_dir: &RunDir, args: &Args, observations: &mut Observations) -> Result<()> {
    let log = fs::read_to_string(run_dir.path().join("server.log"))?;
    if let Some(line) = log.lines().find(|line| line.contains("\"ERROR\"")) {
        bail!("something failed in the server: {line}");
    }
    observations.log_lines = log.lines().filter(|line| line.contains(FULL_MESSAGE)).count();
    let most = u64::from(args.rounds) * (args.seconds / LOG_INTERVAL_SECS + 2);
    if observations.log_lines == 0 || observations.log_lines as u64 > most {
        bail!(
            "{} lines of the log say that it is full; 1 to {most} were to be expected",
            observations.log_lines
        );
    }
    Ok(())
}
