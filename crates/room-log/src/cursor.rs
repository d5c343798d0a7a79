//! A member's position in a room's log, and the results of reading from it.

use protocol::Seq;

/// A member's position: the next byte to write to its socket, and the last event written. 16 bytes per member and room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub(crate) position: u64,
    pub(crate) seq: Seq,
}

impl Cursor {
    /// The last event before the cursor: a reader at the cursor has every event up to this one.
    #[must_use]
    pub fn seq(self) -> Seq {
        self.seq
    }

    /// The lower of the two cursors, for the position of the slowest reader.
    #[must_use]
    pub fn min(self, other: Cursor) -> Cursor {
        if other.position < self.position { other } else { self }
    }

    /// Whether this cursor is at or after `other`.
    #[must_use]
    pub fn has_reached(self, other: Cursor) -> bool {
        self.position >= other.position
    }
}

/// The part of the log that a reader may receive.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Upper bound in bytes; a read returns at least one whole entry even if that is longer.
    pub bytes: usize,
    /// Where the membership ended: nothing after this position is returned.
    pub end: Option<Cursor>,
    /// Whether to skip ephemeral entries, which have no number, because the reader lags.
    pub numbered_only: bool,
}

impl Window {
    /// A window without bounds: everything up to the tip.
    #[must_use]
    pub fn everything() -> Self {
        Window { bytes: usize::MAX, end: None, numbered_only: false }
    }
}

/// The outcome of reading from a cursor.
#[derive(Debug, PartialEq, Eq)]
pub enum ReadOutcome<'a> {
    /// Nothing to write: the cursor is at the tip or at the end of the window. It may have moved past skipped entries.
    Nothing(Cursor),
    /// Whole entries, which are written to the socket unchanged.
    ByteRange(ByteRange<'a>),
    /// Events after the cursor have been evicted.
    Lagged(Evicted),
}

/// A contiguous range of whole entries, borrowed from the ring.
#[derive(Debug, PartialEq, Eq)]
pub struct ByteRange<'a> {
    /// The start of the range; pass it to `RoomLog::advance` after writing.
    pub start: Cursor,
    /// The bytes, in at most two slices, because the ring may wrap around.
    pub bytes: [&'a [u8]; 2],
}

impl ByteRange<'_> {
    /// The length in bytes, over both slices.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes[0].len() + self.bytes[1].len()
    }

    /// Always `false`, because a range has at least one entry; clippy requires it next to `len`.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Events that are in the store but no longer in the log. The reader catch-ups from the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evicted {
    /// The last event before the cursor; the catch-up starts after it.
    pub after: Seq,
    /// The last event of the log, up to which the catch-up goes at most.
    pub head: Seq,
}

/// The state of a cursor after a write.
#[derive(Debug, PartialEq, Eq)]
pub struct Advance<'a> {
    /// The new position, always at an entry boundary.
    pub cursor: Cursor,
    /// The remainder of a partially written entry; it must be written before anything else.
    pub rest: Option<[&'a [u8]; 2]>,
}
