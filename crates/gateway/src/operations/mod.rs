//! The handlers of the operations, for both transports.
//!
//! A handler takes a request and a read-only [`View`], and returns [`HandlerEffect`]s, which the shard applies for a connection
//! (`shard/effects.rs`) and HTTP for a request (`crates/api/src/effects.rs`). An operation has a file here and a line in `handle_command`,
//! unless it is a plain write, whose reply is what its decision in `domain` returns. Rates and open rooms are checked here, to
//! reject early; the rules of a write are checked inside the store's transaction (`domain::decide`).

mod access;
mod background;
mod effect;
mod history;
mod join;
mod leave;
mod ping;
mod rename;
mod resume;
mod resume_progress;
mod rooms;
mod send;
mod typing;
mod view;
mod who;
mod write;

use domain::{CommandError, RateClass};
use protocol::operations::Row;
use protocol::{Command, ErrorCode, MessageBody, Operation, RoomName, RoomRef};

pub(crate) use access::report;
pub(crate) use background::{Departure, StoredPosition};
pub use effect::{Attach, HandlerEffect, OnReply, PresenceReply, ReadOperation};
pub(crate) use resume::{room_opened, room_rejected};
pub(crate) use view::{NoOpenRooms, OpenRooms, View};

/// A request of either transport, whose fields have been checked.
#[derive(Debug, PartialEq)]
pub enum ClientRequest {
    /// A command of docs/PROTOCOL.md, or a request over HTTP that was read as one.
    Command(Command),
    /// A message of a client that has no message ids.
    Message {
        /// The room that the connection has selected.
        room: RoomRef,
        /// Legal, and within the configured length.
        body: MessageBody,
    },
}

impl ClientRequest {
    /// The row of its operation in the table of `protocol`.
    pub(crate) fn row(&self) -> &'static Row {
        match self {
            ClientRequest::Command(command) => command.row(),
            ClientRequest::Message { .. } => &<protocol::Send as Operation>::ROW,
        }
    }
}

impl From<Command> for ClientRequest {
    fn from(command: Command) -> Self {
        ClientRequest::Command(command)
    }
}

/// Calls the handler of the command's operation. A command without one is a plain write.
fn handle_command(view: &View<'_>, command: Command) -> Vec<HandlerEffect> {
    match command {
        Command::Join(request) => join::handle(view, request),
        Command::Resume(request) => resume::handle(view, request),
        Command::Leave(request) => leave::handle(view, request),
        Command::Send(request) => send::handle(view, request),
        Command::Typing(request) => typing::handle(view, request),
        Command::Who(request) => who::handle(view, request),
        Command::Rename(request) => rename::handle(view, request),
        Command::Rooms(request) => rooms::handle(view, request),
        Command::History(request) => history::handle(view, request),
        Command::Ping(request) => ping::handle(view, request),
        command => write::handle(command),
    }
}

pub(crate) fn handle(view: &View<'_>, request: ClientRequest) -> Vec<HandlerEffect> {
    match request {
        ClientRequest::Command(command) => handle_command(view, command),
        ClientRequest::Message { room, body } => send::handle_message(room, body),
    }
}

/// A second rate class, for a further effect of the request. Without a token, the request is executed without that effect:
/// [`View::additional_token`].
pub(crate) fn additional_rate_class(request: &ClientRequest) -> Option<RateClass> {
    match request {
        ClientRequest::Command(Command::Join(join)) => join::additional_rate_class(join),
        _ => None,
    }
}

/// The room that always exists, and that plain-text clients join first.
pub(crate) fn lobby() -> RoomRef {
    // The name is a constant, which the tests of `protocol` check.
    RoomRef::Name(RoomName::new(RoomName::LOBBY).expect("the name of the lobby is legal"))
}

/// After these errors it is unknown whether the user was stored.
fn perhaps_stored(error: &CommandError) -> Option<HandlerEffect> {
    matches!(error.code, ErrorCode::Unavailable | ErrorCode::Internal)
        .then_some(HandlerEffect::UserPerhapsStored)
}
