//! What was sent, and how it was answered: acknowledged ⊆ stored ⊆ attempted, and in which order.

use std::collections::HashMap;

use protocol::{ClientMessageId, CommandId, RoomId, Seq, UserId};

use super::truth::{Era, Life, Stored, Truth};
use super::{Blame, Who};
use crate::verdict::{About, Counts};
use crate::{Hash, Kind, Rule};

/// All messages that anybody tried to send, in each life of the store.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    messages: HashMap<(Era, UserId, ClientMessageId), Message>,
    /// Of each room the highest number that was acknowledged so far.
    acknowledged: HashMap<(Era, RoomId), Seq>,
    /// Of each room the highest number that anybody had heard of so far.
    known: HashMap<(Era, RoomId), Seq>,
}

/// One sender's key.
#[derive(Debug)]
struct Message {
    /// Where and what; more than one only if a client broke the rule that a key is one message.
    as_sent: Vec<(RoomId, Hash)>,
    first: usize,
    /// Attempts that were not refused for good.
    hopes: u32,
    acknowledged: bool,
    /// It was stored by an attempt of which the client was not told.
    was_stored_untold: bool,
}

/// What a connection asked and was not answered yet, and the order in which it asked.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pending: HashMap<CommandId, Pending>,
    sent: HashMap<RoomId, Vec<Sent>>,
}

#[derive(Debug)]
enum Pending {
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
pub(super) struct Sending {
    pub(super) id: CommandId,
    pub(super) room: RoomId,
    pub(super) key: ClientMessageId,
    pub(super) body: Hash,
}

impl Attempts {
    pub(super) fn send(
        &mut self,
        life: &Life,
        who: Who,
        asked: &mut Asked,
        sending: Sending,
        index: usize,
        blame: &mut Blame,
    ) {
        let Sending { id, room, key, body } = sending;
        let message = self.messages.entry((who.era, who.person, key.clone()));
        let message = message.or_insert_with(|| Message {
            as_sent: Vec::new(),
            first: index,
            hopes: 0,
            acknowledged: false,
            was_stored_untold: false,
        });
        message.hopes += 1;
        if !message.as_sent.contains(&(room, body)) {
            message.as_sent.push((room, body));
        }
        let stored = life.place_of(who.person, &key).filter(|place| place.0 == room).map(|place| place.1);
        // What a restore kept was sent in a life before.
        let is_first = message.first == index && !stored.is_some_and(|seq| life.has_inherited(room, seq));
        let about = About {
            connection: Some(who.connection),
            id: Some(id),
            room: Some(room),
            seq: stored,
            key: Some(key.clone()),
        };
        let floor = self.acknowledged.get(&(who.era, room)).copied().unwrap_or_default();
        if is_first && stored.is_some_and(|stored| stored <= floor) {
            blame.on(index, Rule::Overtaken, about.clone(), || {
                format!("{room} #{floor} was acknowledged before key {key} was first sent")
            });
        }
        let known = self.known.get(&(who.era, room)).copied().unwrap_or_default();
        message.was_stored_untold |=
            !is_first && !message.acknowledged && stored.is_some_and(|it| it <= known);
        let sent = asked.sent.entry(room).or_default();
        let place = sent.len();
        sent.push(Sent { index, id, is_first, stored, acknowledged: false });
        if asked.pending.insert(id, Pending::Send { room, key, place }).is_some() {
            blame.on(index, Rule::Incoherent, about, || format!("a second command ({id}) while one waits"));
        }
    }

    /// Returns the room, if it was a `leave`.
    pub(super) fn ok(
        &mut self,
        life: &Life,
        who: Who,
        asked: &mut Asked,
        (id, seq): (CommandId, Seq),
        index: usize,
        blame: &mut Blame,
    ) -> Option<RoomId> {
        let about =
            About { connection: Some(who.connection), id: Some(id), seq: Some(seq), ..About::default() };
        let (room, key, place) = match asked.pending.remove(&id) {
            Some(Pending::Send { room, key, place }) => (room, key, place),
            Some(Pending::Leave { room }) => {
                let is_removal = |removal: Seq| removal == seq;
                let before = Seq(seq.0.saturating_sub(1));
                if !life.removal_after(room, who.person, before).is_some_and(is_removal) {
                    let about = About { room: Some(room), ..about };
                    blame.on(index, Rule::AcknowledgedButLost, about, || {
                        format!("that {} left {room} was acknowledged as #{seq}, which it is not", who.person)
                    });
                }
                return Some(room);
            }
            None => {
                blame.on(index, Rule::AnsweredTwice, about, || {
                    format!("ok to ({id}), which awaits no answer")
                });
                return None;
            }
        };
        if let Some(message) = self.messages.get_mut(&(who.era, who.person, key.clone())) {
            message.acknowledged = true;
        }
        let about = About { room: Some(room), key: Some(key.clone()), ..about };
        match life.place_of(who.person, &key) {
            Some(stored) if stored == (room, seq) => {
                let highest = self.acknowledged.entry((who.era, room)).or_default();
                *highest = seq.max(*highest);
                self.learn(who.era, room, seq);
                if let Some(sent) = asked.sent.get_mut(&room).and_then(|sent| sent.get_mut(place)) {
                    sent.acknowledged = true;
                }
            }
            Some((room, at)) => blame.on(index, Rule::WrongNumber, about, || {
                format!(
                    "key {key} of {} was acknowledged as #{seq} and is stored as {room} #{at}",
                    who.person
                )
            }),
            None => blame.on(index, Rule::AcknowledgedButLost, about, || {
                format!("key {key} of {} was acknowledged as {room} #{seq} and is stored nowhere", who.person)
            }),
        }
        None
    }

