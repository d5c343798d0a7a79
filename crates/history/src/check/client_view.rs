//! The check of what a client receives of a room: one contiguous range, across its connections.

use protocol::{RoomId, Seq};

use super::expected_log::{EpochLog, StoreEpoch};
use super::{Owner, Violations};
use crate::verdict::{Counts, Subject};
use crate::{ObservedEvent, Rule};

/// The events of a room that a client has, across its connections.
#[derive(Debug, Default)]
pub(super) struct ClientView {
    store_epoch: StoreEpoch,
    /// An event at which the user was a member.
    head: Seq,
    /// The client has every event up to this one, except for the gaps.
    cursor: Seq,
    /// The announced gaps that are not filled yet, in order.
    gaps: Vec<(Seq, Seq)>,
}

/// The events of a room that one connection has received since `joined`.
#[derive(Debug)]
pub(super) struct Subscription {
    /// The cursor from which the subscription started.
    start: Seq,
    /// The last event that was received or announced as missing.
    cursor: Seq,
    /// The head in the last `joined`. Removals up to this event precede the subscription.
    head: Seq,
}

/// The fields of a `joined` frame.
pub(super) struct JoinedFrame {
    pub(super) room: RoomId,
    pub(super) after: Option<Seq>,
    pub(super) head: Seq,
    pub(super) was_reset: bool,
}

/// The connection, the room and the record to which an observation belongs.
#[derive(Clone, Copy)]
pub(super) struct Location {
    pub(super) owner: Owner,
    pub(super) room: RoomId,
    pub(super) index: usize,
}

impl Location {
    fn subject(self, seq: Seq) -> Subject {
        Subject {
            connection: Some(self.owner.connection),
            room: Some(self.room),
            seq: Some(seq),
            ..Subject::default()
        }
    }
}

impl ClientView {
    fn starting_at(store_epoch: StoreEpoch, head: Seq) -> Self {
        ClientView { store_epoch, head, cursor: head, gaps: Vec::new() }
    }

    /// Moves the client's cursor back; the events and gaps after it will be delivered again.
    fn rewind(&mut self, to: Seq) {
        self.cursor = to;
        self.gaps.retain(|(from, _)| *from <= to);
        if let Some((_, last)) = self.gaps.last_mut() {
            *last = to.min(*last);
        }
    }

    /// Applies a page of history: it fills the gaps that it overlaps, each from its start.
    pub(super) fn fill(&mut self, first: Seq, last: Seq) {
        for (from, _) in &mut self.gaps {
            if first <= *from && *from <= last {
                *from = last.next();
            }
        }
        self.gaps.retain(|(from, to)| from <= to);
    }

    pub(super) fn check_gaps_filled(&self, location: Location, violations: &mut Violations) {
        if let Some((from, to)) = self.gaps.first() {
            violations.report(location.index, Rule::GapNotFilled, location.subject(*from), || {
                format!("{} lacks {} #{from} to #{to}", location.owner.client, location.room)
            });
        }
    }
}

impl Subscription {
    fn starting_at(head: Seq) -> Self {
        Subscription { start: head, cursor: head, head }
    }

