//! The in-memory log of a room: one encoded event serves a thousand sockets.
//!
//! A [`RoomLog`] holds the newest entries of a room as the bytes that go to the sockets, frame headers included. A
//! [`Cursor`] is a member's position in it. Delivery (fan-out) writes the bytes between a cursor and the tip and advances
//! the cursor by the number of bytes that the socket accepted; nothing is queued, counted or allocated per member. Bytes that
//! are private to one connection (replies, a catch-up from the store, the remainder of a partially written frame) go through
//! its [`Outbox`].
//!
//! Out of scope: the meaning of the bytes, membership, sockets, clocks. The caller decides when to trim and when to release.
//!
//! | file | contents |
//! |---|---|
//! | `room_log.rs` | `RoomLog`: append, trim (retention), release |
//! | `cursor.rs` | `Cursor`, `Window`, `ReadOutcome`, `ByteRange`, `Evicted`: positions, and what reading returns |
//! | `read.rs` | reading the log from a cursor |
//! | `outbox.rs` | `Outbox`: private bytes of a connection, shared or owned |
//!
//! **Invariant:** a socket is never left inside a frame of the log. The remainder of a partially written frame moves to the
//! connection's outbox, which is written first, so any entry can be evicted at any time
//! (`each_event_is_delivered_once_or_reported_as_gap`).
//!
//! ```
//! use protocol::Seq;
//! use teahouse_room_log::{ReadOutcome, RoomLog, Window};
//!
//! let mut log = RoomLog::new(Seq(41));
//! let cursor = log.tip();
//! log.append(Seq(42), b"hello").unwrap();
//! let ReadOutcome::ByteRange(range) = log.read(cursor, Window::everything()) else { panic!() };
//! assert_eq!(range.bytes, [&b"hello"[..], b""]);
//! let after = log.advance(range.start, 5);
//! assert_eq!((after.cursor.seq(), after.rest), (Seq(42), None));
//! ```

mod cursor;
mod outbox;
mod read;
mod room_log;

pub use cursor::{Advance, ByteRange, Cursor, Evicted, ReadOutcome, Window};
pub use outbox::Outbox;
pub use room_log::{RoomLog, SequenceGap};
