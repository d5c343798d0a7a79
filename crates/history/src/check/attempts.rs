//! What was sent, and how it was answered: acknowledged ⊆ stored ⊆ attempted, and in which order.

use std::collections::HashMap;

use protocol::{ClientMessageId, CommandId, RoomId, Seq, UserId};

use super::expected_log::{EpochLog, ExpectedLog, StoreEpoch, Stored};
use super::{Owner, Violations};
use crate::verdict::{Counts, Subject};
use crate::{Hash, ObservedKind, Rule};

/// All messages that anybody tried to send, in each life of the store.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    messages: HashMap<(StoreEpoch, UserId, ClientMessageId), Message>,
    /// Of each room the highest number that was acknowledged so far.
    acknowledged: HashMap<(StoreEpoch, RoomId), Seq>,
    /// Of each room the highest number that anybody had heard of so far.
    known: HashMap<(StoreEpoch, RoomId), Seq>,
}

/// One sender's key.
#[derive(Debug)]
struct Message {
    /// Where and what; more than one only if a client broke the rule that a key is one message.
    as_sent: Vec<(RoomId, Hash)>,
    first: usize,
    /// Attempts that were not refused for good.
    undecided: u32,
    acknowledged: bool,
    /// It was stored by an attempt of which the client was not told.
    stored_without_reply: bool,
}

/// What a connection asked and was not answered yet, and the order in which it asked.
#[derive(Debug, Default)]
pub(super) struct ConnectionCommands {
    pending: HashMap<CommandId, PendingCommand>,
    sent: HashMap<RoomId, Vec<Sent>>,
}

#[derive(Debug)]
enum PendingCommand {
    /// And its place among what was sent to the room.
    Send {
        room: RoomId,
        key: ClientMessageId,
        place: usize,
    },
    Leave {
        room: RoomId,
    },
}

#[derive(Debug)]
struct Sent {
    index: usize,
    id: CommandId,
    /// Never sent before, on any connection.
    is_first: bool,
    stored: Option<Seq>,
    /// Answered with `ok` on this connection.
    acknowledged: bool,
}

/// A `send` as it goes out.
pub(super) struct SendAttempt {
    pub(super) id: CommandId,
    pub(super) room: RoomId,
    pub(super) key: ClientMessageId,
    pub(super) body: Hash,
}

impl Attempts {
    pub(super) fn send(
        &mut self,
        epoch_log: &EpochLog,
        user: Owner,
        commands: &mut ConnectionCommands,
        attempt: SendAttempt,
        index: usize,
        violations: &mut Violations,
    ) {
        let SendAttempt { id, room, key, body } = attempt;
        let message = self.messages.entry((user.store_epoch, user.user, key.clone()));
        let message = message.or_insert_with(|| Message {
            as_sent: Vec::new(),
            first: index,
            undecided: 0,
            acknowledged: false,
            stored_without_reply: false,
        });
        message.undecided += 1;
        if !message.as_sent.contains(&(room, body)) {
            message.as_sent.push((room, body));
        }
        let stored =
            epoch_log.find_by_key(user.user, &key).filter(|place| place.0 == room).map(|place| place.1);
        // What a restore kept was sent in a life before.
        let is_first = message.first == index && !stored.is_some_and(|seq| epoch_log.is_inherited(room, seq));
        let subject = Subject {
            connection: Some(user.connection),
            id: Some(id),
            room: Some(room),
            seq: stored,
            key: Some(key.clone()),
        };
        let floor = self.acknowledged.get(&(user.store_epoch, room)).copied().unwrap_or_default();
        if is_first && stored.is_some_and(|stored| stored <= floor) {
            violations.report(index, Rule::RealTimeOrder, subject.clone(), || {
                format!("{room} #{floor} was acknowledged before key {key} was first sent")
            });
        }
        let known = self.known.get(&(user.store_epoch, room)).copied().unwrap_or_default();
        message.stored_without_reply |=
            !is_first && !message.acknowledged && stored.is_some_and(|it| it <= known);
        let sent = commands.sent.entry(room).or_default();
        let place = sent.len();
        sent.push(Sent { index, id, is_first, stored, acknowledged: false });
        if commands.pending.insert(id, PendingCommand::Send { room, key, place }).is_some() {
            violations.report(index, Rule::InconsistentHistory, subject, || {
                format!("a second command ({id}) while one waits")
            });
        }
    }

