//! The checker: one look for what is stored, one at everything else in its order, and a third, if a promise was broken, for
//! what belongs to it. Each is linear in the history's length.

mod attempts;
mod client_view;
mod context;
mod expected_log;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet};

use protocol::{RoomId, UserId};

use crate::verdict::{Counts, Subject};
use crate::{ClientId, ConnectionId, Record, RecordKind, Rule, Verdict, Violation};
use attempts::{Attempts, ConnectionCommands, SendAttempt};
use client_view::{ClientView, JoinedFrame, Place, Subscription};
use expected_log::{ExpectedLog, StoreEpoch};

/// Checks a history that `read` gives, in its order, each time it is called. So a history may be longer than fits into memory.
pub fn check<I: IntoIterator<Item = Record>>(read: impl Fn() -> I) -> Verdict {
    let mut violations = Violations::default();
    let expected = ExpectedLog::gather(read(), &mut violations);
    violations.stored_is_inconsistent = violations.first.is_some();
    let mut checker = Checker { expected, violations, ..Checker::default() };
    for (index, record) in read().into_iter().enumerate() {
        checker.take(index, record.kind);
    }
    let (counts, violations) = checker.finish();
    let mut violation = violations.first;
    if let Some(violation) = &mut violation {
        violation.context = context::of(violation, read());
    }
    Verdict { counts, violation, violation_counts: violations.counts }
}

/// The first violation by its place in the history.
#[derive(Debug, Default)]
struct Violations {
    first: Option<Violation>,
    /// What is stored contradicts itself: that is told, and not what follows from it.
    stored_is_inconsistent: bool,
    /// How often each rule was broken. One defect breaks several, and one break makes others follow.
    counts: BTreeMap<Rule, u64>,
}

impl Violations {
    fn report(&mut self, index: usize, rule: Rule, subject: Subject, detail: impl FnOnce() -> String) {
        *self.counts.entry(rule).or_default() += 1;
        if !self.stored_is_inconsistent && self.first.as_ref().is_none_or(|first| index < first.index) {
            self.first = Some(Violation { rule, detail: detail(), index, context: Vec::new(), subject });
        }
    }
}

/// Whose a connection is.
#[derive(Clone, Copy, Debug)]
struct Owner {
    connection: ConnectionId,
    client: ClientId,
    user: UserId,
    store_epoch: StoreEpoch,
}

/// A connection that stands.
#[derive(Debug)]
struct OpenConnection {
    user: Owner,
    commands: ConnectionCommands,
    subscriptions: HashMap<RoomId, Subscription>,
    /// Rooms that were closed, by a `leave` or by a word that says so: what comes of them now comes after a removal.
    left: HashSet<RoomId>,
    /// Rooms whose `reset` came, and whose `joined` must follow.
    reset: HashSet<RoomId>,
}

#[derive(Debug, Default)]
struct Checker {
    expected: ExpectedLog,
    attempts: Attempts,
    connections: HashMap<ConnectionId, OpenConnection>,
    views: HashMap<(ClientId, RoomId), ClientView>,
    counts: Counts,
    violations: Violations,
}

impl Checker {
    fn take(&mut self, index: usize, kind: RecordKind) {
        self.counts.records += 1;
        match kind {
            RecordKind::Opened { connection, client, user, epoch } => {
                self.counts.connections += 1;
                let store_epoch = self.expected.store_epoch(&epoch).unwrap_or_else(|| {
                    let subject = Subject { connection: Some(connection), ..Subject::default() };
                    self.violations.report(index, Rule::InconsistentHistory, subject, || {
                        format!("{epoch} is no restore's")
                    });
                    self.expected.last_epoch()
                });
                let user = Owner { connection, client, user, store_epoch };
                self.connections.insert(connection, OpenConnection::new(user));
            }
            RecordKind::Stored { .. } | RecordKind::Restored { .. } | RecordKind::Note { .. } => {}
            RecordKind::Closed { connection, .. } => {
                if let Some(standing) = self.connections.remove(&connection) {
                    self.end(standing);
                }
            }
            kind => self.take_of_connection(index, kind),
        }
    }

