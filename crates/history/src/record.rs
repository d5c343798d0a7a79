//! The lines of a history.

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
                // A recorder's numbers start at a million times its own number.
                write!(f, concat!($prefix, "{}.{}"), self.0 / 1_000_000, self.0 % 1_000_000)
            }
        }
    };
}

number!(
    /// A page or a program that keeps a cursor for each of its rooms across connections. A user may have several clients.
    ClientId, "client "
);
number!(
    /// One connection of a client, from `welcome` to its end.
    ConnectionId, "connection "
);

/// One observation of a client, with its time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The time before a write to a socket, or after a read from it.
    pub at: Micros,
    /// The observation itself.
    #[serde(flatten)]
    pub kind: RecordKind,
}

/// What a client sent or received. In every variant, `connection` is the connection on which it happened, `room` the room that
/// the frame names, and `id` the id of the command that the client sent.
#[expect(missing_docs, reason = "`connection`, `room` and `id` mean the same in every variant")]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum RecordKind {
    /// A connection received `welcome`.
    Opened {
        connection: ConnectionId,
        /// The client that opened the connection, whose cursors it continues.
        client: ClientId,
        /// The user of the session.
        user: UserId,
        /// The epoch of the store, as in `welcome`.
        epoch: Epoch,
    },
    /// A connection ended, in any way. The results of its unanswered commands are unknown.
    Closed {
        connection: ConnectionId,
        /// The close code; 1006 if there was no close frame.
        code: u16,
        /// The reason in the close frame.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        reason: String,
    },
    /// A message is about to be sent, for the first time or again.
    Send {
        connection: ConnectionId,
        id: CommandId,
        room: RoomId,
        /// The idempotency key.
        key: ClientMessageId,
        /// The hash of the body.
        body: Hash,
    },
    /// A `leave` is about to be sent.
    Leave { connection: ConnectionId, id: CommandId, room: RoomId },
    /// `ok`: the command was carried out and its event is durable.
    Ok {
        connection: ConnectionId,
        id: CommandId,
        /// The number of the event that the command appended.
        seq: Seq,
    },
    /// A rejection: this attempt certainly had no effect.
    Failed { connection: ConnectionId, id: CommandId, code: ErrorCode },
    /// An error that leaves open whether the command was carried out.
    Unknown { connection: ConnectionId, id: CommandId, code: ErrorCode },
    /// `joined`: from here on, the connection receives the room's events.
    Joined {
        connection: ConnectionId,
        room: RoomId,
        /// The cursor in the client's `join` or `resume`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<Seq>,
        /// The head of the room, as in the frame.
        head: Seq,
    },
    /// A connection received an event.
    Received {
        connection: ConnectionId,
        room: RoomId,
        /// The event, with hashes for its texts.
        #[serde(flatten)]
        event: ObservedEvent,
    },
    /// `gap`: the server will not deliver these events by itself.
    Gap {
        connection: ConnectionId,
        room: RoomId,
        /// The first missing event.
        from: Seq,
        /// The last missing event.
        to: Seq,
    },
    /// A client received a page of history, over WebSocket or HTTP.
    HistoryPage {
        connection: ConnectionId,
        room: RoomId,
        /// The events of the page, oldest first.
        events: Vec<ObservedEvent>,
    },
    /// `reset`: the client must discard its copy of the room.
    Reset { connection: ConnectionId, room: RoomId },
    /// An `error` that names a room and no command: the connection is not, or no longer, subscribed to the room.
    RoomClosed { connection: ConnectionId, room: RoomId },
    /// The run is quiescent: the connection should have received every event, and a reply to every command.
    Quiescent { connection: ConnectionId },
    /// The store was restored from a backup. Each room in `kept` has its events up to that number; other rooms have none.
    Restored {
        /// The epoch after the restore.
        epoch: Epoch,
        /// The last event that the restore kept, for each room.
        kept: BTreeMap<RoomId, Seq>,
    },
    /// An event that is stored at the end of an epoch: at the end of the history, and before each restore. The records contain
    /// all events of each room, in the order of their numbers.
    Stored {
        room: RoomId,
        /// The event, with hashes for its texts.
        #[serde(flatten)]
        event: ObservedEvent,
        /// The event's `at`, from the server's clock.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timestamp: Option<Timestamp>,
    },
    /// A note for a human reader of the history, such as a kill or a restart. The checker ignores it.
    Note { text: String },
}

impl RecordKind {
    /// The connection of the record; `None` if it has none.
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

    /// The room of the record; `None` if it has none.
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

/// Formats the record for a report: `      1.234567 s  connection 1.3  received r1 #42 message by u7, key k1`.
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
            RecordKind::Leave { id, room, .. } => write!(f, "sends leave ({id}) for {room}"),
            RecordKind::Ok { id, seq, .. } => write!(f, "ok ({id}) #{seq}"),
            RecordKind::Failed { id, code, .. } => write!(f, "rejected ({id}): {code}"),
            RecordKind::Unknown { id, code, .. } => write!(f, "unknown ({id}): {code}"),
            RecordKind::Joined { room, after: Some(after), head, .. } => {
                write!(f, "joined {room} after #{after}, head #{head}")
            }
            RecordKind::Joined { room, after: None, head, .. } => {
                write!(f, "joined {room} without a cursor, head #{head}")
            }
            RecordKind::Received { room, event, .. } => write!(f, "received {room} {event}"),
            RecordKind::Gap { room, from, to, .. } => write!(f, "gap in {room} from #{from} to #{to}"),
            RecordKind::HistoryPage { room, events, .. } => match (events.first(), events.last()) {
                (Some(first), Some(last)) => {
                    write!(f, "received history of {room} from #{} to #{}", first.seq, last.seq)
                }
                _ => write!(f, "received an empty page of history of {room}"),
            },
            RecordKind::Reset { room, .. } => write!(f, "reset {room}"),
            RecordKind::RoomClosed { room, .. } => write!(f, "received not_a_member for {room}"),
            RecordKind::Quiescent { .. } => write!(f, "quiescent"),
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
