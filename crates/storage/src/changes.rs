//! The net changes of a batch, grouped by table.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use domain::{Effect, TokenHash};
use protocol::{
    Event, EventKind, ReadPosition, RoomAttributes, RoomId, RoomName, Seq, User, UserId, UserName,
};

/// The writes of a backend for one batch. The fields are in the order in which they apply, so that the rows that a row
/// references exist and no name is taken twice. Each field contains a key at most once.
#[derive(Debug, Default)]
pub struct Changes {
    /// The sessions to delete. A session that the same batch stored is in no field.
    pub ended_sessions: Vec<TokenHash>,
    /// The rooms to delete with their events, memberships and read positions; possibly rooms that the batch created.
    pub deleted_rooms: Vec<RoomId>,
    /// The users to insert, with their names at the end of the batch.
    pub users: Vec<NewUser>,
    /// The new names of stored users.
    pub names: BTreeMap<UserId, UserName>,
    /// The sessions to insert, with their users.
    pub sessions: Vec<(TokenHash, UserId)>,
    /// The rooms that the batch created. A database inserts those that are not [deleted](Changes::is_deleted), and never
    /// assigns an id up to the last one, whether the room still exists or not.
    pub rooms: Vec<NewRoom>,
    /// The attributes to set, including those of rooms that the batch created or deleted.
    pub attributes: BTreeMap<RoomId, RoomAttributes>,
    /// The events of the batch, numbered, in commit order. A `member_joined` names all users who share it. A database appends
    /// those whose room is not [deleted](Changes::is_deleted).
    pub events: Vec<Arc<Event>>,
    /// The memberships to insert or, for a member who left and joined again within the batch, to update (`Some`: the number of
    /// the `member_joined`), or to delete (`None`: possibly one that the batch itself started).
    pub memberships: BTreeMap<(RoomId, UserId), Option<Seq>>,
    /// The read positions to insert or update.
    pub read_positions: BTreeMap<(RoomId, UserId), ReadPosition>,
    /// The content of `deleted_rooms`, for look-ups in O(log n).
    deleted: BTreeSet<RoomId>,
    /// For each room, the index in `events` of its last event, if further joins may share it.
    join_groups: HashMap<RoomId, usize>,
}

/// A user to insert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewUser {
    /// The id, unused until now.
    pub id: UserId,
    /// The name at the end of the batch.
    pub name: UserName,
    /// Whether the user has no session, and therefore leaves all rooms when the connection ends.
    pub transient: bool,
}

/// A room to insert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRoom {
    /// The id, greater than that of every earlier room.
    pub id: RoomId,
    /// The name; its key is unique among existing rooms.
    pub name: RoomName,
    /// The user whose `join` created the room.
    pub created_by: UserId,
}

impl Changes {
    /// Whether the batch has nothing to write, so that no COMMIT is needed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ended_sessions.is_empty()
            && self.users.is_empty()
            && self.names.is_empty()
            && self.sessions.is_empty()
            && self.rooms.is_empty()
            && self.attributes.is_empty()
            && self.events.is_empty()
            && self.memberships.is_empty()
            && self.read_positions.is_empty()
            && self.deleted_rooms.is_empty()
    }

    /// Whether the room is among `deleted_rooms`; then its other changes are skipped.
    #[must_use]
    pub fn is_deleted(&self, room: RoomId) -> bool {
        self.deleted.contains(&room)
    }

    /// Adds an effect, which applies after the earlier ones.
    pub(crate) fn add(&mut self, effect: Effect) {
        match effect {
            Effect::InsertUser { user, name, transient } => {
                self.users.push(NewUser { id: user, name, transient });
            }
            Effect::SetUserName { user, name } => match self.users.iter_mut().find(|new| new.id == user) {
                Some(new) => new.name = name,
                None => drop(self.names.insert(user, name)),
            },
            Effect::InsertSession { token, user } => self.sessions.push((token, user)),
            Effect::DeleteSession { token, .. } => {
                let before = self.sessions.len();
                self.sessions.retain(|(stored, _)| *stored != token);
                if self.sessions.len() == before {
                    self.ended_sessions.push(token);
                }
            }
            Effect::InsertRoom { room, name, created_by } => {
                self.rooms.push(NewRoom { id: room, name, created_by });
            }
            Effect::DeleteRoom { room } => {
                remove_room(&mut self.memberships, room);
                remove_room(&mut self.read_positions, room);
                self.deleted.insert(room);
                self.deleted_rooms.push(room);
            }
            Effect::SetRoomAttributes { room, attributes } => {
                self.attributes.insert(room, attributes);
            }
            Effect::AppendEvent(event) => self.append(event),
            Effect::ShareJoin { room, user } => self.share_join(room, user),
            Effect::InsertMembership { room, user, since } => {
                self.memberships.insert((room, user), Some(since));
            }
            Effect::DeleteMembership { room, user } => {
                self.memberships.insert((room, user), None);
            }
            Effect::SetReadPosition { room, user, position } => {
                self.read_positions.insert((room, user), position);
            }
        }
    }

    fn append(&mut self, event: Event) {
        if matches!(event.kind, EventKind::MemberJoined { .. }) {
            self.join_groups.insert(event.room, self.events.len());
        } else if !self.join_groups.is_empty() {
            self.join_groups.remove(&event.room);
        }
        self.events.push(Arc::new(event));
    }

    fn share_join(&mut self, room: RoomId, user: User) {
        let event = self.join_groups.get(&room).and_then(|at| self.events.get_mut(*at));
        let kind = event.map(|event| &mut Arc::make_mut(event).kind);
        debug_assert!(kind.is_some(), "a join is shared only with one of the same batch");
        if let Some(EventKind::MemberJoined { also_joined }) = kind {
            also_joined.push(user);
        }
    }
}

fn remove_room<T>(rows: &mut BTreeMap<(RoomId, UserId), T>, room: RoomId) {
    let users = rows.range((room, UserId(0))..=(room, UserId(u64::MAX))).map(|((_, user), _)| *user);
    for user in users.collect::<Vec<_>>() {
        rows.remove(&(room, user));
    }
}
