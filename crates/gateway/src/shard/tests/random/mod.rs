//! Random test of a shard: clients connect, send, stall, leave and disconnect while the bus drops messages and the store is
//! slow. The frames that every client received and the final state of the shard are checked against the promises.
//!
//! A failure prints its seed: `TEAHOUSE_RANDOM_SEED=… cargo test -p teahouse-gateway --lib random` replays it, and
//! `TEAHOUSE_RANDOM_CASES=…` sets the number of cases.
//!
//! | file | contents |
//! |---|---|
//! | `model.rs` | a client's view of its rooms |
//! | `actions.rs` | the random actions |
//! | `checks.rs` | the checks at quiescence and at the end |

mod actions;
mod checks;
mod model;

use std::collections::{BTreeMap, BTreeSet};

use super::world::World;
use crate::sim::rng::Rng;
use model::Client;

const ROOMS: [&str; 4] = ["lobby", "a", "b", "c"];
const USERS: u64 = 4;

struct RandomRun {
    rng: Rng,
    world: World,
    clients: Vec<Client>,
    ended: BTreeSet<u64>,
    transients: BTreeSet<u64>,
    next_transient: u64,
    next_key: u64,
    /// The sequence number of each acknowledged message, by user and key.
    acknowledged: BTreeMap<(u64, String), u64>,
    /// The messages that may be repeated: user, room, key, body.
    sent: Vec<(u64, String, String, String)>,
    trace: Vec<String>,
}

fn run(seed: u64) {
    let mut run = RandomRun::new(seed);
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let rounds = 1 + run.rng.below(3);
        for _ in 0..rounds {
            for _ in 0..30 + run.rng.below(170) {
                run.step();
            }
            run.quiesce();
            run.check_quiescent();
        }
        if run.rng.one_in(4) {
            for _ in 0..20 {
                run.step();
            }
            run.check_stop();
        } else {
            run.check_when_all_have_gone();
        }
    }));
    if let Err(defect) = outcome {
        for line in run.trace.iter().skip(run.trace.len().saturating_sub(400)) {
            println!("{line}");
        }
        println!("TEAHOUSE_RANDOM_SEED={seed}");
        std::panic::resume_unwind(defect);
    }
}

#[test]
fn random_steps_deliver_every_event_once() {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    if let Some(seed) = number("TEAHOUSE_RANDOM_SEED") {
        return run(seed);
    }
    for seed in 0..number("TEAHOUSE_RANDOM_CASES").unwrap_or(100) {
        run(seed);
    }
}
