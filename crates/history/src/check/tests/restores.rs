//! Each epoch is verified separately, including those that a restore ended. A client with a cursor of another epoch receives
//! `reset`.

use super::*;

#[test]
fn restore_may_lose_only_events_it_did_not_keep() {
    let both = [message(1, "a"), message(2, "b")];
    let sent = || HistoryBuilder::new().sends(1, "a").ok(1, 1).sends(2, "b").ok(2, 2);
    sent().restored(2, &both, 1).satisfies_all(&both[..1]);
    sent().restored(2, &both, 2).violates(Rule::RestoreMismatch, &both[..1]);
    sent().restored(2, &both, 1).violates(Rule::RestoreMismatch, &[message(1, "b")]);
    // Another event may have the same number now.
    sent().restored(2, &both, 1).satisfies_all(&[message(1, "a"), joined(2, ANN)]);
}

#[test]
fn epoch_ended_by_a_restore_is_verified() {
    let both = [message(1, "a"), message(2, "b")];
    let sent = || HistoryBuilder::new().sends(1, "a").ok(1, 1).sends(2, "b").ok(2, 2);
    sent().restored(2, &both[..1], 1).violates(Rule::AcknowledgedButLost, &both[..1]);
    sent().restored(2, &[message(1, "b"), message(2, "a")], 0).violates(Rule::WrongSeq, &[]);
    HistoryBuilder::new().sends(1, "a").restored(2, &both, 0).violates(Rule::NeverSent, &[]);

    let members = [joined(1, LI), joined(2, ANN), message(3, "a"), message(4, "b")];
    let received =
        || HistoryBuilder::new().subscribes(None, 1).receives(joined(2, ANN)).sends(1, "a").sends(2, "b");
    received().receives(message(3, "a")).restored(2, &members, 1).satisfies_all(&members[..1]);
    received().receives(message(4, "b")).restored(2, &members, 1).violates(Rule::SilentGap, &members[..1]);
    received()
        .receives(message(3, "b"))
        .restored(2, &members, 1)
        .violates(Rule::ReceivedAltered, &members[..1]);
    received().receives_gap(3, 4).restored(2, &members, 1).satisfies_all(&members[..1]);
    received().receives_gap(3, 5).restored(2, &members, 1).violates(Rule::InvalidGap, &members[..1]);
}

#[test]
fn removal_undone_by_a_restore_still_ends_delivery() {
    let stored = [joined(1, LI), left(2, LI), joined(3, ANN)];
    let leaving = || HistoryBuilder::new().subscribes(None, 1).receives(left(2, LI));
    leaving().restored(2, &stored, 1).satisfies_all(&stored[..1]);
    leaving()
        .receives(joined(3, ANN))
        .restored(2, &stored, 1)
        .violates(Rule::ReceivedAfterRemoval, &stored[..1]);
}

#[test]
fn rejoin_undone_by_a_restore_continues_the_subscription() {
    let stored = [joined(1, LI), joined(2, ANN), joined(3, ANN)];
    let reconnects = || HistoryBuilder::new().subscribes(None, 1).subscribes(None, 2);
    reconnects().receives(joined(2, ANN)).restored(2, &stored, 1).satisfies_all(&stored[..1]);
    reconnects().receives(joined(3, ANN)).restored(2, &stored, 1).violates(Rule::SilentGap, &stored[..1]);
}

#[test]
fn attempt_in_another_epoch_does_not_explain_a_stored_message() {
    let kept = [joined(1, LI)];
    let sent = || {
        HistoryBuilder::new()
            .subscribes(None, 1)
            .sends(1, "a")
            .restored(2, &kept, 1)
            .reconnects(LI, &epoch(2))
    };
    let stored = [joined(1, LI), message(2, "a")];
    sent().violates(Rule::NeverSent, &stored);
    sent().sends(1, "a").rejected(1, ErrorCode::RateLimited).violates(Rule::RejectedButStored, &stored);
    sent().sends(1, "a").ok(1, 2).satisfies_all(&stored);
}

#[test]
fn only_a_cursor_of_another_epoch_is_reset() {
    let stored = [joined(1, LI), joined(2, ANN)];
    let back = |number| {
        let history = HistoryBuilder::new().subscribes(None, 1).receives(joined(2, ANN));
        history.restored(2, &stored, 1).reconnects(LI, &epoch(number))
    };
    back(2).receives_reset().subscribes(Some(2), 2).quiesces().satisfies_all(&stored);
    back(2).subscribes(Some(2), 2).violates(Rule::MissingReset, &stored);
    let same = || HistoryBuilder::new().subscribes(None, 2).reconnects(LI, &epoch(1));
    same().subscribes(Some(2), 2).quiesces().satisfies_all(&stored);
    same().receives_reset().subscribes(Some(2), 2).violates(Rule::UnneededReset, &stored);
}

#[test]
fn cursor_above_the_head_must_be_reset() {
    let fresh = || HistoryBuilder::new();
    fresh().receives_reset().subscribes(Some(5), 2).satisfies_all(&[joined(1, LI), joined(2, ANN)]);
    fresh().subscribes(Some(5), 2).violates(Rule::MissingReset, &[joined(1, LI), joined(2, ANN)]);
}

#[test]
fn epoch_without_a_restore_is_inconsistent() {
    HistoryBuilder::new().reconnects(LI, &epoch(2)).violates(Rule::InconsistentHistory, &[]);
}
