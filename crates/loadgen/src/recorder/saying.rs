//! What a client says: of itself, again, and to see whether anybody is there.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use protocol::{
    ClientMessageId, Command, CommandEnvelope, CommandId, Join, MessageBody, Resume, RoomId, RoomRef, Send,
    Seq,
};

use super::crowd::Scene;
use super::person::{End, Message, Pending, Role, Stop, Witness};
use super::pulse::{Pulse, Sign};
use client::{Client, Error};

/// At most so many messages go out at once.
const BURST: u64 = 15;
/// A writer leaves and comes again about once in so many bursts.
const BURSTS_A_LEAVE: u64 = 40;
/// A receiver goes away of itself about once in so many looks.
const LOOKS_AN_ABSENCE: u64 = 12;
/// How much longer than for the answer to a message it waits for that to another command.
const LONGER: u32 = 3;

impl Witness {
    pub(super) fn resume(&mut self, socket: &mut Client) -> Result<(), Stop> {
        let mut rooms = BTreeMap::new();
        for (room, place) in &mut self.rooms {
            // From before the first hole: it comes again, or is named again.
            if let Some((from, _)) = place.holes.first() {
                place.at = Seq(from.0 - 1);
            }
            place.holes.clear();
            place.named = place.at;
            rooms.insert(*room, place.at);
        }
        let id = self.new_id(Pending::Resume);
        say(socket, id, Command::Resume(Resume { rooms, epoch: Some(self.epoch.clone()) }))?;
        Ok(())
    }

    /// Looks whether the other side is still there.
    pub(super) fn feel(&mut self, socket: &mut Client, pulse: &mut Pulse) -> Result<(), Stop> {
        match pulse.feel(Instant::now()) {
            Sign::Life => Ok(()),
            Sign::Silence => {
                let id = self.new_id(Pending::Ping);
                Ok(say(socket, id, Command::Ping(protocol::Ping {}))?)
            }
            Sign::Death => {
                self.tally.give_up();
                Err(End::Lost(Error::Timeout).into())
            }
        }
    }

    pub(super) fn say_again(&mut self, socket: &mut Client, on: history::Connection) -> Result<(), Stop> {
        for place in 0..self.unanswered.len() {
            self.say_message(socket, on, place)?;
        }
        Ok(())
    }

    pub(super) fn say_message(
        &mut self,
        socket: &mut Client,
        on: history::Connection,
        place: usize,
    ) -> Result<(), Stop> {
        self.next_id += 1;
        let id = CommandId(self.next_id);
        let message = &mut self.unanswered[place];
        message.in_flight = Some(id);
        let is_first = message.said.replace(Instant::now()).is_none();
        if !is_first {
            self.tally.say_again();
        }
        let send = message.send.clone();
        self.diary.now()?.send(on, id, message.room, &send.client_message_id, &send.body);
        Ok(say(socket, id, Command::Send(send))?)
    }

    /// Asks again for answers that are late, where that is its way.
    pub(super) fn press(
        &mut self,
        socket: &mut Client,
        on: history::Connection,
        scene: &Scene,
    ) -> Result<(), Stop> {
        if scene.plan.again_ms == 0 {
            return Ok(());
        }
        let patience = Duration::from_millis(scene.plan.again_ms);
        for place in 0..self.unanswered.len() {
            let message = &self.unanswered[place];
            let is_late = message.said.is_some_and(|said| said.elapsed() > patience);
            if message.in_flight.is_some() && is_late {
                self.say_message(socket, on, place)?;
            }
        }
        if !self.pending.is_empty() && self.pending_since.elapsed() > LONGER * patience {
            // Most commands are not said twice; on the next connection it begins anew.
            return Err(End::Lost(Error::Timeout).into());
        }
        Ok(())
    }

