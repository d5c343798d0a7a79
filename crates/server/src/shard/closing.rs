//! How a connection begins, and every way in which it ends; and how all of them end when the server stops.

use std::time::Duration;

use protocol::{Close, Person, UserId, Welcome};
use room_log::Outbox;
use domain::SessionBuckets;
use storage::{Author, Write};
use websocket::{CloseCode, Decoder};

use super::connection::{Being, Connection, Flags, Lines, Phase};
use super::wheel::Tick;
use super::{ConnKey, Link, Outside, Purpose, Shard};
use crate::arrival::{Identity, Speaks};
use crate::{commands, plain_text};

/// How far stopping has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stopping {
    No,
    /// Nothing is read any more; what was read is answered.
    Quiet,
    /// Everybody has been told goodbye; their replies are read.
    Goodbye {
        /// What they were told with it.
        retry_within: Duration,
    },
}

impl Stopping {
    pub(super) fn is_quiet(self) -> bool {
        self != Stopping::No
    }
}

impl<L: Link, O: Outside> Shard<L, O> {
    /// A new connection. Its place in the shard, under which its socket is to be watched.
    pub(crate) fn handle_arrival(
        &mut self,
        now: Duration,
        link: L,
        Identity { person, session, stored }: Identity,
        speaks: Speaks,
    ) -> ConnKey {
        self.now = now;
        self.generation = self.generation.wrapping_add(1);
        let tick = Tick::of(now);
        let entry = self.connections.vacant_entry();
        let key = ConnKey { index: entry.key(), generation: self.generation };
        entry.insert(Connection {
            link,
            key,
            user: person.id,
            decoder: Decoder::new(websocket::Role::Server, self.settings.limits.frame_bytes),
            outbox: Outbox::default(),
            memberships: Vec::new(),
            unanswered: 0,
            reading_store: 0,
            phase: Phase::Open,
            // It may be writable and readable already, and an edge comes only once.
            flags: Flags { readable: true, ..Flags::default() },
            alive: tick,
            begun: tick,
            due: Tick::of(Duration::MAX),
            closing_since: tick,
            speaks,
            lines: None,
            unread: None,
            next_turn: 0,
        });
        self.metrics.connection_opened();
        let ended = session.is_some_and(|session| self.outside.session_has_ended(&session));
        let Person { id: user, name } = person.clone();
        let being = self.beings.entry(user).or_insert_with(|| Being {
            name,
            session,
            stored,
            perhaps_stored: false,
            buckets: SessionBuckets::default(),
            connections: Vec::new(),
        });
        being.stored |= stored;
        being.connections.push(key.index);
        let you = being.person(user);
        self.look_after(key.index, tick.after(self.settings.heartbeat));
        match speaks {
            // Not a word of theirs may come to the writer behind the end of their session: it would begin anew.
            _ if ended => self.close(key, Close::SessionEnded, "the session has ended"),
            Speaks::Json => {
                let welcome = Welcome {
                    you,
                    epoch: self.settings.epoch.clone(),
                    limits: self.settings.limits,
                    server: concat!("teahouse ", env!("CARGO_PKG_VERSION")).to_owned(),
                };
                self.say(key, welcome.into());
            }
            Speaks::PlainText(language) => {
                let lobby = commands::lobby();
                if let Some(connection) = self.connection(key) {
                    connection.lines =
                        Some(Box::new(Lines { room: lobby, asked: 0, allowed: None, joins: 0, read: None }));
                }
                plain_text::greet(self, key, language, &you);
            }
            #[cfg(feature = "echo")]
            Speaks::Echo => {}
        }
        if let Stopping::Goodbye { retry_within } = self.stopping {
            self.close(key, Close::GoingAway, &come_back(retry_within));
        }
        self.queue_read(key.index);
        key
    }

    /// Bytes that came before the socket was watched.
    pub(crate) fn handle_read_ahead(&mut self, now: Duration, key: ConnKey, bytes: &mut [u8]) {
        self.now = now;
        self.take_in(key, bytes);
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
        self.say_goodbye(key, phase, &websocket::close_frame(code, reason));
    }

    /// The peer said goodbye first.
    pub(super) fn answer_close(&mut self, key: ConnKey, code: Option<CloseCode>) {
        let Some(connection) = self.connection(key) else { return };
        if connection.phase != Phase::Open {
            return;
        }
        self.say_goodbye(key, Phase::Finishing, &websocket::close_reply(code));
    }

