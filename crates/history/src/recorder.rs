//! Writing a history.

use std::mem;

use protocol::{ClientMessageId, CommandId, Epoch, ErrorCode, Event, MessageBody, RoomId, Seq, UserId};

use crate::{ClientId, ConnectionId, Hash, Micros, ObservedEvent, Record, RecordKind};

/// Takes down what the clients of one thread do and see. Each call is a line at the moment that [`set_time`](Self::now) said last.
///
/// Say what goes out **before** it is written to a socket, and what comes in after it was read: then a message whose `ok` was
/// recorded before another was sent was indeed stored before it.
#[derive(Debug)]
pub struct Recorder {
    records: Vec<Record>,
    set_time: Micros,
    next_client: u64,
    next_connection: u64,
}

impl Recorder {
    /// With a number of its own among all recorders whose histories will be merged.
    #[must_use]
    pub fn new(number: u32) -> Self {
        let first = u64::from(number) * 1_000_000;
        Recorder { records: Vec::new(), set_time: 0, next_client: first, next_connection: first }
    }

    /// What follows happens at this moment.
    pub fn set_time(&mut self, set_time: Micros) {
        self.set_time = set_time;
    }

    /// What was taken down since the last time, oldest first.
    pub fn take(&mut self) -> Vec<Record> {
        mem::take(&mut self.records)
    }

    /// Takes down anything.
    pub fn record(&mut self, kind: RecordKind) {
        self.records.push(Record { at: self.set_time, kind });
    }

    /// A client that has no connection yet.
    pub fn new_client(&mut self) -> ClientId {
        self.next_client += 1;
        ClientId(self.next_client)
    }

    /// `welcome` came on a new connection.
    pub fn opened(&mut self, client: ClientId, user: UserId, epoch: &Epoch) -> ConnectionId {
        self.next_connection += 1;
        let connection = ConnectionId(self.next_connection);
        self.record(RecordKind::Opened { connection, client, user, epoch: epoch.clone() });
        connection
    }

    /// It ended; 1006: without a close frame.
    pub fn closed(&mut self, connection: ConnectionId, code: u16) {
        self.closed_with_reason(connection, code, "");
    }

    /// It ended, and the server said why.
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

    /// A `send` or a `leave` was answered with `ok`.
    pub fn ok(&mut self, connection: ConnectionId, id: CommandId, seq: Seq) {
        self.record(RecordKind::Ok { connection, id, seq });
    }

    /// A `send` or a `leave` was answered with `error`. Whether it may have been done all the same depends on the code.
    pub fn refused(&mut self, connection: ConnectionId, id: CommandId, code: ErrorCode) {
        self.record(match code {
            ErrorCode::Unavailable | ErrorCode::Internal => RecordKind::Unknown { connection, id, code },
            _ => RecordKind::Failed { connection, id, code },
        });
    }

    /// `joined` came, in answer to a `join` or `resume` that had named this cursor.
    pub fn joined(&mut self, connection: ConnectionId, room: RoomId, after: Option<Seq>, head: Seq) {
        self.record(RecordKind::Joined { connection, room, after, head });
    }

    /// An event came.
    pub fn received(&mut self, connection: ConnectionId, event: &Event) {
        self.record(RecordKind::Received { connection, room: event.room, event: ObservedEvent::of(event) });
    }

    /// `gap` came.
    pub fn gap(&mut self, connection: ConnectionId, room: RoomId, from: Seq, to: Seq) {
        self.record(RecordKind::Gap { connection, room, from, to });
    }

    /// A page of history came.
    pub fn history_page(&mut self, connection: ConnectionId, room: RoomId, events: &[Event]) {
        self.record(RecordKind::HistoryPage {
            connection,
            room,
            events: events.iter().map(ObservedEvent::of).collect(),
        });
    }

    /// `reset` came.
    pub fn reset(&mut self, connection: ConnectionId, room: RoomId) {
        self.record(RecordKind::Reset { connection, room });
    }

    /// `error` came that named a room and no command: the room is not open here, or not any more.
    pub fn room_closed(&mut self, connection: ConnectionId, room: RoomId) {
        self.record(RecordKind::RoomClosed { connection, room });
    }

    /// All is quiet: this connection should have everything by now.
    pub fn quiescent(&mut self, connection: ConnectionId) {
        self.record(RecordKind::Quiescent { connection });
    }

    /// An event as it is stored at the end, or before a restore.
    pub fn stored(&mut self, event: &Event) {
        self.record(RecordKind::Stored {
            room: event.room,
            event: ObservedEvent::of(event),
            timestamp: Some(event.at),
        });
    }

    /// Something that a reader of the history should know.
    pub fn note(&mut self, text: impl Into<String>) {
        self.record(RecordKind::Note { text: text.into() });
    }
}
