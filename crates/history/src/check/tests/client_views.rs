//! A member receives one contiguous range that equals the stored events.

use super::*;

fn three() -> [Event; 3] {
    [joined(1, LI), joined(2, ANN), joined(3, ANN)]
}

#[test]
fn received_event_must_be_stored() {
    HistoryBuilder::new()
        .subscribes(None, 1)
        .receives(joined(2, ANN))
        .receives(joined(3, ANN))
        .satisfies_all(&three());
    HistoryBuilder::new()
        .subscribes(None, 3)
        .receives(joined(4, ANN))
        .violates(Rule::ReceivedButNotStored, &three());
    HistoryBuilder::new().subscribes(None, 4).violates(Rule::ReceivedButNotStored, &three());
}

#[test]
fn received_event_must_equal_the_stored_one() {
    let renamed = EventKind::Renamed { old_name: UserName::new("Ann").unwrap() };
    HistoryBuilder::new()
        .subscribes(None, 1)
        .receives(event(2, ANN, renamed))
        .violates(Rule::ReceivedAltered, &three());
    HistoryBuilder::new()
        .subscribes(None, 1)
        .receives_page(&[joined(2, LI)])
        .violates(Rule::ReceivedAltered, &three());
}

#[test]
fn events_must_follow_joined() {
    HistoryBuilder::new().receives(joined(2, ANN)).violates(Rule::ReceivedBeforeJoined, &three());
    let reconnects = HistoryBuilder::new().subscribes(None, 1).reconnects(LI, &epoch(1));
    reconnects.receives(joined(2, ANN)).violates(Rule::ReceivedBeforeJoined, &three());
}

#[test]
fn missing_events_must_be_announced() {
    HistoryBuilder::new().subscribes(None, 1).receives(joined(3, ANN)).violates(Rule::SilentGap, &three());
    let back =
        || HistoryBuilder::new().subscribes(None, 1).receives(joined(2, ANN)).reconnects(LI, &epoch(1));
    back().subscribes(Some(2), 3).receives(joined(3, ANN)).satisfies_all(&three());
    let more = [&three()[..], &[joined(4, ANN)]].concat();
    back().subscribes(Some(2), 4).receives(joined(4, ANN)).violates(Rule::SilentGap, &more);
    // Without a cursor, delivery starts at the head.
    back().subscribes(None, 3).receives(joined(4, ANN)).satisfies_all(&more);
}

#[test]
fn swapped_events_are_a_violation() {
    let swapped = HistoryBuilder::new().subscribes(None, 1).receives(joined(3, ANN)).receives(joined(2, ANN));
    swapped.violates(Rule::SilentGap, &three());
}

#[test]
fn event_must_arrive_once_per_connection() {
    let received = || HistoryBuilder::new().subscribes(None, 1).receives(joined(2, ANN));
    received().receives(joined(2, ANN)).violates(Rule::Duplicate, &three());
    // Across connections the cursor decides: events above it are delivered again.
    let back = || received().reconnects(LI, &epoch(1));
    back().subscribes(Some(1), 3).receives(joined(2, ANN)).satisfies_all(&three());
    back().subscribes(Some(2), 3).receives(joined(2, ANN)).violates(Rule::BelowCursor, &three());
}

#[test]
fn cursor_above_the_received_events_is_inconsistent() {
    let back = HistoryBuilder::new().subscribes(None, 1).reconnects(LI, &epoch(1));
    back.subscribes(Some(2), 3).violates(Rule::InconsistentHistory, &three());
}

#[test]
fn gap_must_start_at_the_next_event_and_be_stored() {
    let member = || HistoryBuilder::new().subscribes(None, 1);
    member()
        .receives_gap(2, 3)
        .receives_page(&[joined(2, ANN), joined(3, ANN)])
        .quiesces()
        .satisfies_all(&three());
    member().receives_gap(3, 3).violates(Rule::InvalidGap, &three());
    member().receives_gap(1, 2).violates(Rule::InvalidGap, &three());
    member().receives_gap(2, 1).violates(Rule::InvalidGap, &three());
    member().receives_gap(2, 4).violates(Rule::InvalidGap, &three());
    member().receives_gap(2, 2).receives(joined(2, ANN)).violates(Rule::Duplicate, &three());
    member()
        .receives_gap(2, 2)
        .receives(joined(3, ANN))
        .receives_page(&[joined(2, ANN)])
        .quiesces()
        .satisfies_all(&three());
}

