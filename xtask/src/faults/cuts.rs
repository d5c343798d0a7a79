//! `cargo xtask faults cuts`: connections that end in every way but well, every few seconds, for everybody.

use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::dice::Dice;
use super::network::{self, Cut, Network};
use super::prey::Prey;
use super::scene::Scene;
use super::stage::{Common, Stage};
use super::witnesses::{Least, Witnesses, check};
use crate::workspace::Workspace;

const WRITERS: u32 = 120;
const RECEIVERS: u32 = 80;
const ROOMS: u32 = 20;
/// Client N has this address and N. The one who reads the rooms at the end has another.
const CLIENTS: Ipv4Addr = Ipv4Addr::new(127, 1, 0, 0);
/// How often it is decided who is cut off next, and who is no more.
const TURN: Duration = Duration::from_millis(100);
/// In so many turns everybody is cut off about once: in five seconds.
const TURNS_A_CUT: u64 = 50;
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
    pub(super) common: Common,
}

pub(super) const SHORT: Args = Args { seconds: 10, rate: 200, common: Common::SHORT };

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let stage = Stage::build(workspace, &args.common)?;
    let again = format!("cuts --seconds {} --rate {}", args.seconds, args.rate);
    network::in_its_own(|network| {
        stage.play(&again, stage.seed, |scene| one_history(&stage, args, scene, network))
    })
}

/// A tenth of what is said and heard in a second, or less.
fn least(args: &Args) -> Least {
    let people = u64::from(WRITERS + RECEIVERS);
    // Each names a cursor for each of its rooms also when it comes for the first time.
    let comings = u64::from(WRITERS + 3 * RECEIVERS);
    Least {
        acknowledged: args.seconds * u64::from(args.rate) / 20,
        percent: 50,
        deliveries: 300 * args.seconds,
        resumed: comings + 3 * args.seconds,
        views: people,
    }
}

fn one_history(stage: &Stage, args: &Args, scene: &Scene, network: &Network) -> Result<()> {
    let program = stage.binary("history");
    let mut server = Prey::new(stage.binary("teahouse"), scene.folder())?;
    server.start()?;
    server.wait_until_open()?;
    let options = [
        format!("--writers={WRITERS}"),
        format!("--receivers={RECEIVERS}"),
        format!("--rooms={ROOMS}"),
        format!("--rate={}", args.rate),
        format!("--seed={}", stage.seed),
        format!("--from={CLIENTS}"),
        format!("--close-ms={CLOSE_MS}"),
        format!("--silence-ms={SILENCE_MS}"),
    ];
    let mut witnesses = Witnesses::call(&program, server.address, &scene.history(), &options)?;
    let mut scissors = Scissors::new(stage.seed);
    let end = Instant::now() + Duration::from_secs(args.seconds);
    while Instant::now() < end {
        thread::sleep(TURN);
        if scissors.turn(Instant::now()) {
            network.cut(scissors.cuts.iter().map(|cut| (cut.address, cut.how)))?;
        }
    }
    network.cut([])?;
    witnesses.note("nobody is cut off any more")?;
    let harm = network.harm()?;
    println!("{} clients were cut off {} times: {harm}", WRITERS + RECEIVERS, scissors.made);
    ensure!(
        harm.reset > 0 && harm.dropped > 0 && harm.lost > 0,
        "not every harm was done, so nothing is proved"
    );
    witnesses.finish()?;
    // Says so if it ended by itself.
    server.kill()?;
    check(&program, &scene.history(), least(args))
}

/// Who is cut off, and until when.
struct Scissors {
    dice: Dice,
    cuts: Vec<Made>,
    made: u64,
}

struct Made {
    address: Ipv4Addr,
    how: Cut,
    until: Instant,
}

impl Scissors {
    fn new(seed: u64) -> Self {
        Self { dice: Dice::new(seed), cuts: Vec::new(), made: 0 }
    }

    /// Whether anything has changed.
    fn turn(&mut self, now: Instant) -> bool {
        let (before, made) = (self.cuts.len(), self.made);
        self.cuts.retain(|cut| cut.until > now);
        let healed = before - self.cuts.len();
        for number in 1..=WRITERS + RECEIVERS {
            let address = Ipv4Addr::from_bits(CLIENTS.to_bits() + number);
            // Decided for everybody, so that the same seed decides the same.
            if self.dice.below(TURNS_A_CUT) != 0 || self.cuts.iter().any(|cut| cut.address == address) {
                continue;
            }
            let (how, longest) = match self.dice.below(20) {
                0..=7 => (Cut::Reset, 2_000),
                8..=10 => (Cut::Silence, 6_000),
                // What is missed then is no more in memory, and may be more than a catch-up holds.
                11 => (Cut::Silence, 30_000),
                12 | 13 => (Cut::Unheard, 6_000),
                14 | 15 => (Cut::Deaf, 6_000),
                _ => (Cut::Loss, 6_000),
            };
            let until = now + self.dice.moment_within(Duration::from_millis(longest));
            self.cuts.push(Made { address, how, until });
            self.made += 1;
        }
        healed > 0 || self.made > made
    }
}
