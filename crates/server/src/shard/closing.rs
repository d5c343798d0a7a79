//! How a connection begins, and every way in which it ends; and how all of them end when the server stops.

use std::time::Duration;

use protocol::{Close, Person, UserId, Welcome};
use room_log::Outbox;
use storage::{Actor, Operation};
use websocket::{CloseCode, Decoder};

use super::connection::{Connection, Flags, Phase, UserState};
use super::wheel::Tick;
use super::{ConnKey, Shard, ShardServices, Transport};
use crate::codec::Codec;
use crate::handoff::{Identity, WireProtocol};
use crate::operations::{Departure, StoredPosition};

/// How far stopping has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stopping {
    No,
    /// Nothing is read any more; what was read is answered.
    Draining,
    /// Everybody has been told goodbye; their replies are read.
    Closing {
        /// What they were told with it.
        retry_within: Duration,
    },
}

impl Stopping {
    pub(super) fn is_quiet(self) -> bool {
        self != Stopping::No
    }
}

impl<L: Transport, O: ShardServices> Shard<L, O> {
    /// A new connection. Its place in the shard, under which its socket is to be watched.
    pub(crate) fn handle_arrival(
        &mut self,
        now: Duration,
        transport: L,
        Identity { person, session, stored }: Identity,
        speaks: WireProtocol,
    ) -> ConnKey {
        self.now = now;
        self.generation = self.generation.wrapping_add(1);
        let tick = Tick::of(now);
        let codec = Codec::from(speaks);
        let entry = self.connections.vacant_entry();
        let key = ConnKey { index: entry.key(), generation: self.generation };
        entry.insert(Connection {
            transport,
            key,
            user: person.id,
            decoder: Decoder::new(websocket::Role::Server, self.settings.limits.frame_bytes),
            outbox: Outbox::default(),
            subscriptions: Vec::new(),
            unanswered: 0,
            reading_store: 0,
            phase: Phase::Open,
            // It may be writable and readable already, and an edge comes only once.
            flags: Flags { readable: true, ..Flags::default() },
            alive: tick,
            begun: tick,
            due: Tick::of(Duration::MAX),
            closing_since: tick,
            encoding: codec.encoding(),
            codec,
            unread: None,
            next_turn: 0,
        });
        self.metrics.connection_opened();
        let ended = session.is_some_and(|session| self.services.session_has_ended(&session));
        let Person { id: user, name } = person.clone();
        let user_state = self.users.entry(user).or_insert_with(|| UserState {
            name,
            session,
            stored,
            perhaps_stored: false,
            buckets: self.offline_buckets.take(user),
            connections: Vec::new(),
        });
        user_state.stored |= stored;
        user_state.connections.push(key.index);
        let you = user_state.person(user);
        self.schedule(key.index, tick.after(self.settings.ping_interval));
        if ended {
            // No request of theirs may reach the writer after the end of their session: it would begin again.
            self.close(key, Close::SessionEnded, "the session has ended");
        } else {
            self.greet(key, you);
        }
        if let Stopping::Closing { retry_within } = self.stopping {
            self.close(key, Close::GoingAway, &come_back(retry_within));
        }
        self.queue_read(key.index);
        key
    }

    fn greet(&mut self, key: ConnKey, you: Person) {
        let welcome = Welcome {
            you,
            epoch: self.settings.epoch.clone(),
            limits: self.settings.limits,
            server: concat!("teahouse ", env!("CARGO_PKG_VERSION")).to_owned(),
        };
        let Some(connection) = self.connection(key) else { return };
        let greeting = connection.codec.greet(welcome);
        self.handle_decoded(key, greeting);
    }

    /// Bytes that came before the socket was watched.
    pub(crate) fn handle_read_ahead(&mut self, now: Duration, key: ConnKey, bytes: &mut [u8]) {
        self.now = now;
        self.decode_input(key, bytes);
    }

    /// Says goodbye. Nothing of any room is written after it.
    pub(crate) fn close(&mut self, key: ConnKey, close: Close, reason: &str) {
        let Some(connection) = self.connection(key) else { return };
        if connection.phase != Phase::Open {
            return;
        }
        // Every code of `Close` may be sent, as the test below holds.
        let code = CloseCode::new(close.code()).unwrap_or(CloseCode::INTERNAL_ERROR);
        let phase = match close {
            // After these the peer's bytes mean nothing any more.
            Close::ProtocolError | Close::InvalidPayload | Close::MessageTooBig => Phase::Draining,
            _ => Phase::Closing,
        };
        self.send_close(key, phase, &websocket::close_frame(code, reason));
    }

    /// The peer said goodbye first.
    pub(super) fn answer_close(&mut self, key: ConnKey, code: Option<CloseCode>) {
        let Some(connection) = self.connection(key) else { return };
        if connection.phase != Phase::Open {
            return;
        }
        self.send_close(key, Phase::Finishing, &websocket::close_reply(code));
    }

    /// The last that is said: replies that are due come before it, and nothing after.
    fn send_close(&mut self, key: ConnKey, phase: Phase, frame: &[u8]) {
        let tick = Tick::of(self.now);
        self.leave_rooms(key);
        self.send_bytes(key, frame);
        let Some(connection) = self.connection(key) else { return };
        connection.phase = phase;
        connection.unread = None;
        connection.closing_since = tick;
        let due = tick.after(self.settings.close);
        self.schedule(key.index, due);
    }

