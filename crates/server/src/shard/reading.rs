//! From a socket to commands. All connections of a shard read into one buffer; only an unfinished message is kept.

use std::io::ErrorKind;
use std::time::Duration;

use protocol::Close;
use websocket::{Decoder, Message};

use super::connection::{Connection, Phase};
use super::wheel::Tick;
use super::{ConnKey, Shard, ShardServices, Transport};

/// What one connection is read at a turn.
pub(crate) const BUFFER_BYTES: usize = 16 * 1024;
/// Connections that are read between two rounds of writing.
const TURNS: usize = 256;
/// Unfinished messages of all connections together.
const UNFINISHED_BYTES: usize = 64 * 1024 * 1024;

impl<L: Transport, O: ShardServices> Shard<L, O> {
    /// The socket has bytes, or the peer is gone.
    pub(crate) fn handle_readable(&mut self, now: Duration, index: usize) {
        self.now = now;
        let Some(connection) = self.connections.get_mut(index) else { return };
        connection.flags.readable = true;
        self.queue_read(index);
    }

    pub(super) fn queue_read(&mut self, index: usize) {
        let Some(connection) = self.connections.get_mut(index) else { return };
        let waits = connection.flags.readable || connection.unread.is_some();
        let flags = &mut connection.flags;
        if waits && !std::mem::replace(&mut flags.in_to_read, true) {
            self.scheduler.push_read(index);
        }
    }

    pub(super) fn read_some(&mut self) {
        for _ in 0..TURNS.min(self.scheduler.reads()) {
            let Some(index) = self.scheduler.pop_read() else { return };
            let Some(connection) = self.connections.get_mut(index) else { continue };
            connection.flags.in_to_read = false;
            self.read_connection(index);
        }
    }

    /// Whether the connection may be read now. If one of its rooms has more to tell than can be told, the end of that room's walk
    /// puts it back.
    fn may_read(&mut self, index: usize) -> bool {
        let Some(connection) = self.connections.get(index) else { return false };
        let held_back_by = self.held_back_by(connection);
        let connection = &mut self.connections[index];
        if let Some(room) = held_back_by {
            // Once, in the order in which they were refused: so whoever waits longest is read first.
            if !std::mem::replace(&mut connection.flags.read_paused, true) {
                self.rooms[room].read_paused.push(index);
            }
            return false;
        }
        connection.may_be_read()
    }

    /// The room because of which the connection is not read.
    pub(super) fn held_back_by(&self, connection: &Connection<L>) -> Option<usize> {
        let rooms = connection.subscriptions.iter().map(|subscription| subscription.room);
        rooms.into_iter().find(|&room| self.rooms[room].is_congested())
    }

    /// One read. If the buffer was filled there may be more, and the connection goes to the back of the queue.
    fn read_connection(&mut self, index: usize) {
        let quiet = self.stopping.is_quiet();
        let now = Tick::of(self.now);
        let Some(connection) = self.connections.get(index) else { return };
        let discards = connection.phase != Phase::Open;
        if !discards && (quiet || !self.may_read(index)) {
            // `handle_reply`, `resume_io` and the end of a walk put it back when it may.
            return;
        }
        let connection = &mut self.connections[index];
        if let Some(mut unread) = connection.unread.take() {
            let key = connection.key;
            self.decode_input(key, &mut unread);
            return self.queue_read(index);
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        match connection.transport.try_read(&mut buffer) {
            Ok(0) => self.end_connection(index),
            Ok(len) => {
                connection.alive = now;
                connection.flags.pinged = false;
                let key = connection.key;
                // An edge-triggered socket says so once: it is read until it has no more.
                self.decode_input(key, &mut buffer[..len]);
                self.queue_read(index);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => connection.flags.readable = false,
            Err(error) if error.kind() == ErrorKind::Interrupted => self.queue_read(index),
            Err(_) => self.end_connection(index),
        }
        self.buffer = buffer;
    }

    /// Bytes of a connection: those that hyper had read ahead, or those of its socket.
    pub(super) fn decode_input(&mut self, key: ConnKey, mut bytes: &mut [u8]) {
        let Some(connection) = self.connection(key) else { return };
        // Taken out for as long as its messages borrow from it.
        let mut decoder = std::mem::replace(&mut connection.decoder, Decoder::server());
        let before = decoder.buffered();
        let mut begins = decoder.is_idle();
        loop {
            if !self.stopping.is_quiet()
                && self.connection(key).is_some_and(|connection| !connection.may_be_read())
            {
                break;
            }
            match decoder.next(&mut bytes) {
                Ok(Some(message)) => {
                    // Whatever is unfinished after a whole message was begun after it; control frames may stand inside.
                    begins |= matches!(message, Message::Text(_) | Message::Binary(_));
                    self.handle_message(key, message);
                }
                Ok(None) => break,
                Err(error) => {
                    let close = match error.close_code().get() {
                        1007 => Close::InvalidPayload,
                        1009 => Close::MessageTooBig,
                        _ => Close::ProtocolError,
                    };
                    self.close(key, close, &error.to_string());
                    break;
                }
            }
        }
        let now = Tick::of(self.now);
        let message_assembly = self.settings.message_assembly;
        let buffered = decoder.buffered();
        self.assembly_bytes = self.assembly_bytes + buffered - before.min(self.assembly_bytes + buffered);
        let too_much = buffered > 0 && self.assembly_bytes > UNFINISHED_BYTES;
        let Some(connection) = self.connection(key) else {
            self.assembly_bytes = self.assembly_bytes.saturating_sub(buffered);
            return;
        };
        let begins = begins && !decoder.is_idle();
        connection.decoder = decoder;
        if !bytes.is_empty() && connection.phase == Phase::Open {
            // At most a buffer's length: it is taken in before anything more is read.
            connection.unread = Some((*bytes).into());
        }
        if begins {
            connection.begun = now;
            self.schedule(key.index, now.after(message_assembly));
        }
        if too_much {
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
        let connection = self.connections.get_mut(key.index).filter(|connection| connection.key == key);
        let Some(connection) = connection else { return };
        let Some(user_state) = self.users.get_mut(&connection.user) else { return };
        let mut charge = |class| user_state.buckets.take(class, now, &rates);
        let decoded = connection.codec.decode(text, body_limit, &mut charge);
        self.handle_decoded(key, decoded);
    }

    pub(super) fn forget_unfinished(&mut self, bytes: usize) {
        self.assembly_bytes = self.assembly_bytes.saturating_sub(bytes);
    }
}