    /// Returns the room, if it was a `leave`.
    pub(super) fn ok(
        &mut self,
        epoch_log: &EpochLog,
        user: Owner,
        commands: &mut ConnectionCommands,
        (id, seq): (CommandId, Seq),
        index: usize,
        violations: &mut Violations,
    ) -> Option<RoomId> {
        let subject =
            Subject { connection: Some(user.connection), id: Some(id), seq: Some(seq), ..Subject::default() };
        let (room, key, place) = match commands.pending.remove(&id) {
            Some(PendingCommand::Send { room, key, place }) => (room, key, place),
            Some(PendingCommand::Leave { room }) => {
                let is_removal = |removal: Seq| removal == seq;
                let before = Seq(seq.0.saturating_sub(1));
                if !epoch_log.removal_after(room, user.user, before).is_some_and(is_removal) {
                    let subject = Subject { room: Some(room), ..subject };
                    violations.report(index, Rule::AcknowledgedButLost, subject, || {
                        format!("that {} left {room} was acknowledged as #{seq}, which it is not", user.user)
                    });
                }
                return Some(room);
            }
            None => {
                violations.report(index, Rule::UnexpectedReply, subject, || {
                    format!("ok to ({id}), which awaits no answer")
                });
                return None;
            }
        };
        if let Some(message) = self.messages.get_mut(&(user.store_epoch, user.user, key.clone())) {
            message.acknowledged = true;
        }
        let subject = Subject { room: Some(room), key: Some(key.clone()), ..subject };
        match epoch_log.find_by_key(user.user, &key) {
            Some(stored) if stored == (room, seq) => {
                let highest = self.acknowledged.entry((user.store_epoch, room)).or_default();
                *highest = seq.max(*highest);
                self.observe(user.store_epoch, room, seq);
                if let Some(sent) = commands.sent.get_mut(&room).and_then(|sent| sent.get_mut(place)) {
                    sent.acknowledged = true;
                }
            }
            Some((room, at)) => violations.report(index, Rule::WrongSeq, subject, || {
                format!("key {key} of {} was acknowledged as #{seq} and is stored as {room} #{at}", user.user)
            }),
            None => violations.report(index, Rule::AcknowledgedButLost, subject, || {
                format!("key {key} of {} was acknowledged as {room} #{seq} and is stored nowhere", user.user)
            }),
        }
        None
    }

    /// An answer that is no `ok`; `for_good`: it was certainly not done.
    pub(super) fn failed(
        &mut self,
        user: Owner,
        commands: &mut ConnectionCommands,
        id: CommandId,
        for_good: bool,
        index: usize,
        violations: &mut Violations,
    ) {
        match commands.pending.remove(&id) {
            Some(PendingCommand::Send { key, .. }) if for_good => {
                if let Some(message) = self.messages.get_mut(&(user.store_epoch, user.user, key)) {
                    message.undecided -= 1;
                }
            }
            Some(_) => {}
            None => {
                let subject =
                    Subject { connection: Some(user.connection), id: Some(id), ..Subject::default() };
                violations.report(index, Rule::UnexpectedReply, subject, || {
                    format!("an error for ({id}), which awaits no answer")
                });
            }
        }
    }

    /// Somebody was told of this number.
    pub(super) fn observe(&mut self, store_epoch: StoreEpoch, room: RoomId, seq: Seq) {
        let known = self.known.entry((store_epoch, room)).or_default();
        *known = seq.max(*known);
    }

