//! Facts as they are committed, kept between batches: a message to a room then costs no look-up of the room and of its sender.

use std::collections::{HashMap, HashSet};

use domain::{Fact, Room, World};
use protocol::{RoomId, RoomRef, UserId, UserName};
use storage::Changes;

/// Rooms, members and users' names as they are committed.
///
/// **Invariant:** never different from the database. One process writes (`lock.rs`), all its changes pass through
/// [`FactCache::committed`], and every error clears the cache (`foreign_event_is_noticed_after_one_failure`). It belongs to the
/// session that holds the lock, and ends with it: another process may have written before the next session has the lock
/// (`changes_of_another_process_are_seen_with_a_new_session`). For the same reason no row is locked.
///
/// Only what exists is kept, not that something is absent.
#[derive(Default)]
pub(crate) struct FactCache {
    rooms: HashMap<RoomId, CachedRoom>,
    users: HashMap<UserId, UserName>,
    members: usize,
}

struct CachedRoom {
    room: Room,
    /// Those that were looked up; each is in `users`.
    members: HashSet<UserId>,
}

impl FactCache {
    /// Rooms, names and memberships, each: 200 bytes of all three, 12 MiB. A full cache is cleared, which costs one look-up of what
    /// is in use.
    const CAPACITY: usize = 64 * 1024;

    /// Whether [`FactCache::load`] records the fact.
    pub(crate) fn has(&self, fact: &Fact) -> bool {
        match fact {
            Fact::Room(RoomRef::Id(room)) => self.rooms.contains_key(room),
            Fact::Member(RoomRef::Id(room), user) => self.is_member(*room, *user),
            Fact::User(user) => self.users.contains_key(user),
            _ => false,
        }
    }

    /// Records the fact, if it is cached.
    pub(crate) fn load(&self, fact: &Fact, world: &mut World) {
        match fact {
            Fact::Room(reference @ RoomRef::Id(room)) => {
                if let Some(cached) = self.rooms.get(room) {
                    world.load_room(reference, Some(cached.room.clone()));
                }
            }
            Fact::Member(RoomRef::Id(room), user) if self.is_member(*room, *user) => {
                world.load_member(*room, *user, self.users.get(user).cloned());
            }
            Fact::User(user) => {
                if let Some(name) = self.users.get(user) {
                    world.load_user(*user, Some(name.clone()));
                }
            }
            _ => {}
        }
    }

    fn is_member(&self, room: RoomId, user: UserId) -> bool {
        self.rooms.get(&room).is_some_and(|cached| cached.members.contains(&user))
    }

    /// Adds a room that was looked up.
    pub(crate) fn insert_room(&mut self, room: Room) {
        self.make_space();
        self.rooms.entry(room.id()).or_insert_with(|| CachedRoom { room, members: HashSet::new() });
    }

    /// Adds a user who was looked up.
    pub(crate) fn insert_user(&mut self, user: UserId, name: UserName) {
        self.make_space();
        self.users.insert(user, name);
    }

    /// Adds a member who was looked up, if the room is cached.
    pub(crate) fn insert_member(&mut self, room: RoomId, user: UserId, name: UserName) {
        self.insert_user(user, name);
        if let Some(cached) = self.rooms.get_mut(&room)
            && cached.members.insert(user)
        {
            self.members += 1;
        }
    }

