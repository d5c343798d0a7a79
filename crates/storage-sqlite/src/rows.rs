//! The conversion between rows and values.

use protocol::{
    ClientMessageId, Event, EventKind, MessageBody, MessageCount, ReadPosition, RoomAttributes, RoomId,
    RoomInfo, RoomName, RoomRef, Seq, Timestamp, User, UserId, UserName,
};
use rusqlite::types::Type;
use rusqlite::{CachedStatement, Connection, Error, OptionalExtension, Params, Result, Row, params};

use storage::{StoredKind, attributes_from_json};

/// The columns that [`event`] reads, in this order.
macro_rules! event_columns {
    () => {
        "seq, n, kind, sender, sender_name, at, client_message_id, body, was, joined_with, payload"
    };
}
pub(super) use event_columns;

/// SQLite's integers are signed. A larger number is above everything that is stored, and so is the largest one that fits.
pub(super) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Reads a number that [`int`] wrote. A negative one is an error.
pub(super) fn uint(row: &Row<'_>, column: usize) -> Result<u64> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).map_err(|_| Error::IntegralValueOutOfRange(column, number))
}

fn optional_uint(row: &Row<'_>, column: usize) -> Result<Option<u64>> {
    match row.get_ref(column)? {
        rusqlite::types::ValueRef::Null => Ok(None),
        _ => uint(row, column).map(Some),
    }
}

/// Reads a text that was valid when it was written. An invalid one is an error, not a panic: the file may be damaged.
fn text<T, E>(row: &Row<'_>, column: usize, read: impl FnOnce(&str) -> Result<T, E>) -> Result<T>
where
    E: std::error::Error + Send + Sync + 'static,
{
    read(row.get_ref(column)?.as_str()?)
        .map_err(|cause| Error::FromSqlConversionFailure(column, Type::Text, Box::new(cause)))
}

pub(super) fn user_name(row: &Row<'_>, column: usize) -> Result<UserName> {
    text(row, column, UserName::new)
}

pub(super) fn room_name(row: &Row<'_>, column: usize) -> Result<RoomName> {
    text(row, column, RoomName::new)
}

pub(super) fn attributes(row: &Row<'_>, column: usize) -> Result<RoomAttributes> {
    text(row, column, attributes_from_json)
}

/// Reads a room from the columns `id, name, attributes`; the id was already read.
pub(super) fn room_info(room: RoomId, row: &Row<'_>) -> Result<RoomInfo> {
    Ok(RoomInfo { room, name: room_name(row, 1)?, attributes: attributes(row, 2)? })
}

pub(super) fn message_body(row: &Row<'_>, column: usize) -> Result<MessageBody> {
    text(row, column, |body| MessageBody::new(body, u32::MAX))
}

/// Reads a read position from two columns; null if there is none.
pub(super) fn read_position(row: &Row<'_>, column: usize) -> Result<Option<ReadPosition>> {
    let Some(seq) = optional_uint(row, column)? else { return Ok(None) };
    Ok(Some(ReadPosition { seq: Seq(seq), n: MessageCount(uint(row, column + 1)?) }))
}

/// Reads an event from the columns of [`event_columns`].
pub(super) fn event(room: RoomId, row: &Row<'_>) -> Result<Event> {
    let kind = match row.get_ref(2)?.as_str()? {
        "message" => EventKind::Message {
            client_message_id: match row.get_ref(6)?.as_str_or_null()? {
                Some(_) => Some(text(row, 6, |key| ClientMessageId::new(key))?),
                None => None,
            },
            body: message_body(row, 7)?,
        },
        "member_joined" => EventKind::MemberJoined {
            also_joined: match row.get_ref(9)?.as_str_or_null()? {
                Some(_) => text(row, 9, |users| serde_json::from_str(users))?,
                None => Vec::new(),
            },
        },
        "member_left" => EventKind::MemberLeft {},
        "renamed" => EventKind::Renamed { old_name: user_name(row, 8)? },
        kind => {
            let payload = row.get_ref(10)?.as_str_or_null()?;
            StoredKind { kind, client_message_id: None, body: None, payload }
                .into_event_kind()
                .map_err(|cause| Error::FromSqlConversionFailure(10, Type::Text, Box::new(cause)))?
        }
    };
    Ok(Event {
        kind,
        room,
        seq: Seq(uint(row, 0)?),
        n: MessageCount(uint(row, 1)?),
        by: User { id: UserId(uint(row, 3)?), name: user_name(row, 4)? },
        at: Timestamp(row.get(5)?),
    })
}

pub(super) fn insert_event(conn: &Connection, event: &Event) -> Result<()> {
    let other;
    let mut payload = None;
    let (kind, key, body, was) = match &event.kind {
        EventKind::Message { client_message_id, body } => {
            ("message", client_message_id.as_ref().map(ClientMessageId::as_str), Some(body.as_str()), None)
        }
        EventKind::MemberJoined { .. } => ("member_joined", None, None, None),
        EventKind::MemberLeft {} => ("member_left", None, None, None),
        EventKind::Renamed { old_name } => ("renamed", None, None, Some(old_name.as_str())),
        kind => {
            let stored =
                StoredKind::of(kind).map_err(|cause| Error::ToSqlConversionFailure(Box::new(cause)))?;
            (other, payload) = (stored.kind, stored.payload);
            (other.as_ref(), None, None, None)
        }
    };
    conn.prepare_cached(concat!(
        "INSERT INTO room_event (room, ",
        event_columns!(),
        ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)"
    ))?
    .execute(params![
        int(event.room.0),
        int(event.seq.0),
        int(event.n.0),
        kind,
        int(event.by.id.0),
        event.by.name.as_str(),
        event.at.0,
        key,
        body,
        was,
        joined_with(event),
        payload
    ])?;
    Ok(())
}

