//! The reader of the memory store: it locks the state for one call.

use std::sync::Arc;

use protocol::{EventPage, ReadPosition, RoomId, RoomPage, RoomRef, RoomSummary, Seq, User, UserId};

use super::Shared;
use super::state::State;
use crate::page::PageBuilder;
use crate::{Head, OpenRoom, PageBounds, Reader, RoomQuery, StoreError, StoredRoom, TokenHash};

pub(super) struct MemoryReader {
    pub(super) shared: Arc<Shared>,
    pub(super) seen: Option<u64>,
}

fn stored_room(state: &State, id: RoomId) -> Option<StoredRoom> {
    let room = state.rooms.get(&id)?;
    Some(StoredRoom { info: room.info.clone(), head: room.head() })
}

impl Reader for MemoryReader {
    fn user_of_session(&mut self, token: &TokenHash) -> Result<Option<User>, StoreError> {
        let state = self.shared.state();
        let user = |id: &UserId| Some(User { id: *id, name: state.users.get(id)?.name.clone() });
        Ok(state.sessions.get(token).and_then(user))
    }

    fn room(&mut self, room: &RoomRef) -> Result<Option<StoredRoom>, StoreError> {
        let state = self.shared.state();
        Ok(state.find(room).and_then(|id| stored_room(&state, id)))
    }

    fn is_member(&mut self, room: RoomId, user: UserId) -> Result<bool, StoreError> {
        Ok(self.shared.state().is_member(room, user))
    }

    fn read_position(&mut self, room: RoomId, user: UserId) -> Result<Option<ReadPosition>, StoreError> {
        Ok(self.shared.state().rooms.get(&room).and_then(|room| room.read.get(&user).copied()))
    }

    fn open_rooms(&mut self, user: UserId, rooms: &[RoomId]) -> Result<Vec<Option<OpenRoom>>, StoreError> {
        let state = self.shared.state();
        let open = |id: &RoomId| {
            let read = state.rooms.get(id)?.read.get(&user).copied();
            Some(OpenRoom { room: stored_room(&state, *id)?, member: state.is_member(*id, user), read })
        };
        Ok(rooms.iter().map(open).collect())
    }

    fn events_after(
        &mut self,
        room: RoomId,
        after: Seq,
        up_to: Option<Seq>,
        bounds: PageBounds,
    ) -> Result<EventPage, StoreError> {
        let mut page = PageBuilder::new(bounds);
        if let Some(room) = self.shared.state().rooms.get(&room) {
            let in_range = |seq: Seq| seq > after && up_to.is_none_or(|up_to| seq <= up_to);
            let mut events = room.events.iter().filter(|event| in_range(event.seq));
            while events.next().is_some_and(|event| page.take((**event).clone())) {}
        }
        Ok(page.done())
    }

    fn events_before(
        &mut self,
        room: RoomId,
        before: Seq,
        bounds: PageBounds,
    ) -> Result<EventPage, StoreError> {
        let mut page = PageBuilder::new(bounds);
        if let Some(room) = self.shared.state().rooms.get(&room) {
            let mut events = room.events.iter().rev().filter(|event| event.seq < before);
            while events.next().is_some_and(|event| page.take((**event).clone())) {}
        }
        Ok(page.done_reversed())
    }

    fn rooms(&mut self, query: RoomQuery) -> Result<RoomPage, StoreError> {
        let state = self.shared.state();
        let listed = state.rooms.iter().filter(|(id, room)| {
            query.after.is_none_or(|after| **id > after)
                && (!query.joined || room.members.contains(&query.user))
        });
        let mut rooms: Vec<RoomSummary> = listed
            .take((query.limit.max(1) as usize).saturating_add(1))
            .map(|(_, room)| RoomSummary {
                info: room.info.clone(),
                head: room.head().seq,
                n: room.head().n,
                count: 0,
                joined: room.members.contains(&query.user),
                read: room.read.get(&query.user).copied(),
            })
            .collect();
        let more = rooms.len() > query.limit.max(1) as usize;
        rooms.truncate(query.limit.max(1) as usize);
        let next = rooms.last().map(|room| room.info.room).filter(|_| more);
        Ok(RoomPage { rooms, next })
    }

    fn heads(&mut self, rooms: &[RoomId]) -> Result<Vec<Option<Head>>, StoreError> {
        let state = self.shared.state();
        Ok(rooms.iter().map(|id| state.rooms.get(id).map(|room| room.head())).collect())
    }

    fn changed(&mut self) -> Result<bool, StoreError> {
        let now = self.shared.state().commits;
        Ok(self.seen.replace(now) != Some(now))
    }
}
