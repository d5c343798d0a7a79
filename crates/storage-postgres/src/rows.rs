//! Rows as values, and values as parameters.

use protocol::{
    ClientMessageId, Event, EventKind, MessageBody, MessageCount, Person, ReadPosition, RoomId, RoomName,
    Seq, Timestamp, UserId, UserName,
};
use serde_json::{Map, Value};
use storage::StoreError;
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

pub(crate) fn room_name(row: &Row, column: usize) -> Result<RoomName, StoreError> {
    RoomName::new(get(row, column)?).map_err(corrupt)
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
        by: Person { id: UserId(uint(row, 4)?), name: user_name(row, 5)? },
        at: Timestamp(get(row, 2)?),
    })
}

/// What an event says, in columns. Fields without a column of their own are in `payload`, as JSON: a new kind of event needs no
/// code here.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct StoredKind<T> {
    pub(crate) kind: T,
    pub(crate) client_message_id: Option<T>,
    pub(crate) body: Option<T>,
    pub(crate) payload: Option<T>,
}

impl StoredKind<&str> {
    fn into_event_kind(self) -> Result<EventKind, StoreError> {
        if let ("message", Some(body)) = (self.kind, self.body) {
            let client_message_id =
                self.client_message_id.map(ClientMessageId::new).transpose().map_err(corrupt)?;
            let body = MessageBody::new(body, u32::MAX).map_err(corrupt)?;
            return Ok(EventKind::Message { client_message_id, body });
        }
        let mut fields: Map<String, Value> = match self.payload {
            Some(payload) => serde_json::from_str(payload).map_err(corrupt)?,
            None => Map::new(),
        };
        fields.insert("type".to_owned(), self.kind.into());
        serde_json::from_value(Value::Object(fields)).map_err(corrupt)
    }
}

impl StoredKind<String> {
    /// The columns for `kind`.
    pub(crate) fn of(kind: &EventKind) -> Result<Self, StoreError> {
        if let EventKind::Message { client_message_id, body } = kind {
            return Ok(StoredKind {
                kind: "message".to_owned(),
                client_message_id: client_message_id.as_ref().map(|key| key.as_str().to_owned()),
                body: Some(body.as_str().to_owned()),
                payload: None,
            });
        }
        let defect = || StoreError::Defect("an event's kind is not an object with a type".to_owned());
        let Ok(Value::Object(mut fields)) = serde_json::to_value(kind) else { return Err(defect()) };
        let Some(Value::String(name)) = fields.remove("type") else { return Err(defect()) };
        let payload = (!fields.is_empty()).then(|| Value::Object(fields).to_string());
        Ok(StoredKind { kind: name, client_message_id: None, body: None, payload })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> UserName {
        UserName::new(text).unwrap()
    }

    #[test]
    fn every_kind_of_event_survives_the_columns() {
        let others = vec![Person { id: UserId(u64::MAX), name: name("韩梅梅") }];
        for kind in [
            EventKind::Message {
                client_message_id: Some(ClientMessageId::new("k").unwrap()),
                body: MessageBody::new("你好\n\"", 100).unwrap(),
            },
            EventKind::Message { client_message_id: None, body: MessageBody::new("x", 100).unwrap() },
            EventKind::MemberJoined { also_joined: Vec::new() },
            EventKind::MemberJoined { also_joined: others },
            EventKind::MemberLeft {},
            EventKind::Renamed { old_name: name("Li \\ Lei") },
        ] {
            let stored = StoredKind::of(&kind).unwrap();
            let read = StoredKind {
                kind: stored.kind.as_str(),
                client_message_id: stored.client_message_id.as_deref(),
                body: stored.body.as_deref(),
                payload: stored.payload.as_deref(),
            };
            assert_eq!(read.into_event_kind().unwrap(), kind);
        }
    }

    #[test]
    fn numbers_beyond_the_signed_range_are_the_largest() {
        assert_eq!((int(0), int(u64::MAX), int(1 << 63)), (0, i64::MAX, i64::MAX));
    }
}