    fn take_of_connection(&mut self, index: usize, kind: RecordKind) {
        let Self { expected, attempts, views, counts, violations, .. } = self;
        let Some(standing) = kind.connection().and_then(|connection| self.connections.get_mut(&connection))
        else {
            let subject = Subject { connection: kind.connection(), room: kind.room(), ..Subject::default() };
            violations.report(index, Rule::InconsistentHistory, subject, || {
                "on a connection that is not open".to_owned()
            });
            return;
        };
        let user = standing.user;
        let epoch_log = expected.epoch_log(user.store_epoch);
        let at = |room| Place { user, room, index };
        match kind {
            RecordKind::Send { id, room, key, body, .. } => {
                counts.operations += 1;
                let attempt = SendAttempt { id, room, key, body };
                attempts.send(epoch_log, user, &mut standing.commands, attempt, index, violations);
            }
            RecordKind::Leave { id, room, .. } => {
                counts.operations += 1;
                standing.commands.leave(user, id, room, index, violations);
            }
            RecordKind::Ok { id, seq, .. } => {
                counts.acknowledged += 1;
                let left = attempts.ok(epoch_log, user, &mut standing.commands, (id, seq), index, violations);
                // One who joined again before the answer came has been told of a later head, and stays.
                let subscription = left.and_then(|room| Some((room, standing.subscriptions.get(&room)?)));
                if let Some((room, subscription)) =
                    subscription.filter(|(_, subscription)| subscription.head() < seq)
                {
                    subscription.check_ended(epoch_log, at(room), seq, violations);
                    standing.subscriptions.remove(&room);
                    standing.left.insert(room);
                }
            }
            RecordKind::Failed { id, .. } => {
                counts.refused += 1;
                attempts.failed(user, &mut standing.commands, id, true, index, violations);
            }
            RecordKind::Unknown { id, .. } => {
                counts.unknown += 1;
                attempts.failed(user, &mut standing.commands, id, false, index, violations);
            }
            RecordKind::Reset { room, .. } => {
                standing.reset.insert(room);
            }
            RecordKind::Joined { room, after, head, .. } => {
                counts.resumed += u64::from(after.is_some());
                attempts.observe(user.store_epoch, room, head);
                let joined = JoinedFrame { room, after, head, was_reset: standing.reset.remove(&room) };
                let mut view = views.remove(&(user.client, room));
                let subscription = standing.subscriptions.remove(&room);
                let subscription =
                    Subscription::open(epoch_log, &mut view, subscription, at(room), joined, violations);
                standing.subscriptions.insert(room, subscription);
                standing.left.remove(&room);
                views.extend(view.map(|view| ((user.client, room), view)));
            }
            RecordKind::Received { room, event, .. } => {
                counts.deliveries += 1;
                attempts.observe(user.store_epoch, room, event.seq);
                let view = views.get_mut(&(user.client, room));
                match standing.subscriptions.get_mut(&room) {
                    Some(subscription) => subscription.hear(epoch_log, view, at(room), &event, violations),
                    None => standing.unexpected(at(room), Some(event.seq), violations),
                }
            }
            RecordKind::Gap { room, from, to, .. } => {
                counts.gaps += 1;
                let view = views.get_mut(&(user.client, room));
                match standing.subscriptions.get_mut(&room) {
                    Some(subscription) => subscription.gap(epoch_log, view, at(room), (from, to), violations),
                    None => standing.unexpected(at(room), Some(from), violations),
                }
            }
            RecordKind::HistoryPage { room, events, .. } => {
                client_view::check_page(epoch_log, at(room), &events, counts, violations);
                if let (Some(first), Some(last)) = (events.first(), events.last())
                    && let Some(view) = views.get_mut(&(user.client, room))
                {
                    view.fill(first.seq, last.seq);
                }
            }
            RecordKind::RoomClosed { room, .. } => {
                client_view::check_was_removed(
                    epoch_log,
                    views.get(&(user.client, room)),
                    at(room),
                    violations,
                );
                if standing.subscriptions.remove(&room).is_some() {
                    standing.left.insert(room);
                }
            }
            RecordKind::Quiescent { .. } => {
                standing.commands.check_all_answered(user, index, violations);
                for (room, subscription) in &standing.subscriptions {
                    subscription.check_complete(epoch_log, at(*room), violations);
                    // Whoever was removed may not read what a gap had named.
                    if let Some(view) = views
                        .get(&(user.client, *room))
                        .filter(|_| !subscription.has_ended(epoch_log, at(*room)))
                    {
                        view.check_gaps_filled(at(*room), violations);
                    }
                    counts.complete_views += 1;
                }
            }
            RecordKind::Opened { .. }
            | RecordKind::Closed { .. }
            | RecordKind::Restored { .. }
            | RecordKind::Stored { .. }
            | RecordKind::Note { .. } => {}
        }
    }

    fn end(&mut self, standing: OpenConnection) {
        let Self { counts, violations, .. } = self;
        counts.unknown += standing.commands.end(standing.user, violations);
    }

    fn finish(mut self) -> (Counts, Violations) {
        for (_, standing) in std::mem::take(&mut self.connections) {
            self.end(standing);
        }
        self.attempts.finish(&self.expected, &mut self.counts, &mut self.violations);
        (self.counts, self.violations)
    }
}

impl OpenConnection {
    fn new(user: Owner) -> Self {
        let commands = ConnectionCommands::default();
        OpenConnection {
            user,
            commands,
            subscriptions: HashMap::new(),
            left: HashSet::new(),
            reset: HashSet::new(),
        }
    }

    /// Something of a room that is not open on this connection.
    fn unexpected(&self, place: Place, seq: Option<protocol::Seq>, violations: &mut Violations) {
        let room = place.room;
        let subject =
            Subject { connection: Some(place.user.connection), room: Some(room), seq, ..Subject::default() };
        if self.left.contains(&room) {
            violations.report(place.index, Rule::ReceivedAfterRemoval, subject, || {
                format!("{room} was closed here, and more came of it")
            });
        } else {
            violations.report(place.index, Rule::ReceivedBeforeJoined, subject, || {
                format!("{room} is not open here")
            });
        }
    }
}
