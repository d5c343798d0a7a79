//! A member's place in a room's log, and reading from it.

use protocol::Seq;

use crate::RoomLog;
use crate::room_log::Entry;

/// A member's place: the next byte to be written to it, and the last event that was. 16 bytes a member and room.
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

    /// Whichever is further behind.
    #[must_use]
    pub fn min(self, other: Cursor) -> Cursor {
        if other.position < self.position { other } else { self }
    }

    /// Whether it stands at or beyond `other`.
    #[must_use]
    pub fn has_reached(self, other: Cursor) -> bool {
        self.position >= other.position
    }
}

/// How much of the log a reader may have.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// At most so many bytes, but always one whole entry.
    pub bytes: usize,
    /// Not beyond this place: where a membership ended.
    pub end: Option<Cursor>,
    /// Whether to pass over unnumbered entries: the reader lags.
    pub numbered_only: bool,
}

impl Window {
    /// All there is.
    #[must_use]
    pub fn everything() -> Self {
        Window { bytes: usize::MAX, end: None, numbered_only: false }
    }
}

/// What lies before a cursor.
#[derive(Debug, PartialEq, Eq)]
pub enum ReadOutcome<'a> {
    /// Nothing: the cursor is at the tip, or at its end. It may have been moved over entries that it is not to see.
    Nothing(Cursor),
    /// Whole entries, to be written as they are.
    ByteRange(ByteRange<'a>),
    /// What follows the cursor has been evicted.
    Lagged(Evicted),
}

/// Whole entries in a row.
#[derive(Debug, PartialEq, Eq)]
pub struct ByteRange<'a> {
    /// Where the run begins: give this to [`RoomLog::advance`].
    pub start: Cursor,
    /// The bytes, in at most two pieces.
    pub bytes: [&'a [u8]; 2],
}

impl ByteRange<'_> {
    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes[0].len() + self.bytes[1].len()
    }

    /// Never: a run has at least one entry. Here for the lint that wants it beside `len`.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Events that are in the store, and in the log no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evicted {
    /// The last event that the cursor has.
    pub after: Seq,
    /// The last event of the log now.
    pub head: Seq,
}

/// A cursor after a write.
#[derive(Debug, PartialEq, Eq)]
pub struct Advance<'a> {
    /// Where it stands now: always between two entries.
    pub cursor: Cursor,
    /// What the socket has not taken of an entry that it began: to be written before anything else.
    pub rest: Option<[&'a [u8]; 2]>,
}

impl RoomLog {
    /// The cursor of somebody who has everything up to `seq`, if what follows is in the log.
    #[must_use]
    pub fn cursor_after(&self, seq: Seq) -> Option<Cursor> {
        if seq == self.head {
            return Some(self.tip());
        }
        if seq < self.base || seq > self.head {
            return None;
        }
        // Behind the last entry that carries a number up to `seq`.
        let index = self.entries.partition_point(|entry| entry.seq() <= seq);
        let position = if index == 0 { self.start } else { self.entries[index - 1].end };
        Some(Cursor { position, seq })
    }

    /// How many bytes of the log lie beyond the cursor.
    #[must_use]
    pub fn bytes_after(&self, cursor: Cursor) -> usize {
        (self.end() - cursor.position.max(self.start)) as usize
    }

