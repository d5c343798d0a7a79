//! Changes to a correct history, each of which violates one guarantee.

use history::{ConnectionId, Hash, ObservedEvent, ObservedKind, Record, RecordKind, Rule};
use protocol::{ClientMessageId, RoomId, Seq, UserId};
use teahouse_history as history;

pub(crate) struct Mutation {
    pub(crate) name: &'static str,
    /// Applies the change to the `nth` record to which it applies; `None` if there is none.
    pub(crate) change: fn(&mut Vec<Record>, usize) -> Option<()>,
    pub(crate) violates: &'static [Rule],
    /// Whether some of the changes cannot be distinguished from a correct history, because no client observed the difference.
    pub(crate) may_be_valid: bool,
}

fn pick(records: &[Record], nth: usize, such: impl Fn(&RecordKind) -> bool) -> Option<usize> {
    let places = records.iter().enumerate().filter(|(_, record)| such(&record.kind));
    let places: Vec<usize> = places.map(|(place, _)| place).collect();
    (!places.is_empty()).then(|| places[nth % places.len()])
}

fn pick_received(records: &[Record], nth: usize) -> Option<usize> {
    pick(records, nth, |kind| received(kind).is_some())
}

fn pick_stored(records: &[Record], nth: usize, of_kind: Option<ObservedKind>) -> Option<usize> {
    pick(
        records,
        nth,
        |kind| matches!(kind, RecordKind::Stored { event, .. } if of_kind.is_none_or(|kind| kind == event.kind)),
    )
}

fn received(kind: &RecordKind) -> Option<(ConnectionId, RoomId, Seq)> {
    match kind {
        RecordKind::Received { connection, room, event } => Some((*connection, *room, event.seq)),
        _ => None,
    }
}

fn observed(kind: &mut RecordKind) -> Option<&mut ObservedEvent> {
    match kind {
        RecordKind::Received { event, .. } | RecordKind::Stored { event, .. } => Some(event),
        _ => None,
    }
}

/// The record in which the same connection receives the next event of the same room.
fn next_received(records: &[Record], place: usize) -> Option<usize> {
    let (connection, room, seq) = received(&records[place].kind)?;
    let next = Some((connection, room, seq.next()));
    records[place..].iter().position(|record| received(&record.kind) == next).map(|after| place + after)
}

fn is_stored_in(record: Option<&Record>, room: RoomId) -> bool {
    matches!(record.map(|record| &record.kind), Some(RecordKind::Stored { room: of, .. }) if *of == room)
}

fn quiesces_later(records: &[Record], place: usize) -> bool {
    let connection = records[place].kind.connection();
    let rests = |record: &Record| {
        matches!(record.kind, RecordKind::Quiescent { .. }) && record.kind.connection() == connection
    };
    records[place..].iter().any(rests)
}

fn insert(records: &mut Vec<Record>, place: usize, kind: RecordKind) {
    let at = records[place - 1].at;
    records.insert(place, Record { at, kind });
}

