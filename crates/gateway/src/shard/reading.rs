//! Reading: from a socket to commands. All connections of a shard share one read buffer; only an incomplete message is
//! buffered per connection.

use std::io::ErrorKind;
use std::time::Duration;

use protocol::Close;
use websocket::{Decoder, Message};

use super::connection::{Connection, Phase};
use super::wheel::Tick;
use super::{ConnKey, Shard, ShardServices, Transport};

/// The size of one read, into the buffer that all connections share.
pub(crate) const BUFFER_BYTES: usize = 16 * 1024;
/// The number of connections that one call reads. It bounds the delay of writing and fan-out.
const READS_PER_CALL: usize = 256;
/// **Threat:** many connections that each send the first part of a large message. The limit for the incomplete messages of all
/// connections of the shard together.
const MAX_ASSEMBLY_BYTES: usize = 64 * 1024 * 1024;

impl<T: Transport, S: ShardServices> Shard<T, S> {
    /// Handles a readable socket; also after the peer has closed it.
    pub(crate) fn handle_readable(&mut self, now: Duration, index: usize) {
        self.now = now;
        let Some(connection) = self.connections.get_mut(index) else { return };
        connection.flags.readable = true;
        self.queue_read(index);
    }

    pub(super) fn queue_read(&mut self, index: usize) {
        let Some(connection) = self.connections.get_mut(index) else { return };
        let has_input = connection.flags.readable || connection.unread_input.is_some();
        let flags = &mut connection.flags;
        if has_input && !std::mem::replace(&mut flags.read_queued, true) {
            self.scheduler.push_read(index);
        }
    }

    pub(super) fn read_ready(&mut self) {
        for _ in 0..READS_PER_CALL.min(self.scheduler.reads()) {
            let Some(index) = self.scheduler.pop_read() else { return };
            let Some(connection) = self.connections.get_mut(index) else { continue };
            connection.flags.read_queued = false;
            self.read_connection(index);
        }
    }

    /// Whether the connection may be read now. Backpressure: if one of its rooms is congested, the end of that room's fan-out
    /// resumes reading.
    fn check_readable(&mut self, index: usize) -> bool {
        let Some(connection) = self.connections.get(index) else { return false };
        let congested_room = self.congested_room(connection);
        let connection = &mut self.connections[index];
        if let Some(room) = congested_room {
            // Once per connection, in the order of the pauses: the connection that waits longest is read first.
            if !std::mem::replace(&mut connection.flags.read_paused, true) {
                self.rooms[room].read_paused.push(index);
            }
            return false;
        }
        connection.can_read()
    }

    /// The congested room because of which the connection is not read.
    pub(super) fn congested_room(&self, connection: &Connection<T>) -> Option<usize> {
        let rooms = connection.subscriptions.iter().map(|subscription| subscription.room);
        rooms.into_iter().find(|&room| self.rooms[room].is_congested())
    }

    /// Reads once, and queues the connection again, since its socket may have more input.
    fn read_connection(&mut self, index: usize) {
        let is_stopping = self.lifecycle.is_stopping();
        let now = Tick::of(self.now);
        let Some(connection) = self.connections.get(index) else { return };
        let discards = connection.phase != Phase::Open;
        if !discards && (is_stopping || !self.check_readable(index)) {
            // `handle_reply`, `resume_io` and the end of a fan-out queue it again.
            return;
        }
        let connection = &mut self.connections[index];
        if let Some(mut unread) = connection.unread_input.take() {
            let key = connection.key;
            self.decode_input(key, &mut unread);
            return self.queue_read(index);
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        match connection.transport.try_read(&mut buffer) {
            Ok(0) => self.end_connection(index),
            Ok(len) => {
                connection.deadlines.on_read(now);
                let key = connection.key;
                // An edge-triggered event is not repeated: the socket is read until it would block.
                self.decode_input(key, &mut buffer[..len]);
                self.queue_read(index);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => connection.flags.readable = false,
            Err(error) if error.kind() == ErrorKind::Interrupted => self.queue_read(index),
            Err(_) => self.end_connection(index),
        }
        self.buffer = buffer;
    }

    pub(super) fn decode_input(&mut self, key: ConnKey, mut bytes: &mut [u8]) {
        let Some(connection) = self.connection(key) else { return };
        // Taken out of the connection while its messages borrow from it.
        let mut decoder = std::mem::replace(&mut connection.decoder, Decoder::server());
        let before = decoder.buffered();
        let mut starts_message = decoder.is_idle();
        loop {
            if !self.lifecycle.is_stopping()
                && self.connection(key).is_some_and(|connection| !connection.can_read())
            {
                break;
            }
            match decoder.next(&mut bytes) {
                Ok(Some(message)) => {
                    // An incomplete message after a whole one has started in this input. Control frames may be inside a message.
                    starts_message |= matches!(message, Message::Text(_) | Message::Binary(_));
                    self.handle_message(key, message);
                }
                Ok(None) => break,
                Err(error) => {
                    let close = Close::from_code(error.close_code().get()).unwrap_or(Close::ProtocolError);
                    self.close(key, close, &error.to_string());
                    break;
                }
            }
        }
        let now = Tick::of(self.now);
        let message_assembly = self.settings.message_assembly;
        let buffered = decoder.buffered();
        self.assembly_bytes = self.assembly_bytes + buffered - before.min(self.assembly_bytes + buffered);
        let exceeds_limit = buffered > 0 && self.assembly_bytes > MAX_ASSEMBLY_BYTES;
        let Some(connection) = self.connection(key) else {
            self.assembly_bytes = self.assembly_bytes.saturating_sub(buffered);
            return;
        };
        let starts_message = starts_message && !decoder.is_idle();
        connection.decoder = decoder;
        if !bytes.is_empty() && connection.phase == Phase::Open {
            // At most the length of the read buffer: it is decoded before the next read.
            connection.unread_input = Some((*bytes).into());
        }
        if starts_message {
            connection.deadlines.on_message_start(now);
            self.schedule(key.index, now.after(message_assembly));
        }
        if exceeds_limit {
            self.close(key, Close::Overloaded, "too many unfinished messages");
        }
    }

    fn handle_message(&mut self, key: ConnKey, message: Message<'_>) {
        let Some(connection) = self.connection(key) else { return };
        let phase = connection.phase;
        match message {
            Message::Close(_) if phase == Phase::Closing => self.end_connection(key.index),
            Message::Close(received) => self.answer_close(key, received.map(|(code, _)| code)),
            _ if phase != Phase::Open => {}
            Message::Text(text) => self.handle_text(key, text),
            Message::Binary(bytes) => match connection.codec.decode_binary(bytes) {
                Some(decoded) => self.handle_decoded(key, vec![decoded]),
                None => self.close(key, Close::UnsupportedData, "this protocol has no binary messages"),
            },
            Message::Ping(payload) => self.send_bytes(key, &websocket::pong_frame(payload)),
            Message::Pong(_) => {}
        }
    }

    fn handle_text(&mut self, key: ConnKey, text: &str) {
        let body_limit = self.settings.limits.body_bytes;
        let (now, rates) = (self.now, self.settings.rates);
        let Some((connection, user_state)) = self.connections.find_with_user(key) else { return };
        let mut charge = |class| user_state.buckets.take(class, now, &rates);
        let decoded = connection.codec.decode(text, body_limit, &mut charge);
        self.handle_decoded(key, decoded);
    }

    pub(super) fn release_assembly(&mut self, bytes: usize) {
        self.assembly_bytes = self.assembly_bytes.saturating_sub(bytes);
    }
}
