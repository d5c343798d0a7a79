//! Joining and leaving: memberships, and the creation and deletion of rooms.

use domain::{JoinedRoom, LeftRoom};
use protocol::{ErrorCode, RoomId, RoomRef, Seq};

use super::fixture::*;
use crate::{LOBBY, OperationResult};

pub fn lobby_exists_and_is_never_deleted(fixture: &mut Fixture) {
    let lobby = fixture.reader.room(&named("Lobby")).unwrap().unwrap();
    assert_eq!((lobby.info.room, lobby.info.name.as_str(), lobby.head.seq), (LOBBY, "lobby", Seq(0)));
    assert_eq!(fixture.join(1, "lobby"), LOBBY);
    let batch = fixture.all([(guest(1), leave("lobby"))]);
    assert_eq!(batch.deleted_rooms, []);
    assert_eq!(fixture.kinds(LOBBY), ["+u1", "-u1"]);
}

pub fn room_names_match_caselessly(fixture: &mut Fixture) {
    let room = fixture.join(1, "Straße-Tea");
    for spelling in ["STRASSE-TEA", "#straße-tea", "straße-ｔｅａ"] {
        assert_eq!(fixture.join(1, spelling), room, "{spelling}");
        assert_eq!(fixture.reader.room(&named(spelling)).unwrap().unwrap().info.room, room, "{spelling}");
    }
    // The display name is the first spelling.
    assert_eq!(fixture.reader.room(&RoomRef::Id(room)).unwrap().unwrap().info.name.as_str(), "Straße-Tea");
    let OperationResult::Join(JoinedRoom { info, .. }) = fixture.done(2, join("STRASSE-TEA")) else {
        panic!()
    };
    assert_eq!(info.name.as_str(), "Straße-Tea");
}

pub fn missing_room_is_created_on_request_only(fixture: &mut Fixture) {
    let by_name = domain::Join { room: named("tea"), create_if_missing: false };
    assert_eq!(fixture.rejected(1, by_name.clone()), ErrorCode::RoomNotFound);
    for create_if_missing in [true, false] {
        let by_id = domain::Join { room: RoomRef::Id(RoomId(77)), create_if_missing };
        assert_eq!(fixture.rejected(1, by_id), ErrorCode::RoomNotFound);
    }
    let room = fixture.join(2, "tea");
    assert!(matches!(
        fixture.done(1, by_name),
        OperationResult::Join(JoinedRoom { head: Seq(2), created: false, .. })
    ));
    let by_id = domain::Join { room: RoomRef::Id(room), create_if_missing: false };
    assert!(matches!(
        fixture.done(3, by_id),
        OperationResult::Join(JoinedRoom { head: Seq(3), created: false, .. })
    ));
}

pub fn rejoin_of_member_appends_nothing(fixture: &mut Fixture) {
    let room = fixture.join(1, "tea");
    fixture.send(1, "tea", "hello");
    fixture.done(1, read("tea", 2));
    let (answer, events) = fixture.one(1, join("TEA"));
    assert_eq!(events, []);
    let Ok(OperationResult::Join(JoinedRoom { info: again, head, n, read, created })) = answer else {
        panic!("{answer:?}")
    };
    assert_eq!((again.room, head, n.0, read.unwrap().seq, created), (room, Seq(2), 1, Seq(2), false));
}

pub fn open_requires_membership(fixture: &mut Fixture) {
    let room = fixture.join(1, "tea");
    fixture.send(1, "tea", "hello");
    fixture.done(1, read("tea", 2));
    let (answer, events) = fixture.one(1, domain::Open { room });
    assert_eq!(events, []);
    let Ok(OperationResult::Open(JoinedRoom { info: opened, head, read, created, .. })) = answer else {
        panic!("{answer:?}")
    };
    assert_eq!(
        (opened.room, opened.name.as_str(), head, read.unwrap().seq, created),
        (room, "tea", Seq(2), Seq(2), false)
    );
    assert_eq!(fixture.rejected(2, domain::Open { room }), ErrorCode::NotAMember);
    assert_eq!(fixture.rejected(1, domain::Open { room: RoomId(77) }), ErrorCode::RoomNotFound);
    fixture.done(1, leave("tea"));
    assert_eq!(fixture.rejected(1, domain::Open { room }), ErrorCode::NotAMember);
}