    /// Starts or continues a subscription, after `joined`.
    pub(super) fn open(
        epoch_log: &EpochLog,
        view: &mut Option<ClientView>,
        previous: Option<Subscription>,
        location: Location,
        joined: JoinedFrame,
        violations: &mut Violations,
    ) -> Subscription {
        let JoinedFrame { room, after, head, was_reset } = joined;
        let Owner { store_epoch, client, user, .. } = location.owner;
        if epoch_log.head(room) < head {
            violations.report(location.index, Rule::ReceivedButNotStored, location.subject(head), || {
                format!(
                    "joined announces #{head} as the head of {room}, and #{} is the last event",
                    epoch_log.head(room)
                )
            });
        } else if !epoch_log.is_member(room, user, head) {
            violations.report(location.index, Rule::OpenedForNonMember, location.subject(head), || {
                format!("{user} is not a member of {room} after #{head}")
            });
        }
        let known = view.as_ref().map(|view| view.store_epoch);
        let is_other_epoch = after.is_some() && known.is_some_and(|known| known != store_epoch);
        let is_above_head = after.is_some_and(|after| after > head);
        if was_reset {
            if !is_other_epoch && !is_above_head && (known.is_some() || after.is_none()) {
                violations.report(location.index, Rule::UnneededReset, location.subject(head), || {
                    format!("{client} has a valid cursor of {room}")
                });
            }
            *view = Some(ClientView::starting_at(store_epoch, head));
            return Subscription::starting_at(head);
        }
        if is_other_epoch || is_above_head {
            violations.report(location.index, Rule::MissingReset, location.subject(head), || {
                format!("{client} joined {room} with an invalid cursor")
            });
        }
        match (after, previous) {
            (Some(after), _) => {
                let view = view.get_or_insert(ClientView::starting_at(store_epoch, after));
                if after > view.cursor && !is_other_epoch {
                    violations.report(
                        location.index,
                        Rule::InconsistentHistory,
                        location.subject(after),
                        || {
                            format!(
                                "{client} sent the cursor #{after}, and #{} was the last event it received",
                                view.cursor
                            )
                        },
                    );
                }
                (view.store_epoch, view.head) = (store_epoch, head);
                view.rewind(after);
                Subscription { start: after, cursor: after, head }
            }
            // The user is still a member, or was removed and added again before the removal arrived: the subscription
            // continues. After the removal has arrived, a new one starts, and earlier gaps belong to a membership that has
            // ended.
            (None, Some(subscription))
                if subscription
                    .end(epoch_log, location)
                    .is_none_or(|removal| subscription.cursor < removal) =>
            {
                if let Some(view) = view {
                    view.head = head;
                }
                Subscription { head, ..subscription }
            }
            (None, _) => {
                *view = Some(ClientView::starting_at(store_epoch, head));
                Subscription::starting_at(head)
            }
        }
    }

    pub(super) fn receive(
        &mut self,
        epoch_log: &EpochLog,
        view: Option<&mut ClientView>,
        location: Location,
        event: &ObservedEvent,
        violations: &mut Violations,
    ) {
        let Location { owner, room, index } = location;
        let seq = event.seq;
        let subject = || Subject { key: event.key.clone(), ..location.subject(seq) };
        if let Some(removal) = self.end(epoch_log, location).filter(|removal| *removal < seq) {
            violations.report(index, Rule::ReceivedAfterRemoval, subject(), || {
                format!("{} was removed from {room} by #{removal} and received #{seq}", owner.user)
            });
        }
        if seq <= self.start {
            violations.report(index, Rule::BelowCursor, subject(), || {
                format!("{room} #{seq} to {}, whose cursor was #{}", owner.client, self.start)
            });
        } else if seq <= self.cursor {
            violations
                .report(index, Rule::Duplicate, subject(), || format!("{room} #{seq} to {}", owner.client));
        } else if seq > self.cursor.next() {
            violations.report(index, Rule::SilentGap, subject(), || {
                format!("{} received {room} #{} and then #{seq}", owner.client, self.cursor)
            });
        }
        check_event(epoch_log, location, event, violations);
        self.advance(seq, view);
    }

    pub(super) fn gap(
        &mut self,
        epoch_log: &EpochLog,
        view: Option<&mut ClientView>,
        location: Location,
        (from, to): (Seq, Seq),
        violations: &mut Violations,
    ) {
        let Location { owner, room, index } = location;
        // A gap may not cover the removal either: a removed user cannot read it.
        if let Some(removal) = self.end(epoch_log, location).filter(|removal| *removal <= to) {
            violations.report(index, Rule::ReceivedAfterRemoval, location.subject(to), || {
                format!("{} was removed from {room} by #{removal}, and a gap ends at #{to}", owner.user)
            });
        }
        if from != self.cursor.next() || to < from || epoch_log.head(room) < to {
            violations.report(index, Rule::InvalidGap, location.subject(from), || {
                format!("from #{from} to #{to} in {room}, and {} had received #{}", owner.client, self.cursor)
            });
        }
        if let Some(view) = view {
            view.gaps.push((from, to));
            self.advance(to, Some(view));
        }
    }