fn joined_with(event: &Event) -> Option<String> {
    match &event.kind {
        EventKind::MemberJoined { also_joined } if !also_joined.is_empty() => {
            // Cannot fail: the value consists of strings and numbers.
            Some(serde_json::to_string(also_joined).expect("users are JSON by construction"))
        }
        _ => None,
    }
}

/// Finds a room. `read` gets its id, and the row for [`room_info`].
pub(super) fn find_room<T>(
    conn: &Connection,
    room: &RoomRef,
    read: impl FnOnce(RoomId, &Row<'_>) -> Result<T>,
) -> Result<Option<T>> {
    let read = |row: &Row<'_>| read(RoomId(uint(row, 0)?), row);
    match room {
        RoomRef::Id(id) => {
            first(conn, "SELECT id, name, attributes FROM room WHERE id = ?1", [int(id.0)], read)
        }
        RoomRef::Name(name) => {
            first(conn, "SELECT id, name, attributes FROM room WHERE name_key = ?1", [name.key()], read)
        }
    }
}

pub(super) fn find_position(conn: &Connection, room: RoomId, user: UserId) -> Result<Option<ReadPosition>> {
    let sql = "SELECT seq, n FROM read_position WHERE room = ?1 AND user = ?2";
    let found = first(conn, sql, [int(room.0), int(user.0)], |row| read_position(row, 0))?;
    Ok(found.flatten())
}

/// The first row of a cached statement, if there is one.
pub(super) fn first<T>(
    conn: &Connection,
    sql: &str,
    params: impl Params,
    read: impl FnOnce(&Row<'_>) -> Result<T>,
) -> Result<Option<T>> {
    let mut statement: CachedStatement<'_> = conn.prepare_cached(sql)?;
    statement.query_row(params, read).optional()
}

/// Runs a cached statement. Returns the number of changed rows.
pub(super) fn execute(conn: &Connection, sql: &str, params: impl Params) -> Result<usize> {
    conn.prepare_cached(sql)?.execute(params)
}