pub fn leave_requires_membership(fixture: &mut Fixture) {
    let room = fixture.join(1, "tea");
    assert_eq!(fixture.rejected(2, leave("tea")), ErrorCode::NotAMember);
    assert_eq!(fixture.rejected(1, leave("nowhere")), ErrorCode::RoomNotFound);
    fixture.send(1, "tea", "bye");
    assert_eq!(fixture.done(1, leave("tea")), OperationResult::Leave(LeftRoom { room, seq: Seq(3) }));
    assert_eq!(fixture.rejected(1, leave("tea")), ErrorCode::NotAMember);
    assert!(!fixture.reader.is_member(room, user(1).id).unwrap());
}

pub fn former_member_can_join_again(fixture: &mut Fixture) {
    let room = fixture.join(1, "tea");
    fixture.send(1, "tea", "hello");
    fixture.done(1, read("tea", 2));
    fixture.done(1, leave("tea"));
    let OperationResult::Join(JoinedRoom { head, read, .. }) = fixture.done(1, join("tea")) else { panic!() };
    // The read position outlives the membership.
    assert_eq!((head, read.unwrap().seq), (Seq(4), Seq(2)));
    assert_eq!(fixture.kinds(room), ["+u1", "u1: hello", "-u1", "+u1"]);
}

pub fn open_answers_like_a_repeated_join(fixture: &mut Fixture) {
    let room = fixture.join(1, "tea");
    fixture.send(1, "tea", "hello");
    fixture.done(1, read("tea", 2));
    let (answer, events) = fixture.one(1, domain::Open { room });
    assert_eq!(events, []);
    let OperationResult::Join(joined) = fixture.done(1, join("tea")) else { panic!() };
    assert_eq!(answer, Ok(OperationResult::Open(joined)));
    assert_eq!(fixture.rejected(2, domain::Open { room }), ErrorCode::NotAMember);
    assert_eq!(fixture.rejected(1, domain::Open { room: RoomId(99) }), ErrorCode::RoomNotFound);
    fixture.done(1, leave("tea"));
    assert_eq!(fixture.rejected(1, domain::Open { room }), ErrorCode::NotAMember);
}

pub fn join_beyond_room_limit_is_rejected(fixture: &mut Fixture) {
    for n in 0..ROOMS {
        fixture.join(1, &format!("room{n}"));
    }
    assert_eq!(fixture.rejected(1, join("one-too-many")), ErrorCode::TooManyRooms);
    assert_eq!(fixture.reader.room(&named("one-too-many")).unwrap(), None);
    assert_eq!(fixture.rejected(1, join("lobby")), ErrorCode::TooManyRooms);
    // Neither a room of which the user is a member nor other users count.
    fixture.join(1, "room0");
    fixture.join(2, "lobby");
    fixture.done(1, leave("room0"));
    fixture.join(1, "lobby");
}

pub fn room_without_messages_is_deleted_with_last_member(fixture: &mut Fixture) {
    let room = fixture.join(1, "tea");
    fixture.join(2, "tea");
    fixture.done(1, read("tea", 2));
    fixture.done(2, rename("Li"));
    assert_eq!(fixture.all([(guest(1), leave("tea"))]).deleted_rooms, []);
    let batch = fixture.all([(guest(2), leave("tea"))]);
    assert_eq!(batch.deleted_rooms, [room]);
    assert_eq!(batch.events.len(), 1);
    assert_eq!(batch.events[0].seq, Seq(5));
    assert_eq!(fixture.reader.room(&named("tea")).unwrap(), None);
    assert_eq!(fixture.reader.room(&RoomRef::Id(room)).unwrap(), None);
    assert_eq!(fixture.events(room), []);
    assert_eq!(fixture.reader.heads(&[room]).unwrap(), [None]);
    assert_eq!(fixture.reader.read_position(room, user(1).id).unwrap(), None);
    assert_eq!(fixture.rejected(1, leave("tea")), ErrorCode::RoomNotFound);
}

