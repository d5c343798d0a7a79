//! What a member sees is one run, identical to what is stored.

use super::*;

fn three() -> [Event; 3] {
    [came(1, LI), came(2, ANN), came(3, ANN)]
}

#[test]
fn what_is_seen_is_stored() {
    Tale::of_li().joined(None, 1).hears(came(2, ANN)).hears(came(3, ANN)).passes(&three());
    Tale::of_li().joined(None, 3).hears(came(4, ANN)).breaks(Rule::SeenButNotStored, &three());
    Tale::of_li().joined(None, 4).breaks(Rule::SeenButNotStored, &three());
}

#[test]
fn what_is_seen_is_as_it_is_stored() {
    let renamed = EventKind::Renamed { was: UserName::new("Ann").unwrap() };
    Tale::of_li().joined(None, 1).hears(event(2, ANN, renamed)).breaks(Rule::SeenAltered, &three());
    Tale::of_li().joined(None, 1).reads(&[came(2, LI)]).breaks(Rule::SeenAltered, &three());
}

#[test]
fn a_rooms_events_come_after_its_joined() {
    Tale::of_li().hears(came(2, ANN)).breaks(Rule::BeforeJoined, &three());
    let again = Tale::of_li().joined(None, 1).again(LI, &epoch(1));
    again.hears(came(2, ANN)).breaks(Rule::BeforeJoined, &three());
}

#[test]
fn nothing_is_left_out_in_silence() {
    Tale::of_li().joined(None, 1).hears(came(3, ANN)).breaks(Rule::Skipped, &three());
    let back = || Tale::of_li().joined(None, 1).hears(came(2, ANN)).again(LI, &epoch(1));
    back().joined(Some(2), 3).hears(came(3, ANN)).passes(&three());
    let more = [&three()[..], &[came(4, ANN)]].concat();
    back().joined(Some(2), 4).hears(came(4, ANN)).breaks(Rule::Skipped, &more);
    // Without a cursor one hears from now on.
    back().joined(None, 3).hears(came(4, ANN)).passes(&more);
}

#[test]
fn two_neighbours_keep_their_places() {
    let swapped = Tale::of_li().joined(None, 1).hears(came(3, ANN)).hears(came(2, ANN));
    swapped.breaks(Rule::Skipped, &three());
}

#[test]
fn an_event_comes_once_on_a_connection() {
    let heard = || Tale::of_li().joined(None, 1).hears(came(2, ANN));
    heard().hears(came(2, ANN)).breaks(Rule::Doubled, &three());
    // Across connections the cursor decides: what is above it comes again.
    let back = || heard().again(LI, &epoch(1));
    back().joined(Some(1), 3).hears(came(2, ANN)).passes(&three());
    back().joined(Some(2), 3).hears(came(2, ANN)).breaks(Rule::BelowCursor, &three());
}

#[test]
fn a_client_names_no_cursor_that_it_has_not_seen() {
    let back = Tale::of_li().joined(None, 1).again(LI, &epoch(1));
    back.joined(Some(2), 3).breaks(Rule::Incoherent, &three());
}

#[test]
fn a_gap_names_what_comes_next_and_is_stored() {
    let joined = || Tale::of_li().joined(None, 1);
    joined().gap(2, 3).reads(&[came(2, ANN), came(3, ANN)]).rests().passes(&three());
    joined().gap(3, 3).breaks(Rule::WrongGap, &three());
    joined().gap(1, 2).breaks(Rule::WrongGap, &three());
    joined().gap(2, 1).breaks(Rule::WrongGap, &three());
    joined().gap(2, 4).breaks(Rule::WrongGap, &three());
    joined().gap(2, 2).hears(came(2, ANN)).breaks(Rule::Doubled, &three());
    joined().gap(2, 2).hears(came(3, ANN)).reads(&[came(2, ANN)]).rests().passes(&three());
}

#[test]
fn a_gap_is_filled() {
    let told = || Tale::of_li().joined(None, 1).gap(2, 3);
    told().rests().breaks(Rule::GapUnfilled, &three());
    told().reads(&[came(2, ANN)]).rests().breaks(Rule::GapUnfilled, &three());
    told().reads(&[came(2, ANN)]).reads(&[came(3, ANN)]).rests().passes(&three());
    // Or the client goes back behind it and hears it after all.
    let back = told().again(LI, &epoch(1)).joined(Some(1), 3);
    back.hears(came(2, ANN)).hears(came(3, ANN)).rests().passes(&three());
    let half = told().again(LI, &epoch(1)).joined(Some(2), 3).hears(came(3, ANN));
    half.rests().breaks(Rule::GapUnfilled, &three());
}

#[test]
fn a_page_has_no_hole() {
    Tale::of_li().joined(None, 3).reads(&three()).passes(&three());
    Tale::of_li().joined(None, 3).reads(&[came(1, LI), came(3, ANN)]).breaks(Rule::Skipped, &three());
}

#[test]
fn a_member_at_rest_has_everything() {
    let joined = || Tale::of_li().joined(None, 1).hears(came(2, ANN));
    joined().rests().breaks(Rule::Behind, &three());
    joined().hears(came(3, ANN)).rests().passes(&three());
    joined().then(|it, on| it.closed(on, 1006)).passes(&three());
}

#[test]
fn nothing_comes_after_a_removal() {
    let stored = [came(1, LI), went(2, LI), came(3, ANN)];
    let joined = || Tale::of_li().joined(None, 1);
    joined().hears(went(2, LI)).rests().passes(&stored);
    joined().rests().passes(&stored);
    joined().hears(went(2, LI)).hears(came(3, ANN)).breaks(Rule::AfterRemoval, &stored);
    // What is at stake is the event's number, not the moment: also without an answer to the `leave`.
    joined().leave(1).ok(1, 2).hears(went(2, LI)).breaks(Rule::AfterRemoval, &stored);
    joined().hears(went(2, LI)).leave(1).ok(1, 2).rests().passes(&stored);
    // One who was away and came again may read what was said meanwhile.
    let back = Tale::of_li().joined(Some(1), 4).hears(went(2, LI)).hears(came(3, ANN)).hears(came(4, LI));
    back.passes(&[&stored[..], &[came(4, LI)]].concat());
}

#[test]
fn who_comes_again_on_the_same_connection_goes_on_there_or_from_now_on() {
    let stored = [came(1, LI), went(2, LI), came(3, LI), came(4, ANN)];
    let left = || Tale::of_li().joined(None, 1).leave(1).hears(went(2, LI));
    left().ok(1, 2).joined(None, 3).hears(came(4, ANN)).rests().passes(&stored);
    left().joined(None, 3).ok(1, 2).hears(came(4, ANN)).rests().passes(&stored);
    left().joined(None, 3).ok(1, 2).hears(came(3, LI)).hears(came(4, ANN)).rests().passes(&stored);
    // Who was not removed goes on where they were.
    let twice = || Tale::of_li().joined(None, 1).joined(None, 2);
    twice().hears(came(2, ANN)).passes(&three());
    twice().hears(came(3, ANN)).breaks(Rule::Skipped, &three());
}

#[test]
fn a_leave_is_acknowledged_as_the_event_that_it_became() {
    let left = || Tale::of_li().joined(None, 1).leave(1);
    left().ok(1, 2).passes(&[came(1, LI), went(2, LI)]);
    left().ok(1, 2).breaks(Rule::AcknowledgedButLost, &[came(1, LI)]);
    left().ok(1, 2).breaks(Rule::AcknowledgedButLost, &[came(1, LI), went(2, ANN)]);
}
