//! Timeouts of connections, and periodic work.

use std::time::Duration;

use protocol::{Close, RoomId};

use super::deadlines::{Activity, Check};
use super::wheel::Tick;
use super::{Query, Shard, ShardServices, Transport};
use crate::encoding::json_frame;

/// How often open rooms are compared with the store and idle ones release memory.
const ROOM_CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// A room without events for this long is idle, and releases its log.
const IDLE_ROOM_TIMEOUT: Duration = Duration::from_secs(10);
/// The number of rooms in one query for heads. It bounds the time for which the query occupies a reader.
const ROOMS_PER_QUERY: usize = 1_000;

impl<T: Transport, S: ShardServices> Shard<T, S> {
    /// Schedules a check of the connection's deadlines at `due`, unless an earlier one is scheduled.
    pub(super) fn schedule(&mut self, index: usize, due: Tick) {
        let Some(connection) = self.connections.get_mut(index) else { return };
        if due < connection.next_check {
            connection.next_check = self.wheel.schedule(index, due);
        }
    }

    /// The latest time until the next call of [`Shard::handle_timeout`].
    pub(crate) fn poll_timeout(&self) -> Duration {
        Tick::LENGTH
    }

    pub(crate) fn handle_timeout(&mut self, now: Duration) {
        self.now = now;
        let tick = Tick::of(now);
        let mut due = Vec::new();
        self.wheel.advance(tick, &mut due);
        for (index, scheduled) in due {
            // An index may have several entries, or a new connection: only the last entry is valid.
            if self.connections.get(index).is_some_and(|connection| connection.next_check == scheduled) {
                self.check_deadlines(index, tick);
            }
        }
        self.resume_throttled();
        self.request_postponed_pages();
        self.queue_due_fanouts();
        self.submit_departures();
        if self.publishes_presence {
            for frame in self.services.presence(|presence| presence.poll_frames(now)) {
                let room = frame.room;
                self.services.publish_ephemeral(room, json_frame(&protocol::ServerFrame::from(frame)).into());
            }
        }
        if now >= self.next_check {
            self.next_check = now + ROOM_CHECK_INTERVAL;
            self.check_rooms();
            self.departures.retry_failed();
        }
    }

    /// Handles the deadlines of a connection that have expired, and schedules the next check.
    fn check_deadlines(&mut self, index: usize, now: Tick) {
        let connection = &self.connections[index];
        let read_paused = self.congested_room(connection).is_some();
        let activity = Activity {
            has_incomplete_message: !connection.decoder.is_idle(),
            can_read: !read_paused && connection.can_read(),
            has_unread_input: read_paused && connection.flags.readable && !connection.flags.blocked,
        };
        let connection = &mut self.connections[index];
        let key = connection.key;
        connection.next_check = Tick::MAX;
        match connection.deadlines.check(now, activity, &self.settings) {
            Check::Expired => self.end_connection(index),
            Check::IncompleteMessage => {
                self.close(key, Close::UnfinishedMessage, "a message was not completed in time");
            }
            Check::Alive { next, ping } => {
                if ping {
                    self.send_bytes(key, &websocket::ping_frame(b""));
                }
                self.persist_read_position(key);
                self.schedule(index, next);
            }
        }
    }

    fn check_rooms(&mut self) {
        let idle_since = self.now.saturating_sub(IDLE_ROOM_TIMEOUT);
        let connections = &self.connections;
        for (index, room) in self.rooms.iter_mut() {
            room.release_if_idle(idle_since, |member, encoding| {
                let connection = connections.get(member)?;
                let subscriptions = &connection.subscriptions;
                let subscription = subscriptions.iter().find(|subscription| subscription.room == index)?;
                (connection.encoding == encoding).then_some(subscription.cursor)
            });
        }
        // Round-robin, where more rooms are open than one query contains.
        let rooms: Vec<RoomId> = self
            .rooms
            .iter()
            .filter(|(index, _)| *index >= self.next_room)
            .map(|(_, room)| room.id)
            .take(ROOMS_PER_QUERY)
            .collect();
        self.next_room = match rooms.last().and_then(|last| self.rooms.index_of(*last)) {
            Some(last) if rooms.len() == ROOMS_PER_QUERY => last + 1,
            _ => 0,
        };
        if !rooms.is_empty() {
            // If the readers are busy, the next check repeats the query.
            let _ = self.services.read(Query::Heads { rooms });
        }
    }
}
