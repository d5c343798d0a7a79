//! One numbered entry of a room's log.

use std::{fmt, iter};

use schemars::JsonSchema;
use serde::de::value::MapDeserializer;
use serde::de::{self, Error as _};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::{ClientMessageId, MessageBody, MessageCount, RoomId, Seq, Timestamp, Topic, UserId, UserName};

/// A user as others see them: the id, and the name at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct User {
    /// The id. It never changes, also when a guest is renamed.
    pub id: UserId,
    /// The name at the time of the event or the reply; not unique.
    pub name: UserName,
}

/// One numbered entry of a room's log. It is the same for every member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// The kind and its fields; `type` is the tag.
    #[serde(flatten)]
    pub kind: EventKind,
    /// The room in whose log the event is.
    pub room: RoomId,
    /// The event's position in the room: 1, 2, 3 … without a gap.
    pub seq: Seq,
    /// The number of messages in the room up to and including this event.
    pub n: MessageCount,
    /// The user who caused the event, with the name at that time.
    pub by: User,
    /// The time of the commit. It never decreases within a room, even if the clock goes back.
    pub at: Timestamp,
}

/// The kind of an event, with the fields of that kind.
// `remote` makes the derived functions inherent ones, for the kinds of this version; the traits add `Unknown`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", remote = "Self")]
pub enum EventKind {
    /// A user sent a message.
    Message {
        /// The sender's idempotency key. Absent in a message from plain text.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_message_id: Option<ClientMessageId>,
        /// The text, not empty, as the sender wrote it.
        body: MessageBody,
    },
    /// `by` and the users of `also_joined` became members. Joins that are committed together share one event.
    MemberJoined {
        /// The other users, in the order in which they joined; at most 99.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        also_joined: Vec<User>,
    },
    /// `by` is no longer a member.
    MemberLeft {},
    /// `by` has a new name.
    Renamed {
        /// The name before; `by` has the new one.
        old_name: UserName,
    },
    /// `by` changed the topic of the room.
    TopicChanged {
        /// The new topic; empty if the topic was removed.
        topic: Topic,
    },
    /// A kind that this version does not define: a newer server appended the event.
    #[serde(skip)]
    Unknown(UnknownKind),
}

/// A kind of event that this version does not define. It is encoded unchanged, so that an older server delivers what a newer
/// one wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownKind {
    name: String,
    fields: Map<String, Value>,
}

impl UnknownKind {
    /// The event's `type` on the wire.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Serialize for UnknownKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1 + self.fields.len()))?;
        map.serialize_entry("type", &self.name)?;
        for (field, value) in &self.fields {
            map.serialize_entry(field, value)?;
        }
        map.end()
    }
}

impl Serialize for EventKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            EventKind::Unknown(unknown) => unknown.serialize(serializer),
            kind => EventKind::serialize(kind, serializer),
        }
    }
}

impl<'de> Deserialize<'de> for EventKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut fields = Map::deserialize(deserializer)?;
        let error = match EventKind::deserialize(&fields) {
            Ok(kind) => return Ok(kind),
            Err(error) => error,
        };
        match fields.remove("type") {
            Some(Value::String(name)) if !is_defined(&name) => {
                Ok(EventKind::Unknown(UnknownKind { name, fields }))
            }
            _ => Err(D::Error::custom(error)),
        }
    }
}

/// Whether this version defines the kind `name`: an event of a defined kind with wrong fields is an error, not an unknown
/// kind.
fn is_defined(name: &str) -> bool {
    // With no other field present, an unknown variant can only be the type itself.
    let only_type = MapDeserializer::<_, TypeError>::new(iter::once(("type", name)));
    !matches!(EventKind::deserialize(only_type), Err(TypeError::UnknownVariant))
}

/// The error type of [`is_defined`]: serde's own error does not distinguish an unknown type from missing fields.
#[derive(Debug)]
enum TypeError {
    UnknownVariant,
    Other,
}

impl fmt::Display for TypeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl std::error::Error for TypeError {}

impl de::Error for TypeError {
    fn custom<T: fmt::Display>(_: T) -> Self {
        TypeError::Other
    }

    fn unknown_variant(_: &str, _: &'static [&'static str]) -> Self {
        TypeError::UnknownVariant
    }
}

/// Examples of every kind of event as frames. `golden/server.json` consists of these and the replies.
pub const EVENT_EXAMPLES: &[&str] = &[
    r#"{"type":"message","room":"r1","seq":58,"n":52,"by":{"id":"u7","name":"李雷"},"at":"2026-11-22T10:00:00.123Z","client_message_id":"0192f3a0-7b1e-7c00-8000-000000000001","body":"你好 👩‍🚀\n<script>"}"#,
    r#"{"type":"message","room":"r1","seq":59,"n":53,"by":{"id":"u8","name":"Han Meimei"},"at":"2026-11-22T10:00:01.000Z","body":"said in plain text"}"#,
    r#"{"type":"member_joined","room":"r1","seq":60,"n":53,"by":{"id":"u9","name":"Ann"},"at":"2026-11-22T10:00:02.000Z"}"#,
    r#"{"type":"member_joined","room":"r1","seq":60,"n":53,"by":{"id":"u9","name":"Ann"},"at":"2026-11-22T10:00:02.000Z","also_joined":[{"id":"u10","name":"李雷"},{"id":"u11","name":"Bob"}]}"#,
    r#"{"type":"member_left","room":"r1","seq":61,"n":53,"by":{"id":"u9","name":"Ann"},"at":"2026-11-22T10:00:03.000Z"}"#,
    r#"{"type":"renamed","room":"r1","seq":62,"n":53,"by":{"id":"u8","name":"韩梅梅"},"at":"2026-11-22T10:00:04.000Z","old_name":"Han Meimei"}"#,
    r#"{"type":"topic_changed","room":"r1","seq":63,"n":53,"by":{"id":"u8","name":"韩梅梅"},"at":"2026-11-22T10:00:05.000Z","topic":"今天喝龙井"}"#,
    r#"{"type":"topic_changed","room":"r1","seq":64,"n":53,"by":{"id":"u8","name":"韩梅梅"},"at":"2026-11-22T10:00:06.000Z","topic":""}"#,
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(kind: &Value) -> Value {
        let mut event = json!({"room": "r1", "seq": 9, "n": 4, "by": {"id": "u1", "name": "Li"},
            "at": "2026-11-22T10:00:00.123Z"});
        event.as_object_mut().unwrap().extend(kind.as_object().unwrap().clone());
        event
    }

    #[test]
    fn event_of_unknown_kind_encodes_to_what_was_read() {
        for kind in [
            json!({"type": "pinned", "target": 3, "note": {"body": "茶", "list": [1, -2, 0.5, null, true]}}),
            json!({"type": "closed"}),
            json!({"type": "Message", "body": ""}),
        ] {
            let text = event(&kind).to_string();
            let read: Event = serde_json::from_str(&text).unwrap();
            let EventKind::Unknown(unknown) = &read.kind else { panic!("{read:?}") };
            assert_eq!(kind["type"], unknown.name());
            assert_eq!(serde_json::to_value(&read).unwrap(), event(&kind));
        }
    }

    #[test]
    fn defined_kind_with_wrong_fields_is_an_error() {
        for kind in [
            json!({"type": "message"}),
            json!({"type": "message", "body": 3}),
            json!({"type": "renamed"}),
            json!({"type": "topic_changed", "topic": "a\nb"}),
            json!({"type": 7}),
            json!({}),
        ] {
            assert!(serde_json::from_value::<Event>(event(&kind)).is_err(), "{kind}");
        }
    }
}
