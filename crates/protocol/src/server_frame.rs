//! The frames of a server.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    CommandId, Epoch, ErrorCode, Event, Limits, MessageCount, OPERATIONS, Reply, RoomId, RoomInfo, Seq, User,
    UserId, UserName,
};

/// A frame of the server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ServerFrame {
    /// A numbered event of a room's log.
    Event(Event),
    /// A frame that is no event.
    ControlFrame(ControlFrame),
}

/// A frame that is no event, by its `type`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ControlFrame {
    /// The first object on a connection.
    Welcome(Welcome),
    /// A room is open on this connection; its events follow.
    Joined(Joined),
    /// A command was carried out.
    Ok(OkFrame),
    /// A command was rejected.
    Error(ErrorFrame),
    /// Events that the server does not send by itself.
    Gap(Gap),
    /// The client's copy of a room comes from another epoch.
    Reset(Reset),
    /// Users who went online or offline.
    Presence(Presence),
    /// A user is typing.
    Typing(Typing),
}

/// `welcome`: the first frame on a connection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Welcome {
    /// The user of this connection.
    pub you: User,
    /// The epoch of the store.
    pub epoch: Epoch,
    /// The limits in force.
    pub limits: Limits,
    /// The server's program and version.
    pub server: String,
}

/// `joined`: a room is open. It precedes the room's events. Over HTTP: the user is a member.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Joined {
    /// The id of the `join`; absent for a room of a `resume`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<CommandId>,
    /// The room.
    #[serde(flatten)]
    pub info: RoomInfo,
    /// The number of the last event.
    pub head: Seq,
    /// The messages up to it.
    pub n: MessageCount,
    /// The user's read position, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read: Option<ReadPosition>,
    /// How many users are online in the room.
    pub count: u32,
    /// At most 50 of them; `who` lists all.
    pub online: Vec<User>,
}

/// A read position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReadPosition {
    /// The last event that was read.
    pub seq: Seq,
    /// The messages of the room up to it. The room's `n` minus this one is the number of unread messages.
    pub n: MessageCount,
}

/// `ok`: a command was carried out. The other fields are those of its reply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OkFrame {
    /// The id of the command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<CommandId>,
    /// The reply.
    #[serde(flatten)]
    pub body: OkBody,
}

/// The fields of an `ok`. They do not name the operation, so a recipient has them as fields until
/// [`OkFrame::reply`] reads them as the reply of the command that it sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum OkBody {
    /// The reply, at the sender.
    #[serde(skip_deserializing)]
    Reply(Reply),
    /// The fields, at the recipient.
    Fields(Map<String, Value>),
}

impl OkFrame {
    /// The frame with this reply.
    #[must_use]
    pub fn new(id: Option<CommandId>, reply: Reply) -> Self {
        OkFrame { id, body: OkBody::Reply(reply) }
    }

    /// The reply to a command whose operation has replies of this type.
    pub fn reply<R: DeserializeOwned>(&self) -> Result<R, serde_json::Error> {
        match &self.body {
            OkBody::Reply(reply) => serde_json::from_value(serde_json::to_value(reply)?),
            OkBody::Fields(fields) => R::deserialize(fields),
        }
    }
}

impl JsonSchema for OkBody {
    fn schema_name() -> Cow<'static, str> {
        "OkBody".into()
    }

    /// The replies of all operations, each type once. A `join` is answered by the frame `joined`.
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let joined = generator.subschema_for::<Joined>();
        let mut replies: Vec<Schema> = Vec::new();
        for definition in OPERATIONS {
            let reply = (definition.reply)(generator);
            if reply != joined && !replies.contains(&reply) {
                replies.push(reply);
            }
        }
        json_schema!({ "anyOf": replies })
    }
}

/// The reply to `send` and `leave`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Appended {
    /// The number of the event.
    pub seq: Seq,
}

/// The reply to `rename`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Named {
    /// The name in force.
    pub name: UserName,
}

/// A reply without content: the command was carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Done {}

/// A page of the users who are online in a room, by id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UserPage {
    /// How many are online in all.
    pub count: u32,
    /// The users of this page.
    pub users: Vec<User>,
    /// The `after` of the next page, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<UserId>,
}

