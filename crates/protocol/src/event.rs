//! One numbered entry of a room's log.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ClientMessageId, MessageBody, MessageCount, RoomId, Seq, Timestamp, Topic, UserId, UserName};

/// A user, as others see them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Person {
    /// The id, which never changes.
    pub id: UserId,
    /// The name at the time.
    pub name: UserName,
}

/// One numbered entry of a room's log. It is the same for every member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// The kind, with `type` as its tag.
    #[serde(flatten)]
    pub kind: EventKind,
    /// The room.
    pub room: RoomId,
    /// The number in the room.
    pub seq: Seq,
    /// The messages of the room up to and including this event.
    pub n: MessageCount,
    /// The user who caused it.
    pub by: Person,
    /// The time of the commit. Within a room it never goes back.
    pub at: Timestamp,
}

/// The kind of an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum EventKind {
    /// A message.
    Message {
        /// The sender's idempotency key. A message from plain text has none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_message_id: Option<ClientMessageId>,
        /// The text.
        body: MessageBody,
    },
    /// `by` and the users of `also_joined` became members. Users who join at the same moment share an event.
    MemberJoined {
        /// The others, in the order in which they joined; at most 99.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        also_joined: Vec<Person>,
    },
    /// `by` is no longer a member.
    MemberLeft {},
    /// `by` has a new name.
    Renamed {
        /// The previous name.
        old_name: UserName,
    },
    /// `by` changed the topic of the room.
    TopicChanged {
        /// The new topic. Empty: the topic was removed.
        topic: Topic,
    },
}

/// Events as frames, for `golden/server.json`.
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
