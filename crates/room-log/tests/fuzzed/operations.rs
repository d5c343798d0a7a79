//! A model test of the room log: after each operation it is compared with a model that evicts nothing, and the bytes that
//! each reader's socket accepted are parsed as a client parses them.

use std::io::IoSlice;

use arbitrary::{Arbitrary, Unstructured};
use protocol::Seq;
use teahouse_room_log::{Advance, Cursor, Evicted, Outbox, ReadOutcome, RoomLog, SequenceGap, Window};

/// Runs the operations encoded in `data` and compares the log with the model.
pub(crate) fn check(data: &[u8]) {
    let Ok(case) = Case::arbitrary_take_rest(Unstructured::new(data)) else { return };
    let mut room = Room::new(Seq(u64::from(case.head)));
    for operation in case.operations {
        room.apply(operation);
    }
    room.quiesce();
}

#[derive(Arbitrary, Debug)]
struct Case {
    head: u8,
    operations: Vec<Operation>,
}

#[derive(Arbitrary, Debug)]
enum Operation {
    /// The next event.
    Append {
        len: u8,
    },
    /// An event with an arbitrary number.
    AppendAt {
        seq: u8,
    },
    AppendEphemeral {
        len: u8,
    },
    /// A reader is offered its outbox and `budget` bytes of the log, and its socket accepts `accepts` bytes in all.
    Write {
        who: u8,
        budget: u16,
        accepts: u16,
        lagging: bool,
    },
    Trim {
        soft: u16,
        more: u16,
    },
    Release,
    /// A reader's connection breaks, and it reconnects with its last whole event, or with a cursor that is `less` lower.
    Reconnect {
        who: u8,
        less: u8,
    },
    /// A reader may receive nothing that is appended later.
    Remove {
        who: u8,
    },
}

/// An entry of the model.
struct Entry {
    /// The last event at or before it.
    seq: Seq,
    is_event: bool,
    bytes: Vec<u8>,
}

const GAP: u64 = u64::MAX;
const EPHEMERAL: u64 = 0;

/// A self-delimiting frame; no two frames are equal.
fn frame(number: u64, len: u8) -> Vec<u8> {
    let mut frame = number.to_be_bytes().to_vec();
    frame.push(len);
    frame.extend((0..len).map(|at| at ^ number as u8));
    frame
}

/// The log, the model, and the readers of both. A position in the model is an entry index.
struct Room {
    log: RoomLog,
    initial_head: Seq,
    entries: Vec<Entry>,
    /// The oldest entry that `log` still holds.
    first: usize,
    readers: [Reader; 3],
}

struct Reader {
    cursor: Cursor,
    /// The same position in the model.
    at: usize,
    outbox: Outbox,
    end: Option<(Cursor, usize)>,
    client: Client,
}

/// The peer of a socket.
struct Client {
    /// The last event received, or reported as missed by a gap.
    has: Seq,
    partial: Vec<u8>,
}

impl Room {
    fn new(head: Seq) -> Self {
        let log = RoomLog::new(head);
        let readers = [(); 3].map(|()| Reader {
            cursor: log.tip(),
            at: 0,
            outbox: Outbox::default(),
            end: None,
            client: Client { has: head, partial: Vec::new() },
        });
        Room { log, initial_head: head, entries: Vec::new(), first: 0, readers }
    }

    fn apply(&mut self, operation: Operation) {
        match operation {
            Operation::Append { len } => {
                let seq = self.log.head().next();
                let bytes = frame(seq.0, len);
                assert_eq!(self.log.append(seq, &bytes), Ok(()));
                self.entries.push(Entry { seq, is_event: true, bytes });
            }
            Operation::AppendAt { seq } => self.append_at(Seq(u64::from(seq))),
            Operation::AppendEphemeral { len } => {
                let bytes = frame(EPHEMERAL, len);
                self.log.append_ephemeral(&bytes);
                self.entries.push(Entry { seq: self.log.head(), is_event: false, bytes });
            }
            Operation::Write { who, budget, accepts, lagging } => {
                self.write(usize::from(who) % 3, budget.into(), accepts.into(), lagging);
            }
            Operation::Trim { soft, more } => {
                // Sizes near the log's size and far from it.
                let (soft, more) = (usize::from(soft) % (2 * self.log.len() + 1), usize::from(more));
                self.trim(soft, soft + more % (self.log.len() + 1));
            }
            Operation::Release => {
                self.log.release();
                self.first = self.entries.len();
                assert!(self.log.is_empty());
            }
            Operation::Reconnect { who, less } => self.reconnect(usize::from(who) % 3, less),
            Operation::Remove { who } => {
                let end = (self.log.tip(), self.entries.len());
                self.readers[usize::from(who) % 3].end.get_or_insert(end);
            }
        }
        assert_eq!(self.log.head(), self.seq_at(self.entries.len()));
        assert_eq!(self.log.len(), self.bytes(self.first, self.entries.len()).len());
    }

