//! Tests of the shard with in-memory pipes and virtual time.
//!
//! | file | contents |
//! |---|---|
//! | `world.rs` | the test environment; no tests |
//! | `delivery.rs`, `large_rooms.rs`, `allocations.rs` | fan-out, and its cost |
//! | `catch_up.rs` | events from the store, gaps |
//! | `backpressure.rs`, `timeouts.rs` | slow and silent peers |
//! | `leaves.rs`, `pending_joins.rs`, `grouped_joins.rs` | memberships |
//! | `users.rs`, `shutdown.rs` | transient guests and sessions; close frames |
//! | `plain_text.rs` | clients without cursors |
//! | `random/` | random steps, checked against a model |

mod allocations;
mod backpressure;
mod catch_up;
mod delivery;
mod grouped_joins;
mod large_rooms;
mod leaves;
mod pending_joins;
mod plain_text;
mod random;
mod shutdown;
mod timeouts;
mod users;
pub(super) mod world;

use std::time::Duration;

use serde_json::{Value, json};

use world::{Peer, World};

/// The length of the bodies of [`send_many`]: 33 of them exceed what a log retains while no member lags.
const BODY: usize = 8_000;

fn types(frames: &[Value]) -> Vec<&str> {
    frames.iter().map(|frame| frame["type"].as_str().unwrap_or("?")).collect()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn join(room: &str) -> String {
    json!({"type":"join","id":1,"room":room}).to_string()
}

fn send_to(room: &str, key: &str, body: &str) -> String {
    json!({"type":"send","room":room,"client_message_id":key,"body":body}).to_string()
}

fn send_many(world: &mut World, by: &Peer, count: usize) {
    for number in 0..count {
        world.send(by, &format!("k{number}"), &"x".repeat(BODY));
    }
}