    /// Checks, at quiescence, that the subscription reaches the head, or the removal that ended the membership.
    pub(super) fn check_complete(
        &self,
        epoch_log: &EpochLog,
        location: Location,
        violations: &mut Violations,
    ) {
        let Location { owner, room, index } = location;
        let last = self.end(epoch_log, location).unwrap_or_else(|| epoch_log.head(room));
        if self.cursor < last {
            violations.report(index, Rule::IncompleteView, location.subject(self.cursor.next()), || {
                format!("{} has received {room} up to #{}, and #{last} is stored", owner.client, self.cursor)
            });
        }
    }

    /// Checks, at the reply to a `leave`, that every event up to the removal has arrived.
    pub(super) fn check_ended(
        &self,
        epoch_log: &EpochLog,
        location: Location,
        left: Seq,
        violations: &mut Violations,
    ) {
        let end = self.end(epoch_log, location).unwrap_or(left);
        if self.cursor < end {
            violations.report(location.index, Rule::SilentGap, location.subject(end), || {
                format!(
                    "{} left {} by #{end}, and had received #{}",
                    location.owner.client, location.room, self.cursor
                )
            });
        }
    }

    /// Whether the user was removed from the room after the last `joined`.
    pub(super) fn has_ended(&self, epoch_log: &EpochLog, location: Location) -> bool {
        self.end(epoch_log, location).is_some()
    }

    /// The head in the last `joined`.
    pub(super) fn head(&self) -> Seq {
        self.head
    }

    fn end(&self, epoch_log: &EpochLog, location: Location) -> Option<Seq> {
        epoch_log.removal_after(location.room, location.owner.user, self.head)
    }

    fn advance(&mut self, to: Seq, view: Option<&mut ClientView>) {
        self.cursor = self.cursor.max(to);
        if let Some(view) = view {
            view.cursor = view.cursor.max(to);
        }
    }
}

/// Checks a `not_a_member`: its user must have been removed after the last `joined`.
pub(super) fn check_was_removed(
    epoch_log: &EpochLog,
    view: Option<&ClientView>,
    location: Location,
    violations: &mut Violations,
) {
    let Location { owner, room, index } = location;
    let Some(view) = view.filter(|view| view.store_epoch == owner.store_epoch) else { return };
    if epoch_log.removal_after(room, owner.user, view.head).is_none() {
        violations.report(index, Rule::ClosedToMember, location.subject(view.head), || {
            format!("{} was a member of {room} after #{} and was not removed", owner.user, view.head)
        });
    }
}

/// Checks that a received event equals the stored one.
fn check_event(epoch_log: &EpochLog, location: Location, event: &ObservedEvent, violations: &mut Violations) {
    let Location { room, index, .. } = location;
    let subject = || Subject { key: event.key.clone(), ..location.subject(event.seq) };
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

/// Checks that a page of history is contiguous.
pub(super) fn check_page(
    epoch_log: &EpochLog,
    location: Location,
    events: &[ObservedEvent],
    counts: &mut Counts,
    violations: &mut Violations,
) {
    counts.history_pages += 1;
    for event in events {
        check_event(epoch_log, location, event, violations);
    }
    for pair in events.windows(2) {
        if pair[1].seq != pair[0].seq.next() {
            violations.report(location.index, Rule::SilentGap, location.subject(pair[1].seq), || {
                format!("a page of {} has #{} and then #{}", location.room, pair[0].seq, pair[1].seq)
            });
        }
    }
}
