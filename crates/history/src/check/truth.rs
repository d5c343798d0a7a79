//! What is stored at the end of each life of the store, against which everything else is held.

use std::collections::{BTreeMap, HashMap};

use protocol::{ClientMessageId, Epoch, RoomId, Seq, Timestamp, UserId};

use super::Blame;
use crate::verdict::About;
use crate::{Kind, Record, Rule, Seen, What};

/// Lives of the store, from 0: each restore begins another.
pub(super) type Era = usize;

/// The rooms as they were read after the run, and before each restore.
#[derive(Debug, Default)]
pub(super) struct Truth {
    lives: Vec<Life>,
    /// The names of these lives, as far as anybody was told.
    epochs: Vec<Option<Epoch>>,
}

/// What one life of the store came to.
#[derive(Debug, Default)]
pub(super) struct Life {
    rooms: HashMap<RoomId, Vec<Stored>>,
    keys: HashMap<(UserId, ClientMessageId), (RoomId, Seq)>,
    /// When people came and went, in order.
    memberships: HashMap<(RoomId, UserId), Vec<(Seq, Change)>>,
    /// How far each room was kept of the life before.
    inherited: BTreeMap<RoomId, Seq>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Came,
    Left,
}

#[derive(Debug)]
pub(super) struct Stored {
    pub(super) event: Seen,
    pub(super) index: usize,
    dated: Option<Timestamp>,
}

impl Truth {
    /// Looks at the whole history for what is stored, and for the lives of the store.
    pub(super) fn gather(history: impl IntoIterator<Item = Record>, blame: &mut Blame) -> Self {
        let mut truth = Truth { lives: vec![Life::default()], epochs: vec![None] };
        for (index, record) in history.into_iter().enumerate() {
            match record.what {
                What::Stored { room, event, dated } => {
                    let life = truth.lives.last_mut();
                    life.into_iter().for_each(|life| life.store(index, room, (event.clone(), dated), blame));
                }
                What::Restored { epoch, kept } => {
                    truth.lives.push(Life { inherited: kept, ..Life::default() });
                    truth.epochs.push(Some(epoch));
                }
                What::Opened { epoch, .. } if truth.epochs[0].is_none() => truth.epochs[0] = Some(epoch),
                _ => {}
            }
        }
        for pair in truth.lives.windows(2) {
            pair[1].must_begin_as(&pair[0], blame);
        }
        truth
    }

    /// Which life of the store an epoch names.
    pub(super) fn era(&self, epoch: &Epoch) -> Option<Era> {
        self.epochs.iter().position(|it| it.as_ref() == Some(epoch))
    }

    pub(super) fn last_era(&self) -> Era {
        self.lives.len() - 1
    }

    pub(super) fn life(&self, era: Era) -> &Life {
        &self.lives[era]
    }

    pub(super) fn lives(&self) -> impl Iterator<Item = (Era, &Life)> {
        self.lives.iter().enumerate()
    }
}

impl Life {
    fn store(
        &mut self,
        index: usize,
        room: RoomId,
        (event, dated): (Seen, Option<Timestamp>),
        blame: &mut Blame,
    ) {
        let log = self.rooms.entry(room).or_default();
        let about =
            || About { room: Some(room), seq: Some(event.seq), key: event.key.clone(), ..About::default() };
        let expected = Seq(log.len() as u64 + 1);
        if event.seq != expected {
            blame.on(index, Rule::Numbers, about(), || {
                format!("{room} has {event} where #{expected} should be")
            });
        }
        if let Some(before) = log.last().filter(|before| dated.is_some() && dated < before.dated) {
            let text = |dated: Option<Timestamp>| dated.map_or_else(String::new, Timestamp::to_rfc3339);
            blame.on(index, Rule::WentBackInTime, about(), || {
                format!(
                    "{room} #{} is of {}, and {event} of {}",
                    before.event.seq,
                    text(before.dated),
                    text(dated)
                )
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
        let change = match event.kind {
            Kind::Came => Some(Change::Came),
            Kind::Left => Some(Change::Left),
            Kind::Message | Kind::Other => None,
        };
        if let Some(change) = change {
            for who in std::iter::once(event.who).chain(event.also_joined.iter().copied()) {
                self.memberships.entry((room, who)).or_default().push((event.seq, change));
            }
        }
        log.push(Stored { event, index, dated });
    }

    /// What a restore kept is what there was.
    fn must_begin_as(&self, before: &Life, blame: &mut Blame) {
        for (&room, &kept) in &self.inherited {
            let logs = (before.log(room), self.log(room));
            for seq in (1..=kept.0).map(Seq) {
                let (old, new) = (at(logs.0, seq), at(logs.1, seq));
                if old.map(|it| &it.event) != new.map(|it| &it.event) {
                    // One of them is there, or they would be the same; if neither is, nobody said that it was kept.
                    let index = new.or(old).map_or(0, |it| it.index);
                    let about = About { room: Some(room), seq: Some(seq), ..About::default() };
                    blame.on(index, Rule::NotKept, about, || {
                        format!("{room} was kept up to #{kept}, and #{seq} is not what it was")
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

    pub(super) fn event(&self, room: RoomId, seq: Seq) -> Option<&Seen> {
        at(self.log(room), seq).map(|stored| &stored.event)
    }

    /// Where a message is stored.
    pub(super) fn place_of(&self, person: UserId, key: &ClientMessageId) -> Option<(RoomId, Seq)> {
        self.keys.get(&(person, key.clone())).copied()
    }

    /// Whether it was there when this life began.
    pub(super) fn has_inherited(&self, room: RoomId, seq: Seq) -> bool {
        self.inherited.get(&room).is_some_and(|kept| seq <= *kept)
    }

    /// The first removal of a person from a room after this number.
    pub(super) fn removal_after(&self, room: RoomId, person: UserId, after: Seq) -> Option<Seq> {
        let changes = self.memberships.get(&(room, person))?;
        let later = &changes[changes.partition_point(|(seq, _)| *seq <= after)..];
        later.iter().find(|(_, change)| *change == Change::Left).map(|(seq, _)| *seq)
    }

    /// Whether a person was a member of a room behind this number.
    pub(super) fn is_member(&self, room: RoomId, person: UserId, behind: Seq) -> bool {
        let Some(changes) = self.memberships.get(&(room, person)) else { return false };
        let before = changes.partition_point(|(seq, _)| *seq <= behind);
        before > 0 && changes[before - 1].1 == Change::Came
    }
}

fn at(log: &[Stored], seq: Seq) -> Option<&Stored> {
    log.get(usize::try_from(seq.0.checked_sub(1)?).ok()?)
}
