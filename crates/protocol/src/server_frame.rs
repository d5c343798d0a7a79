//! Everything that a server may say.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    CommandId, Epoch, ErrorCode, Event, Limits, MessageCount, Person, RoomId, RoomName, Seq, UserId, UserName,
};

/// One object from the server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ServerFrame {
    /// A numbered event of a room's log.
    Event(Event),
    /// Everything beside the log.
    ControlFrame(ControlFrame),
}

/// What is not in any log, by its tag.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ControlFrame {
    /// The first object on a connection.
    Welcome(Welcome),
    /// A room is open: its events follow.
    Joined(Joined),
    /// A command was carried out.
    Ok(OkFrame),
    /// A command was refused.
    Error(ErrorFrame),
    /// A stretch of events will not come by itself.
    Gap(Gap),
    /// What the client holds of a room is of another life of the store.
    Reset(Reset),
    /// Who came and went.
    Presence(Presence),
    /// Somebody is typing.
    Typing(Typing),
}

/// `welcome`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Welcome {
    /// Who this connection speaks for.
    pub you: Person,
    /// The store's life.
    pub epoch: Epoch,
    /// What to stay within.
    pub limits: Limits,
    /// The server's program and version.
    pub server: String,
}

/// `joined`: comes before the room's events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Joined {
    /// Of the `join`; absent for a room of a `resume`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<CommandId>,
    /// The room's id.
    pub room: RoomId,
    /// The room's name.
    pub name: RoomName,
    /// The number of its last event.
    pub head: Seq,
    /// Its messages so far.
    pub n: MessageCount,
    /// How far the person has read, if they ever said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read: Option<ReadPosition>,
    /// How many people are online here.
    pub count: u32,
    /// At most [`Limits::JOINED_ONLINE`] of them; `who` tells the rest.
    pub online: Vec<Person>,
}

/// How far somebody has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReadPosition {
    /// The last event seen.
    pub seq: Seq,
    /// The room's messages up to there: unread is the room's `n` less this one.
    pub n: MessageCount,
}

/// `ok`: what was asked is done, and here is what it gave.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OkFrame {
    /// Of the command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<CommandId>,
    /// What it gave.
    #[serde(flatten)]
    pub outcome: CommandResult,
}

/// What a command gave. Told apart by the command it answers; the order matters for reading it back.
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

/// A page of the people online in a room, by id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PeoplePage {
    /// How many there are in all.
    pub count: u32,
    /// This page.
    pub people: Vec<Person>,
    /// Ask again with `after` set to this, if there is more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<UserId>,
}

/// A page of rooms, by id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RoomPage {
    /// This page.
    pub rooms: Vec<RoomSummary>,
    /// Ask again with `after` set to this, if there is more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<RoomId>,
}

/// A room in a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RoomSummary {
    /// Its id.
    pub room: RoomId,
    /// Its name.
    pub name: RoomName,
    /// The number of its last event.
    pub head: Seq,
    /// Its messages so far.
    pub n: MessageCount,
    /// How many people are online there.
    pub count: u32,
    /// Whether one is a member.
    pub joined: bool,
    /// How far one has read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read: Option<ReadPosition>,
}

/// A stretch of a room's events, oldest first; the same from the command `history` and over HTTP.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventPage {
    /// The events.
    pub events: Vec<Event>,
    /// Whether there are more in the direction that was asked for.
    pub more: bool,
}

/// `error`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorFrame {
    /// Of the command, where it had one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<CommandId>,
    /// The room of a `resume` that could not be opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room: Option<RoomId>,
    /// Stable; what a program acts on.
    pub code: ErrorCode,
    /// In English, for the person who writes the client; the page has its own words for each code.
    pub message: String,
    /// Whether the same again may succeed.
    pub retryable: bool,
    /// How long to wait before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

/// `gap`: events `from` to `to` will not come by themselves; `history` has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Gap {
    /// Which room.
    pub room: RoomId,
    /// The first that is missing.
    pub from: Seq,
    /// The last that is missing.
    pub to: Seq,
}

/// `reset`: drop what is cached of the room and load it afresh.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reset {
    /// Which room.
    pub room: RoomId,
    /// The store's life now.
    pub epoch: Epoch,
}

/// `presence`: at most one a room and second; may be lost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Presence {
    /// Which room.
    pub room: RoomId,
    /// How many people are online.
    pub count: u32,
    /// Who came. Empty where more than [`Limits::PRESENCE_NAMES`] are online.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub online: Vec<Person>,
    /// Who went. Empty where more than [`Limits::PRESENCE_NAMES`] are online.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub offline: Vec<UserId>,
}

/// `typing`: shown for a few seconds; may be lost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Typing {
    /// Which room.
    pub room: RoomId,
    /// Who.
    pub by: Person,
}

impl ServerFrame {
    /// The JSON object.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Maps with text keys and numbers are all that these types hold; serde_json can fail on neither.
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
