//! `set_topic`: changes the topic of a room.

use std::fmt;

use schemars::JsonSchema;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::row::errors;
use super::{Method, Operation, Permission, RateClass, Route, Row, Slash, room_ref};
use crate::schema::schemas;
use crate::{ErrorCode, FrameError, RoomRef};

/// Change or remove the topic of a room.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SetTopic {
    /// The room. The user must be a member.
    pub room: RoomRef,
    /// The new topic; empty to remove it.
    pub topic: Topic,
}

#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "SetTopicRequest")]
pub struct Fields {
    /// The room, by id or name.
    #[schemars(with = "RoomRef")]
    room: String,
    /// The new topic, one line of at most 250 characters; empty to remove it. White space around it is removed.
    #[schemars(with = "Topic")]
    topic: String,
}

/// The reply to `set_topic`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TopicSet {
    /// The current topic, normalized.
    pub topic: Topic,
}

impl Operation for SetTopic {
    type Fields = Fields;
    type Reply = TopicSet;
    const ROW: Row = Row {
        name: "set_topic",
        summary: "Changes the topic of a room: one line of at most 250 Unicode scalar values, after white space around it is removed. \
                  An empty topic removes it. If the topic is unchanged, nothing is appended. `joined` and `rooms` contain `topic` as \
                  of their `head`, unless the room has none.",
        reply: "`ok {topic}`",
        http: Some(Route::change(Method::Put, "/api/v1/rooms/{room}/topic")),
        permission: Some(Permission::Member),
        rate: RateClass::Message,
        events: &["topic_changed"],
        errors: &[
            errors::COMMON,
            errors::ROOM,
            errors::WRITE,
            &[ErrorCode::NotAMember, ErrorCode::TopicTooLong],
        ],
        slash: Some(Slash { word: "topic", argument: Some("topic") }),
        requests: &[
            r#"{"type":"set_topic","id":4,"room":"r1","topic":"今天喝龙井"}"#,
            r#"{"type":"set_topic","room":"茶馆","topic":""}"#,
        ],
        replies: &[
            r#"{"type":"ok","id":6,"topic":"今天喝龙井"}"#,
            r#"{"type":"ok","id":6,"topic":""}"#,
            r#"{"type":"joined","id":1,"room":"r1","name":"lobby","topic":"Tea, all day","head":57,"n":51,"read":{"seq":40,"n":38},"count":3,"online":[{"id":"u7","name":"李雷"},{"id":"u8","name":"Han Meimei"}]}"#,
            r#"{"type":"ok","id":7,"rooms":[{"room":"r1","name":"lobby","topic":"Tea, all day","head":62,"n":53,"count":3,"joined":true,"read":{"seq":40,"n":38}},{"room":"r12","name":"茶馆","head":0,"n":0,"count":0,"joined":false}]}"#,
        ],
    };

    fn check(Fields { room, topic }: Fields, _: u32) -> Result<Self, FrameError> {
        Ok(SetTopic { room: room_ref(&room)?, topic: Topic::new(&topic)? })
    }
}

impl From<InvalidTopic> for FrameError {
    fn from(error: InvalidTopic) -> Self {
        let code = match error {
            InvalidTopic::TooLong { .. } => ErrorCode::TopicTooLong,
            InvalidTopic::Control => ErrorCode::Malformed,
        };
        FrameError::new(code, error.to_string())
    }
}

/// The reason why a text is not a valid topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTopic {
    /// The topic has more than [`Topic::MAX_CHARS`] characters.
    #[error("a topic of {found} characters is too long: at most {limit}", limit = Topic::MAX_CHARS)]
    TooLong {
        /// The length of the topic in Unicode scalar values.
        found: usize,
    },
    /// A control character or a line break, which would forge a line of plain text.
    #[error("a topic is one line, without control characters")]
    Control,
}

/// The topic of a room: one line of at most [`Topic::MAX_CHARS`] Unicode scalar values. Empty if the room has no topic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Topic(String);

impl Topic {
    /// The longest topic, in Unicode scalar values.
    pub const MAX_CHARS: usize = 250;

    /// Parses a topic. White space around it is removed first.
    pub fn new(text: &str) -> Result<Self, InvalidTopic> {
        let text = text.trim();
        if text.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
            return Err(InvalidTopic::Control);
        }
        match text.chars().count() {
            found if found > Topic::MAX_CHARS => Err(InvalidTopic::TooLong { found }),
            _ => Ok(Topic(text.to_owned())),
        }
    }

    /// The topic on one line, without surrounding white space.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the room has no topic; the field is then absent on the wire.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Topic {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::new(&text).map_err(D::Error::custom)
    }
}

schemas! {
    Topic = {
        "type": "string",
        "maxLength": Topic::MAX_CHARS,
        "description": "The topic of a room: one line, without control characters. Counted in Unicode scalar values, after white space around it is removed.",
        "examples": ["今天喝龙井"],
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_around_a_topic_is_removed() {
        assert_eq!(Topic::new(" \t今天喝龙井 👩‍🚀\r\n").unwrap().as_str(), "今天喝龙井 👩‍🚀");
        assert!(Topic::new("  ").unwrap().is_empty());
    }

    #[test]
    fn topic_length_is_counted_in_scalar_values() {
        assert!(Topic::new(&"茶".repeat(250)).is_ok());
        assert_eq!(Topic::new(&"茶".repeat(251)), Err(InvalidTopic::TooLong { found: 251 }));
    }

    #[test]
    fn control_character_inside_a_topic_is_rejected() {
        for text in ["a\nb", "a\tb", "a\0b", "a\u{1b}[2Jb", "a\u{85}b", "a\u{2028}b"] {
            assert_eq!(Topic::new(text), Err(InvalidTopic::Control), "{text:?}");
        }
    }
}