/// A page of rooms, by id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RoomPage {
    /// The rooms of this page.
    pub rooms: Vec<RoomSummary>,
    /// The `after` of the next page, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<RoomId>,
}

/// A room in a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RoomSummary {
    /// The room.
    #[serde(flatten)]
    pub info: RoomInfo,
    /// The number of the last event.
    pub head: Seq,
    /// The messages up to it.
    pub n: MessageCount,
    /// How many users are online in the room.
    pub count: u32,
    /// Whether the user is a member.
    pub joined: bool,
    /// The user's read position, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read: Option<ReadPosition>,
}

/// A page of a room's events, oldest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventPage {
    /// The events.
    pub events: Vec<Event>,
    /// Whether there are more in the requested direction.
    pub more: bool,
}

/// `error`: a command was rejected.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorFrame {
    /// The id of the command, if it had one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<CommandId>,
    /// The room of a `resume` that could not be opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room: Option<RoomId>,
    /// What a program acts on.
    pub code: ErrorCode,
    /// In English, for the author of the client.
    pub message: String,
    /// Whether the same command may succeed later.
    pub retryable: bool,
    /// How long to wait before it, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

/// `gap`: the server does not send the events `from` to `to` by itself; `history` has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Gap {
    /// The room.
    pub room: RoomId,
    /// The first missing event.
    pub from: Seq,
    /// The last missing event.
    pub to: Seq,
}

/// `reset`: the client discards its copy of the room and loads it again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reset {
    /// The room.
    pub room: RoomId,
    /// The epoch in force.
    pub epoch: Epoch,
}

/// `presence`: at most one per room and second. It may be lost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Presence {
    /// The room.
    pub room: RoomId,
    /// How many users are online.
    pub count: u32,
    /// Users who went online. Empty if more than 100 are online.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub online: Vec<User>,
    /// Users who went offline. Empty if more than 100 are online.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub offline: Vec<UserId>,
}

/// `typing`: clients show it for a few seconds. It may be lost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Typing {
    /// The room.
    pub room: RoomId,
    /// The user.
    pub by: User,
}

impl ServerFrame {
    /// The JSON object.
    #[must_use]
    pub fn to_json(&self) -> String {
        // These types hold maps with text keys, texts and numbers; serde_json fails on none of them.
        serde_json::to_string(self).expect("frames are JSON by construction")
    }
}

impl ErrorFrame {
    /// An error with the code's own retryability.
    #[must_use]
    pub fn new(id: Option<CommandId>, code: ErrorCode, message: impl Into<String>) -> Self {
        ErrorFrame {
            id,
            room: None,
            code,
            message: message.into(),
            retryable: code.is_retryable(),
            retry_after_ms: None,
        }
    }
}

macro_rules! control_frames {
    ($($variant:ident: $type:ty),*) => {$(
        impl From<$type> for ServerFrame {
            fn from(frame: $type) -> Self {
                ServerFrame::ControlFrame(ControlFrame::$variant(frame))
            }
        }
    )*};
}
control_frames!(Welcome: Welcome, Joined: Joined, Ok: OkFrame, Error: ErrorFrame, Gap: Gap, Reset: Reset, Presence: Presence, Typing: Typing);

impl From<Event> for ServerFrame {
    fn from(event: Event) -> Self {
        ServerFrame::Event(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{History, Operation};

    #[test]
    fn ok_read_back_has_the_reply_of_its_operation() {
        let page = EventPage { events: Vec::new(), more: true };
        let sent = ServerFrame::from(OkFrame::new(Some(CommandId(8)), Reply::History(page.clone())));
        let ServerFrame::ControlFrame(ControlFrame::Ok(ok)) = serde_json::from_str(&sent.to_json()).unwrap()
        else {
            panic!("{}", sent.to_json());
        };
        assert_eq!(ok.id, Some(CommandId(8)));
        assert_eq!(ok.reply::<<History as Operation>::Reply>().unwrap(), page);
        assert!(ok.reply::<Appended>().is_err(), "of another operation");
    }

    #[test]
    fn ok_without_fields_is_a_reply_that_has_none() {
        let ok: OkFrame = serde_json::from_str(r#"{"id":2}"#).unwrap();
        assert_eq!(ok.reply::<Done>().unwrap(), Done {});
        assert!(ok.reply::<Appended>().is_err());
    }
}
