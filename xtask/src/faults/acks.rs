//! `cargo xtask faults acks`: every second acknowledgement is destroyed on its way, and the server is restarted all the time.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;

use super::dice::Dice;
use super::prey::Prey;
use super::scene::Scene;
use super::stage::{Common, Stage};
use super::thief::Thief;
use super::witnesses::{Least, Witnesses, check};
use crate::workspace::Workspace;

const WRITERS: u32 = 50;
const RECEIVERS: u32 = 4;
/// So many are begun in a second, if all are answered; which they are not.
const RATE: u32 = 2_000;
/// How long a client waits for an answer before it sends again on the same connection.
const AGAIN_MS: u32 = 300;
/// How long the server is left alone once it is open.
const LONGEST_PEACE: Duration = Duration::from_secs(2);
/// What it is granted to stop, and more.
const STOPPING: Duration = Duration::from_secs(15);
/// Fewer messages in a second than this are no load but a standstill.
const SLOWEST: u32 = 20;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many messages.
    #[arg(long, default_value_t = 100_000)]
    pub(super) messages: u32,
    #[command(flatten)]
    pub(super) common: Common,
}

pub(super) const SHORT: Args = Args { messages: 3_000, common: Common::SHORT };

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let stage = Stage::build(workspace, &args.common)?;
    let again = format!("acks --messages {}", args.messages);
    stage.play(&again, stage.seed, |scene| one_history(&stage, args, scene))
}

/// Each message has its answer in the end; the other half of the attempts has none.
fn least(args: &Args) -> Least {
    let messages = u64::from(args.messages);
    Least {
        acknowledged: messages * 9 / 10,
        percent: 10,
        deliveries: 2 * messages,
        resumed: messages / 20,
        views: u64::from(WRITERS + RECEIVERS),
    }
}

fn one_history(stage: &Stage, args: &Args, scene: &Scene) -> Result<()> {
    let program = stage.binary("history");
    let mut server = Prey::new(stage.binary("teahouse"), scene.folder())?;
    server.start()?;
    server.wait_until_open()?;
    let thief = Thief::before(server.address, stage.seed)?;
    let options = [
        format!("--writers={WRITERS}"),
        format!("--receivers={RECEIVERS}"),
        format!("--rate={RATE}"),
        format!("--seed={}", stage.seed),
        format!("--messages={}", args.messages),
        format!("--again-ms={AGAIN_MS}"),
    ];
    let mut witnesses = Witnesses::call(&program, thief.address, &scene.history(), &options)?;
    let mut dice = Dice::new(stage.seed);
    let (mut killed, mut stopped) = (0, 0);
    let deadline = Instant::now() + Duration::from_secs(60 + u64::from(args.messages / SLOWEST));
    while !witnesses.have_enough_within(dice.moment_within(LONGEST_PEACE))? {
        ensure!(Instant::now() < deadline, "the clients are not answered, however often they ask");
        if dice.below(2) == 0 {
            server.kill()?;
            killed += 1;
            witnesses.note("killed")?;
        } else {
            server.signal(Signal::TERM)?;
            let status = server.wait_for_end(STOPPING)?;
            if !status.success() {
                bail!("told to stop, the server ended with {status}");
            }
            stopped += 1;
            witnesses.note("stopped")?;
        }
        server.start()?;
        server.wait_until_open().context("after a restart")?;
    }
    thief.reform();
    witnesses.note("nothing is destroyed any more")?;
    let loot = thief.loot();
    println!(
        "{} of {} acknowledgements were destroyed, {} connections were cut after it; the server was killed {killed} times and \
         stopped {stopped} times",
        loot.destroyed, loot.seen, loot.cut
    );
    ensure!(
        loot.destroyed * 5 > loot.seen * 2 && loot.seen > u64::from(args.messages),
        "too few acknowledgements were destroyed, so nothing is proved"
    );
    witnesses.finish()?;
    // Says so if it ended by itself.
    server.kill()?;
    check(&program, &scene.history(), least(args))
}
