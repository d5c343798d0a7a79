//! All connections of a run: connecting, polling, ending.

mod receive;
mod send;

use std::io;
use std::time::{Duration, Instant};

use fastrand::Rng;
use mio::event::Event;
use mio::{Events, Poll};
use websocket::{Decoder, Message, Opcode};

use super::channels::Channels;
use super::checker::{Checker, Member};
use super::connection::{Connection, Stage, Upgrade};
use super::counters::Counters;
use super::plan::{Peer, room_name};
use super::room_assignment::RoomAssignment;
use super::senders::Sender;
use super::{LoadError, Plan, nats};

/// The most bytes of one read; large, because a server with a backlog writes much at once.
const READ_BYTES: usize = 256 * 1024;

/// Bounds the recent frames of all rooms: some seconds of a busy room.
const RECENT_BYTES: usize = 32 * 1024 * 1024;

/// The `id` of the first `join`. Those of the other rooms follow, then those of the messages.
const JOIN_ID: u64 = 1;

/// A room's name, and the id that the server gave it.
#[derive(Debug)]
struct Room {
    name: String,
    id: Option<String>,
}

pub(crate) struct ClientPool {
    pub(crate) poll: Poll,
    upgrade: Upgrade,
    body: usize,
    /// Whether senders ignore `retry_after_ms`, to overload a server.
    ignore_retry_after: bool,
    pub(crate) connections: Vec<Connection>,
    /// The number of connections that never pause reading: the first ones.
    pub(crate) readers: usize,
    /// The members of all connections; those of one connection are adjacent, one for each of its rooms.
    pub(crate) members: Vec<Member>,
    rooms_each: usize,
    assignment: RoomAssignment,
    pub(crate) senders: Vec<Sender>,
    pub(crate) checker: Checker,
    /// Verifies what a peer's members receive, instead of the checker.
    pub(crate) channels: Option<Channels>,
    /// For each connection, the incomplete part of its NATS stream.
    streams: Option<Vec<nats::Stream>>,
    rooms: Vec<Room>,
    /// Part of every `client_message_id`, so that the keys of two runs against one store differ.
    run: u64,
    started: Instant,
    /// The time at which the current bytes were read, in microseconds of the run.
    now_us: u64,
    pub(crate) joined: u32,
    pub(crate) counters: Counters,
    /// The time of the last received bytes, by which the run detects silence.
    pub(crate) last_progress: Instant,
    /// The joins to retry: time, connection, and index of the room.
    join_retries: Vec<(u64, usize, usize)>,
    events: Events,
    input: Vec<u8>,
    json: Vec<u8>,
    body_bytes: Vec<u8>,
    rng: Rng,
}

impl ClientPool {
    pub(crate) fn new(plan: &Plan) -> Result<Self, LoadError> {
        let run = fastrand::u64(..);
        let prefix = plan.room_names.clone().unwrap_or_else(|| format!("load-{:08x}", run as u32));
        let (all, assignment) = (plan.all_connections(), RoomAssignment::new(plan.rooms, plan.rooms_each));
        let audience = assignment.members(plan.connections);
        let senders =
            (0..plan.senders).zip(assignment.rooms_of_senders(plan.senders)).map(|(sender, room)| {
                Sender::new(sender as usize, room, audience[room as usize], plan.window_of(sender))
            });
        let streams = || (0..all).map(|_| nats::Stream::default()).collect();
        Ok(ClientPool {
            poll: Poll::new()?,
            upgrade: Upgrade::new(plan.target()?),
            body: plan.body,
            ignore_retry_after: plan.ignore_retry_after,
            connections: Vec::with_capacity(all as usize),
            readers: plan.connections as usize,
            members: Vec::with_capacity(all as usize * plan.rooms_each as usize),
            rooms_each: plan.rooms_each as usize,
            senders: senders.collect(),
            assignment,
            checker: Checker::new(plan.rooms, plan.senders, RECENT_BYTES),
            channels: plan.peer.map(|_| Channels::new(plan)),
            streams: (plan.peer == Some(Peer::Nats)).then(streams),
            rooms: (0..plan.rooms).map(|index| Room { name: room_name(&prefix, index), id: None }).collect(),
            run,
            started: Instant::now(),
            now_us: 0,
            joined: 0,
            counters: Counters::default(),
            last_progress: Instant::now(),
            join_retries: Vec::new(),
            events: Events::with_capacity(4096),
            input: vec![0; READ_BYTES],
            json: Vec::new(),
            body_bytes: Vec::new(),
            rng: Rng::with_seed(run),
        })
    }

