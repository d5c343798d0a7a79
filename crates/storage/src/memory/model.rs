//! The rules of the operations a second time, written independently of `domain::decide`. Random requests compare the two, so
//! that a wrong rule cannot agree with itself. Permissions are the exception: both call `domain::check`, which has tests of
//! its own.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use domain::{
    EndSession, Join, JoinedRoom, LeaveAll, LeftRoom, MemberContext, Open, Permission, RoomLimits, Send,
    SentMessage,
};
use protocol::{
    ClientMessageId, ErrorCode, Event, EventKind, Leave, Limits, MessageBody, MessageCount, Named, Read,
    ReadPosition, Rename, RoomId, RoomRef, Seq, SetTopic, Timestamp, Topic, TopicSet, User, UserId, UserName,
};

use super::Shared;
use super::state::{Room, State, Stored};
use crate::{
    Actor, Batch, CommandError, LOBBY, Operation, OperationResult, Request, StoreError, TokenHash, Writer,
};

pub(super) struct ModelWriter {
    pub(super) shared: Arc<Shared>,
    pub(super) limits: RoomLimits,
}

impl Drop for ModelWriter {
    fn drop(&mut self) {
        self.shared.has_writer.store(false, Ordering::Release);
    }
}

impl Writer for ModelWriter {
    fn commit(&mut self, now: Timestamp, requests: Vec<Request>) -> Batch {
        let state = &mut self.shared.state();
        let mut transaction = ModelTransaction { state, limits: &self.limits, now, batch: Batch::default() };
        transaction.state.commits += u64::from(!requests.is_empty());
        for Request { request_id, actor, operation } in requests {
            let answer = transaction.execute(&actor, operation).map_err(CommandError::from);
            transaction.batch.replies.push((request_id, answer));
        }
        transaction.batch
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

    fn cleanup_transient_users(&mut self, now: Timestamp) -> Result<Batch, StoreError> {
        let mut transaction = ModelTransaction {
            state: &mut self.shared.state(),
            limits: &self.limits,
            now,
            batch: Batch::default(),
        };
        let transient = transaction.state.users.iter().filter(|(_, user)| user.transient);
        let transient: Vec<UserId> = transient.map(|(id, _)| *id).collect();
        transaction.state.commits += 1;
        for user in transient {
            transaction.leave_all(user);
        }
        Ok(transaction.batch)
    }
}

struct ModelTransaction<'s> {
    state: &'s mut State,
    limits: &'s RoomLimits,
    now: Timestamp,
    batch: Batch,
}

