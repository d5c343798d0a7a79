//! Applying effects to the world, so that a batch needs no second read of the store.

use protocol::{Event, EventKind, RoomId, UserId};

use super::{KeyedMessage, Room, World};
use crate::Effect;

impl World {
    /// Applies an effect, so that later decisions of the batch see it.
    pub fn apply(&mut self, effect: &Effect) {
        match effect {
            Effect::InsertUser { user, name, .. } | Effect::SetUserName { user, name } => {
                self.users.insert(*user, Some(name.clone()));
            }
            Effect::InsertSession { token, user } => {
                self.sessions.insert(*token, Some(*user));
                self.change_session_count(*user, 1);
            }
            Effect::DeleteSession { token, user } => {
                self.sessions.insert(*token, None);
                self.change_session_count(*user, -1);
            }
            Effect::InsertRoom { room, name, .. } => {
                let new = Room::new(*room, name.clone());
                self.room_ids.insert(name.key(), Some(*room));
                self.rooms.insert(*room, Some(new));
                self.member_counts.insert(*room, 0);
                self.created.insert(*room);
                self.next_room = Some(RoomId(room.0 + 1));
            }
            Effect::DeleteRoom { room } => {
                if let Some(Some(deleted)) = self.rooms.insert(*room, None) {
                    self.room_ids.insert(deleted.info.name.key(), None);
                }
            }
            Effect::SetRoomAttributes { room, attributes } => {
                if let Some(Some(room)) = self.rooms.get_mut(room) {
                    room.info.attributes = attributes.clone();
                }
            }
            Effect::AppendEvent(event) => self.append(event),
            Effect::ShareJoin { room, .. } => {
                if let Some((_, users)) = self.join_groups.get_mut(room) {
                    *users += 1;
                }
            }
            Effect::InsertMembership { room, user, .. } => self.change_membership(*room, *user, true),
            Effect::DeleteMembership { room, user } => self.change_membership(*room, *user, false),
            Effect::SetReadPosition { room, user, position } => {
                self.read_positions.insert((*room, *user), Some(*position));
            }
        }
    }

    fn append(&mut self, event: &Event) {
        if let Some(Some(room)) = self.rooms.get_mut(&event.room) {
            room.head = event.seq;
            room.n = event.n;
            room.last_at = Some(event.at);
        }
        self.message_counts.insert((event.room, event.seq), Some(event.n));
        match &event.kind {
            EventKind::Message { client_message_id: Some(key), body } => {
                let message = KeyedMessage { room: event.room, seq: event.seq, body: body.clone() };
                self.keyed_messages.entry(event.by.id).or_default().insert(key.clone(), Some(message));
            }
            EventKind::MemberJoined { also_joined } => {
                self.join_groups.insert(event.room, (event.seq, 1 + also_joined.len()));
            }
            _ => {}
        }
    }

    fn change_membership(&mut self, room: RoomId, user: UserId, member: bool) {
        let change = if member { 1 } else { -1 };
        self.members.insert((room, user), member);
        self.membership_changes.insert((user, room), member);
        *self.member_count_changes.entry(room).or_default() += change;
        if let Some(count) = self.member_counts.get_mut(&room) {
            *count = count.saturating_add_signed(change);
        }
        if let Some(rooms) = self.rooms_of.get_mut(&user) {
            if member {
                rooms.insert(room);
            } else {
                rooms.remove(&room);
            }
        }
    }

    fn change_session_count(&mut self, user: UserId, change: i64) {
        *self.session_count_changes.entry(user).or_default() += change;
        if let Some(count) = self.session_counts.get_mut(&user) {
            *count = count.saturating_add_signed(change);
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::{MessageCount, RoomRef, Seq};

    use super::*;
    use crate::decide::testing::{room_name, user, user_name};

    const ROOM: RoomId = RoomId(5);
    const USER: UserId = UserId(1);

    fn membership(member: bool) -> Effect {
        if member {
            Effect::InsertMembership { room: ROOM, user: USER, since: Seq(1) }
        } else {
            Effect::DeleteMembership { room: ROOM, user: USER }
        }
    }

    #[test]
    fn facts_loaded_after_an_effect_do_not_undo_it() {
        let mut world = World::default();
        world.apply(&Effect::SetUserName { user: USER, name: user_name("new") });
        world.load_user(USER, Some(user_name("old")));
        assert_eq!(world.user(USER), Ok(Some(&user_name("new"))));
        world.apply(&membership(true));
        world.load_member(ROOM, USER, None);
        assert_eq!(world.is_member(ROOM, USER), Ok(true));
    }

    #[test]
    fn sets_and_counts_loaded_after_an_effect_include_it() {
        let mut world = World::default();
        world.apply(&membership(true));
        world.load_rooms_of(USER, [RoomId(1)]);
        world.load_member_count(ROOM, 7);
        assert_eq!(world.rooms_of(USER).unwrap().iter().copied().collect::<Vec<_>>(), [RoomId(1), ROOM]);
        assert_eq!(world.member_count(ROOM), Ok(8));
        world.apply(&membership(false));
        assert_eq!(world.rooms_of(USER).unwrap().len(), 1);
        assert_eq!(world.member_count(ROOM), Ok(7));
    }

    #[test]
    fn room_of_the_batch_needs_no_loading_until_it_is_deleted() {
        let mut world = World::default();
        let name = room_name("tea");
        world.apply(&Effect::InsertRoom { room: ROOM, name: name.clone(), created_by: USER });
        assert_eq!(world.room_id(&RoomRef::Name(name.clone())), Ok(Some(ROOM)));
        assert_eq!(world.is_member(ROOM, USER), Ok(false));
        assert_eq!(world.read_position(ROOM, USER), Ok(None));
        world.apply(&Effect::DeleteRoom { room: ROOM });
        assert_eq!(world.room(&RoomRef::Id(ROOM)), Ok(None));
        assert_eq!(world.room(&RoomRef::Name(name)), Ok(None));
        assert_eq!(world.next_room(), Ok(RoomId(6)));
    }

    #[test]
    fn join_group_closes_with_the_next_event() {
        let mut world = World::default();
        world.apply(&Effect::InsertRoom { room: ROOM, name: room_name("tea"), created_by: USER });
        let event = |seq, kind| Event {
            kind,
            room: ROOM,
            seq: Seq(seq),
            n: MessageCount(0),
            by: user(1),
            at: protocol::Timestamp(0),
        };
        let group = |world: &World| world.join_group(world.room(&RoomRef::Id(ROOM)).unwrap().unwrap());
        world.apply(&Effect::AppendEvent(event(1, EventKind::MemberJoined { also_joined: Vec::new() })));
        world.apply(&Effect::ShareJoin { room: ROOM, user: user(2) });
        assert_eq!(group(&world), Some(2));
        world.apply(&Effect::AppendEvent(event(2, EventKind::MemberLeft {})));
        assert_eq!(group(&world), None);
    }
}
