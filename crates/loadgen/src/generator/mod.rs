//! Many connections on one thread: who says what, what each of them hears, and what that costs.
//!
//! A run goes in phases: *join* (all connect and join their rooms), *settle* (until all have heard of each other), *send* (a
//! warm-up, then the measured time), *drain* (until all is answered and heard, and those who did not read are listened to).
//! Every phase is bounded in time.
//!
//! | file | what it holds |
//! |---|---|
//! | `plan.rs`, `assignment.rs` | [`Plan`]: what to do, and its bounds; who is in which rooms |
//! | `run.rs` | [`run()`]: the phases |
//! | `pool.rs` | the connections: how they come, what wakes them, how they end |
//! | `pool/receive.rs`, `pool/say.rs` | what becomes of each frame; what is sent |
//! | `connection.rs` | one connection's socket |
//! | `senders.rs`, `send_loop.rs` | windows and schedules; who sends when |
//! | `checker.rs`, `recent_frames.rs` | what was heard, against the promises |
//! | `channel.rs`, `channels.rs`, `nats.rs` | the same for a peer, which numbers nothing; what NATS speaks |
//! | `said.rs` | bodies that can be checked |
//! | `wire.rs` | reading a frame |
//! | `counters.rs`, `histogram.rs`, `process.rs`, `report.rs` | numbers |

mod channel;
mod channels;
mod checker;
mod client_pool;
mod connection;
mod counters;
mod frame;
mod histogram;
mod nats;
mod payload;
mod plan;
mod process;
mod recent_frames;
mod report;
mod room_assignment;
mod run;
mod schedule;
mod senders;

use std::io;

pub use checker::Findings;
pub use plan::{Peer, Plan};
pub use report::{Joining, Report, ServerUse, Times};
pub use run::run;

/// Why a run could not be carried out. What the server did wrong to a run that could is in its [`Report`].
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The plan is beyond what can be done here.
    #[error("{0}")]
    Plan(String),
    /// The operating system refused.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// A connection did not come to be a member.
    #[error("connection {number} could not join: {why}")]
    Join {
        /// Which one, from 0.
        number: usize,
        /// What happened.
        why: String,
    },
    /// Not all joined in time.
    #[error("{joined} of {wanted} connections joined, and then nothing went on for {seconds} s")]
    Stuck {
        /// How many are members.
        joined: u32,
        /// How many should be.
        wanted: u32,
        /// How long it was waited.
        seconds: u64,
    },
}