#[test]
fn gap_must_be_filled_at_quiescence() {
    let with_gap = || HistoryBuilder::new().subscribes(None, 1).receives_gap(2, 3);
    with_gap().quiesces().violates(Rule::GapNotFilled, &three());
    with_gap().receives_page(&[joined(2, ANN)]).quiesces().violates(Rule::GapNotFilled, &three());
    with_gap()
        .receives_page(&[joined(2, ANN)])
        .receives_page(&[joined(3, ANN)])
        .quiesces()
        .satisfies_all(&three());
    // Instead, the client may resume before the gap and receive its events.
    let back = with_gap().reconnects(LI, &epoch(1)).subscribes(Some(1), 3);
    back.receives(joined(2, ANN)).receives(joined(3, ANN)).quiesces().satisfies_all(&three());
    let half = with_gap().reconnects(LI, &epoch(1)).subscribes(Some(2), 3).receives(joined(3, ANN));
    half.quiesces().violates(Rule::GapNotFilled, &three());
}

#[test]
fn page_of_history_must_be_contiguous() {
    HistoryBuilder::new().subscribes(None, 3).receives_page(&three()).satisfies_all(&three());
    HistoryBuilder::new()
        .subscribes(None, 3)
        .receives_page(&[joined(1, LI), joined(3, ANN)])
        .violates(Rule::SilentGap, &three());
}

#[test]
fn member_at_quiescence_must_have_every_event() {
    let member = || HistoryBuilder::new().subscribes(None, 1).receives(joined(2, ANN));
    member().quiesces().violates(Rule::IncompleteView, &three());
    member().receives(joined(3, ANN)).quiesces().satisfies_all(&three());
    member().record_with(|it, on| it.closed(on, 1006)).satisfies_all(&three());
}

#[test]
fn no_event_may_follow_a_removal() {
    let stored = [joined(1, LI), left(2, LI), joined(3, ANN)];
    let member = || HistoryBuilder::new().subscribes(None, 1);
    member().receives(left(2, LI)).quiesces().satisfies_all(&stored);
    member().receives(left(2, LI)).receives(joined(3, ANN)).violates(Rule::ReceivedAfterRemoval, &stored);
    // The number of the event decides, not the time, even without a reply to the `leave`.
    member().receives(left(2, LI)).sends_leave(1).ok(1, 2).quiesces().satisfies_all(&stored);
    let answered = || member().receives(left(2, LI)).sends_leave(1).ok(1, 2);
    answered().receives(joined(3, ANN)).violates(Rule::ReceivedAfterRemoval, &stored);
    // A user who left and rejoined may receive the events between.
    let back = HistoryBuilder::new()
        .subscribes(Some(1), 4)
        .receives(left(2, LI))
        .receives(joined(3, ANN))
        .receives(joined(4, LI));
    back.satisfies_all(&[&stored[..], &[joined(4, LI)]].concat());
}

#[test]
fn removed_user_must_have_every_event_before_the_removal() {
    let stored = [joined(1, LI), joined(2, ANN), left(3, LI), joined(4, ANN)];
    let member = || HistoryBuilder::new().subscribes(None, 1).receives(joined(2, ANN));
    member().quiesces().violates(Rule::IncompleteView, &stored);
    member().receives(left(3, LI)).quiesces().satisfies_all(&stored);
    // The removal arrives before the reply to the `leave`.
    member().sends_leave(1).receives(left(3, LI)).ok(1, 3).satisfies_all(&stored);
    member().sends_leave(1).ok(1, 3).violates(Rule::SilentGap, &stored);
    // A gap may announce the missing events, but not the removal, which a removed user cannot read.
    let with_gap = || HistoryBuilder::new().subscribes(None, 1);
    with_gap()
        .sends_leave(1)
        .receives_gap(2, 2)
        .receives(left(3, LI))
        .ok(1, 3)
        .quiesces()
        .satisfies_all(&stored);
    with_gap().sends_leave(1).receives_gap(2, 3).ok(1, 3).violates(Rule::ReceivedAfterRemoval, &stored);
}

#[test]
fn only_members_may_be_subscribed() {
    let stored = [joined(1, LI), left(2, LI), joined_together(3, ANN, &[LI]), joined(4, UserId(9))];
    let back =
        |head| HistoryBuilder::new().subscribes(None, 1).reconnects(LI, &epoch(1)).subscribes(Some(1), head);
    back(1).satisfies_all(&stored);
    back(2).violates(Rule::OpenedForNonMember, &stored);
    back(3).satisfies_all(&stored);
    HistoryBuilder::new()
        .with_new_client(ANN)
        .subscribes(None, 2)
        .violates(Rule::OpenedForNonMember, &stored);
    HistoryBuilder::new()
        .with_new_client(ANN)
        .subscribes(None, 3)
        .receives(joined(4, UserId(9)))
        .quiesces()
        .satisfies_all(&stored);
}

