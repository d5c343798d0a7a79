//! One numbered entry of a room's log.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[cfg(doc)]
use crate::Limits;
use crate::{ClientMessageId, MessageBody, MessageCount, RoomId, Seq, Timestamp, UserId, UserName};

/// Somebody, as others see them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Person {
    /// Who, for ever.
    pub id: UserId,
    /// What they were called at the time.
    pub name: UserName,
}

/// What happened in a room, the same for everybody who may see it: so it is encoded once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Event {
    /// What, with `"type"` as its tag.
    #[serde(flatten)]
    pub kind: EventKind,
    /// Where.
    pub room: RoomId,
    /// Its number in the room.
    pub seq: Seq,
    /// The room's messages so far, this one counted.
    pub n: MessageCount,
    /// Who did it.
    pub by: Person,
    /// When the store took it.
    pub at: Timestamp,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum EventKind {
    /// Something was said.
    Message {
        /// The sender's key: by it the sender's page knows its own message. Lines of plain text have none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        client_message_id: Option<ClientMessageId>,
        /// What was said.
        body: MessageBody,
    },
    /// `by` became a member, and so did those in `with`: people who come in the same moment share an event, so that a crowd at
    /// the door does not cost everybody inside an event for each of them (`docs/adr/0005`).
    MemberJoined {
        /// The others, in the order in which they came; with `by` at most [`Limits::JOINED_TOGETHER`].
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        also_joined: Vec<Person>,
    },
    /// `by` is a member no more.
    MemberLeft {},
    /// `by` is called something else now.
    Renamed {
        /// The name before.
        old_name: UserName,
    },
}
