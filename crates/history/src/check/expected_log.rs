//! The stored events at the end of each epoch, against which all other records are verified.

use std::collections::{BTreeMap, HashMap};

use protocol::{ClientMessageId, Epoch, RoomId, Seq, Timestamp, UserId};

use super::Violations;
use crate::verdict::Subject;
use crate::{ObservedEvent, ObservedKind, Record, RecordKind, Rule};

/// The index of an epoch of the store, from 0. Each restore starts the next one.
pub(super) type StoreEpoch = usize;

/// The rooms as stored at the end of the run and before each restore.
#[derive(Debug, Default)]
pub(super) struct ExpectedLog {
    epoch_logs: Vec<EpochLog>,
    /// The names of the epochs; `None` if no client received it.
    epochs: Vec<Option<Epoch>>,
}

/// The stored rooms at the end of one epoch.
#[derive(Debug, Default)]
pub(super) struct EpochLog {
    rooms: HashMap<RoomId, Vec<Stored>>,
    keys: HashMap<(UserId, ClientMessageId), (RoomId, Seq)>,
    /// Joins and leaves in the order of their events.
    memberships: HashMap<(RoomId, UserId), Vec<(Seq, Change)>>,
    /// The last event of each room that the restore kept from the previous epoch.
    inherited: BTreeMap<RoomId, Seq>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Joined,
    Left,
}

#[derive(Debug)]
pub(super) struct Stored {
    pub(super) event: ObservedEvent,
    pub(super) index: usize,
    timestamp: Option<Timestamp>,
}

impl ExpectedLog {
    /// Collects the stored events and the epochs from the whole history.
    pub(super) fn gather(history: impl IntoIterator<Item = Record>, violations: &mut Violations) -> Self {
        let mut expected = ExpectedLog { epoch_logs: vec![EpochLog::default()], epochs: vec![None] };
        for (index, record) in history.into_iter().enumerate() {
            match record.kind {
                RecordKind::Stored { room, event, timestamp } => {
                    let epoch_log = expected.epoch_logs.last_mut();
                    epoch_log
                        .into_iter()
                        .for_each(|it| it.store(index, room, (event.clone(), timestamp), violations));
                }
                RecordKind::Restored { epoch, kept } => {
                    expected.epoch_logs.push(EpochLog { inherited: kept, ..EpochLog::default() });
                    expected.epochs.push(Some(epoch));
                }
                RecordKind::Opened { epoch, .. } if expected.epochs[0].is_none() => {
                    expected.epochs[0] = Some(epoch)
                }
                _ => {}
            }
        }
        for pair in expected.epoch_logs.windows(2) {
            pair[1].check_restored_from(&pair[0], violations);
        }
        expected
    }

    /// The index of an epoch; `None` if no record names it.
    pub(super) fn store_epoch(&self, epoch: &Epoch) -> Option<StoreEpoch> {
        self.epochs.iter().position(|it| it.as_ref() == Some(epoch))
    }

    pub(super) fn last_epoch(&self) -> StoreEpoch {
        self.epoch_logs.len() - 1
    }

    pub(super) fn epoch_log(&self, store_epoch: StoreEpoch) -> &EpochLog {
        &self.epoch_logs[store_epoch]
    }

    pub(super) fn epoch_logs(&self) -> impl Iterator<Item = (StoreEpoch, &EpochLog)> {
        self.epoch_logs.iter().enumerate()
    }
}

