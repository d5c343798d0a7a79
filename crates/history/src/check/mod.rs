//! The checker. A first pass collects what is stored, a second one verifies every other record in order, and a third one
//! collects the context of a violation. Each pass is linear in the length of the history.

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
use client_view::{ClientView, JoinedFrame, Location, Subscription};
use expected_log::{ExpectedLog, StoreEpoch};

/// Checks the history that `read` returns, in order, on each call. It may be larger than memory.
pub fn check<I: IntoIterator<Item = Record>>(read: impl Fn() -> I) -> Verdict {
    let mut violations = Violations::default();
    let expected = ExpectedLog::gather(read(), &mut violations);
    violations.stored_is_inconsistent = violations.first.is_some();
    let mut checker = Checker { expected, violations, ..Checker::default() };
    for (index, record) in read().into_iter().enumerate() {
        checker.check_record(index, record.kind);
    }
    let (counts, violations) = checker.finish();
    let mut violation = violations.first;
    if let Some(violation) = &mut violation {
        violation.context = context::of(violation, read());
    }
    Verdict { counts, violation, violation_counts: violations.counts }
}

/// Collects violations. The first one in the order of the history is kept.
#[derive(Debug, Default)]
struct Violations {
    first: Option<Violation>,
    /// Whether the stored events contradict each other. That violation is reported, and not those that follow from it.
    stored_is_inconsistent: bool,
    /// The number of violations of each rule.
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

/// The client, the user and the epoch of a connection.
#[derive(Clone, Copy, Debug)]
struct Owner {
    connection: ConnectionId,
    client: ClientId,
    user: UserId,
    store_epoch: StoreEpoch,
}

/// The state of an open connection.
#[derive(Debug)]
struct OpenConnection {
    owner: Owner,
    commands: ConnectionCommands,
    subscriptions: HashMap<RoomId, Subscription>,
    /// The rooms that a `leave` or a `not_a_member` has closed. A later event of such a room comes after a removal.
    left: HashSet<RoomId>,
    /// The rooms with a `reset` whose `joined` has not arrived.
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
    fn check_record(&mut self, index: usize, kind: RecordKind) {
        self.counts.records += 1;
        match kind {
            RecordKind::Opened { connection, client, user, epoch } => {
                self.counts.connections += 1;
                let store_epoch = self.expected.store_epoch(&epoch).unwrap_or_else(|| {
                    let subject = Subject { connection: Some(connection), ..Subject::default() };
                    self.violations.report(index, Rule::InconsistentHistory, subject, || {
                        format!("{epoch} belongs to no restore")
                    });
                    self.expected.last_epoch()
                });
                let owner = Owner { connection, client, user, store_epoch };
                self.connections.insert(connection, OpenConnection::new(owner));
            }
            RecordKind::Stored { .. } | RecordKind::Restored { .. } | RecordKind::Note { .. } => {}
            RecordKind::Closed { connection, .. } => {
                if let Some(open) = self.connections.remove(&connection) {
                    self.end(open);
                }
            }
            kind => self.check_connection_record(index, kind),
        }
    }

