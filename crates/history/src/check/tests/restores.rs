//! Each life of the store keeps its promises, also one that a restore ended; and who comes from another is told `reset`.

use super::*;

#[test]
fn what_a_restore_undid_may_be_lost_and_what_it_kept_may_not() {
    let both = [said(1, "a"), said(2, "b")];
    let sent = || Tale::of_li().send(1, "a").ok(1, 1).send(2, "b").ok(2, 2);
    sent().restored(2, &both, 1).passes(&both[..1]);
    sent().restored(2, &both, 2).breaks(Rule::NotKept, &both[..1]);
    sent().restored(2, &both, 1).breaks(Rule::NotKept, &[said(1, "b")]);
    // Its number may be another's now.
    sent().restored(2, &both, 1).passes(&[said(1, "a"), came(2, ANN)]);
}

#[test]
fn a_life_that_did_not_last_kept_its_promises() {
    let both = [said(1, "a"), said(2, "b")];
    let sent = || Tale::of_li().send(1, "a").ok(1, 1).send(2, "b").ok(2, 2);
    sent().restored(2, &both[..1], 1).breaks(Rule::AcknowledgedButLost, &both[..1]);
    sent().restored(2, &[said(1, "b"), said(2, "a")], 0).breaks(Rule::WrongNumber, &[]);
    Tale::of_li().send(1, "a").restored(2, &both, 0).breaks(Rule::NeverSent, &[]);

    let members = [came(1, LI), came(2, ANN), said(3, "a"), said(4, "b")];
    let heard = || Tale::of_li().joined(None, 1).hears(came(2, ANN)).send(1, "a").send(2, "b");
    heard().hears(said(3, "a")).restored(2, &members, 1).passes(&members[..1]);
    heard().hears(said(4, "b")).restored(2, &members, 1).breaks(Rule::Skipped, &members[..1]);
    heard().hears(said(3, "b")).restored(2, &members, 1).breaks(Rule::SeenAltered, &members[..1]);
    heard().gap(3, 4).restored(2, &members, 1).passes(&members[..1]);
    heard().gap(3, 5).restored(2, &members, 1).breaks(Rule::WrongGap, &members[..1]);
}

#[test]
fn a_removal_ends_what_is_heard_also_if_a_restore_undid_it() {
    let stored = [came(1, LI), went(2, LI), came(3, ANN)];
    let left = || Tale::of_li().joined(None, 1).hears(went(2, LI));
    left().restored(2, &stored, 1).passes(&stored[..1]);
    left().hears(came(3, ANN)).restored(2, &stored, 1).breaks(Rule::AfterRemoval, &stored[..1]);
}

#[test]
fn who_was_not_removed_does_not_begin_anew_also_if_a_restore_undid_it() {
    let stored = [came(1, LI), came(2, ANN), came(3, ANN)];
    let again = || Tale::of_li().joined(None, 1).joined(None, 2);
    again().hears(came(2, ANN)).restored(2, &stored, 1).passes(&stored[..1]);
    again().hears(came(3, ANN)).restored(2, &stored, 1).breaks(Rule::Skipped, &stored[..1]);
}

#[test]
fn what_was_sent_in_a_life_before_is_no_reason_to_be_stored_in_this_one() {
    let kept = [came(1, LI)];
    let sent = || Tale::of_li().joined(None, 1).send(1, "a").restored(2, &kept, 1).again(LI, &epoch(2));
    let stored = [came(1, LI), said(2, "a")];
    sent().breaks(Rule::NeverSent, &stored);
    sent().send(1, "a").refused(1, ErrorCode::RateLimited).breaks(Rule::RefusedButStored, &stored);
    sent().send(1, "a").ok(1, 2).passes(&stored);
}

#[test]
fn a_cursor_of_another_life_is_reset_and_a_good_one_is_not() {
    let stored = [came(1, LI), came(2, ANN)];
    let back = |number| {
        let tale = Tale::of_li().joined(None, 1).hears(came(2, ANN));
        tale.restored(2, &stored, 1).again(LI, &epoch(number))
    };
    back(2).reset().joined(Some(2), 2).rests().passes(&stored);
    back(2).joined(Some(2), 2).breaks(Rule::ResetForgotten, &stored);
    let same = || Tale::of_li().joined(None, 2).again(LI, &epoch(1));
    same().joined(Some(2), 2).rests().passes(&stored);
    same().reset().joined(Some(2), 2).breaks(Rule::NeedlessReset, &stored);
}

#[test]
fn a_cursor_above_the_head_is_reset() {
    let fresh = || Tale::of_li();
    fresh().reset().joined(Some(5), 2).passes(&[came(1, LI), came(2, ANN)]);
    fresh().joined(Some(5), 2).breaks(Rule::ResetForgotten, &[came(1, LI), came(2, ANN)]);
}

#[test]
fn an_epoch_comes_from_a_restore() {
    Tale::of_li().again(LI, &epoch(2)).breaks(Rule::Incoherent, &[]);
}