    fn make_space(&mut self) {
        let fullest = self.members.max(self.users.len()).max(self.rooms.len());
        if fullest >= Self::CAPACITY {
            self.clear();
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        *self = FactCache::default();
    }

    /// Follows a commit.
    pub(crate) fn committed(&mut self, changes: &Changes) {
        for event in &changes.events {
            if let Some(cached) = self.rooms.get_mut(&event.room) {
                let room = &mut cached.room;
                (room.head, room.n, room.last_at) = (event.seq, event.n, Some(event.at));
            }
        }
        for (room, attributes) in &changes.attributes {
            if let Some(cached) = self.rooms.get_mut(room) {
                cached.room.info.attributes = attributes.clone();
            }
        }
        for (user, name) in &changes.names {
            if let Some(cached) = self.users.get_mut(user) {
                *cached = name.clone();
            }
        }
        let ended = changes.memberships.iter().filter(|(_, since)| since.is_none());
        for ((room, user), _) in ended {
            if self.rooms.get_mut(room).is_some_and(|cached| cached.members.remove(user)) {
                self.members -= 1;
            }
        }
        for room in &changes.deleted_rooms {
            self.members -= self.rooms.remove(room).map_or(0, |cached| cached.members.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use protocol::{
        Event, EventKind, MessageBody, MessageCount, RoomAttributes, RoomName, Seq, Timestamp, Topic, User,
    };

    use super::*;

    const TEA: RoomId = RoomId(7);
    const ANNA: UserId = UserId(1);

    fn name(text: &str) -> UserName {
        UserName::new(text).unwrap()
    }

    /// Anna is a member of the room.
    fn cache() -> FactCache {
        let mut cache = FactCache::default();
        cache.insert_room(Room::new(TEA, RoomName::new("tea").unwrap()));
        cache.insert_member(TEA, ANNA, name("Anna"));
        cache
    }

    fn is_member() -> Fact {
        Fact::Member(RoomRef::Id(TEA), ANNA)
    }

    /// What a batch sees.
    fn world(cache: &FactCache) -> World {
        let mut world = World::default();
        for fact in [Fact::Room(RoomRef::Id(TEA)), is_member(), Fact::User(ANNA)] {
            assert!(cache.has(&fact), "{fact:?}");
            cache.load(&fact, &mut world);
        }
        world
    }

    #[test]
    fn cached_facts_follow_a_commit() {
        let mut cache = cache();
        let kind =
            EventKind::Message { client_message_id: None, body: MessageBody::new("hello", 100).unwrap() };
        let (by, at) = (User { id: ANNA, name: name("Anna") }, Timestamp(5));
        let event = Event { kind, room: TEA, seq: Seq(4), n: MessageCount(3), by, at };
        let attributes = RoomAttributes { topic: Topic::new("green").unwrap(), ..RoomAttributes::default() };
        let mut changes = Changes::default();
        changes.events.push(Arc::new(event));
        changes.attributes.insert(TEA, attributes.clone());
        changes.names.insert(ANNA, name("Anne"));
        cache.committed(&changes);
        let world = world(&cache);
        let room = world.room(&RoomRef::Id(TEA)).unwrap().unwrap();
        assert_eq!((room.head, room.n, room.last_at), (Seq(4), MessageCount(3), Some(at)));
        assert_eq!(room.info.attributes, attributes);
        assert_eq!(world.user(ANNA), Ok(Some(&name("Anne"))));
        assert_eq!(world.is_member(TEA, ANNA), Ok(true));
    }

    #[test]
    fn ended_membership_is_no_longer_cached() {
        let mut cache = cache();
        let mut changes = Changes::default();
        changes.memberships.insert((TEA, ANNA), None);
        cache.committed(&changes);
        assert!(!cache.has(&is_member()));
        assert_eq!(cache.members, 0);
    }

    #[test]
    fn deleted_room_is_no_longer_cached() {
        let mut cache = cache();
        let mut changes = Changes::default();
        changes.deleted_rooms.push(TEA);
        cache.committed(&changes);
        assert!(!cache.has(&Fact::Room(RoomRef::Id(TEA))) && !cache.has(&is_member()));
        assert_eq!(cache.members, 0);
    }

    #[test]
    fn full_cache_is_cleared() {
        let mut cache = cache();
        let users = (2..).map(UserId).take(2 * FactCache::CAPACITY);
        users.for_each(|user| cache.insert_user(user, name("guest")));
        assert!(cache.users.len() <= FactCache::CAPACITY);
        cache.insert_room(Room::new(TEA, RoomName::new("tea").unwrap()));
        let users = (2..).map(UserId).take(2 * FactCache::CAPACITY);
        users.for_each(|user| cache.insert_member(TEA, user, name("guest")));
        assert!(cache.members <= FactCache::CAPACITY);
    }
}
