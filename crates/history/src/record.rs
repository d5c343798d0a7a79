//! One line of a history.

use std::collections::BTreeMap;
use std::fmt;

use protocol::{ClientMessageId, CommandId, Epoch, ErrorCode, RoomId, Seq, Timestamp, UserId};
use serde::{Deserialize, Serialize};

use crate::{Hash, ObservedEvent};

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
    ClientId, "client "
);
number!(
    /// One connection of a client, from `welcome` to its end.
    ConnectionId, "connection "
);

/// Something that a client did or saw, and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Taken before something is written to a socket, and after something was read from it.
    pub at: Micros,
    /// What.
    #[serde(flatten)]
    pub kind: RecordKind,
}

/// What a client did or saw.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum RecordKind {
    /// `welcome` came.
    Opened {
        /// Its number from here on.
        connection: ConnectionId,
        /// Whose it is.
        client: ClientId,
        /// As whom.
        user: UserId,
        /// In which life of the store.
        epoch: Epoch,
    },
    /// It ended, however. What it had asked and not been answered is unknown from now on.
    Closed {
        /// Which.
        connection: ConnectionId,
        /// The close code, 1006 without one.
        code: u16,
        /// What the server said with it.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        reason: String,
    },
    /// A message is about to be sent, for the first time or again.
    Send {
        /// On which connection.
        connection: ConnectionId,
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
        connection: ConnectionId,
        /// The command's number.
        id: CommandId,
        /// Which room.
        room: RoomId,
    },
    /// `ok`: done, and kept for ever.
    Ok {
        /// On which connection.
        connection: ConnectionId,
        /// Of which command.
        id: CommandId,
        /// The number of the event that it became.
        seq: Seq,
    },
    /// Refused: this attempt certainly did nothing.
    Failed {
        /// On which connection.
        connection: ConnectionId,
        /// Of which command.
        id: CommandId,
        /// Why.
        code: ErrorCode,
    },
    /// Answered in a way that leaves open whether it was done.
    Unknown {
        /// On which connection.
        connection: ConnectionId,
        /// Of which command.
        id: CommandId,
        /// Why.
        code: ErrorCode,
    },
    /// `joined`: from here on the room's events come on this connection.
    Joined {
        /// On which connection.
        connection: ConnectionId,
        /// Which room.
        room: RoomId,
        /// The cursor that the client had named in `join` or `resume`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<Seq>,
        /// The room's head, as the server told it.
        head: Seq,
    },
    /// An event came.
    Received {
        /// On which connection.
        connection: ConnectionId,
        /// Of which room.
        room: RoomId,
        /// The event.
        #[serde(flatten)]
        event: ObservedEvent,
    },
    /// `gap`: these will not come by themselves.
    Gap {
        /// On which connection.
        connection: ConnectionId,
        /// Of which room.
        room: RoomId,
        /// The first.
        from: Seq,
        /// The last.
        to: Seq,
    },
    /// A page of history came, by the command or over HTTP.
    HistoryPage {
        /// The client's connection at the time.
        connection: ConnectionId,
        /// Of which room.
        room: RoomId,
        /// The page, oldest first.
        events: Vec<ObservedEvent>,
    },
    /// `reset`: what the client holds of the room is of no use.
    Reset {
        /// On which connection.
        connection: ConnectionId,
        /// Of which room.
        room: RoomId,
    },
    /// `error` that names a room and no command: this connection is not in it, or not any more.
    RoomClosed {
        /// On which connection.
        connection: ConnectionId,
        /// Which room.
        room: RoomId,
    },
    /// All is quiet, and was waited for: this connection should have all there is, and an answer to all that it asked.
    Quiescent {
        /// Which.
        connection: ConnectionId,
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
        event: ObservedEvent,
        /// Its `at`: what the server's clock said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timestamp: Option<Timestamp>,
    },
    /// Something that a reader of the history should know: a kill, a restart.
    Note {
        /// What.
        text: String,
    },
}

