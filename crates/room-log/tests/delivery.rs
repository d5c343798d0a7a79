//! Any interleaving of appends, reads, evictions and partial writes delivers each event once, whole and in order, or reports
//! the missed range.

use std::io::IoSlice;

use proptest::prelude::*;
use protocol::Seq;
use teahouse_room_log::{Cursor, Outbox, ReadOutcome, RoomLog, Window};

#[derive(Clone, Debug)]
enum Step {
    Append {
        padding: usize,
    },
    AppendEphemeral {
        padding: usize,
    },
    /// Member `who` is offered `budget` bytes, and its socket accepts `accepts` of them.
    Write {
        who: usize,
        budget: usize,
        accepts: usize,
        lagging: bool,
    },
    Trim {
        soft: usize,
        hard: usize,
    },
    Release,
    /// Member `who` reconnects with its last event.
    Reconnect {
        who: usize,
    },
    /// Member `who` is removed: it may receive nothing that is appended later.
    Remove {
        who: usize,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let who = 0usize..3;
    proptest::collection::vec(
        prop_oneof![
            6 => (0usize..30).prop_map(|padding| Step::Append { padding }),
            2 => (0usize..30).prop_map(|padding| Step::AppendEphemeral { padding }),
            8 => (who.clone(), 1usize..90, 0usize..90, any::<bool>())
                .prop_map(|(who, budget, accepts, lagging)| Step::Write { who, budget, accepts, lagging }),
            2 => (0usize..120, 0usize..120).prop_map(|(soft, more)| Step::Trim { soft, hard: soft + more }),
            1 => Just(Step::Release),
            1 => who.clone().prop_map(|who| Step::Reconnect { who }),
            1 => who.prop_map(|who| Step::Remove { who }),
        ],
        1..120,
    )
}

/// A frame with recognizable boundaries: `<seq:padding>`.
fn frame(seq: &str, padding: usize) -> Vec<u8> {
    format!("<{seq}:{}>", ".".repeat(padding)).into_bytes()
}

struct Member {
    cursor: Cursor,
    outbox: Outbox,
    received: Vec<u8>,
    /// The missed ranges that the log reported.
    missed: Vec<(u64, u64)>,
    end: Option<Cursor>,
}

impl Member {
    /// Writes as a shard does: the outbox, then a range of the log, in one write of which the socket accepts `accepts` bytes.
    fn write(&mut self, log: &RoomLog, budget: usize, accepts: usize, lagging: bool) {
        let mut slices = [IoSlice::new(&[]); 4];
        let (filled, all) = self.outbox.slices(&mut slices);
        let mut offered: Vec<u8> = slices[..filled].iter().flat_map(|slice| slice.to_vec()).collect();
        let mut start = None;
        if all {
            match log.read(self.cursor, Window { bytes: budget, end: self.end, numbered_only: lagging }) {
                ReadOutcome::Nothing(cursor) => self.cursor = cursor,
                ReadOutcome::ByteRange(range) => {
                    offered.extend(range.bytes.concat());
                    start = Some(range.start);
                }
                ReadOutcome::Lagged(evicted) => {
                    self.missed.push((evicted.after.0 + 1, evicted.head.0));
                    self.cursor = log.tip();
                }
            }
        }
        let taken = accepts.min(offered.len());
        self.received.extend_from_slice(&offered[..taken]);
        let from_log = self.outbox.consume(taken);
        if let Some(start) = start {
            let advance = log.advance(start, from_log);
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
    fn each_event_is_delivered_once_or_reported_as_gap(steps in steps()) {
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
                Step::AppendEphemeral { padding } => log.append_ephemeral(&frame("0", padding)),
                Step::Write { who, budget, accepts, lagging } => members[who].write(&log, budget, accepts, lagging),
                Step::Trim { soft, hard } => {
                    floor = members.iter().fold(log.tip(), |floor, member| floor.min(member.cursor));
                    log.trim(soft, hard, floor);
                }
                Step::Release => log.release(),
                Step::Reconnect { who } => {
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
            // Quiesce: write until nothing is left.
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
                prop_assert_eq!(expected, last.0 + 1, "a removed member receives events up to its end and nothing later");
            }
        }
    }
}