    fn append_at(&mut self, seq: Seq) {
        let (head, len) = (self.log.head(), self.log.len());
        if seq == head.next() {
            return self.apply(Operation::Append { len: 0 });
        }
        let expected =
            if seq <= head { Ok(()) } else { Err(SequenceGap { from: head.next(), offered: seq }) };
        assert_eq!(self.log.append(seq, &frame(seq.0, 9)), expected);
        assert_eq!(
            (self.log.head(), self.log.len()),
            (head, len),
            "an event that is not the next one must change nothing"
        );
    }

    /// The last event before a position.
    fn seq_at(&self, at: usize) -> Seq {
        at.checked_sub(1).map_or(self.initial_head, |before| self.entries[before].seq)
    }

    fn bytes(&self, from: usize, to: usize) -> Vec<u8> {
        self.entries[from..to].iter().flat_map(|entry| &entry.bytes).copied().collect()
    }

    fn trim(&mut self, soft: usize, hard: usize) {
        let floor = self.readers.iter().fold(self.log.tip(), |floor, reader| floor.min(reader.cursor));
        let floor_at = self.readers.iter().map(|reader| reader.at).min().unwrap_or(0);
        let old_first = self.first;
        let evicted_needed = self.log.trim(soft, hard, floor);
        let remaining = self.log.len();
        while self.bytes(self.first, self.entries.len()).len() > remaining {
            self.first += 1;
        }
        assert_eq!(self.bytes(self.first, self.entries.len()).len(), remaining, "an entry is evicted whole");
        assert!(remaining <= hard, "{remaining} bytes exceed the bound {hard}");
        assert!(remaining <= soft || self.first >= floor_at, "unneeded entries exceed the soft bound");
        assert_eq!(
            evicted_needed,
            old_first < self.first && self.first > floor_at,
            "whether a reader lost an entry"
        );
        if let Some(last) = self.first.checked_sub(1).filter(|&last| last >= old_first) {
            let before = remaining + self.entries[last].bytes.len();
            assert!(before > if last < floor_at { soft } else { hard }, "an entry was evicted without need");
        }
    }

    /// Writes as a shard does: the outbox, then a range of the log, in one write.
    fn write(&mut self, who: usize, budget: usize, accepts: usize, lagging: bool) {
        let Reader { cursor, at, end, .. } = self.readers[who];
        let mut slices = [IoSlice::new(&[]); 2];
        let (filled, all) = self.readers[who].outbox.slices(&mut slices);
        let mut offered: Vec<u8> = slices[..filled].iter().flat_map(|slice| slice.to_vec()).collect();
        let window = Window { bytes: budget, end: end.map(|(end, _)| end), numbered_only: lagging };
        let outcome = self.log.read(cursor, window);
        let mut range_from = None;
        let mut position = (cursor, at);
        match self.expected(at, end.map(|(_, at)| at), budget, lagging) {
            _ if !all => {}
            Expected::Evicted => {
                let lag = Evicted { after: self.seq_at(at), head: self.log.head() };
                assert_eq!(outcome, ReadOutcome::Lagged(lag));
                let (tip, last) = end.unwrap_or((self.log.tip(), self.entries.len()));
                let mut gap = frame(GAP, 16);
                gap.truncate(9);
                gap.extend_from_slice(&(lag.after.0 + 1).to_be_bytes());
                gap.extend_from_slice(&self.seq_at(last).0.to_be_bytes());
                self.readers[who].outbox.push(&gap);
                position = (tip, last);
            }
            Expected::Nothing(expected) => match outcome {
                ReadOutcome::Nothing(cursor) => position = (cursor, expected),
                other => panic!("expected nothing, got {other:?}"),
            },
            Expected::ByteRange(from, to) => match outcome {
                ReadOutcome::ByteRange(range) => {
                    let bytes = range.bytes.concat();
                    assert_eq!((range.len(), range.is_empty()), (bytes.len(), false));
                    assert_eq!(bytes, self.bytes(from, to), "entries {from} to {to} differ");
                    offered.extend(bytes);
                    range_from = Some((range.start, from));
                }
                other => panic!("expected entries {from} to {to}, got {other:?}"),
            },
        }
        let accepted = accepts.min(offered.len());
        let from_log = self.readers[who].outbox.consume(accepted);
        if let Some((start, from)) = range_from {
            let Advance { cursor, rest } = self.log.advance(start, from_log);
            let (to, partial) = self.after(from, from_log);
            assert_eq!(rest.map(|rest| rest.concat()), partial, "the rest of a partially written entry");
            if let Some(rest) = partial {
                self.readers[who].outbox.push(&rest);
            }
            position = (cursor, to);
        }
        let seq = self.seq_at(position.1);
        assert_eq!(position.0.seq(), seq, "the cursor's event");
        assert_eq!(position.0.has_reached(self.log.tip()), position.1 == self.entries.len());
        let reader = &mut self.readers[who];
        (reader.cursor, reader.at) = position;
        reader.client.receive(&offered[..accepted]);
    }

