//! Acknowledged ⊆ stored ⊆ attempted, once, and in order.

use super::*;

#[test]
fn what_was_acknowledged_is_stored() {
    Tale::of_li().send(1, "a").ok(1, 1).passes(&[said(1, "a")]);
    Tale::of_li().send(1, "a").ok(1, 1).breaks(Rule::AcknowledgedButLost, &[]);
    Tale::of_li().send(1, "a").passes(&[]);
}

#[test]
fn an_ok_names_the_event_that_the_message_became() {
    let stored = [came(1, LI), said(2, "a")];
    Tale::of_li().send(1, "a").ok(1, 2).passes(&stored);
    Tale::of_li().send(1, "a").ok(1, 1).breaks(Rule::WrongNumber, &stored);
}

#[test]
fn the_same_key_is_answered_with_the_same_number() {
    let twice = || Tale::of_li().send(1, "a").ok(1, 1).send(2, "a");
    twice().ok(2, 1).passes(&[said(1, "a")]);
    twice().ok(2, 2).breaks(Rule::WrongNumber, &[said(1, "a"), came(2, ANN)]);
}

#[test]
fn what_is_stored_was_sent() {
    Tale::of_li().send(1, "a").passes(&[said(1, "a")]);
    Tale::of_li().breaks(Rule::NeverSent, &[said(1, "a")]);
    Tale::of_li().by(ANN).send(1, "a").breaks(Rule::NeverSent, &[said(1, "a")]);
}

#[test]
fn what_is_stored_is_what_was_sent() {
    Tale::of_li().send(1, "a").breaks(Rule::StoredAltered, &[said_as(1, LI, "a", "other words")]);
    // A client that breaks the rule of keys gets one of the two.
    Tale::of_li()
        .send(1, "a")
        .send_body(2, "a", "other words")
        .refused(2, ErrorCode::KeyConflict)
        .passes(&[said(1, "a")]);
}

#[test]
fn what_was_refused_each_time_is_not_stored() {
    let refused = |code| Tale::of_li().send(1, "a").refused(1, code);
    refused(ErrorCode::RateLimited).breaks(Rule::RefusedButStored, &[said(1, "a")]);
    refused(ErrorCode::RateLimited).passes(&[]);
    refused(ErrorCode::Unavailable).passes(&[said(1, "a")]);
    refused(ErrorCode::RateLimited).send(2, "a").passes(&[said(1, "a")]);
}

#[test]
fn a_key_is_stored_once() {
    let sent = || Tale::of_li().send(1, "a");
    sent().breaks(Rule::StoredTwice, &[said(1, "a"), said(2, "a")]);
    // Another person's key of the same name is another key.
    let anns = said_as(2, ANN, "a", &body_of("a"));
    sent().by(ANN).send(1, "a").passes(&[said(1, "a"), anns]);
}

#[test]
fn a_rooms_numbers_have_no_hole_and_begin_with_1() {
    Tale::of_li().passes(&[came(1, LI), came(2, ANN)]);
    Tale::of_li().breaks(Rule::Numbers, &[came(1, LI), came(3, ANN)]);
    Tale::of_li().breaks(Rule::Numbers, &[came(2, ANN)]);
    Tale::of_li().breaks(Rule::Numbers, &[came(1, LI), came(1, ANN)]);
}

#[test]
fn a_connections_messages_keep_their_order() {
    let swapped = [said(1, "b"), said(2, "a")];
    let both = || Tale::of_li().send(1, "a").send(2, "b");
    both().ok(1, 2).ok(2, 1).breaks(Rule::SendersOrder, &swapped);
    // It shows in what is stored, also if the later one's answer was lost.
    both().ok(1, 2).breaks(Rule::SendersOrder, &swapped);
    // Answers may come in any order.
    both().ok(2, 2).ok(1, 1).passes(&[said(1, "a"), said(2, "b")]);
    // The earlier one may have been refused, and come later.
    both().ok(2, 1).passes(&swapped);
    let refused = both().refused(1, ErrorCode::Overloaded).ok(2, 1);
    refused.send(3, "a").ok(3, 2).passes(&swapped);
    // The later one may have been stored when it was tried before.
    Tale::of_li()
        .send(1, "b")
        .again(LI, &epoch(1))
        .send(1, "a")
        .send(2, "b")
        .ok(1, 2)
        .ok(2, 1)
        .passes(&swapped);
}

#[test]
fn whatever_is_sent_after_an_ok_comes_after_it() {
    let swapped = [said_as(1, ANN, "b", &body_of("b")), said(2, "a")];
    Tale::of_li().send(1, "a").ok(1, 2).by(ANN).send(1, "b").breaks(Rule::Overtaken, &swapped);
    Tale::of_li().send(1, "a").by(ANN).send(1, "b").passes(&swapped);
}

#[test]
fn a_command_has_one_answer() {
    let sent = || Tale::of_li().send(1, "a").ok(1, 1);
    sent().ok(1, 1).breaks(Rule::AnsweredTwice, &[said(1, "a")]);
    sent().refused(1, ErrorCode::Overloaded).breaks(Rule::AnsweredTwice, &[said(1, "a")]);
    sent().ok(2, 1).breaks(Rule::AnsweredTwice, &[said(1, "a")]);
}

#[test]
fn a_command_has_an_answer_once_all_is_at_rest() {
    let sent = || Tale::of_li().send(1, "a");
    sent().rests().breaks(Rule::Unanswered, &[]);
    sent().refused(1, ErrorCode::Unavailable).rests().passes(&[]);
    sent().again(LI, &epoch(1)).rests().passes(&[]);
}

#[test]
fn nothing_happens_on_a_connection_that_is_closed() {
    Tale::of_li().then(|it, on| it.closed(on, 1006)).send(1, "a").breaks(Rule::Incoherent, &[]);
}

#[test]
fn time_stands_still_in_a_room_rather_than_going_back() {
    let stored = |times: [i64; 3]| {
        times
            .map(Timestamp)
            .into_iter()
            .enumerate()
            .map(|(nth, at)| Event { at, ..came(nth as u64 + 1, ANN) })
    };
    Tale::of_li().passes(&stored([5, 5, 6]).collect::<Vec<_>>());
    Tale::of_li().breaks(Rule::WentBackInTime, &stored([5, 7, 6]).collect::<Vec<_>>());
}
