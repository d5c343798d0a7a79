//! `cargo xtask faults stop`: SIGTERM under a crowd, again and again.

mod knocks;
mod returns;

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use super::dice::Dice;
use super::gauges::Counters;
use super::prey::Prey;
use super::scene::Scene;
use super::stage::{Common, Stage};
use super::witnesses::{Least, Witnesses, check};
use crate::workspace::Workspace;
use knocks::{Knocks, Outcomes};

/// What docs/ARCHITECTURE.md gives a stop at the most, and a little for a busy machine.
const LONGEST_STOP: Duration = Duration::from_secs(12);
/// How long all may take to be there: the longest spread that they are told, and what a busy machine adds.
const GATHERING: Duration = Duration::from_secs(60);
/// How often it is asked who is there.
const LOOK: Duration = Duration::from_millis(50);
/// So many come while it stops.
const KNOCKS: u32 = 64;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many are connected.
    #[arg(long, default_value_t = 2_000)]
    pub(super) clients: u32,
    /// How many of them say something.
    #[arg(long, default_value_t = 50)]
    pub(super) writers: u32,
    /// How often it is stopped and started.
    #[arg(long, default_value_t = 20)]
    pub(super) restarts: u32,
    /// About how many messages are sent in a second.
    #[arg(long, default_value_t = 20)]
    pub(super) rate: u32,
    #[command(flatten)]
    pub(super) common: Common,
}

pub(super) const SHORT: Args =
    Args { clients: 200, writers: 20, restarts: 2, rate: 400, common: Common::SHORT };

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let stage = Stage::build(workspace, &args.common)?;
    let again = format!(
        "stop --clients {} --writers {} --restarts {} --rate {}",
        args.clients, args.writers, args.restarts, args.rate
    );
    stage.play(&again, stage.seed, |scene| restarts(&stage, args, scene))
}

/// Everybody names a cursor when it comes for the first time, comes back each time, and hears what some of the writers say meanwhile.
fn least(args: &Args) -> Least {
    let (clients, restarts) = (u64::from(args.clients), u64::from(args.restarts));
    Least {
        acknowledged: 5 * restarts,
        percent: 25,
        deliveries: clients * restarts,
        resumed: clients + clients * restarts * 3 / 4,
        views: clients,
    }
}

fn restarts(stage: &Stage, args: &Args, scene: &Scene) -> Result<()> {
    let program = stage.binary("history");
    let mut server = Prey::new(stage.binary("teahouse"), scene.folder())?;
    server.start()?;
    server.wait_until_open()?;
    let listeners = args.clients.checked_sub(args.writers).context("more write than there are")?;
    let options = [
        format!("--writers={}", args.writers),
        "--receivers=0".to_owned(),
        format!("--listeners={listeners}"),
        format!("--rate={}", args.rate),
        format!("--seed={}", stage.seed),
    ];
    let mut witnesses = Witnesses::call(&program, server.address, &scene.history(), &options)?;
    // Stored, because it has joined.
    let (_, token) = client::new_session(server.address, None)?;
    client::Client::connect(server.address, client::Options::bearer(&token))?.join("lobby")?;
    let mut dice = Dice::new(stage.seed);
    let (mut longest, mut outcomes) = (Duration::ZERO, Outcomes::default());
    for number in 1..=args.restarts {
        wait_for_all(&server, args.clients)?;
        let knocks = Knocks::ready(server.address, &token, KNOCKS, &mut dice)?;
        witnesses.note(&format!("{}{number}. time", returns::TOLD))?;
        let told = Instant::now();
        server.signal(Signal::TERM)?;
        knocks.begin();
        let status = server.wait_for_end(LONGEST_STOP).with_context(|| format!("stop {number}"))?;
        longest = longest.max(told.elapsed());
        if !status.success() {
            bail!("stop {number}: the server ended with {status}");
        }
        knocks.end();
        server.start()?;
        server.wait_until_open().with_context(|| format!("start {}", number + 1))?;
        witnesses.note(returns::OPEN)?;
        outcomes.add(&knocks.outcomes().with_context(|| format!("stop {number}"))?);
    }
    wait_for_all(&server, args.clients)?;
    witnesses.finish()?;
    let summary = returns::judge(&scene.history(), args.clients, KNOCKS)?;
    println!(
        "stopped {} times under {} clients, the longest in {longest:.1?}; {summary}",
        args.restarts, args.clients
    );
    println!("of those who came meanwhile {outcomes}");
    check(&program, &scene.history(), least(args))
}

/// Until everybody is back, as the server counts them.
fn wait_for_all(server: &Prey, clients: u32) -> Result<()> {
    let deadline = Instant::now() + GATHERING;
    loop {
        let count = Counters::ask(server.address)?.value("connections")?;
        if count >= u64::from(clients) {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("only {count} of {clients} clients were there after {GATHERING:?}");
        }
        thread::sleep(LOOK);
    }
}
