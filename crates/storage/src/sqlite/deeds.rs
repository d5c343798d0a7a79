//! What each request does, inside the transaction, and what the rules say to it there.

use domain::{MemberContext, Permission};
use protocol::{
    ClientMessageId, ErrorCode, EventKind, MessageBody, MessageCount, Person, ReadPosition, RoomId, RoomName,
    RoomRef, Seq, UserId, UserName,
};
use rusqlite::params;

use super::rows::{self, execute, first, int, uint};
use super::work::{OperationError, Transaction};
use crate::{Actor, Operation, OperationResult, Request, StoreError, TokenHash};

impl Transaction<'_> {
    pub(super) fn join(
        &mut self,
        actor: &Actor,
        room: RoomRef,
        create_if_missing: bool,
    ) -> Result<OperationResult, OperationError> {
        let user = actor.person.id;
        let found = self.find(&room)?;
        if found.is_none() && !(create_if_missing && matches!(room, RoomRef::Name(_))) {
            return Err(ErrorCode::RoomNotFound.into());
        }
        let member = match &found {
            Some((id, _)) => self.member(*id, user)?.is_some(),
            None => false,
        };
        let standing = MemberContext { member, rooms_joined: self.rooms_joined(user)? };
        domain::check(Permission::Join, standing, self.limits)?;
        let joining = if member { None } else { Some(self.enrolled(actor)?) };
        let created = found.is_none();
        let (id, name) = match (found, room) {
            (Some(found), _) => found,
            (None, RoomRef::Name(name)) => (self.make_room(&name, user)?, name),
            (None, RoomRef::Id(_)) => return Err(ErrorCode::RoomNotFound.into()),
        };
        let Some(person) = joining else { return self.joined(id, name, user, created) };
        let door = self.open_join_group(id)?;
        let seq = match door {
            Some(door) => door.seq,
            None => {
                self.append_notice(id, person.clone(), EventKind::MemberJoined { also_joined: Vec::new() })?
            }
        };
        execute(
            self.conn,
            "INSERT INTO membership (room, user, since_seq) VALUES (?1, ?2, ?3)",
            params![int(id.0), int(user.0), int(seq.0)],
        )?;
        let done = self.joined(id, name, user, created)?;
        if let Some(door) = door {
            self.enter(door, person);
        }
        Ok(done)
    }

    /// Whether it only looks: whoever comes back to a room, or joins where they are.
    pub(super) fn needs_no_room(&self, request: &Request) -> Result<bool, StoreError> {
        match &request.operation {
            Operation::Open { .. } => Ok(true),
            Operation::Join { room, .. } => match self.is_member(room, request.actor.person.id) {
                Err(OperationError::Failed(error)) => Err(error),
                member => Ok(member.is_ok_and(|member| member)),
            },
            _ => Ok(false),
        }
    }

    pub(super) fn open(&mut self, actor: &Actor, room: RoomId) -> Result<OperationResult, OperationError> {
        let (room, name) = self.find(&RoomRef::Id(room))?.ok_or(ErrorCode::RoomNotFound)?;
        let person = self.member_in(Permission::Resume, actor, room)?;
        self.joined(room, name, person.id, false)
    }

    fn joined(
        &mut self,
        room: RoomId,
        name: RoomName,
        user: UserId,
        created: bool,
    ) -> Result<OperationResult, OperationError> {
        let tail = self.tail(room)?;
        let read = self.position(room, user)?;
        Ok(OperationResult::Joined { room, name, head: tail.seq, n: tail.n, read, created })
    }

    pub(super) fn leave(&mut self, actor: &Actor, room: &RoomRef) -> Result<OperationResult, OperationError> {
        let (room, person) = self.member_for(Permission::Leave, actor, room)?;
        let seq = self.remove_member(room, person)?;
        Ok(OperationResult::Left { room, seq })
    }

    pub(super) fn leave_all(&mut self, user: UserId) -> Result<OperationResult, OperationError> {
        let Some(name) = self.name_of(user)? else { return Ok(OperationResult::LeftAll) };
        for room in self.rooms_of(user)? {
            self.remove_member(room, Person { id: user, name: name.clone() })?;
        }
        Ok(OperationResult::LeftAll)
    }

    pub(super) fn send(
        &mut self,
        actor: &Actor,
        room: &RoomRef,
        key: Option<ClientMessageId>,
        body: MessageBody,
    ) -> Result<OperationResult, OperationError> {
        // Where somebody is a member there is a room; who is none has it looked up below.
        let (mut found, seen) = match room {
            RoomRef::Id(id) => (Some(*id), false),
            RoomRef::Name(_) => (self.find_id(room)?, true),
        };
        let person = match found {
            Some(id) => self.member(id, actor.person.id)?,
            None => None,
        };
        if let (Some(id), Some(name)) = (found, person) {
            domain::check(Permission::Send, MemberContext { member: true, rooms_joined: 0 }, self.limits)?;
            let by = Person { id: actor.person.id, name };
            let kind = EventKind::Message { client_message_id: key.clone(), body: body.clone() };
            if let Some(event) = self.append(id, by, kind)? {
                return Ok(OperationResult::Sent { room: id, seq: event.seq, repeated: false });
            }
        }
        // Refused, or said before. A key that was used is answered for whatever the rules say now: the sender may have
        // left since, and still has to learn that the message arrived.
        if let Some(key) = key
            && let Some((id, seq, said)) = self.said(actor.person.id, &key)?
        {
            return if found == Some(id) && said == body.as_str() {
                Ok(OperationResult::Sent { room: id, seq, repeated: true })
            } else {
                Err(ErrorCode::KeyConflict.into())
            };
        }
        if !seen {
            found = self.find_id(room)?;
        }
        match found {
            None => Err(ErrorCode::RoomNotFound.into()),
            Some(_) => Err(self.refused(Permission::Send)),
        }
    }

    pub(super) fn rename(
        &mut self,
        actor: &Actor,
        name: UserName,
    ) -> Result<OperationResult, OperationError> {
        let person = self.enrolled(actor)?;
        if person.name == name {
            return Ok(OperationResult::Renamed { name });
        }
        execute(
            self.conn,
            "UPDATE person SET name = ?2 WHERE id = ?1",
            params![int(person.id.0), name.as_str()],
        )?;
        for room in self.rooms_of(person.id)? {
            let by = Person { id: person.id, name: name.clone() };
            self.append_notice(room, by, EventKind::Renamed { old_name: person.name.clone() })?;
        }
        Ok(OperationResult::Renamed { name })
    }

    pub(super) fn read(
        &mut self,
        actor: &Actor,
        room: &RoomRef,
        seq: Seq,
    ) -> Result<OperationResult, OperationError> {
        let (room, person) = self.member_for(Permission::Read, actor, room)?;
        let seq = seq.min(self.tail(room)?.seq);
        let before = self.position(room, person.id)?;
        if let Some(before) = before
            && before.seq >= seq
        {
            return Ok(OperationResult::Read(room, before));
        }
        let n = first(
            self.conn,
            "SELECT n FROM room_event WHERE room = ?1 AND seq = ?2",
            params![int(room.0), int(seq.0)],
            |row| uint(row, 0),
        )?;
        // Before the first event nothing was said.
        let position = ReadPosition { seq, n: MessageCount(n.unwrap_or(0)) };
        execute(
            self.conn,
            "INSERT INTO read_position (room, user, seq, n) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT (room, user) DO UPDATE SET seq = excluded.seq, n = excluded.n",
            params![int(room.0), int(person.id.0), int(position.seq.0), int(position.n.0)],
        )?;
        Ok(OperationResult::Read(room, position))
    }

    pub(super) fn end_session(&mut self, token: &TokenHash) -> Result<OperationResult, OperationError> {
        let sql = "DELETE FROM session WHERE token_hash = ?1 RETURNING user";
        if let Some(user) = first(self.conn, sql, [&token.0], |row| uint(row, 0).map(UserId))? {
            let sql = "SELECT 1 FROM session WHERE user = ?1 LIMIT 1";
            if first(self.conn, sql, [int(user.0)], |_| Ok(()))?.is_none() {
                self.leave_all(user)?;
            }
        }
        Ok(OperationResult::SessionEnded)
    }

    /// Ends a membership that is there.
    fn remove_member(&mut self, room: RoomId, person: Person) -> Result<Seq, OperationError> {
        let ids = params![int(room.0), int(person.id.0)];
        execute(self.conn, "DELETE FROM membership WHERE room = ?1 AND user = ?2", ids)?;
        let seq = self.append_notice(room, person, EventKind::MemberLeft {})?;
        self.delete_if_empty(room)?;
        Ok(seq)
    }

    /// The room, and the author by their stored name, if the rules let them do `operation` there.
    fn member_for(
        &mut self,
        operation: Permission,
        actor: &Actor,
        room: &RoomRef,
    ) -> Result<(RoomId, Person), OperationError> {
        let id = self.find_id(room)?.ok_or(ErrorCode::RoomNotFound)?;
        Ok((id, self.member_in(operation, actor, id)?))
    }

    fn member_in(
        &mut self,
        operation: Permission,
        actor: &Actor,
        room: RoomId,
    ) -> Result<Person, OperationError> {
        let id = actor.person.id;
        match self.member(room, id)? {
            Some(name) => {
                domain::check(operation, MemberContext { member: true, rooms_joined: 0 }, self.limits)?;
                Ok(Person { id, name })
            }
            None => Err(self.refused(operation)),
        }
    }

    /// What somebody who is no member hears.
    fn refused(&self, operation: Permission) -> OperationError {
        let stranger = MemberContext { member: false, rooms_joined: 0 };
        domain::check(operation, stranger, self.limits).err().unwrap_or(ErrorCode::NotAMember).into()
    }

    /// The author as stored, and stored now if they were not and may be.
    fn enrolled(&mut self, actor: &Actor) -> Result<Person, OperationError> {
        let id = actor.person.id;
        if let Some(registration) = &actor.registration {
            let added = execute(
                self.conn,
                "INSERT INTO person (id, name, transient, created_at) VALUES (?1, ?2, ?3, ?4) \
                 ON CONFLICT (id) DO NOTHING",
                params![int(id.0), actor.person.name.as_str(), registration.token.is_none(), self.now.0],
            )?;
            if added == 1 {
                if let Some(token) = &registration.token {
                    execute(
                        self.conn,
                        "INSERT INTO session (token_hash, user, created_at) VALUES (?1, ?2, ?3)",
                        params![token.0, int(id.0), self.now.0],
                    )?;
                }
                return Ok(actor.person.clone());
            }
        }
        let name = self.name_of(id)?.ok_or(ErrorCode::Unauthorized)?;
        Ok(Person { id, name })
    }

    fn make_room(&mut self, name: &RoomName, by: UserId) -> Result<RoomId, OperationError> {
        execute(
            self.conn,
            "INSERT INTO room (name, name_key, created_at, created_by) VALUES (?1, ?2, ?3, ?4)",
            params![name.as_str(), name.key(), self.now.0, int(by.0)],
        )?;
        // SQLite gives ids from 1 upwards.
        Ok(RoomId(self.conn.last_insert_rowid().unsigned_abs()))
    }

    fn find(&self, room: &RoomRef) -> Result<Option<(RoomId, RoomName)>, OperationError> {
        Ok(rows::find_room(self.conn, room)?)
    }

    fn find_id(&self, room: &RoomRef) -> Result<Option<RoomId>, OperationError> {
        Ok(self.find(room)?.map(|(id, _)| id))
    }

    /// The stored name of `user`, if they are a member of `room`.
    fn member(&self, room: RoomId, user: UserId) -> Result<Option<UserName>, OperationError> {
        Ok(first(
            self.conn,
            "SELECT p.name FROM membership m JOIN person p ON p.id = m.user WHERE m.room = ?1 AND m.user = ?2",
            params![int(room.0), int(user.0)],
            |row| rows::user_name(row, 0),
        )?)
    }

    fn is_member(&self, room: &RoomRef, user: UserId) -> Result<bool, OperationError> {
        let room = self.find_id(room)?;
        Ok(room.map(|room| self.member(room, user)).transpose()?.flatten().is_some())
    }

    fn name_of(&self, user: UserId) -> Result<Option<UserName>, OperationError> {
        let sql = "SELECT name FROM person WHERE id = ?1";
        Ok(first(self.conn, sql, [int(user.0)], |row| rows::user_name(row, 0))?)
    }

    fn rooms_joined(&self, user: UserId) -> Result<u32, OperationError> {
        let sql = "SELECT count(*) FROM membership WHERE user = ?1";
        let count = first(self.conn, sql, [int(user.0)], |row| uint(row, 0))?.unwrap_or(0);
        Ok(u32::try_from(count).unwrap_or(u32::MAX))
    }

    /// By id, so that every store appends in the same order.
    fn rooms_of(&self, user: UserId) -> Result<Vec<RoomId>, OperationError> {
        let mut rooms =
            self.conn.prepare_cached("SELECT room FROM membership WHERE user = ?1 ORDER BY room")?;
        let rooms = rooms.query_map([int(user.0)], |row| uint(row, 0).map(RoomId))?;
        Ok(rooms.collect::<Result<_, _>>()?)
    }

    fn position(&self, room: RoomId, user: UserId) -> Result<Option<ReadPosition>, OperationError> {
        Ok(rows::find_position(self.conn, room, user)?)
    }

    /// What a person said under a key.
    fn said(
        &self,
        user: UserId,
        key: &ClientMessageId,
    ) -> Result<Option<(RoomId, Seq, String)>, OperationError> {
        Ok(first(
            self.conn,
            "SELECT room, seq, body FROM room_event WHERE sender = ?1 AND client_message_id = ?2",
            params![int(user.0), key.as_str()],
            |row| Ok((RoomId(uint(row, 0)?), Seq(uint(row, 1)?), row.get(2)?)),
        )?)
    }
}
