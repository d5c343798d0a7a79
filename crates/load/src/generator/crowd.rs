//! All connections, and what becomes of each frame that one of them hears.

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::{Events, Poll};
use websocket::{Decoder, Message, Opcode};

use super::checker::{Checker, Content, Index};
use super::connection::{Connection, Stage};
use super::hall::Hall;
use super::histogram::Histogram;
use super::plan::Target;
use super::said::{Said, write_number};
use super::senders::Sender;
use super::wire::{Frame, value_len};
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

    /// What a bare hub says. A hub may put several messages into one, each on its line.
    fn hear_hall(&mut self, number: usize, text: &str) {
        for line in text.split('\n') {
            let Some(said) = self.hall.as_mut().and_then(|hall| hall.hear(number, line)) else { continue };
            self.delivered(Content::Message(said));
            // A hub answers nothing: what came back to its sender counts as answered.
            if self.connections[number].sender == Some(said.sender)
                && let Some(sent_us) = self.senders[said.sender as usize].answered(said.number)
            {
                self.count_answer(sent_us);
            }
        }
    }

    /// One object, or an array of them.
    fn hear(&mut self, number: usize, text: &str) -> Result<(), LoadError> {
        let Some(mut rest) = text.strip_prefix('[') else {
            return self.hear_object(number, text).map(|length| {
                if length != text.len() {
                    self.checker.unexpected();
                }
            });
        };
        loop {
            let length = self.hear_object(number, rest)?;
            match rest.as_bytes().get(length) {
                Some(b',') => rest = &rest[length + 1..],
                Some(b']') if rest.len() == length + 1 => return Ok(()),
                _ => {
                    self.checker.unexpected();
                    return Ok(());
                }
            }
        }
    }

    /// The object at the beginning of `text`: its length.
    fn hear_object(&mut self, number: usize, text: &str) -> Result<usize, LoadError> {
        let member = &mut self.connections[number].member;
        if let Some((length, content)) = self.checker.hear_same(member, text.as_bytes()) {
            self.delivered(content);
            return Ok(length);
        }
        let Some(length) = value_len(text) else { return Ok(usize::MAX) };
        match serde_json::from_str::<Frame<'_>>(&text[..length]) {
            Ok(frame) => self.hear_frame(number, &frame, &text.as_bytes()[..length])?,
            Err(_) => self.checker.unexpected(),
        }
        Ok(length)
    }

    fn hear_frame(&mut self, number: usize, frame: &Frame<'_>, bytes: &[u8]) -> Result<(), LoadError> {
        match &*frame.kind {
            "message" | "member_joined" | "member_left" | "renamed" => self.hear_event(number, frame, bytes),
            "ok" => self.hear_ok(number, frame),
            "error" => return self.hear_error(number, frame),
            "joined" => self.hear_joined(number, frame),
            "welcome" => self.join(number),
            "gap" => match (frame.from, frame.to) {
                (Some(from), Some(to)) => self.checker.gap(&mut self.connections[number].member, from, to),
                _ => self.checker.unexpected(),
            },
            "presence" | "typing" => {}
            _ => self.checker.unexpected(),
        }
        Ok(())
    }

    fn hear_event(&mut self, number: usize, frame: &Frame<'_>, bytes: &[u8]) {
        let connection = &mut self.connections[number];
        let room = &self.rooms[connection.member.room() as usize];
        let Some(seq) = frame.seq.filter(|_| frame.room.is_some() && frame.room == room.id.as_deref()) else {
            return self.checker.unexpected();
        };
        let content = match &frame.body {
            None => Content::Notice,
            Some(body) => Said::read(body.as_bytes(), self.body).map_or(Content::Altered, Content::Message),
        };
        if self.checker.hear(&mut connection.member, seq, content, bytes) {
            self.delivered(content);
        }
    }

    fn delivered(&mut self, content: Content) {
        self.counts.heard += 1;
        let Content::Message(said) = content else { return };
        self.counts.deliveries += 1;
        if let Some(measured) = &mut self.measured {
            measured.deliveries += 1;
            measured.latency.record(self.now_us.saturating_sub(said.sent_us));
        }
    }

    /// The message that a reply's `id` stands for, and when it was sent.
    fn answered(&mut self, number: usize, id: Option<u64>) -> Option<(Index, u32, u64)> {
        let sender = self.connections[number].sender?;
        let message = u32::try_from(id?.checked_sub(JOIN_ID + 1)?).ok()?;
        Some((sender, message, self.senders[sender as usize].answered(message)?))
    }

    fn hear_ok(&mut self, number: usize, frame: &Frame<'_>) {
        let (Some((sender, message, sent_us)), Some(seq)) = (self.answered(number, frame.id), frame.seq)
        else {
            return self.checker.unexpected();
        };
        let room = self.senders[sender as usize].room;
        self.checker.acknowledged(room, sender, message, seq);
        self.count_answer(sent_us);
    }

    fn count_answer(&mut self, sent_us: u64) {
        self.counts.acknowledged += 1;
        if let Some(measured) = &mut self.measured {
            measured.acknowledge.record(self.now_us.saturating_sub(sent_us));
        }
    }

    /// Whether this member has heard all that it should have by now.
    pub(crate) fn is_caught_up(&self, number: usize) -> bool {
        match &self.hall {
            Some(hall) => hall.is_caught_up(number, &self.senders),
            None => self.checker.is_caught_up(&self.connections[number].member),
        }
    }

    fn hear_error(&mut self, number: usize, frame: &Frame<'_>) -> Result<(), LoadError> {
        let code = frame.code.clone().unwrap_or_default();
        // Half a second where the server does not say.
        let again_us = self.now_us + frame.retry_after_ms.unwrap_or(500).saturating_mul(1000);
        let joining = matches!(self.connections[number].stage, Stage::Joining) && frame.id == Some(JOIN_ID);
        if joining && frame.retryable {
            self.rejoin.push((again_us, number));
        } else if joining {
            let why = format!("{code}: {}", frame.message.as_deref().unwrap_or_default());
            return Err(LoadError::Join { number, why });
        } else if let Some((sender, ..)) = self.answered(number, frame.id) {
            // Not sent again: it was not acknowledged, so nothing is owed.
            if frame.retryable {
                self.senders[sender as usize].wait_until(again_us);
            }
        } else {
            self.checker.unexpected();
        }
        *self.counts.errors.entry(code).or_default() += 1;
        Ok(())
    }

    fn join(&mut self, number: usize) {
        let room = &self.rooms[self.connections[number].member.room() as usize];
        let json = format!(r#"{{"type":"join","id":{JOIN_ID},"room":"{}"}}"#, room.name);
        self.queue_and_flush(number, Opcode::Text, json.as_bytes());
    }

    fn join_again(&mut self) -> Result<(), LoadError> {
        if self.rejoin.is_empty() {
            return Ok(());
        }
        let now = self.micros();
        let (due, later) = std::mem::take(&mut self.rejoin).into_iter().partition(|&(at, _)| at <= now);
        self.rejoin = later;
        let due: Vec<(u64, usize)> = due;
        for (_, number) in due {
            self.join(number);
        }
        Ok(())
    }

    fn hear_joined(&mut self, number: usize, frame: &Frame<'_>) {
        let connection = &mut self.connections[number];
        let room = &mut self.rooms[connection.member.room() as usize];
        let (Some(id), Some(head), Stage::Joining) = (frame.room, frame.head, &connection.stage) else {
            return self.checker.unexpected();
        };
        if room.id.get_or_insert_with(|| id.to_owned()) != id {
            return self.checker.unexpected();
        }
        connection.stage = Stage::Member;
        self.joined += 1;
        self.checker.joined(&mut connection.member, head);
    }

    /// Queues `count` messages of a sender and writes them in one go.
    pub(crate) fn send(&mut self, sender: Index, count: u32) {
        let state = &mut self.senders[sender as usize];
        let number = state.connection;
        let room = self.rooms[state.room as usize].id.as_deref().unwrap_or_default();
        let now_us = self.begun.elapsed().as_micros() as u64;
        for _ in 0..count {
            let message = state.send(now_us);
            self.body_bytes.clear();
            Said { sender, number: message, sent_us: now_us }.write(self.body, &mut self.body_bytes);
            let json = &mut self.json;
            json.clear();
            if self.hall.is_some() {
                Hall::write(&self.body_bytes, json);
                let key = next_mask(&mut self.mask);
                self.connections[number].queue(Opcode::Text, json, key);
                continue;
            }
            json.extend_from_slice(br#"{"type":"send","id":"#);
            write_number(u64::from(message) + JOIN_ID + 1, json);
            json.extend_from_slice(br#","room":""#);
            json.extend_from_slice(room.as_bytes());
            json.extend_from_slice(br#"","client_message_id":""#);
            for part in [self.run, sender.into(), message.into()] {
                write_number(part, json);
                json.push(b'-');
            }
            json.pop();
            json.extend_from_slice(br#"","body":""#);
            json.extend_from_slice(&self.body_bytes);
            json.extend_from_slice(br#""}"#);
            let key = next_mask(&mut self.mask);
            self.connections[number].queue(Opcode::Text, json, key);
        }
        self.flush(number);
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

/// Xorshift: masks hide nothing here, they only have to differ.
fn next_mask(state: &mut u64) -> [u8; 4] {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state as u32).to_le_bytes()
}
