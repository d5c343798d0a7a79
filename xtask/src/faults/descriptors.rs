//! `cargo xtask faults descriptors`: fewer open files than people who want to come in.

mod crowd;

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use protocol::ServerFrame;

use super::gauges::cpu_of;
use super::open_files::Descriptors;
use super::prey::Prey;
use super::scene::Scene;
use super::stage::{Common, Stage};
use super::witnesses::{Least, Witnesses, check};
use crate::workspace::Workspace;
use crowd::Crowd;

/// What the server may have open, in all.
const LIMIT: usize = 256;
/// So many it must take in all the same: the rest is for the store and for telling others no.
const AT_LEAST: usize = 100;
/// A room of those who take down what they hear.
const WITNESSED: &str = "room-0";
/// So many leave at a time, and others come in their places.
const LEAVE: usize = 30;
/// How long a free place may take to be given away.
const AT_ONCE: Duration = Duration::from_secs(2);
/// How often its open files are counted, and how long they may take to be as they were.
const LOOK: Duration = Duration::from_millis(10);
const PATIENCE: Duration = Duration::from_secs(30);
/// So many more the server may have opened for itself meanwhile: what the database needs now and then.
const OWN: usize = 8;
/// In a second of being full, beside what its people say: a loop that spins takes all of it.
const CPU_SHARE: f64 = 0.5;
/// How often somebody knocks while it is full.
const BETWEEN_KNOCKS: Duration = Duration::from_millis(20);
/// So many at once.
const STORM: usize = 200;
/// Of these so many have to hear why; who comes while many are being told may be cut off before it has listened.
const STORM_TOLD: usize = 150;
/// So much has to be said inside in each second while it is full.
const MESSAGES_A_SECOND: usize = 2;
/// What the log says when it is full, and how often it may: every ten seconds, and when it begins.
const FULL: &str = "connections are turned away";
const SILENCE_SECS: u64 = 10;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How often it is full, and half empty again.
    #[arg(long, default_value_t = 20)]
    pub(super) rounds: u32,
    /// How long it stays full each time, in seconds.
    #[arg(long, default_value_t = 10)]
    pub(super) seconds: u64,
    #[command(flatten)]
    pub(super) common: Common,
}

pub(super) const SHORT: Args = Args { rounds: 2, seconds: 2, common: Common::SHORT };

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let stage = Stage::build(workspace, &args.common)?;
    let again = format!("descriptors --rounds {} --seconds {}", args.rounds, args.seconds);
    stage.play(&again, stage.seed, |scene| full(&stage, args, scene))
}

/// A tenth of what those who are inside say while it is full.
fn least(args: &Args) -> Least {
    let acknowledged = 10 * u64::from(args.rounds) * args.seconds;
    Least { acknowledged, percent: 50, deliveries: 2 * acknowledged, views: 20, ..Least::default() }
}

fn full(stage: &Stage, args: &Args, scene: &Scene) -> Result<()> {
    let program = stage.binary("history");
    let mut server = Prey::new(stage.binary("teahouse"), scene.folder())?;
    // The hard limit as well, or the server would raise it.
    server.start_through(["prlimit".to_owned(), format!("--nofile={LIMIT}:{LIMIT}")]);
    server.start()?;
    server.wait_until_open()?;
    let descriptors = Descriptors::of(server.pid()?);
    let mut said = Said { files_alone: descriptors.count()?, ..Said::default() };
    // They are inside before it is full, and go on.
    let options = ["--writers=20", "--receivers=0", "--rooms=4", "--rate=100"].map(str::to_owned);
    let options: Vec<_> = options.into_iter().chain([format!("--seed={}", stage.seed)]).collect();
    let mut witnesses = Witnesses::call(&program, server.address, &scene.history(), &options)?;
    let mut ear = client::Client::connect(server.address, client::Options::default())?;
    ear.join(WITNESSED)?;
    let before_they_come: usize = descriptors.settled(LOOK, PATIENCE)?.values().sum();
    for round in 1..=args.rounds {
        witnesses.note(&format!("they come for the {round}. time"))?;
        one_round(&server, &descriptors, args, &mut ear, &mut said)
            .with_context(|| format!("round {round}"))?;
        descriptors.wait_for(..=before_they_come + OWN, LOOK, PATIENCE).context("when they had gone")?;
        witnesses.note("they have gone")?;
    }
    witnesses.finish()?;
    look_into_log(scene, args, &mut said)?;
    println!(
        "{} times full with {} to {} clients and at most {} of {LIMIT} files ({} without any client): {} were told 503 one by \
         one, and {} of {} who came all at once; at most {:.0} % of a core while full; {} places were given away again, the \
         slowest after {:.0?}; {} lines of log",
        args.rounds,
        said.inside.0,
        said.inside.1,
        said.files,
        said.files_alone,
        said.refused,
        said.storm_told,
        args.rounds as usize * STORM,
        said.cpu * 100.0,
        said.given_again,
        said.slowest,
        said.log_lines,
    );
    check(&program, &scene.history(), least(args))
}

