//! Joins that are committed together share an event.

use domain::{JoinedRoom, LeftRoom};
use protocol::{Event, EventKind, Limits, Seq, User};

use super::fixture::*;
use crate::{Batch, LOBBY, Operation, OperationResult};

/// The heads in the answers to joins, in the order of the requests; 0 for every other answer.
fn heads(batch: &Batch) -> Vec<u64> {
    let head = |answer: &Result<OperationResult, crate::CommandError>| match answer {
        Ok(OperationResult::Join(JoinedRoom { head, .. })) => head.0,
        _ => 0,
    };
    batch.replies.iter().map(|(_, answer)| head(answer)).collect()
}

/// All users who joined with this event.
fn joined(event: &Event) -> Vec<User> {
    match &event.kind {
        EventKind::MemberJoined { also_joined } => {
            std::iter::once(&event.by).chain(also_joined).cloned().collect()
        }
        _ => Vec::new(),
    }
}

pub fn joins_of_one_batch_share_an_event(fixture: &mut Fixture) {
    let tea = fixture.join(1, "tea");
    let batch = fixture.all([
        (guest(2), join("tea")),
        (guest(3), join("lobby")),
        (transient_guest(4), join("TEA")),
        (guest(5), join("lobby")),
        (
            guest(6),
            Operation::Join(domain::Join { room: protocol::RoomRef::Id(tea), create_if_missing: false }),
        ),
    ]);
    assert_eq!(heads(&batch), [2, 1, 2, 1, 2]);
    assert_eq!(batch.events.len(), 2);
    assert_eq!((batch.events[0].room, joined(&batch.events[0])), (tea, vec![user(2), user(4), user(6)]));
    assert_eq!((batch.events[1].room, joined(&batch.events[1])), (LOBBY, vec![user(3), user(5)]));
    for (room, users) in [(tea, [1, 2, 4, 6].as_slice()), (LOBBY, &[3, 5])] {
        for who in 1..8 {
            let member = fixture.reader.is_member(room, user(who).id).unwrap();
            assert_eq!(member, users.contains(&who), "{who} in {room}");
        }
    }
    // Joins of different commits do not share an event.
    let OperationResult::Join(JoinedRoom { head, .. }) = fixture.done(7, join("tea")) else { panic!() };
    assert_eq!(head, Seq(3));
    assert_eq!(fixture.kinds(tea), ["+u1", "+u2 +u4 +u6", "+u7"]);
}

pub fn shared_join_is_stored_with_all_names(fixture: &mut Fixture) {
    let batch = fixture.all((1..=30).map(|who| (guest(who), join("tea"))));
    let room = batch.events[0].room;
    let published: Vec<Event> = batch.events.iter().map(|event| (**event).clone()).collect();
    assert_eq!(joined(&published[0]), (1..=30).map(user).collect::<Vec<_>>());
    assert_eq!(fixture.events(room), published);
    assert_eq!(fixture.reader.events_before(room, Seq(2), ALL).unwrap().events, published);
}

pub fn shared_join_names_at_most_a_hundred(fixture: &mut Fixture) {
    let most = Limits::JOINED_TOGETHER as u64;
    let batch = fixture.all((1..=2 * most + 1).map(|who| (guest(who), join("tea"))));
    let named: Vec<usize> = batch.events.iter().map(|event| joined(event).len()).collect();
    assert_eq!(named, [Limits::JOINED_TOGETHER, Limits::JOINED_TOGETHER, 1]);
    let heads = heads(&batch);
    assert_eq!((heads[99], heads[100], heads[199], heads[200]), (1, 2, 2, 3));
    let all: Vec<User> = fixture.events(batch.events[0].room).iter().flat_map(joined).collect();
    assert_eq!(all, (1..=2 * most + 1).map(user).collect::<Vec<_>>());
}

pub fn event_between_two_joins_separates_them(fixture: &mut Fixture) {
    let room = fixture.join(1, "tea");
    let batch = fixture.all([
        (guest(2), join("tea")),
        (guest(1), send("tea", None, "hello")),
        (guest(3), join("tea")),
        (guest(1), leave("tea")),
        (guest(4), join("tea")),
        (guest(4), rename("Four")),
        (guest(5), join("tea")),
        // A request that appends nothing does not separate joins.
        (guest(2), join("tea")),
        (guest(2), read("tea", 99)),
        (guest(9), send("tea", None, "let me in")),
        (guest(6), join("tea")),
    ]);
    assert_eq!(
        fixture.kinds(room),
        ["+u1", "+u2", "u1: hello", "+u3", "-u1", "+u4", "u4 guest 4 -> Four", "+u5 +u6"]
    );
    assert_eq!(heads(&batch), [2, 0, 4, 0, 6, 0, 8, 8, 0, 0, 8]);
}

pub fn rejoin_in_one_batch_is_named_again(fixture: &mut Fixture) {
    fixture.join(1, "tea");
    let batch = fixture.all([
        (guest(2), join("tea")),
        (guest(3), join("tea")),
        (guest(2), leave("tea")),
        (guest(2), join("tea")),
        (guest(4), join("tea")),
    ]);
    assert_eq!(
        batch.replies[2].1,
        Ok(OperationResult::Leave(LeftRoom { room: batch.events[0].room, seq: Seq(3) }))
    );
    assert_eq!(fixture.kinds(batch.events[0].room), ["+u1", "+u2 +u3", "-u2", "+u2 +u4"]);
}

pub fn rejected_join_is_not_in_the_shared_event(fixture: &mut Fixture) {
    for room in 0..ROOMS {
        fixture.join(1, &format!("room{room}"));
    }
    let batch = fixture.all([
        (guest(2), join("tea")),
        (guest(1), join("tea")),
        (guest(3), join("tea")),
        (guest(1), join("tea")),
    ]);
    assert!(batch.replies[1].1.is_err() && batch.replies[3].1.is_err());
    assert_eq!(batch.events.len(), 1);
    assert_eq!(joined(&batch.events[0]), [user(2), user(3)]);
    assert_eq!(fixture.kinds(batch.events[0].room), ["+u2 +u3"]);
}

pub fn room_created_and_deleted_in_one_batch_leaves_nothing(fixture: &mut Fixture) {
    let batch = fixture.all([
        (guest(1), join("tea")),
        (guest(2), join("tea")),
        (guest(1), leave("tea")),
        (guest(2), leave("tea")),
        (guest(3), join("tea")),
        (guest(4), join("tea")),
    ]);
    let room = batch.events.last().unwrap().room;
    assert_eq!(batch.deleted_rooms, [batch.events[0].room]);
    assert_eq!(joined(&batch.events[0]), [user(1), user(2)]);
    assert_eq!(fixture.events(batch.deleted_rooms[0]), []);
    assert_eq!(fixture.kinds(room), ["+u3 +u4"]);
}

pub fn creator_is_first_in_the_shared_join(fixture: &mut Fixture) {
    let batch = fixture.all([(guest(1), join("tea")), (guest(2), join("tea")), (guest(1), join("tea"))]);
    let created: Vec<bool> = batch
        .replies
        .iter()
        .map(|(_, answer)| {
            matches!(answer, Ok(OperationResult::Join(JoinedRoom { head: Seq(1), created: true, .. })))
        })
        .collect();
    assert_eq!(created, [true, false, false]);
}
