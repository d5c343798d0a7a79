//! The check of commands and replies: acknowledged ⊆ stored ⊆ attempted, and the order of messages.

use std::collections::HashMap;

use protocol::{ClientMessageId, CommandId, RoomId, Seq, UserId};

use super::expected_log::{EpochLog, ExpectedLog, StoreEpoch, Stored};
use super::{Owner, Violations};
use crate::verdict::{Counts, Subject};
use crate::{Hash, ObservedKind, Rule};

/// All messages that clients tried to send, in each epoch of the store.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    messages: HashMap<(StoreEpoch, UserId, ClientMessageId), Message>,
    /// The highest acknowledged number of each room so far.
    acknowledged: HashMap<(StoreEpoch, RoomId), Seq>,
    /// The highest number of each room that any client has received so far.
    highest_observed: HashMap<(StoreEpoch, RoomId), Seq>,
}

/// The attempts with one sender's `client_message_id`.
#[derive(Debug)]
struct Message {
    /// The room and the body. More than one only if a client reused a key for another message.
    as_sent: Vec<(RoomId, Hash)>,
    first: usize,
    /// The number of attempts that may have stored the message.
    undecided: u32,
    acknowledged: bool,
    /// Whether an attempt stored it whose reply the client never received.
    stored_without_reply: bool,
}

/// The unanswered commands of a connection, and the order of its messages.
#[derive(Debug, Default)]
pub(super) struct ConnectionCommands {
    pending: HashMap<CommandId, PendingCommand>,
    sent: HashMap<RoomId, Vec<Sent>>,
}

#[derive(Debug)]
enum PendingCommand {
    /// A message, with its position among those that the connection sent to the room.
    Send {
        room: RoomId,
        key: ClientMessageId,
        position: usize,
    },
    Leave {
        room: RoomId,
    },
}

#[derive(Debug)]
struct Sent {
    index: usize,
    id: CommandId,
    /// Whether this is the first attempt on any connection.
    is_first: bool,
    stored: Option<Seq>,
    /// Whether `ok` arrived on this connection.
    acknowledged: bool,
}

/// The fields of a `send`.
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
        owner: Owner,
        commands: &mut ConnectionCommands,
        attempt: SendAttempt,
        index: usize,
        violations: &mut Violations,
    ) {
        let SendAttempt { id, room, key, body } = attempt;
        let message = self.messages.entry((owner.store_epoch, owner.user, key.clone()));
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
        let stored = epoch_log
            .find_by_key(owner.user, &key)
            .filter(|position| position.0 == room)
            .map(|position| position.1);
        // An event that a restore kept was sent in an earlier epoch.
        let is_first = message.first == index && !stored.is_some_and(|seq| epoch_log.is_inherited(room, seq));
        let subject = Subject {
            connection: Some(owner.connection),
            id: Some(id),
            room: Some(room),
            seq: stored,
            key: Some(key.clone()),
        };
        let highest_acknowledged =
            self.acknowledged.get(&(owner.store_epoch, room)).copied().unwrap_or_default();
        if is_first && stored.is_some_and(|stored| stored <= highest_acknowledged) {
            violations.report(index, Rule::RealTimeOrder, subject.clone(), || {
                format!("{room} #{highest_acknowledged} was acknowledged before key {key} was first sent")
            });
        }
        let highest_observed =
            self.highest_observed.get(&(owner.store_epoch, room)).copied().unwrap_or_default();
        message.stored_without_reply |=
            !is_first && !message.acknowledged && stored.is_some_and(|it| it <= highest_observed);
        let sent = commands.sent.entry(room).or_default();
        let position = sent.len();
        sent.push(Sent { index, id, is_first, stored, acknowledged: false });
        if commands.pending.insert(id, PendingCommand::Send { room, key, position }).is_some() {
            violations.report(index, Rule::InconsistentHistory, subject, || {
                format!("a second command ({id}) while the first has no reply")
            });
        }
    }

    /// Handles `ok`. Returns the room if the command was a `leave`.
    pub(super) fn ok(
        &mut self,
        epoch_log: &EpochLog,
        owner: Owner,
        commands: &mut ConnectionCommands,
        (id, seq): (CommandId, Seq),
        index: usize,
        violations: &mut Violations,
    ) -> Option<RoomId> {
        let subject = Subject {
            connection: Some(owner.connection),
            id: Some(id),
            seq: Some(seq),
            ..Subject::default()
        };
        let (room, key, position) = match commands.pending.remove(&id) {
            Some(PendingCommand::Send { room, key, position }) => (room, key, position),
            Some(PendingCommand::Leave { room }) => {
                let is_removal = |removal: Seq| removal == seq;
                let before = Seq(seq.0.saturating_sub(1));
                if !epoch_log.removal_after(room, owner.user, before).is_some_and(is_removal) {
                    let subject = Subject { room: Some(room), ..subject };
                    violations.report(index, Rule::AcknowledgedButLost, subject, || {
                        format!(
                            "the leave of {} from {room} was acknowledged as #{seq}, which is another event",
                            owner.user
                        )
                    });
                }
                return Some(room);
            }
            None => {
                violations.report(index, Rule::UnexpectedReply, subject, || {
                    format!("ok for ({id}), which awaits no reply")
                });
                return None;
            }
        };
        if let Some(message) = self.messages.get_mut(&(owner.store_epoch, owner.user, key.clone())) {
            message.acknowledged = true;
        }
        let subject = Subject { room: Some(room), key: Some(key.clone()), ..subject };
        match epoch_log.find_by_key(owner.user, &key) {
            Some(stored) if stored == (room, seq) => {
                let highest = self.acknowledged.entry((owner.store_epoch, room)).or_default();
                *highest = seq.max(*highest);
                self.observe(owner.store_epoch, room, seq);
                if let Some(sent) = commands.sent.get_mut(&room).and_then(|sent| sent.get_mut(position)) {
                    sent.acknowledged = true;
                }
            }
            Some((room, at)) => violations.report(index, Rule::WrongSeq, subject, || {
                format!(
                    "key {key} of {} was acknowledged as #{seq} and is stored as {room} #{at}",
                    owner.user
                )
            }),
            None => violations.report(index, Rule::AcknowledgedButLost, subject, || {
                format!("key {key} of {} was acknowledged as {room} #{seq} and is stored nowhere", owner.user)
            }),
        }
        None
    }

    /// Handles an error. `definite` states that the command certainly had no effect.
    pub(super) fn failed(
        &mut self,
        owner: Owner,
        commands: &mut ConnectionCommands,
        id: CommandId,
        definite: bool,
        index: usize,
        violations: &mut Violations,
    ) {
        match commands.pending.remove(&id) {
            Some(PendingCommand::Send { key, .. }) if definite => {
                if let Some(message) = self.messages.get_mut(&(owner.store_epoch, owner.user, key)) {
                    message.undecided -= 1;
                }
            }
            Some(_) => {}
            None => {
                let subject =
                    Subject { connection: Some(owner.connection), id: Some(id), ..Subject::default() };
                violations.report(index, Rule::UnexpectedReply, subject, || {
                    format!("an error for ({id}), which awaits no reply")
                });
            }
        }
    }

    /// Notes that a client has received this number.
    pub(super) fn observe(&mut self, store_epoch: StoreEpoch, room: RoomId, seq: Seq) {
        let highest_observed = self.highest_observed.entry((store_epoch, room)).or_default();
        *highest_observed = seq.max(*highest_observed);
    }

    /// Checks that every stored message was sent with its content, and that at least one attempt was not rejected.
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
            violations.report(stored.index, Rule::RejectedButStored, subject, || format!("{room} {event}"));
        } else if !message.acknowledged || message.stored_without_reply {
            counts.unknown_but_stored += 1;
        }
    }
}

