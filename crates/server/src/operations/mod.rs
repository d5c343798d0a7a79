//! One operation, one file: its handler, and what follows from the store's answer.
//!
//! A handler takes a request and a read-only [`View`], and returns [`Effect`]s. An operation is a file here, its `mod`, and its
//! row in the table below; the shard applies effects and does not know operations. Rates and what the shard knows by itself are
//! checked before the store is asked, to refuse early; the store checks the same rules again inside the transaction
//! (`domain::guard`), and its decision counts.

mod access;
mod background;
mod effect;
mod history;
mod join;
mod leave;
mod ping;
mod read;
mod rename;
mod resume;
mod rooms;
mod send;
mod set_topic;
mod typing;
mod view;
mod who;

use domain::RateClass;
use protocol::operations::Row;
use protocol::{Command, ErrorCode, MessageBody, Operation, RoomName, RoomRef};
use storage::CommandError;

pub(crate) use access::report;
pub(crate) use background::{Departure, StoredPosition};
pub(crate) use effect::{Attach, Effect, OnReply, PresenceReply, ReadOperation};
pub(crate) use view::{NoOpenRooms, OpenRooms, View};

/// What a codec decodes.
#[derive(Debug, PartialEq)]
pub(crate) enum Request {
    /// A command of the protocol.
    Command(Command),
    /// A message of a client that has no message ids.
    Message {
        /// The room.
        room: RoomRef,
        /// The text.
        body: MessageBody,
    },
}

impl Request {
    /// The row of its operation.
    pub(crate) fn row(&self) -> &'static Row {
        match self {
            Request::Command(command) => command.row(),
            Request::Message { .. } => &<protocol::Send as Operation>::ROW,
        }
    }
}

impl From<Command> for Request {
    fn from(command: Command) -> Self {
        Request::Command(command)
    }
}

macro_rules! operations {
    ($($name:ident => $module:ident,)*) => {
        /// Calls the handler of the command's operation.
        fn handle_command(view: &View<'_>, command: Command) -> Vec<Effect> {
            match command {
                $(Command::$name(request) => $module::handle(view, request),)*
            }
        }
    };
}

// Each operation, and the module with its handler.
operations! {
    Join => join,
    Resume => resume,
    Leave => leave,
    Send => send,
    SetTopic => set_topic,
    Typing => typing,
    Who => who,
    Rename => rename,
    Rooms => rooms,
    History => history,
    Read => read,
    Ping => ping,
}

/// Calls the handler of the request's operation.
pub(crate) fn handle(view: &View<'_>, request: Request) -> Vec<Effect> {
    match request {
        Request::Command(command) => handle_command(view, command),
        Request::Message { room, body } => send::handle_message(room, body),
    }
}

/// A second rate class, for what a request may cause. Without a token the request is carried out in part:
/// [`View::additional_token`].
pub(crate) fn additional_rate_class(request: &Request) -> Option<RateClass> {
    match request {
        Request::Command(Command::Join(join)) => join::additional_cost(join),
        _ => None,
    }
}

/// The room that everybody finds.
pub(crate) fn lobby() -> RoomRef {
    // The name is a constant, and the tests of `protocol` check that it is legal.
    RoomRef::Name(RoomName::new(RoomName::LOBBY).expect("lobby is a room's name"))
}

/// After these errors it is not known whether a user who would have been stored was.
fn perhaps_stored(error: &CommandError) -> Option<Effect> {
    matches!(error.code, ErrorCode::Unavailable | ErrorCode::Internal).then_some(Effect::UserPerhapsStored)
}
