//! What a client sees of a room: one contiguous run, across its connections.

use protocol::{RoomId, Seq};

use super::expected_log::{EpochLog, StoreEpoch};
use super::{Owner, Violations};
use crate::verdict::{Counts, Subject};
use crate::{ObservedEvent, Rule};

/// What a client holds of a room, whatever connections it had.
#[derive(Debug, Default)]
pub(super) struct ClientView {
    store_epoch: StoreEpoch,
    /// Its person was a member there.
    head: Seq,
    /// Up to here it has everything but its holes.
    at: Seq,
    /// Gaps that it was told of and has not filled yet, in order.
    gaps: Vec<(Seq, Seq)>,
}

/// What one connection was sent of a room since `joined`.
#[derive(Debug)]
pub(super) struct Subscription {
    /// The cursor that it began with.
    start: Seq,
    /// The last event that was sent, or named as missing.
    at: Seq,
    /// As the last `joined` told it: removals up to here were before it.
    head: Seq,
}

/// `joined`, as it came.
pub(super) struct JoinedFrame {
    pub(super) room: RoomId,
    pub(super) after: Option<Seq>,
    pub(super) head: Seq,
    pub(super) was_reset: bool,
}

/// Where something was seen.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) user: Owner,
    pub(super) room: RoomId,
    pub(super) index: usize,
}

impl Place {
    fn subject(self, seq: Seq) -> Subject {
        Subject {
            connection: Some(self.user.connection),
            room: Some(self.room),
            seq: Some(seq),
            ..Subject::default()
        }
    }
}

impl ClientView {
    fn from_now_on(store_epoch: StoreEpoch, head: Seq) -> Self {
        ClientView { store_epoch, head, at: head, gaps: Vec::new() }
    }

    /// The client's cursor goes back (or to where it is): what it was told of beyond will be told again.
    fn rewind(&mut self, to: Seq) {
        self.at = to;
        self.gaps.retain(|(from, _)| *from <= to);
        if let Some((_, last)) = self.gaps.last_mut() {
            *last = to.min(*last);
        }
    }

    /// A page fills the holes that it reaches into; each is filled from its beginning.
    pub(super) fn fill(&mut self, first: Seq, last: Seq) {
        for (from, _) in &mut self.gaps {
            if first <= *from && *from <= last {
                *from = last.next();
            }
        }
        self.gaps.retain(|(from, to)| from <= to);
    }

    pub(super) fn check_gaps_filled(&self, place: Place, violations: &mut Violations) {
        if let Some((from, to)) = self.gaps.first() {
            violations.report(place.index, Rule::GapNotFilled, place.subject(*from), || {
                format!("{} lacks {} #{from} to #{to}", place.user.client, place.room)
            });
        }
    }
}

impl Subscription {
    fn from_now_on(head: Seq) -> Self {
        Subscription { start: head, at: head, head }
    }

    /// What `joined` begins, or goes on with.
    pub(super) fn open(
        epoch_log: &EpochLog,
        view: &mut Option<ClientView>,
        standing: Option<Subscription>,
        place: Place,
        joined: JoinedFrame,
        violations: &mut Violations,
    ) -> Subscription {
        let JoinedFrame { room, after, head, was_reset } = joined;
        let Owner { store_epoch, client, user, .. } = place.user;
        if epoch_log.head(room) < head {
            violations.report(place.index, Rule::ReceivedButNotStored, place.subject(head), || {
                format!("the head of {room} is told to be #{head}, and #{} is the last", epoch_log.head(room))
            });
        } else if !epoch_log.is_member(room, user, head) {
            violations.report(place.index, Rule::OpenedForNonMember, place.subject(head), || {
                format!("{user} is no member of {room} behind #{head}")
            });
        }
        let known = view.as_ref().map(|view| view.store_epoch);
        let is_foreign = after.is_some() && known.is_some_and(|known| known != store_epoch);
        let is_beyond = after.is_some_and(|after| after > head);
        if was_reset {
            if !is_foreign && !is_beyond && (known.is_some() || after.is_none()) {
                violations.report(place.index, Rule::UnneededReset, place.subject(head), || {
                    format!("in {room}, of which {client} has good numbers")
                });
            }
            *view = Some(ClientView::from_now_on(store_epoch, head));
            return Subscription::from_now_on(head);
        }
        if is_foreign || is_beyond {
            violations.report(place.index, Rule::MissingReset, place.subject(head), || {
                format!("{client} came to {room} with a number of no use")
            });
        }
        match (after, standing) {
            (Some(after), _) => {
                let view = view.get_or_insert(ClientView::from_now_on(store_epoch, after));
                if after > view.at && !is_foreign {
                    violations.report(place.index, Rule::InconsistentHistory, place.subject(after), || {
                        format!("{client} names #{after} and has seen #{} last", view.at)
                    });
                }
                (view.store_epoch, view.head) = (store_epoch, head);
                view.rewind(after);
                Subscription { start: after, at: after, head }
            }
            // A member already, or removed and let in again before it had heard of that: it goes on where it is. Whoever has heard
            // of the removal begins anew, and what had been missing before was of a membership that has ended.
            (None, Some(subscription))
                if subscription.end(epoch_log, place).is_none_or(|removal| subscription.at < removal) =>
            {
                if let Some(view) = view {
                    view.head = head;
                }
                Subscription { head, ..subscription }
            }
            (None, _) => {
                *view = Some(ClientView::from_now_on(store_epoch, head));
                Subscription::from_now_on(head)
            }
        }
    }

