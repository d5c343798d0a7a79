//! What a client sees of a room: one contiguous run, across its connections.

use protocol::{RoomId, Seq};

use super::truth::{Era, Life};
use super::{Blame, Who};
use crate::verdict::{About, Counts};
use crate::{Rule, Seen};

/// What a client holds of a room, whatever connections it had.
#[derive(Debug, Default)]
pub(super) struct View {
    era: Era,
    /// Its person was a member there.
    head: Seq,
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
}

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
    fn from_now_on(era: Era, head: Seq) -> Self {
        View { era, head, at: head, holes: Vec::new() }
    }

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
    fn from_now_on(head: Seq) -> Self {
        Run { named: head, at: head, head }
    }

    /// What `joined` begins, or goes on with.
    pub(super) fn open(
        life: &Life,
        view: &mut Option<View>,
        standing: Option<Run>,
        place: Place,
        opening: Opening,
        blame: &mut Blame,
    ) -> Run {
        let Opening { room, after, head, was_reset } = opening;
        let Who { era, client, person, .. } = place.who;
        if life.head(room) < head {
            blame.on(place.index, Rule::SeenButNotStored, place.about(head), || {
                format!("the head of {room} is told to be #{head}, and #{} is the last", life.head(room))
            });
        } else if !life.is_member(room, person, head) {
            blame.on(place.index, Rule::NoMember, place.about(head), || {
                format!("{person} is no member of {room} behind #{head}")
            });
        }
        let known = view.as_ref().map(|view| view.era);
        let is_foreign = after.is_some() && known.is_some_and(|known| known != era);
        let is_beyond = after.is_some_and(|after| after > head);
        if was_reset {
            if !is_foreign && !is_beyond && (known.is_some() || after.is_none()) {
                blame.on(place.index, Rule::NeedlessReset, place.about(head), || {
                    format!("in {room}, of which {client} has good numbers")
                });
            }
            *view = Some(View::from_now_on(era, head));
            return Run::from_now_on(head);
        }
        if is_foreign || is_beyond {
            blame.on(place.index, Rule::ResetForgotten, place.about(head), || {
                format!("{client} came to {room} with a number of no use")
            });
        }
        match (after, standing) {
            (Some(after), _) => {
                let view = view.get_or_insert(View::from_now_on(era, after));
                if after > view.at && !is_foreign {
                    blame.on(place.index, Rule::Incoherent, place.about(after), || {
                        format!("{client} names #{after} and has seen #{} last", view.at)
                    });
                }
                (view.era, view.head) = (era, head);
                view.rewind(after);
                Run { named: after, at: after, head }
            }
            // A member already, or removed and let in again before it had heard of that: it goes on where it is. Whoever has heard
            // of the removal begins anew, and what had been missing before was of a membership that has ended.
            (None, Some(run)) if run.end(life, place).is_none_or(|removal| run.at < removal) => {
                if let Some(view) = view {
                    view.head = head;
                }
                Run { head, ..run }
            }
            (None, _) => {
                *view = Some(View::from_now_on(era, head));
                Run::from_now_on(head)
            }
        }
    }

    pub(super) fn hear(
        &mut self,
        life: &Life,
        view: Option<&mut View>,
        place: Place,
        event: &Seen,
        blame: &mut Blame,
    ) {
        let Place { who, room, index } = place;
        let seq = event.seq;
        let about = || About { key: event.key.clone(), ..place.about(seq) };
        if let Some(removal) = self.end(life, place).filter(|removal| *removal < seq) {
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
        compare(life, place, event, blame);
        self.advance(seq, view);
    }

    pub(super) fn gap(
        &mut self,
        life: &Life,
        view: Option<&mut View>,
        place: Place,
        (from, to): (Seq, Seq),
        blame: &mut Blame,
    ) {
        let Place { who, room, index } = place;
        // Nor may it hide the removal itself: whoever was removed cannot read it.
        if let Some(removal) = self.end(life, place).filter(|removal| *removal <= to) {
            blame.on(index, Rule::AfterRemoval, place.about(to), || {
                format!("{} was removed from {room} by #{removal}, and a gap goes to #{to}", who.person)
            });
        }
        if from != self.at.next() || to < from || life.head(room) < to {
            blame.on(index, Rule::WrongGap, place.about(from), || {
                format!("from #{from} to #{to} in {room}, where {} had #{} last", who.client, self.at)
            });
        }
        if let Some(view) = view {
            view.holes.push((from, to));
            self.advance(to, Some(view));
        }
    }

    /// All was at rest: the run must reach to the head, or to the removal that ended the membership.
    pub(super) fn must_be_complete(&self, life: &Life, place: Place, blame: &mut Blame) {
        let Place { who, room, index } = place;
        let last = self.end(life, place).unwrap_or_else(|| life.head(room));
        if self.at < last {
            blame.on(index, Rule::Behind, place.about(self.at.next()), || {
                format!("{} has {room} up to #{}, and #{last} is stored", who.client, self.at)
            });
        }
    }

    /// A `leave` was answered: what there was before comes before the answer.
    pub(super) fn must_have_ended(&self, life: &Life, place: Place, left: Seq, blame: &mut Blame) {
        let end = self.end(life, place).unwrap_or(left);
        if self.at < end {
            blame.on(place.index, Rule::Skipped, place.about(end), || {
                format!("{} left {} by #{end}, and had #{} last", place.who.client, place.room, self.at)
            });
        }
    }

    /// The person was removed from the room.
    pub(super) fn has_ended(&self, life: &Life, place: Place) -> bool {
        self.end(life, place).is_some()
    }

    /// The head that `joined` told.
    pub(super) fn head(&self) -> Seq {
        self.head
    }

    fn end(&self, life: &Life, place: Place) -> Option<Seq> {
        life.removal_after(place.room, place.who.person, self.head)
    }

    fn advance(&mut self, to: Seq, view: Option<&mut View>) {
        self.at = self.at.max(to);
        if let Some(view) = view {
            view.at = view.at.max(to);
        }
    }
}

