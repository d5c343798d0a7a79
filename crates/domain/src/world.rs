//! The state that decisions use: facts loaded from a store, changed by the effects of the batch so far.

mod overlay;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use protocol::{
    ClientMessageId, MessageBody, MessageCount, ReadPosition, RoomId, RoomInfo, RoomName, RoomRef, Seq,
    Timestamp, UserId, UserName,
};

use crate::{Fact, TokenHash};

/// A room, with the number, the message count and the time of its last event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// The id, the name and the attributes, as of `head`.
    pub info: RoomInfo,
    /// The number of the last event; 0 if there is none.
    pub head: Seq,
    /// The number of messages up to `head`.
    pub n: MessageCount,
    /// The time of the last event. The next event gets no earlier one.
    pub last_at: Option<Timestamp>,
}

impl Room {
    /// A room without events, as a `join` creates it.
    #[must_use]
    pub fn new(id: RoomId, name: RoomName) -> Self {
        Room { info: RoomInfo::new(id, name), head: Seq(0), n: MessageCount(0), last_at: None }
    }

    /// The id, as in `info`.
    #[must_use]
    pub fn id(&self) -> RoomId {
        self.info.room
    }
}

/// A stored message, found by its idempotency key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyedMessage {
    /// The room that has the message. The same key with another room is `key_conflict`.
    pub room: RoomId,
    /// The number of the message, which the repeated request returns.
    pub seq: Seq,
    /// The text. The same key with another text is `key_conflict`.
    pub body: MessageBody,
}

/// The loaded facts, with the effects of the batch so far applied.
///
/// A store loads committed state, also after [`World::apply`] has changed the world: a value that an effect has set stays, and
/// a loaded set or count is adjusted by the earlier effects. So facts can be loaded at any time of a batch.
#[derive(Debug, Default)]
pub struct World {
    rooms: BTreeMap<RoomId, Option<Room>>,
    /// By [`RoomName::key`].
    room_ids: HashMap<String, Option<RoomId>>,
    users: BTreeMap<UserId, Option<UserName>>,
    members: BTreeMap<(RoomId, UserId), bool>,
    member_counts: HashMap<RoomId, u64>,
    rooms_of: HashMap<UserId, BTreeSet<RoomId>>,
    read_positions: HashMap<(RoomId, UserId), Option<ReadPosition>>,
    message_counts: HashMap<(RoomId, Seq), Option<MessageCount>>,
    keyed_messages: BTreeMap<UserId, BTreeMap<ClientMessageId, Option<KeyedMessage>>>,
    sessions: HashMap<TokenHash, Option<UserId>>,
    session_counts: HashMap<UserId, u64>,
    next_room: Option<RoomId>,
    /// The rooms that the batch created; a store has nothing to load about them.
    created: HashSet<RoomId>,
    /// For each room, its last `member_joined` of this batch and the number of users that it names.
    join_groups: HashMap<RoomId, (Seq, usize)>,
    /// The effects so far on memberships and session counts, for sets and counts that are loaded later.
    membership_changes: BTreeMap<(UserId, RoomId), bool>,
    member_count_changes: HashMap<RoomId, i64>,
    session_count_changes: HashMap<UserId, i64>,
}

/// Setters for a store. Each records committed state.
impl World {
    /// Records [`Fact::Room`].
    pub fn load_room(&mut self, reference: &RoomRef, room: Option<Room>) {
        let id = room.as_ref().map(|room| room.id());
        match reference {
            RoomRef::Name(name) => {
                self.room_ids.entry(name.key()).or_insert(id);
            }
            RoomRef::Id(id) if room.is_none() => {
                self.rooms.entry(*id).or_insert(None);
            }
            RoomRef::Id(_) => {}
        }
        if let Some(room) = room {
            self.rooms.entry(room.id()).or_insert(Some(room));
        }
    }

    /// Records [`Fact::User`]; `None` for a user who is not stored.
    pub fn load_user(&mut self, user: UserId, name: Option<UserName>) {
        self.users.entry(user).or_insert(name);
    }

    /// Records [`Fact::Member`]: the stored name of a member, `None` for a user who is not a member.
    pub fn load_member(&mut self, room: RoomId, user: UserId, name: Option<UserName>) {
        self.members.entry((room, user)).or_insert(name.is_some());
        if name.is_some() {
            self.load_user(user, name);
        }
    }

    /// Records [`Fact::ReadPosition`].
    pub fn load_read_position(&mut self, room: RoomId, user: UserId, position: Option<ReadPosition>) {
        self.read_positions.entry((room, user)).or_insert(position);
    }

    /// Records [`Fact::MessageCount`]; `None` if the room has no event `seq`.
    pub fn load_message_count(&mut self, room: RoomId, seq: Seq, n: Option<MessageCount>) {
        self.message_counts.entry((room, seq)).or_insert(n);
    }

    /// Records [`Fact::MemberCount`].
    pub fn load_member_count(&mut self, room: RoomId, count: u64) {
        let change = self.member_count_changes.get(&room).copied().unwrap_or(0);
        self.member_counts.entry(room).or_insert(count.saturating_add_signed(change));
    }

