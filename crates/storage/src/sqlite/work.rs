//! One transaction at work: what has been appended in it so far, and where each room's log ends.

use std::collections::HashMap;
use std::sync::Arc;

use domain::RoomLimits;
use protocol::{ErrorCode, Event, EventKind, Limits, MessageCount, Person, RoomId, Seq, Timestamp};
use rusqlite::{Connection, params};

use super::rows::{self, execute, first, int, uint};
use crate::{Batch, CommandError, OperationResult, Request, StoreError};

/// A transaction that may write, from its first statement on.
pub(super) const BEGIN: &str = "BEGIN IMMEDIATE";

/// Why a request goes no further.
pub(super) enum OperationError {
    /// The rules forbid it.
    Refused(ErrorCode),
    /// The store could not.
    Failed(StoreError),
}

impl From<ErrorCode> for OperationError {
    fn from(code: ErrorCode) -> Self {
        OperationError::Refused(code)
    }
}

impl From<rusqlite::Error> for OperationError {
    fn from(error: rusqlite::Error) -> Self {
        OperationError::Failed(error.into())
    }
}

/// Where a room's log ends, and when.
#[derive(Clone, Copy)]
pub(super) struct RoomHead {
    pub(super) seq: Seq,
    pub(super) n: MessageCount,
    at: Timestamp,
}

/// The ends of logs as the transaction sees them, so that a message costs no look at the one before it.
///
/// **Invariant:** never ahead of the transaction, nor, outside of one, of the disk. Whatever is undone is forgotten here, and
/// read again when it is needed (`a_failed_commit_leaves_no_trace`, `a_full_disk_refuses_and_recovers`).
#[derive(Default)]
pub(super) struct HeadCache {
    known: HashMap<RoomId, RoomHead>,
    /// Rooms appended to since the last savepoint.
    touched: Vec<RoomId>,
}

impl HeadCache {
    /// 64 bytes each: 1 MiB. Beyond it all are forgotten, which costs each room in use one look.
    const CAPACITY: usize = 16 * 1024;

    pub(super) fn forget_all(&mut self) {
        self.known.clear();
        self.touched.clear();
    }

    pub(super) fn keep_small(&mut self) {
        self.touched.clear();
        if self.known.len() > Self::CAPACITY {
            self.known.clear();
        }
    }

    fn forget_touched(&mut self) {
        for room in self.touched.drain(..) {
            self.known.remove(&room);
        }
    }
}

/// A transaction that has begun.
pub(super) struct Transaction<'t> {
    pub(super) conn: &'t Connection,
    pub(super) heads: &'t mut HeadCache,
    pub(super) limits: &'t RoomLimits,
    pub(super) now: Timestamp,
    /// Becomes what the caller gets, if the transaction commits.
    pub(super) batch: Batch,
    /// Where in the batch each room's last `member_joined` was put. A hint: what is undone stays in it, so the event there is
    /// believed only if it is the end of the room's log.
    join_groups: HashMap<RoomId, usize>,
}

/// A `member_joined` of this transaction, by its place in the batch, that one more person may share.
#[derive(Clone, Copy)]
pub(super) struct JoinGroup {
    at: usize,
    pub(super) seq: Seq,
}

impl<'t> Transaction<'t> {
    pub(super) fn new(
        conn: &'t Connection,
        heads: &'t mut HeadCache,
        limits: &'t RoomLimits,
        now: Timestamp,
    ) -> Self {
        Transaction { conn, heads, limits, now, batch: Batch::default(), join_groups: HashMap::new() }
    }
}

