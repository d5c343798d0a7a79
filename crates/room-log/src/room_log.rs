//! The ring of a room: entries at the back, eviction at the front.

use std::collections::VecDeque;

use protocol::Seq;

use crate::Cursor;

/// An event that cannot be appended, because those before it are missing. They are in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SequenceGap {
    /// The first that is missing.
    pub from: Seq,
    /// The one that was offered.
    pub offered: Seq,
}

/// The newest entries of one room, as bytes.
///
/// A position is a count of bytes since the log was made; it never goes back, also when entries are evicted.
#[derive(Debug)]
pub struct RoomLog {
    pub(crate) bytes: VecDeque<u8>,
    pub(crate) entries: VecDeque<Entry>,
    /// The position of `bytes[0]`.
    pub(crate) start: u64,
    /// The last event before `entries[0]`.
    pub(crate) base: Seq,
    pub(crate) head: Seq,
    /// How many entries in `entries` have no number: while there are none, reading needs no look at the entries.
    pub(crate) unnumbered: usize,
}

/// Where an entry ends, and the number of the last event at or before it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) end: u64,
    /// `seq << 1 | numbered`: one word, since a busy room holds thousands of these.
    word: u64,
}

impl Entry {
    fn new(end: u64, seq: Seq, numbered: bool) -> Self {
        Entry { end, word: seq.0 << 1 | u64::from(numbered) }
    }

    pub(crate) fn seq(self) -> Seq {
        Seq(self.word >> 1)
    }

    pub(crate) fn is_numbered(self) -> bool {
        self.word & 1 == 1
    }
}

impl RoomLog {
    /// Kept for those who come back soon, when nobody lags: 256 KiB.
    pub const SOFT_BYTES: usize = 256 * 1024;
    /// Held for those who lag, and no more: 4 MiB.
    pub const HARD_BYTES: usize = 4 * 1024 * 1024;

    /// An empty log of a room whose last event is `head`. It owns no memory until something is appended.
    #[must_use]
    pub fn new(head: Seq) -> Self {
        RoomLog {
            bytes: VecDeque::new(),
            entries: VecDeque::new(),
            start: 0,
            base: head,
            head,
            unnumbered: 0,
        }
    }

    /// The number of the last event.
    #[must_use]
    pub fn head(&self) -> Seq {
        self.head
    }

    /// The place behind the last entry.
    #[must_use]
    pub fn tip(&self) -> Cursor {
        Cursor { position: self.end(), seq: self.head }
    }

    /// Bytes held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    /// Appends the next event. One that is in the log already is passed over; one beyond the next is a [`SequenceGap`].
    pub fn append(&mut self, seq: Seq, frame: &[u8]) -> Result<(), SequenceGap> {
        if seq <= self.head {
            return Ok(());
        }
        if seq != self.head.next() {
            return Err(SequenceGap { from: self.head.next(), offered: seq });
        }
        self.head = seq;
        self.push(frame, true);
        Ok(())
    }

    /// Appends what is no event: whoever lags will not see it.
    pub fn append_ephemeral(&mut self, frame: &[u8]) {
        self.unnumbered += 1;
        self.push(frame, false);
    }

    fn push(&mut self, frame: &[u8], numbered: bool) {
        self.bytes.extend(frame);
        self.entries.push_back(Entry::new(self.end(), self.head, numbered));
    }

    /// Evicts the oldest entries: all that exceeds `hard`, and what exceeds `soft` unless somebody at or behind `floor`
    /// still needs it. Returns whether anything was evicted that somebody at `floor` needed.
    pub fn trim(&mut self, soft: usize, hard: usize, floor: Cursor) -> bool {
        let mut needed = false;
        while self.bytes.len() > soft {
            let Some(&oldest) = self.entries.front() else { break };
            let wanted = oldest.end > floor.position;
            if wanted && self.bytes.len() <= hard {
                break;
            }
            needed |= wanted;
            self.entries.pop_front();
            self.bytes.drain(..(oldest.end - self.start) as usize);
            self.start = oldest.end;
            self.base = oldest.seq();
            self.unnumbered -= usize::from(!oldest.is_numbered());
        }
        needed
    }

    /// Gives all memory back. For a room that is quiet and in which nobody lags.
    pub fn release(&mut self) {
        *self = RoomLog { start: self.end(), ..RoomLog::new(self.head) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_next_event_is_appended() {
        let mut log = RoomLog::new(Seq(5));
        assert_eq!(log.append(Seq(7), b"seven"), Err(SequenceGap { from: Seq(6), offered: Seq(7) }));
        assert_eq!(log.append(Seq(6), b"six"), Ok(()));
        assert_eq!(log.append(Seq(6), b"six"), Ok(()));
        assert_eq!((log.head(), log.len()), (Seq(6), 3));
    }

    #[test]
    fn what_a_lagging_member_needs_is_kept_up_to_the_hard_bound() {
        let mut log = RoomLog::new(Seq(0));
        let behind = log.tip();
        for seq in 1..=10 {
            log.append(Seq(seq), b"0123456789").unwrap();
        }
        assert!(!log.trim(20, 100, behind));
        assert_eq!(log.len(), 100);
        assert!(log.trim(20, 50, behind));
        assert_eq!(log.len(), 50);
        assert!(!log.trim(20, 50, log.tip()));
        assert_eq!(log.len(), 20);
    }

    #[test]
    fn a_released_log_owns_nothing_and_goes_on() {
        let mut log = RoomLog::new(Seq(0));
        log.append(Seq(1), b"one").unwrap();
        let cursor = log.tip();
        log.release();
        assert_eq!((log.bytes.capacity(), log.entries.capacity()), (0, 0));
        assert_eq!(log.tip(), cursor);
        assert_eq!(log.append(Seq(2), b"two"), Ok(()));
    }
}
