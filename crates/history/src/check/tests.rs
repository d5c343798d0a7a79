//! For each rule the least history that breaks it and nothing else, beside one that only just does not.

mod messages;
mod restores;
mod views;

use protocol::{
    ClientMessageId, CommandId, Epoch, ErrorCode, Event, EventKind, MessageBody, MessageCount, Person,
    RoomId, Seq, Timestamp, UserId, UserName,
};

use super::check;
use crate::{Client, Connection, Recorder, Rule, Verdict, What};

const ROOM: RoomId = RoomId(1);
const LI: UserId = UserId(7);
const ANN: UserId = UserId(8);

/// A history as it is being told.
struct Tale {
    recorder: Recorder,
    time: u64,
    connection: Connection,
    client: Client,
}

impl Tale {
    /// Li has a connection.
    fn of_li() -> Self {
        let mut recorder = Recorder::new(0);
        let client = recorder.new_client();
        let connection = recorder.opened(client, LI, &epoch(1));
        Tale { recorder, time: 0, connection, client }
    }

    /// The next line, on the connection that is being spoken of.
    fn then(mut self, tell: impl FnOnce(&mut Recorder, Connection)) -> Self {
        self.time += 1;
        self.recorder.now(self.time);
        tell(&mut self.recorder, self.connection);
        self
    }

    /// Another client, and from now on it is spoken of.
    fn by(mut self, person: UserId) -> Self {
        self.client = self.recorder.new_client();
        self.connection = self.recorder.opened(self.client, person, &epoch(1));
        self
    }

    /// The same client comes back on another connection.
    fn again(mut self, person: UserId, epoch: &Epoch) -> Self {
        self.recorder.closed(self.connection, 1006);
        self.connection = self.recorder.opened(self.client, person, epoch);
        self
    }

    fn send(self, id: u64, key: &str) -> Self {
        self.send_body(id, key, &body_of(key))
    }

    fn send_body(self, id: u64, key: &str, body: &str) -> Self {
        let body = MessageBody::new(body, 100).unwrap();
        self.then(|it, on| it.send(on, CommandId(id), ROOM, &key_of(key), &body))
    }

    fn ok(self, id: u64, seq: u64) -> Self {
        self.then(|it, on| it.ok(on, CommandId(id), Seq(seq)))
    }

    fn refused(self, id: u64, code: ErrorCode) -> Self {
        self.then(|it, on| it.refused(on, CommandId(id), code))
    }

    fn leave(self, id: u64) -> Self {
        self.then(|it, on| it.leave(on, CommandId(id), ROOM))
    }

    fn joined(self, after: Option<u64>, head: u64) -> Self {
        self.then(|it, on| it.joined(on, ROOM, after.map(Seq), Seq(head)))
    }

    fn hears(self, event: Event) -> Self {
        self.then(|it, on| it.heard(on, &event))
    }

    fn gap(self, from: u64, to: u64) -> Self {
        self.then(|it, on| it.gap(on, ROOM, Seq(from), Seq(to)))
    }

    fn reads(self, events: &[Event]) -> Self {
        self.then(|it, on| it.filled(on, ROOM, events))
    }

    fn reset(self) -> Self {
        self.then(|it, on| it.reset(on, ROOM))
    }

    fn rests(self) -> Self {
        self.then(|it, on| it.at_rest(on))
    }

    fn gone(self) -> Self {
        self.then(|it, on| it.gone(on, ROOM))
    }

    /// The store is taken back to where the room had `kept` events of `stored`.
    fn restored(mut self, number: u64, stored: &[Event], kept: u64) -> Self {
        for event in stored {
            self.recorder.stored(event);
        }
        let kept = [(ROOM, Seq(kept))].into();
        self.then(|it, _| it.record(What::Restored { epoch: epoch(number), kept }))
    }

    fn verdict(mut self, stored: &[Event]) -> Verdict {
        for event in stored {
            self.recorder.stored(event);
        }
        let records = self.recorder.take();
        check(|| records.iter().cloned())
    }

