//! The kind of an event as columns, the same in every database.

use std::borrow::Cow;

use protocol::{ClientMessageId, EventKind, MessageBody};
use serde_json::{Map, Value};

use crate::StoreError;

fn corrupt(cause: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt(cause.to_string())
}

/// The kind of an event, as columns. Fields without a column of their own are in `payload` as JSON, so that a new kind of
/// event needs no code here.
#[derive(Debug, PartialEq, Eq)]
pub struct StoredKind<T> {
    /// The event's `type` on the wire.
    pub kind: T,
    /// The idempotency key of a message.
    pub client_message_id: Option<T>,
    /// The text of a message.
    pub body: Option<T>,
    /// The other fields as a JSON object; `None` if there are none.
    pub payload: Option<T>,
}

impl StoredKind<&str> {
    /// Decodes the columns. The error is [`StoreError::Corrupt`]; a kind that this version does not define is not an error.
    pub fn into_event_kind(self) -> Result<EventKind, StoreError> {
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

impl<'k> StoredKind<Cow<'k, str>> {
    /// Encodes `kind` as columns. Those of a message are borrowed.
    pub fn of(kind: &'k EventKind) -> Result<Self, StoreError> {
        if let EventKind::Message { client_message_id, body } = kind {
            return Ok(StoredKind {
                kind: "message".into(),
                client_message_id: client_message_id.as_ref().map(|key| key.as_str().into()),
                body: Some(body.as_str().into()),
                payload: None,
            });
        }
        let defect = || StoreError::Defect("an event's kind is not an object with a type".to_owned());
        let Ok(Value::Object(mut fields)) = serde_json::to_value(kind) else { return Err(defect()) };
        let Some(Value::String(name)) = fields.remove("type") else { return Err(defect()) };
        let payload = (!fields.is_empty()).then(|| Value::Object(fields).to_string().into());
        Ok(StoredKind { kind: name.into(), client_message_id: None, body: None, payload })
    }
}

#[cfg(test)]
mod tests {
    use protocol::{User, UserId, UserName};

    use super::*;

    fn name(text: &str) -> UserName {
        UserName::new(text).unwrap()
    }

    #[test]
    fn every_kind_of_event_survives_the_columns() {
        let others = vec![User { id: UserId(u64::MAX), name: name("韩梅梅") }];
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
            serde_json::from_str(r#"{"type": "pinned", "target": 3, "note": {"body": "茶 \"龙井\""}}"#)
                .unwrap(),
        ] {
            let stored = StoredKind::of(&kind).unwrap();
            let read = StoredKind {
                kind: stored.kind.as_ref(),
                client_message_id: stored.client_message_id.as_deref(),
                body: stored.body.as_deref(),
                payload: stored.payload.as_deref(),
            };
            assert_eq!(read.into_event_kind().unwrap(), kind);
        }
    }

    #[test]
    fn message_without_a_body_is_corrupt() {
        let stored = StoredKind { kind: "message", client_message_id: None, body: None, payload: None };
        assert!(matches!(stored.into_event_kind(), Err(StoreError::Corrupt(_))));
    }
}
