//! A store that was taken back keeps the promises of its own life, and says `reset` to who comes from another.

use super::*;

#[test]
fn what_a_restore_undid_may_be_lost_and_what_it_kept_may_not() {
    let sent = || Tale::of_li().send(1, "a").ok(1, 1).send(2, "b").ok(2, 2);
    sent().restored(2, 1).passes(&[said(1, "a")]);
    sent().restored(2, 2).breaks(Rule::AcknowledgedButLost, &[said(1, "a")]);
    // Its number may be another's now.
    sent().restored(2, 1).passes(&[said(1, "a"), came(2, ANN)]);
}

#[test]
fn all_who_saw_what_a_restore_undid_saw_the_same() {
    let heard = |event| {
        let tale = Tale::of_li().joined(None, 1).hears(came(2, ANN)).by(ANN).joined(None, 1);
        tale.hears(event).restored(2, 1)
    };
    heard(came(2, ANN)).passes(&[came(1, LI), went(2, LI)]);
    heard(came(2, LI)).breaks(Rule::SeenAltered, &[came(1, LI), went(2, LI)]);
}

#[test]
fn a_cursor_of_another_life_is_reset_and_a_good_one_is_not() {
    let stored = [came(1, LI), came(2, ANN)];
    let back = |number| {
        let tale = Tale::of_li().joined(None, 1).hears(came(2, ANN));
        tale.restored(2, 1).again(LI, &epoch(number))
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
