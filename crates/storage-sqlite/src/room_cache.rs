//! Committed rooms with the ends of their logs, kept between transactions.

use std::collections::HashMap;

use domain::Room;
use protocol::RoomId;

use storage::Changes;

/// Committed rooms, so that a message does not read the one before it. Valid because there is a single writer.
///
/// **Invariant:** the cache is never ahead of the disk. It changes after a commit, and is cleared after every error
/// (`failed_commit_leaves_no_trace`, `full_disk_rejects_and_recovers`, `event_of_another_program_is_not_overwritten`).
#[derive(Default)]
pub(super) struct RoomCache {
    rooms: HashMap<RoomId, Room>,
}

impl RoomCache {
    /// Bounds the cache to about 2 MiB, at 100 bytes per room. A full cache is cleared, which costs each room in use one
    /// look-up.
    const CAPACITY: usize = 16 * 1024;

    pub(super) fn get(&self, room: RoomId) -> Option<&Room> {
        self.rooms.get(&room)
    }

    pub(super) fn insert(&mut self, room: Room) {
        if self.rooms.len() >= Self::CAPACITY {
            self.rooms.clear();
        }
        self.rooms.insert(room.id(), room);
    }

    pub(super) fn clear(&mut self) {
        self.rooms.clear();
    }

    /// Updates the cache after a successful commit.
    pub(super) fn committed(&mut self, changes: &Changes) {
        for event in &changes.events {
            if let Some(room) = self.rooms.get_mut(&event.room) {
                (room.head, room.n, room.last_at) = (event.seq, event.n, Some(event.at));
            }
        }
        for (room, attributes) in &changes.attributes {
            if let Some(room) = self.rooms.get_mut(room) {
                room.info.attributes = attributes.clone();
            }
        }
        for room in &changes.deleted_rooms {
            self.rooms.remove(room);
        }
    }
}
