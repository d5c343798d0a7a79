//! What holds of a room's log after any operations: it is compared, step by step, with a log that never forgets, and what each
//! reader's socket took is read as its client reads it.

use std::io::IoSlice;

use arbitrary::{Arbitrary, Unstructured};
use protocol::Seq;
use teahouse_room_log::{Advance, Cursor, Evicted, Outbox, ReadOutcome, RoomLog, SequenceGap, Window};

/// Holds the log to its claims, for a case that is read from `data`.
pub(crate) fn hold(data: &[u8]) {
    let Ok(case) = Case::arbitrary_take_rest(Unstructured::new(data)) else { return };
    let mut room = Room::new(Seq(u64::from(case.head)));
    for operation in case.operations {
        room.apply(operation);
    }
    room.rest();
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
    /// Another than the next event.
    AppendAt {
        seq: u8,
    },
    AppendUnnumbered {
        len: u8,
    },
    /// A reader is offered `turn` bytes of the log behind its outbox, and its socket takes `takes` of it all.
    Write {
        who: u8,
        turn: u16,
        takes: u16,
        lagging: bool,
    },
    Trim {
        soft: u16,
        more: u16,
    },
    Release,
    /// A reader's connection breaks, and it comes back with what it has whole, or says that it has `less`.
    Return {
        who: u8,
        less: u8,
    },
    /// A reader may see nothing that comes from now on.
    Remove {
        who: u8,
    },
}

/// An entry as the log that never forgets has it.
struct Entry {
    /// The last event at or before it.
    seq: Seq,
    numbered: bool,
    bytes: Vec<u8>,
}

const GAP: u64 = u64::MAX;
const UNNUMBERED: u64 = 0;

/// A frame that says what it is and where it ends, and of which no two are alike.
fn frame(number: u64, len: u8) -> Vec<u8> {
    let mut frame = number.to_be_bytes().to_vec();
    frame.push(len);
    frame.extend((0..len).map(|at| at ^ number as u8));
    frame
}

/// The log, the log that never forgets, and the readers of both. A place in the latter is a count of entries.
struct Room {
    log: RoomLog,
    before: Seq,
    entries: Vec<Entry>,
    /// The oldest entry that `log` still holds.
    first: usize,
    readers: [Reader; 3],
}

struct Reader {
    cursor: Cursor,
    /// The same place in the log that never forgets.
    at: usize,
    outbox: Outbox,
    end: Option<(Cursor, usize)>,
    client: Client,
}

/// What is at the other end of a socket.
struct Client {
    /// The last event that it has, or was told that it missed.
    has: Seq,
    begun: Vec<u8>,
}

impl Room {
    fn new(head: Seq) -> Self {
        let log = RoomLog::new(head);
        let readers = [(); 3].map(|()| Reader {
            cursor: log.tip(),
            at: 0,
            outbox: Outbox::default(),
            end: None,
            client: Client { has: head, begun: Vec::new() },
        });
        Room { log, before: head, entries: Vec::new(), first: 0, readers }
    }