    /// The last that is said: replies that are due come before it, and nothing after.
    fn say_goodbye(&mut self, key: ConnKey, phase: Phase, frame: &[u8]) {
        let tick = Tick::of(self.now);
        self.leave_rooms(key);
        self.say_bytes(key, frame);
        let Some(connection) = self.connection(key) else { return };
        connection.phase = phase;
        connection.unread = None;
        connection.closing_since = tick;
        let due = tick.after(self.settings.close);
        self.look_after(key.index, due);
    }

    fn leave_rooms(&mut self, key: ConnKey) {
        self.keep_place(key);
        while let Some(room) =
            self.connection(key).and_then(|connection| connection.memberships.first()).map(|m| m.room)
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
        let Some(being) = self.beings.get_mut(&user) else { return };
        being.connections.retain(|&other| other != index);
        if !being.connections.is_empty() {
            return;
        }
        if let Some(being) = self.beings.remove(&user).filter(Being::is_transient) {
            // While the server stops nobody is told: the next start tells the rooms.
            // A join that is still unanswered will store them.
            let stored = being.stored || being.perhaps_stored || connection.unanswered > 0;
            if stored && self.stopping == Stopping::No {
                self.farewells.push_back(being.author(user));
                self.say_farewells();
            }
        }
    }

    /// Guests as whom nobody can come back leave their rooms, as fast as the writer takes it.
    pub(super) fn say_farewells(&mut self) {
        while let Some(author) = self.farewells.pop_front() {
            if !self.ask_writer_quietly(author.clone(), Purpose::Farewell(author.clone()), Write::LeaveAll) {
                self.farewells.push_front(author);
                return;
            }
        }
    }

    /// The store could not do it: in a second it is asked again.
    pub(crate) fn farewell_failed(&mut self, author: Author) {
        self.failed_farewells.push(author);
    }

    /// A plain-text client names no cursor when it comes back: the store keeps its place.
    pub(crate) fn keep_place(&mut self, key: ConnKey) {
        let Some(connection) = self.connection(key) else { return };
        let user = connection.user;
        let Some(lines) = &connection.lines else { return };
        let Some((room, read)) = lines.read else { return };
        let Some(&index) = self.room_keys.get(&room) else { return };
        let Some(seq) =
            self.connection(key).and_then(|connection| connection.membership(index)).map(|membership| {
                // What a catch-up still owes has not been seen.
                membership.catch_up().map_or(membership.cursor.seq(), |catch_up| catch_up.after)
            })
        else {
            return;
        };
        let Some(being) = self.beings.get(&user).filter(|being| !being.is_transient()) else { return };
        if seq > read {
            let author: Author = being.author(user);
            if self.ask_writer_quietly(
                author,
                Purpose::Nobody,
                Write::Read { room: protocol::RoomRef::Id(room), seq },
            ) && let Some(lines) = self.connection(key).and_then(|connection| connection.lines.as_mut())
            {
                lines.read = Some((room, seq));
            }
        }
    }

    /// The session has ended: its sockets hear nothing more of any room from now on.
    pub(crate) fn handle_session_end(&mut self, now: Duration, user: UserId) {
        self.now = now;
        let Some(being) = self.beings.get(&user) else { return };
        for index in being.connections.clone() {
            let Some(key) = self.connections.get(index).map(|connection| connection.key) else { continue };
            self.close(key, Close::SessionEnded, "the session has ended");
        }
    }

    /// The server stops: nothing is read any more.
    pub(crate) fn handle_quiet(&mut self, now: Duration) {
        self.now = now;
        self.stopping = Stopping::Quiet;
        let keys: Vec<ConnKey> = self.connections.iter().map(|(_, connection)| connection.key).collect();
        for key in keys {
            self.keep_place(key);
        }
    }

    /// The server stops: what was read is answered and what was said is written, as far as sockets take it; goodbye.
    pub(crate) fn handle_goodbye(&mut self, now: Duration, retry_within: Duration) {
        self.now = now;
        // What this shard has appended goes out first, to whoever takes it.
        while !(self.to_write.is_empty() && self.to_walk.is_empty()) {
            self.write_some();
            self.walk_some();
        }
        self.stopping = Stopping::Goodbye { retry_within };
        let reason = come_back(retry_within);
        let keys: Vec<ConnKey> = self.connections.iter().map(|(_, connection)| connection.key).collect();
        for key in keys {
            plain_text::say_stopping(self, key);
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
    fn every_goodbye_has_a_code_that_may_be_sent() {
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