/// Somebody was told that a room is not open to them: then they have been removed since they were last told that it is.
pub(super) fn must_have_been_removed(life: &Life, view: Option<&View>, place: Place, blame: &mut Blame) {
    let Place { who, room, index } = place;
    let Some(view) = view.filter(|view| view.era == who.era) else { return };
    if life.removal_after(room, who.person, view.head).is_none() {
        blame.on(index, Rule::ClosedToMember, place.about(view.head), || {
            format!("{} was a member of {room} behind #{}, and was not removed", who.person, view.head)
        });
    }
}

/// Whoever sees an event sees it as it is stored.
fn compare(life: &Life, place: Place, event: &Seen, blame: &mut Blame) {
    let Place { room, index, .. } = place;
    let about = || About { key: event.key.clone(), ..place.about(event.seq) };
    match life.event(room, event.seq) {
        None => blame.on(index, Rule::SeenButNotStored, about(), || format!("{room} {event}")),
        Some(stored) if stored != event => {
            blame.on(index, Rule::SeenAltered, about(), || format!("{room} {event}, stored {stored}"));
        }
        Some(_) => {}
    }
}

/// A page of history is one run.
pub(super) fn compare_page(
    life: &Life,
    place: Place,
    events: &[Seen],
    counts: &mut Counts,
    blame: &mut Blame,
) {
    counts.fillings += 1;
    for event in events {
        compare(life, place, event, blame);
    }
    for pair in events.windows(2) {
        if pair[1].seq != pair[0].seq.next() {
            blame.on(place.index, Rule::Skipped, place.about(pair[1].seq), || {
                format!("a page of {} has #{} and then #{}", place.room, pair[0].seq, pair[1].seq)
            });
        }
    }
}
