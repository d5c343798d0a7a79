//! What may be done to an honest history, each so that one promise is broken.

use history::{Connection, Hash, Kind, Record, Rule, Seen, What};
use protocol::{ClientMessageId, RoomId, Seq, UserId};
use teahouse_history as history;

pub(crate) struct Mutation {
    pub(crate) name: &'static str,
    /// Does it at the `nth` of the places where it can be done; `None` where it cannot.
    pub(crate) change: fn(&mut Vec<Record>, usize) -> Option<()>,
    pub(crate) breaks: &'static [Rule],
    /// At some places nobody can tell it from the truth, for nobody was told and nobody saw.
    pub(crate) may_pass: bool,
}

fn pick(records: &[Record], nth: usize, such: impl Fn(&What) -> bool) -> Option<usize> {
    let places = records.iter().enumerate().filter(|(_, record)| such(&record.what));
    let places: Vec<usize> = places.map(|(place, _)| place).collect();
    (!places.is_empty()).then(|| places[nth % places.len()])
}

fn pick_heard(records: &[Record], nth: usize) -> Option<usize> {
    pick(records, nth, |what| heard(what).is_some())
}

fn pick_stored(records: &[Record], nth: usize, kind: Option<Kind>) -> Option<usize> {
    pick(
        records,
        nth,
        |what| matches!(what, What::Stored { event, .. } if kind.is_none_or(|kind| kind == event.kind)),
    )
}

fn heard(what: &What) -> Option<(Connection, RoomId, Seq)> {
    match what {
        What::Heard { connection, room, event } => Some((*connection, *room, event.seq)),
        _ => None,
    }
}

fn seen(what: &mut What) -> Option<&mut Seen> {
    match what {
        What::Heard { event, .. } | What::Stored { event, .. } => Some(event),
        _ => None,
    }
}

/// Where the same connection heard the next event of the same room.
fn next_heard(records: &[Record], place: usize) -> Option<usize> {
    let (connection, room, seq) = heard(&records[place].what)?;
    let next = Some((connection, room, seq.next()));
    records[place..].iter().position(|record| heard(&record.what) == next).map(|after| place + after)
}

fn is_stored_in(record: Option<&Record>, room: RoomId) -> bool {
    matches!(record.map(|record| &record.what), Some(What::Stored { room: of, .. }) if *of == room)
}

fn rests_later(records: &[Record], place: usize) -> bool {
    let connection = records[place].what.connection();
    let rests = |record: &Record| {
        matches!(record.what, What::AtRest { .. }) && record.what.connection() == connection
    };
    records[place..].iter().any(rests)
}

fn insert(records: &mut Vec<Record>, place: usize, what: What) {
    let at = records[place - 1].at;
    records.insert(place, Record { at, what });
}