    fn apply(&mut self, operation: Operation) {
        match operation {
            Operation::Append { len } => {
                let seq = self.log.head().next();
                let bytes = frame(seq.0, len);
                assert_eq!(self.log.append(seq, &bytes), Ok(()));
                self.entries.push(Entry { seq, numbered: true, bytes });
            }
            Operation::AppendAt { seq } => self.append_at(Seq(u64::from(seq))),
            Operation::AppendUnnumbered { len } => {
                let bytes = frame(UNNUMBERED, len);
                self.log.append_ephemeral(&bytes);
                self.entries.push(Entry { seq: self.log.head(), numbered: false, bytes });
            }
            Operation::Write { who, turn, takes, lagging } => {
                self.write(usize::from(who) % 3, turn.into(), takes.into(), lagging);
            }
            Operation::Trim { soft, more } => {
                // Around the size that the log has, or far from it.
                let (soft, more) = (usize::from(soft) % (2 * self.log.len() + 1), usize::from(more));
                self.trim(soft, soft + more % (self.log.len() + 1));
            }
            Operation::Release => {
                self.log.release();
                self.first = self.entries.len();
                assert!(self.log.is_empty());
            }
            Operation::Return { who, less } => self.come_back(usize::from(who) % 3, less),
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
        assert_eq!((self.log.head(), self.log.len()), (head, len), "it was not the next event");
    }

    /// The last event before a place.
    fn seq_at(&self, at: usize) -> Seq {
        at.checked_sub(1).map_or(self.before, |before| self.entries[before].seq)
    }

    fn bytes(&self, from: usize, to: usize) -> Vec<u8> {
        self.entries[from..to].iter().flat_map(|entry| &entry.bytes).copied().collect()
    }

    fn trim(&mut self, soft: usize, hard: usize) {
        let floor = self.readers.iter().fold(self.log.tip(), |floor, reader| floor.min(reader.cursor));
        let floor_at = self.readers.iter().map(|reader| reader.at).min().unwrap_or(0);
        let was = self.first;
        let needed = self.log.trim(soft, hard, floor);
        let held = self.log.len();
        while self.bytes(self.first, self.entries.len()).len() > held {
            self.first += 1;
        }
        assert_eq!(self.bytes(self.first, self.entries.len()).len(), held, "an entry is evicted whole");
        assert!(held <= hard, "{held} bytes are held, and {hard} are the bound");
        assert!(held <= soft || self.first >= floor_at, "what nobody needs is held beyond the soft bound");
        assert_eq!(needed, was < self.first && self.first > floor_at, "whether a reader has lost something");
        if let Some(last) = self.first.checked_sub(1).filter(|&last| last >= was) {
            let before = held + self.entries[last].bytes.len();
            assert!(before > if last < floor_at { soft } else { hard }, "it was evicted for nothing");
        }
    }

    /// As a shard does it: the outbox, and behind it a run of the log, in one write.
    fn write(&mut self, who: usize, turn: usize, takes: usize, lagging: bool) {
        let Reader { cursor, at, end, .. } = self.readers[who];
        let mut slices = [IoSlice::new(&[]); 2];
        let (filled, all) = self.readers[who].outbox.slices(&mut slices);
        let mut offered: Vec<u8> = slices[..filled].iter().flat_map(|slice| slice.to_vec()).collect();
        let window = Window { bytes: turn, end: end.map(|(end, _)| end), numbered_only: lagging };
        let reading = self.log.read(cursor, window);
        let mut run_from = None;
        let mut place = (cursor, at);
        match self.expected(at, end.map(|(_, at)| at), turn, lagging) {
            _ if !all => {}
            Expected::Evicted => {
                let lag = Evicted { after: self.seq_at(at), head: self.log.head() };
                assert_eq!(reading, ReadOutcome::Lagged(lag));
                let (tip, last) = end.unwrap_or((self.log.tip(), self.entries.len()));
                let mut gap = frame(GAP, 16);
                gap.truncate(9);
                gap.extend_from_slice(&(lag.after.0 + 1).to_be_bytes());
                gap.extend_from_slice(&self.seq_at(last).0.to_be_bytes());
                self.readers[who].outbox.push(&gap);
                place = (tip, last);
            }
            Expected::Nothing(expected) => match reading {
                ReadOutcome::Nothing(cursor) => place = (cursor, expected),
                other => panic!("nothing lies before it, and it gets {other:?}"),
            },
            Expected::ByteRange(from, to) => match reading {
                ReadOutcome::ByteRange(run) => {
                    let bytes = run.bytes.concat();
                    assert_eq!((run.len(), run.is_empty()), (bytes.len(), false));
                    assert_eq!(bytes, self.bytes(from, to), "entries {from} to {to} are others");
                    offered.extend(bytes);
                    run_from = Some((run.start, from));
                }
                other => panic!("entries {from} to {to} lie before it, and it gets {other:?}"),
            },
        }
        let takes = takes.min(offered.len());
        let of_the_log = self.readers[who].outbox.consume(takes);
        if let Some((start, from)) = run_from {
            let Advance { cursor, rest } = self.log.advance(start, of_the_log);
            let (to, begun) = self.after(from, of_the_log);
            assert_eq!(rest.map(|rest| rest.concat()), begun, "the rest of a begun entry");
            if let Some(rest) = begun {
                self.readers[who].outbox.push(&rest);
            }
            place = (cursor, to);
        }
        let seq = self.seq_at(place.1);
        assert_eq!(place.0.seq(), seq, "the cursor's event");
        assert_eq!(place.0.has_reached(self.log.tip()), place.1 == self.entries.len());
        let reader = &mut self.readers[who];
        (reader.cursor, reader.at) = place;
        reader.client.take(&offered[..takes]);
    }

    /// What a reader at this place must get.
    fn expected(&self, mut at: usize, end: Option<usize>, turn: usize, lagging: bool) -> Expected {
        if at < self.first {
            if end.is_some_and(|end| at >= end) {
                return Expected::Nothing(at);
            }
            if self.entries[at..self.first].iter().any(|entry| entry.numbered) {
                return Expected::Evicted;
            }
            at = self.first;
        }
        let end = end.unwrap_or(self.entries.len());
        let passes_over = |at: usize| lagging && !self.entries[at].numbered;
        while at < end && passes_over(at) {
            at += 1;
        }
        if at >= end {
            return Expected::Nothing(at);
        }
        let mut to = at + 1;
        while to < end && !passes_over(to) && self.bytes(at, to + 1).len() <= turn {
            to += 1;
        }
        Expected::ByteRange(at, to)
    }

    /// The place after so many bytes from `from`, and what is left of an entry that was begun.
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

    fn come_back(&mut self, who: usize, less: u8) {
        let reader = &mut self.readers[who];
        if reader.end.is_some() {
            return;
        }
        reader.outbox.clear();
        reader.client.begun.clear();
        let less = Seq(reader.client.has.0.saturating_sub(u64::from(less)).max(self.before.0));
        reader.client.has = less;
        let base = self.seq_at(self.first);
        let place = self.log.cursor_after(less);
        assert_eq!(place.is_some(), less >= base, "{less} is asked of a log that begins after {base}");
        let at = match place {
            Some(_) if less == self.log.head() => self.entries.len(),
            Some(_) => (self.first..).find(|&at| self.entries[at].seq > less).unwrap_or(0),
            // Then it reads the store up to the head.
            None => self.entries.len(),
        };
        let reader = &mut self.readers[who];
        if place.is_none() {
            reader.client.has = self.log.head();
        }
        (reader.cursor, reader.at) = (place.unwrap_or(self.log.tip()), at);
    }

    /// Everything is offered until nothing is left: then everybody has everything.
    fn rest(&mut self) {
        for who in 0..3 {
            for _ in 0..2 * self.entries.len() + 4 {
                self.write(who, usize::MAX, usize::MAX, true);
            }
            let reader = &self.readers[who];
            assert_eq!((reader.outbox.len(), reader.client.begun.len()), (0, 0), "half a frame is left");
            let last = reader.end.map_or(self.entries.len(), |(_, at)| at);
            assert_eq!(reader.client.has, self.seq_at(last).max(reader.client.has.min(self.before)));
        }
    }
}

enum Expected {
    Evicted,
    Nothing(usize),
    /// The entries from the one place up to the other.
    ByteRange(usize, usize),
}

impl Client {
    /// Reads what came: each event once, whole, in order, or a gap that names what is missing.
    fn take(&mut self, bytes: &[u8]) {
        self.begun.extend_from_slice(bytes);
        while let Some((number, rest)) = self.begun.split_first_chunk()
            && let Some((&len, rest)) = rest.split_first()
            && let Some(body) = rest.get(..usize::from(len))
        {
            let number = u64::from_be_bytes(*number);
            match number {
                GAP => {
                    let (from, to) = body.split_at(8);
                    let word = |bytes: &[u8]| u64::from_be_bytes(bytes.try_into().expect("eight bytes"));
                    assert_eq!(word(from), self.has.0 + 1, "a gap that does not begin behind what it has");
                    self.has = Seq(word(to));
                }
                number => {
                    assert_eq!(
                        [&number.to_be_bytes()[..], &[len], body].concat(),
                        frame(number, len),
                        "torn"
                    );
                    if number != UNNUMBERED {
                        assert_eq!(number, self.has.0 + 1, "an event is missing, or came twice");
                        self.has = Seq(number);
                    }
                }
            }
            let len = 9 + body.len();
            self.begun.drain(..len);
        }
    }
}
