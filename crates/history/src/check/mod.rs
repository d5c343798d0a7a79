//! The checker: one look for what is stored, one at everything else in its order, and a third, if a promise was broken, for
//! what belongs to it. Each is linear in the history's length.

mod sent;
mod surroundings;
mod truth;
mod view;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet};

use protocol::{RoomId, UserId};

use crate::verdict::{About, Counts};
use crate::{Client, Connection, Record, Rule, Verdict, Violation, What};
use sent::{Asked, Attempts, Sending};
use truth::{Era, Truth};
use view::{Opening, Place, Run, View};

/// Checks a history that `read` gives, in its order, each time it is called. So a history may be longer than fits into memory.
pub fn check<I: IntoIterator<Item = Record>>(read: impl Fn() -> I) -> Verdict {
    let mut blame = Blame::default();
    let truth = Truth::gather(read(), &mut blame);
    blame.is_settled = blame.first.is_some();
    let mut checker = Checker { truth, blame, ..Checker::default() };
    for (index, record) in read().into_iter().enumerate() {
        checker.take(index, record.what);
    }
    let (counts, blame) = checker.finish();
    let mut violation = blame.first;
    if let Some(violation) = &mut violation {
        violation.surroundings = surroundings::of(violation, read());
    }
    Verdict { counts, violation, times: blame.times }
}

/// The first violation by its place in the history.
#[derive(Debug, Default)]
struct Blame {
    first: Option<Violation>,
    /// What is stored contradicts itself: that is told, and not what follows from it.
    is_settled: bool,
    /// How often each rule was broken. One defect breaks several, and one break makes others follow.
    times: BTreeMap<Rule, u64>,
}

impl Blame {
    fn on(&mut self, index: usize, rule: Rule, about: About, what: impl FnOnce() -> String) {
        *self.times.entry(rule).or_default() += 1;
        if !self.is_settled && self.first.as_ref().is_none_or(|first| index < first.index) {
            self.first = Some(Violation { rule, what: what(), index, surroundings: Vec::new(), about });
        }
    }
}

/// Whose a connection is.
#[derive(Clone, Copy, Debug)]
struct Who {
    connection: Connection,
    client: Client,
    person: UserId,
    era: Era,
}

/// A connection that stands.
#[derive(Debug)]
struct Standing {
    who: Who,
    asked: Asked,
    runs: HashMap<RoomId, Run>,
    /// Rooms that were closed, by a `leave` or by a word that says so: what comes of them now comes after a removal.
    left: HashSet<RoomId>,
    /// Rooms whose `reset` came, and whose `joined` must follow.
    reset: HashSet<RoomId>,
}

#[derive(Debug, Default)]
struct Checker {
    truth: Truth,
    attempts: Attempts,
    connections: HashMap<Connection, Standing>,
    views: HashMap<(Client, RoomId), View>,
    counts: Counts,
    blame: Blame,
}

impl Checker {
    fn take(&mut self, index: usize, what: What) {
        self.counts.records += 1;
        match what {
            What::Opened { connection, client, person, epoch } => {
                self.counts.connections += 1;
                let era = self.truth.era(&epoch).unwrap_or_else(|| {
                    let about = About { connection: Some(connection), ..About::default() };
                    self.blame.on(index, Rule::Incoherent, about, || format!("{epoch} is no restore's"));
                    self.truth.last_era()
                });
                let who = Who { connection, client, person, era };
                self.connections.insert(connection, Standing::new(who));
            }
            What::Stored { .. } | What::Restored { .. } | What::Note { .. } => {}
            What::Closed { connection, .. } => {
                if let Some(standing) = self.connections.remove(&connection) {
                    self.end(standing);
                }
            }
            what => self.take_of_connection(index, what),
        }
    }

