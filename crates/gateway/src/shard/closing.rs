//! The start and the end of connections, and the shutdown of the shard.

use std::time::Duration;

use domain::Actor;
use protocol::{Close, User, UserId, Welcome};
use websocket::CloseCode;

use super::connection::{Connection, Phase, UserState};
use super::wheel::Tick;
use super::{ConnKey, Shard, ShardServices, Transport};
use crate::codec::Codec;
use crate::handoff::{Identity, WireProtocol};
use crate::operations::{Departure, StoredPosition};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lifecycle {
    Running,
    /// Input is no longer read; pending replies are still sent.
    Draining,
    /// Every connection was sent a close frame; the close frames of the peers are read.
    Closing {
        /// The reconnect delay in the close frames.
        retry_within: Duration,
    },
}

impl Lifecycle {
    pub(super) fn is_stopping(self) -> bool {
        self != Lifecycle::Running
    }
}

impl<T: Transport, S: ShardServices> Shard<T, S> {
    /// Adds a connection. Returns its key, whose index is its epoll token.
    pub(crate) fn handle_connect(
        &mut self,
        now: Duration,
        transport: T,
        Identity { user, session, stored }: Identity,
        protocol: WireProtocol,
    ) -> ConnKey {
        self.now = now;
        let tick = Tick::of(now);
        let codec = Codec::from(protocol);
        let frame_bytes = self.settings.limits.frame_bytes;
        let User { id: user, name } = user;
        let (key, user_state) = self.connections.insert(
            user,
            |key| Connection::new(key, transport, user, codec, frame_bytes, tick),
            || UserState {
                name,
                session,
                stored,
                perhaps_stored: false,
                buckets: self.offline_buckets.take(user),
                connections: Vec::new(),
            },
        );
        user_state.stored |= stored;
        let you = user_state.user(user);
        self.metrics.connection_opened();
        let ended = session.is_some_and(|session| self.services.session_has_ended(&session));
        self.schedule(key.index, tick.after(self.settings.ping_interval));
        if ended {
            // A request that reached the writer after the end of the session would create it again.
            self.close(key, Close::SessionEnded, "the session has ended");
        } else {
            self.send_welcome(key, you);
        }
        if let Lifecycle::Closing { retry_within } = self.lifecycle {
            self.close(key, Close::GoingAway, &retry_reason(retry_within));
        }
        self.queue_read(key.index);
        key
    }

    fn send_welcome(&mut self, key: ConnKey, you: User) {
        let welcome = Welcome {
            you,
            epoch: self.epoch.clone(),
            limits: self.settings.limits,
            server: self.settings.server.to_owned(),
        };
        let Some(connection) = self.connection(key) else { return };
        let decoded = connection.codec.on_connect(welcome);
        self.handle_decoded(key, decoded);
    }

    /// Handles bytes that were read before the socket was registered with epoll.
    pub(crate) fn handle_read_ahead(&mut self, now: Duration, key: ConnKey, bytes: &mut [u8]) {
        self.now = now;
        self.decode_input(key, bytes);
    }

    /// Starts the closing handshake. No frame of a room is written after the close frame.
    pub(crate) fn close(&mut self, key: ConnKey, close: Close, reason: &str) {
        let Some(connection) = self.connection(key) else { return };
        if connection.phase != Phase::Open {
            return;
        }
        // Every code of `Close` is valid (`every_close_has_a_valid_code`).
        let code = CloseCode::new(close.code()).unwrap_or(CloseCode::INTERNAL_ERROR);
        let phase = match close {
            // After these violations the peer's further bytes cannot be interpreted.
            Close::ProtocolError | Close::InvalidPayload | Close::MessageTooBig => Phase::Draining,
            _ => Phase::Closing,
        };
        self.send_close(key, phase, &websocket::close_frame(code, reason));
    }

    /// Answers the close frame of a peer that closed first.
    pub(super) fn answer_close(&mut self, key: ConnKey, code: Option<CloseCode>) {
        let Some(connection) = self.connection(key) else { return };
        if connection.phase != Phase::Open {
            return;
        }
        self.send_close(key, Phase::Finishing, &websocket::close_reply(code));
    }

    /// Sends the last frame: due replies come before it, and nothing after it.
    fn send_close(&mut self, key: ConnKey, phase: Phase, frame: &[u8]) {
        let tick = Tick::of(self.now);
        self.detach_all(key);
        self.send_bytes(key, frame);
        let Some(connection) = self.connection(key) else { return };
        connection.phase = phase;
        connection.unread_input = None;
        connection.deadlines.on_close(tick);
        let due = tick.after(self.settings.close);
        self.schedule(key.index, due);
    }

