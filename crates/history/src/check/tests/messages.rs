//! Acknowledged ⊆ stored ⊆ attempted, once, and in order.

use super::*;

#[test]
fn acknowledged_message_must_be_stored() {
    HistoryBuilder::new().sends(1, "a").ok(1, 1).satisfies_all(&[message(1, "a")]);
    HistoryBuilder::new().sends(1, "a").ok(1, 1).violates(Rule::AcknowledgedButLost, &[]);
    HistoryBuilder::new().sends(1, "a").satisfies_all(&[]);
}

#[test]
fn ok_must_name_the_stored_event() {
    let stored = [joined(1, LI), message(2, "a")];
    HistoryBuilder::new().sends(1, "a").ok(1, 2).satisfies_all(&stored);
    HistoryBuilder::new().sends(1, "a").ok(1, 1).violates(Rule::WrongSeq, &stored);
}

#[test]
fn retry_must_return_the_first_seq() {
    let twice = || HistoryBuilder::new().sends(1, "a").ok(1, 1).sends(2, "a");
    twice().ok(2, 1).satisfies_all(&[message(1, "a")]);
    twice().ok(2, 2).violates(Rule::WrongSeq, &[message(1, "a"), joined(2, ANN)]);
}

#[test]
fn stored_message_must_have_been_sent() {
    HistoryBuilder::new().sends(1, "a").satisfies_all(&[message(1, "a")]);
    HistoryBuilder::new().violates(Rule::NeverSent, &[message(1, "a")]);
    HistoryBuilder::new().with_new_client(ANN).sends(1, "a").violates(Rule::NeverSent, &[message(1, "a")]);
}

#[test]
fn stored_message_must_equal_the_sent_one() {
    HistoryBuilder::new()
        .sends(1, "a")
        .violates(Rule::StoredAltered, &[message_from(1, LI, "a", "other words")]);
    // A client that reuses a key for another message gets one of the two stored.
    HistoryBuilder::new()
        .sends(1, "a")
        .sends_body(2, "a", "other words")
        .rejected(2, ErrorCode::KeyConflict)
        .satisfies_all(&[message(1, "a")]);
}

#[test]
fn message_rejected_each_time_must_not_be_stored() {
    let rejected = |code| HistoryBuilder::new().sends(1, "a").rejected(1, code);
    rejected(ErrorCode::RateLimited).violates(Rule::RejectedButStored, &[message(1, "a")]);
    rejected(ErrorCode::RateLimited).satisfies_all(&[]);
    rejected(ErrorCode::Unavailable).satisfies_all(&[message(1, "a")]);
    rejected(ErrorCode::RateLimited).sends(2, "a").satisfies_all(&[message(1, "a")]);
}

#[test]
fn key_must_be_stored_once() {
    let sent = || HistoryBuilder::new().sends(1, "a");
    sent().violates(Rule::StoredTwice, &[message(1, "a"), message(2, "a")]);
    // The same key of another user is a different key.
    let anns = message_from(2, ANN, "a", &body_of("a"));
    sent().with_new_client(ANN).sends(1, "a").satisfies_all(&[message(1, "a"), anns]);
}

#[test]
fn room_must_be_numbered_from_1_without_holes() {
    HistoryBuilder::new().satisfies_all(&[joined(1, LI), joined(2, ANN)]);
    HistoryBuilder::new().violates(Rule::SeqNotContiguous, &[joined(1, LI), joined(3, ANN)]);
    HistoryBuilder::new().violates(Rule::SeqNotContiguous, &[joined(2, ANN)]);
    HistoryBuilder::new().violates(Rule::SeqNotContiguous, &[joined(1, LI), joined(1, ANN)]);
}

#[test]
fn messages_of_a_connection_must_keep_their_order() {
    let swapped = [message(1, "b"), message(2, "a")];
    let both = || HistoryBuilder::new().sends(1, "a").sends(2, "b");
    both().ok(1, 2).ok(2, 1).violates(Rule::SenderOrder, &swapped);
    // The stored order shows it even if the later message's reply was lost.
    both().ok(1, 2).violates(Rule::SenderOrder, &swapped);
    // Replies may arrive in any order.
    both().ok(2, 2).ok(1, 1).satisfies_all(&[message(1, "a"), message(2, "b")]);
    // The earlier one may have been rejected, and stored by a later attempt.
    both().ok(2, 1).satisfies_all(&swapped);
    let rejected = both().rejected(1, ErrorCode::Overloaded).ok(2, 1);
    rejected.sends(3, "a").ok(3, 2).satisfies_all(&swapped);
    // The later one may have been stored by an earlier attempt.
    HistoryBuilder::new()
        .sends(1, "b")
        .reconnects(LI, &epoch(1))
        .sends(1, "a")
        .sends(2, "b")
        .ok(1, 2)
        .ok(2, 1)
        .satisfies_all(&swapped);
}

#[test]
fn message_sent_after_an_ok_must_be_stored_after_it() {
    let swapped = [message_from(1, ANN, "b", &body_of("b")), message(2, "a")];
    HistoryBuilder::new()
        .sends(1, "a")
        .ok(1, 2)
        .with_new_client(ANN)
        .sends(1, "b")
        .violates(Rule::RealTimeOrder, &swapped);
    HistoryBuilder::new().sends(1, "a").with_new_client(ANN).sends(1, "b").satisfies_all(&swapped);
}

#[test]
fn command_must_have_one_reply() {
    let sent = || HistoryBuilder::new().sends(1, "a").ok(1, 1);
    sent().ok(1, 1).violates(Rule::UnexpectedReply, &[message(1, "a")]);
    sent().rejected(1, ErrorCode::Overloaded).violates(Rule::UnexpectedReply, &[message(1, "a")]);
    sent().ok(2, 1).violates(Rule::UnexpectedReply, &[message(1, "a")]);
}

#[test]
fn command_must_have_a_reply_at_quiescence() {
    let sent = || HistoryBuilder::new().sends(1, "a");
    sent().quiesces().violates(Rule::Unanswered, &[]);
    sent().rejected(1, ErrorCode::Unavailable).quiesces().satisfies_all(&[]);
    sent().reconnects(LI, &epoch(1)).quiesces().satisfies_all(&[]);
}

#[test]
fn record_on_a_closed_connection_is_inconsistent() {
    HistoryBuilder::new()
        .record_with(|it, on| it.closed(on, 1006))
        .sends(1, "a")
        .violates(Rule::InconsistentHistory, &[]);
}

#[test]
fn timestamps_of_a_room_must_not_decrease() {
    let stored = |times: [i64; 3]| {
        times
            .map(Timestamp)
            .into_iter()
            .enumerate()
            .map(|(nth, at)| Event { at, ..joined(nth as u64 + 1, ANN) })
    };
    HistoryBuilder::new().satisfies_all(&stored([5, 5, 6]).collect::<Vec<_>>());
    HistoryBuilder::new().violates(Rule::TimestampRegressed, &stored([5, 7, 6]).collect::<Vec<_>>());
}
