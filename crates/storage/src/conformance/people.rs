//! People, sessions, and the port's own promises.

use std::collections::BTreeSet;

use protocol::{ErrorCode, Seq};

use super::house::*;
use crate::{Actor, LOBBY, Operation, OperationResult, RequestId, StoreError};

pub(crate) fn a_guest_is_stored_with_the_first_join(house: &mut House) {
    assert_eq!(house.reader.person_of_session(&token(1)).unwrap(), None);
    house.join(1, "tea");
    assert_eq!(house.reader.person_of_session(&token(1)).unwrap(), Some(person(1)));
    // From then on the asker need not know how.
    let known = Actor { registration: None, ..guest(1) };
    let batch = house.all([(known, say("tea", None, "hello"))]);
    assert!(batch.answers[0].1.is_ok());
}

pub(crate) fn a_refused_join_stores_nobody(house: &mut House) {
    assert_eq!(
        house.refused(1, Operation::Join { room: named("tea"), create_if_missing: false }),
        ErrorCode::RoomNotFound
    );
    assert_eq!(house.reader.person_of_session(&token(1)).unwrap(), None);
}

pub(crate) fn a_guest_may_rename_before_joining(house: &mut House) {
    assert_eq!(house.done(1, rename("李雷")), OperationResult::Renamed { name: called("李雷") });
    // The asker may have asked for the join before it heard of the rename.
    let (_, events) = house.one(1, join("tea"));
    assert_eq!(events[0].by.name, called("李雷"));
    assert_eq!(house.reader.person_of_session(&token(1)).unwrap().unwrap().name, called("李雷"));
}

pub(crate) fn somebody_never_stored_is_refused(house: &mut House) {
    let nobody = || Actor { registration: None, ..guest(1) };
    let batch =
        house.all([(nobody(), join("tea")), (nobody(), rename("Nobody")), (nobody(), leave("lobby"))]);
    let codes: Vec<_> = batch.answers.iter().map(|(_, answer)| answer.as_ref().unwrap_err().code).collect();
    assert_eq!(codes, [ErrorCode::Unauthorized, ErrorCode::Unauthorized, ErrorCode::NotAMember]);
    assert_eq!(house.reader.room(&named("tea")).unwrap(), None);
}

pub(crate) fn an_ended_session_is_nobodys(house: &mut House) {
    house.join(1, "tea");
    house.join(2, "tea");
    let end = Operation::EndSession { token: token(1) };
    assert_eq!(house.done(9, end.clone()), OperationResult::SessionEnded);
    assert_eq!(house.reader.person_of_session(&token(1)).unwrap(), None);
    assert_eq!(house.reader.person_of_session(&token(2)).unwrap(), Some(person(2)));
    assert_eq!(house.done(9, end), OperationResult::SessionEnded);
}

pub(crate) fn who_has_no_session_any_more_leaves_all_rooms(house: &mut House) {
    let tea = house.join(1, "tea");
    house.join(2, "tea");
    house.join(1, "own");
    let batch = house.all([(guest(9), Operation::EndSession { token: token(1) })]);
    assert_eq!((batch.events.len(), batch.gone.len()), (2, 1));
    assert_eq!(house.kinds(tea), ["+u1", "+u2", "-u1"]);
    assert!(!house.reader.is_member(tea, person(1).id).unwrap());
    assert!(house.reader.is_member(tea, person(2).id).unwrap());
}

pub(crate) fn an_ended_session_does_not_come_back(house: &mut House) {
    // The second join was asked for before its asker knew that the guest is stored.
    house.all([
        (guest(1), join("tea")),
        (guest(1), Operation::EndSession { token: token(1) }),
        (guest(1), join("coffee")),
    ]);
    assert_eq!(house.reader.person_of_session(&token(1)).unwrap(), None);
}

pub(crate) fn a_rename_is_told_in_every_room(house: &mut House) {
    let (tea, coffee) = (house.join(1, "tea"), house.join(1, "coffee"));
    house.join(2, "tea");
    let milk = house.join(2, "milk");
    let batch = house.all([(guest(1), rename("Li")), (guest(1), say("tea", None, "it is me"))]);
    assert_eq!(batch.answers[0].1, Ok(OperationResult::Renamed { name: called("Li") }));
    assert_eq!(batch.events.len(), 3);
    assert_eq!(batch.events[2].by.name, called("Li"));
    assert_eq!(house.kinds(tea)[2..], ["u1 guest 1 -> Li", "u1: it is me"]);
    assert_eq!(house.kinds(coffee)[1..], ["u1 guest 1 -> Li"]);
    assert_eq!(house.kinds(milk), ["+u2"]);
    // What was said before bears the name of then.
    assert_eq!(house.events(tea)[0].by.name, called("guest 1"));
}

pub(crate) fn the_same_name_is_no_rename(house: &mut House) {
    house.join(1, "tea");
    let (answer, events) = house.one(1, rename(" guest  1 "));
    assert_eq!((answer, events), (Ok(OperationResult::Renamed { name: called("guest 1") }), vec![]));
}

pub(crate) fn events_bear_the_stored_name(house: &mut House) {
    house.join(1, "tea");
    house.done(1, rename("Li"));
    // `guest(1)` still says "guest 1": another connection of the same person, that has not heard of it.
    let (_, events) = house.one(1, say("tea", None, "hello"));
    assert_eq!(events[0].by.name, called("Li"));
}

pub(crate) fn answers_cover_every_ticket_once(house: &mut House) {
    let batch = house.all((0..50).map(|n| {
        let operation = match n % 5 {
            0 => join("tea"),
            1 => say("tea", Some("same"), "hello"),
            2 => leave("nowhere"),
            3 => read("tea", n),
            _ => Operation::EndSession { token: token(n) },
        };
        (guest(n % 3), operation)
    }));
    let request_ids: Vec<RequestId> = batch.answers.iter().map(|(request_id, _)| *request_id).collect();
    assert_eq!(request_ids, (100..150).map(RequestId).collect::<Vec<_>>());
    let seqs: BTreeSet<Seq> = batch.events.iter().map(|event| event.seq).collect();
    assert_eq!(seqs.len(), batch.events.len());
    assert_eq!(house.all([]), crate::Batch::default());
}

pub(crate) fn there_is_one_writer(house: &mut House) {
    assert!(matches!(house.store.writer().err(), Some(StoreError::WriterTaken)));
    house.store.reader().unwrap();
    // Given up, it can be taken again, and knows what the first one did.
    house.join(1, "lobby");
    house.writer = Box::new(Nobody);
    house.writer = house.store.writer().unwrap();
    assert_eq!(house.say(1, "lobby", "hello"), Seq(2));
}

pub(crate) fn a_probe_appends_nothing(house: &mut House) {
    house.join(1, "lobby");
    house.writer.probe(house.now).unwrap();
    house.writer.probe(house.now).unwrap();
    house.writer.checkpoint().unwrap();
    assert_eq!(house.kinds(LOBBY), ["+u1"]);
}

/// Stands where a writer was.
struct Nobody;

impl crate::Writer for Nobody {
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