pub(crate) const MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "a delivery is lost",
        change: |records, nth| {
            let place = pick_heard(records, nth)?;
            // The last one before a connection is lost is lost with it, and comes again: that is no harm.
            next_heard(records, place)?;
            records.remove(place);
            Some(())
        },
        breaks: &[Rule::Skipped],
        may_pass: false,
    },
    Mutation {
        name: "two deliveries are swapped",
        change: |records, nth| {
            let place = pick_heard(records, nth)?;
            let next = next_heard(records, place)?;
            records.swap(place, next);
            Some(())
        },
        breaks: &[Rule::Skipped],
        may_pass: false,
    },
    Mutation {
        name: "a delivery is doubled",
        change: |records, nth| {
            let place = pick_heard(records, nth)?;
            records.insert(place, records[place].clone());
            Some(())
        },
        breaks: &[Rule::Doubled],
        may_pass: false,
    },
    Mutation {
        name: "what was delivered is altered",
        change: |records, nth| {
            let place = pick_heard(records, nth)?;
            seen(&mut records[place].what)?.hash.0 ^= 1;
            Some(())
        },
        breaks: &[Rule::SeenAltered],
        may_pass: false,
    },
    Mutation {
        name: "an event is delivered as another room's",
        change: |records, nth| {
            let place = pick_heard(records, nth)?;
            let What::Heard { room, .. } = &mut records[place].what else { return None };
            *room = RoomId(99);
            Some(())
        },
        breaks: &[Rule::BeforeJoined],
        may_pass: false,
    },
    Mutation {
        name: "an event is gone from the store",
        change: |records, nth| {
            let place = pick_stored(records, nth, None)?;
            records.remove(place);
            Some(())
        },
        // The last of a room leaves no hole; then somebody had an `ok`, or saw it, or was told of that head.
        breaks: &[Rule::Numbers, Rule::AcknowledgedButLost, Rule::SeenButNotStored, Rule::WrongGap],
        may_pass: false,
    },
    Mutation {
        name: "two events are swapped in the store",
        change: |records, nth| {
            let place = pick_stored(records, nth, None)?;
            let room = records[place].what.room()?;
            is_stored_in(records.get(place + 1), room).then(|| records.swap(place, place + 1))
        },
        breaks: &[Rule::Numbers],
        may_pass: false,
    },
    Mutation {
        name: "two events have each other's number in the store",
        change: |records, nth| {
            let place = pick_stored(records, nth, Some(Kind::Message))?;
            let room = records[place].what.room()?;
            is_stored_in(records.get(place + 1), room).then_some(())?;
            records.swap(place, place + 1);
            let later = seen(&mut records[place].what)?.seq;
            let sooner = std::mem::replace(&mut seen(&mut records[place + 1].what)?.seq, later);
            seen(&mut records[place].what)?.seq = sooner;
            Some(())
        },
        breaks: &[
            Rule::WrongNumber,
            Rule::SeenAltered,
            Rule::Overtaken,
            Rule::SendersOrder,
            Rule::AcknowledgedButLost,
            Rule::AfterRemoval,
            Rule::WentBackInTime,
        ],
        may_pass: true,
    },
    Mutation {
        name: "an event is older than the one before it",
        change: |records, nth| {
            let place = pick_stored(records, nth, None)?;
            let room = records[place].what.room()?;
            is_stored_in(records.get(place.checked_sub(1)?), room).then_some(())?;
            let What::Stored { dated, .. } = &mut records[place].what else { return None };
            dated.as_mut()?.0 = -1;
            Some(())
        },
        breaks: &[Rule::WentBackInTime],
        may_pass: false,
    },
    Mutation {
        name: "a message that nobody sent is stored",
        change: |records, nth| {
            let place = pick_stored(records, nth, Some(Kind::Message))?;
            seen(&mut records[place].what)?.key = ClientMessageId::new("forged").ok();
            Some(())
        },
        breaks: &[Rule::NeverSent, Rule::AcknowledgedButLost, Rule::SeenAltered],
        may_pass: false,
    },
    Mutation {
        name: "a message is stored as another's",
        change: |records, nth| {
            let place = pick_stored(records, nth, Some(Kind::Message))?;
            seen(&mut records[place].what)?.who = UserId(99);
            Some(())
        },
        breaks: &[Rule::NeverSent, Rule::AcknowledgedButLost, Rule::SeenAltered],
        may_pass: false,
    },
    Mutation {
        name: "a message is stored with other words",
        change: |records, nth| {
            let place = pick_stored(records, nth, Some(Kind::Message))?;
            seen(&mut records[place].what)?.body = Some(Hash::of(b"other words"));
            Some(())
        },
        breaks: &[Rule::StoredAltered, Rule::SeenAltered],
        may_pass: false,
    },
    Mutation {
        name: "a retry is stored again",
        change: |records, nth| {
            let place = pick_stored(records, nth, Some(Kind::Message))?;
            let What::Stored { room, event: mut again, .. } = records[place].what.clone() else {
                return None;
            };
            let last = records.iter().rposition(|record| is_stored_in(Some(record), room))?;
            again.seq = seen(&mut records[last].what)?.seq.next();
            insert(records, last + 1, What::Stored { room, event: again, dated: None });
            Some(())
        },
        breaks: &[Rule::StoredTwice],
        may_pass: false,
    },
    Mutation {
        name: "an answer comes twice",
        change: |records, nth| {
            let place = pick(records, nth, |what| matches!(what, What::Ok { .. }))?;
            records.insert(place, records[place].clone());
            Some(())
        },
        breaks: &[Rule::AnsweredTwice],
        may_pass: false,
    },
    Mutation {
        name: "a message is acknowledged with the next number",
        change: |records, nth| {
            let place = pick(records, nth, |what| matches!(what, What::Ok { .. }))?;
            let What::Ok { seq, .. } = &mut records[place].what else { return None };
            *seq = seq.next();
            Some(())
        },
        breaks: &[Rule::WrongNumber, Rule::AcknowledgedButLost],
        may_pass: false,
    },
    Mutation {
        name: "what was refused is acknowledged",
        change: |records, nth| {
            let place = pick(records, nth, |what| matches!(what, What::Failed { .. }))?;
            let What::Failed { connection, id, .. } = records[place].what else { return None };
            records[place].what = What::Ok { connection, id, seq: Seq(1) };
            Some(())
        },
        breaks: &[Rule::AcknowledgedButLost],
        may_pass: false,
    },
    Mutation {
        name: "an answer is lost",
        change: |records, nth| {
            let is_answer =
                |what: &What| matches!(what, What::Ok { .. } | What::Failed { .. } | What::Unknown { .. });
            let place = pick(records, nth, is_answer)?;
            // With its connection an answer may be lost.
            rests_later(records, place).then(|| drop(records.remove(place)))
        },
        breaks: &[Rule::Unanswered],
        may_pass: false,
    },
    Mutation {
        name: "a gap is not told",
        change: |records, nth| {
            let place = pick(records, nth, |what| matches!(what, What::Gap { .. }))?;
            // On a connection that is lost it may have been lost, too.
            rests_later(records, place).then(|| drop(records.remove(place)))
        },
        // The next thing heard may be another gap.
        breaks: &[Rule::Skipped, Rule::Behind, Rule::WrongGap],
        may_pass: false,
    },
    Mutation {
        name: "a gap is not filled",
        change: |records, nth| {
            let place = pick(records, nth, |what| matches!(what, What::Filled { .. }))?;
            let (connection, room) = (records[place].what.connection(), records[place].what.room());
            let comes_again = |record: &Record| {
                let what = &record.what;
                let left = matches!(what, What::Joined { .. } | What::Leave { .. });
                left && what.room() == room && what.connection() == connection
            };
            (rests_later(records, place) && !records[place..].iter().any(comes_again))
                .then(|| drop(records.remove(place)))
        },
        breaks: &[Rule::GapUnfilled],
        may_pass: false,
    },
    Mutation {
        name: "the last word before the answer to a leave is lost",
        change: |records, nth| {
            let place = pick(
                records,
                nth,
                |what| matches!(what, What::Heard { event, .. } if event.kind == Kind::Left),
            )?;
            let What::Heard { connection, event, .. } = &records[place].what else { return None };
            let answers = |record: &Record| {
                let ok = matches!(record.what, What::Ok { seq, .. } if seq == event.seq);
                ok && record.what.connection() == Some(*connection)
            };
            records[place..].iter().any(answers).then(|| drop(records.remove(place)))
        },
        breaks: &[Rule::Skipped],
        may_pass: false,
    },
    Mutation {
        name: "a room is opened for one who has left",
        change: |records, nth| {
            let place = pick(records, nth, |what| matches!(what, What::Ok { .. }))?;
            let What::Ok { connection, seq, .. } = records[place].what else { return None };
            let left = |record: &Record| match &record.what {
                What::Stored { room, event, .. } if event.kind == Kind::Left && event.seq == seq => {
                    Some(*room)
                }
                _ => None,
            };
            let of_it = |record: &&Record| {
                matches!(record.what, What::Leave { .. }) && record.what.connection() == Some(connection)
            };
            let room = records[..place].iter().rev().find(of_it)?.what.room()?;
            records.iter().filter_map(left).find(|of| *of == room)?;
            insert(records, place + 1, What::Joined { connection, room, after: None, head: seq });
            Some(())
        },
        breaks: &[Rule::NoMember],
        // The number may be that of a message.
        may_pass: true,
    },
    Mutation {
        name: "a member is told to be none",
        change: |records, nth| {
            let place = pick(records, nth, |what| matches!(what, What::Joined { .. }))?;
            let (connection, room) = (records[place].what.connection()?, records[place].what.room()?);
            let leaves = |record: &Record| {
                matches!(record.what, What::Leave { .. }) && record.what.room() == Some(room)
            };
            // Whoever leaves later may be told so at any time.
            (!records[place..].iter().any(leaves))
                .then(|| insert(records, place + 1, What::Gone { connection, room }))
        },
        breaks: &[Rule::ClosedToMember],
        may_pass: false,
    },
    Mutation {
        name: "an event comes after the leave was answered",
        change: |records, nth| {
            let place = pick_stored(records, nth, Some(Kind::Left))?;
            let What::Stored { room, event, .. } = records[place].what.clone() else { return None };
            is_stored_in(records.get(place + 1), room).then_some(())?;
            let next = seen(&mut records[place + 1].what)?.clone();
            // The one who left heard it go, and then had the answer.
            let went = records.iter().position(|record| {
                let by_itself = matches!(&record.what, What::Heard { event: it, .. } if *it == event);
                by_itself && record.what.room() == Some(room)
            })?;
            let answer = records[went..]
                .iter()
                .position(|record| matches!(record.what, What::Ok { seq, .. } if seq == event.seq))?;
            let connection = records[went + answer].what.connection()?;
            insert(records, went + answer + 1, What::Heard { connection, room, event: next });
            Some(())
        },
        breaks: &[Rule::AfterRemoval, Rule::BeforeJoined, Rule::Skipped, Rule::Doubled, Rule::BelowCursor],
        may_pass: true,
    },
    Mutation {
        name: "the last wake-up of a room is lost",
        change: |records, nth| {
            let place = pick(records, nth, |what| matches!(what, What::AtRest { .. }))?;
            let connection = records[place].what.connection()?;
            let of_it = |record: &Record| heard(&record.what).is_some_and(|(on, ..)| on == connection);
            let last = records[..place].iter().rposition(of_it)?;
            let left = matches!(&records[last].what, What::Heard { event, .. } if event.kind == Kind::Left);
            (!left).then(|| drop(records.remove(last)))
        },
        breaks: &[Rule::Behind],
        may_pass: false,
    },
    Mutation {
        name: "a cursor is overlooked on coming back",
        change: |records, nth| {
            let such = |what: &What| matches!(what, What::Joined { after: Some(after), .. } if after.0 > 0);
            let place = pick(records, nth, such)?;
            let What::Joined { connection, room, after: Some(after), .. } = records[place].what else {
                return None;
            };
            let event = records.iter().find_map(|record| match &record.what {
                What::Stored { room: of, event, .. } if *of == room && event.seq == after => {
                    Some(event.clone())
                }
                _ => None,
            })?;
            insert(records, place + 1, What::Heard { connection, room, event });
            Some(())
        },
        breaks: &[Rule::BelowCursor],
        may_pass: false,
    },
];