    pub(crate) fn micros(&self) -> u64 {
        self.started.elapsed().as_micros() as u64
    }

    /// Starts one more connection. The first ones send; the last ones will pause reading.
    pub(crate) fn connect_one(&mut self, plan: &Plan) -> Result<(), LoadError> {
        let number = self.connections.len() as u32;
        let is_stalled = number >= plan.connections;
        let source = plan.source(number);
        let mut connection =
            Connection::start(self.poll.registry(), number, &self.upgrade, source, is_stalled)
                .map_err(|error| LoadError::Join { number: number as usize, why: error.to_string() })?;
        connection.sender = Some(number).filter(|&number| number < plan.senders);
        self.connections.push(connection);
        let place = if is_stalled { number - plan.connections } else { number };
        let member = if is_stalled { Member::stalled } else { Member::new };
        self.members.extend(self.assignment.rooms_of(place).map(member));
        Ok(())
    }

    pub(crate) fn rooms_each(&self) -> usize {
        self.rooms_each
    }

    pub(crate) fn memberships_of(&self, number: usize) -> &[Member] {
        &self.members[number * self.rooms_each..][..self.rooms_each]
    }

    /// Whether this connection has received everything that it should have.
    pub(crate) fn is_caught_up(&self, number: usize) -> bool {
        match &self.channels {
            Some(channels) => channels.is_caught_up(number, &self.senders),
            None => self.memberships_of(number).iter().all(|member| self.checker.is_caught_up(member)),
        }
    }

    /// Makes the stalled connections stop reading.
    pub(crate) fn pause_reading(&mut self) -> Result<(), LoadError> {
        for connection in &mut self.connections[self.readers..] {
            connection.pause_reading(self.poll.registry())?;
        }
        Ok(())
    }

    /// Makes the stalled connections read again.
    pub(crate) fn resume_reading(&mut self) -> Result<(), LoadError> {
        for connection in &mut self.connections[self.readers..] {
            connection.resume_reading(self.poll.registry())?;
        }
        Ok(())
    }