    fn detach_all(&mut self, key: ConnKey) {
        self.persist_read_position(key);
        while let Some(room) = self
            .connection(key)
            .and_then(|connection| connection.subscriptions.first())
            .map(|first| first.room)
        {
            self.detach(key, room);
        }
    }

    /// Ends a connection. Every connection ends here: it is detached from its rooms and freed.
    pub(crate) fn end_connection(&mut self, index: usize) {
        let Some(key) = self.connections.get(index).map(|connection| connection.key) else { return };
        self.detach_all(key);
        let Some((connection, departed)) = self.connections.remove(index) else { return };
        self.release_assembly(connection.decoder.buffered());
        self.private_bytes = self.private_bytes.saturating_sub(connection.outbox.len());
        self.metrics.connection_closed();
        let user = connection.user;
        // A transient guest does not return: keeping its buckets would only push out those of users who do.
        if let Some(user_state) = departed.as_ref().filter(|user_state| !user_state.is_transient()) {
            self.offline_buckets.put(user, user_state.buckets, self.now);
        }
        if let Some(user_state) = departed.filter(UserState::is_transient) {
            // During shutdown the next start cleans up transient users. A pending join will store the user.
            let stored = user_state.stored || user_state.perhaps_stored || connection.unanswered > 0;
            if stored && self.lifecycle == Lifecycle::Running {
                self.departures.push(user_state.actor(user));
                self.submit_departures();
            }
        }
    }

    /// Submits the departures of transient guests until the writer is overloaded.
    pub(super) fn submit_departures(&mut self) {
        while let Some(actor) = self.departures.pop() {
            if !self.submit_background_write(
                actor.clone(),
                Box::new(Departure(actor.clone())),
                domain::LeaveAll.into(),
            ) {
                self.departures.requeue(actor);
                return;
            }
        }
    }

    /// Stores the read position of a client that keeps no cursors itself.
    pub(crate) fn persist_read_position(&mut self, key: ConnKey) {
        let Some(connection) = self.connection(key) else { return };
        let user = connection.user;
        let Some((room, read)) = connection.codec.stored_position() else { return };
        let Some(index) = self.rooms.index_of(room) else { return };
        let Some(seq) =
            self.connection(key).and_then(|connection| connection.subscription(index)).map(|subscription| {
                // The rest of a catch-up has not been sent yet.
                subscription.catch_up().map_or(subscription.cursor.seq(), |catch_up| catch_up.after)
            })
        else {
            return;
        };
        let Some(user_state) = self.connections.user(user).filter(|user_state| !user_state.is_transient())
        else {
            return;
        };
        if seq > read {
            let actor: Actor = user_state.actor(user);
            if self.submit_background_write(
                actor,
                Box::new(StoredPosition),
                protocol::Read { room: protocol::RoomRef::Id(room), seq }.into(),
            ) && let Some(connection) = self.connection(key)
            {
                connection.codec.set_stored_position(room, seq);
            }
        }
    }

    /// Closes the connections of a user whose session has ended. They receive no further event of any room.
    pub(crate) fn handle_session_end(&mut self, now: Duration, user: UserId) {
        self.now = now;
        let mut keys = Vec::new();
        self.connections.for_each_of(user, |connection| keys.push(connection.key));
        for key in keys {
            self.close(key, Close::SessionEnded, "the session has ended");
        }
    }

    /// Starts the shutdown: input is no longer read.
    pub(crate) fn handle_draining(&mut self, now: Duration) {
        self.now = now;
        self.lifecycle = Lifecycle::Draining;
        for key in self.connections.keys() {
            self.persist_read_position(key);
        }
    }

    /// Continues the shutdown: writes the pending output, as far as the sockets accept it, and closes every connection.
    pub(crate) fn handle_closing(&mut self, now: Duration, retry_within: Duration) {
        self.now = now;
        // Appended events are written before the close frames.
        while !self.scheduler.has_no_output() {
            self.write_ready();
            self.fanout_slice();
        }
        self.lifecycle = Lifecycle::Closing { retry_within };
        let reason = retry_reason(retry_within);
        for key in self.connections.keys() {
            if let Some(notice) = self.connection(key).and_then(|connection| connection.codec.stopping()) {
                self.send_bytes(key, &notice);
            }
            self.close(key, Close::GoingAway, &reason);
            self.queue_read(key.index);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.connections.is_empty()
    }
}

/// The reason in a close frame during shutdown, specified in docs/PROTOCOL.md.
fn retry_reason(within: Duration) -> String {
    format!("retry_within_ms={}", within.as_millis())
}

#[cfg(test)]
mod tests {
    use protocol::Close;

    #[test]
    fn every_close_has_a_valid_code() {
        for close in Close::ALL {
            assert!(websocket::CloseCode::new(close.code()).is_some(), "{close:?}");
        }
    }
}
