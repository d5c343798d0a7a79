//! The implementation of the read port, on a connection that cannot write.

use std::sync::Arc;

use protocol::{
    EventPage, MessageCount, ReadPosition, RoomId, RoomPage, RoomRef, RoomSummary, Seq, User, UserId,
};
use rusqlite::{Connection, Params, Result, Row, params};
use storage::{
    Head, OpenRoom, PageBounds, PageBuilder, Reader, RoomQuery, StoreError, StoredRoom, TokenHash,
};

use super::failure::store_error;
use super::rows::{self, event_columns, first, int, uint};
use super::{Folder, open};

/// A connection for one reading thread.
pub(super) struct SqliteReader {
    conn: Connection,
    /// The value of `PRAGMA data_version` at the last call of `changed`: it counts commits of other connections.
    seen: Option<i64>,
    /// Keeps the folder locked while a reader exists.
    _folder: Arc<Folder>,
}

impl SqliteReader {
    pub(super) fn new(folder: &Arc<Folder>) -> Result<Self, StoreError> {
        let conn = open::for_reading(&folder.database)?;
        Ok(SqliteReader { conn, seen: None, _folder: folder.clone() })
    }

    /// Runs `read` in one transaction, so that all its queries see the same moment.
    fn snapshot<T>(&mut self, read: impl FnOnce(&Connection) -> Result<T>) -> Result<T, StoreError> {
        self.conn.transaction().and_then(|transaction| read(&transaction)).map_err(store_error)
    }

    #[cfg(test)]
    pub(super) fn connection(&self) -> &Connection {
        &self.conn
    }
}

/// The last event of a room: one step from the end of the room's range of the primary key.
const HEAD: &str = "SELECT seq, n FROM room_event WHERE room = ?1 ORDER BY seq DESC LIMIT 1";

fn head(conn: &Connection, room: RoomId) -> Result<Head> {
    let head = first(conn, HEAD, [int(room.0)], |row| {
        Ok(Head { seq: Seq(uint(row, 0)?), n: MessageCount(uint(row, 1)?) })
    })?;
    Ok(head.unwrap_or_default())
}

fn is_member(conn: &Connection, room: RoomId, user: UserId) -> Result<bool> {
    let sql = "SELECT 1 FROM membership WHERE room = ?1 AND user = ?2";
    Ok(first(conn, sql, params![int(room.0), int(user.0)], |_| Ok(()))?.is_some())
}

fn stored_room(conn: &Connection, room: &RoomRef) -> Result<Option<StoredRoom>> {
    let Some(info) = rows::find_room(conn, room, rows::room_info)? else { return Ok(None) };
    Ok(Some(StoredRoom { head: head(conn, info.room)?, info }))
}

/// A room of a list, without its head, which is a separate query.
fn summary(row: &Row<'_>) -> Result<RoomSummary> {
    Ok(RoomSummary {
        info: rows::room_info(RoomId(uint(row, 0)?), row)?,
        head: Seq(0),
        n: MessageCount(0),
        count: 0,
        joined: row.get(3)?,
        read: rows::read_position(row, 4)?,
    })
}

impl Reader for SqliteReader {
    fn user_of_session(&mut self, token: &TokenHash) -> Result<Option<User>, StoreError> {
        let sql = "SELECT p.id, p.name FROM session s JOIN person p ON p.id = s.user WHERE s.token_hash = ?1";
        let user = |row: &Row<'_>| Ok(User { id: UserId(uint(row, 0)?), name: rows::user_name(row, 1)? });
        first(&self.conn, sql, [&token.0], user).map_err(store_error)
    }

    fn room(&mut self, room: &RoomRef) -> Result<Option<StoredRoom>, StoreError> {
        self.snapshot(|conn| stored_room(conn, room))
    }

    fn is_member(&mut self, room: RoomId, user: UserId) -> Result<bool, StoreError> {
        is_member(&self.conn, room, user).map_err(store_error)
    }

    fn read_position(&mut self, room: RoomId, user: UserId) -> Result<Option<ReadPosition>, StoreError> {
        rows::find_position(&self.conn, room, user).map_err(store_error)
    }

    fn open_rooms(&mut self, user: UserId, rooms: &[RoomId]) -> Result<Vec<Option<OpenRoom>>, StoreError> {
        self.snapshot(|conn| rooms.iter().map(|room| open_room(conn, user, *room)).collect())
    }

