//! Messages: numbers, idempotency keys, times.

use domain::SentMessage;
use protocol::{ErrorCode, EventKind, MessageCount, Seq, Timestamp};

use super::fixture::*;
use crate::{LOBBY, OperationResult};

pub fn events_are_numbered_without_holes(fixture: &mut Fixture) {
    fixture.join(1, "tea");
    for round in 0..5 {
        let stranger = (guest(9), send("tea", None, "let me in"));
        let batch = fixture.all([
            stranger.clone(),
            (guest(1), send("tea", None, "one")),
            stranger.clone(),
            (guest(1), join("tea")),
            (guest(2), join("tea")),
            (guest(1), send("tea", Some(&format!("k{round}")), "two")),
            (guest(1), send("tea", Some(&format!("k{round}")), "another")),
            stranger,
            (guest(2), leave("tea")),
        ]);
        assert_eq!(batch.events.len(), 4);
    }
    let room = fixture.join(1, "tea");
    let seqs: Vec<u64> = fixture.events(room).iter().map(|event| event.seq.0).collect();
    assert_eq!(seqs, (1..=21).collect::<Vec<_>>());
}

pub fn n_counts_messages_only(fixture: &mut Fixture) {
    let room = fixture.join(1, "tea");
    fixture.send(1, "tea", "one");
    fixture.join(2, "tea");
    fixture.send(2, "tea", "two");
    fixture.done(2, rename("Two"));
    fixture.done(2, leave("tea"));
    let n: Vec<u64> = fixture.events(room).iter().map(|event| event.n.0).collect();
    assert_eq!(n, [0, 1, 1, 2, 2, 2]);
}

pub fn repeated_send_returns_first_seq(fixture: &mut Fixture) {
    let room = fixture.join(1, "tea");
    let send = send("tea", Some("k1"), "hello");
    assert_eq!(
        fixture.done(1, send.clone()),
        OperationResult::Send(SentMessage { room, seq: Seq(2), repeated: false })
    );
    fixture.send(1, "tea", "in between");
    let (answer, events) = fixture.one(1, send);
    assert_eq!(answer, Ok(OperationResult::Send(SentMessage { room, seq: Seq(2), repeated: true })));
    assert_eq!(events, []);
    assert_eq!(fixture.send(1, "tea", "after"), Seq(4));
}

pub fn repeated_send_in_one_batch_is_one_message(fixture: &mut Fixture) {
    let room = fixture.join(1, "tea");
    let send = || (guest(1), send("tea", Some("k1"), "hello"));
    let batch = fixture.all([send(), send()]);
    let replies: Vec<_> = batch.replies.into_iter().map(|(_, answer)| answer.unwrap()).collect();
    let sent = |repeated| OperationResult::Send(SentMessage { room, seq: Seq(2), repeated });
    assert_eq!(replies, [sent(false), sent(true)]);
    assert_eq!(batch.events.len(), 1);
}

pub fn repeated_send_after_leaving_returns_first_seq(fixture: &mut Fixture) {
    let room = fixture.join(1, "tea");
    fixture.done(1, send("tea", Some("k1"), "hello"));
    fixture.done(1, leave("tea"));
    let sent = OperationResult::Send(SentMessage { room, seq: Seq(2), repeated: true });
    assert_eq!(fixture.done(1, send("tea", Some("k1"), "hello")), sent);
    assert_eq!(fixture.rejected(1, send("tea", Some("k2"), "hello")), ErrorCode::NotAMember);
}

pub fn key_for_another_room_or_body_conflicts(fixture: &mut Fixture) {
    fixture.join(1, "tea");
    fixture.join(1, "coffee");
    fixture.done(1, send("tea", Some("k1"), "hello"));
    let conflict = ErrorCode::KeyConflict;
    assert_eq!(fixture.rejected(1, send("tea", Some("k1"), "hallo")), conflict);
    assert_eq!(fixture.rejected(1, send("coffee", Some("k1"), "hello")), conflict);
    assert_eq!(fixture.rejected(1, send("nowhere", Some("k1"), "hello")), conflict);
    // A repetition is answered before membership is checked.
    fixture.done(1, leave("coffee"));
    assert_eq!(fixture.rejected(1, send("coffee", Some("k1"), "hello")), conflict);
    // The same within one batch.
    let batch = fixture.all([
        (guest(1), send("tea", Some("k2"), "one")),
        (guest(1), send("tea", Some("k2"), "two")),
        (guest(1), send("tea", Some("k3"), "three")),
    ]);
    let codes: Vec<_> =
        batch.replies.iter().map(|(_, answer)| answer.as_ref().err().map(|r| r.code)).collect();
    assert_eq!(codes, [None, Some(conflict), None]);
}

pub fn key_is_scoped_to_its_sender(fixture: &mut Fixture) {
    let room = fixture.join(1, "tea");
    fixture.join(2, "tea");
    fixture.done(1, send("tea", Some("k1"), "hello"));
    let sent = OperationResult::Send(SentMessage { room, seq: Seq(4), repeated: false });
    assert_eq!(fixture.done(2, send("tea", Some("k1"), "hello")), sent);
    assert_eq!(fixture.rejected(2, send("tea", Some("k1"), "bye")), ErrorCode::KeyConflict);
}

pub fn sends_without_keys_are_never_merged(fixture: &mut Fixture) {
    fixture.join(1, "tea");
    assert_eq!(fixture.send(1, "tea", "hello"), Seq(2));
    assert_eq!(fixture.send(1, "tea", "hello"), Seq(3));
}

pub fn non_member_cannot_send(fixture: &mut Fixture) {
    fixture.join(1, "tea");
    fixture.send(1, "tea", "members may");
    assert_eq!(fixture.rejected(2, send("tea", None, "hello")), ErrorCode::NotAMember);
    assert_eq!(fixture.rejected(2, send("tea", Some("k"), "hello")), ErrorCode::NotAMember);
    assert_eq!(fixture.rejected(1, send("nowhere", None, "hello")), ErrorCode::RoomNotFound);
    fixture.done(1, leave("tea"));
    assert_eq!(fixture.rejected(1, send("tea", None, "hello")), ErrorCode::NotAMember);
}

pub fn body_is_stored_unchanged(fixture: &mut Fixture) {
    fixture.join(1, "lobby");
    let typed = "  你好\n\t<script>'\"; DROP TABLE room; -- 👩‍🚀\u{1} %s \\ \r\n";
    fixture.done(1, send("lobby", Some("k'1"), typed));
    let last = fixture.events(LOBBY).pop().unwrap();
    let EventKind::Message { client_message_id, body } = last.kind else { panic!("{last:?}") };
    assert_eq!(body.as_str(), typed);
    assert_eq!(client_message_id, Some(key("k'1")));
    assert_eq!((last.by, last.at, last.n), (user(1), Timestamp(1_000), MessageCount(1)));
}

pub fn time_in_a_room_never_goes_back(fixture: &mut Fixture) {
    let room = fixture.join(1, "tea");
    let at = |now, fixture: &mut Fixture| {
        fixture.now = Timestamp(now);
        fixture.send(1, "tea", "tick");
        fixture.events(room).pop().unwrap().at.0
    };
    assert_eq!([at(5_000, fixture), at(3_000, fixture), at(6_000, fixture)], [5_000, 5_000, 6_000]);
    // Each room has its own last time.
    fixture.now = Timestamp(2_000);
    let other = fixture.join(1, "coffee");
    assert_eq!(fixture.events(other)[0].at, Timestamp(2_000));
}