    fn take_of_connection(&mut self, index: usize, what: What) {
        let Self { truth, attempts, views, counts, blame, .. } = self;
        let Some(standing) = what.connection().and_then(|connection| self.connections.get_mut(&connection))
        else {
            let about = About { connection: what.connection(), room: what.room(), ..About::default() };
            blame.on(index, Rule::Incoherent, about, || "on a connection that is not open".to_owned());
            return;
        };
        let who = standing.who;
        let life = truth.life(who.era);
        let at = |room| Place { who, room, index };
        match what {
            What::Send { id, room, key, body, .. } => {
                counts.operations += 1;
                let sending = Sending { id, room, key, body };
                attempts.send(life, who, &mut standing.asked, sending, index, blame);
            }
            What::Leave { id, room, .. } => {
                counts.operations += 1;
                standing.asked.leave(who, id, room, index, blame);
            }
            What::Ok { id, seq, .. } => {
                counts.acknowledged += 1;
                let left = attempts.ok(life, who, &mut standing.asked, (id, seq), index, blame);
                // One who joined again before the answer came has been told of a later head, and stays.
                let run = left.and_then(|room| Some((room, standing.runs.get(&room)?)));
                if let Some((room, run)) = run.filter(|(_, run)| run.head() < seq) {
                    run.must_have_ended(life, at(room), seq, blame);
                    standing.runs.remove(&room);
                    standing.left.insert(room);
                }
            }
            What::Failed { id, .. } => {
                counts.refused += 1;
                attempts.not_done(who, &mut standing.asked, id, true, index, blame);
            }
            What::Unknown { id, .. } => {
                counts.unknown += 1;
                attempts.not_done(who, &mut standing.asked, id, false, index, blame);
            }
            What::Reset { room, .. } => {
                standing.reset.insert(room);
            }
            What::Joined { room, after, head, .. } => {
                counts.resumed += u64::from(after.is_some());
                attempts.learn(who.era, room, head);
                let opening = Opening { room, after, head, was_reset: standing.reset.remove(&room) };
                let mut view = views.remove(&(who.client, room));
                let run = standing.runs.remove(&room);
                let run = Run::open(life, &mut view, run, at(room), opening, blame);
                standing.runs.insert(room, run);
                standing.left.remove(&room);
                views.extend(view.map(|view| ((who.client, room), view)));
            }
            What::Heard { room, event, .. } => {
                counts.deliveries += 1;
                attempts.learn(who.era, room, event.seq);
                let view = views.get_mut(&(who.client, room));
                match standing.runs.get_mut(&room) {
                    Some(run) => run.hear(life, view, at(room), &event, blame),
                    None => standing.unexpected(at(room), Some(event.seq), blame),
                }
            }
            What::Gap { room, from, to, .. } => {
                counts.gaps += 1;
                let view = views.get_mut(&(who.client, room));
                match standing.runs.get_mut(&room) {
                    Some(run) => run.gap(life, view, at(room), (from, to), blame),
                    None => standing.unexpected(at(room), Some(from), blame),
                }
            }
            What::Filled { room, events, .. } => {
                view::compare_page(life, at(room), &events, counts, blame);
                if let (Some(first), Some(last)) = (events.first(), events.last())
                    && let Some(view) = views.get_mut(&(who.client, room))
                {
                    view.fill(first.seq, last.seq);
                }
            }
            What::Gone { room, .. } => {
                view::must_have_been_removed(life, views.get(&(who.client, room)), at(room), blame);
                if standing.runs.remove(&room).is_some() {
                    standing.left.insert(room);
                }
            }
            What::AtRest { .. } => {
                standing.asked.must_be_answered(who, index, blame);
                for (room, run) in &standing.runs {
                    run.must_be_complete(life, at(*room), blame);
                    // Whoever was removed may not read what a gap had named.
                    if let Some(view) =
                        views.get(&(who.client, *room)).filter(|_| !run.has_ended(life, at(*room)))
                    {
                        view.must_be_whole(at(*room), blame);
                    }
                    counts.complete_views += 1;
                }
            }
            What::Opened { .. }
            | What::Closed { .. }
            | What::Restored { .. }
            | What::Stored { .. }
            | What::Note { .. } => {}
        }
    }

    fn end(&mut self, standing: Standing) {
        let Self { counts, blame, .. } = self;
        counts.unknown += standing.asked.end(standing.who, blame);
    }

    fn finish(mut self) -> (Counts, Blame) {
        for (_, standing) in std::mem::take(&mut self.connections) {
            self.end(standing);
        }
        self.attempts.finish(&self.truth, &mut self.counts, &mut self.blame);
        (self.counts, self.blame)
    }
}

impl Standing {
    fn new(who: Who) -> Self {
        let asked = Asked::default();
        Standing { who, asked, runs: HashMap::new(), left: HashSet::new(), reset: HashSet::new() }
    }

    /// Something of a room that is not open on this connection.
    fn unexpected(&self, place: Place, seq: Option<protocol::Seq>, blame: &mut Blame) {
        let room = place.room;
        let about =
            About { connection: Some(place.who.connection), room: Some(room), seq, ..About::default() };
        if self.left.contains(&room) {
            blame.on(place.index, Rule::AfterRemoval, about, || {
                format!("{room} was closed here, and more came of it")
            });
        } else {
            blame.on(place.index, Rule::BeforeJoined, about, || format!("{room} is not open here"));
        }
    }
}
