//! `cargo xtask faults descriptors`: the server has fewer file descriptors than clients want to connect.

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

/// The server's limit of open descriptors.
const DESCRIPTOR_LIMIT: usize = 256;
/// The clients that the server must accept; the other descriptors are for the store and for rejecting clients.
const MIN_CLIENTS: usize = 100;
/// A room of the recorded clients.
const RECORDED_ROOM: &str = "room-0";
/// The number of clients that leave and are replaced.
const REPLACED_CLIENTS: usize = 30;
/// Bounds the time until a free slot is used again.
const SLOT_REUSE_TIMEOUT: Duration = Duration::from_secs(2);
/// The interval between two counts of open descriptors.
const POLL_INTERVAL: Duration = Duration::from_millis(10);
const TIMEOUT: Duration = Duration::from_secs(30);
/// The descriptors that the server may open for itself meanwhile, as the database sometimes does.
const SERVER_DESCRIPTORS: usize = 8;
/// The share of one core that the server may use while it is full: a busy loop would use all of it.
const MAX_CPU_SHARE: f64 = 0.5;
/// The interval between two attempts to connect while the server is full.
const CONNECT_INTERVAL: Duration = Duration::from_millis(20);
/// The number of simultaneous connection attempts.
const BURST: usize = 200;
/// The attempts of the burst that must receive 503. During it the server may close a connection before it reads the request.
const BURST_MIN_REJECTED: usize = 150;
/// The events per second that the connected clients must receive while the server is full.
const MIN_MESSAGES_PER_SECOND: usize = 2;
/// The server's log message when it is full: once at the start, and then at most every ten seconds.
const FULL_MESSAGE: &str = "connections are rejected";
const LOG_INTERVAL_SECS: u64 = 10;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How often the server becomes full and half empty again.
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
    harness.run(&replay_args, harness.seed, |run_dir| run_all_rounds(&harness, args, run_dir))
}

/// A tenth of what the connected clients usually send while the server is full.
fn minimum_activity(args: &Args) -> MinimumActivity {
    let acknowledged = 10 * u64::from(args.rounds) * args.seconds;
    MinimumActivity {
        acknowledged,
        percent: 50,
        deliveries: 2 * acknowledged,
        views: 20,
        ..MinimumActivity::default()
    }
}

fn run_all_rounds(harness: &Harness, args: &Args, run_dir: &RunDir) -> Result<()> {
    let program = harness.binary("history");
    let mut server = ServerUnderTest::new(harness.binary("teahouse"), run_dir.path())?;
    // The hard limit as well, because the server raises the soft one to it.
    server.start_via(["prlimit".to_owned(), format!("--nofile={DESCRIPTOR_LIMIT}:{DESCRIPTOR_LIMIT}")]);
    server.start()?;
    server.wait_until_open()?;
    let descriptors = Descriptors::of(server.pid()?);
    let mut observations = Observations { descriptors_idle: descriptors.count()?, ..Observations::default() };
    // The recorded clients connect before the server is full, and stay connected.
    let options = ["--writers=20", "--receivers=0", "--rooms=4", "--rate=100"].map(str::to_owned);
    let options: Vec<_> = options.into_iter().chain([format!("--seed={}", harness.seed)]).collect();
    let mut recorder = RecorderProcess::start(&program, server.address, &run_dir.history(), &options)?;
    let mut listener = client::Client::connect(server.address, client::Options::default())?;
    listener.join(RECORDED_ROOM)?;
    let baseline: usize = descriptors.settled(POLL_INTERVAL, TIMEOUT)?.values().sum();
    for round in 1..=args.rounds {
        recorder.note(&format!("the server is filled for the {number}. time", number = round))?;
        run_round(&server, &descriptors, args, &mut listener, &mut observations)
            .with_context(|| format!("round {round}"))?;
        descriptors
            .wait_for(..=baseline + SERVER_DESCRIPTORS, POLL_INTERVAL, TIMEOUT)
            .context("after the clients had left")?;
        recorder.note("the clients have left")?;
    }
    recorder.finish()?;
    check_log(run_dir, args, &mut observations)?;
    println!(
        "{} times full with {} to {} clients and at most {} of {DESCRIPTOR_LIMIT} descriptors ({} without clients): {} single attempts got 503, \
         and {} of {} simultaneous ones; at most {:.0} % of a core while run_all_rounds; {} free slots were reused, the \
         slowest after {:.0?}; {} log lines",
        args.rounds,
        observations.connected.0,
        observations.connected.1,
        observations.descriptors_used,
        observations.descriptors_idle,
        observations.rejected,
        observations.burst_rejected,
        args.rounds as usize * BURST,
        observations.cpu * 100.0,
        observations.slots_reused,
        observations.slowest,
        observations.log_lines,
    );
    check(&program, &run_dir.history(), minimum_activity(args))
}

