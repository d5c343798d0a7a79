//! Short words for claims.

use std::sync::Arc;

use protocol::{
    ClientMessageId, ErrorCode, Event, EventKind, MessageBody, Person, RoomId, RoomName, RoomRef, Seq,
    Timestamp, UserId, UserName,
};

use crate::{
    Actor, Batch, Operation, OperationResult, PageBounds, Reader, Registration, Request, RequestId, Store,
    TokenHash, Writer,
};

/// So many rooms may one person be in, in these tests.
pub(crate) const ROOMS: u32 = 4;

/// A page larger than any of these tests fills.
pub(crate) const ALL: PageBounds = PageBounds { limit: 10_000, max_bytes: usize::MAX };

/// A store and those who work with it. The fields end in this order.
pub(crate) struct House {
    pub(crate) writer: Box<dyn Writer>,
    pub(crate) reader: Box<dyn Reader>,
    pub(crate) store: Box<dyn Store>,
    pub(crate) now: Timestamp,
    /// Where it is kept, if anywhere.
    pub(crate) _folder: Option<tempfile::TempDir>,
}

impl House {
    pub(crate) fn new(store: Box<dyn Store>, folder: Option<tempfile::TempDir>) -> Self {
        House {
            writer: store.writer().unwrap(),
            reader: store.reader().unwrap(),
            store,
            now: Timestamp(1_000),
            _folder: folder,
        }
    }

    /// Asks for these things in one batch.
    pub(crate) fn all(&mut self, deeds: impl IntoIterator<Item = (Actor, Operation)>) -> Batch {
        let request = |(at, (actor, operation)): (usize, _)| Request {
            request_id: RequestId(at as u64 + 100),
            actor,
            operation,
        };
        self.writer.commit(self.now, deeds.into_iter().enumerate().map(request).collect())
    }

    /// Asks for one thing: what was done, and what was appended.
    pub(crate) fn one(
        &mut self,
        who: u64,
        operation: Operation,
    ) -> (Result<OperationResult, ErrorCode>, Vec<Arc<Event>>) {
        let mut batch = self.all([(guest(who), operation)]);
        assert_eq!(batch.internal, Vec::<String>::new());
        let (request_id, answer) = batch.answers.pop().unwrap();
        assert_eq!(request_id, RequestId(100));
        (answer.map_err(|refusal| refusal.code), batch.events)
    }

    /// Asks for one thing that works.
    pub(crate) fn done(&mut self, who: u64, operation: Operation) -> OperationResult {
        self.one(who, operation).0.unwrap()
    }

    /// Asks for one thing that is refused, and appends nothing.
    pub(crate) fn refused(&mut self, who: u64, operation: Operation) -> ErrorCode {
        let (answer, events) = self.one(who, operation);
        assert_eq!(events, []);
        answer.unwrap_err()
    }

    pub(crate) fn join(&mut self, who: u64, name: &str) -> RoomId {
        match self.done(who, join(name)) {
            OperationResult::Joined { room, .. } => room,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn say(&mut self, who: u64, name: &str, text: &str) -> Seq {
        match self.done(who, say(name, None, text)) {
            OperationResult::Sent { seq, .. } => seq,
            other => panic!("{other:?}"),
        }
    }

    /// All that a room holds.
    pub(crate) fn events(&mut self, room: RoomId) -> Vec<Event> {
        self.reader.events_after(room, Seq(0), None, ALL).unwrap().events
    }

    /// What kinds of events a room holds, in order.
    pub(crate) fn kinds(&mut self, room: RoomId) -> Vec<String> {
        let kind = |event: Event| match event.kind {
            EventKind::Message { body, .. } => format!("{}: {}", event.by.id, body.as_str()),
            EventKind::MemberJoined { also_joined } => also_joined
                .iter()
                .fold(format!("+{}", event.by.id), |line, other| format!("{line} +{}", other.id)),
            EventKind::MemberLeft {} => format!("-{}", event.by.id),
            EventKind::Renamed { old_name } => {
                format!("{} {} -> {}", event.by.id, old_name.as_str(), event.by.name.as_str())
            }
        };
        self.events(room).into_iter().map(kind).collect()
    }
}

/// Guest `n`, called "guest n", who has session `n`.
pub(crate) fn guest(n: u64) -> Actor {
    Actor { person: person(n), registration: Some(Registration { token: Some(token(n)) }) }
}

/// Guest `n` without a session.
pub(crate) fn passer_by(n: u64) -> Actor {
    Actor { person: person(n), registration: Some(Registration { token: None }) }
}

pub(crate) fn person(n: u64) -> Person {
    Person { id: UserId(n), name: called(&format!("guest {n}")) }
}

pub(crate) fn token(n: u64) -> TokenHash {
    TokenHash([u8::try_from(n).unwrap(); 32])
}

pub(crate) fn called(name: &str) -> UserName {
    UserName::new(name).unwrap()
}

pub(crate) fn named(name: &str) -> RoomRef {
    RoomRef::Name(RoomName::new(name).unwrap())
}

pub(crate) fn key(key: &str) -> ClientMessageId {
    ClientMessageId::new(key).unwrap()
}

pub(crate) fn join(name: &str) -> Operation {
    Operation::Join { room: named(name), create_if_missing: true }
}

pub(crate) fn leave(name: &str) -> Operation {
    Operation::Leave { room: named(name) }
}

pub(crate) fn say(name: &str, under: Option<&str>, text: &str) -> Operation {
    Operation::Send { room: named(name), key: under.map(key), body: MessageBody::new(text, 8192).unwrap() }
}

pub(crate) fn rename(name: &str) -> Operation {
    Operation::Rename { name: called(name) }
}

pub(crate) fn read(name: &str, seq: u64) -> Operation {
    Operation::Read { room: named(name), seq: Seq(seq) }
}
