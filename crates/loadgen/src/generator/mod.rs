//! The load generator: thousands of connections on one thread, with verification and measurement of what they receive.
//!
//! A run has phases: *join* (all connections join their rooms), *settle* (until all have received every join), *send* (a
//! warm-up, then the measured time), *drain* (until every reply and event has arrived, and stalled connections have read
//! again). Every phase has a time limit.
//!
//! | file | contents |
//! |---|---|
//! | `plan.rs`, `room_assignment.rs` | [`Plan`]: options and their bounds; which connection joins which rooms |
//! | `run.rs` | [`run()`]: the phases |
//! | `client_pool.rs` | all connections: connecting, polling, ending |
//! | `client_pool/receive.rs`, `client_pool/send.rs` | handling of each frame; commands |
//! | `connection.rs` | one connection's socket |
//! | `senders.rs`, `schedule.rs` | windows and schedules: which sender sends when |
//! | `checker.rs`, `recent_frames.rs` | verification of received events |
//! | `channel.rs`, `channels.rs`, `nats.rs` | the same for another server, which numbers nothing; the protocol of NATS |
//! | `payload.rs` | message bodies that can be verified |
//! | `frame.rs` | parsing of frames |
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

/// The reason why a run failed. Violations by the server are not errors; the [`Report`] counts them.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// An option of the plan is out of bounds; the text names it.
    #[error("{0}")]
    Plan(String),
    /// A system call failed, for example because of the limit of open files.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// A connection could not join its rooms, so the load would not be the planned one.
    #[error("connection {number} could not join: {why}")]
    Join {
        /// The number of the connection, from 0.
        number: usize,
        /// The error, for the person who runs the load.
        why: String,
    },
    /// Not all connections joined within the idle timeout.
    #[error("{joined} of {wanted} connections joined, then no progress for {seconds} s")]
    Stuck {
        /// The connections that joined all their rooms.
        joined: u32,
        /// The connections in the plan.
        wanted: u32,
        /// The idle timeout in seconds.
        seconds: u64,
    },
}
