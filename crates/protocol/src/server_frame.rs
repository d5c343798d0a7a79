//! The frames of a server.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    CommandId, Epoch, ErrorCode, Event, Limits, MessageCount, Person, RoomId, RoomName, Seq, Topic, UserId,
    UserName,
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
    /// A command was refused.
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
    pub you: Person,
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
    /// The room's id.
    pub room: RoomId,
    /// The room's name.
    pub name: RoomName,
    /// The room's topic; absent if there is none.
    #[serde(default, skip_serializing_if = "Topic::is_empty")]
    pub topic: Topic,
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
    pub online: Vec<Person>,
}

/// A read position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReadPosition {
    /// The last event that was read.
    pub seq: Seq,
    /// The messages of the room up to it. The room's `n` minus this one is the number of unread messages.
    pub n: MessageCount,
}

/// `ok`: the result of a command. Its fields depend on the command.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OkFrame {
    /// The id of the command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<CommandId>,
    /// The result.
    #[serde(flatten)]
    pub outcome: CommandResult,
}

/// The result of a command. The order of the variants matters for reading one back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum CommandResult {
    /// `who`
    People(PeoplePage),
    /// `rooms`
    Rooms(RoomPage),
    /// `history`
    Events(EventPage),
    /// `read`
    Read(ReadPosition),
    /// `send`, `leave`: the event's number.
    Appended {
        /// The number of the event.
        seq: Seq,
    },
    /// `rename`
    Named {
        /// The name in force.
        name: UserName,
    },
    /// `set_topic`
    Topic {
        /// The topic in force.
        topic: Topic,
    },
    /// `resume`, `typing`, `ping`
    Done {},
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

/// A reply that says only that it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Done {}

/// A page of the users who are online in a room, by id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PeoplePage {
    /// How many are online in all.
    pub count: u32,
    /// The users of this page.
    pub people: Vec<Person>,
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
    /// The id.
    pub room: RoomId,
    /// The name.
    pub name: RoomName,
    /// The topic; absent if there is none.
    #[serde(default, skip_serializing_if = "Topic::is_empty")]
    pub topic: Topic,
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

/// `error`: a command was refused.
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
    pub online: Vec<Person>,
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
    pub by: Person,
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

macro_rules! beside {
    ($($variant:ident: $type:ty),*) => {$(
        impl From<$type> for ServerFrame {
            fn from(frame: $type) -> Self {
                ServerFrame::ControlFrame(ControlFrame::$variant(frame))
            }
        }
    )*};
}
beside!(Welcome: Welcome, Joined: Joined, Ok: OkFrame, Error: ErrorFrame, Gap: Gap, Reset: Reset, Presence: Presence, Typing: Typing);

impl From<Event> for ServerFrame {
    fn from(event: Event) -> Self {
        ServerFrame::Event(event)
    }
}
