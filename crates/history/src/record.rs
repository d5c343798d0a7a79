//! One line of a history.

use std::collections::BTreeMap;
use std::fmt;

use protocol::{ClientMessageId, CommandId, Epoch, ErrorCode, RoomId, Seq, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::{Hash, Seen};

/// Microseconds on a monotonic clock that all recorders of a history share.
pub type Micros = u64;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                // Each recorder counts from a million times its own number.
                write!(f, concat!($prefix, "{}.{}"), self.0 / 1_000_000, self.0 % 1_000_000)
            }
        }
    };
}

number!(
    /// Something that keeps a cursor for each of its rooms across connections: a page, a program. A person may have several.
    Client, "client "
);
number!(
    /// One connection of a client, from `welcome` to its end.
    Connection, "connection "
);

/// Something that a client did or saw, and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Taken before something is written to a socket, and after something was read from it.
    pub at: Micros,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What a client did or saw.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum What {
    /// `welcome` came.
    Opened {
        /// Its number from here on.
        connection: Connection,
        /// Whose it is.
        client: Client,
        /// As whom.
        person: UserId,
        /// In which life of the store.
        epoch: Epoch,
    },
    /// It ended, however. What it had asked and not been answered is unknown from now on.
    Closed {
        /// Which.
        connection: Connection,
        /// The close code, 1006 without one.
        code: u16,
        /// What the server said with it.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        reason: String,
    },
    /// A message is about to be sent, for the first time or again.
    Send {
        /// On which connection.
        connection: Connection,
        /// The command's number.
        id: CommandId,
        /// Where.
        room: RoomId,
        /// The sender's key.
        key: ClientMessageId,
        /// Of the body.
        body: Hash,
    },
    /// A `leave` is about to be sent.
    Leave {
        /// On which connection.
        connection: Connection,
        /// The command's number.
        id: CommandId,
        /// Which room.
        room: RoomId,
    },
    /// `ok`: done, and kept for ever.
    Ok {
        /// On which connection.
        connection: Connection,
        /// Of which command.
        id: CommandId,
        /// The number of the event that it became.
        seq: Seq,
    },
    /// Refused: this attempt certainly did nothing.
    Failed {
        /// On which connection.
        connection: Connection,
        /// Of which command.
        id: CommandId,
        /// Why.
        code: ErrorCode,
    },
    /// Answered in a way that leaves open whether it was done.
    Unknown {
        /// On which connection.
        connection: Connection,
        /// Of which command.
        id: CommandId,
        /// Why.
        code: ErrorCode,
    },
    /// `joined`: from here on the room's events come on this connection.
    Joined {
        /// On which connection.
        connection: Connection,
        /// Which room.
        room: RoomId,
        /// The cursor that the client had named in `join` or `resume`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<Seq>,
        /// The room's head, as the server told it.
        head: Seq,
    },
    /// An event came.
    Heard {
        /// On which connection.
        connection: Connection,
        /// Of which room.
        room: RoomId,
        /// The event.
        #[serde(flatten)]
        event: Seen,
    },
    /// `gap`: these will not come by themselves.
    Gap {
        /// On which connection.
        connection: Connection,
        /// Of which room.
        room: RoomId,
        /// The first.
        from: Seq,
        /// The last.
        to: Seq,
    },
    /// A page of history came, by the command or over HTTP.
    Filled {
        /// The client's connection at the time.
        connection: Connection,
        /// Of which room.
        room: RoomId,
        /// The page, oldest first.
        events: Vec<Seen>,
    },
    /// `reset`: what the client holds of the room is of no use.
    Reset {
        /// On which connection.
        connection: Connection,
        /// Of which room.
        room: RoomId,
    },
    /// `error` that names a room and no command: this connection is not in it, or not any more.
    Gone {
        /// On which connection.
        connection: Connection,
        /// Which room.
        room: RoomId,
    },
    /// All is quiet, and was waited for: this connection should have all there is, and an answer to all that it asked.
    AtRest {
        /// Which.
        connection: Connection,
    },
    /// The store was taken back to an earlier state: of each room the events up to this number were kept, of a room that is not
    /// named none.
    Restored {
        /// The epoch from now on.
        epoch: Epoch,
        /// How far each room was kept.
        kept: BTreeMap<RoomId, Seq>,
    },
    /// An event as it is stored at the end of a life of the store, read when all was quiet: at the end of the history, and
    /// before each restore. Of each room all there are, in the order of their numbers.
    Stored {
        /// Of which room.
        room: RoomId,
        /// The event.
        #[serde(flatten)]
        event: Seen,
        /// Its `at`: what the server's clock said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dated: Option<Timestamp>,
    },
    /// Something that a reader of the history should know: a kill, a restart.
    Note {
        /// What.
        text: String,
    },
}