impl Transaction<'_> {
    /// Carries out the only request of the transaction: what undoes it is the transaction itself, for a savepoint copies each
    /// page that is written after it.
    pub(super) fn attempt_alone(&mut self, request: Request) -> Result<(), StoreError> {
        self.try_out(request, &["ROLLBACK", BEGIN])
    }

    /// Carries out one request of several in a savepoint. An error: the whole transaction is lost.
    pub(super) fn attempt(&mut self, request: Request) -> Result<(), StoreError> {
        execute(self.conn, "SAVEPOINT request", [])?;
        self.try_out(request, &["ROLLBACK TO request"])?;
        execute(self.conn, "RELEASE request", [])?;
        Ok(())
    }

    /// Notes the answer; the statements of `undo` leave nothing of what was refused.
    fn try_out(&mut self, request: Request, undo: &[&str]) -> Result<(), StoreError> {
        let request_id = request.request_id;
        let (events, gone) = (self.batch.events.len(), self.batch.gone.len());
        self.heads.touched.clear();
        let answer = match self.carry_out(request) {
            Ok(done) => Ok(done),
            Err(stop) => {
                self.batch.events.truncate(events);
                self.batch.gone.truncate(gone);
                match &stop {
                    OperationError::Refused(_) => self.heads.forget_touched(),
                    // What failed may have failed because what is remembered is wrong.
                    OperationError::Failed(_) => self.heads.forget_all(),
                }
                Err(self.undo(stop, undo)?)
            }
        };
        self.batch.answers.push((request_id, answer));
        Ok(())
    }

    fn undo(&mut self, stop: OperationError, statements: &[&str]) -> Result<CommandError, StoreError> {
        let refusal = match stop {
            OperationError::Refused(code) => CommandError::from(code),
            // SQLite may have undone everything already (a full disk, an I/O error): then the earlier requests of this
            // batch are undone too, and nobody may be told otherwise.
            OperationError::Failed(error) if self.conn.is_autocommit() || error.fatal().is_some() => {
                return Err(error);
            }
            OperationError::Failed(error) => {
                self.batch.internal.push(error.to_string());
                error.refusal()
            }
        };
        for sql in statements {
            execute(self.conn, sql, [])?;
        }
        Ok(refusal)
    }

    /// The end of a room's log.
    pub(super) fn tail(&mut self, room: RoomId) -> Result<RoomHead, OperationError> {
        if let Some(tail) = self.heads.known.get(&room) {
            return Ok(*tail);
        }
        let last = first(
            self.conn,
            "SELECT seq, n, at FROM room_event WHERE room = ?1 ORDER BY seq DESC LIMIT 1",
            [int(room.0)],
            |row| {
                Ok(RoomHead {
                    seq: Seq(uint(row, 0)?),
                    n: MessageCount(uint(row, 1)?),
                    at: Timestamp(row.get(2)?),
                })
            },
        )?;
        let tail = last.unwrap_or(RoomHead { seq: Seq(0), n: MessageCount(0), at: Timestamp(i64::MIN) });
        self.heads.known.insert(room, tail);
        Ok(tail)
    }

    /// Appends an event. `None`: its sender has used its key before, and nothing was written.
    pub(super) fn append(
        &mut self,
        room: RoomId,
        by: Person,
        kind: EventKind,
    ) -> Result<Option<Arc<Event>>, OperationError> {
        let tail = self.tail(room)?;
        let said = u64::from(matches!(kind, EventKind::Message { .. }));
        let event = Event {
            kind,
            room,
            seq: tail.seq.next(),
            n: MessageCount(tail.n.0 + said),
            by,
            // Clocks go back; a room's events do not.
            at: self.now.max(tail.at),
        };
        if !rows::insert_event(self.conn, &event)? {
            return Ok(None);
        }
        self.heads.known.insert(room, RoomHead { seq: event.seq, n: event.n, at: event.at });
        self.heads.touched.push(room);
        if matches!(event.kind, EventKind::MemberJoined { .. }) {
            self.join_groups.insert(room, self.batch.events.len());
        }
        let event = Arc::new(event);
        self.batch.events.push(event.clone());
        Ok(Some(event))
    }

    /// The event that somebody who joins `room` now shares: the end of the room's log, if somebody joined by it in this
    /// transaction and it has a place left.
    pub(super) fn open_join_group(&mut self, room: RoomId) -> Result<Option<JoinGroup>, OperationError> {
        let Some(&at) = self.join_groups.get(&room) else { return Ok(None) };
        let seq = self.tail(room)?.seq;
        let is_open = |event: &Arc<Event>| {
            let has_place = matches!(&event.kind, EventKind::MemberJoined { also_joined } if also_joined.len() + 1 < Limits::JOINED_TOGETHER);
            (event.room, event.seq) == (room, seq) && has_place
        };
        Ok(self.batch.events.get(at).filter(|event| is_open(event)).map(|_| JoinGroup { at, seq }))
    }

    /// Adds somebody to an event of the batch. The savepoint knows nothing of it: to be done when nothing of the request can
    /// fail any more.
    pub(super) fn enter(&mut self, door: JoinGroup, person: Person) {
        if let Some(event) = self.batch.events.get_mut(door.at)
            && let EventKind::MemberJoined { also_joined } = &mut Arc::make_mut(event).kind
        {
            also_joined.push(person);
        }
    }

    /// Writes down who shares which event: once for each event, however many they are. The last thing before the commit.
    pub(super) fn close_join_groups(&self) -> Result<(), StoreError> {
        for event in &self.batch.events {
            let is_shared =
                matches!(&event.kind, EventKind::MemberJoined { also_joined } if !also_joined.is_empty());
            if is_shared
                && !rows::update_joined_with(self.conn, event)?
                && !self.batch.gone.contains(&event.room)
            {
                return Err(StoreError::Defect(format!(
                    "event {} of {} is not there",
                    event.seq, event.room
                )));
            }
        }
        Ok(())
    }

    /// Appends an event that bears no key.
    pub(super) fn append_notice(
        &mut self,
        room: RoomId,
        by: Person,
        kind: EventKind,
    ) -> Result<Seq, OperationError> {
        match self.append(room, by, kind)? {
            Some(event) => Ok(event.seq),
            None => Err(OperationError::Failed(StoreError::Defect(
                "an event without a key was taken as repeated".to_owned(),
            ))),
        }
    }

    /// A room in which nothing was ever said goes with its last member.
    pub(super) fn delete_if_empty(&mut self, room: RoomId) -> Result<(), OperationError> {
        if room == crate::LOBBY || self.tail(room)?.n > MessageCount(0) {
            return Ok(());
        }
        let member = "SELECT 1 FROM membership WHERE room = ?1 LIMIT 1";
        if first(self.conn, member, [int(room.0)], |_| Ok(()))?.is_some() {
            return Ok(());
        }
        execute(self.conn, "DELETE FROM room_event WHERE room = ?1", [int(room.0)])?;
        execute(self.conn, "DELETE FROM read_position WHERE room = ?1", [int(room.0)])?;
        execute(self.conn, "DELETE FROM room WHERE id = ?1", params![int(room.0)])?;
        self.heads.known.remove(&room);
        self.batch.gone.push(room);
        Ok(())
    }

    fn carry_out(&mut self, request: Request) -> Result<OperationResult, OperationError> {
        use crate::Operation;
        let actor = request.actor;
        match request.operation {
            Operation::Join { room, create_if_missing } => self.join(&actor, room, create_if_missing),
            Operation::Open { room } => self.open(&actor, room),
            Operation::Leave { room } => self.leave(&actor, &room),
            Operation::Send { room, key, body } => self.send(&actor, &room, key, body),
            Operation::Rename { name } => self.rename(&actor, name),
            Operation::Read { room, seq } => self.read(&actor, &room, seq),
            Operation::LeaveAll => self.leave_all(actor.person.id),
            Operation::EndSession { token } => self.end_session(&token),
        }
    }
}
