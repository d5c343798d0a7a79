//! The wire protocol as values: operations, commands, events, replies, errors and limits, and their JSON.
//!
//! A [`Command`] is a request of a client, an [`Event`] is an entry of a room's log, and a [`ServerFrame`] is anything that the
//! server sends. Ids and counters are newtypes. A [`RoomName`], a [`UserName`], a [`MessageBody`] and a [`ClientMessageId`] are
//! checked when they are created, so every existing value is valid. Each operation is defined once, by its row in
//! `operations/`; the parser, the HTTP routes, the OpenAPI document and the tables of `docs/PROTOCOL.md` come from the rows. The
//! frames in `golden/` are generated from the examples in the rows and events; tests of Rust and of the web client read them.
//!
//! Out of scope: sockets, clocks, databases, permissions. A row names the permission that its operation requires; the rules are
//! in the crate `domain`.
//!
//! | file | contents |
//! |---|---|
//! | `ids.rs` | `RoomId`, `UserId`, `Seq`, `MessageCount`, `Epoch`, `CommandId` |
//! | `names.rs` | names of rooms and of users, and their rules |
//! | `body.rs` | `MessageBody`, `ClientMessageId` |
//! | `room_info.rs` | `RoomInfo`, `RoomAttributes`: what a room is to its members |
//! | `timestamp.rs` | `Timestamp`: milliseconds, RFC 3339 on the wire |
//! | `operations/` | the table of operations, and one file for each |
//! | `command.rs`, `frame_error.rs` | parsing a text frame into commands, and the error for an invalid one |
//! | `openapi/`, `schema.rs` | the OpenAPI document; JSON Schemas of the types with JSON of their own |
//! | `session.rs` | the bodies of `/api/v1/session` |
//! | `event.rs` | `Event`: one numbered entry of a room's log |
//! | `server_frame.rs` | `ServerFrame`: welcome, joined, ok, error, gap, reset, presence, typing |
//! | `golden.rs` | the generated files of `golden/` |
//! | `error.rs` | `ErrorCode`: the stable codes, whether each is retryable, its HTTP status |
//! | `close.rs` | `Close`: the stable close codes, and when a client reconnects after each |
//! | `released.rs` | the codes that were released, which stay as they are |
//! | `limits.rs` | the limits that clients and server share |
//!
//! ```
//! use teahouse_protocol::{Command, parse_frame};
//!
//! let commands = parse_frame(r#"{"type":"ping","id":7}"#, 8192).unwrap();
//! assert!(matches!(commands[0].as_ref().unwrap().command, Command::Ping(_)));
//! ```

mod body;
mod close;
mod command;
mod error;
mod event;
mod frame_error;
pub mod golden;
mod ids;
mod limits;
mod names;
pub mod openapi;
pub mod operations;
mod released;
mod room_info;
mod schema;
mod server_frame;
mod session;
mod timestamp;

pub use body::{ClientMessageId, InvalidBody, InvalidKey, MessageBody};
pub use close::{Close, Reconnect};
pub use command::{CommandEnvelope, parse_frame};
pub use error::{ErrorCode, HttpError};
pub use event::{EVENT_EXAMPLES, Event, EventKind, UnknownKind, User};
pub use frame_error::FrameError;
pub use ids::{CommandId, Epoch, InvalidId, MessageCount, RoomId, Seq, UserId};
pub use limits::Limits;
pub use names::{InvalidName, RoomName, RoomRef, UserName};
pub use operations::*;
pub use released::released_codes;
pub use room_info::{RoomAttributes, RoomInfo};
pub use server_frame::{
    Appended, ControlFrame, Done, ErrorFrame, EventPage, Gap, Joined, Named, OkBody, OkFrame, Presence,
    ReadPosition, Reset, RoomPage, RoomSummary, ServerFrame, Typing, UserPage, Welcome,
};
pub use session::{CreateSession, Session};
pub use timestamp::Timestamp;
