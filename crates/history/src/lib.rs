//! Records of what clients send and receive, and a checker of the protocol's guarantees.
//!
//! A test harness (the simulation, a load run, a fault injection run) has one [`Recorder`] for each of its threads. Before a
//! client sends, and after it receives, the harness calls the recorder. At the end the harness reads every room's whole log and
//! records each event as *stored*.
//!
//! The crate depends on no server, socket, file or clock. Time is a number of microseconds that the caller supplies.
//!
//! | file | contents |
//! |---|---|
//! | `record.rs` | [`Record`]: one line of a history; [`ClientId`], [`ConnectionId`] |
//! | `observed.rs` | [`ObservedEvent`]: an event with hashes in place of its text |
//! | `recorder.rs` | [`Recorder`]: writes a history |
//! | `json_lines.rs` | JSON lines, and the merge of several histories |
//! | `check/` | [`check()`]: verifies a history against the guarantees |
//! | `minimum.rs` | [`MinimumActivity`]: the activity that a meaningful history has at least |
//! | `verdict.rs` | [`Verdict`]: counts, and the first [`Violation`] with its context |
//!
//! ```
//! use protocol::{Epoch, RoomId, Seq, UserId};
//! use teahouse_history::Recorder;
//!
//! let mut recorder = Recorder::new(1);
//! let li = recorder.new_client();
//! recorder.set_time(1_000);
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