    /// Waits for socket events, at most until `until`, and handles them.
    pub(crate) fn poll_events(&mut self, until: Instant) -> Result<(), LoadError> {
        let mut events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        let timeout = until.saturating_duration_since(Instant::now()).min(Duration::from_millis(500));
        match self.poll.poll(&mut events, Some(timeout)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error.into()),
            _ => {}
        }
        for event in &events {
            self.ready(event)?;
        }
        self.events = events;
        self.retry_joins();
        Ok(())
    }

    /// Handles a socket event. A failure before `joined` ends the run; a later one is counted as a closed connection.
    fn ready(&mut self, event: &Event) -> Result<(), LoadError> {
        let number = event.token().0;
        let connection = &mut self.connections[number];
        if event.is_writable()
            && connection.is_blocked()
            && let Err(error) = connection.flush()
        {
            return self.ended(number, 1006, &error.to_string());
        }
        if event.is_readable() { self.read(number, event.is_read_closed()) } else { Ok(()) }
    }

    /// Reads from a connection. With `to_the_end` the server has closed its side, so no further event announces the remaining
    /// bytes.
    fn read(&mut self, number: usize, to_the_end: bool) -> Result<(), LoadError> {
        let mut input = std::mem::take(&mut self.input);
        let outcome = loop {
            let connection = &mut self.connections[number];
            if matches!(connection.stage, Stage::Ended) {
                break Ok(());
            }
            match connection.read(&mut input) {
                Ok(None) => break Ok(()),
                Ok(Some(0)) => break self.ended(number, 1006, "the connection ended"),
                Ok(Some(read)) => {
                    self.last_progress = Instant::now();
                    self.now_us = self.last_progress.duration_since(self.started).as_micros() as u64;
                    let outcome = self.decode_input(number, &mut input[..read]);
                    // A short read means that the socket is empty: the next bytes raise a new event.
                    if outcome.is_err() || (read < input.len() && !to_the_end) {
                        break outcome;
                    }
                }
                Err(error) => break self.ended(number, 1006, &error.to_string()),
            }
        };
        self.input = input;
        outcome
    }

    fn decode_input(&mut self, number: usize, bytes: &mut [u8]) -> Result<(), LoadError> {
        let mut input = bytes;
        let connection = &mut self.connections[number];
        if matches!(connection.stage, Stage::Upgrading(_)) {
            match connection.upgraded(input, &mut self.upgrade) {
                Ok(Some(used)) => input = &mut input[used..],
                Ok(None) => return Ok(()),
                Err(why) => return self.ended(number, 1006, &why),
            }
            if self.channels.is_some() && self.streams.is_none() {
                // A hub has no join: an open connection receives.
                self.is_member(number);
            }
        }
        // Taken out of `self`, because the message borrows it.
        let mut decoder = std::mem::replace(&mut self.connections[number].decoder, Decoder::client());
        let outcome = loop {
            if self.streams.is_none() && decoder.is_idle() {
                let used = self.receive_known_frames(number, input);
                input = &mut std::mem::take(&mut input)[used..];
            }
            match decoder.next(&mut input) {
                Ok(None) => break Ok(()),
                Ok(Some(Message::Text(text))) if self.streams.is_none() => {
                    if let Err(error) = self.receive(number, text) {
                        break Err(error);
                    }
                }
                Ok(Some(Message::Binary(bytes))) if self.streams.is_some() => {
                    self.receive_nats(number, bytes)
                }
                Ok(Some(Message::Text(_) | Message::Binary(_))) => self.checker.unexpected(),
                Ok(Some(Message::Ping(payload))) => self.queue_and_flush(number, Opcode::Pong, payload),
                Ok(Some(Message::Pong(_))) => {}
                Ok(Some(Message::Close(close))) => {
                    let (code, reason) = close.map_or((1005, ""), |(code, reason)| (code.get(), reason));
                    break self.ended(number, code, &format!("closed with {code} {reason}"));
                }
                Err(error) => break self.ended(number, 1002, &error.to_string()),
            }
        };
        self.connections[number].decoder = decoder;
        outcome
    }

    /// Handles the last `joined` of a connection.
    fn is_member(&mut self, number: usize) {
        self.connections[number].stage = Stage::Member;
        self.joined += 1;
    }

    /// The next random mask for a frame.
    fn next_mask(&mut self) -> [u8; 4] {
        self.rng.u32(..).to_le_bytes()
    }

    fn queue_and_flush(&mut self, number: usize, opcode: Opcode, payload: &[u8]) {
        let key = self.next_mask();
        self.connections[number].queue(opcode, payload, key);
        self.flush(number);
    }

    /// Writes queued bytes. The next read returns an error as well, and counts it.
    fn flush(&mut self, number: usize) {
        let _ = self.connections[number].flush();
    }

    fn ended(&mut self, number: usize, code: u16, why: &str) -> Result<(), LoadError> {
        let connection = &mut self.connections[number];
        let was_member = matches!(connection.stage, Stage::Member);
        connection.end(self.poll.registry());
        if let Some(sender) = connection.sender {
            self.senders[sender as usize].gone = true;
        }
        *self.counters.closed.entry(code).or_default() += 1;
        if was_member { Ok(()) } else { Err(LoadError::Join { number, why: why.to_owned() }) }
    }
}
