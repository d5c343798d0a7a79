//! What is said is numbered, once.

use protocol::{ErrorCode, EventKind, MessageCount, Seq, Timestamp};

use super::house::*;
use crate::{LOBBY, OperationResult};

pub(crate) fn numbers_have_no_holes(house: &mut House) {
    house.join(1, "tea");
    for round in 0..5 {
        let stranger = (guest(9), say("tea", None, "let me in"));
        let batch = house.all([
            stranger.clone(),
            (guest(1), say("tea", None, "one")),
            stranger.clone(),
            (guest(1), join("tea")),
            (guest(2), join("tea")),
            (guest(1), say("tea", Some(&format!("k{round}")), "two")),
            (guest(1), say("tea", Some(&format!("k{round}")), "another")),
            stranger,
            (guest(2), leave("tea")),
        ]);
        assert_eq!(batch.events.len(), 4);
    }
    let room = house.join(1, "tea");
    let seqs: Vec<u64> = house.events(room).iter().map(|event| event.seq.0).collect();
    assert_eq!(seqs, (1..=21).collect::<Vec<_>>());
}

pub(crate) fn n_counts_messages_only(house: &mut House) {
    let room = house.join(1, "tea");
    house.say(1, "tea", "one");
    house.join(2, "tea");
    house.say(2, "tea", "two");
    house.done(2, rename("Two"));
    house.done(2, leave("tea"));
    let n: Vec<u64> = house.events(room).iter().map(|event| event.n.0).collect();
    assert_eq!(n, [0, 1, 1, 2, 2, 2]);
}

pub(crate) fn a_repeated_send_is_answered_with_the_first_number(house: &mut House) {
    let room = house.join(1, "tea");
    let send = say("tea", Some("k1"), "hello");
    assert_eq!(house.done(1, send.clone()), OperationResult::Sent { room, seq: Seq(2), repeated: false });
    house.say(1, "tea", "in between");
    let (answer, events) = house.one(1, send);
    assert_eq!(answer, Ok(OperationResult::Sent { room, seq: Seq(2), repeated: true }));
    assert_eq!(events, []);
    assert_eq!(house.say(1, "tea", "after"), Seq(4));
}

pub(crate) fn a_repeated_send_in_the_same_batch_is_one_message(house: &mut House) {
    let room = house.join(1, "tea");
    let send = || (guest(1), say("tea", Some("k1"), "hello"));
    let batch = house.all([send(), send()]);
    let answers: Vec<_> = batch.answers.into_iter().map(|(_, answer)| answer.unwrap()).collect();
    let sent = |repeated| OperationResult::Sent { room, seq: Seq(2), repeated };
    assert_eq!(answers, [sent(false), sent(true)]);
    assert_eq!(batch.events.len(), 1);
}

pub(crate) fn a_repeated_send_is_answered_after_leaving(house: &mut House) {
    let room = house.join(1, "tea");
    house.done(1, say("tea", Some("k1"), "hello"));
    house.done(1, leave("tea"));
    let sent = OperationResult::Sent { room, seq: Seq(2), repeated: true };
    assert_eq!(house.done(1, say("tea", Some("k1"), "hello")), sent);
    assert_eq!(house.refused(1, say("tea", Some("k2"), "hello")), ErrorCode::NotAMember);
}

pub(crate) fn a_key_for_another_room_or_body_is_a_conflict(house: &mut House) {
    house.join(1, "tea");
    house.join(1, "coffee");
    house.done(1, say("tea", Some("k1"), "hello"));
    let conflict = ErrorCode::KeyConflict;
    assert_eq!(house.refused(1, say("tea", Some("k1"), "hallo")), conflict);
    assert_eq!(house.refused(1, say("coffee", Some("k1"), "hello")), conflict);
    assert_eq!(house.refused(1, say("nowhere", Some("k1"), "hello")), conflict);
    // Also where the sender may not send.
    house.done(1, leave("coffee"));
    assert_eq!(house.refused(1, say("coffee", Some("k1"), "hello")), conflict);
    // Also in one batch.
    let batch = house.all([
        (guest(1), say("tea", Some("k2"), "one")),
        (guest(1), say("tea", Some("k2"), "two")),
        (guest(1), say("tea", Some("k3"), "three")),
    ]);
    let codes: Vec<_> =
        batch.answers.iter().map(|(_, answer)| answer.as_ref().err().map(|r| r.code)).collect();
    assert_eq!(codes, [None, Some(conflict), None]);
}

pub(crate) fn a_key_is_the_senders_own(house: &mut House) {
    let room = house.join(1, "tea");
    house.join(2, "tea");
    house.done(1, say("tea", Some("k1"), "hello"));
    let sent = OperationResult::Sent { room, seq: Seq(4), repeated: false };
    assert_eq!(house.done(2, say("tea", Some("k1"), "hello")), sent);
    assert_eq!(house.refused(2, say("tea", Some("k1"), "bye")), ErrorCode::KeyConflict);
}

pub(crate) fn lines_without_keys_are_never_one(house: &mut House) {
    house.join(1, "tea");
    assert_eq!(house.say(1, "tea", "hello"), Seq(2));
    assert_eq!(house.say(1, "tea", "hello"), Seq(3));
}

pub(crate) fn only_members_can_send(house: &mut House) {
    house.join(1, "tea");
    house.say(1, "tea", "members may");
    assert_eq!(house.refused(2, say("tea", None, "hello")), ErrorCode::NotAMember);
    assert_eq!(house.refused(2, say("tea", Some("k"), "hello")), ErrorCode::NotAMember);
    assert_eq!(house.refused(1, say("nowhere", None, "hello")), ErrorCode::RoomNotFound);
    house.done(1, leave("tea"));
    assert_eq!(house.refused(1, say("tea", None, "hello")), ErrorCode::NotAMember);
}

pub(crate) fn a_body_is_kept_as_it_was_typed(house: &mut House) {
    house.join(1, "lobby");
    let typed = "  你好\n\t<script>'\"; DROP TABLE room; -- 👩‍🚀\u{1} %s \\ \r\n";
    house.done(1, say("lobby", Some("k'1"), typed));
    let last = house.events(LOBBY).pop().unwrap();
    let EventKind::Message { client_message_id, body } = last.kind else { panic!("{last:?}") };
    assert_eq!(body.as_str(), typed);
    assert_eq!(client_message_id, Some(key("k'1")));
    assert_eq!((last.by, last.at, last.n), (person(1), Timestamp(1_000), MessageCount(1)));
}

pub(crate) fn time_in_a_room_never_goes_back(house: &mut House) {
    let room = house.join(1, "tea");
    let at = |now, house: &mut House| {
        house.now = Timestamp(now);
        house.say(1, "tea", "tick");
        house.events(room).pop().unwrap().at.0
    };
    assert_eq!([at(5_000, house), at(3_000, house), at(6_000, house)], [5_000, 5_000, 6_000]);
    // Another room has a time of its own.
    house.now = Timestamp(2_000);
    let other = house.join(1, "coffee");
    assert_eq!(house.events(other)[0].at, Timestamp(2_000));
}
