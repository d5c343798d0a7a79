//! The writer. Each request is decided before it changes anything, so that there is nothing to undo.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use protocol::{
    ClientMessageId, ErrorCode, Event, EventKind, Limits, MessageBody, MessageCount, Person, ReadPosition,
    RoomId, RoomRef, Seq, Timestamp, UserId, UserName,
};
use domain::{Deed, RoomLimits, Standing};

use super::Shared;
use super::state::{Room, State, Stored};
use crate::{Author, Batch, Done, LOBBY, Refusal, Request, StoreError, TokenHash, Write, Writer};

pub(super) struct MemoryWriter {
    pub(super) shared: Arc<Shared>,
    pub(super) limits: RoomLimits,
}

impl Drop for MemoryWriter {
    fn drop(&mut self) {
        self.shared.has_writer.store(false, Ordering::Release);
    }
}

impl Writer for MemoryWriter {
    fn commit(&mut self, now: Timestamp, requests: Vec<Request>) -> Batch {
        let state = &mut self.shared.state();
        let failure = state.next_fails.take().map(|failure| (failure, failure.batch(&requests)));
        let failed = match failure {
            Some((failure, batch)) if !failure.stores() => return batch,
            other => other.map(|(_, batch)| batch),
        };
        let mut work = Work { state, limits: &self.limits, now, batch: Batch::default() };
        work.state.commits += u64::from(!requests.is_empty());
        for Request { ticket, author, deed } in requests {
            let answer = work.carry_out(&author, deed).map_err(Refusal::from);
            work.batch.answers.push((ticket, answer));
        }
        failed.unwrap_or(work.batch)
    }

    fn probe(&mut self, _now: Timestamp) -> Result<(), StoreError> {
        self.shared.state().commits += 1;
        Ok(())
    }

    fn checkpoint(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    fn reserve_user_ids(&mut self, count: u32) -> Result<Range<u64>, StoreError> {
        let mut state = self.shared.state();
        let from = state.next_user;
        state.next_user += u64::from(count);
        Ok(from..state.next_user)
    }

    fn sweep_transient(&mut self, now: Timestamp) -> Result<Batch, StoreError> {
        let mut work =
            Work { state: &mut self.shared.state(), limits: &self.limits, now, batch: Batch::default() };
        let transient = work.state.people.iter().filter(|(_, person)| person.transient);
        let transient: Vec<UserId> = transient.map(|(id, _)| *id).collect();
        work.state.commits += 1;
        for user in transient {
            work.leave_all(user);
        }
        Ok(work.batch)
    }
}

struct Work<'s> {
    state: &'s mut State,
    limits: &'s RoomLimits,
    now: Timestamp,
    batch: Batch,
}

