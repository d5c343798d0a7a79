//! What is true of a shard whatever happens; what is true when all has come to rest; and when all have gone.

use std::collections::BTreeSet;

use protocol::{Limits, RoomId, Seq};
use room_log::{Outbox, RoomLog};

use super::{Connection, PAGE_BYTES, Shard, ShardServices, Transport};
use crate::encoding::Encoding;

/// The most that may wait for one connection: what it is paused at, the replies to one message's commands, and the pages that
/// may be under way.
const OUTBOX_BYTES: usize = Outbox::PAUSE_BYTES
    + 256 * 1024
    + Connection::<()>::MAX_STORE_READS as usize * (Limits::HISTORY_BYTES + 2 * PAGE_BYTES);

impl<L: Transport, O: ShardServices> Shard<L, O> {
    /// At any moment. `stored`: where a room's log ends in the store.
    ///
    /// # Panics
    /// When something is not as it must be.
    pub(crate) fn check_bounds(&self, stored: impl Fn(RoomId) -> Seq) {
        let mut private = 0;
        for (index, connection) in &self.connections {
            private += connection.outbox.len();
            assert!(connection.outbox.len() <= OUTBOX_BYTES, "{} wait for one", connection.outbox.len());
            assert!(connection.unanswered <= Connection::<L>::MAX_UNANSWERED + Limits::FRAME_COMMANDS as u16);
            assert!(connection.reading_store <= Connection::<L>::MAX_STORE_READS);
            for subscription in &connection.subscriptions {
                let room = &self.rooms[subscription.room];
                assert!(room.members.contains(&index), "{} does not know its member", room.id);
                let log = room.existing_log(connection.encoding);
                let Some(tip) = log.map(RoomLog::tip) else { panic!("{} lacks a log", room.id) };
                assert!(tip.has_reached(subscription.cursor), "a cursor of {} beyond its tip", room.id);
                assert!(subscription.cursor.seq() <= room.head());
            }
        }
        assert_eq!(self.private_bytes, private, "of outboxes");
        for (_, room) in self.rooms.iter() {
            let (head, stored) = (room.head(), stored(room.id));
            assert!(
                head <= stored,
                "promise 1: {} has #{head} in memory, and #{stored} in the store",
                room.id
            );
            for encoding in Encoding::ALL {
                let Some(log) = room.existing_log(encoding) else { continue };
                assert_eq!(log.head(), head, "the logs of {} are at one", room.id);
                assert!(
                    log.len() <= RoomLog::HARD_BYTES + 2 * 64 * 1024,
                    "the log of {} is {}",
                    room.id,
                    log.len()
                );
            }
        }
    }

    /// What this shard still has to do; `None` when it is at rest.
    pub(crate) fn pending_work(&self) -> Option<String> {
        let queues = [
            (self.pending.is_empty(), "answers"),
            (self.deferred_leaves.is_empty() && self.failed_leaves.is_empty(), "farewells"),
            (self.postponed.is_empty(), "pages"),
            (self.throttled.is_empty(), "another tick"),
            (self.scheduler.is_idle(), "turns"),
            (self.private_bytes == 0, "private bytes"),
        ];
        if let Some((_, what)) = queues.iter().find(|(empty, _)| !empty) {
            return Some(format!("a shard waits for {what}"));
        }
        for (_, room) in self.rooms.iter() {
            let id = room.id;
            if !(room.openings.is_empty() && room.pages.is_empty()) {
                return Some(format!("somebody waits for {id}"));
            }
            if room.fanout.is_some() || room.queued {
                return Some(format!("{id} is walked"));
            }
            if room.members.is_empty() {
                return Some(format!("{id} is deserted, and there"));
            }
            let unique: BTreeSet<_> = room.members.iter().collect();
            if unique.len() != room.members.len() {
                return Some(format!("{id} has somebody twice"));
            }
        }
        let message_assembly: usize = self.connections.iter().map(|(_, c)| c.decoder.buffered()).sum();
        if self.assembly_bytes != message_assembly {
            return Some(format!(
                "{} unfinished bytes are counted, {message_assembly} there",
                self.assembly_bytes
            ));
        }
        for (_, connection) in &self.connections {
            let flags = connection.flags;
            if (connection.unanswered, connection.reading_store) != (0, 0) {
                return Some(format!("{} waits for an answer", connection.user));
            }
            if flags.blocked || flags.in_to_read || flags.in_to_write {
                return Some(format!("{} is not at rest: {flags:?}", connection.user));
            }
            for subscription in &connection.subscriptions {
                let room = &self.rooms[subscription.room];
                let log = room.existing_log(connection.encoding);
                if subscription.special.is_some() {
                    return Some(format!("{} in {}: {subscription:?}", connection.user, room.id));
                }
                if log.is_none_or(|log| !subscription.cursor.has_reached(log.tip())) {
                    return Some(format!("{} lacks the end of {}", connection.user, room.id));
                }
            }
        }
        None
    }

    /// When all have gone.
    ///
    /// # Panics
    /// When something is left behind.
    pub(crate) fn check_deserted(&self) {
        assert!(self.connections.is_empty() && self.users.is_empty());
        assert!(self.rooms.is_empty());
        assert!(self.pending.is_empty() && self.postponed.is_empty());
        assert!(self.deferred_leaves.is_empty() && self.failed_leaves.is_empty());
        assert_eq!((self.private_bytes, self.assembly_bytes), (0, 0));
    }
}