    /// An answer that is no `ok`; `for_good`: it was certainly not done.
    pub(super) fn not_done(
        &mut self,
        who: Who,
        asked: &mut Asked,
        id: CommandId,
        for_good: bool,
        index: usize,
        blame: &mut Blame,
    ) {
        match asked.pending.remove(&id) {
            Some(Pending::Send { key, .. }) if for_good => {
                if let Some(message) = self.messages.get_mut(&(who.era, who.person, key)) {
                    message.hopes -= 1;
                }
            }
            Some(_) => {}
            None => {
                let about = About { connection: Some(who.connection), id: Some(id), ..About::default() };
                blame.on(index, Rule::AnsweredTwice, about, || {
                    format!("an error for ({id}), which awaits no answer")
                });
            }
        }
    }

    /// Somebody was told of this number.
    pub(super) fn learn(&mut self, era: Era, room: RoomId, seq: Seq) {
        let known = self.known.entry((era, room)).or_default();
        *known = seq.max(*known);
    }

    /// Every stored message was sent, thus, and not refused each time.
    pub(super) fn finish(&self, truth: &Truth, counts: &mut Counts, blame: &mut Blame) {
        for (era, life) in truth.lives() {
            for (room, log) in life.rooms() {
                if era == truth.last_era() {
                    counts.rooms += 1;
                    counts.stored += log.len() as u64;
                }
                let is_own = |it: &&Stored| !life.has_inherited(room, it.event.seq);
                let messages = log.iter().filter(|stored| stored.event.kind == Kind::Message);
                for stored in messages.filter(is_own) {
                    self.must_have_been_sent(era, room, stored, counts, blame);
                }
            }
        }
    }

    fn must_have_been_sent(
        &self,
        era: Era,
        room: RoomId,
        stored: &Stored,
        counts: &mut Counts,
        blame: &mut Blame,
    ) {
        let event = &stored.event;
        let about =
            About { room: Some(room), seq: Some(event.seq), key: event.key.clone(), ..About::default() };
        let key = event.key.clone().map(|key| (era, event.who, key));
        let Some(message) = key.and_then(|key| self.messages.get(&key)) else {
            return blame.on(stored.index, Rule::NeverSent, about, || format!("{room} {event}"));
        };
        if !message.as_sent.iter().any(|(to, body)| *to == room && Some(*body) == event.body) {
            blame.on(stored.index, Rule::StoredAltered, about, || format!("{room} {event}"));
        } else if message.hopes == 0 {
            blame.on(stored.index, Rule::RefusedButStored, about, || format!("{room} {event}"));
        } else if !message.acknowledged || message.was_stored_untold {
            counts.unknown_but_stored += 1;
        }
    }
}

impl Asked {
    pub(super) fn leave(&mut self, who: Who, id: CommandId, room: RoomId, index: usize, blame: &mut Blame) {
        if self.pending.insert(id, Pending::Leave { room }).is_some() {
            let about = About { connection: Some(who.connection), id: Some(id), ..About::default() };
            blame.on(index, Rule::Incoherent, about, || format!("a second command ({id}) while one waits"));
        }
    }

    /// All was at rest.
    pub(super) fn must_be_answered(&self, who: Who, index: usize, blame: &mut Blame) {
        if let Some(id) = self.pending.keys().min() {
            let about = About { connection: Some(who.connection), id: Some(*id), ..About::default() };
            blame.on(index, Rule::Unanswered, about, || format!("({id}) on {}", who.connection));
        }
    }

    /// The connection is over: how many commands it leaves without an answer. What it sent to a room is stored in the order in
    /// which it was sent, of any two of which the earlier was acknowledged here, and the later was never sent before.
    ///
    /// More cannot be asked: an earlier message without an `ok` may have been refused and come later, under the same key; and a
    /// later one that had been tried before may have been stored then.
    pub(super) fn end(self, who: Who, blame: &mut Blame) -> u64 {
        for (room, sent) in &self.sent {
            let mut floor = Seq(0);
            for Sent { index, id, is_first, stored, acknowledged } in sent {
                let Some(stored) = *stored else { continue };
                if *is_first && stored < floor {
                    let about = About {
                        connection: Some(who.connection),
                        id: Some(*id),
                        room: Some(*room),
                        seq: Some(stored),
                        key: None,
                    };
                    blame.on(*index, Rule::SendersOrder, about, || {
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