/// What is told in the end.
#[derive(Default)]
struct Said {
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

fn one_round(
    server: &Prey,
    descriptors: &Descriptors,
    args: &Args,
    ear: &mut client::Client,
    said: &mut Said,
) -> Result<()> {
    let mut crowd = Crowd::default();
    // More than could ever fit; the first who is refused ends it.
    while crowd.len() < LIMIT && crowd.knock(server.address)? {}
    let inside = crowd.len();
    ensure!((AT_LEAST..LIMIT).contains(&inside), "{inside} came in beside the others");
    said.inside = match said.inside {
        (0, 0) => (inside, inside),
        (least, most) => (least.min(inside), most.max(inside)),
    };
    ear.roundtrip()?;
    stay_full(server, descriptors, args, said)?;
    let heard = ear.roundtrip()?.iter().filter(|frame| matches!(frame, ServerFrame::Event(_))).count();
    let least = MESSAGES_A_SECOND * args.seconds as usize;
    ensure!(
        heard >= least,
        "while it was full only {heard} events of {WITNESSED} were heard inside, and not {least}"
    );
    let told = crowd::storm(server.address, STORM)?;
    ensure!(told >= STORM_TOLD, "of {STORM} who came at once only {told} were told 503");
    said.storm_told += told;
    crowd.hear_one_another()?;
    // In the place of each who leaves comes another.
    crowd.leave(LEAVE);
    for _ in 0..LEAVE {
        let begun = Instant::now();
        while !crowd.knock(server.address)? {
            ensure!(begun.elapsed() < AT_ONCE, "a free place was not given away within {AT_ONCE:?}");
            thread::sleep(BETWEEN_KNOCKS);
        }
        let took = begun.elapsed();
        ensure!(took < AT_ONCE, "a free place was given away after {took:?}, and not within {AT_ONCE:?}");
        said.slowest = said.slowest.max(took);
        said.given_again += 1;
    }
    crowd.hear_one_another()
}

/// Everybody who knocks is told no, at once and without much ado.
fn stay_full(server: &Prey, descriptors: &Descriptors, args: &Args, said: &mut Said) -> Result<()> {
    let pid = server.pid()?;
    let (begun, cpu) = (Instant::now(), cpu_of(pid)?);
    while begun.elapsed() < Duration::from_secs(args.seconds) {
        crowd::must_be_refused(server.address)?;
        said.refused += 1;
        said.files = said.files.max(descriptors.count()?);
        thread::sleep(BETWEEN_KNOCKS);
    }
    let share = cpu_of(pid)?.saturating_sub(cpu).as_secs_f64() / begun.elapsed().as_secs_f64();
    ensure!(share < CPU_SHARE, "while it was full it took {:.0} % of a core", share * 100.0);
    said.cpu = said.cpu.max(share);
    Ok(())
}

/// It says that it is full, and does not say it all the time; and nothing failed for want of a file.
fn look_into_log(scene: &Scene, args: &Args, said: &mut Said) -> Result<()> {
    let log = fs::read_to_string(scene.folder().join("server.log"))?;
    if let Some(line) = log.lines().find(|line| line.contains("\"ERROR\"")) {
        bail!("something failed in the server: {line}");
    }
    said.log_lines = log.lines().filter(|line| line.contains(FULL)).count();
    let most = u64::from(args.rounds) * (args.seconds / SILENCE_SECS + 2);
    if said.log_lines == 0 || said.log_lines as u64 > most {
        bail!("{} lines of the log say that it is full; 1 to {most} were to be expected", said.log_lines);
    }
    Ok(())
}