    fn leave_rooms(&mut self, key: ConnKey) {
        self.persist_read_position(key);
        while let Some(room) =
            self.connection(key).and_then(|connection| connection.subscriptions.first()).map(|m| m.room)
        {
            self.close_room(key, room);
        }
    }

    /// Every way in which a connection can end comes here: it is freed, and its rooms are told.
    pub(crate) fn end_connection(&mut self, index: usize) {
        let Some(key) = self.connections.get(index).map(|connection| connection.key) else { return };
        self.leave_rooms(key);
        let connection = self.connections.remove(index);
        self.forget_unfinished(connection.decoder.buffered());
        self.private_bytes = self.private_bytes.saturating_sub(connection.outbox.len());
        self.metrics.connection_closed();
        let user = connection.user;
        let Some(user_state) = self.users.get_mut(&user) else { return };
        user_state.connections.retain(|&other| other != index);
        if !user_state.connections.is_empty() {
            return;
        }
        if let Some(user_state) = self.users.remove(&user).filter(UserState::is_transient) {
            // While the server stops nobody is told: the next start tells the rooms.
            // A join that is still unanswered will store them.
            let stored = user_state.stored || user_state.perhaps_stored || connection.unanswered > 0;
            if stored && self.stopping == Stopping::No {
                self.deferred_leaves.push_back(user_state.actor(user));
                self.submit_deferred_leaves();
            }
        }
    }

    /// Guests as whom nobody can come back leave their rooms, as fast as the writer takes it.
    pub(super) fn submit_deferred_leaves(&mut self) {
        while let Some(actor) = self.deferred_leaves.pop_front() {
            if !self.submit_background_write(
                actor.clone(),
                Box::new(Departure(actor.clone())),
                Operation::LeaveAll,
            ) {
                self.deferred_leaves.push_front(actor);
                return;
            }
        }
    }

    /// For a client that keeps no cursors the store keeps its read position.
    pub(crate) fn persist_read_position(&mut self, key: ConnKey) {
        let Some(connection) = self.connection(key) else { return };
        let user = connection.user;
        let Some((room, read)) = connection.codec.stored_position() else { return };
        let Some(index) = self.rooms.index_of(room) else { return };
        let Some(seq) =
            self.connection(key).and_then(|connection| connection.subscription(index)).map(|subscription| {
                // What a catch-up still owes has not been seen.
                subscription.catch_up().map_or(subscription.cursor.seq(), |catch_up| catch_up.after)
            })
        else {
            return;
        };
        let Some(user_state) = self.users.get(&user).filter(|user_state| !user_state.is_transient()) else {
            return;
        };
        if seq > read {
            let actor: Actor = user_state.actor(user);
            if self.submit_background_write(
                actor,
                Box::new(StoredPosition),
                Operation::Read { room: protocol::RoomRef::Id(room), seq },
            ) && let Some(connection) = self.connection(key)
            {
                connection.codec.set_stored_position(room, seq);
            }
        }
    }

    /// The session has ended: its sockets hear nothing more of any room from now on.
    pub(crate) fn handle_session_end(&mut self, now: Duration, user: UserId) {
        self.now = now;
        let Some(user_state) = self.users.get(&user) else { return };
        for index in user_state.connections.clone() {
            let Some(key) = self.connections.get(index).map(|connection| connection.key) else { continue };
            self.close(key, Close::SessionEnded, "the session has ended");
        }
    }

    /// The server stops: nothing is read any more.
    pub(crate) fn handle_quiet(&mut self, now: Duration) {
        self.now = now;
        self.stopping = Stopping::Draining;
        let keys: Vec<ConnKey> = self.connections.iter().map(|(_, connection)| connection.key).collect();
        for key in keys {
            self.persist_read_position(key);
        }
    }

    /// The server stops: what was read is answered and what was said is written, as far as sockets take it; goodbye.
    pub(crate) fn handle_goodbye(&mut self, now: Duration, retry_within: Duration) {
        self.now = now;
        // What this shard has appended goes out first, to whoever takes it.
        while !self.scheduler.has_no_output() {
            self.write_some();
            self.fanout_some();
        }
        self.stopping = Stopping::Closing { retry_within };
        let reason = come_back(retry_within);
        let keys: Vec<ConnKey> = self.connections.iter().map(|(_, connection)| connection.key).collect();
        for key in keys {
            if let Some(notice) = self.connection(key).and_then(|connection| connection.codec.stopping()) {
                self.send_bytes(key, &notice);
            }
            self.close(key, Close::GoingAway, &reason);
            self.queue_read(key.index);
        }
    }

    /// Whether everybody has gone.
    pub(crate) fn is_empty(&self) -> bool {
        self.connections.is_empty()
    }
}

/// The reason of a goodbye, as docs/PROTOCOL.md has it.
fn come_back(within: Duration) -> String {
    format!("retry_within_ms={}", within.as_millis())
}

#[cfg(test)]
mod tests {
    use protocol::Close;

    #[test]
    fn every_close_has_a_valid_code() {
        for close in [
            Close::GoingAway,
            Close::ProtocolError,
            Close::UnsupportedData,
            Close::InvalidPayload,
            Close::MessageTooBig,
            Close::InternalError,
            Close::UnfinishedMessage,
            Close::Overloaded,
            Close::SessionEnded,
        ] {
            assert!(websocket::CloseCode::new(close.code()).is_some(), "{close:?}");
        }
    }
}
