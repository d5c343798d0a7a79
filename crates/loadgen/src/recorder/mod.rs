//! Clients that take down all they do and see, while somebody else does harm to the server.
//!
//! Each is a thread with a [`Client`](client::Client) and a file of its own. Writers say things in bursts, and now and then leave
//! and come again; receivers listen to several rooms, and now and then go away for a while. All of them come back whenever the
//! connection ends or is silent for too long, name their cursors, and send again, unchanged, what was not answered. When it is
//! time to finish they wait until all is answered and heard; then every room is read as it is stored.
//!
//! | file | what it holds |
//! |---|---|
//! | `crowd.rs` | [`record`]: starting them all, and bringing them to rest |
//! | `person.rs` | one client's life: connections, absences, rest |
//! | `saying.rs` | what it says: bursts, retries, leaving and coming, pages of history |
//! | `hearing.rs` | what becomes of each frame |
//! | `stalling.rs` | stopping to read, and reading on |
//! | `reader.rs` | every room as it is stored, read at the end |
//! | `diary.rs` | a history on its way into a file; the clock |
//! | `pulse.rs` | seeing that the other side is gone though nobody said so |
//! | `tally.rs` | what they did, in numbers |
//! | `dice.rs` | randomness that can be had again |

mod crowd;
mod diary;
mod dice;
mod hearing;
mod person;
mod pulse;
mod reader;
mod saying;
mod stalling;
mod tally;

pub use crowd::{Tells, Told, WitnessError, Witnesses, record};
pub use tally::Tally;
