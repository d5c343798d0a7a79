//! A member's position in a room's log, and the results of reading from it.

use protocol::Seq;

/// A member's position: the next byte to write to its socket, and the last event written. 16 bytes per member and room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub(crate) position: u64,
    pub(crate) seq: Seq,
}

impl Cursor {
    /// The last event before the cursor.
    #[must_use]
    pub fn seq(self) -> Seq {
        self.seq
    }

    /// The lower of the two cursors.
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
    /// A window without bounds.
    #[must_use]
    pub fn everything() -> Self {
        Window { bytes: usize::MAX, end: None, numbered_only: false }
    }
}

/// The result of reading from a cursor.
#[derive(Debug, PartialEq, Eq)]
pub enum ReadOutcome<'a> {
    /// Nothing to write: the cursor is at the tip or at the end of the window. It may have moved past skipped entries.
    Nothing(Cursor),
    /// Whole entries, to be written unchanged.
    ByteRange(ByteRange<'a>),
    /// Events after the cursor have been evicted.
    Lagged(Evicted),
}

/// A contiguous range of whole entries.
#[derive(Debug, PartialEq, Eq)]
pub struct ByteRange<'a> {
    /// Where the range starts; the argument for `RoomLog::advance`.
    pub start: Cursor,
    /// The bytes, in at most two slices of the ring.
    pub bytes: [&'a [u8]; 2],
}

impl ByteRange<'_> {
    /// Length in bytes.
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

/// Events that are in the store but no longer in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evicted {
    /// The last event before the cursor.
    pub after: Seq,
    /// The log's current head.
    pub head: Seq,
}

/// A cursor after a write.
#[derive(Debug, PartialEq, Eq)]
pub struct Advance<'a> {
    /// The new position, always at an entry boundary.
    pub cursor: Cursor,
    /// The remainder of a partially written entry; it must be written before anything else.
    pub rest: Option<[&'a [u8]; 2]>,
}
