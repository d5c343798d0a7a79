//! For each rule, the shortest history that violates only this rule, and a similar one that does not.

mod client_views;
mod messages;
mod restores;

use protocol::{
    ClientMessageId, CommandId, Epoch, ErrorCode, Event, EventKind, MessageBody, MessageCount, RoomId, Seq,
    Timestamp, User, UserId, UserName,
};

use super::check;
use crate::{ClientId, ConnectionId, RecordKind, Recorder, Rule, Verdict};

const ROOM: RoomId = RoomId(1);
const LI: UserId = UserId(7);
const ANN: UserId = UserId(8);

/// Builds a history, one record at a time.
struct HistoryBuilder {
    recorder: Recorder,
    time: u64,
    connection: ConnectionId,
    client: ClientId,
}

impl HistoryBuilder {
    /// A history in which the client of user Li has one connection.
    fn new() -> Self {
        let mut recorder = Recorder::new(0);
        let client = recorder.new_client();
        let connection = recorder.opened(client, LI, &epoch(1));
        HistoryBuilder { recorder, time: 0, connection, client }
    }

    /// Appends the next record, on the current connection.
    fn record_with(mut self, write: impl FnOnce(&mut Recorder, ConnectionId)) -> Self {
        self.time += 1;
        self.recorder.set_time(self.time);
        write(&mut self.recorder, self.connection);
        self
    }

    /// Opens a connection of another client and makes it the current one.
    fn with_new_client(mut self, user: UserId) -> Self {
        self.client = self.recorder.new_client();
        self.connection = self.recorder.opened(self.client, user, &epoch(1));
        self
    }

    /// The current client reconnects, with a new connection.
    fn reconnects(mut self, user: UserId, epoch: &Epoch) -> Self {
        self.recorder.closed(self.connection, 1006);
        self.connection = self.recorder.opened(self.client, user, epoch);
        self
    }

    fn sends(self, id: u64, key: &str) -> Self {
        self.sends_body(id, key, &body_of(key))
    }

    fn sends_body(self, id: u64, key: &str, body: &str) -> Self {
        let body = MessageBody::new(body, 100).unwrap();
        self.record_with(|it, on| it.send(on, CommandId(id), ROOM, &key_of(key), &body))
    }

    fn ok(self, id: u64, seq: u64) -> Self {
        self.record_with(|it, on| it.ok(on, CommandId(id), Seq(seq)))
    }

    fn rejected(self, id: u64, code: ErrorCode) -> Self {
        self.record_with(|it, on| it.rejected(on, CommandId(id), code))
    }

    fn sends_leave(self, id: u64) -> Self {
        self.record_with(|it, on| it.leave(on, CommandId(id), ROOM))
    }

    fn subscribes(self, after: Option<u64>, head: u64) -> Self {
        self.record_with(|it, on| it.joined(on, ROOM, after.map(Seq), Seq(head)))
    }

    fn receives(self, event: Event) -> Self {
        self.record_with(|it, on| it.received(on, &event))
    }

    fn receives_gap(self, from: u64, to: u64) -> Self {
        self.record_with(|it, on| it.gap(on, ROOM, Seq(from), Seq(to)))
    }

    fn receives_page(self, events: &[Event]) -> Self {
        self.record_with(|it, on| it.history_page(on, ROOM, events))
    }

    fn receives_reset(self) -> Self {
        self.record_with(|it, on| it.reset(on, ROOM))
    }

    fn quiesces(self) -> Self {
        self.record_with(|it, on| it.quiescent(on))
    }

    fn room_closed(self) -> Self {
        self.record_with(|it, on| it.room_closed(on, ROOM))
    }

    /// Restores the store to a state in which the room has the first `kept` events of `stored`.
    fn restored(mut self, number: u64, stored: &[Event], kept: u64) -> Self {
        for event in stored {
            self.recorder.stored(event);
        }
        let kept = [(ROOM, Seq(kept))].into();
        self.record_with(|it, _| it.record(RecordKind::Restored { epoch: epoch(number), kept }))
    }

    fn verdict(mut self, stored: &[Event]) -> Verdict {
        for event in stored {
            self.recorder.stored(event);
        }
        let records = self.recorder.take();
        check(|| records.iter().cloned())
    }

    #[track_caller]
    fn satisfies_all(self, stored: &[Event]) {
        let verdict = self.verdict(stored);
        assert!(verdict.is_clean(), "{verdict}");
    }

