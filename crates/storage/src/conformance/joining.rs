//! Rooms and people come and go.

use protocol::{ErrorCode, RoomId, RoomRef, Seq};

use super::house::*;
use crate::{LOBBY, Operation, OperationResult};

pub(crate) fn the_lobby_is_there_and_stays(house: &mut House) {
    let lobby = house.reader.room(&named("Lobby")).unwrap().unwrap();
    assert_eq!((lobby.room, lobby.name.as_str(), lobby.head.seq), (LOBBY, "lobby", Seq(0)));
    assert_eq!(house.join(1, "lobby"), LOBBY);
    let batch = house.all([(guest(1), leave("lobby"))]);
    assert_eq!(batch.gone, []);
    assert_eq!(house.kinds(LOBBY), ["+u1", "-u1"]);
}

pub(crate) fn names_are_found_caselessly(house: &mut House) {
    let room = house.join(1, "Straße-Tea");
    for spelling in ["STRASSE-TEA", "#straße-tea", "straße-ｔｅａ"] {
        assert_eq!(house.join(1, spelling), room, "{spelling}");
        assert_eq!(house.reader.room(&named(spelling)).unwrap().unwrap().room, room, "{spelling}");
    }
    // It is shown as it was first written.
    assert_eq!(house.reader.room(&RoomRef::Id(room)).unwrap().unwrap().name.as_str(), "Straße-Tea");
    let OperationResult::Joined { name, .. } = house.done(2, join("STRASSE-TEA")) else { panic!() };
    assert_eq!(name.as_str(), "Straße-Tea");
}

pub(crate) fn an_unknown_room_is_made_only_on_request(house: &mut House) {
    let by_name = Operation::Join { room: named("tea"), create_if_missing: false };
    assert_eq!(house.refused(1, by_name.clone()), ErrorCode::RoomNotFound);
    for create_if_missing in [true, false] {
        let by_id = Operation::Join { room: RoomRef::Id(RoomId(77)), create_if_missing };
        assert_eq!(house.refused(1, by_id), ErrorCode::RoomNotFound);
    }
    let room = house.join(2, "tea");
    assert!(matches!(house.done(1, by_name), OperationResult::Joined { head: Seq(2), created: false, .. }));
    let by_id = Operation::Join { room: RoomRef::Id(room), create_if_missing: false };
    assert!(matches!(house.done(3, by_id), OperationResult::Joined { head: Seq(3), created: false, .. }));
}

pub(crate) fn joining_again_appends_nothing(house: &mut House) {
    let room = house.join(1, "tea");
    house.say(1, "tea", "hello");
    house.done(1, read("tea", 2));
    let (answer, events) = house.one(1, join("TEA"));
    assert_eq!(events, []);
    let Ok(OperationResult::Joined { room: again, head, n, read, created, .. }) = answer else {
        panic!("{answer:?}")
    };
    assert_eq!((again, head, n.0, read.unwrap().seq, created), (room, Seq(2), 1, Seq(2), false));
}

pub(crate) fn only_members_come_back(house: &mut House) {
    let room = house.join(1, "tea");
    house.say(1, "tea", "hello");
    house.done(1, read("tea", 2));
    let (answer, events) = house.one(1, Operation::Open { room });
    assert_eq!(events, []);
    let Ok(OperationResult::Joined { room: opened, name, head, read, created, .. }) = answer else {
        panic!("{answer:?}")
    };
    assert_eq!(
        (opened, name.as_str(), head, read.unwrap().seq, created),
        (room, "tea", Seq(2), Seq(2), false)
    );
    assert_eq!(house.refused(2, Operation::Open { room }), ErrorCode::NotAMember);
    assert_eq!(house.refused(1, Operation::Open { room: RoomId(77) }), ErrorCode::RoomNotFound);
    house.done(1, leave("tea"));
    assert_eq!(house.refused(1, Operation::Open { room }), ErrorCode::NotAMember);
}

pub(crate) fn only_members_can_leave(house: &mut House) {
    let room = house.join(1, "tea");
    assert_eq!(house.refused(2, leave("tea")), ErrorCode::NotAMember);
    assert_eq!(house.refused(1, leave("nowhere")), ErrorCode::RoomNotFound);
    house.say(1, "tea", "bye");
    assert_eq!(house.done(1, leave("tea")), OperationResult::Left { room, seq: Seq(3) });
    assert_eq!(house.refused(1, leave("tea")), ErrorCode::NotAMember);
    assert!(!house.reader.is_member(room, person(1).id).unwrap());
}

pub(crate) fn a_member_who_left_can_come_back(house: &mut House) {
    let room = house.join(1, "tea");
    house.say(1, "tea", "hello");
    house.done(1, read("tea", 2));
    house.done(1, leave("tea"));
    let OperationResult::Joined { head, read, .. } = house.done(1, join("tea")) else { panic!() };
    // How far they had read is not forgotten.
    assert_eq!((head, read.unwrap().seq), (Seq(4), Seq(2)));
    assert_eq!(house.kinds(room), ["+u1", "u1: hello", "-u1", "+u1"]);
}

