//! Reading a room's log from a cursor, and advancing the cursor after a write.

use protocol::Seq;

use crate::room_log::Entry;
use crate::{Advance, ByteRange, Cursor, Evicted, ReadOutcome, RoomLog, Window};

impl RoomLog {
    /// The cursor of a reader that has every event up to `seq`; `None` if a later event is no longer in the log, or `seq` is above
    /// the head.
    #[must_use]
    pub fn cursor_after(&self, seq: Seq) -> Option<Cursor> {
        if seq == self.head {
            return Some(self.tip());
        }
        if seq < self.base || seq > self.head {
            return None;
        }
        // The position is after the last entry whose number is at most `seq`.
        let index = self.entries.partition_point(|entry| entry.seq() <= seq);
        let position = if index == 0 { self.start } else { self.entries[index - 1].end };
        Some(Cursor { position, seq })
    }

    /// The number of bytes between the cursor and the tip: the reader's lag.
    #[must_use]
    pub fn bytes_after(&self, cursor: Cursor) -> usize {
        (self.end() - cursor.position.max(self.start)) as usize
    }

    /// Returns what to write to a reader at `cursor`. O(1) for a log without ephemeral entries if the window holds all that
    /// follows, otherwise O(log n).
    #[must_use]
    pub fn read(&self, mut cursor: Cursor, window: Window) -> ReadOutcome<'_> {
        if cursor.position < self.start {
            // A removed member that has reached its end misses nothing when later entries are evicted.
            if window.end.is_some_and(|end| cursor.has_reached(end)) {
                return ReadOutcome::Nothing(cursor);
            }
            if cursor.seq < self.base {
                return ReadOutcome::Lagged(Evicted { after: cursor.seq, head: self.head });
            }
            // Only ephemeral entries were evicted, which may be lost.
            cursor.position = self.start;
        }
        let limit = window.end.map_or(self.end(), |end| end.position.min(self.end()));
        if window.numbered_only && self.ephemeral > 0 {
            cursor = self.skip_leading_ephemeral(cursor, limit);
        }
        if cursor.position >= limit {
            return ReadOutcome::Nothing(cursor);
        }
        let mut end = limit;
        if window.numbered_only && self.ephemeral > 0 {
            end = self.end_of_events(cursor, end);
        }
        if end - cursor.position > window.bytes as u64 {
            end = self.boundary_within(cursor, window.bytes as u64);
        }
        ReadOutcome::ByteRange(ByteRange { start: cursor, bytes: self.slices(cursor.position, end) })
    }

    /// The position after `written` bytes of the range that starts at `start`.
    #[must_use]
    pub fn advance(&self, start: Cursor, written: usize) -> Advance<'_> {
        let position = start.position + written as u64;
        debug_assert!(position <= self.end());
        if position == self.end() {
            return Advance { cursor: self.tip(), rest: None };
        }
        let index = self.index_at(position);
        let previous = index.checked_sub(1).map(|previous| self.entries[previous]);
        let boundary = previous.map_or(self.start, |entry| entry.end);
        if boundary == position {
            let seq = previous.map_or(self.base, Entry::seq);
            return Advance { cursor: Cursor { position, seq }, rest: None };
        }
        let partial = self.entries[index];
        Advance {
            cursor: Cursor { position: partial.end, seq: partial.seq() },
            rest: Some(self.slices(position, partial.end)),
        }
    }

    /// The index of the entry that contains the byte at `position`.
    fn index_at(&self, position: u64) -> usize {
        self.entries.partition_point(|entry| entry.end <= position)
    }

    fn skip_leading_ephemeral(&self, mut cursor: Cursor, limit: u64) -> Cursor {
        for entry in self.entries.range(self.index_at(cursor.position)..) {
            if entry.is_event() || entry.end > limit {
                break;
            }
            cursor.position = entry.end;
        }
        cursor
    }

    fn end_of_events(&self, cursor: Cursor, limit: u64) -> u64 {
        let mut end = cursor.position;
        for entry in self.entries.range(self.index_at(cursor.position)..) {
            if !entry.is_event() || entry.end > limit {
                break;
            }
            end = entry.end;
        }
        end
    }

    /// The last entry boundary within `bytes` of the cursor, or the end of the first entry if none is.
    fn boundary_within(&self, cursor: Cursor, bytes: u64) -> u64 {
        let first = self.index_at(cursor.position);
        let after_range = self.entries.partition_point(|entry| entry.end <= cursor.position + bytes);
        self.entries[first.max(after_range.saturating_sub(1))].end
    }

    fn slices(&self, from: u64, to: u64) -> [&[u8]; 2] {
        let (from, to) = ((from - self.start) as usize, (to - self.start) as usize);
        let (front, back) = self.bytes.as_slices();
        let middle = front.len();
        if to <= middle {
            [&front[from..to], &[]]
        } else if from >= middle {
            [&back[from - middle..to - middle], &[]]
        } else {
            [&front[from..], &back[..to - middle]]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log_of(entries: &[(u64, &str)]) -> RoomLog {
        let mut log = RoomLog::new(Seq(0));
        for &(seq, text) in entries {
            if seq == 0 {
                log.append_ephemeral(text.as_bytes());
            } else {
                log.append(Seq(seq), text.as_bytes()).unwrap();
            }
        }
        log
    }

    fn text(log: &RoomLog, cursor: Cursor, window: Window) -> String {
        match log.read(cursor, window) {
            ReadOutcome::ByteRange(range) => String::from_utf8(range.bytes.concat()).unwrap(),
            other => format!("{other:?}"),
        }
    }

    const START: Cursor = Cursor { position: 0, seq: Seq(0) };

    #[test]
    fn read_by_lagging_member_skips_ephemeral_entries() {
        let log = log_of(&[(0, "typing"), (1, "one"), (2, "two"), (0, "typing"), (3, "three")]);
        let lagging = Window { numbered_only: true, ..Window::everything() };
        assert_eq!(text(&log, START, Window::everything()), "typingonetwotypingthree");
        assert_eq!(text(&log, START, lagging), "onetwo");
        assert_eq!(text(&log, log.cursor_after(Seq(2)).unwrap(), lagging), "three");
    }

    #[test]
    fn read_ends_at_entry_boundary_with_at_least_one_entry() {
        let log = log_of(&[(1, "one"), (2, "two"), (3, "three")]);
        let read = |bytes| text(&log, START, Window { bytes, ..Window::everything() });
        assert_eq!(
            [read(1), read(3), read(5), read(6), read(100)],
            ["one", "one", "one", "onetwo", "onetwothree"]
        );
    }

    #[test]
    fn read_after_membership_end_returns_nothing() {
        let mut log = log_of(&[(1, "one"), (2, "left")]);
        let end = log.tip();
        log.append(Seq(3), b"secret").unwrap();
        assert_eq!(text(&log, START, Window { end: Some(end), ..Window::everything() }), "oneleft");
        assert_eq!(
            log.read(end, Window { end: Some(end), ..Window::everything() }),
            ReadOutcome::Nothing(end)
        );
    }

    #[test]
    fn ended_membership_after_eviction_reports_no_gap() {
        let mut log = log_of(&[(1, "one"), (2, "left"), (3, "secret"), (4, "secret")]);
        let end = log.cursor_after(Seq(2)).unwrap();
        log.trim(6, 6, log.tip());
        assert_eq!(
            log.read(end, Window { end: Some(end), ..Window::everything() }),
            ReadOutcome::Nothing(end)
        );
        let lag = Evicted { after: Seq(2), head: Seq(4) };
        assert_eq!(
            log.read(end, Window::everything()),
            ReadOutcome::Lagged(lag),
            "a reader without an end misses event 3"
        );
    }

    #[test]
    fn advance_inside_entry_returns_rest_and_skips_it() {
        let log = log_of(&[(1, "one"), (2, "two"), (3, "three")]);
        let advance = log.advance(START, 4);
        assert_eq!(advance.rest.map(|rest| rest.concat()), Some(b"wo".to_vec()));
        assert_eq!(Some(advance.cursor), log.cursor_after(Seq(2)));
        assert_eq!(log.advance(START, 6), Advance { cursor: advance.cursor, rest: None });
        assert_eq!(log.advance(START, 0), Advance { cursor: START, rest: None });
    }

    #[test]
    fn read_after_eviction_reports_missed_range() {
        let mut log = log_of(&[(1, "one"), (2, "two"), (3, "three")]);
        log.trim(5, 5, START);
        assert_eq!(
            log.read(START, Window::everything()),
            ReadOutcome::Lagged(Evicted { after: Seq(0), head: Seq(3) })
        );
        assert_eq!(log.cursor_after(Seq(1)), None);
        assert_eq!(text(&log, log.cursor_after(Seq(2)).unwrap(), Window::everything()), "three");
        assert_eq!(log.cursor_after(Seq(4)), None);
    }

    #[test]
    fn eviction_of_ephemeral_entries_reports_no_gap() {
        let mut log = log_of(&[(0, "typing"), (1, "one")]);
        log.trim(3, 3, START);
        assert_eq!(text(&log, START, Window::everything()), "one");
    }
}
