//! The backend of the memory store: facts are read from maps, changes written to them.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use domain::{Fact, KeyedMessage, Room, World};
use protocol::{Event, EventKind, RoomId, RoomRef, Timestamp, UserId};

use super::Shared;
use super::state::{self, State, Stored};
use crate::{Backend, Changes, StoreError};

/// The single writer of a [`MemoryStore`](super::MemoryStore).
pub(super) struct MemoryBackend {
    pub(super) shared: Arc<Shared>,
}

impl Drop for MemoryBackend {
    fn drop(&mut self) {
        self.shared.has_writer.store(false, Ordering::Release);
    }
}

impl Backend for MemoryBackend {
    fn begin(&mut self, facts: &[Fact], world: &mut World) -> Result<(), StoreError> {
        self.load(facts, world)
    }

    fn load(&mut self, facts: &[Fact], world: &mut World) -> Result<(), StoreError> {
        let state = self.shared.state();
        for fact in facts {
            load(&state, fact, world);
        }
        Ok(())
    }

    fn commit(&mut self, _now: Timestamp, changes: &Changes) -> Result<(), StoreError> {
        let mut state = self.shared.state();
        let failure = state.next_fails.take();
        if failure.is_none_or(|failure| failure.stores()) {
            state.commits += 1;
            apply(&mut state, changes);
        }
        failure.map_or(Ok(()), |failure| Err(failure.error()))
    }

    fn rollback(&mut self) {}

    fn transient_members(&mut self) -> Result<Vec<UserId>, StoreError> {
        let state = self.shared.state();
        let transient = state.users.iter().filter(|(_, user)| user.transient).map(|(id, _)| *id);
        Ok(transient.filter(|user| !state.rooms_of(*user).is_empty()).collect())
    }

    fn probe(&mut self, _now: Timestamp) -> Result<(), StoreError> {
        self.shared.state().commits += 1;
        Ok(())
    }

    fn checkpoint(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    fn reserve_user_ids(&mut self, count: u32) -> Result<Range<u64>, StoreError> {
        Ok(self.shared.state().reserve_user_ids(count))
    }
}

fn load(state: &State, fact: &Fact, world: &mut World) {
    let name_of = |user: &UserId| state.users.get(user).map(|stored| stored.name.clone());
    match fact {
        Fact::Room(reference) => {
            world.load_room(reference, state.find(reference).and_then(|id| room(state, id)));
        }
        Fact::User(user) => world.load_user(*user, name_of(user)),
        Fact::Member(reference, user) => {
            if let Some(id) = state.find(reference) {
                let name = name_of(user).filter(|_| state.is_member(id, *user));
                world.load_member(id, *user, name);
            }
        }
        Fact::ReadPosition(reference, user) => {
            if let Some((id, room)) = find(state, reference) {
                world.load_read_position(id, *user, room.read.get(user).copied());
            }
        }
        Fact::MessageCount(reference, seq) => {
            if let Some((id, room)) = find(state, reference) {
                world.load_message_count(id, *seq, room.event(*seq).map(|event| event.n));
            }
        }
        Fact::MemberCount(id) => {
            let count = state.rooms.get(id).map_or(0, |room| room.members.len());
            world.load_member_count(*id, count as u64);
        }
        Fact::RoomsOf(user) => world.load_rooms_of(*user, state.rooms_of(*user)),
        Fact::KeyedMessage(user, key) => {
            let sent = state.keyed.get(&(*user, key.clone()));
            let message = sent.and_then(|(room, seq)| keyed_message(state.rooms.get(room)?.event(*seq)?));
            world.load_keyed_message(*user, key.clone(), message);
        }
        Fact::Session(token) => world.load_session(*token, state.sessions.get(token).copied()),
        Fact::SessionCount(user) => {
            let count = state.sessions.values().filter(|of| *of == user).count();
            world.load_session_count(*user, count as u64);
        }
        Fact::NextRoom => world.load_next_room(RoomId(state.next_room)),
    }
}

fn find<'s>(state: &'s State, reference: &RoomRef) -> Option<(RoomId, &'s state::Room)> {
    let id = state.find(reference)?;
    Some((id, state.rooms.get(&id)?))
}

fn room(state: &State, id: RoomId) -> Option<Room> {
    let room = state.rooms.get(&id)?;
    let head = room.head();
    let last_at = room.events.last().map(|event| event.at);
    Some(Room { info: room.info.clone(), head: head.seq, n: head.n, last_at })
}

fn keyed_message(event: &Event) -> Option<KeyedMessage> {
    match &event.kind {
        EventKind::Message { body, .. } => {
            Some(KeyedMessage { room: event.room, seq: event.seq, body: body.clone() })
        }
        _ => None,
    }
}

fn apply(state: &mut State, changes: &Changes) {
    for token in &changes.ended_sessions {
        state.sessions.remove(token);
    }
    for new in &changes.users {
        state.users.insert(new.id, Stored { name: new.name.clone(), transient: new.transient });
    }
    for (user, name) in &changes.names {
        if let Some(stored) = state.users.get_mut(user) {
            stored.name = name.clone();
        }
    }
    state.sessions.extend(changes.sessions.iter().copied());
    for new in &changes.rooms {
        state.next_room = new.id.0 + 1;
        state.by_key.insert(new.name.key(), new.id);
        state.rooms.insert(new.id, state::Room::new(new.id, new.name.clone()));
    }
    for (room, attributes) in &changes.attributes {
        if let Some(room) = state.rooms.get_mut(room) {
            room.info.attributes = attributes.clone();
        }
    }
    for event in &changes.events {
        if let EventKind::Message { client_message_id: Some(key), .. } = &event.kind {
            state.keyed.insert((event.by.id, key.clone()), (event.room, event.seq));
        }
        if let Some(room) = state.rooms.get_mut(&event.room) {
            room.events.push(event.clone());
        }
    }
    for ((room, user), since) in &changes.memberships {
        if let Some(room) = state.rooms.get_mut(room) {
            match since {
                Some(_) => room.members.insert(*user),
                None => room.members.remove(user),
            };
        }
    }
    for ((room, user), position) in &changes.read_positions {
        if let Some(room) = state.rooms.get_mut(room) {
            room.read.insert(*user, *position);
        }
    }
    for id in &changes.deleted_rooms {
        if let Some(room) = state.rooms.remove(id) {
            // The name may belong to a room that the same batch created later.
            if state.by_key.get(&room.info.name.key()) == Some(id) {
                state.by_key.remove(&room.info.name.key());
            }
            state.deleted.insert(*id, room);
        }
    }
}
