//! Sending: new messages, resends and keepalive pings.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use protocol::{
    ClientMessageId, Command, CommandEnvelope, CommandId, Join, MessageBody, Resume, RoomId, RoomRef, Send,
    Seq,
};

use super::keepalive::{Keepalive, Liveness};
use super::recording_client::{ConnectionEnd, Exit, Message, Pending, RecordingClient, Role};
use super::run_state::RunState;
use client::{Client, Error};

/// Bounds the messages of a burst.
const BURST: u64 = 15;
/// A writer leaves and rejoins its room about once in this many bursts.
const BURSTS_PER_LEAVE: u64 = 40;
/// A receiver goes offline about once in this many steps.
const STEPS_PER_ABSENCE: u64 = 12;
/// The timeout of other commands, as a multiple of that of messages.
const COMMAND_TIMEOUT_FACTOR: u32 = 3;

impl RecordingClient {
    pub(super) fn resume(&mut self, socket: &mut Client) -> Result<(), Exit> {
        let mut rooms = BTreeMap::new();
        for (room, room_state) in &mut self.rooms {
            // Resumes before the first gap: its events are delivered again, or announced again.
            if let Some((from, _)) = room_state.gaps.first() {
                room_state.cursor = Seq(from.0 - 1);
            }
            room_state.gaps.clear();
            room_state.resumed_from = room_state.cursor;
            rooms.insert(*room, room_state.cursor);
        }
        let id = self.new_id(Pending::Resume);
        send_command(socket, id, Command::Resume(Resume { rooms, epoch: Some(self.epoch.clone()) }))?;
        Ok(())
    }

    /// After silence, sends a ping or gives up the connection.
    pub(super) fn check_keepalive(
        &mut self,
        socket: &mut Client,
        keepalive: &mut Keepalive,
    ) -> Result<(), Exit> {
        match keepalive.check(Instant::now()) {
            Liveness::Alive => Ok(()),
            Liveness::PingDue => {
                let id = self.new_id(Pending::Ping);
                Ok(send_command(socket, id, Command::Ping(protocol::Ping {}))?)
            }
            Liveness::Dead => {
                self.counters.on_give_up();
                Err(ConnectionEnd::Lost(Error::Timeout).into())
            }
        }
    }

    pub(super) fn resend_unanswered(
        &mut self,
        socket: &mut Client,
        on: history::ConnectionId,
    ) -> Result<(), Exit> {
        for index in 0..self.unanswered.len() {
            self.send_message(socket, on, index)?;
        }
        Ok(())
    }

    pub(super) fn send_message(
        &mut self,
        socket: &mut Client,
        on: history::ConnectionId,
        index: usize,
    ) -> Result<(), Exit> {
        self.next_id += 1;
        let id = CommandId(self.next_id);
        let message = &mut self.unanswered[index];
        message.in_flight = Some(id);
        let is_first = message.last_sent.replace(Instant::now()).is_none();
        if !is_first {
            self.counters.on_resend();
        }
        let send = message.send.clone();
        self.history_file.now()?.send(on, id, message.room, &send.client_message_id, &send.body);
        Ok(send_command(socket, id, Command::Send(send))?)
    }

    /// Resends messages whose replies are late, if the options require it.
    pub(super) fn resend_late(
        &mut self,
        socket: &mut Client,
        on: history::ConnectionId,
        run: &RunState,
    ) -> Result<(), Exit> {
        if run.plan.retry_ms == 0 {
            return Ok(());
        }
        let patience = Duration::from_millis(run.plan.retry_ms);
        for index in 0..self.unanswered.len() {
            let message = &self.unanswered[index];
            let is_late = message.last_sent.is_some_and(|last_sent| last_sent.elapsed() > patience);
            if message.in_flight.is_some() && is_late {
                self.send_message(socket, on, index)?;
            }
        }
        if !self.pending.is_empty() && self.pending_since.elapsed() > COMMAND_TIMEOUT_FACTOR * patience {
            // Most commands are not resent. The next connection starts again.
            return Err(ConnectionEnd::Lost(Error::Timeout).into());
        }
        Ok(())
    }