pub fn room_with_messages_is_kept(fixture: &mut Fixture) {
    let room = fixture.join(1, "tea");
    fixture.send(1, "tea", "hello");
    assert_eq!(fixture.all([(guest(1), leave("tea"))]).deleted_rooms, []);
    assert_eq!(fixture.kinds(room), ["+u1", "u1: hello", "-u1"]);
}

pub fn room_id_is_never_reused(fixture: &mut Fixture) {
    let first = fixture.join(1, "tea");
    // The same within one batch.
    let batch = fixture.all([(guest(1), leave("tea")), (guest(1), join("tea")), (guest(1), leave("tea"))]);
    assert_eq!(batch.deleted_rooms, [first, RoomId(first.0 + 1)]);
    let third = fixture.join(1, "tea");
    assert_eq!(third, RoomId(first.0 + 2));
    assert_eq!(fixture.kinds(third), ["+u1"]);
    let old = domain::Join { room: RoomRef::Id(first), create_if_missing: true };
    assert_eq!(fixture.rejected(1, old), ErrorCode::RoomNotFound);
}

pub fn user_id_is_never_reserved_twice(fixture: &mut Fixture) {
    let first = fixture.writer.reserve_user_ids(10).unwrap();
    let second = fixture.writer.reserve_user_ids(1).unwrap();
    assert_eq!((first, second), (1..11, 11..12));
    fixture.join(12, "tea");
    assert_eq!(fixture.writer.reserve_user_ids(2).unwrap(), 12..14);
}

pub fn transient_user_leaves_all_rooms(fixture: &mut Fixture) {
    let tea = fixture.join(1, "tea");
    let batch = fixture.all([
        (transient_guest(2), join("lobby")),
        (transient_guest(2), join("tea")),
        (transient_guest(2), join("own")),
        (transient_guest(2), domain::LeaveAll.into()),
        (transient_guest(3), domain::LeaveAll.into()),
    ]);
    assert_eq!(batch.replies[3].1, Ok(OperationResult::LeaveAll(())));
    assert_eq!(batch.replies[4].1, Ok(OperationResult::LeaveAll(())));
    assert_eq!(batch.events.len(), 6);
    assert_eq!(batch.deleted_rooms.len(), 1);
    assert_eq!(fixture.kinds(tea), ["+u1", "+u2", "-u2"]);
    assert_eq!(fixture.kinds(LOBBY), ["+u2", "-u2"]);
    assert_eq!(fixture.all([(transient_guest(2), domain::LeaveAll.into())]).events, []);
}

pub fn cleanup_removes_transient_users_only(fixture: &mut Fixture) {
    fixture.join(1, "lobby");
    fixture.all([
        (transient_guest(2), join("lobby")),
        (transient_guest(3), join("lobby")),
        (transient_guest(3), join("own")),
    ]);
    fixture.all([(transient_guest(2), domain::LeaveAll.into())]);
    let batch = fixture.writer.cleanup_transient_users(fixture.now).unwrap();
    assert_eq!((batch.events.len(), batch.deleted_rooms.len(), batch.replies.len()), (2, 1, 0));
    assert_eq!(fixture.kinds(LOBBY), ["+u1", "+u2 +u3", "-u2", "-u3"]);
    assert_eq!(fixture.writer.cleanup_transient_users(fixture.now).unwrap().events, []);
    assert!(fixture.reader.is_member(LOBBY, user(1).id).unwrap());
}