#[test]
fn only_removed_users_may_lose_their_subscription() {
    let stored = [joined(1, LI), left(2, LI), joined(3, ANN)];
    let member = || HistoryBuilder::new().subscribes(None, 1);
    member().room_closed().quiesces().satisfies_all(&stored);
    member().reconnects(LI, &epoch(1)).room_closed().satisfies_all(&stored);
    member().room_closed().receives(left(2, LI)).violates(Rule::ReceivedAfterRemoval, &stored);
    member().room_closed().violates(Rule::ClosedToMember, &three());
    // The removal precedes the head of the last `joined`.
    let stored = [joined(1, LI), left(2, LI), joined(3, LI)];
    let back = || HistoryBuilder::new().subscribes(None, 1).reconnects(LI, &epoch(1));
    back().subscribes(Some(1), 3).room_closed().violates(Rule::ClosedToMember, &stored);
    back().room_closed().satisfies_all(&stored);
}

#[test]
fn rejoin_after_a_received_removal_starts_at_the_head() {
    let stored = [joined(1, LI), left(2, LI), joined(3, LI), joined(4, ANN)];
    let leaving = || HistoryBuilder::new().subscribes(None, 1).sends_leave(1);
    leaving()
        .receives(left(2, LI))
        .ok(1, 2)
        .subscribes(None, 3)
        .receives(joined(4, ANN))
        .quiesces()
        .satisfies_all(&stored);
    leaving()
        .receives(left(2, LI))
        .subscribes(None, 3)
        .ok(1, 2)
        .receives(joined(4, ANN))
        .quiesces()
        .satisfies_all(&stored);
    let received = || leaving().receives(left(2, LI)).ok(1, 2).subscribes(None, 3);
    received().receives(joined(3, LI)).violates(Rule::BelowCursor, &stored);
    received().quiesces().violates(Rule::IncompleteView, &stored);
    // If the removal has not arrived, the subscription continues.
    let not_heard = || leaving().subscribes(None, 3).ok(1, 2);
    not_heard()
        .receives(left(2, LI))
        .receives(joined(3, LI))
        .receives(joined(4, ANN))
        .quiesces()
        .satisfies_all(&stored);
    not_heard().receives(joined(4, ANN)).violates(Rule::SilentGap, &stored);
    not_heard().quiesces().violates(Rule::IncompleteView, &stored);
    // It also continues without a removal, or if the removal precedes the last `joined`.
    let twice = || HistoryBuilder::new().subscribes(None, 1).subscribes(None, 2);
    twice().receives(joined(2, ANN)).satisfies_all(&three());
    twice().receives(joined(3, ANN)).violates(Rule::SilentGap, &three());
    let stored = [&stored[..], &[joined(5, ANN)]].concat();
    let before = || HistoryBuilder::new().subscribes(Some(1), 3).receives(left(2, LI)).subscribes(None, 4);
    before().receives(joined(3, LI)).receives(joined(4, ANN)).satisfies_all(&stored);
    before().receives(joined(5, ANN)).violates(Rule::SilentGap, &stored);
}

#[test]
fn gap_is_still_due_if_the_removal_did_not_arrive() {
    let stored = [joined(1, LI), joined(2, ANN), joined(3, ANN), left(4, LI), joined(5, LI)];
    let with_gap = || HistoryBuilder::new().subscribes(None, 1).receives_gap(2, 3);
    // A removed user may not read it, and need not.
    with_gap().receives(left(4, LI)).quiesces().satisfies_all(&stored[..4]);
    // After a rejoin, the gap belongs to a membership that has ended if the removal has arrived.
    with_gap().receives(left(4, LI)).subscribes(None, 5).quiesces().satisfies_all(&stored);
    let reconnects = || with_gap().subscribes(None, 5).receives(left(4, LI)).receives(joined(5, LI));
    reconnects().quiesces().violates(Rule::GapNotFilled, &stored);
    reconnects().receives_page(&stored[1..3]).quiesces().satisfies_all(&stored);
}

#[test]
fn ok_to_a_leave_must_name_the_removal() {
    let leaving = || HistoryBuilder::new().subscribes(None, 1).sends_leave(1);
    leaving().receives(left(2, LI)).ok(1, 2).satisfies_all(&[joined(1, LI), left(2, LI)]);
    leaving().ok(1, 2).violates(Rule::AcknowledgedButLost, &[joined(1, LI)]);
    leaving().ok(1, 2).violates(Rule::AcknowledgedButLost, &[joined(1, LI), left(2, ANN)]);
}
