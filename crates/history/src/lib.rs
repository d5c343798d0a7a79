//! What clients did and saw, and whether that is what the protocol promises them.
//!
//! Whoever puts a server to the test (the simulation, a load, a run with real faults) has a [`Recorder`] for each of its
//! threads and tells it what goes out and what comes in. At the end it reads every room's whole log and records that as
//! *stored*.
//!
//! It does **not** know the server, sockets, files or clocks: a moment is a number of microseconds that the caller gives.
//!
//! | file | what it holds |
//! |---|---|
//! | `record.rs` | [`Record`]: one line of a history; [`ClientId`], [`ConnectionId`] |
//! | `seen.rs` | [`ObservedEvent`]: an event as somebody saw it, with hashes in place of its text |
//! | `recorder.rs` | [`Recorder`]: writing a history |
//! | `lines.rs` | JSON lines, and several histories merged into one |
//! | `check/` | [`check()`]: holds a history against the promises |
//! | `least.rs` | [`MinimumActivity`]: how much has to have happened before a history says anything |
//! | `verdict.rs` | [`Verdict`]: counts, and the first [`Violation`] with what belongs to it |
//!
//! ```
//! use protocol::{Epoch, RoomId, Seq, UserId};
//! use teahouse_history::Recorder;
//!
//! let mut recorder = Recorder::new(1);
//! let li = recorder.new_client();
//! recorder.now(1_000);
//! let connection = recorder.opened(li, UserId(7), &Epoch("e1".into()));
//! recorder.joined(connection, RoomId(1), None, Seq(41));
//! assert_eq!(recorder.take().len(), 2);
//! ```

mod check;
mod json_lines;
mod minimum;
mod observed;
mod record;
mod recorder;
mod verdict;

pub use check::check;
pub use json_lines::{InvalidLine, merge, read, write};
pub use minimum::{MinimumActivity, Shortfall};
pub use observed::{Hash, ObservedEvent, ObservedKind};
pub use record::{ClientId, ConnectionId, Micros, Record, RecordKind};
pub use recorder::Recorder;
pub use verdict::{Counts, Rule, Verdict, Violation};
