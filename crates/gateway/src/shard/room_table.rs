//! The rooms that are open in this shard.

use std::collections::HashMap;
use std::ops::{Index, IndexMut};

use protocol::RoomId;
use slab::Slab;

use super::room::Room;

/// Rooms by their index in the shard, and the index of each id.
///
/// **Invariant:** a room is found by its id as long as it is in the table, and not after
/// (`room_is_found_by_id_until_removed`).
#[derive(Default)]
pub(crate) struct RoomTable {
    rooms: Slab<Room>,
    by_id: HashMap<RoomId, usize>,
}

impl RoomTable {
    pub(super) fn index_of(&self, room: RoomId) -> Option<usize> {
        self.by_id.get(&room).copied()
    }

    /// Adds a room that is not in the table.
    pub(super) fn insert(&mut self, room: Room) -> usize {
        let id = room.id;
        let index = self.rooms.insert(room);
        let replaced = self.by_id.insert(id, index);
        debug_assert!(replaced.is_none(), "{id} is in the table twice");
        index
    }

    pub(super) fn remove(&mut self, index: usize) -> Room {
        let room = self.rooms.remove(index);
        self.by_id.remove(&room.id);
        room
    }

    pub(super) fn get(&self, index: usize) -> Option<&Room> {
        self.rooms.get(index)
    }

    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut Room> {
        self.rooms.get_mut(index)
    }

    pub(super) fn iter(&self) -> slab::Iter<'_, Room> {
        self.rooms.iter()
    }

    pub(super) fn iter_mut(&mut self) -> slab::IterMut<'_, Room> {
        self.rooms.iter_mut()
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.rooms.is_empty() && self.by_id.is_empty()
    }
}

impl Index<usize> for RoomTable {
    type Output = Room;

    fn index(&self, index: usize) -> &Room {
        &self.rooms[index]
    }
}

impl IndexMut<usize> for RoomTable {
    fn index_mut(&mut self, index: usize) -> &mut Room {
        &mut self.rooms[index]
    }
}

#[cfg(test)]
mod tests {
    use protocol::{RoomName, Seq};

    use super::*;

    #[test]
    fn room_is_found_by_id_until_removed() {
        let mut table = RoomTable::default();
        let room = |id| Room::new(RoomId(id), RoomName::new("tea").unwrap(), Seq(0));
        let (first, second) = (table.insert(room(7)), table.insert(room(8)));
        assert_eq!((table.index_of(RoomId(7)), table.index_of(RoomId(8))), (Some(first), Some(second)));
        assert_eq!(table.remove(first).id, RoomId(7));
        assert_eq!(table.index_of(RoomId(7)), None);
        assert_eq!(table[second].id, RoomId(8));
        table.remove(second);
        assert!(table.is_empty());
    }
}
