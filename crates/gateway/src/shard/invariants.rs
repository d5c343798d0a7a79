//! Invariants of a shard: at any time, when it is idle, and when it is empty.

use std::collections::BTreeSet;

use protocol::{Limits, RoomId, Seq};
use room_log::{Outbox, RoomLog};

use super::{Connection, PAGE_BYTES, Shard, ShardServices, Transport};
use crate::encoding::Encoding;

/// The bound of an outbox: the threshold at which reading pauses, the replies to the commands of one message, and the pages
/// that may be in progress.
const OUTBOX_BYTES: usize = Outbox::PAUSE_BYTES
    + 256 * 1024
    + Connection::<()>::MAX_STORE_READS as usize * (Limits::HISTORY_BYTES + 2 * PAGE_BYTES);

impl<T: Transport, S: ShardServices> Shard<T, S> {
    /// Checks the bounds that hold at any time. `stored` returns the head of a room in the store.
    ///
    /// # Panics
    /// If a bound is violated.
    pub(crate) fn check_bounds(&self, stored: impl Fn(RoomId) -> Seq) {
        let mut private = 0;
        for (index, connection) in self.connections.iter() {
            private += connection.outbox.len();
            assert!(
                connection.outbox.len() <= OUTBOX_BYTES,
                "an outbox holds {} bytes",
                connection.outbox.len()
            );
            assert!(connection.unanswered <= Connection::<T>::MAX_UNANSWERED + Limits::FRAME_COMMANDS as u16);
            assert!(connection.store_reads <= Connection::<T>::MAX_STORE_READS);
            for subscription in &connection.subscriptions {
                let room = &self.rooms[subscription.room];
                assert!(room.members.contains(&index), "{} lacks a member", room.id);
                let log = room.existing_log(connection.encoding);
                let Some(tip) = log.map(RoomLog::tip) else { panic!("{} lacks a log", room.id) };
                assert!(tip.has_reached(subscription.cursor), "a cursor of {} is beyond its tip", room.id);
                assert!(subscription.cursor.seq() <= room.head());
            }
        }
        assert_eq!(self.private_bytes, private, "bytes in outboxes");
        for (_, room) in self.rooms.iter() {
            let (head, stored) = (room.head(), stored(room.id));
            assert!(
                head <= stored,
                "promise 1: {} has #{head} in memory, and #{stored} in the store",
                room.id
            );
            for encoding in Encoding::ALL {
                let Some(log) = room.existing_log(encoding) else { continue };
                assert_eq!(log.head(), head, "the logs of {} have one head", room.id);
                assert!(
                    log.len() <= RoomLog::HARD_BYTES + 2 * 64 * 1024,
                    "the log of {} is {}",
                    room.id,
                    log.len()
                );
            }
        }
    }

    /// The pending work of the shard; `None` when it is idle.
    pub(crate) fn pending_work(&self) -> Option<String> {
        let queues = [
            (self.pending.is_empty(), "replies"),
            (self.departures.is_empty(), "departures"),
            (self.postponed.is_empty(), "pages"),
            (self.throttled.is_empty(), "another tick"),
            (self.scheduler.is_idle(), "its queues"),
            (self.private_bytes == 0, "private bytes"),
        ];
        if let Some((_, what)) = queues.iter().find(|(empty, _)| !empty) {
            return Some(format!("a shard waits for {what}"));
        }
        for (_, room) in self.rooms.iter() {
            let id = room.id;
            if !(room.pending_subscriptions.is_empty() && room.pages.is_empty()) {
                return Some(format!("a connection waits for {id}"));
            }
            if room.fanout.is_some() || room.queued {
                return Some(format!("{id} has a fan-out in progress"));
            }
            if room.members.is_empty() {
                return Some(format!("{id} has no members and is open"));
            }
            let unique: BTreeSet<_> = room.members.iter().collect();
            if unique.len() != room.members.len() {
                return Some(format!("{id} has a member twice"));
            }
        }
        let buffered: usize = self.connections.iter().map(|(_, c)| c.decoder.buffered()).sum();
        if self.assembly_bytes != buffered {
            return Some(format!(
                "{} bytes of incomplete messages are counted, {buffered} exist",
                self.assembly_bytes
            ));
        }
        for (_, connection) in self.connections.iter() {
            let flags = connection.flags;
            if (connection.unanswered, connection.store_reads) != (0, 0) {
                return Some(format!("{} waits for a reply", connection.user));
            }
            if flags.blocked || flags.read_queued || flags.write_queued {
                return Some(format!("{} is not idle: {flags:?}", connection.user));
            }
            for subscription in &connection.subscriptions {
                let room = &self.rooms[subscription.room];
                let log = room.existing_log(connection.encoding);
                if subscription.rare_state.is_some() {
                    return Some(format!("{} in {}: {subscription:?}", connection.user, room.id));
                }
                if log.is_none_or(|log| !subscription.cursor.has_reached(log.tip())) {
                    return Some(format!("{} lacks the end of {}", connection.user, room.id));
                }
            }
        }
        None
    }

    /// Checks that nothing is left after the last connection has ended.
    ///
    /// # Panics
    /// If state is left.
    pub(crate) fn check_empty(&self) {
        assert!(self.connections.is_empty() && self.connections.users().next().is_none());
        assert!(self.rooms.is_empty());
        assert!(self.pending.is_empty() && self.postponed.is_empty());
        assert!(self.departures.is_empty());
        assert_eq!((self.private_bytes, self.assembly_bytes), (0, 0));
    }
}
