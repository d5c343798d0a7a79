//! Any interleaving of appends, cursors, evictions and partial writes delivers each event once, whole and in order, or says
//! which were missed.

use std::io::IoSlice;

use proptest::prelude::*;
use protocol::Seq;
use teahouse_room_log::{Cursor, Outbox, ReadOutcome, RoomLog, Window};

#[derive(Clone, Debug)]
enum Step {
    Append {
        padding: usize,
    },
    AppendUnnumbered {
        padding: usize,
    },
    /// Member `who` is offered `turn` bytes, and its socket takes `room` of them.
    Write {
        who: usize,
        turn: usize,
        room: usize,
        lagging: bool,
    },
    Trim {
        soft: usize,
        hard: usize,
    },
    Release,
    /// Member `who` comes back with what it has.
    Return {
        who: usize,
    },
    /// Member `who` is removed: the log as it stands is the last it may see.
    Remove {
        who: usize,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let who = 0usize..3;
    proptest::collection::vec(
        prop_oneof![
            6 => (0usize..30).prop_map(|padding| Step::Append { padding }),
            2 => (0usize..30).prop_map(|padding| Step::AppendUnnumbered { padding }),
            8 => (who.clone(), 1usize..90, 0usize..90, any::<bool>())
                .prop_map(|(who, turn, room, lagging)| Step::Write { who, turn, room, lagging }),
            2 => (0usize..120, 0usize..120).prop_map(|(soft, more)| Step::Trim { soft, hard: soft + more }),
            1 => Just(Step::Release),
            1 => who.clone().prop_map(|who| Step::Return { who }),
            1 => who.prop_map(|who| Step::Remove { who }),
        ],
        1..120,
    )
}

/// A frame that tells where it begins and ends: `<seq:padding>`.
fn frame(word: &str, padding: usize) -> Vec<u8> {
    format!("<{word}:{}>", ".".repeat(padding)).into_bytes()
}

struct Member {
    cursor: Cursor,
    outbox: Outbox,
    received: Vec<u8>,
    /// The numbers that were missed, as the log said.
    missed: Vec<(u64, u64)>,
    end: Option<Cursor>,
}

impl Member {
    /// As a shard does it: the outbox, and behind it a run of the log, in one write of which the socket takes `room` bytes.
    fn write(&mut self, log: &RoomLog, turn: usize, room: usize, lagging: bool) {
        let mut slices = [IoSlice::new(&[]); 4];
        let (filled, all) = self.outbox.slices(&mut slices);
        let mut offered: Vec<u8> = slices[..filled].iter().flat_map(|slice| slice.to_vec()).collect();
        let mut start = None;
        if all {
            match log.read(self.cursor, Window { bytes: turn, end: self.end, numbered_only: lagging }) {
                ReadOutcome::Nothing(cursor) => self.cursor = cursor,
                ReadOutcome::ByteRange(run) => {
                    offered.extend(run.bytes.concat());
                    start = Some(run.start);
                }
                ReadOutcome::Lagged(lag) => {
                    self.missed.push((lag.after.0 + 1, lag.head.0));
                    self.cursor = log.tip();
                }
            }
        }
        let taken = room.min(offered.len());
        self.received.extend_from_slice(&offered[..taken]);
        let of_the_log = self.outbox.consume(taken);
        if let Some(start) = start {
            let advance = log.advance(start, of_the_log);
            self.cursor = advance.cursor;
            for piece in advance.rest.into_iter().flatten() {
                self.outbox.push(piece);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]
    #[test]
    fn every_event_arrives_once_whole_in_order_or_is_named_as_missed(steps in steps()) {
        let mut log = RoomLog::new(Seq(7));
        let mut floor = log.tip();
        let mut members: Vec<Member> = (0..3)
            .map(|_| Member { cursor: log.tip(), outbox: Outbox::default(), received: vec![], missed: vec![], end: None })
            .collect();
        for step in steps {
            match step {
                Step::Append { padding } => {
                    let seq = log.head().next();
                    log.append(seq, &frame(&seq.to_string(), padding)).unwrap();
                }
                Step::AppendUnnumbered { padding } => log.append_ephemeral(&frame("0", padding)),
                Step::Write { who, turn, room, lagging } => members[who].write(&log, turn, room, lagging),
                Step::Trim { soft, hard } => {
                    floor = members.iter().fold(log.tip(), |floor, member| floor.min(member.cursor));
                    log.trim(soft, hard, floor);
                }
                Step::Release => log.release(),
                Step::Return { who } => {
                    let member = &mut members[who];
                    if let (None, true, Some(cursor)) = (member.end, member.outbox.is_empty(), log.cursor_after(member.cursor.seq())) {
                        member.cursor = cursor;
                    }
                }
                Step::Remove { who } => {
                    let tip = log.tip();
                    members[who].end.get_or_insert(tip);
                }
            }
        }
        let _ = floor;
        for member in &mut members {
            // At rest: everything is offered until nothing is left.
            for _ in 0..400 {
                member.write(&log, 64, usize::MAX, true);
            }
            prop_assert!(member.outbox.is_empty());
            let text = String::from_utf8(member.received.clone()).unwrap();
            let mut expected = 8;
            for entry in text.split_inclusive('>') {
                prop_assert!(entry.starts_with('<') && entry.ends_with('>') && entry.matches('<').count() == 1, "torn: {}", entry);
                let seq: u64 = entry[1..].split(':').next().unwrap().parse().unwrap();
                if seq == 0 {
                    continue;
                }
                while let Some(&(_, to)) = member.missed.iter().find(|(from, _)| *from == expected) {
                    expected = to + 1;
                }
                prop_assert_eq!(seq, expected);
                expected += 1;
            }
            while let Some(&(_, to)) = member.missed.iter().find(|(from, to)| *from == expected && to >= from) {
                expected = to + 1;
            }
            let last = member.end.map_or(log.head(), |end| end.seq());
            if member.end.is_none() {
                prop_assert_eq!(expected, last.0 + 1);
            } else if member.missed.is_empty() {
                prop_assert_eq!(expected, last.0 + 1, "a removed member sees up to its end and no further");
            }
        }
    }
}