    /// What is to be written to somebody at `cursor`. O(1) for a reader near the tip of a log without unnumbered entries,
    /// else O(log n).
    #[must_use]
    pub fn read(&self, mut cursor: Cursor, window: Window) -> ReadOutcome<'_> {
        if cursor.position < self.start {
            // Whoever was removed has all that it may have: what was evicted behind its end is no loss to it.
            if window.end.is_some_and(|end| cursor.has_reached(end)) {
                return ReadOutcome::Nothing(cursor);
            }
            if cursor.seq < self.base {
                return ReadOutcome::Lagged(Evicted { after: cursor.seq, head: self.head });
            }
            // Only unnumbered entries were evicted: nothing is missed.
            cursor.position = self.start;
        }
        let limit = window.end.map_or(self.end(), |end| end.position.min(self.end()));
        if window.numbered_only && self.unnumbered > 0 {
            cursor = self.over_unnumbered(cursor, limit);
        }
        if cursor.position >= limit {
            return ReadOutcome::Nothing(cursor);
        }
        let mut end = limit;
        if window.numbered_only && self.unnumbered > 0 {
            end = self.end_of_numbered(cursor, end);
        }
        if end - cursor.position > window.bytes as u64 {
            end = self.boundary_within(cursor, window.bytes as u64);
        }
        ReadOutcome::ByteRange(ByteRange { start: cursor, bytes: self.slices(cursor.position, end) })
    }

    /// Where the cursor stands after `written` bytes of the run that began at `start`.
    #[must_use]
    pub fn advance(&self, start: Cursor, written: usize) -> Advance<'_> {
        let position = start.position + written as u64;
        debug_assert!(position <= self.end());
        if position == self.end() {
            return Advance { cursor: self.tip(), rest: None };
        }
        let index = self.index_at(position);
        let before = index.checked_sub(1).map(|before| self.entries[before]);
        let boundary = before.map_or(self.start, |entry| entry.end);
        if boundary == position {
            let seq = before.map_or(self.base, Entry::seq);
            return Advance { cursor: Cursor { position, seq }, rest: None };
        }
        let begun = self.entries[index];
        Advance {
            cursor: Cursor { position: begun.end, seq: begun.seq() },
            rest: Some(self.slices(position, begun.end)),
        }
    }

    /// The entry that holds the byte at `position`.
    fn index_at(&self, position: u64) -> usize {
        self.entries.partition_point(|entry| entry.end <= position)
    }

    fn over_unnumbered(&self, mut cursor: Cursor, limit: u64) -> Cursor {
        for entry in self.entries.range(self.index_at(cursor.position)..) {
            if entry.is_numbered() || entry.end > limit {
                break;
            }
            cursor.position = entry.end;
        }
        cursor
    }

    fn end_of_numbered(&self, cursor: Cursor, limit: u64) -> u64 {
        let mut end = cursor.position;
        for entry in self.entries.range(self.index_at(cursor.position)..) {
            if !entry.is_numbered() || entry.end > limit {
                break;
            }
            end = entry.end;
        }
        end
    }

    /// The last boundary at most `bytes` beyond the cursor, or the end of its first entry.
    fn boundary_within(&self, cursor: Cursor, bytes: u64) -> u64 {
        let first = self.index_at(cursor.position);
        let beyond = self.entries.partition_point(|entry| entry.end <= cursor.position + bytes);
        self.entries[first.max(beyond.saturating_sub(1))].end
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
            ReadOutcome::ByteRange(run) => String::from_utf8(run.bytes.concat()).unwrap(),
            other => format!("{other:?}"),
        }
    }

    const START: Cursor = Cursor { position: 0, seq: Seq(0) };

    #[test]
    fn whoever_lags_does_not_see_unnumbered_entries() {
        let log = log_of(&[(0, "typing"), (1, "one"), (2, "two"), (0, "typing"), (3, "three")]);
        let lagging = Window { numbered_only: true, ..Window::everything() };
        assert_eq!(text(&log, START, Window::everything()), "typingonetwotypingthree");
        assert_eq!(text(&log, START, lagging), "onetwo");
        assert_eq!(text(&log, log.cursor_after(Seq(2)).unwrap(), lagging), "three");
    }

    #[test]
    fn a_turn_ends_between_entries_and_holds_at_least_one() {
        let log = log_of(&[(1, "one"), (2, "two"), (3, "three")]);
        let turn = |bytes| text(&log, START, Window { bytes, ..Window::everything() });
        assert_eq!(
            [turn(1), turn(3), turn(5), turn(6), turn(100)],
            ["one", "one", "one", "onetwo", "onetwothree"]
        );
    }

    #[test]
    fn a_membership_that_ended_sees_nothing_later() {
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
    fn a_membership_that_ended_misses_nothing_when_the_log_goes_on() {
        let mut log = log_of(&[(1, "one"), (2, "left"), (3, "secret"), (4, "secret")]);
        let end = log.cursor_after(Seq(2)).unwrap();
        log.trim(6, 6, log.tip());
        assert_eq!(
            log.read(end, Window { end: Some(end), ..Window::everything() }),
            ReadOutcome::Nothing(end)
        );
        let lag = Evicted { after: Seq(2), head: Seq(4) };
        assert_eq!(log.read(end, Window::everything()), ReadOutcome::Lagged(lag), "others miss the third");
    }

    #[test]
    fn a_half_written_entry_gives_its_rest_and_the_cursor_stands_behind_it() {
        let log = log_of(&[(1, "one"), (2, "two"), (3, "three")]);
        let advance = log.advance(START, 4);
        assert_eq!(advance.rest.map(|rest| rest.concat()), Some(b"wo".to_vec()));
        assert_eq!(Some(advance.cursor), log.cursor_after(Seq(2)));
        assert_eq!(log.advance(START, 6), Advance { cursor: advance.cursor, rest: None });
        assert_eq!(log.advance(START, 0), Advance { cursor: START, rest: None });
    }

    #[test]
    fn a_cursor_that_fell_out_is_told_what_it_missed() {
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
    fn evicting_unnumbered_entries_alone_is_no_loss() {
        let mut log = log_of(&[(0, "typing"), (1, "one")]);
        log.trim(3, 3, START);
        assert_eq!(text(&log, START, Window::everything()), "one");
    }
}