    /// Records [`Fact::RoomsOf`].
    pub fn load_rooms_of(&mut self, user: UserId, rooms: impl IntoIterator<Item = RoomId>) {
        if self.rooms_of.contains_key(&user) {
            return;
        }
        let mut rooms: BTreeSet<RoomId> = rooms.into_iter().collect();
        for ((_, room), member) in self.membership_changes.range((user, RoomId(0))..=(user, RoomId(u64::MAX)))
        {
            if *member {
                rooms.insert(*room);
            } else {
                rooms.remove(room);
            }
        }
        self.rooms_of.insert(user, rooms);
    }

    /// Records [`Fact::KeyedMessage`].
    pub fn load_keyed_message(&mut self, user: UserId, key: ClientMessageId, message: Option<KeyedMessage>) {
        self.keyed_messages.entry(user).or_default().entry(key).or_insert(message);
    }

    /// Records [`Fact::Session`].
    pub fn load_session(&mut self, token: TokenHash, user: Option<UserId>) {
        self.sessions.entry(token).or_insert(user);
    }

    /// Records [`Fact::SessionCount`].
    pub fn load_session_count(&mut self, user: UserId, count: u64) {
        let change = self.session_count_changes.get(&user).copied().unwrap_or(0);
        self.session_counts.entry(user).or_insert(count.saturating_add_signed(change));
    }

    /// Records [`Fact::NextRoom`].
    pub fn load_next_room(&mut self, room: RoomId) {
        self.next_room.get_or_insert(room);
    }
}

/// Getters for decisions and stores. The error is the fact that is not loaded.
impl World {
    /// The id of the room; `None` if it does not exist.
    pub fn room_id(&self, reference: &RoomRef) -> Result<Option<RoomId>, Fact> {
        self.room(reference).map(|room| room.map(|room| room.id()))
    }

    /// The room; `None` if it does not exist.
    pub fn room(&self, reference: &RoomRef) -> Result<Option<&Room>, Fact> {
        let missing = || Fact::Room(reference.clone());
        let id = match reference {
            RoomRef::Id(id) => *id,
            RoomRef::Name(name) => match self.room_ids.get(&name.key()).ok_or_else(missing)? {
                Some(id) => *id,
                None => return Ok(None),
            },
        };
        self.rooms.get(&id).map(Option::as_ref).ok_or_else(missing)
    }

    /// The stored name of the user; `None` if the user is not stored.
    pub fn user(&self, user: UserId) -> Result<Option<&UserName>, Fact> {
        self.users.get(&user).map(Option::as_ref).ok_or(Fact::User(user))
    }

    /// Whether the user is a member of the room.
    pub fn is_member(&self, room: RoomId, user: UserId) -> Result<bool, Fact> {
        match self.members.get(&(room, user)) {
            Some(member) => Ok(*member),
            None if self.created.contains(&room) => Ok(false),
            None => Err(Fact::Member(RoomRef::Id(room), user)),
        }
    }

    /// The user's read position; `None` if the user has never moved it.
    pub fn read_position(&self, room: RoomId, user: UserId) -> Result<Option<ReadPosition>, Fact> {
        match self.read_positions.get(&(room, user)) {
            Some(position) => Ok(*position),
            None if self.created.contains(&room) => Ok(None),
            None => Err(Fact::ReadPosition(RoomRef::Id(room), user)),
        }
    }

    /// The room's message count as of the event `seq`, which is not above its head.
    pub(crate) fn message_count(&self, room: RoomId, seq: Seq) -> Result<Option<MessageCount>, Fact> {
        let missing = || Fact::MessageCount(RoomRef::Id(room), seq);
        self.message_counts.get(&(room, seq)).copied().ok_or_else(missing)
    }

    /// The number of members of the room.
    pub(crate) fn member_count(&self, room: RoomId) -> Result<u64, Fact> {
        self.member_counts.get(&room).copied().ok_or(Fact::MemberCount(room))
    }

    /// The rooms of which the user is a member, sorted by id.
    pub fn rooms_of(&self, user: UserId) -> Result<&BTreeSet<RoomId>, Fact> {
        self.rooms_of.get(&user).ok_or(Fact::RoomsOf(user))
    }

    /// The message that the user sent with `key`; `None` if the key is unused.
    pub fn keyed_message(&self, user: UserId, key: &ClientMessageId) -> Result<Option<&KeyedMessage>, Fact> {
        let message = self.keyed_messages.get(&user).and_then(|messages| messages.get(key));
        message.map(Option::as_ref).ok_or_else(|| Fact::KeyedMessage(user, key.clone()))
    }

    /// The user of the session; `None` if it has ended or never existed.
    pub fn session(&self, token: &TokenHash) -> Result<Option<UserId>, Fact> {
        self.sessions.get(token).copied().ok_or(Fact::Session(*token))
    }

    /// The number of sessions of the user.
    pub(crate) fn session_count(&self, user: UserId) -> Result<u64, Fact> {
        self.session_counts.get(&user).copied().ok_or(Fact::SessionCount(user))
    }

    /// The id for the next room. [`World::apply`] increases it when a room is created.
    pub fn next_room(&self) -> Result<RoomId, Fact> {
        self.next_room.ok_or(Fact::NextRoom)
    }

    /// The number of users that the `member_joined` at the room's head names; `None` unless this batch appended that event.
    pub(crate) fn join_group(&self, room: &Room) -> Option<usize> {
        self.join_groups.get(&room.id()).filter(|(seq, _)| *seq == room.head).map(|(_, users)| *users)
    }
}