impl ConnectionCommands {
    pub(super) fn leave(
        &mut self,
        owner: Owner,
        id: CommandId,
        room: RoomId,
        index: usize,
        violations: &mut Violations,
    ) {
        if self.pending.insert(id, PendingCommand::Leave { room }).is_some() {
            let subject = Subject { connection: Some(owner.connection), id: Some(id), ..Subject::default() };
            violations.report(index, Rule::InconsistentHistory, subject, || {
                format!("a second command ({id}) while the first has no reply")
            });
        }
    }

    /// Checks, at quiescence, that every command has a reply.
    pub(super) fn check_all_answered(&self, owner: Owner, index: usize, violations: &mut Violations) {
        if let Some(id) = self.pending.keys().min() {
            let subject = Subject { connection: Some(owner.connection), id: Some(*id), ..Subject::default() };
            violations.report(index, Rule::Unanswered, subject, || format!("({id}) on {}", owner.connection));
        }
    }

    /// Ends the connection. Returns the number of unanswered commands. Two messages to a room must be stored in the order in
    /// which they were sent if the earlier one was acknowledged on this connection and the later one was a first attempt.
    ///
    /// No stronger order holds: an earlier message without `ok` may have been rejected and resent with the same key, and a
    /// later one may have been stored by an earlier attempt.
    pub(super) fn end(self, owner: Owner, violations: &mut Violations) -> u64 {
        for (room, sent) in &self.sent {
            let mut highest_acknowledged = Seq(0);
            for Sent { index, id, is_first, stored, acknowledged } in sent {
                let Some(stored) = *stored else { continue };
                if *is_first && stored < highest_acknowledged {
                    let subject = Subject {
                        connection: Some(owner.connection),
                        id: Some(*id),
                        room: Some(*room),
                        seq: Some(stored),
                        key: None,
                    };
                    violations.report(*index, Rule::SenderOrder, subject, || {
                        format!(
                            "command ({id}) was stored as {room} #{stored}, an earlier one as #{highest_acknowledged}"
                        )
                    });
                }
                if *acknowledged {
                    highest_acknowledged = highest_acknowledged.max(stored);
                }
            }
        }
        self.pending.len() as u64
    }
}