    /// Every stored message was sent, thus, and not refused each time.
    pub(super) fn finish(&self, expected: &ExpectedLog, counts: &mut Counts, violations: &mut Violations) {
        for (store_epoch, epoch_log) in expected.epoch_logs() {
            for (room, log) in epoch_log.rooms() {
                if store_epoch == expected.last_epoch() {
                    counts.rooms += 1;
                    counts.stored += log.len() as u64;
                }
                let is_own = |it: &&Stored| !epoch_log.is_inherited(room, it.event.seq);
                let messages = log.iter().filter(|stored| stored.event.kind == ObservedKind::Message);
                for stored in messages.filter(is_own) {
                    self.check_was_sent(store_epoch, room, stored, counts, violations);
                }
            }
        }
    }

    fn check_was_sent(
        &self,
        store_epoch: StoreEpoch,
        room: RoomId,
        stored: &Stored,
        counts: &mut Counts,
        violations: &mut Violations,
    ) {
        let event = &stored.event;
        let subject =
            Subject { room: Some(room), seq: Some(event.seq), key: event.key.clone(), ..Subject::default() };
        let key = event.key.clone().map(|key| (store_epoch, event.user, key));
        let Some(message) = key.and_then(|key| self.messages.get(&key)) else {
            return violations.report(stored.index, Rule::NeverSent, subject, || format!("{room} {event}"));
        };
        if !message.as_sent.iter().any(|(to, body)| *to == room && Some(*body) == event.body) {
            violations.report(stored.index, Rule::StoredAltered, subject, || format!("{room} {event}"));
        } else if message.undecided == 0 {
            violations.report(stored.index, Rule::RefusedButStored, subject, || format!("{room} {event}"));
        } else if !message.acknowledged || message.stored_without_reply {
            counts.unknown_but_stored += 1;
        }
    }
}

impl ConnectionCommands {
    pub(super) fn leave(
        &mut self,
        user: Owner,
        id: CommandId,
        room: RoomId,
        index: usize,
        violations: &mut Violations,
    ) {
        if self.pending.insert(id, PendingCommand::Leave { room }).is_some() {
            let subject = Subject { connection: Some(user.connection), id: Some(id), ..Subject::default() };
            violations.report(index, Rule::InconsistentHistory, subject, || {
                format!("a second command ({id}) while one waits")
            });
        }
    }

    /// All was at rest.
    pub(super) fn check_all_answered(&self, user: Owner, index: usize, violations: &mut Violations) {
        if let Some(id) = self.pending.keys().min() {
            let subject = Subject { connection: Some(user.connection), id: Some(*id), ..Subject::default() };
            violations.report(index, Rule::Unanswered, subject, || format!("({id}) on {}", user.connection));
        }
    }

    /// The connection is over: how many commands it leaves without an answer. What it sent to a room is stored in the order in
    /// which it was sent, of any two of which the earlier was acknowledged here, and the later was never sent before.
    ///
    /// More cannot be asked: an earlier message without an `ok` may have been refused and come later, under the same key; and a
    /// later one that had been tried before may have been stored then.
    pub(super) fn end(self, user: Owner, violations: &mut Violations) -> u64 {
        for (room, sent) in &self.sent {
            let mut floor = Seq(0);
            for Sent { index, id, is_first, stored, acknowledged } in sent {
                let Some(stored) = *stored else { continue };
                if *is_first && stored < floor {
                    let subject = Subject {
                        connection: Some(user.connection),
                        id: Some(*id),
                        room: Some(*room),
                        seq: Some(stored),
                        key: None,
                    };
                    violations.report(*index, Rule::SenderOrder, subject, || {
                        format!("command ({id}) became {room} #{stored}, an earlier one #{floor}")
                    });
                }
                if *acknowledged {
                    floor = floor.max(stored);
                }
            }
        }
        self.pending.len() as u64
    }
}
