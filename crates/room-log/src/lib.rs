//! The room's log in memory: what makes one encoded event serve a thousand sockets.
//!
//! A [`RoomLog`] holds the newest entries of a room as the bytes that go to the sockets, frame headers included. A
//! [`Cursor`] is a member's place in it. To deliver is to write the bytes between a cursor and the tip, and to move the
//! cursor by what the socket took; nothing is queued, counted or allocated for a member. What is private to one connection
//! (replies, a catch-up from the store, the rest of a frame that a socket took only half of) goes through its [`Outbox`].
//!
//! The crate does **not** know what the bytes mean, who the members are, or what a socket is; it reads no clock.
//!
//! | file | what it holds |
//! |---|---|
//! | `room_log.rs` | `RoomLog`: append, evict, release |
//! | `cursor.rs` | `Cursor`, `ByteRange`, `Evicted`: reading the log from a place in it |
//! | `outbox.rs` | `Outbox`: private bytes, shared or owned |
//!
//! **Invariant:** a socket is never left inside a frame of the log: what it did not take of a begun frame moves to its
//! outbox, which is written first. So an entry may be evicted at any time (`tests/delivery.rs`).
//!
//! ```
//! use protocol::Seq;
//! use teahouse_room_log::{Reading, RoomLog, Window};
//!
//! let mut log = RoomLog::new(Seq(41));
//! let cursor = log.tip();
//! log.append(Seq(42), b"hello").unwrap();
//! let Reading::Run(run) = log.read(cursor, Window::everything()) else { panic!() };
//! assert_eq!(run.bytes, [&b"hello"[..], b""]);
//! let after = log.advance(run.start, 5);
//! assert_eq!((after.cursor.seq(), after.rest), (Seq(42), None));
//! ```

mod cursor;
mod outbox;
mod room_log;

pub use cursor::{Advance, ByteRange, Cursor, Evicted, ReadOutcome, Window};
pub use outbox::Outbox;
pub use room_log::{RoomLog, SequenceGap};
