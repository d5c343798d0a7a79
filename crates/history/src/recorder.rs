//! Writing a history.

use std::mem;

use protocol::{ClientMessageId, CommandId, Epoch, ErrorCode, Event, MessageBody, RoomId, Seq, UserId};

use crate::{Client, Connection, Hash, Micros, Record, Seen, What};

/// Takes down what the clients of one thread do and see. Each call is a line at the moment that [`now`](Self::now) said last.
///
/// Say what goes out **before** it is written to a socket, and what comes in after it was read: then a message whose `ok` was
/// recorded before another was sent was indeed stored before it.
#[derive(Debug)]
pub struct Recorder {
    records: Vec<Record>,
    now: Micros,
    next_client: u64,
    next_connection: u64,
}

impl Recorder {
    /// With a number of its own among all recorders whose histories will be merged.
    #[must_use]
    pub fn new(number: u32) -> Self {
        let first = u64::from(number) * 1_000_000;
        Recorder { records: Vec::new(), now: 0, next_client: first, next_connection: first }
    }

    /// What follows happens at this moment.
    pub fn now(&mut self, now: Micros) {
        self.now = now;
    }

    /// What was taken down since the last time, oldest first.
    pub fn take(&mut self) -> Vec<Record> {
        mem::take(&mut self.records)
    }

    /// Takes down anything.
    pub fn record(&mut self, what: What) {
        self.records.push(Record { at: self.now, what });
    }

    /// A client that has no connection yet.
    pub fn new_client(&mut self) -> Client {
        self.next_client += 1;
        Client(self.next_client)
    }

    /// `welcome` came on a new connection.
    pub fn opened(&mut self, client: Client, person: UserId, epoch: &Epoch) -> Connection {
        self.next_connection += 1;
        let connection = Connection(self.next_connection);
        self.record(What::Opened { connection, client, person, epoch: epoch.clone() });
        connection
    }

    /// It ended; 1006: without a close frame.
    pub fn closed(&mut self, connection: Connection, code: u16) {
        self.closed_because(connection, code, "");
    }

    /// It ended, and the server said why.
    pub fn closed_because(&mut self, connection: Connection, code: u16, reason: &str) {
        self.record(What::Closed { connection, code, reason: reason.to_owned() });
    }

    /// A message is about to be sent, for the first time or again.
    pub fn send(
        &mut self,
        connection: Connection,
        id: CommandId,
        room: RoomId,
        key: &ClientMessageId,
        body: &MessageBody,
    ) {
        let body = Hash::of(body.as_str().as_bytes());
        self.record(What::Send { connection, id, room, key: key.clone(), body });
    }

    /// A `leave` is about to be sent.
    pub fn leave(&mut self, connection: Connection, id: CommandId, room: RoomId) {
        self.record(What::Leave { connection, id, room });
    }

    /// A `send` or a `leave` was answered with `ok`.
    pub fn ok(&mut self, connection: Connection, id: CommandId, seq: Seq) {
        self.record(What::Ok { connection, id, seq });
    }

    /// A `send` or a `leave` was answered with `error`. Whether it may have been done all the same depends on the code.
    pub fn refused(&mut self, connection: Connection, id: CommandId, code: ErrorCode) {
        self.record(match code {
            ErrorCode::Unavailable | ErrorCode::Internal => What::Unknown { connection, id, code },
            _ => What::Failed { connection, id, code },
        });
    }

    /// `joined` came, in answer to a `join` or `resume` that had named this cursor.
    pub fn joined(&mut self, connection: Connection, room: RoomId, after: Option<Seq>, head: Seq) {
        self.record(What::Joined { connection, room, after, head });
    }

    /// An event came.
    pub fn heard(&mut self, connection: Connection, event: &Event) {
        self.record(What::Heard { connection, room: event.room, event: Seen::of(event) });
    }

    /// `gap` came.
    pub fn gap(&mut self, connection: Connection, room: RoomId, from: Seq, to: Seq) {
        self.record(What::Gap { connection, room, from, to });
    }

    /// A page of history came.
    pub fn filled(&mut self, connection: Connection, room: RoomId, events: &[Event]) {
        self.record(What::Filled { connection, room, events: events.iter().map(Seen::of).collect() });
    }

    /// `reset` came.
    pub fn reset(&mut self, connection: Connection, room: RoomId) {
        self.record(What::Reset { connection, room });
    }

    /// `error` came that named a room and no command: the room is not open here, or not any more.
    pub fn gone(&mut self, connection: Connection, room: RoomId) {
        self.record(What::Gone { connection, room });
    }

    /// All is quiet: this connection should have everything by now.
    pub fn at_rest(&mut self, connection: Connection) {
        self.record(What::AtRest { connection });
    }

    /// An event as it is stored at the end, or before a restore.
    pub fn stored(&mut self, event: &Event) {
        self.record(What::Stored { room: event.room, event: Seen::of(event), dated: Some(event.at) });
    }

    /// Something that a reader of the history should know.
    pub fn note(&mut self, text: impl Into<String>) {
        self.record(What::Note { text: text.into() });
    }
}
