//! From cursors to sockets: one write per connection and turn, however many messages it carries.
//!
//! A room with news is walked: every member whose cursor lags gets what lies between its cursor and the tip, straight from
//! the room's bytes. While the walk goes on new messages collect; so under load the batch grows by itself, and at rest there
//! is no delay. A walk runs in slices; between them the shard reads, and other rooms and private replies have their turn.

use std::hint::black_box;
use std::io::{ErrorKind, IoSlice};
use std::time::Duration;

use protocol::Seq;
use room_log::{Cursor, Evicted, ReadOutcome, Window};

use super::connection::{Connection, Phase};
use super::room::{FANOUT_HIGH_WATER, Walk};
use super::{Shard, ShardServices, Transport};

/// Writes in a slice: a quarter of a millisecond, at 7 µs for a send. So long do other rooms, private replies and, where cores are
/// few, other threads wait at most.
const FANOUT_SLICE: usize = 32;
/// What one connection gets in a turn.
const TURN_BYTES: usize = 64 * 1024;
/// Pieces of memory in one system call.
const PIECES: usize = 16;
/// In a larger room, who joined is told with the next message, or after [`WAIT_TIMEOUT`].
const LARGE_ROOM: usize = 100;
/// How long it may wait to be told who joined a large room: as often as presence is told.
const WAIT_TIMEOUT: Duration = Duration::from_secs(1);

/// How a connection's turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FlushOutcome {
    /// It has everything.
    OperationResult,
    /// Its turn was up before it had everything.
    More,
    /// Its socket takes no more for now.
    Blocked,
    /// The peer is gone.
    Gone,
}

impl<L: Transport, O: ShardServices> Shard<L, O> {
    /// The connection has something to write.
    pub(crate) fn queue_write(&mut self, index: usize) {
        let Some(connection) = self.connections.get_mut(index) else { return };
        if !connection.flags.blocked && !std::mem::replace(&mut connection.flags.in_to_write, true) {
            self.scheduler.push_write(index);
        }
    }

    /// The room has news that nobody waits for. When thousands join a large room within seconds, telling each of them of each
    /// other at once would cost more than all else together.
    pub(super) fn queue_walk_later(&mut self, index: usize) {
        let due = self.now + WAIT_TIMEOUT;
        let room = &mut self.rooms[index];
        if room.members.len() <= LARGE_ROOM {
            self.queue_walk(index);
        } else if room.due.is_none() {
            // Also while it is walked: those who have been passed lack it.
            room.due = Some(due);
            self.scheduler.delay_fanout(due, index);
        }
    }

    /// Queues the rooms that have waited long enough.
    pub(super) fn queue_due_walks(&mut self) {
        while let Some((due, index)) = self.scheduler.pop_due_fanout(self.now) {
            // One that has been walked since waits for nothing, or for later.
            if self.rooms.get(index).is_some_and(|room| room.due == Some(due)) {
                self.queue_walk(index);
            }
        }
    }

    /// The room has news.
    pub(super) fn queue_walk(&mut self, index: usize) {
        let room = &mut self.rooms[index];
        room.due = None;
        if let Some(fanout) = &mut room.fanout {
            fanout.again = true;
        }
        if !std::mem::replace(&mut room.queued, true) {
            self.scheduler.push_fanout(index);
        }
    }

    /// The socket takes bytes again.
    pub(crate) fn handle_writable(&mut self, now: Duration, index: usize) {
        self.now = now;
        let Some(connection) = self.connections.get_mut(index) else { return };
        connection.flags.blocked = false;
        self.queue_write(index);
    }

    pub(super) fn write_some(&mut self) {
        for _ in 0..FANOUT_SLICE.min(self.scheduler.writes()) {
            let Some(index) = self.scheduler.pop_write() else { return };
            let Some(connection) = self.connections.get_mut(index) else { continue };
            connection.flags.in_to_write = false;
            self.take_turn(index);
        }
    }

