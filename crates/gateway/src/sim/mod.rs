//! Deterministic simulation on one thread in virtual time. The shards, operations, logs, the commit pipeline
//! and the local bus are the real ones; the store is in memory, and the network consists of queues. A seed determines the clients,
//! their actions and the faults: connections are cut or time out, readers stall, sockets accept a few bytes, commits are delayed,
//! fail, or succeed without a reply, bus messages are dropped, duplicated and delayed, the wall clock jumps, the process crashes
//! or stops and starts again, and a backup is restored.
//!
//! Bounds are checked after every run of a shard. At quiescence every client must have every event, and the crate `history`
//! checks the recorded history of all clients against the promises.
//!
//! A failure prints its seed, a log, and the command that replays it. `cargo xtask sim --seeds N` runs more seeds.
//!
//! | file | contents |
//! |---|---|
//! | `world.rs` | the process, the actors and their connections |
//! | `schedule.rs` | the actions in the order of their times |
//! | `network.rs`, `faults.rs` | connections and the bytes on them; fault injection |
//! | `process.rs` | the server process as one value |
//! | `client/`, `lines.rs` | a client of docs/PROTOCOL.md; a plain-text client |
//! | `logout.rs` | logouts in the steps of HTTP |
//! | `quiesce.rs` | checks at quiescence |
//! | `pipe.rs`, `services.rs` | a connection in memory; the services of a shard in memory |
//! | `rng.rs` | random numbers from a seed |

mod client;
mod faults;
mod lines;
mod logout;
mod network;
pub(crate) mod pipe;
mod process;
mod quiesce;
pub(crate) mod rng;
mod schedule;
pub(crate) mod services;
mod world;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

use world::World;

/// The number of seeds in a test run.
const SEEDS: u64 = 100;

#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    frames_received: u64,
    restarts: u64,
    digest: u64,
}

fn run(seed: u64, verbose: bool) -> Outcome {
    let mut world = World::new(seed);
    world.verbose = verbose;
    run_to_end(&mut world)
}

fn run_to_end(world: &mut World) -> Outcome {
    let rounds = 1 + world.rng.below(2);
    for round in 1..=rounds {
        let until = world.now + Duration::from_secs(5 + world.rng.below(25));
        world.run(until, |_| false);
        world.quiesce(round == rounds);
        if round < rounds {
            world.enable_faults();
        }
    }
    world.check_history();
    world.check_shutdown();
    Outcome { frames_received: world.deliveries, restarts: world.restarts, digest: world.digest }
}

/// Runs a seed. Returns the message of its failure, if any.
fn verdict(seed: u64) -> Result<Outcome, String> {
    catch_unwind(AssertUnwindSafe(|| run(seed, false))).map_err(|defect| panic_message(&*defect))
}

fn panic_message(defect: &dyn Any) -> String {
    let text = defect.downcast_ref::<String>().map(String::as_str);
    text.or(defect.downcast_ref::<&str>().copied()).unwrap_or("a panic without a message").to_owned()
}

/// The checker's verdict on the history of a seed up to its failure. The checker has no access to the store, with which the
/// clients of the simulation compare what they receive.
#[cfg(feature = "fault-injection")]
fn history_verdict(seed: u64) -> Option<String> {
    let mut world = World::new(seed);
    let defect = panic_message(&*catch_unwind(AssertUnwindSafe(|| run_to_end(&mut world))).err()?);
    // The run itself completed; the checker found the violation.
    if defect.contains("VIOLATION") {
        return Some(defect);
    }
    world.check_partial_history(defect.contains("quiesce"))
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
    let started = Instant::now();
    let mut total = Outcome::default();
    for seed in first..first + count {
        match verdict(seed) {
            Ok(outcome) => {
                total.frames_received += outcome.frames_received;
                total.restarts += outcome.restarts;
            }
            Err(failure) => {
                // Replays the seed with a log.
                let again = catch_unwind(AssertUnwindSafe(|| run(seed, true)));
                println!("{failure}\nreplay: cargo xtask sim --seed {seed}");
                resume_unwind(again.err().unwrap_or_else(|| Box::new("the replay did not fail")));
            }
        }
    }
    println!(
        "{count} seeds from {first}: {} frames received, {} process starts, {:.1} s",
        total.frames_received,
        total.restarts,
        started.elapsed().as_secs_f64()
    );
}

/// Proves that the simulation detects broken promises: its clients, which compare with the store as they go, and the checker,
/// which has only the history.
#[cfg(feature = "fault-injection")]
#[test]
fn every_injected_fault_is_detected() {
    use crate::fault_injection::{FaultInjection, select};

    // A forgotten gap shows as a hole where later events arrive, and as a view that ends too early where none do.
    const HOLE: &str = "missing without a gap";
    const INCOMPLETE: &str = "quiescent member lacks events";
    for (fault_injection, by_clients, by_history) in [
        (FaultInjection::AcknowledgeBeforeCommit, "acknowledged", &["acknowledged"][..]),
        (FaultInjection::DropOnResume, "promise 2", &[HOLE]),
        (FaultInjection::DeliverTwiceOnRetry, "promise 3", &["stored"]),
        (FaultInjection::SwapNeighbors, "promise 2", &[HOLE]),
        (FaultInjection::DeliverAfterRemoval, "promise 6", &["after the removal"]),
        (FaultInjection::ForgetGap, "promise 2", &[HOLE, INCOMPLETE]),
        (FaultInjection::LoseWakeUp, "promise 2", &[INCOMPLETE]),
    ] {
        select(Some(fault_injection));
        let found = (0..SEEDS).find_map(|seed| Some((seed, verdict(seed).err()?)));
        let by_checker = (0..SEEDS).find_map(|seed| Some((seed, history_verdict(seed)?)));
        select(None);
        for (found, words) in [(found, &[by_clients][..]), (by_checker, by_history)] {
            let Some((seed, found)) = found else {
                panic!("{SEEDS} seeds do not detect {fault_injection:?}")
            };
            assert!(
                words.iter().any(|words| found.contains(words)),
                "seed {seed} reports {fault_injection:?} as another violation: {found}"
            );
            println!("seed {seed} detects {fault_injection:?}");
        }
    }
}

/// Otherwise the checker could report every truncated history.
#[cfg(feature = "fault-injection")]
#[test]
fn truncated_history_breaks_no_promise() {
    for seed in 0..10 {
        let mut world = World::new(seed);
        world.run(world.now + Duration::from_secs(8), |_| false);
        assert_eq!(world.check_partial_history(false), None, "seed {seed}");
    }
}

#[test]
fn same_seed_gives_the_same_run() {
    for seed in [3, 7] {
        assert_eq!(run(seed, false), run(seed, false), "seed {seed}");
    }
}
