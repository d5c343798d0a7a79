//! The read port: each method is one statement, so that all it returns is of one moment and costs one round trip.

use std::sync::Arc;

use protocol::{
    EventPage, MessageCount, ReadPosition, RoomId, RoomPage, RoomRef, RoomSummary, Seq, User, UserId,
};
use storage::{
    Head, OpenRoom, PageBounds, PageBuilder, Reader, RoomQuery, StoreError, StoredRoom, TokenHash,
};
use tokio_postgres::Row;

use crate::failure::Failure;
use crate::link::Link;
use crate::rows::{event, event_columns, get, int, read_position, room_info, uint, user_name};
use crate::session::{Params, Role, Session};
use crate::target::Target;

/// A connection that reads.
pub(crate) struct PostgresReader {
    target: Arc<Target>,
    link: Link,
    /// The count of commits at the last call of `changed`.
    seen: Option<i64>,
}

impl PostgresReader {
    pub(crate) fn new(target: &Arc<Target>) -> Result<Self, StoreError> {
        let session = open(target).map_err(|failure| failure.error)?;
        Ok(PostgresReader { target: Arc::clone(target), link: Link::new(Some(session)), seen: None })
    }

    fn rows(&mut self, sql: &'static str, params: Params<'_>) -> Result<Vec<Row>, StoreError> {
        let target = &self.target;
        self.link.repeat(|| open(target), |session| session.query(sql, params))
    }

    fn row(&mut self, sql: &'static str, params: Params<'_>) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(sql, params)?.into_iter().next())
    }
}

fn open(target: &Target) -> Result<Session, Failure> {
    target.connect(Role::Reader)
}

/// The head from two columns.
fn head(row: &Row, column: usize) -> Result<Head, StoreError> {
    Ok(Head { seq: Seq(uint(row, column)?), n: MessageCount(uint(row, column + 1)?) })
}

/// A room from the columns of [`room_info`] and its head.
fn stored_room(row: &Row) -> Result<StoredRoom, StoreError> {
    Ok(StoredRoom { info: room_info(row)?, head: head(row, 3)? })
}

fn ints(rooms: &[RoomId]) -> Vec<i64> {
    rooms.iter().map(|room| int(room.0)).collect()
}

impl Reader for PostgresReader {
    fn user_of_session(&mut self, token: &TokenHash) -> Result<Option<User>, StoreError> {
        let sql = "SELECT u.id, u.name FROM session s JOIN user_account u ON u.id = s.user_id WHERE s.token_hash = $1";
        let row = self.row(sql, &[&token.0.as_slice()])?;
        row.map(|row| Ok(User { id: UserId(uint(&row, 0)?), name: user_name(&row, 1)? })).transpose()
    }

    fn room(&mut self, room: &RoomRef) -> Result<Option<StoredRoom>, StoreError> {
        let row = match room {
            RoomRef::Id(id) => self.row(
                "SELECT id, name, attributes::text, head_seq, head_n FROM room WHERE id = $1",
                &[&int(id.0)],
            ),
            RoomRef::Name(name) => self.row(
                "SELECT id, name, attributes::text, head_seq, head_n FROM room WHERE name_key = $1",
                &[&name.key()],
            ),
        };
        row?.map(|row| stored_room(&row)).transpose()
    }