    fn check_connection_record(&mut self, index: usize, kind: RecordKind) {
        let Self { expected, attempts, views, counts, violations, .. } = self;
        let Some(open) = kind.connection().and_then(|connection| self.connections.get_mut(&connection))
        else {
            let subject = Subject { connection: kind.connection(), room: kind.room(), ..Subject::default() };
            violations.report(index, Rule::InconsistentHistory, subject, || {
                "a record of a connection that is not open".to_owned()
            });
            return;
        };
        let owner = open.owner;
        let epoch_log = expected.epoch_log(owner.store_epoch);
        let at = |room| Location { owner, room, index };
        match kind {
            RecordKind::Send { id, room, key, body, .. } => {
                counts.operations += 1;
                let attempt = SendAttempt { id, room, key, body };
                attempts.send(epoch_log, owner, &mut open.commands, attempt, index, violations);
            }
            RecordKind::Leave { id, room, .. } => {
                counts.operations += 1;
                open.commands.leave(owner, id, room, index, violations);
            }
            RecordKind::Ok { id, seq, .. } => {
                counts.acknowledged += 1;
                let left = attempts.ok(epoch_log, owner, &mut open.commands, (id, seq), index, violations);
                // A user who rejoined before the reply arrived has received a later head, and stays subscribed.
                let subscription = left.and_then(|room| Some((room, open.subscriptions.get(&room)?)));
                if let Some((room, subscription)) =
                    subscription.filter(|(_, subscription)| subscription.head() < seq)
                {
                    subscription.check_ended(epoch_log, at(room), seq, violations);
                    open.subscriptions.remove(&room);
                    open.left.insert(room);
                }
            }
            RecordKind::Failed { id, .. } => {
                counts.rejected += 1;
                attempts.failed(owner, &mut open.commands, id, true, index, violations);
            }
            RecordKind::Unknown { id, .. } => {
                counts.unknown += 1;
                attempts.failed(owner, &mut open.commands, id, false, index, violations);
            }
            RecordKind::Reset { room, .. } => {
                open.reset.insert(room);
            }
            RecordKind::Joined { room, after, head, .. } => {
                counts.resumed += u64::from(after.is_some());
                attempts.observe(owner.store_epoch, room, head);
                let joined = JoinedFrame { room, after, head, was_reset: open.reset.remove(&room) };
                let mut view = views.remove(&(owner.client, room));
                let subscription = open.subscriptions.remove(&room);
                let subscription =
                    Subscription::open(epoch_log, &mut view, subscription, at(room), joined, violations);
                open.subscriptions.insert(room, subscription);
                open.left.remove(&room);
                views.extend(view.map(|view| ((owner.client, room), view)));
            }
            RecordKind::Received { room, event, .. } => {
                counts.deliveries += 1;
                attempts.observe(owner.store_epoch, room, event.seq);
                let view = views.get_mut(&(owner.client, room));
                match open.subscriptions.get_mut(&room) {
                    Some(subscription) => subscription.receive(epoch_log, view, at(room), &event, violations),
                    None => open.unexpected(at(room), Some(event.seq), violations),
                }
            }
            RecordKind::Gap { room, from, to, .. } => {
                counts.gaps += 1;
                let view = views.get_mut(&(owner.client, room));
                match open.subscriptions.get_mut(&room) {
                    Some(subscription) => subscription.gap(epoch_log, view, at(room), (from, to), violations),
                    None => open.unexpected(at(room), Some(from), violations),
                }
            }
            RecordKind::HistoryPage { room, events, .. } => {
                client_view::check_page(epoch_log, at(room), &events, counts, violations);
                if let (Some(first), Some(last)) = (events.first(), events.last())
                    && let Some(view) = views.get_mut(&(owner.client, room))
                {
                    view.fill(first.seq, last.seq);
                }
            }
            RecordKind::RoomClosed { room, .. } => {
                client_view::check_was_removed(
                    epoch_log,
                    views.get(&(owner.client, room)),
                    at(room),
                    violations,
                );
                if open.subscriptions.remove(&room).is_some() {
                    open.left.insert(room);
                }
            }
            RecordKind::Quiescent { .. } => {
                open.commands.check_all_answered(owner, index, violations);
                for (room, subscription) in &open.subscriptions {
                    subscription.check_complete(epoch_log, at(*room), violations);
                    // A removed user may not read the events that a gap announced.
                    if let Some(view) = views
                        .get(&(owner.client, *room))
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

    fn end(&mut self, open: OpenConnection) {
        let Self { counts, violations, .. } = self;
        counts.unknown += open.commands.end(open.owner, violations);
    }

    fn finish(mut self) -> (Counts, Violations) {
        for (_, open) in std::mem::take(&mut self.connections) {
            self.end(open);
        }
        self.attempts.finish(&self.expected, &mut self.counts, &mut self.violations);
        (self.counts, self.violations)
    }
}

impl OpenConnection {
    fn new(owner: Owner) -> Self {
        let commands = ConnectionCommands::default();
        OpenConnection {
            owner,
            commands,
            subscriptions: HashMap::new(),
            left: HashSet::new(),
            reset: HashSet::new(),
        }
    }

    /// Reports a frame of a room to which this connection is not subscribed.
    fn unexpected(&self, location: Location, seq: Option<protocol::Seq>, violations: &mut Violations) {
        let room = location.room;
        let subject = Subject {
            connection: Some(location.owner.connection),
            room: Some(room),
            seq,
            ..Subject::default()
        };
        if self.left.contains(&room) {
            violations.report(location.index, Rule::ReceivedAfterRemoval, subject, || {
                format!("an event of {room} arrived after the room was closed")
            });
        } else {
            violations.report(location.index, Rule::ReceivedBeforeJoined, subject, || {
                format!("the connection is not subscribed to {room}")
            });
        }
    }
}
