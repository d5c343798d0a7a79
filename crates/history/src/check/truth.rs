//! What is stored at the end, against which everything else is held.

use std::collections::{BTreeMap, HashMap};

use proto::{ClientMessageId, Epoch, RoomId, Seq, UserId};

use super::Blame;
use crate::verdict::About;
use crate::{Kind, Record, Rule, Seen, What};

/// Lives of the store, from 0: each restore begins another.
pub(super) type Era = usize;

/// The rooms as they were read after the run.
#[derive(Debug, Default)]
pub(super) struct Truth {
    rooms: HashMap<RoomId, Vec<Stored>>,
    keys: HashMap<(UserId, ClientMessageId), (RoomId, Seq)>,
    /// When people were removed, in order.
    removals: HashMap<(RoomId, UserId), Vec<Seq>>,
    first_epoch: Option<Epoch>,
    restores: Vec<(Epoch, BTreeMap<RoomId, Seq>)>,
}

#[derive(Debug)]
pub(super) struct Stored {
    pub(super) event: Seen,
    pub(super) index: usize,
}

impl Truth {
    /// Looks at the whole history for what is stored, and for the lives of the store.
    pub(super) fn gather(history: impl IntoIterator<Item = Record>, blame: &mut Blame) -> Self {
        let mut truth = Truth::default();
        for (index, record) in history.into_iter().enumerate() {
            match record.what {
                What::Stored { room, event } => truth.store(index, room, event, blame),
                What::Restored { epoch, kept } => truth.restores.push((epoch, kept)),
                What::Opened { epoch, .. } if truth.first_epoch.is_none() => truth.first_epoch = Some(epoch),
                _ => {}
            }
        }
        truth
    }

    fn store(&mut self, index: usize, room: RoomId, event: Seen, blame: &mut Blame) {
        let log = self.rooms.entry(room).or_default();
        let about =
            || About { room: Some(room), seq: Some(event.seq), key: event.key.clone(), ..About::default() };
        let expected = Seq(log.len() as u64 + 1);
        if event.seq != expected {
            blame.on(index, Rule::Numbers, about(), || {
                format!("{room} has {event} where #{expected} should be")
            });
        }
        if let Some(key) = &event.key {
            let here = (room, event.seq);
            if let Some((room, seq)) = self.keys.insert((event.who, key.clone()), here) {
                blame.on(index, Rule::StoredTwice, about(), || {
                    format!(
                        "key {key} of {} is stored as {room} #{seq} and as {} #{}",
                        event.who, here.0, here.1
                    )
                });
            }
        }
        if event.kind == Kind::Left {
            self.removals.entry((room, event.who)).or_default().push(event.seq);
        }
        log.push(Stored { event, index });
    }

    pub(super) fn rooms(&self) -> impl Iterator<Item = (RoomId, &[Stored])> {
        self.rooms.iter().map(|(room, log)| (*room, log.as_slice()))
    }

    pub(super) fn head(&self, room: RoomId) -> Seq {
        Seq(self.rooms.get(&room).map_or(0, |log| log.len() as u64))
    }

    pub(super) fn event(&self, room: RoomId, seq: Seq) -> Option<&Seen> {
        let place = usize::try_from(seq.0.checked_sub(1)?).ok()?;
        self.rooms.get(&room)?.get(place).map(|stored| &stored.event)
    }

    /// Where a message is stored.
    pub(super) fn place_of(&self, person: UserId, key: &ClientMessageId) -> Option<(RoomId, Seq)> {
        self.keys.get(&(person, key.clone())).copied()
    }

    /// The first removal of a person from a room after this number.
    pub(super) fn removal_after(&self, room: RoomId, person: UserId, after: Seq) -> Option<Seq> {
        let removals = self.removals.get(&(room, person))?;
        removals.get(removals.partition_point(|seq| *seq <= after)).copied()
    }

    /// Which life of the store an epoch names.
    pub(super) fn era(&self, epoch: &Epoch) -> Option<Era> {
        if self.first_epoch.as_ref() == Some(epoch) {
            return Some(0);
        }
        self.restores.iter().position(|(restored, _)| restored == epoch).map(|place| place + 1)
    }

    pub(super) fn last_era(&self) -> Era {
        self.restores.len()
    }

    /// Whether what had this number in that life of the store has outlived every restore since.
    pub(super) fn outlives(&self, era: Era, room: RoomId, seq: Seq) -> bool {
        self.restores.iter().skip(era).all(|(_, kept)| kept.get(&room).is_some_and(|kept| seq <= *kept))
    }
}
