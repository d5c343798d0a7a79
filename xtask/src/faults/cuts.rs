//! `cargo xtask faults cuts`: every client loses its connection every few seconds, in all ways except a clean close.

use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::database::Database;
use super::harness::{CommonArgs, Harness};
use super::network::{self, Network, NetworkFault};
use super::recorder_process::{MinimumActivity, RecorderProcess, check};
use super::rng::Rng;
use super::run_dir::RunDir;
use super::server_under_test::ServerUnderTest;
use crate::workspace::Workspace;

const WRITERS: u32 = 120;
const RECEIVERS: u32 = 80;
const ROOMS: u32 = 20;
/// Client N has this address plus N. The reader at the end has another one.
const CLIENTS: Ipv4Addr = Ipv4Addr::new(127, 1, 0, 0);
/// The interval between two decisions about cuts.
const TURN: Duration = Duration::from_millis(100);
/// Each client is cut off about once in this many turns, that is every five seconds.
const TURNS_PER_CUT: u64 = 50;
/// Mean time after which a client closes its connection by itself.
const CLOSE_MS: u32 = 15_000;
/// How long a client waits without traffic before it sends a ping, and again before it gives up; some faults are shorter.
const SILENCE_MS: u32 = 1_500;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How long the run lasts.
    #[arg(long, default_value_t = 600)]
    pub(super) seconds: u64,
    /// Messages sent per second while no client is cut off, approximately.
    #[arg(long, default_value_t = 200)]
    pub(super) rate: u32,
    /// The server's database. Its connections are not cut.
    #[arg(long, value_enum, default_value_t)]
    pub(super) database: Database,
    #[command(flatten)]
    pub(super) common: CommonArgs,
}

pub(super) const SHORT_RUN: Args =
    Args { seconds: 10, rate: 200, database: Database::Sqlite, common: CommonArgs::SHORT_RUN };
pub(super) const SHORT_RUN_ON_POSTGRES: Args = Args { seconds: 8, database: Database::Postgres, ..SHORT_RUN };

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let harness = Harness::build(workspace, &args.common)?;
    let replay_args =
        format!("cuts --seconds {} --rate {}{}", args.seconds, args.rate, args.database.replay_args());
    network::in_namespace(|network| {
        harness.run(&replay_args, harness.seed, |run_dir| run_history(&harness, args, run_dir, network))
    })
}

/// At most a tenth of what is usually sent and received per second.
fn minimum_activity(args: &Args) -> MinimumActivity {
    let clients = u64::from(WRITERS + RECEIVERS);
    // A client names a cursor for each of its rooms at its first join as well.
    let first_joins = u64::from(WRITERS + 3 * RECEIVERS);
    MinimumActivity {
        acknowledged: args.seconds * u64::from(args.rate) / 20,
        percent: 50,
        deliveries: 300 * args.seconds,
        resumed: first_joins + 3 * args.seconds,
        views: clients,
    }
}

fn run_history(harness: &Harness, args: &Args, run_dir: &RunDir, network: &Network) -> Result<()> {
    let program = harness.binary("history");
    let mut server = ServerUnderTest::new(harness.binary("teahouse"), run_dir.path())?;
    let _postgres = args.database.start(run_dir, &mut server)?;
    server.start()?;
    server.wait_until_open()?;
    let options = [
        format!("--writers={WRITERS}"),
        format!("--receivers={RECEIVERS}"),
        format!("--rooms={ROOMS}"),
        format!("--rate={}", args.rate),
        format!("--seed={}", harness.seed),
        format!("--source-base={CLIENTS}"),
        format!("--reconnect-ms={CLOSE_MS}"),
        format!("--keepalive-ms={SILENCE_MS}"),
    ];
    let mut recorder = RecorderProcess::start(&program, server.address, &run_dir.history(), &options)?;
    let mut cutter = ConnectionCutter::new(harness.seed);
    let end = Instant::now() + Duration::from_secs(args.seconds);
    while Instant::now() < end {
        thread::sleep(TURN);
        if cutter.turn(Instant::now()) {
            network.set_faults(cutter.cuts.iter().map(|cut| (cut.address, cut.how)))?;
        }
    }
    network.set_faults([])?;
    recorder.note("no more connections are cut")?;
    let packet_counts = network.packet_counts()?;
    println!("{} clients were cut off {} times: {packet_counts}", WRITERS + RECEIVERS, cutter.counts);
    ensure!(
        packet_counts.reset > 0 && packet_counts.dropped > 0 && packet_counts.lost > 0,
        "not every kind of network fault occurred, so the run proves nothing"
    );
    recorder.finish()?;
    // Fails if the server has exited by itself.
    server.kill()?;
    check(&program, &run_dir.history(), minimum_activity(args))
}

/// Decides which clients are cut off, in which way, and for how long.
struct ConnectionCutter {
    rng: Rng,
    cuts: Vec<Cut>,
    counts: u64,
}

struct Cut {
    address: Ipv4Addr,
    how: NetworkFault,
    until: Instant,
}

impl ConnectionCutter {
    fn new(seed: u64) -> Self {
        Self { rng: Rng::new(seed), cuts: Vec::new(), counts: 0 }
    }

    /// Ends expired cuts and starts new ones. Returns whether anything changed.
    fn turn(&mut self, now: Instant) -> bool {
        let (before, counts) = (self.cuts.len(), self.counts);
        self.cuts.retain(|cut| cut.until > now);
        let ended = before - self.cuts.len();
        for number in 1..=WRITERS + RECEIVERS {
            let address = Ipv4Addr::from_bits(CLIENTS.to_bits() + number);
            // A random number is drawn for every client, so that one seed always gives the same sequence.
            if self.rng.below(TURNS_PER_CUT) != 0 || self.cuts.iter().any(|cut| cut.address == address) {
                continue;
            }
            let (how, longest) = match self.rng.below(20) {
                0..=7 => (NetworkFault::Reset, 2_000),
                8..=10 => (NetworkFault::Blackhole, 6_000),
                // Long enough that the missed events have left memory, and may exceed one catch-up.
                11 => (NetworkFault::Blackhole, 30_000),
                12 | 13 => (NetworkFault::DropInbound, 6_000),
                14 | 15 => (NetworkFault::DropOutbound, 6_000),
                _ => (NetworkFault::Loss, 6_000),
            };
            let until = now + self.rng.moment_within(Duration::from_millis(longest));
            self.cuts.push(Cut { address, how, until });
            self.counts += 1;
        }
        ended > 0 || self.counts > counts
    }
}
