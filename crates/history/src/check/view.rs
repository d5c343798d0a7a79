//! What a client sees of a room: one contiguous run, across its connections.

use std::collections::HashMap;

use proto::{RoomId, Seq, UserId};

use super::truth::{Era, Truth};
use super::{Blame, Who};
use crate::verdict::{About, Counts};
use crate::{Hash, Rule, Seen};

/// What a client holds of a room, whatever connections it had.
#[derive(Debug, Default)]
pub(super) struct View {
    era: Era,
    /// Up to here it has everything but its holes.
    at: Seq,
    /// Gaps that it was told of and has not filled yet, in order.
    holes: Vec<(Seq, Seq)>,
}

/// What one connection was sent of a room since `joined`.
#[derive(Debug)]
pub(super) struct Run {
    /// The cursor that it began with.
    named: Seq,
    /// The last event that was sent, or named as missing.
    at: Seq,
    /// As the last `joined` told it: removals up to here were before it.
    head: Seq,
    /// The person was removed and came back while this connection stood: it may go on from here instead.
    or_from: Option<Seq>,
}

/// What is seen in a life of the store that did not last has no stored event to be held against; so whoever saw it first
/// decides.
#[derive(Debug, Default)]
pub(super) struct Witnesses(HashMap<(Era, RoomId, Seq), Hash>);

/// `joined`, as it came.
pub(super) struct Opening {
    pub(super) room: RoomId,
    pub(super) after: Option<Seq>,
    pub(super) head: Seq,
    pub(super) was_reset: bool,
}

/// Where something was seen.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) who: Who,
    pub(super) room: RoomId,
    pub(super) index: usize,
}

impl Place {
    fn about(self, seq: Seq) -> About {
        About {
            connection: Some(self.who.connection),
            room: Some(self.room),
            seq: Some(seq),
            ..About::default()
        }
    }
}

impl View {
    /// The client's cursor goes back (or to where it is): what it was told of beyond will be told again.
    fn rewind(&mut self, to: Seq) {
        self.at = to;
        self.holes.retain(|(from, _)| *from <= to);
        if let Some((_, last)) = self.holes.last_mut() {
            *last = to.min(*last);
        }
    }

    /// A page fills the holes that it reaches into; each is filled from its beginning.
    pub(super) fn fill(&mut self, first: Seq, last: Seq) {
        for (from, _) in &mut self.holes {
            if first <= *from && *from <= last {
                *from = last.next();
            }
        }
        self.holes.retain(|(from, to)| from <= to);
    }

    pub(super) fn must_be_whole(&self, place: Place, blame: &mut Blame) {
        if let Some((from, to)) = self.holes.first() {
            blame.on(place.index, Rule::GapUnfilled, place.about(*from), || {
                format!("{} lacks {} #{from} to #{to}", place.who.client, place.room)
            });
        }
    }
}

impl Run {
    /// What `joined` begins, or goes on with.
    pub(super) fn open(
        truth: &Truth,
        view: &mut Option<View>,
        standing: Option<Run>,
        place: Place,
        opening: Opening,
        blame: &mut Blame,
    ) -> Run {
        let Opening { room, after, head, was_reset } = opening;
        let era = place.who.era;
        if truth.outlives(era, room, head) && truth.head(room) < head {
            blame.on(place.index, Rule::SeenButNotStored, place.about(head), || {
                format!("the head of {room} is told to be #{head}, and #{} is the last", truth.head(room))
            });
        }
        let known = view.as_ref().map(|view| view.era);
        let is_foreign = after.is_some() && known.is_some_and(|known| known != era);
        let is_beyond = after.is_some_and(|after| after > head);
        if was_reset {
            if !is_foreign && !is_beyond && (known.is_some() || after.is_none()) {
                blame.on(place.index, Rule::NeedlessReset, place.about(head), || {
                    format!("in {room}, of which {} has good numbers", place.who.client)
                });
            }
            *view = Some(View { era, at: head, holes: Vec::new() });
            return Run { named: head, at: head, head, or_from: None };
        }
        if is_foreign || is_beyond {
            blame.on(place.index, Rule::ResetForgotten, place.about(head), || {
                format!("{} came to {room} with a number of no use", place.who.client)
            });
        }
        match (after, standing) {
            (Some(after), _) => {
                let view = view.get_or_insert(View { era, at: after, holes: Vec::new() });
                if after > view.at && !is_foreign {
                    blame.on(place.index, Rule::Incoherent, place.about(after), || {
                        format!("{} names #{after} and has seen #{} last", place.who.client, view.at)
                    });
                }
                view.era = era;
                view.rewind(after);
                Run { named: after, at: after, head, or_from: None }
            }
            (None, Some(run)) => {
                let last = Seq(run.at.0.saturating_sub(1));
                let removal = truth.removal_after(room, place.who.person, last);
                // What a life of the store that did not last knew of removals is gone.
                let removed = removal.is_some_and(|removal| removal <= head);
                let or_from = (removed || !truth.outlives(era, room, head)).then_some(head);
                if let (Some(head), Some(view)) = (or_from, view) {
                    // It may name this as its cursor when it comes back.
                    view.at = view.at.max(head);
                    // What it had missed before was of a membership that has ended.
                    view.holes.clear();
                }
                Run { head, or_from, ..run }
            }
            (None, None) => {
                *view = Some(View { era, at: head, holes: Vec::new() });
                Run { named: head, at: head, head, or_from: None }
            }
        }
    }