impl RecordKind {
    /// The connection that it is about.
    #[must_use]
    pub fn connection(&self) -> Option<ConnectionId> {
        match self {
            RecordKind::Opened { connection, .. }
            | RecordKind::Closed { connection, .. }
            | RecordKind::Send { connection, .. }
            | RecordKind::Leave { connection, .. }
            | RecordKind::Ok { connection, .. }
            | RecordKind::Failed { connection, .. }
            | RecordKind::Unknown { connection, .. }
            | RecordKind::Joined { connection, .. }
            | RecordKind::Received { connection, .. }
            | RecordKind::Gap { connection, .. }
            | RecordKind::HistoryPage { connection, .. }
            | RecordKind::Reset { connection, .. }
            | RecordKind::RoomClosed { connection, .. }
            | RecordKind::Quiescent { connection } => Some(*connection),
            RecordKind::Restored { .. } | RecordKind::Stored { .. } | RecordKind::Note { .. } => None,
        }
    }

    /// The room that it names.
    #[must_use]
    pub fn room(&self) -> Option<RoomId> {
        match self {
            RecordKind::Send { room, .. }
            | RecordKind::Leave { room, .. }
            | RecordKind::Joined { room, .. }
            | RecordKind::Received { room, .. }
            | RecordKind::Gap { room, .. }
            | RecordKind::HistoryPage { room, .. }
            | RecordKind::Reset { room, .. }
            | RecordKind::RoomClosed { room, .. }
            | RecordKind::Stored { room, .. } => Some(*room),
            _ => None,
        }
    }
}

/// For people: `      1.234567 s  connection 1.3  received r1 #42 message by u7, key k1`.
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:6}.{:06} s  ", self.at / 1_000_000, self.at % 1_000_000)?;
        if let Some(connection) = self.kind.connection() {
            write!(f, "{connection}  ")?;
        }
        match &self.kind {
            RecordKind::Opened { client, user, epoch, .. } => {
                write!(f, "opened by {client} as {user} in {epoch}")
            }
            RecordKind::Closed { code, reason, .. } if reason.is_empty() => write!(f, "closed with {code}"),
            RecordKind::Closed { code, reason, .. } => write!(f, "closed with {code}, {reason}"),
            RecordKind::Send { id, room, key, body, .. } => {
                write!(f, "sends ({id}) to {room}: key {key}, body {body}")
            }
            RecordKind::Leave { id, room, .. } => write!(f, "leaves ({id}) {room}"),
            RecordKind::Ok { id, seq, .. } => write!(f, "ok ({id}) #{seq}"),
            RecordKind::Failed { id, code, .. } => write!(f, "refused ({id}): {code}"),
            RecordKind::Unknown { id, code, .. } => write!(f, "unknown ({id}): {code}"),
            RecordKind::Joined { room, after: Some(after), head, .. } => {
                write!(f, "joined {room} after #{after}, its head is #{head}")
            }
            RecordKind::Joined { room, after: None, head, .. } => {
                write!(f, "joined {room} from now on, its head is #{head}")
            }
            RecordKind::Received { room, event, .. } => write!(f, "heard {room} {event}"),
            RecordKind::Gap { room, from, to, .. } => write!(f, "gap in {room} from #{from} to #{to}"),
            RecordKind::HistoryPage { room, events, .. } => match (events.first(), events.last()) {
                (Some(first), Some(last)) => {
                    write!(f, "read the history of {room} from #{} to #{}", first.seq, last.seq)
                }
                _ => write!(f, "read the history of {room}: nothing"),
            },
            RecordKind::Reset { room, .. } => write!(f, "reset {room}"),
            RecordKind::RoomClosed { room, .. } => write!(f, "is told that it is not in {room}"),
            RecordKind::Quiescent { .. } => write!(f, "at rest"),
            RecordKind::Restored { epoch, kept } => {
                write!(f, "restored as {epoch}, with")?;
                kept.iter().try_for_each(|(room, seq)| write!(f, " {room} to #{seq}"))
            }
            RecordKind::Stored { room, event, timestamp: None } => write!(f, "stored {room} {event}"),
            RecordKind::Stored { room, event, timestamp: Some(timestamp) } => {
                write!(f, "stored {room} {event}, at {}", timestamp.to_rfc3339())
            }
            RecordKind::Note { text } => write!(f, "{text}"),
        }
    }
}
