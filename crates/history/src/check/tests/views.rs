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
    let renamed = EventKind::Renamed { old_name: UserName::new("Ann").unwrap() };
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
    joined().hears(went(2, LI)).hears(came(3, ANN)).breaks(Rule::AfterRemoval, &stored);
    // What is at stake is the event's number, not the moment: also without an answer to the `leave`.
    joined().hears(went(2, LI)).leave(1).ok(1, 2).rests().passes(&stored);
    let answered = || joined().hears(went(2, LI)).leave(1).ok(1, 2);
    answered().hears(came(3, ANN)).breaks(Rule::AfterRemoval, &stored);
    // One who was away and came again may read what was said meanwhile.
    let back = Tale::of_li().joined(Some(1), 4).hears(went(2, LI)).hears(came(3, ANN)).hears(came(4, LI));
    back.passes(&[&stored[..], &[came(4, LI)]].concat());
}

#[test]
fn who_is_removed_hears_all_up_to_that() {
    let stored = [came(1, LI), came(2, ANN), went(3, LI), came(4, ANN)];
    let joined = || Tale::of_li().joined(None, 1).hears(came(2, ANN));
    joined().rests().breaks(Rule::Behind, &stored);
    joined().hears(went(3, LI)).rests().passes(&stored);
    // Whoever leaves has heard it when the `leave` is answered.
    joined().leave(1).hears(went(3, LI)).ok(1, 3).passes(&stored);
    joined().leave(1).ok(1, 3).breaks(Rule::Skipped, &stored);
    // Or was told what is missing; but not that one was removed, for nobody could read it then.
    let told = || Tale::of_li().joined(None, 1);
    told().leave(1).gap(2, 2).hears(went(3, LI)).ok(1, 3).rests().passes(&stored);
    told().leave(1).gap(2, 3).ok(1, 3).breaks(Rule::AfterRemoval, &stored);
}

#[test]
fn a_room_is_opened_for_its_members_alone() {
    let stored = [came(1, LI), went(2, LI), came_with(3, ANN, &[LI]), came(4, UserId(9))];
    let back = |head| Tale::of_li().joined(None, 1).again(LI, &epoch(1)).joined(Some(1), head);
    back(1).passes(&stored);
    back(2).breaks(Rule::NoMember, &stored);
    back(3).passes(&stored);
    Tale::of_li().by(ANN).joined(None, 2).breaks(Rule::NoMember, &stored);
    Tale::of_li().by(ANN).joined(None, 3).hears(came(4, UserId(9))).rests().passes(&stored);
}

#[test]
fn a_room_is_closed_to_those_alone_who_were_removed() {
    let stored = [came(1, LI), went(2, LI), came(3, ANN)];
    let joined = || Tale::of_li().joined(None, 1);
    joined().gone().rests().passes(&stored);
    joined().again(LI, &epoch(1)).gone().passes(&stored);
    joined().gone().hears(went(2, LI)).breaks(Rule::AfterRemoval, &stored);
    joined().gone().breaks(Rule::ClosedToMember, &three());
    // Removed, but before it was last told that it is a member.
    let stored = [came(1, LI), went(2, LI), came(3, LI)];
    let back = || Tale::of_li().joined(None, 1).again(LI, &epoch(1));
    back().joined(Some(1), 3).gone().breaks(Rule::ClosedToMember, &stored);
    back().gone().passes(&stored);
}

#[test]
fn who_comes_again_on_the_same_connection_begins_anew_behind_a_removal_that_it_heard() {
    let stored = [came(1, LI), went(2, LI), came(3, LI), came(4, ANN)];
    let left = || Tale::of_li().joined(None, 1).leave(1);
    left().hears(went(2, LI)).ok(1, 2).joined(None, 3).hears(came(4, ANN)).rests().passes(&stored);
    left().hears(went(2, LI)).joined(None, 3).ok(1, 2).hears(came(4, ANN)).rests().passes(&stored);
    let heard = || left().hears(went(2, LI)).ok(1, 2).joined(None, 3);
    heard().hears(came(3, LI)).breaks(Rule::BelowCursor, &stored);
    heard().rests().breaks(Rule::Behind, &stored);
    // Whoever had not heard of it goes on there.
    let not_heard = || left().joined(None, 3).ok(1, 2);
    not_heard().hears(went(2, LI)).hears(came(3, LI)).hears(came(4, ANN)).rests().passes(&stored);
    not_heard().hears(came(4, ANN)).breaks(Rule::Skipped, &stored);
    not_heard().rests().breaks(Rule::Behind, &stored);
    // And so does one who was not removed, or before it was last told that it is a member.
    let twice = || Tale::of_li().joined(None, 1).joined(None, 2);
    twice().hears(came(2, ANN)).passes(&three());
    twice().hears(came(3, ANN)).breaks(Rule::Skipped, &three());
    let stored = [&stored[..], &[came(5, ANN)]].concat();
    let before = || Tale::of_li().joined(Some(1), 3).hears(went(2, LI)).joined(None, 4);
    before().hears(came(3, LI)).hears(came(4, ANN)).passes(&stored);
    before().hears(came(5, ANN)).breaks(Rule::Skipped, &stored);
}

#[test]
fn what_a_gap_named_is_still_wanted_by_one_who_did_not_hear_of_its_removal() {
    let stored = [came(1, LI), came(2, ANN), came(3, ANN), went(4, LI), came(5, LI)];
    let told = || Tale::of_li().joined(None, 1).gap(2, 3);
    // Removed: it may not be read, and need not.
    told().hears(went(4, LI)).rests().passes(&stored[..4]);
    // And in again: what was missing was of a membership that has ended, for whoever has heard of that.
    told().hears(went(4, LI)).joined(None, 5).rests().passes(&stored);
    let again = || told().joined(None, 5).hears(went(4, LI)).hears(came(5, LI));
    again().rests().breaks(Rule::GapUnfilled, &stored);
    again().reads(&stored[1..3]).rests().passes(&stored);
}

#[test]
fn a_leave_is_acknowledged_as_the_event_that_it_became() {
    let left = || Tale::of_li().joined(None, 1).leave(1);
    left().hears(went(2, LI)).ok(1, 2).passes(&[came(1, LI), went(2, LI)]);
    left().ok(1, 2).breaks(Rule::AcknowledgedButLost, &[came(1, LI)]);
    left().ok(1, 2).breaks(Rule::AcknowledgedButLost, &[came(1, LI), went(2, ANN)]);
}