    pub(super) fn hear(
        &mut self,
        truth: &Truth,
        witnesses: &mut Witnesses,
        view: Option<&mut View>,
        place: Place,
        event: &Seen,
        blame: &mut Blame,
    ) {
        let Place { who, room, index } = place;
        let seq = event.seq;
        let about = || About { key: event.key.clone(), ..place.about(seq) };
        self.maybe_start_over(seq);
        if let Some(removal) = self.end(truth, who, room).filter(|removal| *removal < seq) {
            blame.on(index, Rule::AfterRemoval, about(), || {
                format!("{} was removed from {room} by #{removal} and heard #{seq}", who.person)
            });
        }
        if seq <= self.named {
            blame.on(index, Rule::BelowCursor, about(), || {
                format!("{room} #{seq} to {}, which came with #{}", who.client, self.named)
            });
        } else if seq <= self.at {
            blame.on(index, Rule::Doubled, about(), || format!("{room} #{seq} to {}", who.client));
        } else if seq > self.at.next() {
            blame.on(index, Rule::Skipped, about(), || {
                format!("{} heard {room} #{} and then #{seq}", who.client, self.at)
            });
        }
        witnesses.compare(truth, place, event, blame);
        self.advance(seq, view);
    }

    pub(super) fn gap(
        &mut self,
        truth: &Truth,
        view: Option<&mut View>,
        place: Place,
        (from, to): (Seq, Seq),
        blame: &mut Blame,
    ) {
        let Place { who, room, index } = place;
        self.maybe_start_over(from);
        let is_beyond = truth.outlives(who.era, room, to) && truth.head(room) < to;
        if from != self.at.next() || to < from || is_beyond {
            blame.on(index, Rule::WrongGap, place.about(from), || {
                format!("from #{from} to #{to} in {room}, where {} had #{} last", who.client, self.at)
            });
        }
        if let Some(view) = view {
            view.holes.push((from, to));
            self.advance(to, Some(view));
        }
    }

    /// All was at rest: the run must reach to the head, or to the end of the membership.
    pub(super) fn must_be_complete(&self, truth: &Truth, place: Place, blame: &mut Blame) {
        let Place { who, room, index } = place;
        let last = match self.end(truth, who, room) {
            // Whether the event of one's own removal is sent is not promised.
            Some(removal) => Seq(removal.0 - 1),
            None => truth.head(room),
        };
        // Came back, and nothing was said since.
        if self.at.max(self.or_from.unwrap_or(self.at)) < last {
            blame.on(index, Rule::Behind, place.about(self.at.next()), || {
                format!("{} has {room} up to #{}, and #{last} is stored", who.client, self.at)
            });
        }
    }

    /// The person was removed from the room.
    pub(super) fn has_ended(&self, truth: &Truth, place: Place) -> bool {
        self.end(truth, place.who, place.room).is_some()
    }

    /// The head that `joined` told.
    pub(super) fn head(&self) -> Seq {
        self.head
    }

    fn end(&self, truth: &Truth, who: Who, room: RoomId) -> Option<Seq> {
        let person: UserId = who.person;
        truth.removal_after(room, person, self.head).filter(|seq| truth.outlives(who.era, room, *seq))
    }

    fn maybe_start_over(&mut self, seq: Seq) {
        if let Some(from) = self.or_from.take().filter(|from| seq == from.next()) {
            self.at = from;
        }
    }

    fn advance(&mut self, to: Seq, view: Option<&mut View>) {
        self.at = self.at.max(to);
        if let Some(view) = view {
            view.at = view.at.max(to);
        }
    }
}

impl Witnesses {
    /// Whoever sees an event sees it as it is stored.
    pub(super) fn compare(&mut self, truth: &Truth, place: Place, event: &Seen, blame: &mut Blame) {
        let Place { who, room, index } = place;
        let seq = event.seq;
        let about = || About { key: event.key.clone(), ..place.about(seq) };
        if !truth.outlives(who.era, room, seq) {
            let first = self.0.entry((who.era, room, seq)).or_insert(event.hash);
            if *first != event.hash {
                blame.on(index, Rule::SeenAltered, about(), || {
                    format!("{room} {event}, and somebody else saw {first}")
                });
            }
            return;
        }
        match truth.event(room, seq) {
            None => blame.on(index, Rule::SeenButNotStored, about(), || format!("{room} {event}")),
            Some(stored) if stored != event => {
                blame.on(index, Rule::SeenAltered, about(), || format!("{room} {event}, stored {stored}"));
            }
            Some(_) => {}
        }
    }

    /// A page of history is one run.
    pub(super) fn compare_page(
        &mut self,
        truth: &Truth,
        place: Place,
        events: &[Seen],
        counts: &mut Counts,
        blame: &mut Blame,
    ) {
        counts.fillings += 1;
        for event in events {
            self.compare(truth, place, event, blame);
        }
        for pair in events.windows(2) {
            if pair[1].seq != pair[0].seq.next() {
                blame.on(place.index, Rule::Skipped, place.about(pair[1].seq), || {
                    format!("a page of {} has #{} and then #{}", place.room, pair[0].seq, pair[1].seq)
                });
            }
        }
    }
}