/// The results of the run.
#[derive(Default)]
struct Observations {
    connected: (usize, usize),
    descriptors_used: usize,
    descriptors_idle: usize,
    rejected: usize,
    burst_rejected: usize,
    cpu: f64,
    slots_reused: usize,
    slowest: Duration,
    log_lines: usize,
}

fn run_round(
    server: &ServerUnderTest,
    descriptors: &Descriptors,
    args: &Args,
    listener: &mut client::Client,
    observations: &mut Observations,
) -> Result<()> {
    let mut clients = ConnectedClients::default();
    // More clients than can ever be accepted; the first rejection ends the loop.
    while clients.len() < DESCRIPTOR_LIMIT && clients.connect(server.address)? {}
    let connected = clients.len();
    ensure!(
        (MIN_CLIENTS..DESCRIPTOR_LIMIT).contains(&connected),
        "{connected} clients could connect besides the recorded ones"
    );
    observations.connected = match observations.connected {
        (0, 0) => (connected, connected),
        (minimum, most) => (minimum.min(connected), most.max(connected)),
    };
    listener.roundtrip()?;
    stay_full(server, descriptors, args, observations)?;
    let received =
        listener.roundtrip()?.iter().filter(|frame| matches!(frame, ServerFrame::Event(_))).count();
    let minimum = MIN_MESSAGES_PER_SECOND * args.seconds as usize;
    ensure!(
        received >= minimum,
        "while the server was full only {received} events of {RECORDED_ROOM} arrived, fewer than {minimum}"
    );
    let rejected = clients::burst(server.address, BURST)?;
    ensure!(rejected >= BURST_MIN_REJECTED, "of {BURST} simultaneous attempts only {rejected} got 503");
    observations.burst_rejected += rejected;
    clients.exchange_messages()?;
    // Each client that leaves is replaced by another.
    clients.leave(REPLACED_CLIENTS);
    for _ in 0..REPLACED_CLIENTS {
        let started = Instant::now();
        while !clients.connect(server.address)? {
            ensure!(
                started.elapsed() < SLOT_REUSE_TIMEOUT,
                "a free slot was not reused within {SLOT_REUSE_TIMEOUT:?}"
            );
            thread::sleep(CONNECT_INTERVAL);
        }
        let took = started.elapsed();
        ensure!(
            took < SLOT_REUSE_TIMEOUT,
            "a free slot was reused after {took:?}, which is more than {SLOT_REUSE_TIMEOUT:?}"
        );
        observations.slowest = observations.slowest.max(took);
        observations.slots_reused += 1;
    }
    clients.exchange_messages()
}

/// Keeps the server full: every further attempt must be rejected at once, at little cost.
fn stay_full(
    server: &ServerUnderTest,
    descriptors: &Descriptors,
    args: &Args,
    observations: &mut Observations,
) -> Result<()> {
    let pid = server.pid()?;
    let (started, cpu) = (Instant::now(), cpu_of(pid)?);
    while started.elapsed() < Duration::from_secs(args.seconds) {
        clients::expect_rejection(server.address)?;
        observations.rejected += 1;
        observations.descriptors_used = observations.descriptors_used.max(descriptors.count()?);
        thread::sleep(CONNECT_INTERVAL);
    }
    let share = cpu_of(pid)?.saturating_sub(cpu).as_secs_f64() / started.elapsed().as_secs_f64();
    ensure!(share < MAX_CPU_SHARE, "while full, the server used {:.0} % of a core", share * 100.0);
    observations.cpu = observations.cpu.max(share);
    Ok(())
}

/// Checks that the log reports the condition at the permitted rate, and no error.
fn check_log(run_dir: &RunDir, args: &Args, observations: &mut Observations) -> Result<()> {
    let log = fs::read_to_string(run_dir.path().join("server.log"))?;
    if let Some(line) = log.lines().find(|line| line.contains("\"ERROR\"")) {
        bail!("the server logged an error: {line}");
    }
    observations.log_lines = log.lines().filter(|line| line.contains(FULL_MESSAGE)).count();
    let most = u64::from(args.rounds) * (args.seconds / LOG_INTERVAL_SECS + 2);
    if observations.log_lines == 0 || observations.log_lines as u64 > most {
        bail!("{} log lines report that the server is full; expected 1 to {most}", observations.log_lines);
    }
    Ok(())
}