    /// What it does of itself.
    pub(super) fn act(
        &mut self,
        socket: &mut Client,
        on: history::Connection,
        scene: &Scene,
    ) -> Result<(), Stop> {
        let now = Instant::now();
        if scene.finishing.get().is_none() && self.next_close.is_some_and(|close| close <= now) {
            return Err(End::Closed.into());
        }
        if now < self.next_burst {
            return Ok(());
        }
        let pause =
            2_000 * u64::from(scene.plan.writers) * (BURST + 1) / 2 / u64::from(scene.plan.rate.max(1));
        self.next_burst = now + Duration::from_millis(self.dice.below(pause.max(1)));
        if self.unanswered.iter().any(|message| message.in_flight.is_none()) {
            return self.say_refused_again(socket, on);
        }
        if scene.finishing.get().is_some() || self.role == Role::Listener {
            return Ok(());
        }
        if self.role == Role::Receiver {
            let goes = self.dice.once_in(LOOKS_AN_ABSENCE);
            return if goes { Err(End::Went.into()) } else { Ok(()) };
        }
        if !self.unanswered.is_empty() || !self.pending.is_empty() {
            return Ok(());
        }
        let Some(room) = self.rooms.keys().next().copied() else { return Ok(()) };
        if self.dice.once_in(BURSTS_A_LEAVE) {
            let id = self.new_id(Pending::Leave(room));
            self.diary.now()?.leave(on, id, room);
            return Ok(say(socket, id, Command::Leave(protocol::Leave { room: RoomRef::Id(room) }))?);
        }
        let most = Some(scene.plan.messages).filter(|messages| *messages > 0);
        for _ in 0..=self.dice.below(BURST) {
            if !self.tally.think(most) {
                break;
            }
            self.think(room)?;
            self.say_message(socket, on, self.unanswered.len() - 1)?;
        }
        Ok(())
    }

    fn say_refused_again(&mut self, socket: &mut Client, on: history::Connection) -> Result<(), Stop> {
        for place in 0..self.unanswered.len() {
            if self.unanswered[place].in_flight.is_none() {
                self.say_message(socket, on, place)?;
            }
        }
        Ok(())
    }

    /// Another message.
    pub(super) fn think(&mut self, room: RoomId) -> Result<(), Stop> {
        self.next_key += 1;
        // With the letter and the space behind it no key is a part of another's body: a trace can be searched for it.
        let key = format!("w{}-{}", self.number, self.next_key);
        let body = format!("{key} {}", "茶".repeat(self.dice.below(self.most_words) as usize));
        let send = Send {
            room: RoomRef::Id(room),
            // A letter, digits and a dash, and text of a length that was asked for.
            client_message_id: ClientMessageId::new(key).expect("a short visible key"),
            body: MessageBody::new(body, u32::MAX).expect("a short text"),
        };
        self.unanswered.push(Message { send, room, in_flight: None, said: None });
        Ok(())
    }

    /// It is a member no more, and wants to be.
    pub(super) fn join_again(&mut self, socket: &mut Client, room: RoomId) -> Result<(), Stop> {
        let id = self.new_id(Pending::Join);
        let join = Join { room: RoomRef::Id(room), after: None, epoch: None };
        Ok(say(socket, id, Command::Join(join))?)
    }

    /// The next page of what lies in the first hole.
    pub(super) fn ask_history(&mut self, socket: &mut Client, room: RoomId) -> Result<(), Stop> {
        let hole = self.rooms.get(&room).and_then(|place| place.holes.first());
        let Some(&(from, to)) = hole else { return Ok(()) };
        if self.pending.values().any(|pending| *pending == Pending::History(room)) {
            return Ok(());
        }
        let id = self.new_id(Pending::History(room));
        let limit =
            u32::try_from(to.0 - from.0 + 1).unwrap_or(u32::MAX).min(protocol::Limits::HISTORY_EVENTS);
        let after = Some(Seq(from.0 - 1));
        let history = protocol::History { room: RoomRef::Id(room), after, before: None, limit: Some(limit) };
        Ok(say(socket, id, Command::History(history))?)
    }

    pub(super) fn new_id(&mut self, pending: Pending) -> CommandId {
        self.next_id += 1;
        if self.pending.is_empty() {
            self.pending_since = Instant::now();
        }
        self.pending.insert(CommandId(self.next_id), pending);
        CommandId(self.next_id)
    }
}

/// Sends a command.
pub(super) fn say(socket: &mut Client, id: CommandId, command: Command) -> Result<(), Error> {
    // Commands are maps with text keys; serde_json cannot fail on them.
    let text = serde_json::to_string(&CommandEnvelope { id: Some(id), command })
        .expect("commands are JSON by construction");
    socket.send_text(&text)
}
