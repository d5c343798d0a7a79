//! Fan-out: a pass over the members of a room that has new entries.
//!
//! A room with new entries is queued. A fan-out visits every member whose cursor is behind the tip and writes the bytes between its
//! cursor and the tip (`writing.rs`). New messages accumulate during a fan-out, so batches grow under load, and an idle server adds
//! no delay. A fan-out runs in slices; between them the shard reads, and serves other rooms and private replies.

use std::hint::black_box;
use std::time::Duration;

use room_log::Cursor;

use super::connection::Phase;
use super::room::{FANOUT_HIGH_WATER, Fanout};
use super::{Shard, ShardServices, Transport};

/// The number of writes in a slice: a quarter of a millisecond, at 7 µs per send. It bounds the delay of other rooms, of private
/// replies and, on machines with few cores, of other threads.
pub(super) const FANOUT_SLICE: usize = 32;
/// In a larger room, joins are delivered with the next message, or after [`JOIN_DELAY`].
const LARGE_ROOM: usize = 100;
/// The maximum delay of joins in large rooms; the interval of presence frames.
const JOIN_DELAY: Duration = Duration::from_secs(1);

impl<T: Transport, S: ShardServices> Shard<T, S> {
    /// Queues a room with a new entry that may be delayed in a large room. When thousands join within seconds, immediate delivery
    /// of each join to each member would cost more than everything else.
    pub(super) fn queue_fanout_later(&mut self, index: usize) {
        let due = self.now + JOIN_DELAY;
        let room = &mut self.rooms[index];
        if room.members.len() <= LARGE_ROOM {
            self.queue_fanout(index);
        } else if room.due.is_none() {
            // Also during a fan-out, because it has passed some members.
            room.due = Some(due);
            self.scheduler.delay_fanout(due, index);
        }
    }

    pub(super) fn queue_due_fanouts(&mut self) {
        while let Some((due, index)) = self.scheduler.pop_due_fanout(self.now) {
            // A fan-out since then has delivered the entry; a newer delay has a later due time.
            if self.rooms.get(index).is_some_and(|room| room.due == Some(due)) {
                self.queue_fanout(index);
            }
        }
    }

    pub(super) fn queue_fanout(&mut self, index: usize) {
        let room = &mut self.rooms[index];
        room.due = None;
        if let Some(fanout) = &mut room.fanout {
            fanout.again = true;
        }
        if !std::mem::replace(&mut room.queued, true) {
            self.scheduler.push_fanout(index);
        }
    }

    pub(super) fn fanout_slice(&mut self) {
        let Some(index) = self.scheduler.pop_fanout() else { return };
        let Some(room) = self.rooms.get_mut(index) else { return };
        let mut fanout = room.fanout.take().unwrap_or_else(Fanout::new);
        room.fanout = Some(fanout);
        let mut writes = 0;
        while writes < FANOUT_SLICE {
            let Some(member) = self.rooms.get(index).and_then(|room| room.members.get(fanout.next).copied())
            else {
                break;
            };
            fanout.next += 1;
            self.prefetch(index, fanout.next);
            if let Some(room) = self.rooms.get_mut(index) {
                room.fanout.get_or_insert(fanout).next = fanout.next;
            }
            if self.needs_write(member, index) {
                writes += 1;
                self.flush_connection(member);
            }
            self.record_cursor(member, index);
        }
        // The last member may have disconnected during the slice, which removed the room.
        let Some(room) = self.rooms.get_mut(index) else { return };
        if fanout.next >= room.members.len() {
            let ended = room.fanout.take().unwrap_or(fanout);
            room.lowest = ended.lowest;
            room.keeping_up = ended.keeping_up;
            // Delayed entries alone do not start another fan-out, unless they exceed the high-water mark.
            let undelivered = room.undelivered_bytes();
            room.queued =
                ended.again || undelivered > 0 && (room.due.is_none() || undelivered > FANOUT_HIGH_WATER);
            let again = room.queued;
            for member in std::mem::take(&mut room.read_paused) {
                self.resume_reading(member);
            }
            if !again {
                return;
            }
        }
        self.scheduler.push_fanout(index);
    }

    /// Resumes a connection that a room had paused. The read checks its other rooms again.
    pub(super) fn resume_reading(&mut self, index: usize) {
        if let Some(connection) = self.connections.get_mut(index) {
            connection.flags.read_paused = false;
            self.queue_read(index);
        }
    }

    /// Reads a little of the next two members, so that the processor fetches them from memory during the current write. With
    /// thousands of members, no member is still in the caches at its turn, and the loads depend on each other.
    fn prefetch(&self, index: usize, next: usize) {
        let members = &self.rooms[index].members;
        let member = |place: usize| members.get(place).and_then(|&member| self.connections.get(member));
        if let Some(second) = member(next + 1) {
            black_box((second.phase, second.first_subscription, second.outbox.len(), second.key.generation));
        }
        if let Some(first) = member(next) {
            black_box(first.subscriptions.first().map(|subscription| subscription.room));
            black_box(first.subscriptions.last().map(|subscription| subscription.room));
        }
    }

    /// Whether a member has output and its socket may accept it.
    fn needs_write(&self, member: usize, index: usize) -> bool {
        let Some(connection) = self.connections.get(member) else { return false };
        if connection.flags.blocked {
            return false;
        }
        let Some(log) = self.rooms[index].existing_log(connection.encoding) else {
            return false;
        };
        connection.subscriptions.iter().find(|subscription| subscription.room == index).is_some_and(
            |subscription| subscription.end().is_some() || !subscription.cursor.has_reached(log.tip()),
        )
    }

    fn record_cursor(&mut self, member: usize, index: usize) {
        let Some(connection) = self.connections.get(member) else { return };
        let encoding = connection.encoding as usize;
        let Some(subscription) =
            connection.subscriptions.iter().find(|subscription| subscription.room == index)
        else {
            return;
        };
        let cursor = subscription.cursor;
        // Another fan-out would not deliver more to the other members.
        let keeps_up =
            connection.phase == Phase::Open && !connection.flags.blocked && subscription.rare_state.is_none();
        if let Some(fanout) = self.rooms.get_mut(index).and_then(|room| room.fanout.as_mut()) {
            let lower = |lowest: &mut Option<Cursor>| {
                *lowest = Some(lowest.map_or(cursor, |lowest| lowest.min(cursor)));
            };
            lower(&mut fanout.lowest[encoding]);
            if keeps_up {
                lower(&mut fanout.keeping_up[encoding]);
            }
        }
    }
}
