//! `set_topic`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::row::errors;
use super::{Method, Operation, Permission, RateClass, Route, Row, Slash, room_ref};
use crate::{ErrorCode, FrameError, InvalidTopic, RoomRef, Topic};

/// Change the topic of a room.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SetTopic {
    /// The room.
    pub room: RoomRef,
    /// The new topic. The empty one removes it.
    pub topic: Topic,
}

/// The fields of `set_topic`.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "SetTopicRequest")]
pub struct Fields {
    /// The room, by id or name.
    #[schemars(with = "RoomRef")]
    room: String,
    /// The new topic. White space around it is removed; an empty one removes the topic.
    #[schemars(with = "Topic")]
    topic: String,
}

/// The reply to `set_topic`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TopicSet {
    /// The topic in force.
    pub topic: Topic,
}

impl Operation for SetTopic {
    type Fields = Fields;
    type Reply = TopicSet;
    const ROW: Row = Row {
        name: "set_topic",
        summary: "Changes the topic of a room. An empty topic removes it. The topic in force again: nothing is appended.",
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
        replies: &[r#"{"type":"ok","id":6,"topic":"今天喝龙井"}"#, r#"{"type":"ok","id":6,"topic":""}"#],
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
