//! Writing: from cursors to a socket, with one system call per connection and turn for any number of messages.
//!
//! The outbox goes first, then the bytes between the cursors of the connection and the tips of its rooms, directly from their logs.

use std::io::{ErrorKind, IoSlice};
use std::time::Duration;

use protocol::Seq;
use room_log::{Cursor, Evicted, ReadOutcome, Window};

use super::connection::{Connection, Phase};
use super::fanout::FANOUT_SLICE;
use super::wheel::Tick;
use super::{ConnKey, Shard, ShardServices, Transport};

/// The number of bytes that one connection receives in a turn, so that a long backlog does not delay other connections.
const WRITE_BYTES: usize = 64 * 1024;
/// The number of slices in one system call; a range of a log takes up to two.
const MAX_SLICES: usize = 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FlushOutcome {
    /// Everything was written.
    Complete,
    /// The turn ended before everything was written.
    More,
    /// The socket is full.
    Blocked,
    /// The peer has disconnected.
    Gone,
}

impl<T: Transport, S: ShardServices> Shard<T, S> {
    pub(crate) fn queue_write(&mut self, index: usize) {
        let Some(connection) = self.connections.get_mut(index) else { return };
        if !connection.flags.blocked && !std::mem::replace(&mut connection.flags.write_queued, true) {
            self.scheduler.push_write(index);
        }
    }

    pub(crate) fn handle_writable(&mut self, now: Duration, index: usize) {
        self.now = now;
        let Some(connection) = self.connections.get_mut(index) else { return };
        connection.flags.blocked = false;
        self.queue_write(index);
    }

    pub(super) fn write_ready(&mut self) {
        for _ in 0..FANOUT_SLICE.min(self.scheduler.writes()) {
            let Some(index) = self.scheduler.pop_write() else { return };
            let Some(connection) = self.connections.get_mut(index) else { continue };
            connection.flags.write_queued = false;
            self.flush_connection(index);
        }
    }

    pub(super) fn flush_connection(&mut self, index: usize) {
        match self.write_once(index) {
            FlushOutcome::Gone => return self.end_connection(index),
            FlushOutcome::More => self.queue_write(index),
            FlushOutcome::Blocked => {}
            FlushOutcome::Complete => self.after_flush(index),
        }
        self.resume_io(index);
    }

    /// Makes one system call with the outbox and, up to the limits, the ranges of all rooms whose cursors lag.
    fn write_once(&mut self, index: usize) -> FlushOutcome {
        let Some(connection) = self.connections.get_mut(index) else { return FlushOutcome::Complete };
        if connection.flags.blocked {
            return FlushOutcome::Blocked;
        }
        let key = connection.key;
        let encoding = connection.encoding;
        let lagging = connection.flags.lagging;
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let (mut filled, whole_outbox) = connection.outbox.slices(&mut slices);
        let private = connection.outbox.len();
        let mut ranges: [Option<(usize, Cursor, usize)>; MAX_SLICES / 2] = [None; MAX_SLICES / 2];
        let mut count = 0;
        let mut offered: usize = slices[..filled].iter().map(|slice| slice.len()).sum();
        let mut more = !whole_outbox;
        let mut lag: Option<(usize, Evicted)> = None;
        let mut ended = None;
        if whole_outbox && connection.phase == Phase::Open {
            // Round-robin, so that one busy room does not delay the others.
            let rooms = connection.subscriptions.len();
            let first = connection.first_subscription as usize;
            connection.first_subscription = connection.first_subscription.wrapping_add(1);
            for place in (0..rooms).map(|nth| (first + nth) % rooms) {
                let subscription = &mut connection.subscriptions[place];
                if subscription.catch_up().is_some() {
                    continue;
                }
                // Checked before the log is read, which may have evicted this position.
                if subscription.end().is_some_and(|end| subscription.cursor.has_reached(end)) {
                    ended = Some(subscription.room);
                    continue;
                }
                if count == ranges.len() || filled + 2 > MAX_SLICES || offered >= WRITE_BYTES {
                    more = true;
                    break;
                }
                let Some(log) = self.rooms[subscription.room].existing_log(encoding) else { continue };
                let window =
                    Window { bytes: WRITE_BYTES - offered, end: subscription.end(), numbered_only: lagging };
                match log.read(subscription.cursor, window) {
                    ReadOutcome::Nothing(cursor) => {
                        subscription.cursor = cursor;
                        if subscription.end().is_some_and(|end| cursor.has_reached(end)) {
                            ended = Some(subscription.room);
                        }
                    }
                    ReadOutcome::Lagged(missed) => lag = lag.or(Some((subscription.room, missed))),
                    ReadOutcome::ByteRange(range) => {
                        let len = range.len();
                        for piece in range.bytes.into_iter().filter(|piece| !piece.is_empty()) {
                            slices[filled] = IoSlice::new(piece);
                            filled += 1;
                        }
                        ranges[count] = Some((place, range.start, len));
                        (count, offered) = (count + 1, offered + len);
                        // Entries after this range, or after skipped ones, are for the next turn.
                        let after = log.advance(range.start, len).cursor;
                        more |= subscription.end().is_some() || !after.has_reached(log.tip());
                    }
                }
            }
        }
        if let Some(room) = ended {
            self.detach(key, room);
            return FlushOutcome::More;
        }
        if let Some((room, missed)) = lag {
            self.handle_lag(key, room, missed);
            return FlushOutcome::More;
        }
        if offered == 0 {
            connection.flags.lagging = false;
            return FlushOutcome::Complete;
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
        for &(place, start, len) in ranges[..count].iter().flatten() {
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
            // A peer that accepts bytes from a full socket is alive.
            connection.deadlines.on_resumed_write(Tick::of(self.now));
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
        FlushOutcome::Complete
    }

    /// Handles a member whose next events were evicted: a catch-up from the store, or a gap.
    fn handle_lag(&mut self, key: ConnKey, index: usize, missed: Evicted) {
        let room = self.rooms[index].id;
        let Some(connection) = self.connection(key) else { return };
        let encoding = connection.encoding;
        let Some(subscription) = connection.subscription(index) else { return };
        // A removed member receives the events up to its end and none after it.
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
        if removed && self.exceeds_catch_up_limit(after, head) {
            // The gap must not hide the removal: the `member_left` itself comes from the store.
            let before = Seq(head.0 - 1);
            self.send_gap(key, room, after, before);
            after = before;
        }
        self.start_catch_up(key, room, after, head);
    }

    /// Continues the closing of a connection whose output was written completely.
    fn after_flush(&mut self, index: usize) {
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

    /// Resumes what waited for the outbox: reading, and the pages of catch-ups.
    pub(super) fn resume_io(&mut self, index: usize) {
        // A congested room does not delay catch-up pages; the read checks for congestion.
        let can_resume =
            |connection: &&Connection<T>| connection.phase == Phase::Open && connection.can_read();
        let Some(connection) = self.connections.get(index).filter(can_resume) else { return };
        let key = connection.key;
        let catching_up = connection
            .subscriptions
            .iter()
            .any(|subscription| subscription.catch_up().is_some_and(|catch_up| catch_up.wants_page()));
        self.queue_read(index);
        if catching_up {
            let subscriptions = &self.connections[index].subscriptions;
            let rooms: Vec<_> = subscriptions
                .iter()
                .filter(|subscription| subscription.catch_up().is_some())
                .map(|subscription| self.rooms[subscription.room].id)
                .collect();
            for room in rooms {
                self.request_page(key, room);
            }
        }
    }
}
