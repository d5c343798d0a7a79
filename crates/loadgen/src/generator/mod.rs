//! The load generator: thousands of connections on one thread, and the verification and cost of what they receive.
//!
//! A run has phases: *join* (all connections join their rooms), *settle* (until all have received every join), *send* (a
//! warm-up, then the measured time), *drain* (until every reply and event has arrived, and stalled connections have read
//! again). Every phase has a time limit.
//!
//! | file | contents |
//! |---|---|
//! | `plan.rs`, `room_assignment.rs` | [`Plan`]: options and their bounds; which connection joins which rooms |
//! | `run.rs` | [`run()`]: the phases |
//! | `client_pool.rs` | all connections: connect, poll, end |
//! | `client_pool/receive.rs`, `client_pool/send.rs` | handling of each frame; commands |
//! | `connection.rs` | one connection's socket |
//! | `senders.rs`, `schedule.rs` | windows and schedules: which sender sends when |
//! | `checker.rs`, `recent_frames.rs` | verification of received events |
//! | `channel.rs`, `channels.rs`, `nats.rs` | the same for another server, which numbers nothing; the protocol of NATS |
//! | `payload.rs` | message bodies that can be verified |
//! | `frame.rs` | parsing of a frame |
//! | `counters.rs`, `histogram.rs`, `process.rs`, `report.rs` | measurements |

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

/// Why a run failed. Violations by the server are not errors: they are in the [`Report`].
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The plan exceeds a bound.
    #[error("{0}")]
    Plan(String),
    /// A system call failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// A connection could not join its rooms.
    #[error("connection {number} could not join: {why}")]
    Join {
        /// The connection, from 0.
        number: usize,
        /// The cause.
        why: String,
    },
    /// Not all connections joined in time.
    #[error("{joined} of {wanted} connections joined, then no progress for {seconds} s")]
    Stuck {
        /// Connections that joined.
        joined: u32,
        /// Connections in the plan.
        wanted: u32,
        /// The idle timeout.
        seconds: u64,
    },
}