impl ModelTransaction<'_> {
    fn execute(&mut self, actor: &Actor, operation: Operation) -> Result<OperationResult, ErrorCode> {
        match operation {
            Operation::Join(Join { room, create_if_missing }) => self.join(actor, room, create_if_missing),
            Operation::Open(Open { room }) => self.open(actor, room),
            Operation::Leave(Leave { room }) => {
                let room = self.room_for(Permission::Member, actor, &room)?;
                Ok(OperationResult::Leave(LeftRoom { room, seq: self.remove_member(room, actor.user.id)? }))
            }
            Operation::Send(Send { room, key, body }) => self.send(actor, &room, key, body),
            Operation::SetTopic(SetTopic { room, topic }) => self.set_topic(actor, &room, topic),
            Operation::Rename(Rename { name }) => self.rename(actor, name),
            Operation::Read(Read { room, seq }) => self.read(actor, &room, seq),
            Operation::LeaveAll(LeaveAll) => Ok(self.leave_all(actor.user.id)),
            Operation::EndSession(EndSession { token }) => Ok(self.end_session(&token)),
        }
    }

    fn join(
        &mut self,
        actor: &Actor,
        room: RoomRef,
        create_if_missing: bool,
    ) -> Result<OperationResult, ErrorCode> {
        let user = actor.user.id;
        let found = self.state.find(&room);
        let name = match (found, room) {
            (Some(_), _) => None,
            (None, RoomRef::Name(name)) if create_if_missing => Some(name),
            (None, _) => return Err(ErrorCode::RoomNotFound),
        };
        let member = found.is_some_and(|room| self.state.is_member(room, user));
        let rooms_joined = u32::try_from(self.state.rooms_of(user).len()).unwrap_or(u32::MAX);
        domain::check(Permission::Join, MemberContext { member, rooms_joined }, self.limits)?;
        if !member {
            self.registration(actor)?;
        }
        let created = found.is_none();
        let id = found.unwrap_or(RoomId(self.state.next_room));
        if let Some(name) = name {
            self.state.next_room += 1;
            self.state.by_key.insert(name.key(), id);
            self.state.rooms.insert(id, Room::new(id, name));
        }
        if !member {
            self.append_join(id, user)?;
        }
        let room = self.state.rooms.get_mut(&id).ok_or(ErrorCode::RoomNotFound)?;
        room.members.insert(user);
        let (info, head, read) = (room.info.clone(), room.head(), room.read.get(&user).copied());
        Ok(OperationResult::Join(JoinedRoom { info, head: head.seq, n: head.n, read, created }))
    }

    fn open(&mut self, actor: &Actor, room: RoomId) -> Result<OperationResult, ErrorCode> {
        let id = self.room_for(Permission::Member, actor, &RoomRef::Id(room))?;
        let room = &self.state.rooms[&id];
        let (head, read) = (room.head(), room.read.get(&actor.user.id).copied());
        Ok(OperationResult::Open(JoinedRoom {
            info: room.info.clone(),
            head: head.seq,
            n: head.n,
            read,
            created: false,
        }))
    }

    fn send(
        &mut self,
        actor: &Actor,
        room: &RoomRef,
        key: Option<ClientMessageId>,
        body: MessageBody,
    ) -> Result<OperationResult, ErrorCode> {
        let user = actor.user.id;
        let found = self.state.find(room);
        let key_of_user = key.clone().map(|key| (user, key));
        if let Some(&(sent_in, seq)) = key_of_user.as_ref().and_then(|key| self.state.keyed.get(key)) {
            let event = &self.state.rooms[&sent_in].events[(seq.0 - 1) as usize];
            let same = matches!(&event.kind, EventKind::Message { body: sent, .. } if *sent == body);
            return if found == Some(sent_in) && same {
                Ok(OperationResult::Send(SentMessage { room: sent_in, seq, repeated: true }))
            } else {
                Err(ErrorCode::KeyConflict)
            };
        }
        let room = self.room_for(Permission::Member, actor, room)?;
        let seq = self.append(room, user, EventKind::Message { client_message_id: key, body })?;
        if let Some(key) = key_of_user {
            self.state.keyed.insert(key, (room, seq));
        }
        Ok(OperationResult::Send(SentMessage { room, seq, repeated: false }))
    }

    fn set_topic(
        &mut self,
        actor: &Actor,
        room: &RoomRef,
        topic: Topic,
    ) -> Result<OperationResult, ErrorCode> {
        let id = self.room_for(Permission::Member, actor, room)?;
        let room = self.state.rooms.get_mut(&id).ok_or(ErrorCode::RoomNotFound)?;
        if std::mem::replace(&mut room.info.attributes.topic, topic.clone()) != topic {
            self.append(id, actor.user.id, EventKind::TopicChanged { topic: topic.clone() })?;
        }
        Ok(OperationResult::SetTopic(TopicSet { topic }))
    }

    fn rename(&mut self, actor: &Actor, name: UserName) -> Result<OperationResult, ErrorCode> {
        let user = actor.user.id;
        self.registration(actor)?;
        let stored = self.state.users.get_mut(&user).ok_or(ErrorCode::Unauthorized)?;
        let old_name = std::mem::replace(&mut stored.name, name.clone());
        if old_name != name {
            for room in self.state.rooms_of(user) {
                self.append(room, user, EventKind::Renamed { old_name: old_name.clone() })?;
            }
        }
        Ok(OperationResult::Rename(Named { name }))
    }

    fn read(&mut self, actor: &Actor, room: &RoomRef, seq: Seq) -> Result<OperationResult, ErrorCode> {
        let id = self.room_for(Permission::Member, actor, room)?;
        let room = self.state.rooms.get_mut(&id).ok_or(ErrorCode::RoomNotFound)?;
        let seq = seq.min(room.head().seq);
        let n = room.events[..seq.0 as usize].last().map_or(MessageCount(0), |event| event.n);
        let position = room.read.entry(actor.user.id).or_insert(ReadPosition { seq, n });
        if position.seq < seq {
            *position = ReadPosition { seq, n };
        }
        Ok(OperationResult::Read(*position))
    }

    fn leave_all(&mut self, user: UserId) -> OperationResult {
        for room in self.state.rooms_of(user) {
            // The user is a member of each of these rooms, so leaving cannot be rejected.
            let _ = self.remove_member(room, user);
        }
        OperationResult::LeaveAll(())
    }

    fn end_session(&mut self, token: &TokenHash) -> OperationResult {
        if let Some(user) = self.state.sessions.remove(token)
            && !self.state.sessions.values().any(|of| *of == user)
        {
            self.leave_all(user);
        }
        OperationResult::EndSession(())
    }

    fn registration(&mut self, actor: &Actor) -> Result<(), ErrorCode> {
        let User { id, name } = actor.user.clone();
        if self.state.users.contains_key(&id) {
            return Ok(());
        }
        let registration = actor.registration.as_ref().ok_or(ErrorCode::Unauthorized)?;
        self.state.users.insert(id, Stored { name, transient: registration.token.is_none() });
        if let Some(token) = registration.token {
            self.state.sessions.insert(token, id);
        }
        Ok(())
    }

    fn room_for(&self, operation: Permission, actor: &Actor, room: &RoomRef) -> Result<RoomId, ErrorCode> {
        let room = self.state.find(room).ok_or(ErrorCode::RoomNotFound)?;
        let member = self.state.is_member(room, actor.user.id);
        domain::check(operation, MemberContext { member, rooms_joined: 0 }, self.limits)?;
        Ok(room)
    }

    fn remove_member(&mut self, id: RoomId, user: UserId) -> Result<Seq, ErrorCode> {
        let seq = self.append(id, user, EventKind::MemberLeft {})?;
        let room = self.state.rooms.get_mut(&id).ok_or(ErrorCode::RoomNotFound)?;
        room.members.remove(&user);
        if room.members.is_empty() && room.head().n == MessageCount(0) && id != LOBBY {
            self.state.by_key.remove(&room.info.name.key());
            if let Some(room) = self.state.rooms.remove(&id) {
                self.state.deleted.insert(id, room);
            }
            self.batch.deleted_rooms.push(id);
        }
        Ok(seq)
    }

    /// Adds the user to the event of those who joined immediately before, if there is one.
    fn append_join(&mut self, id: RoomId, user: UserId) -> Result<(), ErrorCode> {
        let name = self.state.users.get(&user).ok_or(ErrorCode::Unauthorized)?.name.clone();
        // The room's last event of this batch is the last one of its log.
        let last = self.batch.events.iter_mut().rev().find(|event| event.room == id);
        let stored = self.state.rooms.get_mut(&id).and_then(|room| room.events.last_mut());
        if let (Some(last), Some(stored)) = (last, stored) {
            let mut event = (**last).clone();
            if let EventKind::MemberJoined { also_joined } = &mut event.kind
                && also_joined.len() + 1 < Limits::JOINED_TOGETHER
            {
                also_joined.push(User { id: user, name });
                *last = Arc::new(event);
                *stored = last.clone();
                return Ok(());
            }
        }
        self.append(id, user, EventKind::MemberJoined { also_joined: Vec::new() })?;
        Ok(())
    }

    fn append(&mut self, id: RoomId, user: UserId, kind: EventKind) -> Result<Seq, ErrorCode> {
        let name = self.state.users.get(&user).ok_or(ErrorCode::Unauthorized)?.name.clone();
        let room = self.state.rooms.get_mut(&id).ok_or(ErrorCode::RoomNotFound)?;
        let head = room.head();
        let messages = u64::from(matches!(kind, EventKind::Message { .. }));
        let event = Arc::new(Event {
            kind,
            room: id,
            seq: head.seq.next(),
            n: MessageCount(head.n.0 + messages),
            by: User { id: user, name },
            at: room.events.last().map_or(self.now, |last| last.at.max(self.now)),
        });
        room.events.push(event.clone());
        self.batch.events.push(event.clone());
        Ok(event.seq)
    }
}
