//! People who join a room in one commit share an event.

use protocol::{Event, EventKind, Limits, Person, Seq};

use super::house::*;
use crate::{Batch, LOBBY, Operation, OperationResult};

/// The heads that those who joined were told, in the order of the requests; 0 for every other answer.
fn heads(batch: &Batch) -> Vec<u64> {
    let head = |answer: &Result<OperationResult, crate::CommandError>| match answer {
        Ok(OperationResult::Joined { head, .. }) => head.0,
        _ => 0,
    };
    batch.answers.iter().map(|(_, answer)| head(answer)).collect()
}

/// Everybody whom an event names as having joined.
fn joined(event: &Event) -> Vec<Person> {
    match &event.kind {
        EventKind::MemberJoined { also_joined } => {
            std::iter::once(&event.by).chain(also_joined).cloned().collect()
        }
        _ => Vec::new(),
    }
}

pub(crate) fn people_who_join_together_share_an_event(house: &mut House) {
    let tea = house.join(1, "tea");
    let batch = house.all([
        (guest(2), join("tea")),
        (guest(3), join("lobby")),
        (passer_by(4), join("TEA")),
        (guest(5), join("lobby")),
        (guest(6), Operation::Join { room: protocol::RoomRef::Id(tea), create_if_missing: false }),
    ]);
    assert_eq!(heads(&batch), [2, 1, 2, 1, 2]);
    assert_eq!(batch.events.len(), 2);
    assert_eq!(
        (batch.events[0].room, joined(&batch.events[0])),
        (tea, vec![person(2), person(4), person(6)])
    );
    assert_eq!((batch.events[1].room, joined(&batch.events[1])), (LOBBY, vec![person(3), person(5)]));
    for (room, people) in [(tea, [1, 2, 4, 6].as_slice()), (LOBBY, &[3, 5])] {
        for who in 1..8 {
            let member = house.reader.is_member(room, person(who).id).unwrap();
            assert_eq!(member, people.contains(&who), "{who} in {room}");
        }
    }
    // Another commit is another moment.
    let OperationResult::Joined { head, .. } = house.done(7, join("tea")) else { panic!() };
    assert_eq!(head, Seq(3));
    assert_eq!(house.kinds(tea), ["+u1", "+u2 +u4 +u6", "+u7"]);
}

pub(crate) fn history_names_all_who_joined_together(house: &mut House) {
    let batch = house.all((1..=30).map(|who| (guest(who), join("tea"))));
    let room = batch.events[0].room;
    let told: Vec<Event> = batch.events.iter().map(|event| (**event).clone()).collect();
    assert_eq!(joined(&told[0]), (1..=30).map(person).collect::<Vec<_>>());
    assert_eq!(house.events(room), told);
    assert_eq!(house.reader.events_before(room, Seq(2), ALL).unwrap().events, told);
}

pub(crate) fn at_most_a_hundred_share_one(house: &mut House) {
    let most = Limits::JOINED_TOGETHER as u64;
    let batch = house.all((1..=2 * most + 1).map(|who| (guest(who), join("tea"))));
    let named: Vec<usize> = batch.events.iter().map(|event| joined(event).len()).collect();
    assert_eq!(named, [Limits::JOINED_TOGETHER, Limits::JOINED_TOGETHER, 1]);
    let heads = heads(&batch);
    assert_eq!((heads[99], heads[100], heads[199], heads[200]), (1, 2, 2, 3));
    let everybody: Vec<Person> = house.events(batch.events[0].room).iter().flat_map(joined).collect();
    assert_eq!(everybody, (1..=2 * most + 1).map(person).collect::<Vec<_>>());
}

pub(crate) fn whatever_happens_between_two_joins_parts_them(house: &mut House) {
    let room = house.join(1, "tea");
    let batch = house.all([
        (guest(2), join("tea")),
        (guest(1), say("tea", None, "hello")),
        (guest(3), join("tea")),
        (guest(1), leave("tea")),
        (guest(4), join("tea")),
        (guest(4), rename("Four")),
        (guest(5), join("tea")),
        // What appends nothing parts nobody.
        (guest(2), join("tea")),
        (guest(2), read("tea", 99)),
        (guest(9), say("tea", None, "let me in")),
        (guest(6), join("tea")),
    ]);
    assert_eq!(
        house.kinds(room),
        ["+u1", "+u2", "u1: hello", "+u3", "-u1", "+u4", "u4 guest 4 -> Four", "+u5 +u6"]
    );
    assert_eq!(heads(&batch), [2, 0, 4, 0, 6, 0, 8, 8, 0, 0, 8]);
}

pub(crate) fn who_left_and_comes_back_is_named_anew(house: &mut House) {
    house.join(1, "tea");
    let batch = house.all([
        (guest(2), join("tea")),
        (guest(3), join("tea")),
        (guest(2), leave("tea")),
        (guest(2), join("tea")),
        (guest(4), join("tea")),
    ]);
    assert_eq!(batch.answers[2].1, Ok(OperationResult::Left { room: batch.events[0].room, seq: Seq(3) }));
    assert_eq!(house.kinds(batch.events[0].room), ["+u1", "+u2 +u3", "-u2", "+u2 +u4"]);
}

pub(crate) fn a_refused_join_is_not_in_the_shared_event(house: &mut House) {
    for room in 0..ROOMS {
        house.join(1, &format!("room{room}"));
    }
    let batch = house.all([
        (guest(2), join("tea")),
        (guest(1), join("tea")),
        (guest(3), join("tea")),
        (guest(1), join("tea")),
    ]);
    assert!(batch.answers[1].1.is_err() && batch.answers[3].1.is_err());
    assert_eq!(batch.events.len(), 1);
    assert_eq!(joined(&batch.events[0]), [person(2), person(3)]);
    assert_eq!(house.kinds(batch.events[0].room), ["+u2 +u3"]);
}

pub(crate) fn a_room_made_and_gone_in_a_batch_takes_its_people_along(house: &mut House) {
    let batch = house.all([
        (guest(1), join("tea")),
        (guest(2), join("tea")),
        (guest(1), leave("tea")),
        (guest(2), leave("tea")),
        (guest(3), join("tea")),
        (guest(4), join("tea")),
    ]);
    let room = batch.events.last().unwrap().room;
    assert_eq!(batch.gone, [batch.events[0].room]);
    assert_eq!(joined(&batch.events[0]), [person(1), person(2)]);
    assert_eq!(house.events(batch.gone[0]), []);
    assert_eq!(house.kinds(room), ["+u3 +u4"]);
}

pub(crate) fn who_made_the_room_is_the_first_of_those_who_joined(house: &mut House) {
    let batch = house.all([(guest(1), join("tea")), (guest(2), join("tea")), (guest(1), join("tea"))]);
    let created: Vec<bool> = batch
        .answers
        .iter()
        .map(|(_, answer)| matches!(answer, Ok(OperationResult::Joined { head: Seq(1), created: true, .. })))
        .collect();
    assert_eq!(created, [true, false, false]);
}