    fn is_member(&mut self, room: RoomId, user: UserId) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM membership WHERE room = $1 AND user_id = $2";
        Ok(self.row(sql, &[&int(room.0), &int(user.0)])?.is_some())
    }

    fn read_position(&mut self, room: RoomId, user: UserId) -> Result<Option<ReadPosition>, StoreError> {
        let sql = "SELECT seq, n FROM read_position WHERE room = $1 AND user_id = $2";
        let row = self.row(sql, &[&int(room.0), &int(user.0)])?;
        row.map_or(Ok(None), |row| read_position(&row, 0))
    }

    fn open_rooms(&mut self, user: UserId, rooms: &[RoomId]) -> Result<Vec<Option<OpenRoom>>, StoreError> {
        let sql = "SELECT r.id, r.name, r.attributes::text, r.head_seq, r.head_n, m.room IS NOT NULL, p.seq, p.n \
                   FROM unnest($2::bigint[]) WITH ORDINALITY AS requested (room, position) \
                   LEFT JOIN room r ON r.id = requested.room \
                   LEFT JOIN membership m ON m.room = requested.room AND m.user_id = $1 \
                   LEFT JOIN read_position p ON p.room = requested.room AND p.user_id = $1 \
                   ORDER BY requested.position";
        let open = |row: &Row| {
            if get::<Option<i64>>(row, 0)?.is_none() {
                return Ok(None);
            }
            Ok(Some(OpenRoom { room: stored_room(row)?, member: get(row, 5)?, read: read_position(row, 6)? }))
        };
        self.rows(sql, &[&int(user.0), &ints(rooms)])?.iter().map(open).collect()
    }

    fn events_after(
        &mut self,
        room: RoomId,
        after: Seq,
        up_to: Option<Seq>,
        bounds: PageBounds,
    ) -> Result<EventPage, StoreError> {
        let mut page = PageBuilder::new(bounds);
        let sql = concat!(
            "SELECT ",
            event_columns!(),
            " FROM room_event WHERE room = $1 AND seq > $2 AND seq <= $3 ORDER BY seq LIMIT $4"
        );
        let up_to = up_to.map_or(i64::MAX, |seq| int(seq.0));
        let limit = i64::from(page.wanted());
        for row in self.rows(sql, &[&int(room.0), &int(after.0), &up_to, &limit])? {
            if !page.take(event(room, &row)?) {
                break;
            }
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
        let sql = concat!(
            "SELECT ",
            event_columns!(),
            " FROM room_event WHERE room = $1 AND seq < $2 ORDER BY seq DESC LIMIT $3"
        );
        let limit = i64::from(page.wanted());
        for row in self.rows(sql, &[&int(room.0), &int(before.0), &limit])? {
            if !page.take(event(room, &row)?) {
                break;
            }
        }
        Ok(page.done_reversed())
    }

    fn rooms(&mut self, query: RoomQuery) -> Result<RoomPage, StoreError> {
        // A room without a global name is visible to its members only.
        let sql = if query.joined {
            "SELECT r.id, r.name, r.attributes::text, r.head_seq, r.head_n, true, p.seq, p.n FROM membership m JOIN room r ON r.id = m.room \
             LEFT JOIN read_position p ON p.room = m.room AND p.user_id = m.user_id \
             WHERE m.user_id = $1 AND m.room > $2 ORDER BY m.room LIMIT $3"
        } else {
            "SELECT r.id, r.name, r.attributes::text, r.head_seq, r.head_n, m.room IS NOT NULL, p.seq, p.n FROM room r \
             LEFT JOIN membership m ON m.room = r.id AND m.user_id = $1 \
             LEFT JOIN read_position p ON p.room = r.id AND p.user_id = $1 \
             WHERE r.id > $2 AND (r.name_key IS NOT NULL OR m.room IS NOT NULL) ORDER BY r.id LIMIT $3"
        };
        let limit = query.limit.max(1);
        let after = query.after.map_or(0, |room| int(room.0));
        let wanted = i64::from(limit) + 1;
        let mut page = RoomPage { rooms: Vec::new(), next: None };
        for row in self.rows(sql, &[&int(query.user.0), &after, &wanted])? {
            if page.rooms.len() == limit as usize {
                page.next = page.rooms.last().map(|room| room.info.room);
                break;
            }
            let StoredRoom { info, head } = stored_room(&row)?;
            let (joined, read) = (get(&row, 5)?, read_position(&row, 6)?);
            page.rooms.push(RoomSummary { info, head: head.seq, n: head.n, count: 0, joined, read });
        }
        Ok(page)
    }

    fn heads(&mut self, rooms: &[RoomId]) -> Result<Vec<Option<Head>>, StoreError> {
        let sql = "SELECT r.head_seq, r.head_n FROM unnest($1::bigint[]) WITH ORDINALITY AS requested (room, position) \
                   LEFT JOIN room r ON r.id = requested.room ORDER BY requested.position";
        let head = |row: &Row| match get::<Option<i64>>(row, 0)? {
            Some(_) => head(row, 0).map(Some),
            None => Ok(None),
        };
        self.rows(sql, &[&ints(rooms)])?.iter().map(head).collect()
    }

    fn changed(&mut self) -> Result<bool, StoreError> {
        let row = self.row("SELECT value FROM counter WHERE key = 'commits'", &[])?;
        let Some(row) = row else { return Ok(true) };
        let now = get(&row, 0)?;
        Ok(self.seen.replace(now) != Some(now))
    }
}