    /// A slice of the walk that is next.
    pub(super) fn fanout_some(&mut self) {
        let Some(index) = self.scheduler.pop_fanout() else { return };
        let Some(room) = self.rooms.get_mut(index) else { return };
        let mut fanout = room.fanout.take().unwrap_or_else(Walk::new);
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
            if self.lags(member, index) {
                writes += 1;
                self.take_turn(member);
            }
            self.note_lowest(member, index);
        }
        // The last member may have gone meanwhile, and the room with it.
        let Some(room) = self.rooms.get_mut(index) else { return };
        if fanout.next >= room.members.len() {
            let ended = room.fanout.take().unwrap_or(fanout);
            room.floors = ended.lowest;
            room.keeping_up = ended.keeping_up;
            // News that may wait is no reason to walk it again, unless it has become too much.
            let waits = room.waiting_bytes();
            room.queued = ended.again || waits > 0 && (room.due.is_none() || waits > FANOUT_HIGH_WATER);
            let again = room.queued;
            for member in std::mem::take(&mut room.read_paused) {
                self.read_again(member);
            }
            if !again {
                return;
            }
        }
        self.scheduler.push_fanout(index);
    }

    /// A room does not hold the connection back any more; when it is read, its rooms are asked anew.
    pub(super) fn read_again(&mut self, index: usize) {
        if let Some(connection) = self.connections.get_mut(index) {
            connection.flags.read_paused = false;
            self.queue_read(index);
        }
    }

    /// Reads a little of those who come after: the processor fetches them from memory while it waits for what it needs now. Where
    /// thousands are told each second nothing of a member is still in its caches when its turn comes, and one look leads to the next.
    fn prefetch(&self, index: usize, next: usize) {
        let members = &self.rooms[index].members;
        let member = |place: usize| members.get(place).and_then(|&member| self.connections.get(member));
        if let Some(second) = member(next + 1) {
            black_box((second.phase, second.next_turn, second.outbox.len(), second.key.generation));
        }
        if let Some(first) = member(next) {
            black_box(first.subscriptions.first().map(|subscription| subscription.room));
            black_box(first.subscriptions.last().map(|subscription| subscription.room));
        }
    }

    /// Whether a member has something to get that its socket may take.
    fn lags(&self, member: usize, index: usize) -> bool {
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

    fn note_lowest(&mut self, member: usize, index: usize) {
        let Some(connection) = self.connections.get(member) else { return };
        let encoding = connection.encoding as usize;
        let Some(subscription) =
            connection.subscriptions.iter().find(|subscription| subscription.room == index)
        else {
            return;
        };
        let cursor = subscription.cursor;
        // Others cannot be told more now, however often the room is walked.
        let keeps_up =
            connection.phase == Phase::Open && !connection.flags.blocked && subscription.special.is_none();
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

    /// A connection's turn, and what follows from how it ended.
    fn take_turn(&mut self, index: usize) {
        match self.write(index) {
            FlushOutcome::Gone => return self.end_connection(index),
            FlushOutcome::More => self.queue_write(index),
            FlushOutcome::Blocked => {}
            FlushOutcome::OperationResult => self.when_written(index),
        }
        self.resume_io(index);
    }

    /// One system call: the outbox, and behind it, if there is room, the runs of all rooms whose cursors lag.
    fn write(&mut self, index: usize) -> FlushOutcome {
        let Some(connection) = self.connections.get_mut(index) else { return FlushOutcome::OperationResult };
        if connection.flags.blocked {
            return FlushOutcome::Blocked;
        }
        let key = connection.key;
        let encoding = connection.encoding;
        let lagging = connection.flags.lagging;
        let mut slices = [IoSlice::new(&[]); PIECES];
        let (mut filled, whole_outbox) = connection.outbox.slices(&mut slices);
        let private = connection.outbox.len();
        let mut runs: [Option<(usize, Cursor, usize)>; PIECES / 2] = [None; PIECES / 2];
        let mut count = 0;
        let mut offered: usize = slices[..filled].iter().map(|slice| slice.len()).sum();
        let mut more = !whole_outbox;
        let mut lag: Option<(usize, Evicted)> = None;
        let mut ended = None;
        if whole_outbox && connection.phase == Phase::Open {
            // By turns, so that one busy room does not keep the others waiting.
            let rooms = connection.subscriptions.len();
            let first = connection.next_turn as usize;
            connection.next_turn = connection.next_turn.wrapping_add(1);
            for place in (0..rooms).map(|nth| (first + nth) % rooms) {
                let subscription = &mut connection.subscriptions[place];
                if subscription.catch_up().is_some() {
                    continue;
                }
                // Asked before the log is: by now that may have gone on without this place.
                if subscription.end().is_some_and(|end| subscription.cursor.has_reached(end)) {
                    ended = Some(subscription.room);
                    continue;
                }
                if count == runs.len() || filled + 2 > PIECES || offered >= TURN_BYTES {
                    more = true;
                    break;
                }
                let Some(log) = self.rooms[subscription.room].existing_log(encoding) else { continue };
                let window =
                    Window { bytes: TURN_BYTES - offered, end: subscription.end(), numbered_only: lagging };
                match log.read(subscription.cursor, window) {
                    ReadOutcome::Nothing(cursor) => {
                        subscription.cursor = cursor;
                        if subscription.end().is_some_and(|end| cursor.has_reached(end)) {
                            ended = Some(subscription.room);
                        }
                    }
                    ReadOutcome::Lagged(missed) => lag = lag.or(Some((subscription.room, missed))),
                    ReadOutcome::ByteRange(run) => {
                        let len = run.len();
                        for piece in run.bytes.into_iter().filter(|piece| !piece.is_empty()) {
                            slices[filled] = IoSlice::new(piece);
                            filled += 1;
                        }
                        runs[count] = Some((place, run.start, len));
                        (count, offered) = (count + 1, offered + len);
                        // What lies beyond this run, or beyond entries that it passes over, is for the next turn.
                        let after = log.advance(run.start, len).cursor;
                        more |= subscription.end().is_some() || !after.has_reached(log.tip());
                    }
                }
            }
        }
        if let Some(room) = ended {
            self.close_room(key, room);
            return FlushOutcome::More;
        }
        if let Some((room, missed)) = lag {
            self.handle_lag(key, room, missed);
            return FlushOutcome::More;
        }
        if offered == 0 {
            connection.flags.lagging = false;
            return FlushOutcome::OperationResult;
        }
        let written = match connection.transport.try_write_vectored(&slices[..filled]) {
            Ok(0) => return FlushOutcome::Gone,
            Ok(written) => written,
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) if error.kind() == ErrorKind::Interrupted => return FlushOutcome::More,
            Err(_) => return FlushOutcome::Gone,
        };
        let was_lagging = connection.flags.lagging;
        let mut of_rooms = written - written.min(private);
        connection.outbox.consume(written.min(private));
        self.private_bytes -= written.min(private).min(self.private_bytes);
        let mut delivered = 0;
        for &(place, start, len) in runs[..count].iter().flatten() {
            let taken = of_rooms.min(len);
            of_rooms -= taken;
            let subscription = &mut connection.subscriptions[place];
            let Some(log) = self.rooms[subscription.room].existing_log(encoding) else { continue };
            let advance = log.advance(start, taken);
            delivered += advance.cursor.seq().0.saturating_sub(subscription.cursor.seq().0);
            subscription.cursor = advance.cursor;
            for piece in advance.rest.into_iter().flatten() {
                connection.outbox.push(piece);
                self.private_bytes += piece.len();
            }
        }
        self.metrics.delivered(delivered, written as u64);
        if was_lagging && written > 0 {
            // The peer took bytes out of a full socket: it lives.
            connection.alive = super::wheel::Tick::of(self.now);
        }
        if written < offered {
            connection.flags.blocked = true;
            connection.flags.lagging = true;
            return FlushOutcome::Blocked;
        }
        if more {
            return FlushOutcome::More;
        }
        connection.flags.lagging = false;
        FlushOutcome::OperationResult
    }

    /// The log has gone on without this member: what it missed comes from the store, or is named.
    fn handle_lag(&mut self, key: super::ConnKey, index: usize, missed: Evicted) {
        let room = self.rooms[index].id;
        let Some(connection) = self.connection(key) else { return };
        let encoding = connection.encoding;
        let Some(subscription) = connection.subscription(index) else { return };
        // Whoever was removed gets what there was up to then, and not a word of what came later.
        let removed = subscription.end().is_some_and(|end| end.seq() <= missed.head);
        let (cursor, head) = match subscription.end() {
            Some(end) if removed => (end, end.seq()),
            _ => match self.rooms[index].existing_log(encoding) {
                Some(log) => (log.tip(), missed.head),
                None => return,
            },
        };
        if let Some(subscription) = self.connection(key).and_then(|connection| connection.subscription(index))
        {
            subscription.cursor = cursor;
        }
        let mut after = missed.after;
        if removed && self.is_too_much(after, head) {
            // The gap must not hide that one was removed: the end itself comes from the store.
            let before = Seq(head.0 - 1);
            self.send_gap(key, room, after, before);
            after = before;
        }
        self.start_catch_up(key, room, after, head);
    }

    /// A connection has taken everything that was private to it and everything of its rooms.
    fn when_written(&mut self, index: usize) {
        let Some(connection) = self.connections.get_mut(index) else { return };
        match connection.phase {
            Phase::Open | Phase::Closing => {}
            Phase::Draining => {
                if !std::mem::replace(&mut connection.flags.finished_writing, true) {
                    connection.transport.finish_writing();
                }
            }
            Phase::Finishing => self.end_connection(index),
        }
    }

    /// After a turn, however it ended: what had to wait for the outbox to be emptied goes on.
    pub(super) fn resume_io(&mut self, index: usize) {
        // Whether its rooms let it be read is asked when it is read: pages of a catch-up wait for no room.
        let goes_on = |it: &&Connection<L>| it.phase == Phase::Open && it.may_be_read();
        let Some(connection) = self.connections.get(index).filter(goes_on) else { return };
        let key = connection.key;
        let catching_up = connection
            .subscriptions
            .iter()
            .any(|m| m.catch_up().is_some_and(|it| !it.asked && !it.postponed));
        self.queue_read(index);
        if catching_up {
            let subscriptions = &self.connections[index].subscriptions;
            let rooms: Vec<_> = subscriptions
                .iter()
                .filter(|subscription| subscription.catch_up().is_some())
                .map(|subscription| self.rooms[subscription.room].id)
                .collect();
            for room in rooms {
                self.ask_for_page(key, room);
            }
        }
    }
}