    pub(super) fn hear(
        &mut self,
        epoch_log: &EpochLog,
        view: Option<&mut ClientView>,
        place: Place,
        event: &ObservedEvent,
        violations: &mut Violations,
    ) {
        let Place { user, room, index } = place;
        let seq = event.seq;
        let subject = || Subject { key: event.key.clone(), ..place.subject(seq) };
        if let Some(removal) = self.end(epoch_log, place).filter(|removal| *removal < seq) {
            violations.report(index, Rule::ReceivedAfterRemoval, subject(), || {
                format!("{} was removed from {room} by #{removal} and heard #{seq}", user.user)
            });
        }
        if seq <= self.start {
            violations.report(index, Rule::BelowCursor, subject(), || {
                format!("{room} #{seq} to {}, which came with #{}", user.client, self.start)
            });
        } else if seq <= self.at {
            violations
                .report(index, Rule::Duplicate, subject(), || format!("{room} #{seq} to {}", user.client));
        } else if seq > self.at.next() {
            violations.report(index, Rule::SilentGap, subject(), || {
                format!("{} heard {room} #{} and then #{seq}", user.client, self.at)
            });
        }
        check_event(epoch_log, place, event, violations);
        self.advance(seq, view);
    }

    pub(super) fn gap(
        &mut self,
        epoch_log: &EpochLog,
        view: Option<&mut ClientView>,
        place: Place,
        (from, to): (Seq, Seq),
        violations: &mut Violations,
    ) {
        let Place { user, room, index } = place;
        // Nor may it hide the removal itself: whoever was removed cannot read it.
        if let Some(removal) = self.end(epoch_log, place).filter(|removal| *removal <= to) {
            violations.report(index, Rule::ReceivedAfterRemoval, place.subject(to), || {
                format!("{} was removed from {room} by #{removal}, and a gap goes to #{to}", user.user)
            });
        }
        if from != self.at.next() || to < from || epoch_log.head(room) < to {
            violations.report(index, Rule::InvalidGap, place.subject(from), || {
                format!("from #{from} to #{to} in {room}, where {} had #{} last", user.client, self.at)
            });
        }
        if let Some(view) = view {
            view.gaps.push((from, to));
            self.advance(to, Some(view));
        }
    }

    /// All was at rest: the run must reach to the head, or to the removal that ended the membership.
    pub(super) fn check_complete(&self, epoch_log: &EpochLog, place: Place, violations: &mut Violations) {
        let Place { user, room, index } = place;
        let last = self.end(epoch_log, place).unwrap_or_else(|| epoch_log.head(room));
        if self.at < last {
            violations.report(index, Rule::IncompleteView, place.subject(self.at.next()), || {
                format!("{} has {room} up to #{}, and #{last} is stored", user.client, self.at)
            });
        }
    }

    /// A `leave` was answered: what there was before comes before the answer.
    pub(super) fn check_ended(
        &self,
        epoch_log: &EpochLog,
        place: Place,
        left: Seq,
        violations: &mut Violations,
    ) {
        let end = self.end(epoch_log, place).unwrap_or(left);
        if self.at < end {
            violations.report(place.index, Rule::SilentGap, place.subject(end), || {
                format!("{} left {} by #{end}, and had #{} last", place.user.client, place.room, self.at)
            });
        }
    }

    /// The person was removed from the room.
    pub(super) fn has_ended(&self, epoch_log: &EpochLog, place: Place) -> bool {
        self.end(epoch_log, place).is_some()
    }

    /// The head that `joined` told.
    pub(super) fn head(&self) -> Seq {
        self.head
    }

    fn end(&self, epoch_log: &EpochLog, place: Place) -> Option<Seq> {
        epoch_log.removal_after(place.room, place.user.user, self.head)
    }

    fn advance(&mut self, to: Seq, view: Option<&mut ClientView>) {
        self.at = self.at.max(to);
        if let Some(view) = view {
            view.at = view.at.max(to);
        }
    }
}

/// Somebody was told that a room is not open to them: then they have been removed since they were last told that it is.
pub(super) fn check_was_removed(
    epoch_log: &EpochLog,
    view: Option<&ClientView>,
    place: Place,
    violations: &mut Violations,
) {
    let Place { user, room, index } = place;
    let Some(view) = view.filter(|view| view.store_epoch == user.store_epoch) else { return };
    if epoch_log.removal_after(room, user.user, view.head).is_none() {
        violations.report(index, Rule::ClosedToMember, place.subject(view.head), || {
            format!("{} was a member of {room} behind #{}, and was not removed", user.user, view.head)
        });
    }
}

/// Whoever sees an event sees it as it is stored.
fn check_event(epoch_log: &EpochLog, place: Place, event: &ObservedEvent, violations: &mut Violations) {
    let Place { room, index, .. } = place;
    let subject = || Subject { key: event.key.clone(), ..place.subject(event.seq) };
    match epoch_log.event(room, event.seq) {
        None => violations.report(index, Rule::ReceivedButNotStored, subject(), || format!("{room} {event}")),
        Some(stored) if stored != event => {
            violations.report(index, Rule::ReceivedAltered, subject(), || {
                format!("{room} {event}, stored {stored}")
            });
        }
        Some(_) => {}
    }
}

/// A page of history is one run.
pub(super) fn check_page(
    epoch_log: &EpochLog,
    place: Place,
    events: &[ObservedEvent],
    counts: &mut Counts,
    violations: &mut Violations,
) {
    counts.history_pages += 1;
    for event in events {
        check_event(epoch_log, place, event, violations);
    }
    for pair in events.windows(2) {
        if pair[1].seq != pair[0].seq.next() {
            violations.report(place.index, Rule::SilentGap, place.subject(pair[1].seq), || {
                format!("a page of {} has #{} and then #{}", place.room, pair[0].seq, pair[1].seq)
            });
        }
    }
}
