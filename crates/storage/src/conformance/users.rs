//! Users and sessions, and the rules of the port itself.

use std::collections::BTreeSet;

use protocol::{ErrorCode, Named, Seq};

use super::fixture::*;
use crate::{Actor, LOBBY, OperationResult, RequestId, StoreError};

pub fn guest_is_stored_with_the_first_join(fixture: &mut Fixture) {
    assert_eq!(fixture.reader.user_of_session(&token(1)).unwrap(), None);
    fixture.join(1, "tea");
    assert_eq!(fixture.reader.user_of_session(&token(1)).unwrap(), Some(user(1)));
    // After the first request, no registration is needed.
    let known = Actor { registration: None, ..guest(1) };
    let batch = fixture.all([(known, send("tea", None, "hello"))]);
    assert!(batch.replies[0].1.is_ok());
}

pub fn rejected_join_stores_no_user(fixture: &mut Fixture) {
    assert_eq!(
        fixture.rejected(1, domain::Join { room: named("tea"), create_if_missing: false }),
        ErrorCode::RoomNotFound
    );
    assert_eq!(fixture.reader.user_of_session(&token(1)).unwrap(), None);
}

pub fn guest_can_rename_before_joining(fixture: &mut Fixture) {
    assert_eq!(fixture.done(1, rename("李雷")), OperationResult::Rename(Named { name: user_name("李雷") }));
    // A client may request the join before it receives the answer to the rename.
    let (_, events) = fixture.one(1, join("tea"));
    assert_eq!(events[0].by.name, user_name("李雷"));
    assert_eq!(fixture.reader.user_of_session(&token(1)).unwrap().unwrap().name, user_name("李雷"));
}

pub fn unknown_user_without_registration_is_rejected(fixture: &mut Fixture) {
    let unregistered = || Actor { registration: None, ..guest(1) };
    let batch = fixture.all([
        (unregistered(), join("tea")),
        (unregistered(), rename("New")),
        (unregistered(), leave("lobby")),
    ]);
    let codes: Vec<_> = batch.replies.iter().map(|(_, answer)| answer.as_ref().unwrap_err().code).collect();
    assert_eq!(codes, [ErrorCode::Unauthorized, ErrorCode::Unauthorized, ErrorCode::NotAMember]);
    assert_eq!(fixture.reader.room(&named("tea")).unwrap(), None);
}

pub fn ended_session_has_no_user(fixture: &mut Fixture) {
    fixture.join(1, "tea");
    fixture.join(2, "tea");
    let end = domain::EndSession { token: token(1) };
    assert_eq!(fixture.done(9, end.clone()), OperationResult::EndSession(()));
    assert_eq!(fixture.reader.user_of_session(&token(1)).unwrap(), None);
    assert_eq!(fixture.reader.user_of_session(&token(2)).unwrap(), Some(user(2)));
    assert_eq!(fixture.done(9, end), OperationResult::EndSession(()));
}

pub fn user_without_session_leaves_all_rooms(fixture: &mut Fixture) {
    let tea = fixture.join(1, "tea");
    fixture.join(2, "tea");
    fixture.join(1, "own");
    let batch = fixture.all([(guest(9), domain::EndSession { token: token(1) }.into())]);
    assert_eq!((batch.events.len(), batch.deleted_rooms.len()), (2, 1));
    assert_eq!(fixture.kinds(tea), ["+u1", "+u2", "-u1"]);
    assert!(!fixture.reader.is_member(tea, user(1).id).unwrap());
    assert!(fixture.reader.is_member(tea, user(2).id).unwrap());
}

pub fn ended_session_is_not_stored_again(fixture: &mut Fixture) {
    // A client may request the second join before it receives the answer to the first one.
    fixture.all([
        (guest(1), join("tea")),
        (guest(1), domain::EndSession { token: token(1) }.into()),
        (guest(1), join("coffee")),
    ]);
    assert_eq!(fixture.reader.user_of_session(&token(1)).unwrap(), None);
}

