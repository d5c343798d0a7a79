//! The stored state, in one value that a backup can clone.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::Arc;

use protocol::{
    ClientMessageId, Epoch, Event, MessageCount, ReadPosition, RoomId, RoomInfo, RoomName, RoomRef, Seq,
    UserId, UserName,
};

use super::failure::Failure;
use crate::{Head, LOBBY, TokenHash};

#[derive(Clone)]
pub(super) struct State {
    pub(super) rooms: BTreeMap<RoomId, Room>,
    /// Deleted rooms, for simulations: their events were delivered, and are compared with what clients received.
    pub(super) deleted: BTreeMap<RoomId, Room>,
    pub(super) by_key: HashMap<String, RoomId>,
    pub(super) users: BTreeMap<UserId, Stored>,
    pub(super) sessions: HashMap<TokenHash, UserId>,
    pub(super) keyed: HashMap<(UserId, ClientMessageId), (RoomId, Seq)>,
    pub(super) next_room: u64,
    pub(super) next_user: u64,
    /// The number of commits, by which a reader detects changes.
    pub(super) commits: u64,
    /// The epoch; [`MemoryStore::restore`](super::MemoryStore::restore) replaces it.
    pub(super) epoch: Epoch,
    /// The injected failure of the next commit.
    pub(super) next_fails: Option<Failure>,
}

#[derive(Clone)]
pub(super) struct Stored {
    pub(super) name: UserName,
    pub(super) transient: bool,
}

#[derive(Clone)]
pub(super) struct Room {
    pub(super) info: RoomInfo,
    /// Event `seq` has index `seq - 1`.
    pub(super) events: Vec<Arc<Event>>,
    pub(super) members: BTreeSet<UserId>,
    pub(super) read: BTreeMap<UserId, ReadPosition>,
}

impl Room {
    pub(super) fn new(id: RoomId, name: RoomName) -> Self {
        Room {
            info: RoomInfo::new(id, name),
            events: Vec::new(),
            members: BTreeSet::new(),
            read: BTreeMap::new(),
        }
    }

    pub(super) fn head(&self) -> Head {
        Head { seq: Seq(self.events.len() as u64), n: self.events.last().map_or(MessageCount(0), |e| e.n) }
    }
}

impl Room {
    pub(super) fn event(&self, seq: Seq) -> Option<&Arc<Event>> {
        self.events.get(usize::try_from(seq.0).ok()?.checked_sub(1)?)
    }
}

impl State {
    pub(super) fn reserve_user_ids(&mut self, count: u32) -> Range<u64> {
        let from = self.next_user;
        self.next_user += u64::from(count);
        from..self.next_user
    }

    pub(super) fn new() -> Self {
        // A valid name: the tests of `protocol` parse it.
        let lobby = RoomName::new(RoomName::LOBBY).expect("the lobby's name is a room's name");
        State {
            by_key: HashMap::from([(lobby.key(), LOBBY)]),
            rooms: BTreeMap::from([(LOBBY, Room::new(LOBBY, lobby))]),
            deleted: BTreeMap::new(),
            users: BTreeMap::new(),
            sessions: HashMap::new(),
            keyed: HashMap::new(),
            next_room: LOBBY.0 + 1,
            next_user: 1,
            commits: 0,
            epoch: Epoch("memory".to_owned()),
            next_fails: None,
        }
    }

    pub(super) fn find(&self, room: &RoomRef) -> Option<RoomId> {
        match room {
            RoomRef::Id(id) => self.rooms.contains_key(id).then_some(*id),
            RoomRef::Name(name) => self.by_key.get(&name.key()).copied(),
        }
    }

    pub(super) fn is_member(&self, room: RoomId, user: UserId) -> bool {
        self.rooms.get(&room).is_some_and(|room| room.members.contains(&user))
    }

    pub(super) fn rooms_of(&self, user: UserId) -> Vec<RoomId> {
        self.rooms.iter().filter(|(_, room)| room.members.contains(&user)).map(|(id, _)| *id).collect()
    }
}
