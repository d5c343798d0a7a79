//! Many connections on one thread: who says what, what each of them hears, and what that costs.
//!
//! A run goes in phases: *join* (all connect and join their rooms), *settle* (until all have heard of each other), *send* (a
//! warm-up, then the measured time), *drain* (until all is answered and heard, and those who did not read are listened to).
//! Every phase is bounded in time.
//!
//! | file | what it holds |
//! |---|---|
//! | `plan.rs`, `spread.rs` | [`Plan`]: what to do, and its bounds; who is in which rooms |
//! | `run.rs` | [`run()`]: the phases |
//! | `crowd.rs` | the connections: how they come, what wakes them, how they end |
//! | `crowd/hear.rs`, `crowd/say.rs` | what becomes of each frame; what is sent |
//! | `connection.rs` | one connection's socket |
//! | `senders.rs`, `pace.rs` | windows and schedules; who sends when |
//! | `checker.rs`, `recent.rs` | what was heard, against the promises |
//! | `hall.rs`, `halls.rs`, `nats.rs` | the same for a peer, which numbers nothing; what NATS speaks |
//! | `said.rs` | bodies that can be checked |
//! | `wire.rs` | reading a frame |
//! | `tally.rs`, `histogram.rs`, `process.rs`, `report.rs` | numbers |

mod checker;
mod connection;
mod crowd;
mod hall;
mod halls;
mod histogram;
mod nats;
mod pace;
mod plan;
mod process;
mod recent;
mod report;
mod run;
mod said;
mod senders;
mod spread;
mod tally;
mod wire;

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
