//! Heartbeats, deadlines, and what is done once a second.

use std::time::Duration;

use protocol::{Close, RoomId};

use super::connection::Phase;
use super::wheel::Tick;
use super::{Link, Outside, Query, Shard};
use crate::encoding::{Encoding, json_frame};

/// How often live rooms are held against the store, and quiet ones give their memory back.
const CHECK: Duration = Duration::from_secs(1);
/// A room in which nothing was said for this long is quiet.
const QUIET: Duration = Duration::from_secs(10);
/// How many rooms one check asks the store for.
const CHECKED_ROOMS: usize = 1_000;

impl<L: Link, O: Outside> Shard<L, O> {
    /// Looks at the connection again when `due` has come, if it would not be looked at before.
    pub(super) fn look_after(&mut self, index: usize, due: Tick) {
        let Some(connection) = self.connections.get_mut(index) else { return };
        if due < connection.due {
            connection.due = self.wheel.note(index, due);
        }
    }

    /// When to call [`Shard::handle_timeout`] next, at the latest.
    pub(crate) fn poll_timeout(&self) -> Duration {
        Tick::LENGTH
    }

    /// Time has passed.
    pub(crate) fn handle_timeout(&mut self, now: Duration) {
        self.now = now;
        let tick = Tick::of(now);
        let mut due = Vec::new();
        self.wheel.turn(tick, &mut due);
        for (index, noted) in due {
            // A place may have been noted twice, or have a new connection: only the last note counts.
            if self.connections.get(index).is_some_and(|connection| connection.due == noted) {
                self.check_on(index, tick);
            }
        }
        self.read_refused_again();
        self.ask_for_postponed_pages();
        self.queue_due_walks();
        self.say_farewells();
        if self.settings.tells_presence {
            for frame in self.outside.presence(|presence| presence.poll_frames(now)) {
                let room = frame.room;
                self.outside.aside(room, json_frame(&protocol::ServerFrame::from(frame)).into());
            }
        }
        if now >= self.next_check {
            self.next_check = now + CHECK;
            self.check_rooms();
            self.farewells.extend(self.failed_farewells.drain(..));
        }
    }

    /// Whatever a connection's deadlines demand now, and when to look again.
    fn check_on(&mut self, index: usize, now: Tick) {
        let (heartbeat, dead) = (self.settings.heartbeat, self.settings.dead);
        let (unfinished, wait) = (self.settings.unfinished, self.settings.close);
        let connection = &self.connections[index];
        let held_back = self.held_back_by(connection).is_some();
        let may_read = !held_back && connection.may_be_read();
        let connection = &mut self.connections[index];
        let key = connection.key;
        connection.due = Tick::of(Duration::MAX);
        if connection.phase != Phase::Open {
            if connection.closing_since.is_older_than(wait, now) {
                return self.end_connection(index);
            }
            let due = connection.closing_since.after(wait);
            return self.look_after(index, due);
        }
        if held_back && connection.flags.readable && !connection.flags.blocked {
            // It has sent something, and the room is why it has not been read.
            connection.alive = now;
        }
        if connection.alive.is_older_than(dead, now) {
            return self.end_connection(index);
        }
        let is_unfinished = !connection.decoder.is_idle();
        if !may_read {
            // What the peer has sent since is not asked for: that is not held against it.
            connection.begun = now;
        }
        if is_unfinished && connection.begun.is_older_than(unfinished, now) {
            return self.close(key, Close::UnfinishedMessage, "a message was begun and not ended");
        }
        let (alive, begun, pinged) = (connection.alive, connection.begun, connection.flags.pinged);
        let mut due = alive.after(dead);
        if !pinged {
            if alive.is_older_than(heartbeat, now) {
                connection.flags.pinged = true;
                // By then it has answered, most likely, and the next ping is due.
                due = due.min(now.after(heartbeat));
                self.say_bytes(key, &websocket::ping_frame(b""));
            } else {
                due = due.min(alive.after(heartbeat));
            }
        }
        if is_unfinished {
            due = due.min(begun.after(unfinished));
        }
        self.keep_place(key);
        self.look_after(index, due);
    }

    fn check_rooms(&mut self) {
        let quiet_since = self.now.saturating_sub(QUIET);
        let connections = &self.connections;
        for (index, room) in &mut self.rooms {
            room.release_if_quiet(quiet_since, |member, encoding| {
                let connection = connections.get(member)?;
                let memberships = &connection.memberships;
                let here = memberships.iter().find(|membership| membership.room == index)?;
                (Encoding::from(connection.speaks) == encoding).then_some(here.cursor)
            });
        }
        // By turns, where there are more rooms than are asked for at once.
        let asked: Vec<RoomId> = self
            .rooms
            .iter()
            .filter(|(index, _)| *index >= self.next_room)
            .map(|(_, room)| room.id)
            .take(CHECKED_ROOMS)
            .collect();
        self.next_room = match asked.last().and_then(|last| self.room_keys.get(last)) {
            Some(last) if asked.len() == CHECKED_ROOMS => last + 1,
            _ => 0,
        };
        if !asked.is_empty() {
            // No reader has time: the next second is soon enough.
            let _ = self.outside.read(Query::Heads { rooms: asked });
        }
    }
}
