//! The frames that the server sends.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    CommandId, Epoch, ErrorCode, Event, Limits, MessageCount, OPERATIONS, Reply, RoomId, RoomInfo, Seq, User,
    UserId, UserName,
};

/// A frame of the server: an entry of a room's log, or a control frame.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ServerFrame {
    /// A numbered event of a room's log. It must not be lost: a client that misses one fetches it.
    Event(Event),
    /// A frame without a number. A client may ignore those that it does not know.
    ControlFrame(ControlFrame),
}

/// A frame that is not an event; `type` is the tag.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ControlFrame {
    /// The first frame on a connection.
    Welcome(Welcome),
    /// A room is open on this connection; its later events follow.
    Joined(Joined),
    /// A command was carried out.
    Ok(OkFrame),
    /// A command was rejected, or a room of a `resume` could not be opened.
    Error(ErrorFrame),
    /// A range of events that the server does not send by itself.
    Gap(Gap),
    /// The client's copy of a room belongs to another epoch.
    Reset(Reset),
    /// Users who went online or offline since the last such frame of the room.
    Presence(Presence),
    /// A user is typing; nothing is sent when the user stops.
    Typing(Typing),
}

/// `welcome`: the first frame on a connection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Welcome {
    /// The user of this connection. A new guest finds the generated name here.
    pub you: User,
    /// The epoch of the store; a client that resumes sends back the epoch of its events.
    pub epoch: Epoch,
    /// The limits of the server, by which a client can check its input before it sends it.
    pub limits: Limits,
    /// The program and its version: `teahouse 0.1.0`.
    pub server: String,
}

/// `joined`: a room is open on this connection. It precedes the room's later events. Over HTTP: the user is a member.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Joined {
    /// The id of the `join`; absent for a room of a `resume`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<CommandId>,
    /// The room, with its attributes as of `head`.
    #[serde(flatten)]
    pub info: RoomInfo,
    /// The number of the room's last event. The events after it follow without a request.
    pub head: Seq,
    /// The number of messages up to `head`.
    pub n: MessageCount,
    /// The user's read position; absent if the user has never moved it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read: Option<ReadPosition>,
    /// The number of users online in the room.
    pub count: u32,
    /// The users online with the lowest ids, at most 50; `who` lists all.
    pub online: Vec<User>,
}

/// A read position, as an event and as a message count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReadPosition {
    /// The last event that was read.
    pub seq: Seq,
    /// The number of messages up to it. The room's `n` minus this one is the number of unread messages.
    pub n: MessageCount,
}

/// `ok`: a command was carried out. The other fields are those of the reply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OkFrame {
    /// The id of the command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<CommandId>,
    /// The reply, in the same object on the wire.
    #[serde(flatten)]
    pub body: OkBody,
}

/// The fields of an `ok`. They do not name the operation, so a recipient keeps them as a map until [`OkFrame::reply`] converts
/// them to the reply type of the command that it sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum OkBody {
    /// At the sender: the typed reply.
    #[serde(skip_deserializing)]
    Reply(Reply),
    /// At the recipient: the fields, not yet converted.
    Fields(Map<String, Value>),
}

impl OkFrame {
    /// The frame for this reply.
    #[must_use]
    pub fn new(id: Option<CommandId>, reply: Reply) -> Self {
        OkFrame { id, body: OkBody::Reply(reply) }
    }

    /// Converts the fields to the reply type of the operation that was requested. The error is a missing or invalid field.
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

    /// One schema with the replies of all operations, each type once. A `join` is not among them: its reply is the frame
    /// `joined`.
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

/// The reply to `send` and `leave`: the position of the event that was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Appended {
    /// The number of the event; for a repeated `send`, of the first one.
    pub seq: Seq,
}

/// The reply to `rename`: the name as it was stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Named {
    /// The current name, normalized.
    pub name: UserName,
}

/// A reply without fields: the command was carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Done {}

/// One page of the users who are online in a room, sorted by id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UserPage {
    /// The number of users online in the room, on all pages.
    pub count: u32,
    /// The users of this page; at most 100.
    pub users: Vec<User>,
    /// The `after` of the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<UserId>,
}

/// One page of rooms, sorted by id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RoomPage {
    /// The rooms of this page; at most 100.
    pub rooms: Vec<RoomSummary>,
    /// The `after` of the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<RoomId>,
}

/// A room in a list, with what a list of rooms displays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RoomSummary {
    /// The room, with its attributes as of `head`.
    #[serde(flatten)]
    pub info: RoomInfo,
    /// The number of the room's last event.
    pub head: Seq,
    /// The number of messages up to `head`.
    pub n: MessageCount,
    /// The number of users online in the room.
    pub count: u32,
    /// Whether the user is a member.
    pub joined: bool,
    /// The user's read position; absent if the user has never moved it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read: Option<ReadPosition>,
}

/// One page of a room's events, oldest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventPage {
    /// The events, with consecutive numbers; at most 500, and about 256 KiB.
    pub events: Vec<Event>,
    /// Whether there are more events in the direction of the request.
    pub more: bool,
}

/// `error`: a command was rejected, or a room of a `resume` could not be opened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorFrame {
    /// The id of the command, if it had one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<CommandId>,
    /// The room of a `resume` that could not be opened, or a room that was deleted. Other rooms are not affected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room: Option<RoomId>,
    /// The stable code, for programs. Clients treat an unknown one as `internal`.
    pub code: ErrorCode,
    /// An English message for the author of the client; not for users, and not stable.
    pub message: String,
    /// Whether the same command, sent again unchanged, may succeed later.
    pub retryable: bool,
    /// The time to wait before that, in milliseconds. Present with `rate_limited`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

/// `gap`: the server does not send the events `from` to `to` by itself; `history` returns them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Gap {
    /// The room with the missing events.
    pub room: RoomId,
    /// The first missing event.
    pub from: Seq,
    /// The last missing event.
    pub to: Seq,
}

/// `reset`: the client discards its copy of the room, whose numbers mean other events now, and loads it again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reset {
    /// The room to discard.
    pub room: RoomId,
    /// The current epoch.
    pub epoch: Epoch,
}

/// `presence`: at most one per room and second. It may be lost; each one has the whole count.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Presence {
    /// The room that the users entered or left.
    pub room: RoomId,
    /// The number of users online.
    pub count: u32,
    /// The users who went online. Absent if there are none, and if more than 100 are online.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub online: Vec<User>,
    /// The users who went offline. Absent if there are none, and if more than 100 are online.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub offline: Vec<UserId>,
}

/// `typing`: clients display it for a few seconds. It may be lost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Typing {
    /// The room in which the user is typing.
    pub room: RoomId,
    /// The user who is typing.
    pub by: User,
}

impl ServerFrame {
    /// The frame as one JSON object, without the frame header of WebSocket.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Cannot fail: all keys are strings, and every value is a string, a number, a boolean or one of these maps.
        serde_json::to_string(self).expect("frames are JSON by construction")
    }
}

impl ErrorFrame {
    /// An error whose retryability is that of its code.
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
