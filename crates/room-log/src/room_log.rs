//! The ring buffer of a room: entries are appended at the back and evicted at the front.

use std::collections::VecDeque;

use protocol::Seq;

use crate::Cursor;

/// An event that cannot be appended because earlier events are missing. The store has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SequenceGap {
    /// The first missing event; the caller backfills from here.
    pub from: Seq,
    /// The event that was passed to [`RoomLog::append`].
    pub offered: Seq,
}

/// The newest entries of one room, as the bytes that go to the sockets.
///
/// A position counts bytes since the log was created. It never decreases, even when entries are evicted.
#[derive(Debug)]
pub struct RoomLog {
    pub(crate) bytes: VecDeque<u8>,
    pub(crate) entries: VecDeque<Entry>,
    /// The position of `bytes[0]`.
    pub(crate) start: u64,
    /// The last event before `entries[0]`: what a reader at the start of the log has.
    pub(crate) base: Seq,
    pub(crate) head: Seq,
    /// The number of ephemeral entries. While it is 0, a read does not inspect the entries.
    pub(crate) ephemeral: usize,
}

/// Where an entry ends, and the sequence number of the last event at or before it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) end: u64,
    /// `seq << 1 | is_event`: one word, because a busy room holds thousands of entries.
    packed: u64,
}

impl Entry {
    fn new(end: u64, seq: Seq, is_event: bool) -> Self {
        Entry { end, packed: seq.0 << 1 | u64::from(is_event) }
    }

    pub(crate) fn seq(self) -> Seq {
        Seq(self.packed >> 1)
    }

    pub(crate) fn is_event(self) -> bool {
        self.packed & 1 == 1
    }
}

impl RoomLog {
    /// Retention for members that reconnect soon, when no member lags: 256 KiB.
    pub const SOFT_BYTES: usize = 256 * 1024;
    /// Upper bound of what is retained for lagging members: 4 MiB.
    pub const HARD_BYTES: usize = 4 * 1024 * 1024;

    /// An empty log of a room whose last event is `head`. It allocates nothing until the first append.
    #[must_use]
    pub fn new(head: Seq) -> Self {
        RoomLog { bytes: VecDeque::new(), entries: VecDeque::new(), start: 0, base: head, head, ephemeral: 0 }
    }

    /// The sequence number of the last event, whether it is still in the log or not.
    #[must_use]
    pub fn head(&self) -> Seq {
        self.head
    }

    /// The position after the last entry, where a reader that has everything is.
    #[must_use]
    pub fn tip(&self) -> Cursor {
        Cursor { position: self.end(), seq: self.head }
    }

    /// The number of bytes held, which [`trim`](Self::trim) bounds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether the log holds no bytes: after creation and after [`release`](Self::release).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    /// Appends the next event. An event at or below the head is ignored.
    ///
    /// # Errors
    /// [`SequenceGap`] if events between the head and `seq` are missing.
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

    /// Appends an ephemeral frame, which has no sequence number and is skipped for lagging members.
    pub fn append_ephemeral(&mut self, frame: &[u8]) {
        self.ephemeral += 1;
        self.push(frame, false);
    }

    fn push(&mut self, frame: &[u8], is_event: bool) {
        self.bytes.extend(frame);
        self.entries.push_back(Entry::new(self.end(), self.head, is_event));
    }

    /// Evicts the oldest entries until at most `soft` bytes remain. Entries after `floor`, the position of the slowest reader,
    /// are kept as long as the log has at most `hard` bytes. Returns whether an entry after `floor` was evicted.
    pub fn trim(&mut self, soft: usize, hard: usize, floor: Cursor) -> bool {
        let mut evicted_needed = false;
        while self.bytes.len() > soft {
            let Some(&oldest) = self.entries.front() else { break };
            let needed_by_reader = oldest.end > floor.position;
            if needed_by_reader && self.bytes.len() <= hard {
                break;
            }
            evicted_needed |= needed_by_reader;
            self.entries.pop_front();
            self.bytes.drain(..(oldest.end - self.start) as usize);
            self.start = oldest.end;
            self.base = oldest.seq();
            self.ephemeral -= usize::from(!oldest.is_event());
        }
        evicted_needed
    }

    /// Frees all memory, for an idle room in which no member lags. Later reads from older cursors are answered from the store.
    pub fn release(&mut self) {
        *self = RoomLog { start: self.end(), ..RoomLog::new(self.head) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn append_beyond_next_seq_returns_gap() {
        let mut log = RoomLog::new(Seq(5));
        assert_eq!(log.append(Seq(7), b"seven"), Err(SequenceGap { from: Seq(6), offered: Seq(7) }));
        assert_eq!(log.append(Seq(6), b"six"), Ok(()));
        assert_eq!(log.append(Seq(6), b"six"), Ok(()));
        assert_eq!((log.head(), log.len()), (Seq(6), 3));
    }

    #[test]
    fn trim_keeps_entries_of_lagging_member_up_to_hard_bound() {
        let mut log = RoomLog::new(Seq(0));
        let slow_reader = log.tip();
        for seq in 1..=10 {
            log.append(Seq(seq), b"0123456789").unwrap();
        }
        assert!(!log.trim(20, 100, slow_reader));
        assert_eq!(log.len(), 100);
        assert!(log.trim(20, 50, slow_reader));
        assert_eq!(log.len(), 50);
        assert!(!log.trim(20, 50, log.tip()));
        assert_eq!(log.len(), 20);
    }

    #[test]
    fn released_log_owns_no_memory_and_accepts_appends() {
        let mut log = RoomLog::new(Seq(0));
        log.append(Seq(1), b"one").unwrap();
        let cursor = log.tip();
        log.release();
        assert_eq!((log.bytes.capacity(), log.entries.capacity()), (0, 0));
        assert_eq!(log.tip(), cursor);
        assert_eq!(log.append(Seq(2), b"two"), Ok(()));
    }
}