    fn events_after(
        &mut self,
        room: RoomId,
        after: Seq,
        up_to: Option<Seq>,
        bounds: PageBounds,
    ) -> Result<EventPage, StoreError> {
        let sql = concat!(
            "SELECT ",
            event_columns!(),
            " FROM room_event WHERE room = ?1 AND seq > ?2 AND seq <= ?3 ORDER BY seq LIMIT ?4"
        );
        let up_to = up_to.map_or(i64::MAX, |seq| int(seq.0));
        let page = PageBuilder::new(bounds);
        let params = params![int(room.0), int(after.0), up_to, page.wanted()];
        Ok(events(&self.conn, room, sql, params, page).map_err(store_error)?.done())
    }

    fn events_before(
        &mut self,
        room: RoomId,
        before: Seq,
        bounds: PageBounds,
    ) -> Result<EventPage, StoreError> {
        let sql = concat!(
            "SELECT ",
            event_columns!(),
            " FROM room_event WHERE room = ?1 AND seq < ?2 ORDER BY seq DESC LIMIT ?3"
        );
        let page = PageBuilder::new(bounds);
        let params = params![int(room.0), int(before.0), page.wanted()];
        Ok(events(&self.conn, room, sql, params, page).map_err(store_error)?.done_reversed())
    }

    fn rooms(&mut self, query: RoomQuery) -> Result<RoomPage, StoreError> {
        self.snapshot(|conn| rooms(conn, query))
    }

    fn heads(&mut self, rooms: &[RoomId]) -> Result<Vec<Option<Head>>, StoreError> {
        self.snapshot(|conn| rooms.iter().map(|room| head_if_exists(conn, *room)).collect())
    }

    fn changed(&mut self) -> Result<bool, StoreError> {
        let now = self.conn.query_row("PRAGMA data_version", [], |row| row.get(0)).map_err(store_error)?;
        Ok(self.seen.replace(now) != Some(now))
    }
}

fn open_room(conn: &Connection, user: UserId, room: RoomId) -> Result<Option<OpenRoom>> {
    let Some(stored) = stored_room(conn, &RoomRef::Id(room))? else { return Ok(None) };
    let member = is_member(conn, room, user)?;
    let read = rows::find_position(conn, room, user)?;
    Ok(Some(OpenRoom { room: stored, member, read }))
}

/// Adds the rows of a statement to a page until it is full.
fn events(
    conn: &Connection,
    room: RoomId,
    sql: &str,
    params: impl Params,
    mut page: PageBuilder,
) -> Result<PageBuilder> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    while let Some(row) = rows.next()? {
        if !page.take(rows::event(room, row)?) {
            break;
        }
    }
    Ok(page)
}

fn rooms(conn: &Connection, query: RoomQuery) -> Result<RoomPage> {
    // A room without a global name is visible to its members only.
    let sql = if query.joined {
        "SELECT r.id, r.name, r.attributes, 1, p.seq, p.n FROM membership m JOIN room r ON r.id = m.room \
         LEFT JOIN read_position p ON p.room = m.room AND p.user = m.user \
         WHERE m.user = ?1 AND m.room > ?2 ORDER BY m.room LIMIT ?3"
    } else {
        "SELECT r.id, r.name, r.attributes, m.user IS NOT NULL, p.seq, p.n FROM room r \
         LEFT JOIN membership m ON m.room = r.id AND m.user = ?1 \
         LEFT JOIN read_position p ON p.room = r.id AND p.user = ?1 \
         WHERE r.id > ?2 AND (r.name_key IS NOT NULL OR m.user IS NOT NULL) ORDER BY r.id LIMIT ?3"
    };
    let limit = query.limit.max(1);
    let after = query.after.map_or(0, |room| int(room.0));
    let mut page = RoomPage { rooms: Vec::new(), next: None };
    let mut rooms = conn.prepare_cached(sql)?;
    let mut rows = rooms.query(params![int(query.user.0), after, limit.saturating_add(1)])?;
    while let Some(row) = rows.next()? {
        if page.rooms.len() == limit as usize {
            page.next = page.rooms.last().map(|room| room.info.room);
            break;
        }
        page.rooms.push(summary(row)?);
    }
    for room in &mut page.rooms {
        let head = head(conn, room.info.room)?;
        (room.head, room.n) = (head.seq, head.n);
    }
    Ok(page)
}

fn head_if_exists(conn: &Connection, room: RoomId) -> Result<Option<Head>> {
    let exists = "SELECT 1 FROM room WHERE id = ?1";
    match head(conn, room)? {
        // The first event of a room is the join of its creator, so only the lobby can exist without events.
        Head { seq: Seq(0), .. } if first(conn, exists, [int(room.0)], |_| Ok(()))?.is_none() => Ok(None),
        head => Ok(Some(head)),
    }
}
