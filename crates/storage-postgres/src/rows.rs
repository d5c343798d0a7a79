//! Rows as values, and values as parameters.

use protocol::{
    Event, MessageBody, MessageCount, ReadPosition, RoomId, RoomInfo, RoomName, Seq, Timestamp, User, UserId,
    UserName,
};
use storage::{StoreError, StoredKind, attributes_from_json};
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

/// The columns that [`event`] reads, in its order.
macro_rules! event_columns {
    () => {
        "seq, n, at, kind, sender, sender_name, client_message_id, body, payload::text"
    };
}
pub(crate) use event_columns;

/// PostgreSQL's integers are signed. A number that does not fit is above all that is stored, and so is the largest that fits.
pub(crate) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// What was read is not what was written.
fn corrupt(cause: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt(cause.to_string())
}

/// A column.
pub(crate) fn get<'r, T: FromSql<'r>>(row: &'r Row, column: usize) -> Result<T, StoreError> {
    row.try_get(column).map_err(corrupt)
}

/// A number that was written by [`int`].
pub(crate) fn uint(row: &Row, column: usize) -> Result<u64, StoreError> {
    u64::try_from(get::<i64>(row, column)?).map_err(corrupt)
}

pub(crate) fn user_name(row: &Row, column: usize) -> Result<UserName, StoreError> {
    UserName::new(get(row, column)?).map_err(corrupt)
}

fn room_name(row: &Row, column: usize) -> Result<RoomName, StoreError> {
    RoomName::new(get(row, column)?).map_err(corrupt)
}

/// A room from the columns `id, name, attributes::text`.
pub(crate) fn room_info(row: &Row) -> Result<RoomInfo, StoreError> {
    let room = RoomId(uint(row, 0)?);
    Ok(RoomInfo { room, name: room_name(row, 1)?, attributes: attributes_from_json(get(row, 2)?)? })
}

pub(crate) fn message_body(row: &Row, column: usize) -> Result<MessageBody, StoreError> {
    MessageBody::new(get::<&str>(row, column)?, u32::MAX).map_err(corrupt)
}

/// A read position from two columns, null where there is none.
pub(crate) fn read_position(row: &Row, column: usize) -> Result<Option<ReadPosition>, StoreError> {
    if get::<Option<i64>>(row, column)?.is_none() {
        return Ok(None);
    }
    let (seq, n) = (uint(row, column)?, uint(row, column + 1)?);
    Ok(Some(ReadPosition { seq: Seq(seq), n: MessageCount(n) }))
}

/// An event from [`event_columns`].
pub(crate) fn event(room: RoomId, row: &Row) -> Result<Event, StoreError> {
    let stored = StoredKind {
        kind: get(row, 3)?,
        client_message_id: get(row, 6)?,
        body: get(row, 7)?,
        payload: get(row, 8)?,
    };
    Ok(Event {
        kind: stored.into_event_kind()?,
        room,
        seq: Seq(uint(row, 0)?),
        n: MessageCount(uint(row, 1)?),
        by: User { id: UserId(uint(row, 4)?), name: user_name(row, 5)? },
        at: Timestamp(get(row, 2)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_beyond_the_signed_range_are_the_largest() {
        assert_eq!((int(0), int(u64::MAX), int(1 << 63)), (0, i64::MAX, i64::MAX));
    }
}