    /// Takes the next step of the client's role.
    pub(super) fn act(
        &mut self,
        socket: &mut Client,
        on: history::ConnectionId,
        run: &RunState,
    ) -> Result<(), Exit> {
        let now = Instant::now();
        if run.finish.get().is_none() && self.next_close.is_some_and(|close| close <= now) {
            return Err(ConnectionEnd::Closed.into());
        }
        if now < self.next_burst {
            return Ok(());
        }
        let pause = 2_000 * u64::from(run.plan.writers) * (BURST + 1) / 2 / u64::from(run.plan.rate.max(1));
        self.next_burst = now + Duration::from_millis(self.rng.u64(..pause.max(1)));
        if self.unanswered.iter().any(|message| message.in_flight.is_none()) {
            return self.resend_rejected(socket, on);
        }
        if run.finish.get().is_some() || self.role == Role::Listener {
            return Ok(());
        }
        if self.role == Role::Receiver {
            let goes = self.rng.u64(..STEPS_PER_ABSENCE) == 0;
            return if goes { Err(ConnectionEnd::GoesOffline.into()) } else { Ok(()) };
        }
        if !self.unanswered.is_empty() || !self.pending.is_empty() {
            return Ok(());
        }
        let Some(room) = self.rooms.keys().next().copied() else { return Ok(()) };
        if self.rng.u64(..BURSTS_PER_LEAVE) == 0 {
            let id = self.new_id(Pending::Leave(room));
            self.history_file.now()?.leave(on, id, room);
            return Ok(send_command(
                socket,
                id,
                Command::Leave(protocol::Leave { room: RoomRef::Id(room) }),
            )?);
        }
        let most = Some(run.plan.messages).filter(|messages| *messages > 0);
        for _ in 0..=self.rng.u64(..BURST) {
            if !self.counters.reserve_message(most) {
                break;
            }
            self.compose(room)?;
            self.send_message(socket, on, self.unanswered.len() - 1)?;
        }
        Ok(())
    }

    fn resend_rejected(&mut self, socket: &mut Client, on: history::ConnectionId) -> Result<(), Exit> {
        for index in 0..self.unanswered.len() {
            if self.unanswered[index].in_flight.is_none() {
                self.send_message(socket, on, index)?;
            }
        }
        Ok(())
    }

    /// Appends a new message to those without a reply.
    pub(super) fn compose(&mut self, room: RoomId) -> Result<(), Exit> {
        self.next_key += 1;
        // With the letter before and the space after it, no key is part of another body, so a trace can be searched for it.
        let key = format!("w{}-{}", self.number, self.next_key);
        let body = format!("{key} {}", "茶".repeat(self.rng.u64(..self.max_words) as usize));
        let send = Send {
            room: RoomRef::Id(room),
            // Valid: a letter, digits and a dash, and text of the configured length.
            client_message_id: ClientMessageId::new(key).expect("the key is 1 to 64 visible characters"),
            body: MessageBody::new(body, u32::MAX).expect("the body contains the key, so it is not blank"),
        };
        self.unanswered.push(Message { send, room, in_flight: None, last_sent: None });
        Ok(())
    }

    /// Joins a room of which the client is no longer a member.
    pub(super) fn rejoin(&mut self, socket: &mut Client, room: RoomId) -> Result<(), Exit> {
        let id = self.new_id(Pending::Join);
        let join = Join { room: RoomRef::Id(room), after: None, epoch: None };
        Ok(send_command(socket, id, Command::Join(join))?)
    }

    /// Requests the next page of the first gap.
    pub(super) fn request_history(&mut self, socket: &mut Client, room: RoomId) -> Result<(), Exit> {
        let gap_range = self.rooms.get(&room).and_then(|room_state| room_state.gaps.first());
        let Some(&(from, to)) = gap_range else { return Ok(()) };
        if self.pending.values().any(|pending| *pending == Pending::History(room)) {
            return Ok(());
        }
        let id = self.new_id(Pending::History(room));
        let limit =
            u32::try_from(to.0 - from.0 + 1).unwrap_or(u32::MAX).min(protocol::Limits::HISTORY_EVENTS);
        let after = Some(Seq(from.0 - 1));
        let history = protocol::History { room: RoomRef::Id(room), after, before: None, limit: Some(limit) };
        Ok(send_command(socket, id, Command::History(history))?)
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

pub(super) fn send_command(socket: &mut Client, id: CommandId, command: Command) -> Result<(), Error> {
    // Cannot fail: all keys are strings, and no value implements `Serialize` by hand.
    let text = serde_json::to_string(&CommandEnvelope { id: Some(id), command })
        .expect("a command is valid JSON by construction");
    socket.send_text(&text)
}