pub(crate) const MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "a delivery is lost",
        change: |records, nth| {
            let place = pick_received(records, nth)?;
            // The last event before a disconnect may be lost with the connection, and is delivered again.
            next_received(records, place)?;
            records.remove(place);
            Some(())
        },
        violates: &[Rule::SilentGap],
        may_be_valid: false,
    },
    Mutation {
        name: "two deliveries are swapped",
        change: |records, nth| {
            let place = pick_received(records, nth)?;
            let next = next_received(records, place)?;
            records.swap(place, next);
            Some(())
        },
        violates: &[Rule::SilentGap],
        may_be_valid: false,
    },
    Mutation {
        name: "a delivery is doubled",
        change: |records, nth| {
            let place = pick_received(records, nth)?;
            records.insert(place, records[place].clone());
            Some(())
        },
        violates: &[Rule::Duplicate],
        may_be_valid: false,
    },
    Mutation {
        name: "a delivered event is altered",
        change: |records, nth| {
            let place = pick_received(records, nth)?;
            observed(&mut records[place].kind)?.hash.0 ^= 1;
            Some(())
        },
        violates: &[Rule::ReceivedAltered],
        may_be_valid: false,
    },
    Mutation {
        name: "an event is delivered in another room",
        change: |records, nth| {
            let place = pick_received(records, nth)?;
            let RecordKind::Received { room, .. } = &mut records[place].kind else { return None };
            *room = RoomId(99);
            Some(())
        },
        violates: &[Rule::ReceivedBeforeJoined],
        may_be_valid: false,
    },
    Mutation {
        name: "an event is missing in the store",
        change: |records, nth| {
            let place = pick_stored(records, nth, None)?;
            records.remove(place);
            Some(())
        },
        // Without the last event of a room there is no gap in the numbers, but a client got an `ok` for it, received it, or
        // received it as head.
        violates: &[
            Rule::SeqNotContiguous,
            Rule::AcknowledgedButLost,
            Rule::ReceivedButNotStored,
            Rule::InvalidGap,
        ],
        may_be_valid: false,
    },
    Mutation {
        name: "two events are swapped in the store",
        change: |records, nth| {
            let place = pick_stored(records, nth, None)?;
            let room = records[place].kind.room()?;
            is_stored_in(records.get(place + 1), room).then(|| records.swap(place, place + 1))
        },
        violates: &[Rule::SeqNotContiguous],
        may_be_valid: false,
    },
    Mutation {
        name: "two events have swapped numbers in the store",
        change: |records, nth| {
            let place = pick_stored(records, nth, Some(ObservedKind::Message))?;
            let room = records[place].kind.room()?;
            is_stored_in(records.get(place + 1), room).then_some(())?;
            records.swap(place, place + 1);
            let later = observed(&mut records[place].kind)?.seq;
            let sooner = std::mem::replace(&mut observed(&mut records[place + 1].kind)?.seq, later);
            observed(&mut records[place].kind)?.seq = sooner;
            Some(())
        },
        violates: &[
            Rule::WrongSeq,
            Rule::ReceivedAltered,
            Rule::RealTimeOrder,
            Rule::SenderOrder,
            Rule::AcknowledgedButLost,
            Rule::ReceivedAfterRemoval,
            Rule::TimestampRegressed,
        ],
        may_be_valid: true,
    },
    Mutation {
        name: "an event is older than the one before it",
        change: |records, nth| {
            let place = pick_stored(records, nth, None)?;
            let room = records[place].kind.room()?;
            is_stored_in(records.get(place.checked_sub(1)?), room).then_some(())?;
            let RecordKind::Stored { timestamp, .. } = &mut records[place].kind else { return None };
            timestamp.as_mut()?.0 = -1;
            Some(())
        },
        violates: &[Rule::TimestampRegressed],
        may_be_valid: false,
    },
    Mutation {
        name: "a message that no client sent is stored",
        change: |records, nth| {
            let place = pick_stored(records, nth, Some(ObservedKind::Message))?;
            observed(&mut records[place].kind)?.key = ClientMessageId::new("forged").ok();
            Some(())
        },
        violates: &[Rule::NeverSent, Rule::AcknowledgedButLost, Rule::ReceivedAltered],
        may_be_valid: false,
    },
    Mutation {
        name: "a message is stored with another sender",
        change: |records, nth| {
            let place = pick_stored(records, nth, Some(ObservedKind::Message))?;
            observed(&mut records[place].kind)?.user = UserId(99);
            Some(())
        },
        violates: &[Rule::NeverSent, Rule::AcknowledgedButLost, Rule::ReceivedAltered],
        may_be_valid: false,
    },
    Mutation {
        name: "a message is stored with another body",
        change: |records, nth| {
            let place = pick_stored(records, nth, Some(ObservedKind::Message))?;
            observed(&mut records[place].kind)?.body = Some(Hash::of(b"another body"));
            Some(())
        },
        violates: &[Rule::StoredAltered, Rule::ReceivedAltered],
        may_be_valid: false,
    },
    Mutation {
        name: "a retry is stored again",
        change: |records, nth| {
            let place = pick_stored(records, nth, Some(ObservedKind::Message))?;
            let RecordKind::Stored { room, event: mut again, .. } = records[place].kind.clone() else {
                return None;
            };
            let last = records.iter().rposition(|record| is_stored_in(Some(record), room))?;
            again.seq = observed(&mut records[last].kind)?.seq.next();
            insert(records, last + 1, RecordKind::Stored { room, event: again, timestamp: None });
            Some(())
        },
        violates: &[Rule::StoredTwice],
        may_be_valid: false,
    },
    Mutation {
        name: "a reply arrives twice",
        change: |records, nth| {
            let place = pick(records, nth, |kind| matches!(kind, RecordKind::Ok { .. }))?;
            records.insert(place, records[place].clone());
            Some(())
        },
        violates: &[Rule::UnexpectedReply],
        may_be_valid: false,
    },
    Mutation {
        name: "a message is acknowledged with the next number",
        change: |records, nth| {
            let place = pick(records, nth, |kind| matches!(kind, RecordKind::Ok { .. }))?;
            let RecordKind::Ok { seq, .. } = &mut records[place].kind else { return None };
            *seq = seq.next();
            Some(())
        },
        violates: &[Rule::WrongSeq, Rule::AcknowledgedButLost],
        may_be_valid: false,
    },
    Mutation {
        name: "a rejected message is acknowledged",
        change: |records, nth| {
            let place = pick(records, nth, |kind| matches!(kind, RecordKind::Failed { .. }))?;
            let RecordKind::Failed { connection, id, .. } = records[place].kind else { return None };
            records[place].kind = RecordKind::Ok { connection, id, seq: Seq(1) };
            Some(())
        },
        violates: &[Rule::AcknowledgedButLost],
        may_be_valid: false,
    },
    Mutation {
        name: "a reply is lost",
        change: |records, nth| {
            let is_answer = |kind: &RecordKind| {
                matches!(kind, RecordKind::Ok { .. } | RecordKind::Failed { .. } | RecordKind::Unknown { .. })
            };
            let place = pick(records, nth, is_answer)?;
            // A reply may be lost with its connection.
            quiesces_later(records, place).then(|| drop(records.remove(place)))
        },
        violates: &[Rule::Unanswered],
        may_be_valid: false,
    },
    Mutation {
        name: "a gap is not announced",
        change: |records, nth| {
            let place = pick(records, nth, |kind| matches!(kind, RecordKind::Gap { .. }))?;
            // It may be lost with its connection.
            quiesces_later(records, place).then(|| drop(records.remove(place)))
        },
        // The next frame may be another gap.
        violates: &[Rule::SilentGap, Rule::IncompleteView, Rule::InvalidGap],
        may_be_valid: false,
    },
    Mutation {
        name: "a gap is not filled",
        change: |records, nth| {
            let place = pick(records, nth, |kind| matches!(kind, RecordKind::HistoryPage { .. }))?;
            let (connection, room) = (records[place].kind.connection(), records[place].kind.room());
            let comes_again = |record: &Record| {
                let kind = &record.kind;
                let left = matches!(kind, RecordKind::Joined { .. } | RecordKind::Leave { .. });
                left && kind.room() == room && kind.connection() == connection
            };
            (quiesces_later(records, place) && !records[place..].iter().any(comes_again))
                .then(|| drop(records.remove(place)))
        },
        violates: &[Rule::GapNotFilled],
        may_be_valid: false,
    },
    Mutation {
        name: "the last event before the reply to a leave is lost",
        change: |records, nth| {
            let place = pick(
                records,
                nth,
                |kind| matches!(kind, RecordKind::Received { event, .. } if event.kind == ObservedKind::Left),
            )?;
            let RecordKind::Received { connection, event, .. } = &records[place].kind else { return None };
            let answers = |record: &Record| {
                let ok = matches!(record.kind, RecordKind::Ok { seq, .. } if seq == event.seq);
                ok && record.kind.connection() == Some(*connection)
            };
            records[place..].iter().any(answers).then(|| drop(records.remove(place)))
        },
        violates: &[Rule::SilentGap],
        may_be_valid: false,
    },
    Mutation {
        name: "a user who has left is subscribed",
        change: |records, nth| {
            let place = pick(records, nth, |kind| matches!(kind, RecordKind::Ok { .. }))?;
            let RecordKind::Ok { connection, seq, .. } = records[place].kind else { return None };
            let left = |record: &Record| match &record.kind {
                RecordKind::Stored { room, event, .. }
                    if event.kind == ObservedKind::Left && event.seq == seq =>
                {
                    Some(*room)
                }
                _ => None,
            };
            let of_it = |record: &&Record| {
                matches!(record.kind, RecordKind::Leave { .. })
                    && record.kind.connection() == Some(connection)
            };
            let room = records[..place].iter().rev().find(of_it)?.kind.room()?;
            records.iter().filter_map(left).find(|of| *of == room)?;
            insert(records, place + 1, RecordKind::Joined { connection, room, after: None, head: seq });
            Some(())
        },
        violates: &[Rule::OpenedForNonMember],
        // The number may be that of a message.
        may_be_valid: true,
    },
    Mutation {
        name: "a member receives not_a_member",
        change: |records, nth| {
            let place = pick(records, nth, |kind| matches!(kind, RecordKind::Joined { .. }))?;
            let (connection, room) = (records[place].kind.connection()?, records[place].kind.room()?);
            let leaves = |record: &Record| {
                matches!(record.kind, RecordKind::Leave { .. }) && record.kind.room() == Some(room)
            };
            // A user who leaves later may receive it at any time.
            (!records[place..].iter().any(leaves))
                .then(|| insert(records, place + 1, RecordKind::RoomClosed { connection, room }))
        },
        violates: &[Rule::ClosedToMember],
        may_be_valid: false,
    },
    Mutation {
        name: "an event arrives after the reply to a leave",
        change: |records, nth| {
            let place = pick_stored(records, nth, Some(ObservedKind::Left))?;
            let RecordKind::Stored { room, event, .. } = records[place].kind.clone() else { return None };
            is_stored_in(records.get(place + 1), room).then_some(())?;
            let next = observed(&mut records[place + 1].kind)?.clone();
            // The user who left received the removal and then the reply.
            let removal = records.iter().position(|record| {
                let by_itself =
                    matches!(&record.kind, RecordKind::Received { event: it, .. } if *it == event);
                by_itself && record.kind.room() == Some(room)
            })?;
            let answer = records[removal..]
                .iter()
                .position(|record| matches!(record.kind, RecordKind::Ok { seq, .. } if seq == event.seq))?;
            let connection = records[removal + answer].kind.connection()?;
            insert(records, removal + answer + 1, RecordKind::Received { connection, room, event: next });
            Some(())
        },
        violates: &[
            Rule::ReceivedAfterRemoval,
            Rule::ReceivedBeforeJoined,
            Rule::SilentGap,
            Rule::Duplicate,
            Rule::BelowCursor,
        ],
        may_be_valid: true,
    },
    Mutation {
        name: "the last event of a room is not delivered",
        change: |records, nth| {
            let place = pick(records, nth, |kind| matches!(kind, RecordKind::Quiescent { .. }))?;
            let connection = records[place].kind.connection()?;
            let of_it = |record: &Record| received(&record.kind).is_some_and(|(on, ..)| on == connection);
            let last = records[..place].iter().rposition(of_it)?;
            let left = matches!(&records[last].kind, RecordKind::Received { event, .. } if event.kind == ObservedKind::Left);
            (!left).then(|| drop(records.remove(last)))
        },
        violates: &[Rule::IncompleteView],
        may_be_valid: false,
    },
    Mutation {
        name: "a cursor is ignored on resume",
        change: |records, nth| {
            let such = |kind: &RecordKind| matches!(kind, RecordKind::Joined { after: Some(after), .. } if after.0 > 0);
            let place = pick(records, nth, such)?;
            let RecordKind::Joined { connection, room, after: Some(after), .. } = records[place].kind else {
                return None;
            };
            let event = records.iter().find_map(|record| match &record.kind {
                RecordKind::Stored { room: of, event, .. } if *of == room && event.seq == after => {
                    Some(event.clone())
                }
                _ => None,
            })?;
            insert(records, place + 1, RecordKind::Received { connection, room, event });
            Some(())
        },
        violates: &[Rule::BelowCursor],
        may_be_valid: false,
    },
];
