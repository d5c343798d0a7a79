//! Handling of the frames that connections receive.

use std::ops::Range;

use websocket::Opcode;

use super::{ClientPool, JOIN_ID};
use crate::generator::checker::{Content, Index, Member};
use crate::generator::connection::Stage;
use crate::generator::counters::Counters;
use crate::generator::frame::{Frame, json_len};
use crate::generator::payload::Payload;
use crate::generator::senders::Sender;
use crate::generator::{LoadError, nats};

impl ClientPool {
    /// Consumes the frames at the start of `bytes` that another member has received. Returns their length.
    pub(super) fn receive_known_frames(&mut self, number: usize, bytes: &[u8]) -> usize {
        let is_reader = number < self.readers;
        let ClientPool {
            checker, members, connections, senders, counters, now_us, rooms_each, channels, ..
        } = self;
        let delivered = |content, senders: &mut [Sender], counters: &mut Counters| {
            if is_reader {
                counters.delivered(content, senders, *now_us);
            } else {
                counters.received += 1;
            }
        };
        if let Some(channels) = channels {
            let own = connections[number].sender;
            return channels.receive_known_frames(number, bytes, |payload| {
                delivered(Content::Message(payload), senders, counters);
                if own == Some(payload.sender) {
                    acknowledge_own_message(payload, senders, counters, *now_us);
                }
            });
        }
        let mut used = 0;
        loop {
            let before = used;
            for member in &mut members[number * *rooms_each..][..*rooms_each] {
                used += checker.receive_known_frames(member, &bytes[used..], |content| {
                    delivered(content, senders, counters)
                });
            }
            // With one room, no frame of another room can follow.
            if used == before || *rooms_each == 1 {
                return used;
            }
        }
    }

    /// Handles a text of a peer.
    fn receive_channel_text(&mut self, number: usize, text: &[u8]) {
        let Some(payload) = self.channels.as_mut().and_then(|channels| channels.receive(number, text)) else {
            return;
        };
        self.delivered(number, Content::Message(payload));
        if self.connections[number].sender == Some(payload.sender) {
            acknowledge_own_message(payload, &mut self.senders, &mut self.counters, self.now_us);
        }
    }

    /// Handles a piece of a connection's NATS stream.
    pub(super) fn receive_nats(&mut self, number: usize, bytes: &[u8]) {
        let Some(stream) = self.streams.as_mut().and_then(|streams| streams.get_mut(number)) else { return };
        // Taken out of `self`, because the message borrows it.
        let mut stream = std::mem::take(stream);
        stream.read(bytes, |payload| match payload {
            nats::ServerMessage::Info if matches!(self.connections[number].stage, Stage::Joining) => {
                let connect_commands = nats::connect_commands(&self.rooms[0].name);
                self.queue_and_flush(number, Opcode::Binary, &connect_commands);
            }
            // The reply to the ping of `connect_commands`: the subscription is active.
            nats::ServerMessage::Pong if matches!(self.connections[number].stage, Stage::Joining) => {
                self.is_member(number)
            }
            nats::ServerMessage::Ping => self.queue_and_flush(number, Opcode::Binary, nats::PONG),
            nats::ServerMessage::Message(payload) => self.receive_channel_text(number, payload),
            nats::ServerMessage::Error(why) => *self.counters.errors.entry(why.to_owned()).or_default() += 1,
            // Sent again after the server's configuration has changed.
            nats::ServerMessage::Info => {}
            nats::ServerMessage::Pong | nats::ServerMessage::Unknown => self.checker.unexpected(),
        });
        if let Some(streams) = &mut self.streams {
            streams[number] = stream;
        }
    }