    #[track_caller]
    fn passes(self, stored: &[Event]) {
        let verdict = self.verdict(stored);
        assert!(verdict.is_clean(), "{verdict}");
    }

    #[track_caller]
    fn breaks(self, rule: Rule, stored: &[Event]) {
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
    format!("words of {key}")
}

fn event(seq: u64, by: UserId, kind: EventKind) -> Event {
    let by = Person { id: by, name: UserName::new("Li").unwrap() };
    Event { kind, room: ROOM, seq: Seq(seq), n: MessageCount(seq), by, at: Timestamp(0) }
}

/// A message of Li's whose body goes with its key.
fn said(seq: u64, key: &str) -> Event {
    said_as(seq, LI, key, &body_of(key))
}

fn said_as(seq: u64, by: UserId, key: &str, body: &str) -> Event {
    let body = MessageBody::new(body, 100).unwrap();
    event(seq, by, EventKind::Message { client_message_id: Some(key_of(key)), body })
}

fn came(seq: u64, who: UserId) -> Event {
    event(seq, who, EventKind::MemberJoined { also_joined: Vec::new() })
}

fn came_with(seq: u64, who: UserId, others: &[UserId]) -> Event {
    let person = |&id: &UserId| Person { id, name: UserName::new("Li").unwrap() };
    event(seq, who, EventKind::MemberJoined { also_joined: others.iter().map(person).collect() })
}

fn went(seq: u64, who: UserId) -> Event {
    event(seq, who, EventKind::MemberLeft {})
}

#[test]
fn a_violation_is_told_with_what_belongs_to_it_and_nothing_else() {
    let mut tale = Tale::of_li();
    for id in 1..=50 {
        tale = tale.send(id, &format!("k{id}")).ok(id, id);
    }
    let stored: Vec<Event> = (1..=49).map(|seq| said(seq, &format!("k{seq}"))).collect();
    let verdict = tale.verdict(&stored);
    let violation = verdict.violation.as_ref().unwrap();
    assert_eq!(violation.rule, Rule::AcknowledgedButLost);
    let text = verdict.to_string();
    assert!(text.contains("key k50 of u7 was acknowledged as r1 #50 and is stored nowhere"), "{text}");
    assert!(text.contains("sends (50) to r1: key k50") && text.contains("ok (49) #49"), "{text}");
    assert!(!text.contains("key k3,") && text.lines().count() < 15, "{text}");
    assert!(text.lines().any(|line| line.starts_with("> ") && line.contains("ok (50) #50")), "{text}");
}

#[test]
fn what_was_stored_before_it_was_sent_again_is_counted_once() {
    let sent = || Tale::of_li().send(1, "a").again(LI, &epoch(1));
    let stored = [said(1, "a")];
    assert_eq!(sent().send(1, "a").ok(1, 1).verdict(&stored).counts.unknown_but_stored, 0);
    assert_eq!(sent().joined(None, 1).send(1, "a").ok(1, 1).verdict(&stored).counts.unknown_but_stored, 1);
    assert_eq!(sent().verdict(&stored).counts.unknown_but_stored, 1);
}

#[test]
fn everything_is_counted() {
    let verdict = Tale::of_li()
        .joined(Some(1), 1)
        .send(1, "a")
        .ok(1, 2)
        .hears(said(2, "a"))
        .send(2, "b")
        .again(LI, &epoch(1))
        .joined(Some(2), 3)
        .gap(3, 3)
        .reads(&[said(3, "b")])
        .send(1, "c")
        .refused(1, ErrorCode::RateLimited)
        .rests()
        .verdict(&[came(1, LI), said(2, "a"), said(3, "b")]);
    assert!(verdict.is_clean(), "{verdict}");
    let counts = verdict.counts;
    assert_eq!((counts.operations, counts.acknowledged, counts.refused, counts.unknown), (3, 1, 1, 1));
    assert_eq!((counts.unknown_but_stored, counts.deliveries, counts.gaps, counts.fillings), (1, 1, 1, 1));
    assert_eq!((counts.connections, counts.resumed, counts.complete_views), (2, 2, 1));
    assert_eq!((counts.rooms, counts.stored), (1, 3));
}