    #[track_caller]
    fn violates(self, rule: Rule, stored: &[Event]) {
        let verdict = self.verdict(stored);
        assert_eq!(verdict.violation.as_ref().map(|found| found.rule), Some(rule), "{verdict}");
    }
}

fn epoch(number: u64) -> Epoch {
    Epoch(format!("e{number}"))
}

fn key_of(key: &str) -> ClientMessageId {
    ClientMessageId::new(key).unwrap()
}

fn body_of(key: &str) -> String {
    format!("body of {key}")
}

fn event(seq: u64, by: UserId, kind: EventKind) -> Event {
    let by = User { id: by, name: UserName::new("Li").unwrap() };
    Event { kind, room: ROOM, seq: Seq(seq), n: MessageCount(seq), by, at: Timestamp(0) }
}

/// A message of Li whose body is derived from its key.
fn message(seq: u64, key: &str) -> Event {
    message_from(seq, LI, key, &body_of(key))
}

fn message_from(seq: u64, by: UserId, key: &str, body: &str) -> Event {
    let body = MessageBody::new(body, 100).unwrap();
    event(seq, by, EventKind::Message { client_message_id: Some(key_of(key)), body })
}

fn joined(seq: u64, user: UserId) -> Event {
    event(seq, user, EventKind::MemberJoined { also_joined: Vec::new() })
}

fn joined_together(seq: u64, user: UserId, others: &[UserId]) -> Event {
    let other = |&id: &UserId| User { id, name: UserName::new("Li").unwrap() };
    event(seq, user, EventKind::MemberJoined { also_joined: others.iter().map(other).collect() })
}

fn left(seq: u64, user: UserId) -> Event {
    event(seq, user, EventKind::MemberLeft {})
}

#[test]
fn violation_has_the_related_records_as_context() {
    let mut history = HistoryBuilder::new();
    for id in 1..=50 {
        history = history.sends(id, &format!("k{id}")).ok(id, id);
    }
    let stored: Vec<Event> = (1..=49).map(|seq| message(seq, &format!("k{seq}"))).collect();
    let verdict = history.verdict(&stored);
    let violation = verdict.violation.as_ref().unwrap();
    assert_eq!(violation.rule, Rule::AcknowledgedButLost);
    let text = verdict.to_string();
    assert!(text.contains("key k50 of u7 was acknowledged as r1 #50 and is stored nowhere"), "{text}");
    assert!(text.contains("sends (50) to r1: key k50") && text.contains("ok (49) #49"), "{text}");
    assert!(!text.contains("key k3,") && text.lines().count() < 15, "{text}");
    assert!(text.lines().any(|line| line.starts_with("> ") && line.contains("ok (50) #50")), "{text}");
}

#[test]
fn message_stored_before_its_resend_is_counted_once() {
    let sent = || HistoryBuilder::new().sends(1, "a").reconnects(LI, &epoch(1));
    let stored = [message(1, "a")];
    assert_eq!(sent().sends(1, "a").ok(1, 1).verdict(&stored).counts.unknown_but_stored, 0);
    assert_eq!(
        sent().subscribes(None, 1).sends(1, "a").ok(1, 1).verdict(&stored).counts.unknown_but_stored,
        1
    );
    assert_eq!(sent().verdict(&stored).counts.unknown_but_stored, 1);
}

#[test]
fn activity_of_a_history_is_counted() {
    let verdict = HistoryBuilder::new()
        .subscribes(Some(1), 1)
        .sends(1, "a")
        .ok(1, 2)
        .receives(message(2, "a"))
        .sends(2, "b")
        .reconnects(LI, &epoch(1))
        .subscribes(Some(2), 3)
        .receives_gap(3, 3)
        .receives_page(&[message(3, "b")])
        .sends(1, "c")
        .rejected(1, ErrorCode::RateLimited)
        .quiesces()
        .verdict(&[joined(1, LI), message(2, "a"), message(3, "b")]);
    assert!(verdict.is_clean(), "{verdict}");
    let counts = verdict.counts;
    assert_eq!((counts.operations, counts.acknowledged, counts.rejected, counts.unknown), (3, 1, 1, 1));
    assert_eq!(
        (counts.unknown_but_stored, counts.deliveries, counts.gaps, counts.history_pages),
        (1, 1, 1, 1)
    );
    assert_eq!((counts.connections, counts.resumed, counts.complete_views), (2, 2, 1));
    assert_eq!((counts.rooms, counts.stored), (1, 3));
}
