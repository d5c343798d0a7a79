//! All connections: how they come, what wakes them, how they end.

mod hear;
mod say;

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::{Events, Poll};
use websocket::{Decoder, Message, Opcode};

use self::say::next_mask;
use super::checker::Checker;
use super::connection::{Connection, Stage};
use super::hall::Hall;
use super::histogram::Histogram;
use super::plan::Target;
use super::senders::Sender;
use super::{LoadError, Plan};

/// What one read takes in at most. Large, since a server that is behind writes much at once.
const READ_BYTES: usize = 256 * 1024;

/// What is kept of all rooms to compare bytes with: some seconds of a busy room.
const RECENT_BYTES: usize = 32 * 1024 * 1024;

/// The `id` of a `join`; message `n` has `id` n + 2.
const JOIN_ID: u64 = 1;

/// What is counted from the beginning to the end.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Events of every kind.
    pub(crate) heard: u64,
    pub(crate) deliveries: u64,
    pub(crate) acknowledged: u64,
    pub(crate) errors: BTreeMap<String, u64>,
    pub(crate) closed: BTreeMap<u16, u64>,
}

/// What is counted only while it is measured.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    pub(crate) deliveries: u64,
    pub(crate) latency: Histogram,
    pub(crate) acknowledge: Histogram,
}

/// A room, as the server calls it.
#[derive(Debug)]
struct Room {
    name: String,
    id: Option<String>,
}

pub(crate) struct Crowd {
    pub(crate) poll: Poll,
    target: Target,
    body: usize,
    pub(crate) connections: Vec<Connection>,
    pub(crate) senders: Vec<Sender>,
    pub(crate) checker: Checker,
    /// Holds what a bare hub's members heard; the checker then has nothing to say.
    pub(crate) hall: Option<Hall>,
    rooms: Vec<Room>,
    /// In every `client_message_id`, so that two runs against one store do not meet.
    run: u64,
    begun: Instant,
    /// When the bytes at hand were read, in microseconds of the run.
    now_us: u64,
    pub(crate) joined: u32,
    pub(crate) counts: Counts,
    /// `None` while it is not measured.
    pub(crate) measured: Option<Measured>,
    /// When something last went on.
    pub(crate) last_progress: Instant,
    /// Joins that were refused for a while: when to ask again, and who.
    rejoin: Vec<(u64, usize)>,
    events: Events,
    input: Vec<u8>,
    json: Vec<u8>,
    body_bytes: Vec<u8>,
    mask: u64,
}

impl Crowd {
    pub(crate) fn new(plan: &Plan) -> Result<Self, LoadError> {
        let run = u64::from_le_bytes(crate::client::random());
        let room = |index| Room { name: format!("load-{:08x}-{index}", run as u32), id: None };
        Ok(Crowd {
            poll: Poll::new()?,
            target: plan.target()?,
            body: plan.body,
            connections: Vec::with_capacity(plan.connections as usize),
            senders: Vec::with_capacity(plan.senders as usize),
            checker: Checker::new(plan.rooms, plan.senders, RECENT_BYTES),
            hall: plan.peer.then(|| Hall::new(plan.connections, plan.senders, plan.body)),
            rooms: (0..plan.rooms).map(room).collect(),
            run,
            begun: Instant::now(),
            now_us: 0,
            joined: 0,
            counts: Counts::default(),
            measured: None,
            last_progress: Instant::now(),
            rejoin: Vec::new(),
            events: Events::with_capacity(4096),
            input: vec![0; READ_BYTES],
            json: Vec::new(),
            body_bytes: Vec::new(),
            mask: run | 1,
        })
    }

    pub(crate) fn micros(&self) -> u64 {
        self.begun.elapsed().as_micros() as u64
    }

    /// Begins one more connection; the first ones are the senders.
    pub(crate) fn connect_one(&mut self, plan: &Plan) -> Result<(), LoadError> {
        let number = self.connections.len() as u32;
        let room = number % plan.rooms;
        let mut connection =
            Connection::start(self.poll.registry(), number, &self.target, plan.source(number), room)
                .map_err(|error| LoadError::Join { number: number as usize, why: error.to_string() })?;
        if number < plan.senders {
            connection.sender = Some(number);
            self.senders.push(Sender::new(number as usize, room));
        }
        self.connections.push(connection);
        Ok(())
    }

    /// Waits, at most until `until`, for something to happen, and deals with it.
    pub(crate) fn turn(&mut self, until: Instant) -> Result<(), LoadError> {
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
        self.join_again()
    }

    /// A failure while joining ends the run; later it is one connection less, and is counted.
    fn ready(&mut self, event: &Event) -> Result<(), LoadError> {
        let number = event.token().0;
        if event.is_writable()
            && let Err(error) = self.connections[number].flush(self.poll.registry())
        {
            return self.ended(number, 1006, &error.to_string());
        }
        if event.is_readable() { self.read(number, event.is_read_closed()) } else { Ok(()) }
    }

    /// `to_the_end`: the server has written its last, so no further event will call for what is left.
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
                    self.now_us = self.micros();
                    let outcome = self.take_in(number, &mut input[..read]);
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

    fn take_in(&mut self, number: usize, bytes: &mut [u8]) -> Result<(), LoadError> {
        self.last_progress = Instant::now();
        let connection = &mut self.connections[number];
        if matches!(connection.stage, Stage::Upgrading { .. }) {
            return match connection.upgraded(bytes) {
                Ok(Some(mut rest)) => {
                    if self.hall.is_some() {
                        self.connections[number].stage = Stage::Member;
                        self.joined += 1;
                    }
                    self.take_in(number, &mut rest)
                }
                Ok(None) => Ok(()),
                Err(why) => self.ended(number, 1006, &why),
            };
        }
        // Taken out, since what it lends is looked at with all of `self`.
        let mut decoder = std::mem::replace(&mut connection.decoder, Decoder::client());
        let mut input = bytes;
        let outcome = loop {
            match decoder.next(&mut input) {
                Ok(None) => break Ok(()),
                Ok(Some(Message::Text(text))) if self.hall.is_some() => self.hear_hall(number, text),
                Ok(Some(Message::Text(text))) => {
                    if let Err(error) = self.hear(number, text) {
                        break Err(error);
                    }
                }
                Ok(Some(Message::Ping(payload))) => self.queue_and_flush(number, Opcode::Pong, payload),
                Ok(Some(Message::Pong(_))) => {}
                Ok(Some(Message::Binary(_))) => self.checker.unexpected(),
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

    fn queue_and_flush(&mut self, number: usize, opcode: Opcode, payload: &[u8]) {
        let key = next_mask(&mut self.mask);
        self.connections[number].queue(opcode, payload, key);
        self.flush(number);
    }

    /// A socket that cannot be written to will also say so to whoever reads it; there it is counted.
    fn flush(&mut self, number: usize) {
        let _ = self.connections[number].flush(self.poll.registry());
    }

    fn ended(&mut self, number: usize, code: u16, why: &str) -> Result<(), LoadError> {
        let connection = &mut self.connections[number];
        let was_member = matches!(connection.stage, Stage::Member);
        connection.end(self.poll.registry());
        if let Some(sender) = connection.sender {
            self.senders[sender as usize].gone = true;
        }
        *self.counts.closed.entry(code).or_default() += 1;
        if was_member { Ok(()) } else { Err(LoadError::Join { number, why: why.to_owned() }) }
    }
}