impl EpochLog {
    fn store(
        &mut self,
        index: usize,
        room: RoomId,
        (event, timestamp): (ObservedEvent, Option<Timestamp>),
        violations: &mut Violations,
    ) {
        let log = self.rooms.entry(room).or_default();
        let subject = || Subject {
            room: Some(room),
            seq: Some(event.seq),
            key: event.key.clone(),
            ..Subject::default()
        };
        let expected = Seq(log.len() as u64 + 1);
        if event.seq != expected {
            violations.report(index, Rule::SeqNotContiguous, subject(), || {
                format!("{room} has {event}, expected #{expected}")
            });
        }
        if let Some(before) = log.last().filter(|before| timestamp.is_some() && timestamp < before.timestamp)
        {
            let text =
                |timestamp: Option<Timestamp>| timestamp.map_or_else(String::new, Timestamp::to_rfc3339);
            violations.report(index, Rule::TimestampRegressed, subject(), || {
                format!(
                    "{room} #{} has the time {}, and {event} has {}",
                    before.event.seq,
                    text(before.timestamp),
                    text(timestamp)
                )
            });
        }
        if let Some(key) = &event.key {
            let here = (room, event.seq);
            if let Some((room, seq)) = self.keys.insert((event.user, key.clone()), here) {
                violations.report(index, Rule::StoredTwice, subject(), || {
                    format!(
                        "key {key} of {} is stored as {room} #{seq} and as {} #{}",
                        event.user, here.0, here.1
                    )
                });
            }
        }
        let change = match event.kind {
            ObservedKind::Joined => Some(Change::Joined),
            ObservedKind::Left => Some(Change::Left),
            ObservedKind::Message | ObservedKind::Other => None,
        };
        if let Some(change) = change {
            for user in std::iter::once(event.user).chain(event.also_joined.iter().copied()) {
                self.memberships.entry((room, user)).or_default().push((event.seq, change));
            }
        }
        log.push(Stored { event, index, timestamp });
    }

    /// Checks that the events that a restore kept are equal before and after it.
    fn check_restored_from(&self, before: &EpochLog, violations: &mut Violations) {
        for (&room, &kept) in &self.inherited {
            let logs = (before.log(room), self.log(room));
            for seq in (1..=kept.0).map(Seq) {
                let (old, new) = (at(logs.0, seq), at(logs.1, seq));
                if old.map(|it| &it.event) != new.map(|it| &it.event) {
                    // At least one is present, because they differ.
                    let index = new.or(old).map_or(0, |it| it.index);
                    let subject = Subject { room: Some(room), seq: Some(seq), ..Subject::default() };
                    violations.report(index, Rule::RestoreMismatch, subject, || {
                        format!("{room} was kept up to #{kept}, and #{seq} differs")
                    });
                    break;
                }
            }
        }
    }

    fn log(&self, room: RoomId) -> &[Stored] {
        self.rooms.get(&room).map_or(&[], Vec::as_slice)
    }

    pub(super) fn rooms(&self) -> impl Iterator<Item = (RoomId, &[Stored])> {
        self.rooms.iter().map(|(room, log)| (*room, log.as_slice()))
    }

    pub(super) fn head(&self, room: RoomId) -> Seq {
        Seq(self.log(room).len() as u64)
    }

    pub(super) fn event(&self, room: RoomId, seq: Seq) -> Option<&ObservedEvent> {
        at(self.log(room), seq).map(|stored| &stored.event)
    }

    /// The room and the number of a stored message.
    pub(super) fn find_by_key(&self, user: UserId, key: &ClientMessageId) -> Option<(RoomId, Seq)> {
        self.keys.get(&(user, key.clone())).copied()
    }

    /// Whether the event existed before the restore that started this epoch.
    pub(super) fn is_inherited(&self, room: RoomId, seq: Seq) -> bool {
        self.inherited.get(&room).is_some_and(|kept| seq <= *kept)
    }

    /// The first removal of a user from a room after this event.
    pub(super) fn removal_after(&self, room: RoomId, user: UserId, after: Seq) -> Option<Seq> {
        let changes = self.memberships.get(&(room, user))?;
        let later = &changes[changes.partition_point(|(seq, _)| *seq <= after)..];
        later.iter().find(|(_, change)| *change == Change::Left).map(|(seq, _)| *seq)
    }

    /// Whether a user is a member of a room after this event.
    pub(super) fn is_member(&self, room: RoomId, user: UserId, after: Seq) -> bool {
        let Some(changes) = self.memberships.get(&(room, user)) else { return false };
        let before = changes.partition_point(|(seq, _)| *seq <= after);
        before > 0 && changes[before - 1].1 == Change::Joined
    }
}

fn at(log: &[Stored], seq: Seq) -> Option<&Stored> {
    log.get(usize::try_from(seq.0.checked_sub(1)?).ok()?)
}
