//! What a member sees is one run, identical to what is stored.

use super::*;

fn three() -> [Event; 3] {
    [joined(1, LI), joined(2, ANN), joined(3, ANN)]
}

#[test]
fn what_is_seen_is_stored() {
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
fn what_is_seen_is_as_it_is_stored() {
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
fn a_rooms_events_come_after_its_joined() {
    HistoryBuilder::new().receives(joined(2, ANN)).violates(Rule::ReceivedBeforeJoined, &three());
    let reconnects = HistoryBuilder::new().subscribes(None, 1).reconnects(LI, &epoch(1));
    reconnects.receives(joined(2, ANN)).violates(Rule::ReceivedBeforeJoined, &three());
}

#[test]
fn nothing_is_left_out_in_silence() {
    HistoryBuilder::new().subscribes(None, 1).receives(joined(3, ANN)).violates(Rule::SilentGap, &three());
    let back =
        || HistoryBuilder::new().subscribes(None, 1).receives(joined(2, ANN)).reconnects(LI, &epoch(1));
    back().subscribes(Some(2), 3).receives(joined(3, ANN)).satisfies_all(&three());
    let more = [&three()[..], &[joined(4, ANN)]].concat();
    back().subscribes(Some(2), 4).receives(joined(4, ANN)).violates(Rule::SilentGap, &more);
    // Without a cursor one hears from now on.
    back().subscribes(None, 3).receives(joined(4, ANN)).satisfies_all(&more);
}

#[test]
fn two_neighbours_keep_their_places() {
    let swapped = HistoryBuilder::new().subscribes(None, 1).receives(joined(3, ANN)).receives(joined(2, ANN));
    swapped.violates(Rule::SilentGap, &three());
}

#[test]
fn an_event_comes_once_on_a_connection() {
    let received = || HistoryBuilder::new().subscribes(None, 1).receives(joined(2, ANN));
    received().receives(joined(2, ANN)).violates(Rule::Duplicate, &three());
    // Across connections the cursor decides: what is above it comes again.
    let back = || received().reconnects(LI, &epoch(1));
    back().subscribes(Some(1), 3).receives(joined(2, ANN)).satisfies_all(&three());
    back().subscribes(Some(2), 3).receives(joined(2, ANN)).violates(Rule::BelowCursor, &three());
}

#[test]
fn a_client_names_no_cursor_that_it_has_not_seen() {
    let back = HistoryBuilder::new().subscribes(None, 1).reconnects(LI, &epoch(1));
    back.subscribes(Some(2), 3).violates(Rule::InconsistentHistory, &three());
}

#[test]
fn a_gap_names_what_comes_next_and_is_stored() {
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
fn a_gap_is_filled() {
    let told = || HistoryBuilder::new().subscribes(None, 1).receives_gap(2, 3);
    told().quiesces().violates(Rule::GapNotFilled, &three());
    told().receives_page(&[joined(2, ANN)]).quiesces().violates(Rule::GapNotFilled, &three());
    told()
        .receives_page(&[joined(2, ANN)])
        .receives_page(&[joined(3, ANN)])
        .quiesces()
        .satisfies_all(&three());
    // Or the client goes back behind it and hears it after all.
    let back = told().reconnects(LI, &epoch(1)).subscribes(Some(1), 3);
    back.receives(joined(2, ANN)).receives(joined(3, ANN)).quiesces().satisfies_all(&three());
    let half = told().reconnects(LI, &epoch(1)).subscribes(Some(2), 3).receives(joined(3, ANN));
    half.quiesces().violates(Rule::GapNotFilled, &three());
}

#[test]
fn a_page_has_no_hole() {
    HistoryBuilder::new().subscribes(None, 3).receives_page(&three()).satisfies_all(&three());
    HistoryBuilder::new()
        .subscribes(None, 3)
        .receives_page(&[joined(1, LI), joined(3, ANN)])
        .violates(Rule::SilentGap, &three());
}

#[test]
fn a_member_at_rest_has_everything() {
    let member = || HistoryBuilder::new().subscribes(None, 1).receives(joined(2, ANN));
    member().quiesces().violates(Rule::IncompleteView, &three());
    member().receives(joined(3, ANN)).quiesces().satisfies_all(&three());
    member().record_with(|it, on| it.closed(on, 1006)).satisfies_all(&three());
}

#[test]
fn nothing_comes_after_a_removal() {
    let stored = [joined(1, LI), left(2, LI), joined(3, ANN)];
    let member = || HistoryBuilder::new().subscribes(None, 1);
    member().receives(left(2, LI)).quiesces().satisfies_all(&stored);
    member().receives(left(2, LI)).receives(joined(3, ANN)).violates(Rule::ReceivedAfterRemoval, &stored);
    // What is at stake is the event's number, not the moment: also without an answer to the `sends_leave`.
    member().receives(left(2, LI)).sends_leave(1).ok(1, 2).quiesces().satisfies_all(&stored);
    let answered = || member().receives(left(2, LI)).sends_leave(1).ok(1, 2);
    answered().receives(joined(3, ANN)).violates(Rule::ReceivedAfterRemoval, &stored);
    // One who was away and came again may read what was said meanwhile.
    let back = HistoryBuilder::new()
        .subscribes(Some(1), 4)
        .receives(left(2, LI))
        .receives(joined(3, ANN))
        .receives(joined(4, LI));
    back.satisfies_all(&[&stored[..], &[joined(4, LI)]].concat());
}

#[test]
fn who_is_removed_hears_all_up_to_that() {
    let stored = [joined(1, LI), joined(2, ANN), left(3, LI), joined(4, ANN)];
    let member = || HistoryBuilder::new().subscribes(None, 1).receives(joined(2, ANN));
    member().quiesces().violates(Rule::IncompleteView, &stored);
    member().receives(left(3, LI)).quiesces().satisfies_all(&stored);
    // Whoever leaves has heard it when the `sends_leave` is answered.
    member().sends_leave(1).receives(left(3, LI)).ok(1, 3).satisfies_all(&stored);
    member().sends_leave(1).ok(1, 3).violates(Rule::SilentGap, &stored);
    // Or was told what is missing; but not that one was removed, for nobody could read it then.
    let told = || HistoryBuilder::new().subscribes(None, 1);
    told().sends_leave(1).receives_gap(2, 2).receives(left(3, LI)).ok(1, 3).quiesces().satisfies_all(&stored);
    told().sends_leave(1).receives_gap(2, 3).ok(1, 3).violates(Rule::ReceivedAfterRemoval, &stored);
}

#[test]
fn a_room_is_opened_for_its_members_alone() {
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
fn a_room_is_closed_to_those_alone_who_were_removed() {
    let stored = [joined(1, LI), left(2, LI), joined(3, ANN)];
    let member = || HistoryBuilder::new().subscribes(None, 1);
    member().room_closed().quiesces().satisfies_all(&stored);
    member().reconnects(LI, &epoch(1)).room_closed().satisfies_all(&stored);
    member().room_closed().receives(left(2, LI)).violates(Rule::ReceivedAfterRemoval, &stored);
    member().room_closed().violates(Rule::ClosedToMember, &three());
    // Removed, but before it was last told that it is a member.
    let stored = [joined(1, LI), left(2, LI), joined(3, LI)];
    let back = || HistoryBuilder::new().subscribes(None, 1).reconnects(LI, &epoch(1));
    back().subscribes(Some(1), 3).room_closed().violates(Rule::ClosedToMember, &stored);
    back().room_closed().satisfies_all(&stored);
}

#[test]
fn who_comes_again_on_the_same_connection_begins_anew_behind_a_removal_that_it_heard() {
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
    // Whoever had not heard of it goes on there.
    let not_heard = || leaving().subscribes(None, 3).ok(1, 2);
    not_heard()
        .receives(left(2, LI))
        .receives(joined(3, LI))
        .receives(joined(4, ANN))
        .quiesces()
        .satisfies_all(&stored);
    not_heard().receives(joined(4, ANN)).violates(Rule::SilentGap, &stored);
    not_heard().quiesces().violates(Rule::IncompleteView, &stored);
    // And so does one who was not removed, or before it was last told that it is a member.
    let twice = || HistoryBuilder::new().subscribes(None, 1).subscribes(None, 2);
    twice().receives(joined(2, ANN)).satisfies_all(&three());
    twice().receives(joined(3, ANN)).violates(Rule::SilentGap, &three());
    let stored = [&stored[..], &[joined(5, ANN)]].concat();
    let before = || HistoryBuilder::new().subscribes(Some(1), 3).receives(left(2, LI)).subscribes(None, 4);
    before().receives(joined(3, LI)).receives(joined(4, ANN)).satisfies_all(&stored);
    before().receives(joined(5, ANN)).violates(Rule::SilentGap, &stored);
}

#[test]
fn what_a_gap_named_is_still_wanted_by_one_who_did_not_hear_of_its_removal() {
    let stored = [joined(1, LI), joined(2, ANN), joined(3, ANN), left(4, LI), joined(5, LI)];
    let told = || HistoryBuilder::new().subscribes(None, 1).receives_gap(2, 3);
    // Removed: it may not be read, and need not.
    told().receives(left(4, LI)).quiesces().satisfies_all(&stored[..4]);
    // And in again: what was missing was of a membership that has ended, for whoever has heard of that.
    told().receives(left(4, LI)).subscribes(None, 5).quiesces().satisfies_all(&stored);
    let reconnects = || told().subscribes(None, 5).receives(left(4, LI)).receives(joined(5, LI));
    reconnects().quiesces().violates(Rule::GapNotFilled, &stored);
    reconnects().receives_page(&stored[1..3]).quiesces().satisfies_all(&stored);
}

#[test]
fn a_leave_is_acknowledged_as_the_event_that_it_became() {
    let leaving = || HistoryBuilder::new().subscribes(None, 1).sends_leave(1);
    leaving().receives(left(2, LI)).ok(1, 2).satisfies_all(&[joined(1, LI), left(2, LI)]);
    leaving().ok(1, 2).violates(Rule::AcknowledgedButLost, &[joined(1, LI)]);
    leaving().ok(1, 2).violates(Rule::AcknowledgedButLost, &[joined(1, LI), left(2, ANN)]);
}