impl What {
    /// The connection that it is about.
    #[must_use]
    pub fn connection(&self) -> Option<Connection> {
        match self {
            What::Opened { connection, .. }
            | What::Closed { connection, .. }
            | What::Send { connection, .. }
            | What::Leave { connection, .. }
            | What::Ok { connection, .. }
            | What::Failed { connection, .. }
            | What::Unknown { connection, .. }
            | What::Joined { connection, .. }
            | What::Heard { connection, .. }
            | What::Gap { connection, .. }
            | What::Filled { connection, .. }
            | What::Reset { connection, .. }
            | What::Gone { connection, .. }
            | What::AtRest { connection } => Some(*connection),
            What::Restored { .. } | What::Stored { .. } | What::Note { .. } => None,
        }
    }

    /// The room that it names.
    #[must_use]
    pub fn room(&self) -> Option<RoomId> {
        match self {
            What::Send { room, .. }
            | What::Leave { room, .. }
            | What::Joined { room, .. }
            | What::Heard { room, .. }
            | What::Gap { room, .. }
            | What::Filled { room, .. }
            | What::Reset { room, .. }
            | What::Gone { room, .. }
            | What::Stored { room, .. } => Some(*room),
            _ => None,
        }
    }
}

/// For people: `      1.234567 s  connection 1.3  heard r1 #42 message by u7, key k1`.
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:6}.{:06} s  ", self.at / 1_000_000, self.at % 1_000_000)?;
        if let Some(connection) = self.what.connection() {
            write!(f, "{connection}  ")?;
        }
        match &self.what {
            What::Opened { client, person, epoch, .. } => {
                write!(f, "opened by {client} as {person} in {epoch}")
            }
            What::Closed { code, reason, .. } if reason.is_empty() => write!(f, "closed with {code}"),
            What::Closed { code, reason, .. } => write!(f, "closed with {code}, {reason}"),
            What::Send { id, room, key, body, .. } => {
                write!(f, "sends ({id}) to {room}: key {key}, body {body}")
            }
            What::Leave { id, room, .. } => write!(f, "leaves ({id}) {room}"),
            What::Ok { id, seq, .. } => write!(f, "ok ({id}) #{seq}"),
            What::Failed { id, code, .. } => write!(f, "refused ({id}): {code}"),
            What::Unknown { id, code, .. } => write!(f, "unknown ({id}): {code}"),
            What::Joined { room, after: Some(after), head, .. } => {
                write!(f, "joined {room} after #{after}, its head is #{head}")
            }
            What::Joined { room, after: None, head, .. } => {
                write!(f, "joined {room} from now on, its head is #{head}")
            }
            What::Heard { room, event, .. } => write!(f, "heard {room} {event}"),
            What::Gap { room, from, to, .. } => write!(f, "gap in {room} from #{from} to #{to}"),
            What::Filled { room, events, .. } => match (events.first(), events.last()) {
                (Some(first), Some(last)) => {
                    write!(f, "read the history of {room} from #{} to #{}", first.seq, last.seq)
                }
                _ => write!(f, "read the history of {room}: nothing"),
            },
            What::Reset { room, .. } => write!(f, "reset {room}"),
            What::Gone { room, .. } => write!(f, "is told that it is not in {room}"),
            What::AtRest { .. } => write!(f, "at rest"),
            What::Restored { epoch, kept } => {
                write!(f, "restored as {epoch}, with")?;
                kept.iter().try_for_each(|(room, seq)| write!(f, " {room} to #{seq}"))
            }
            What::Stored { room, event, dated: None } => write!(f, "stored {room} {event}"),
            What::Stored { room, event, dated: Some(dated) } => {
                write!(f, "stored {room} {event}, at {}", dated.to_rfc3339())
            }
            What::Note { text } => write!(f, "{text}"),
        }
    }
}
