//! What is said: the vocabulary that every other crate speaks.
//!
//! Ids and counters are newtypes; a [`RoomName`], a [`UserName`], a [`MessageBody`] or a [`ClientMessageId`] that exists
//! is legal, because only this crate makes one. [`Command`] is what a client may say, [`Event`] is what a room's log holds,
//! and [`ServerFrame`] is everything that a server may say. `docs/PROTOCOL.md` tells the same to people who write clients,
//! and the frames under `golden/` hold the two together, here and in the web client.
//!
//! It does **not** know sockets, clocks, databases, or who may do what: it is values and their JSON.
//!
//! | file | what it holds |
//! |---|---|
//! | `ids.rs` | `RoomId`, `UserId`, `Seq`, `MessageCount`, `Epoch`, `CommandId` |
//! | `names.rs` | the rules of room names and people's names |
//! | `body.rs` | `MessageBody`, `ClientMessageId` |
//! | `timestamp.rs` | `Timestamp`: milliseconds, RFC 3339 on the wire |
//! | `operations/` | the table of operations, and one file for each |
//! | `command.rs` | how a text frame becomes commands |
//! | `openapi/` | the OpenAPI document |
//! | `session.rs` | the bodies of `/api/v1/session` |
//! | `event.rs` | `Event`: one numbered entry of a room's log |
//! | `server_frame.rs` | `ServerFrame`: welcome, joined, ok, error, gap, reset, presence, typing |
//! | `golden.rs` | the generated files of `golden/` |
//! | `error.rs` | `ErrorCode`: the stable codes, whether each is retryable, its HTTP status |
//! | `close.rs` | the close codes, and what a client does on each |
//! | `limits.rs` | the sizes that both sides know |
//!
//! ```
//! use teahouse_protocol::{Command, parse_frame};
//!
//! let said = parse_frame(r#"{"type":"ping","id":7}"#, 8192).unwrap();
//! assert!(matches!(said[0].as_ref().unwrap().command, Command::Ping(_)));
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
mod room_info;
mod schema;
mod server_frame;
mod session;
mod timestamp;

pub use body::{ClientMessageId, InvalidBody, InvalidKey, MessageBody};
pub use close::Close;
pub use command::{CommandEnvelope, parse_frame};
pub use error::{ErrorCode, HttpError};
pub use event::{EVENT_EXAMPLES, Event, EventKind, Person, UnknownKind};
pub use frame_error::FrameError;
pub use ids::{CommandId, Epoch, InvalidId, MessageCount, RoomId, Seq, UserId};
pub use limits::Limits;
pub use names::{InvalidName, RoomName, RoomRef, UserName};
pub use operations::*;
pub use room_info::{RoomAttributes, RoomInfo};
pub use server_frame::{
    Appended, ControlFrame, Done, ErrorFrame, EventPage, Gap, Joined, Named, OkBody, OkFrame, PeoplePage,
    Presence, ReadPosition, Reset, RoomPage, RoomSummary, ServerFrame, Typing, Welcome,
};
pub use session::{CreateSession, Session};
pub use timestamp::Timestamp;