impl Work<'_> {
    fn carry_out(&mut self, author: &Author, deed: Write) -> Result<Done, ErrorCode> {
        match deed {
            Write::Join { room, make } => self.join(author, room, make),
            Write::Open { room } => self.open(author, room),
            Write::Leave { room } => {
                let room = self.room_for(Deed::Leave, author, &room)?;
                Ok(Done::Left { room, seq: self.depart(room, author.person.id)? })
            }
            Write::Send { room, key, body } => self.send(author, &room, key, body),
            Write::Rename { name } => self.rename(author, name),
            Write::Read { room, seq } => self.read(author, &room, seq),
            Write::LeaveAll => Ok(self.leave_all(author.person.id)),
            Write::EndSession { token } => Ok(self.end_session(&token)),
        }
    }

    fn join(&mut self, author: &Author, room: RoomRef, make: bool) -> Result<Done, ErrorCode> {
        let user = author.person.id;
        let found = self.state.find(&room);
        let name = match (found, room) {
            (Some(_), _) => None,
            (None, RoomRef::Name(name)) if make => Some(name),
            (None, _) => return Err(ErrorCode::RoomNotFound),
        };
        let member = found.is_some_and(|room| self.state.is_member(room, user));
        let rooms_joined = u32::try_from(self.state.rooms_of(user).len()).unwrap_or(u32::MAX);
        domain::check(Deed::Join, Standing { member, rooms_joined }, self.limits)?;
        if !member {
            self.enrol(author)?;
        }
        let made = found.is_none();
        let id = found.unwrap_or(RoomId(self.state.next_room));
        if let Some(name) = name {
            self.state.next_room += 1;
            self.state.by_key.insert(name.key(), id);
            self.state.rooms.insert(id, Room::new(name));
        }
        if !member {
            self.append_join(id, user)?;
        }
        let room = self.state.rooms.get_mut(&id).ok_or(ErrorCode::RoomNotFound)?;
        room.members.insert(user);
        let (name, head, read) = (room.name.clone(), room.head(), room.read.get(&user).copied());
        Ok(Done::Joined { room: id, name, head: head.seq, n: head.n, read, made })
    }

    fn open(&mut self, author: &Author, room: RoomId) -> Result<Done, ErrorCode> {
        let id = self.room_for(Deed::Resume, author, &RoomRef::Id(room))?;
        let room = &self.state.rooms[&id];
        let (head, read) = (room.head(), room.read.get(&author.person.id).copied());
        Ok(Done::Joined { room: id, name: room.name.clone(), head: head.seq, n: head.n, read, made: false })
    }

    fn send(
        &mut self,
        author: &Author,
        room: &RoomRef,
        key: Option<ClientMessageId>,
        body: MessageBody,
    ) -> Result<Done, ErrorCode> {
        let user = author.person.id;
        let found = self.state.find(room);
        let key_of_user = key.clone().map(|key| (user, key));
        if let Some(&(said_in, seq)) = key_of_user.as_ref().and_then(|key| self.state.said.get(key)) {
            let event = &self.state.rooms[&said_in].events[(seq.0 - 1) as usize];
            let same = matches!(&event.kind, EventKind::Message { body: said, .. } if *said == body);
            return if found == Some(said_in) && same {
                Ok(Done::Sent { room: said_in, seq, repeated: true })
            } else {
                Err(ErrorCode::KeyConflict)
            };
        }
        let room = self.room_for(Deed::Send, author, room)?;
        let seq = self.append(room, user, EventKind::Message { client_message_id: key, body })?;
        if let Some(key) = key_of_user {
            self.state.said.insert(key, (room, seq));
        }
        Ok(Done::Sent { room, seq, repeated: false })
    }

    fn rename(&mut self, author: &Author, name: UserName) -> Result<Done, ErrorCode> {
        let user = author.person.id;
        self.enrol(author)?;
        let stored = self.state.people.get_mut(&user).ok_or(ErrorCode::Unauthorized)?;
        let was = std::mem::replace(&mut stored.name, name.clone());
        if was != name {
            for room in self.state.rooms_of(user) {
                self.append(room, user, EventKind::Renamed { was: was.clone() })?;
            }
        }
        Ok(Done::Renamed { name })
    }

    fn read(&mut self, author: &Author, room: &RoomRef, seq: Seq) -> Result<Done, ErrorCode> {
        let id = self.room_for(Deed::Read, author, room)?;
        let room = self.state.rooms.get_mut(&id).ok_or(ErrorCode::RoomNotFound)?;
        let seq = seq.min(room.head().seq);
        let n = room.events[..seq.0 as usize].last().map_or(MessageCount(0), |event| event.n);
        let position = room.read.entry(author.person.id).or_insert(ReadPosition { seq, n });
        if position.seq < seq {
            *position = ReadPosition { seq, n };
        }
        Ok(Done::Read(id, *position))
    }

    fn leave_all(&mut self, user: UserId) -> Done {
        for room in self.state.rooms_of(user) {
            // Only the rooms in which they are.
            let _ = self.depart(room, user);
        }
        Done::LeftAll
    }

    fn end_session(&mut self, token: &TokenHash) -> Done {
        if let Some(user) = self.state.sessions.remove(token)
            && !self.state.sessions.values().any(|of| *of == user)
        {
            self.leave_all(user);
        }
        Done::SessionEnded
    }

    fn enrol(&mut self, author: &Author) -> Result<(), ErrorCode> {
        let Person { id, name } = author.person.clone();
        if self.state.people.contains_key(&id) {
            return Ok(());
        }
        let enrol = author.enrol.as_ref().ok_or(ErrorCode::Unauthorized)?;
        self.state.people.insert(id, Stored { name, transient: enrol.token.is_none() });
        if let Some(token) = enrol.token {
            self.state.sessions.insert(token, id);
        }
        Ok(())
    }

    fn room_for(&self, deed: Deed, author: &Author, room: &RoomRef) -> Result<RoomId, ErrorCode> {
        let room = self.state.find(room).ok_or(ErrorCode::RoomNotFound)?;
        let member = self.state.is_member(room, author.person.id);
        domain::check(deed, Standing { member, rooms_joined: 0 }, self.limits)?;
        Ok(room)
    }

    fn depart(&mut self, id: RoomId, user: UserId) -> Result<Seq, ErrorCode> {
        let seq = self.append(id, user, EventKind::MemberLeft {})?;
        let room = self.state.rooms.get_mut(&id).ok_or(ErrorCode::RoomNotFound)?;
        room.members.remove(&user);
        if room.members.is_empty() && room.head().n == MessageCount(0) && id != LOBBY {
            self.state.by_key.remove(&room.name.key());
            if let Some(room) = self.state.rooms.remove(&id) {
                self.state.gone.insert(id, room);
            }
            self.batch.gone.push(id);
        }
        Ok(seq)
    }

    /// Names the newcomer in the event of those who came just before, if there is one.
    fn append_join(&mut self, id: RoomId, user: UserId) -> Result<(), ErrorCode> {
        let name = self.state.people.get(&user).ok_or(ErrorCode::Unauthorized)?.name.clone();
        // The room's last event of this batch is the last one of its log.
        let last = self.batch.events.iter_mut().rev().find(|event| event.room == id);
        let on_record = self.state.rooms.get_mut(&id).and_then(|room| room.events.last_mut());
        if let (Some(last), Some(on_record)) = (last, on_record) {
            let mut event = (**last).clone();
            if let EventKind::MemberJoined { with } = &mut event.kind
                && with.len() + 1 < Limits::JOINED_TOGETHER
            {
                with.push(Person { id: user, name });
                *last = Arc::new(event);
                *on_record = last.clone();
                return Ok(());
            }
        }
        self.append(id, user, EventKind::MemberJoined { with: Vec::new() })?;
        Ok(())
    }

    fn append(&mut self, id: RoomId, user: UserId, kind: EventKind) -> Result<Seq, ErrorCode> {
        let name = self.state.people.get(&user).ok_or(ErrorCode::Unauthorized)?.name.clone();
        let room = self.state.rooms.get_mut(&id).ok_or(ErrorCode::RoomNotFound)?;
        let head = room.head();
        let said = u64::from(matches!(kind, EventKind::Message { .. }));
        let event = Arc::new(Event {
            kind,
            room: id,
            seq: head.seq.next(),
            n: MessageCount(head.n.0 + said),
            by: Person { id: user, name },
            at: room.events.last().map_or(self.now, |last| last.at.max(self.now)),
        });
        room.events.push(event.clone());
        self.batch.events.push(event.clone());
        Ok(event.seq)
    }
}