pub(crate) fn members_open_their_rooms_and_nobody_else_does(house: &mut House) {
    let room = house.join(1, "tea");
    house.say(1, "tea", "hello");
    house.done(1, read("tea", 2));
    let (answer, events) = house.one(1, Operation::Open { room });
    assert_eq!(events, []);
    assert_eq!(answer, Ok(house.done(1, join("tea"))));
    assert_eq!(house.refused(2, Operation::Open { room }), ErrorCode::NotAMember);
    assert_eq!(house.refused(1, Operation::Open { room: RoomId(99) }), ErrorCode::RoomNotFound);
    house.done(1, leave("tea"));
    assert_eq!(house.refused(1, Operation::Open { room }), ErrorCode::NotAMember);
}

pub(crate) fn nobody_joins_more_rooms_than_allowed(house: &mut House) {
    for n in 0..ROOMS {
        house.join(1, &format!("room{n}"));
    }
    assert_eq!(house.refused(1, join("one-too-many")), ErrorCode::TooManyRooms);
    assert_eq!(house.reader.room(&named("one-too-many")).unwrap(), None);
    assert_eq!(house.refused(1, join("lobby")), ErrorCode::TooManyRooms);
    // A room one is in already, and other people.
    house.join(1, "room0");
    house.join(2, "lobby");
    house.done(1, leave("room0"));
    house.join(1, "lobby");
}

pub(crate) fn a_silent_room_goes_with_its_last_member(house: &mut House) {
    let room = house.join(1, "tea");
    house.join(2, "tea");
    house.done(1, read("tea", 2));
    house.done(2, rename("Somebody"));
    assert_eq!(house.all([(guest(1), leave("tea"))]).gone, []);
    let batch = house.all([(guest(2), leave("tea"))]);
    assert_eq!(batch.gone, [room]);
    assert_eq!(batch.events.len(), 1);
    assert_eq!(batch.events[0].seq, Seq(5));
    assert_eq!(house.reader.room(&named("tea")).unwrap(), None);
    assert_eq!(house.reader.room(&RoomRef::Id(room)).unwrap(), None);
    assert_eq!(house.events(room), []);
    assert_eq!(house.reader.heads(&[room]).unwrap(), [None]);
    assert_eq!(house.reader.read_position(room, person(1).id).unwrap(), None);
    assert_eq!(house.refused(1, leave("tea")), ErrorCode::RoomNotFound);
}

pub(crate) fn a_room_with_words_stays(house: &mut House) {
    let room = house.join(1, "tea");
    house.say(1, "tea", "hello");
    assert_eq!(house.all([(guest(1), leave("tea"))]).gone, []);
    assert_eq!(house.kinds(room), ["+u1", "u1: hello", "-u1"]);
}

pub(crate) fn a_room_id_is_never_used_again(house: &mut House) {
    let first = house.join(1, "tea");
    // All in one batch, too.
    let batch = house.all([(guest(1), leave("tea")), (guest(1), join("tea")), (guest(1), leave("tea"))]);
    assert_eq!(batch.gone, [first, RoomId(first.0 + 1)]);
    let third = house.join(1, "tea");
    assert_eq!(third, RoomId(first.0 + 2));
    assert_eq!(house.kinds(third), ["+u1"]);
    let old = Operation::Join { room: RoomRef::Id(first), create_if_missing: true };
    assert_eq!(house.refused(1, old), ErrorCode::RoomNotFound);
}

pub(crate) fn a_user_id_is_never_given_twice(house: &mut House) {
    let first = house.writer.reserve_user_ids(10).unwrap();
    let second = house.writer.reserve_user_ids(1).unwrap();
    assert_eq!((first, second), (1..11, 11..12));
    house.join(12, "tea");
    assert_eq!(house.writer.reserve_user_ids(2).unwrap(), 12..14);
}

pub(crate) fn a_transient_guest_leaves_all_rooms(house: &mut House) {
    let tea = house.join(1, "tea");
    let batch = house.all([
        (passer_by(2), join("lobby")),
        (passer_by(2), join("tea")),
        (passer_by(2), join("own")),
        (passer_by(2), Operation::LeaveAll),
        (passer_by(3), Operation::LeaveAll),
    ]);
    assert_eq!(batch.answers[3].1, Ok(OperationResult::LeftAll));
    assert_eq!(batch.answers[4].1, Ok(OperationResult::LeftAll));
    assert_eq!(batch.events.len(), 6);
    assert_eq!(batch.gone.len(), 1);
    assert_eq!(house.kinds(tea), ["+u1", "+u2", "-u2"]);
    assert_eq!(house.kinds(LOBBY), ["+u2", "-u2"]);
    assert_eq!(house.all([(passer_by(2), Operation::LeaveAll)]).events, []);
}

pub(crate) fn the_sweep_takes_transient_guests_only(house: &mut House) {
    house.join(1, "lobby");
    house.all([(passer_by(2), join("lobby")), (passer_by(3), join("lobby")), (passer_by(3), join("own"))]);
    house.all([(passer_by(2), Operation::LeaveAll)]);
    let batch = house.writer.cleanup_transient_users(house.now).unwrap();
    assert_eq!((batch.events.len(), batch.gone.len(), batch.answers.len()), (2, 1, 0));
    assert_eq!(house.kinds(LOBBY), ["+u1", "+u2 +u3", "-u2", "-u3"]);
    assert_eq!(house.writer.cleanup_transient_users(house.now).unwrap().events, []);
    assert!(house.reader.is_member(LOBBY, person(1).id).unwrap());
}