pub fn rename_is_appended_in_every_room(fixture: &mut Fixture) {
    let (tea, coffee) = (fixture.join(1, "tea"), fixture.join(1, "coffee"));
    fixture.join(2, "tea");
    let milk = fixture.join(2, "milk");
    let batch = fixture.all([(guest(1), rename("Li")), (guest(1), send("tea", None, "it is me"))]);
    assert_eq!(batch.replies[0].1, Ok(OperationResult::Rename(Named { name: user_name("Li") })));
    assert_eq!(batch.events.len(), 3);
    assert_eq!(batch.events[2].by.name, user_name("Li"));
    assert_eq!(fixture.kinds(tea)[2..], ["u1 guest 1 -> Li", "u1: it is me"]);
    assert_eq!(fixture.kinds(coffee)[1..], ["u1 guest 1 -> Li"]);
    assert_eq!(fixture.kinds(milk), ["+u2"]);
    // Earlier events keep the earlier name.
    assert_eq!(fixture.events(tea)[0].by.name, user_name("guest 1"));
}

pub fn rename_to_same_name_appends_nothing(fixture: &mut Fixture) {
    fixture.join(1, "tea");
    let (answer, events) = fixture.one(1, rename(" guest  1 "));
    assert_eq!((answer, events), (Ok(OperationResult::Rename(Named { name: user_name("guest 1") })), vec![]));
}

pub fn events_carry_the_stored_name(fixture: &mut Fixture) {
    fixture.join(1, "tea");
    fixture.done(1, rename("Li"));
    // `guest(1)` still has the name "guest 1": another connection of the same user, before it receives the rename.
    let (_, events) = fixture.one(1, send("tea", None, "hello"));
    assert_eq!(events[0].by.name, user_name("Li"));
}

pub fn every_request_is_answered_once(fixture: &mut Fixture) {
    let batch = fixture.all((0..50).map(|n| {
        let operation = match n % 5 {
            0 => join("tea"),
            1 => send("tea", Some("same"), "hello"),
            2 => leave("nowhere"),
            3 => read("tea", n),
            _ => domain::EndSession { token: token(n) }.into(),
        };
        (guest(n % 3), operation)
    }));
    let request_ids: Vec<RequestId> = batch.replies.iter().map(|(request_id, _)| *request_id).collect();
    assert_eq!(request_ids, (100..150).map(RequestId).collect::<Vec<_>>());
    let seqs: BTreeSet<Seq> = batch.events.iter().map(|event| event.seq).collect();
    assert_eq!(seqs.len(), batch.events.len());
    assert_eq!(fixture.all([]), crate::Batch::default());
}

pub fn second_writer_is_rejected(fixture: &mut Fixture) {
    assert!(matches!(fixture.store.writer().err(), Some(StoreError::WriterTaken)));
    fixture.store.reader().unwrap();
    // After the writer is dropped, a new one continues after its last commit.
    fixture.join(1, "lobby");
    fixture.writer = Box::new(NoWriter);
    fixture.writer = fixture.store.writer().unwrap();
    assert_eq!(fixture.send(1, "lobby", "hello"), Seq(2));
}

pub fn probe_appends_nothing(fixture: &mut Fixture) {
    fixture.join(1, "lobby");
    fixture.writer.probe(fixture.now).unwrap();
    fixture.writer.probe(fixture.now).unwrap();
    fixture.writer.checkpoint().unwrap();
    assert_eq!(fixture.kinds(LOBBY), ["+u1"]);
}

/// Replaces the writer of a fixture while the store has none.
struct NoWriter;

impl crate::Writer for NoWriter {
    fn commit(&mut self, _: protocol::Timestamp, _: Vec<crate::Request>) -> crate::Batch {
        unreachable!()
    }

    fn probe(&mut self, _: protocol::Timestamp) -> Result<(), StoreError> {
        unreachable!()
    }

    fn checkpoint(&mut self) -> Result<(), StoreError> {
        unreachable!()
    }

    fn reserve_user_ids(&mut self, _: u32) -> Result<std::ops::Range<u64>, StoreError> {
        unreachable!()
    }

    fn cleanup_transient_users(&mut self, _: protocol::Timestamp) -> Result<crate::Batch, StoreError> {
        unreachable!()
    }
}