    /// Handles a text message: one object, or an array of them.
    pub(super) fn receive(&mut self, number: usize, text: &str) -> Result<(), LoadError> {
        if self.channels.is_some() {
            // A hub may put several messages into one, each on its own line.
            for line in text.split('\n') {
                self.receive_channel_text(number, line.as_bytes());
            }
            return Ok(());
        }
        let Some(mut rest) = text.strip_prefix('[') else {
            return self.receive_object(number, text).map(|length| {
                if length != text.len() {
                    self.checker.unexpected();
                }
            });
        };
        loop {
            let length = self.receive_object(number, rest)?;
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

    /// Handles the JSON object at the start of `text`. Returns its length.
    fn receive_object(&mut self, number: usize, text: &str) -> Result<usize, LoadError> {
        for member in self.member_range(number) {
            if let Some((length, content)) =
                self.checker.receive_known(&mut self.members[member], text.as_bytes())
            {
                self.delivered(number, content);
                return Ok(length);
            }
        }
        let Some((frame, length)) = Frame::read(text) else {
            let Some(length) = json_len(text) else { return Ok(usize::MAX) };
            self.checker.unexpected();
            return Ok(length);
        };
        self.handle_frame(number, &frame, &text.as_bytes()[..length])?;
        Ok(length)
    }

    /// The range of the connection's members among all members.
    fn member_range(&self, number: usize) -> Range<usize> {
        number * self.rooms_each..(number + 1) * self.rooms_each
    }

    fn member_in(&self, number: usize, room: Option<&str>) -> Option<usize> {
        let is_there = |&place: &usize| self.rooms[self.members[place].room() as usize].id.as_deref() == room;
        room.and_then(|_| self.member_range(number).find(is_there))
    }

    fn handle_frame(&mut self, number: usize, frame: &Frame<'_>, bytes: &[u8]) -> Result<(), LoadError> {
        match &*frame.kind {
            "message" => self.handle_event(number, frame, bytes),
            "ok" => self.handle_ok(number, frame),
            "error" => return self.handle_error(number, frame),
            "joined" => self.handle_joined(number, frame),
            "welcome" => self.join_all(number),
            "gap" => match (self.member_in(number, frame.room), frame.from, frame.to) {
                (Some(place), Some(from), Some(to)) => self.checker.gap(&mut self.members[place], from, to),
                _ => self.checker.unexpected(),
            },
            "presence" | "typing" => {}
            // Every other numbered frame of a room is an event.
            _ => self.handle_event(number, frame, bytes),
        }
        Ok(())
    }

    fn handle_event(&mut self, number: usize, frame: &Frame<'_>, bytes: &[u8]) {
        let (Some(place), Some(seq)) = (self.member_in(number, frame.room), frame.seq) else {
            return self.checker.unexpected();
        };
        let content = match &frame.body {
            Some(body) if frame.kind == "message" => {
                Payload::read(body.as_bytes(), self.body).map_or(Content::Altered, Content::Message)
            }
            _ => Content::Notice,
        };
        if self.checker.receive(&mut self.members[place], seq, content, bytes) {
            self.delivered(number, content);
        }
    }

    /// Counts a delivery. Events to stalled connections are verified, but count neither as deliveries nor for latency.
    fn delivered(&mut self, number: usize, content: Content) {
        if number < self.readers {
            self.counters.delivered(content, &mut self.senders, self.now_us);
        } else {
            self.counters.received += 1;
        }
    }

    /// The message that a reply's `id` refers to, and when it was sent.
    fn answered(&mut self, number: usize, id: Option<u64>) -> Option<(Index, u32, u64)> {
        let sender = self.connections[number].sender?;
        let message = u32::try_from(id?.checked_sub(JOIN_ID + self.rooms_each as u64)?).ok()?;
        Some((sender, message, self.senders[sender as usize].answered(message)?))
    }

    fn handle_ok(&mut self, number: usize, frame: &Frame<'_>) {
        let (Some((sender, message, sent_us)), Some(seq)) = (self.answered(number, frame.id), frame.seq)
        else {
            return self.checker.unexpected();
        };
        let room = self.senders[sender as usize].room;
        self.checker.acknowledged(room, sender, message, seq);
        self.counters.answered(sent_us, self.now_us);
    }

    /// The join that a reply's `id` refers to.
    fn join_of(&self, id: Option<u64>) -> Option<usize> {
        let join = usize::try_from(id?.checked_sub(JOIN_ID)?).ok()?;
        (join < self.rooms_each).then_some(join)
    }

    fn handle_error(&mut self, number: usize, frame: &Frame<'_>) -> Result<(), LoadError> {
        let code = frame.code.clone().unwrap_or_default();
        // Half a second if the server does not state a delay.
        let again_us = self.now_us + frame.retry_after_ms.unwrap_or(500).saturating_mul(1000);
        let join = self.join_of(frame.id).filter(|&join| {
            matches!(self.connections[number].stage, Stage::Joining)
                && !self.members[self.member_range(number)][join].is_joined()
        });
        if let Some(join) = join {
            if !frame.retryable {
                let why = format!("{code}: {}", frame.message.as_deref().unwrap_or_default());
                return Err(LoadError::Join { number, why });
            }
            self.join_retries.push((again_us, number, join));
        } else if let Some((sender, ..)) = self.answered(number, frame.id) {
            // Not resent: a message without acknowledgement need not be delivered.
            if frame.retryable && !self.ignore_retry_after {
                self.senders[sender as usize].wait_until(again_us);
            }
        } else {
            self.checker.unexpected();
        }
        self.counters.rejected(code);
        Ok(())
    }

    fn handle_joined(&mut self, number: usize, frame: &Frame<'_>) {
        let (Some(join), Some(id), Some(head)) = (self.join_of(frame.id), frame.room, frame.head) else {
            return self.checker.unexpected();
        };
        let place = self.member_range(number).start + join;
        let member = &mut self.members[place];
        let room = &mut self.rooms[member.room() as usize];
        if member.is_joined() || room.id.get_or_insert_with(|| id.to_owned()) != id {
            return self.checker.unexpected();
        }
        self.checker.joined(member, head);
        if self.memberships_of(number).iter().all(Member::is_joined) {
            self.is_member(number);
        }
    }
}

/// Handles a message that returned to its sender: a peer sends no replies, so this is its acknowledgement.
fn acknowledge_own_message(payload: Payload, senders: &mut [Sender], counters: &mut Counters, now_us: u64) {
    if let Some(sent_us) = senders[payload.sender as usize].answered(payload.number) {
        counters.answered(sent_us, now_us);
    }
}
