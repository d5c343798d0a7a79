//! Recording a history while clients send and receive.

use std::mem;

use protocol::{ClientMessageId, CommandId, Epoch, ErrorCode, Event, MessageBody, RoomId, Seq, UserId};

use crate::{ClientId, ConnectionId, Hash, Micros, ObservedEvent, Record, RecordKind};

/// Records what the clients of one thread send and receive. Each call appends a record with the time of the last
/// [`set_time`](Self::set_time).
///
/// Record a command **before** it is written to a socket, and a frame after it was read. Then a message whose `ok` was
/// recorded before another message was sent was in fact stored before the other.
#[derive(Debug)]
pub struct Recorder {
    records: Vec<Record>,
    set_time: Micros,
    next_client: u64,
    next_connection: u64,
}

impl Recorder {
    /// A recorder. `number` must be unique among all recorders whose histories will be merged.
    #[must_use]
    pub fn new(number: u32) -> Self {
        let first = u64::from(number) * 1_000_000;
        Recorder { records: Vec::new(), set_time: 0, next_client: first, next_connection: first }
    }

    /// Sets the time of the following records.
    pub fn set_time(&mut self, set_time: Micros) {
        self.set_time = set_time;
    }

    /// Returns the records since the last call, oldest first.
    pub fn take(&mut self) -> Vec<Record> {
        mem::take(&mut self.records)
    }

    /// Appends a record of any kind.
    pub fn record(&mut self, kind: RecordKind) {
        self.records.push(Record { at: self.set_time, kind });
    }

    /// Registers a client, which has no connection yet.
    pub fn new_client(&mut self) -> ClientId {
        self.next_client += 1;
        ClientId(self.next_client)
    }

    /// A new connection received `welcome`. Returns the connection's number.
    pub fn opened(&mut self, client: ClientId, user: UserId, epoch: &Epoch) -> ConnectionId {
        self.next_connection += 1;
        let connection = ConnectionId(self.next_connection);
        self.record(RecordKind::Opened { connection, client, user, epoch: epoch.clone() });
        connection
    }

    /// A connection ended. The code is 1006 if there was no close frame.
    pub fn closed(&mut self, connection: ConnectionId, code: u16) {
        self.closed_with_reason(connection, code, "");
    }

    /// A connection ended with a close frame that has a reason.
    pub fn closed_with_reason(&mut self, connection: ConnectionId, code: u16, reason: &str) {
        self.record(RecordKind::Closed { connection, code, reason: reason.to_owned() });
    }

    /// A message is about to be sent, for the first time or again.
    pub fn send(
        &mut self,
        connection: ConnectionId,
        id: CommandId,
        room: RoomId,
        key: &ClientMessageId,
        body: &MessageBody,
    ) {
        let body = Hash::of(body.as_str().as_bytes());
        self.record(RecordKind::Send { connection, id, room, key: key.clone(), body });
    }

    /// A `leave` is about to be sent.
    pub fn leave(&mut self, connection: ConnectionId, id: CommandId, room: RoomId) {
        self.record(RecordKind::Leave { connection, id, room });
    }

    /// A `send` or a `leave` received `ok`.
    pub fn ok(&mut self, connection: ConnectionId, id: CommandId, seq: Seq) {
        self.record(RecordKind::Ok { connection, id, seq });
    }

    /// A `send` or a `leave` received `error`. The code determines whether it may have been carried out all the same.
    pub fn rejected(&mut self, connection: ConnectionId, id: CommandId, code: ErrorCode) {
        self.record(match code {
            ErrorCode::Unavailable | ErrorCode::Internal => RecordKind::Unknown { connection, id, code },
            _ => RecordKind::Failed { connection, id, code },
        });
    }

    /// A `join` or `resume` from the cursor `after` received `joined`.
    pub fn joined(&mut self, connection: ConnectionId, room: RoomId, after: Option<Seq>, head: Seq) {
        self.record(RecordKind::Joined { connection, room, after, head });
    }

    /// A connection received an event.
    pub fn received(&mut self, connection: ConnectionId, event: &Event) {
        self.record(RecordKind::Received { connection, room: event.room, event: ObservedEvent::of(event) });
    }

    /// A connection received `gap`.
    pub fn gap(&mut self, connection: ConnectionId, room: RoomId, from: Seq, to: Seq) {
        self.record(RecordKind::Gap { connection, room, from, to });
    }

    /// A client received a page of history.
    pub fn history_page(&mut self, connection: ConnectionId, room: RoomId, events: &[Event]) {
        self.record(RecordKind::HistoryPage {
            connection,
            room,
            events: events.iter().map(ObservedEvent::of).collect(),
        });
    }

    /// A connection received `reset`.
    pub fn reset(&mut self, connection: ConnectionId, room: RoomId) {
        self.record(RecordKind::Reset { connection, room });
    }

    /// A connection received an `error` that names a room and no command: it is not, or no longer, subscribed to the room.
    pub fn room_closed(&mut self, connection: ConnectionId, room: RoomId) {
        self.record(RecordKind::RoomClosed { connection, room });
    }

    /// The run is quiescent: the connection should have received everything.
    pub fn quiescent(&mut self, connection: ConnectionId) {
        self.record(RecordKind::Quiescent { connection });
    }

    /// An event is stored, at the end of the run or before a restore.
    pub fn stored(&mut self, event: &Event) {
        self.record(RecordKind::Stored {
            room: event.room,
            event: ObservedEvent::of(event),
            timestamp: Some(event.at),
        });
    }

    /// Adds a note for a human reader of the history.
    pub fn note(&mut self, text: impl Into<String>) {
        self.record(RecordKind::Note { text: text.into() });
    }
}