    /// What a reader at this position must receive.
    fn expected(&self, mut at: usize, end: Option<usize>, budget: usize, lagging: bool) -> Expected {
        if at < self.first {
            if end.is_some_and(|end| at >= end) {
                return Expected::Nothing(at);
            }
            if self.entries[at..self.first].iter().any(|entry| entry.is_event) {
                return Expected::Evicted;
            }
            at = self.first;
        }
        let end = end.unwrap_or(self.entries.len());
        let is_skipped = |at: usize| lagging && !self.entries[at].is_event;
        while at < end && is_skipped(at) {
            at += 1;
        }
        if at >= end {
            return Expected::Nothing(at);
        }
        let mut to = at + 1;
        while to < end && !is_skipped(to) && self.bytes(at, to + 1).len() <= budget {
            to += 1;
        }
        Expected::ByteRange(at, to)
    }

    /// The position `written` bytes after `from`, and the rest of a partially written entry.
    fn after(&self, from: usize, mut written: usize) -> (usize, Option<Vec<u8>>) {
        let mut at = from;
        while written > 0 {
            let bytes = &self.entries[at].bytes;
            at += 1;
            match bytes.len().checked_sub(written) {
                None | Some(0) => written -= bytes.len(),
                Some(_) => return (at, Some(bytes[written..].to_vec())),
            }
        }
        (at, None)
    }

    fn reconnect(&mut self, who: usize, less: u8) {
        let reader = &mut self.readers[who];
        if reader.end.is_some() {
            return;
        }
        reader.outbox.clear();
        reader.client.partial.clear();
        let less = Seq(reader.client.has.0.saturating_sub(u64::from(less)).max(self.initial_head.0));
        reader.client.has = less;
        let base = self.seq_at(self.first);
        let cursor = self.log.cursor_after(less);
        assert_eq!(cursor.is_some(), less >= base, "cursor {less} in a log that starts after {base}");
        let at = match cursor {
            Some(_) if less == self.log.head() => self.entries.len(),
            Some(_) => (self.first..).find(|&at| self.entries[at].seq > less).unwrap_or(0),
            // The reader is catch-uped from the store up to the head.
            None => self.entries.len(),
        };
        let reader = &mut self.readers[who];
        if cursor.is_none() {
            reader.client.has = self.log.head();
        }
        (reader.cursor, reader.at) = (cursor.unwrap_or(self.log.tip()), at);
    }

    /// Writes until nothing is left; afterwards each reader has every event.
    fn quiesce(&mut self) {
        for who in 0..3 {
            for _ in 0..2 * self.entries.len() + 4 {
                self.write(who, usize::MAX, usize::MAX, true);
            }
            let reader = &self.readers[who];
            assert_eq!((reader.outbox.len(), reader.client.partial.len()), (0, 0), "a partial frame is left");
            let last = reader.end.map_or(self.entries.len(), |(_, at)| at);
            assert_eq!(reader.client.has, self.seq_at(last).max(reader.client.has.min(self.initial_head)));
        }
    }
}

enum Expected {
    Evicted,
    Nothing(usize),
    /// The entries between two positions.
    ByteRange(usize, usize),
}

impl Client {
    /// Parses received bytes: each event once, whole and in order, or a gap that names the missing range.
    fn receive(&mut self, bytes: &[u8]) {
        self.partial.extend_from_slice(bytes);
        while let Some((number, rest)) = self.partial.split_first_chunk()
            && let Some((&len, rest)) = rest.split_first()
            && let Some(body) = rest.get(..usize::from(len))
        {
            let number = u64::from_be_bytes(*number);
            match number {
                GAP => {
                    let (from, to) = body.split_at(8);
                    let number = |bytes: &[u8]| u64::from_be_bytes(bytes.try_into().expect("eight bytes"));
                    assert_eq!(
                        number(from),
                        self.has.0 + 1,
                        "a gap must start after the last received event"
                    );
                    self.has = Seq(number(to));
                }
                number => {
                    assert_eq!(
                        [&number.to_be_bytes()[..], &[len], body].concat(),
                        frame(number, len),
                        "torn"
                    );
                    if number != EPHEMERAL {
                        assert_eq!(number, self.has.0 + 1, "an event is missing or duplicated");
                        self.has = Seq(number);
                    }
                }
            }
            let len = 9 + body.len();
            self.partial.drain(..len);
        }
    }
}
