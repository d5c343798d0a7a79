//! Heartbeats, deadlines, and what is done once a second.

use std::time::Duration;

use protocol::{Close, RoomId};

use super::connection::Phase;
use super::wheel::Tick;
use super::{Query, Shard, ShardServices, Transport};
use crate::encoding::json_frame;

/// How often live rooms are held against the store, and quiet ones give their memory back.
const CHECK: Duration = Duration::from_secs(1);
/// A room in which nothing was said for this long is quiet.
const QUIET: Duration = Duration::from_secs(10);
/// How many rooms one check asks the store for.
const CHECKED_ROOMS: usize = 1_000;

impl<L: Transport, O: ShardServices> Shard<L, O> {
    /// Looks at the connection again when `due` has come, if it would not be looked at before.
    pub(super) fn schedule(&mut self, index: usize, due: Tick) {
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
                self.check_deadlines(index, tick);
            }
        }
        self.resume_throttled();
        self.ask_for_postponed_pages();
        self.queue_due_walks();
        self.submit_deferred_leaves();
        if self.settings.tells_presence {
            for frame in self.services.presence(|presence| presence.poll_frames(now)) {
                let room = frame.room;
                self.services.aside(room, json_frame(&protocol::ServerFrame::from(frame)).into());
            }
        }
        if now >= self.next_check {
            self.next_check = now + CHECK;
            self.check_rooms();
            self.deferred_leaves.extend(self.failed_leaves.drain(..));
        }
    }

    /// Whatever a connection's deadlines demand now, and when to look again.
    fn check_deadlines(&mut self, index: usize, now: Tick) {
        let (ping_interval, websocket_idle) = (self.settings.ping_interval, self.settings.websocket_idle);
        let (message_assembly, wait) = (self.settings.message_assembly, self.settings.close);
        let connection = &self.connections[index];
        let read_paused = self.held_back_by(connection).is_some();
        let may_read = !read_paused && connection.may_be_read();
        let connection = &mut self.connections[index];
        let key = connection.key;
        connection.due = Tick::of(Duration::MAX);
        if connection.phase != Phase::Open {
            if connection.closing_since.is_older_than(wait, now) {
                return self.end_connection(index);
            }
            let due = connection.closing_since.after(wait);
            return self.schedule(index, due);
        }
        if read_paused && connection.flags.readable && !connection.flags.blocked {
            // It has sent something, and the room is why it has not been read.
            connection.alive = now;
        }
        if connection.alive.is_older_than(websocket_idle, now) {
            return self.end_connection(index);
        }
        let is_unfinished = !connection.decoder.is_idle();
        if !may_read {
            // What the peer has sent since is not asked for: that is not held against it.
            connection.begun = now;
        }
        if is_unfinished && connection.begun.is_older_than(message_assembly, now) {
            return self.close(key, Close::UnfinishedMessage, "a message was begun and not ended");
        }
        let (alive, begun, pinged) = (connection.alive, connection.begun, connection.flags.pinged);
        let mut due = alive.after(websocket_idle);
        if !pinged {
            if alive.is_older_than(ping_interval, now) {
                connection.flags.pinged = true;
                // By then it has answered, most likely, and the next ping is due.
                due = due.min(now.after(ping_interval));
                self.send_bytes(key, &websocket::ping_frame(b""));
            } else {
                due = due.min(alive.after(ping_interval));
            }
        }
        if is_unfinished {
            due = due.min(begun.after(message_assembly));
        }
        self.persist_read_position(key);
        self.schedule(index, due);
    }

    fn check_rooms(&mut self) {
        let quiet_since = self.now.saturating_sub(QUIET);
        let connections = &self.connections;
        for (index, room) in self.rooms.iter_mut() {
            room.release_if_quiet(quiet_since, |member, encoding| {
                let connection = connections.get(member)?;
                let subscriptions = &connection.subscriptions;
                let here = subscriptions.iter().find(|subscription| subscription.room == index)?;
                (connection.encoding == encoding).then_some(here.cursor)
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
        self.next_room = match asked.last().and_then(|last| self.rooms.index_of(*last)) {
            Some(last) if asked.len() == CHECKED_ROOMS => last + 1,
            _ => 0,
        };
        if !asked.is_empty() {
            // No reader has time: the next second is soon enough.
            let _ = self.services.read(Query::Heads { rooms: asked });
        }
    }
}
