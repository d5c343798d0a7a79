//! `cargo xtask faults cuts`: connections that end in every way but well, every few seconds, for everybody.

use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

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
/// Client N has this address and N. The one who reads the rooms at the end has another.
const CLIENTS: Ipv4Addr = Ipv4Addr::new(127, 1, 0, 0);
/// How often it is decided who is cut off next, and who is no more.
const TURN: Duration = Duration::from_millis(100);
/// In so many turns everybody is cut off about once: in five seconds.
const TURNS_PER_CUT: u64 = 50;
/// About how often a client closes its connection of itself.
const CLOSE_MS: u32 = 15_000;
/// How long a client waits in silence before it asks, and again before it gives up: some silences are shorter.
const SILENCE_MS: u32 = 1_500;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How long.
    #[arg(long, default_value_t = 600)]
    pub(super) seconds: u64,
    /// About how many messages are sent in a second, while nobody is cut off.
    #[arg(long, default_value_t = 200)]
    pub(super) rate: u32,
    #[command(flatten)]
    pub(super) common: CommonArgs,
}

pub(super) const SHORT_RUN: Args = Args { seconds: 10, rate: 200, common: CommonArgs::SHORT_RUN };

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let harness = Harness::build(workspace, &args.common)?;
    let replay_args = format!("cuts --seconds {} --rate {}", args.seconds, args.rate);
    network::in_namespace(|network| {
        harness.run(&replay_args, harness.seed, |run_dir| run_history(&harness, args, run_dir, network))
    })
}

/// A tenth of what is said and heard in a second, or less.
fn least(args: &Args) -> MinimumActivity {
    let people = u64::from(WRITERS + RECEIVERS);
    // Each names a cursor for each of its rooms also when it comes for the first time.
    let comings = u64::from(WRITERS + 3 * RECEIVERS);
    MinimumActivity {
        acknowledged: args.seconds * u64::from(args.rate) / 20,
        percent: 50,
        deliveries: 300 * args.seconds,
        resumed: comings + 3 * args.seconds,
        views: people,
    }
}

fn run_history(harness: &Harness, args: &Args, run_dir: &RunDir, network: &Network) -> Result<()> {
    let program = harness.binary("history");
    let mut server = ServerUnderTest::new(harness.binary("teahouse"), run_dir.path())?;
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
            network.cut(cutter.cuts.iter().map(|cut| (cut.address, cut.how)))?;
        }
    }
    network.cut([])?;
    recorder.note("nobody is cut off any more")?;
    let packet_counts = network.packet_counts()?;
    println!("{} clients were cut off {} times: {packet_counts}", WRITERS + RECEIVERS, cutter.counts);
    ensure!(
        packet_counts.reset > 0 && packet_counts.dropped > 0 && packet_counts.lost > 0,
        "not every harm was done, so nothing is proved"
    );
    recorder.finish()?;
    // Says so if it ended by itself.
    server.kill()?;
    check(&program, &run_dir.history(), least(args))
}

/// Who is cut off, and until when.
struct ConnectionCutter {
    rng: Rng,
    cuts: Vec<CutCounts>,
    counts: u64,
}

struct CutCounts {
    address: Ipv4Addr,
    how: NetworkFault,
    until: Instant,
}

impl ConnectionCutter {
    fn new(seed: u64) -> Self {
        Self { rng: Rng::new(seed), cuts: Vec::new(), counts: 0 }
    }

    /// Whether anything has changed.
    fn turn(&mut self, now: Instant) -> bool {
        let (before, counts) = (self.cuts.len(), self.counts);
        self.cuts.retain(|cut| cut.until > now);
        let healed = before - self.cuts.len();
        for number in 1..=WRITERS + RECEIVERS {
            let address = Ipv4Addr::from_bits(CLIENTS.to_bits() + number);
            // Decided for everybody, so that the same seed decides the same.
            if self.rng.below(TURNS_PER_CUT) != 0 || self.cuts.iter().any(|cut| cut.address == address) {
                continue;
            }
            let (how, longest) = match self.rng.below(20) {
                0..=7 => (NetworkFault::Reset, 2_000),
                8..=10 => (NetworkFault::Silence, 6_000),
                // What is missed then is no more in memory, and may be more than a catch-up holds.
                11 => (NetworkFault::Silence, 30_000),
                12 | 13 => (NetworkFault::DropInbound, 6_000),
                14 | 15 => (NetworkFault::DropOutbound, 6_000),
                _ => (NetworkFault::Loss, 6_000),
            };
            let until = now + self.rng.moment_within(Duration::from_millis(longest));
            self.cuts.push(CutCounts { address, how, until });
            self.counts += 1;
        }
        healed > 0 || self.counts > counts
    }
}
