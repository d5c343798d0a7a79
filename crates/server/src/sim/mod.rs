//! The whole server on one thread, under a time that passes when it is told to: its shards, commands, logs, the loom that commits
//! and the local bus are the real ones; the store is the one in memory, the network is made of queues. A seed chooses who comes,
//! what they say and what goes wrong: connections are cut or fall silent, readers stall, sockets take a few bytes, commits are
//! late, fail, or are stored without a word of it, words on the bus are lost, doubled and late, the wall clock jumps, the
//! process dies, or is stopped, and starts again; the operator restores a backup.
//!
//! Bounds are checked at every turn of a shard; when all has come to rest everybody must have everything, and the history of
//! what all clients did and saw is held against the promises by the crate `history`.
//!
//! A failure prints its seed, all that happened, and the command that runs it again. `cargo xtask sim --seeds N` runs more.
//!
//! | file | what it holds |
//! |---|---|
//! | `world.rs` | the schedule, and who is there |
//! | `network.rs`, `faults.rs` | connections and what comes over them; what goes wrong |
//! | `process.rs` | the server as one value |
//! | `client.rs`, `lines.rs` | an honest client of docs/PROTOCOL.md; somebody with a plain-text tool |
//! | `logout.rs` | sessions that end, as HTTP ends them |
//! | `quiesce.rs` | what is checked when nothing is in progress |
//! | `wire.rs`, `services.rs` | a connection in memory; the rest of the house as a shard sees it |
//! | `rng.rs` | random numbers from a seed |

mod client;
mod faults;
mod lines;
mod logout;
mod network;
mod process;
mod quiesce;
pub(crate) mod rng;
pub(crate) mod services;
pub(crate) mod wire;
mod world;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

use world::World;

/// How many seeds every run of the tests takes.
const SEEDS: u64 = 100;

/// What a seed came to.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    heard: u64,
    restarts: u64,
    digest: u64,
}

fn run(seed: u64, tells: bool) -> Outcome {
    let mut world = World::new(seed);
    world.tells = tells;
    live(&mut world)
}

fn live(world: &mut World) -> Outcome {
    let rests = 1 + world.rng.below(2);
    for rest in 1..=rests {
        let until = world.now + Duration::from_secs(5 + world.rng.below(25));
        world.run(until, |_| false);
        world.quiesce(rest == rests);
        if rest < rests {
            world.trouble();
        }
    }
    world.check_history();
    world.end();
    Outcome { heard: world.deliveries, restarts: world.restarts, digest: world.digest }
}

/// What broke, in words, if anything did.
fn verdict(seed: u64) -> Result<Outcome, String> {
    catch_unwind(AssertUnwindSafe(|| run(seed, false))).map_err(|defect| words(&*defect))
}

fn words(defect: &dyn Any) -> String {
    let text = defect.downcast_ref::<String>().map(String::as_str);
    text.or(defect.downcast_ref::<&str>().copied()).unwrap_or("a panic without words").to_owned()
}

/// What the checker makes of a seed's history, where it ends because something broke: it knows nothing of what the clients of the
/// simulation hold against the store on the way.
#[cfg(feature = "fault-injection")]
fn verdict_of_history(seed: u64) -> Option<String> {
    let mut world = World::new(seed);
    let defect = words(&*catch_unwind(AssertUnwindSafe(|| live(&mut world))).err()?);
    // Nothing else broke on the way.
    if defect.contains("VIOLATION") {
        return Some(defect);
    }
    world.judge_history(defect.contains("rest"))
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn simulation_with_faults_keeps_every_promise() {
    let (first, count) = match number("TEAHOUSE_SIM_SEED") {
        Some(seed) => (seed, number("TEAHOUSE_SIM_SEEDS").unwrap_or(1)),
        None => (0, number("TEAHOUSE_SIM_SEEDS").unwrap_or(SEEDS)),
    };
    let began = Instant::now();
    let mut total = Outcome::default();
    for seed in first..first + count {
        match verdict(seed) {
            Ok(outcome) => {
                total.heard += outcome.heard;
                total.restarts += outcome.restarts;
            }
            Err(what) => {
                // Once more, aloud.
                let again = catch_unwind(AssertUnwindSafe(|| run(seed, true)));
                println!("{what}\nrun it again: cargo xtask sim --seed {seed}");
                resume_unwind(again.err().unwrap_or_else(|| Box::new("it does not happen again")));
            }
        }
    }
    println!(
        "{count} seeds from {first}: {} frames heard, {} restarts of the process, {:.1} s",
        total.heard,
        total.restarts,
        began.elapsed().as_secs_f64()
    );
}

/// Proves that the simulation detects broken promises: its clients, which compare with the store as they go, and the checker,
/// which has only the history.
#[cfg(feature = "fault-injection")]
#[test]
fn every_injected_fault_is_detected() {
    use crate::fault_injection::{FaultInjection, choose};

    // A forgotten gap shows as a hole where later events arrive, and as a view that ends too early where none do.
    const HOLE: &str = "missing without a gap";
    const INCOMPLETE: &str = "quiescent member lacks events";
    for (fault_injection, on_the_way, by_history) in [
        (FaultInjection::AcknowledgeBeforeCommit, "acknowledged", &["acknowledged"][..]),
        (FaultInjection::DropOnResume, "promise 2", &[HOLE]),
        (FaultInjection::DeliverTwiceOnRetry, "promise 3", &["stored"]),
        (FaultInjection::SwapNeighbours, "promise 2", &[HOLE]),
        (FaultInjection::DeliverAfterRemoval, "promise 6", &["after the removal"]),
        (FaultInjection::ForgetGap, "promise 2", &[HOLE, INCOMPLETE]),
        (FaultInjection::LoseWakeUp, "promise 2", &[INCOMPLETE]),
    ] {
        choose(Some(fault_injection));
        let found = (0..SEEDS).find_map(|seed| Some((seed, verdict(seed).err()?)));
        let judged = (0..SEEDS).find_map(|seed| Some((seed, verdict_of_history(seed)?)));
        choose(None);
        for (found, words) in [(found, &[on_the_way][..]), (judged, by_history)] {
            let Some((seed, found)) = found else { panic!("{SEEDS} seeds do not see {fault_injection:?}") };
            assert!(
                words.iter().any(|words| found.contains(words)),
                "seed {seed} takes {fault_injection:?} for something else: {found}"
            );
            println!("seed {seed} sees {fault_injection:?}");
        }
    }
}

/// Else the checker might only see that the history has no end.
#[cfg(feature = "fault-injection")]
#[test]
fn truncated_history_breaks_no_promise() {
    for seed in 0..10 {
        let mut world = World::new(seed);
        world.run(world.now + Duration::from_secs(8), |_| false);
        assert_eq!(world.judge_history(false), None, "seed {seed}");
    }
}

#[test]
fn same_seed_gives_the_same_run() {
    for seed in [3, 7] {
        assert_eq!(run(seed, false), run(seed, false), "seed {seed}");
    }
}
