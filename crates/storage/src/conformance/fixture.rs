//! A store under test, and short functions for requests.

use std::any::Any;
use std::sync::Arc;

use domain::SentMessage;
use protocol::{
    ClientMessageId, ErrorCode, Event, EventKind, MessageBody, RoomId, RoomName, RoomRef, Seq, Timestamp,
    User, UserId, UserName,
};

use crate::{
    Actor, Batch, MemoryStore, Operation, OperationResult, PageBounds, Reader, Registration, Request,
    RequestId, Store, TokenHash, Writer,
};

/// The most rooms of one user in a store under test: small, so that tests reach it.
pub const ROOMS: u32 = 4;

/// Bounds that no page of these tests reaches.
pub const ALL: PageBounds = PageBounds { limit: 10_000, max_bytes: usize::MAX };

/// A store, its writer and a reader. They are dropped in the order of the fields, so the store outlives both.
pub struct Fixture {
    pub writer: Box<dyn Writer>,
    pub reader: Box<dyn Reader>,
    pub store: Box<dyn Store>,
    pub now: Timestamp,
    /// Resources that must outlive the store, such as its folder.
    pub guard: Option<Box<dyn Any>>,
}

impl Fixture {
    /// A store with the limit [`ROOMS`], unless a test needs another one.
    pub fn new(store: Box<dyn Store>) -> Self {
        let writer = store.writer().unwrap();
        Fixture::with_writer(store, writer)
    }

    /// A store that `guard` keeps alive.
    pub fn guarded(store: Box<dyn Store>, guard: impl Any) -> Self {
        Fixture { guard: Some(Box::new(guard)), ..Fixture::new(store) }
    }

    /// The independent model of the rules.
    pub fn of_model(store: &MemoryStore) -> Self {
        Fixture::with_writer(Box::new(store.clone()), store.model())
    }

    fn with_writer(store: Box<dyn Store>, writer: Box<dyn Writer>) -> Self {
        Fixture { writer, reader: store.reader().unwrap(), store, now: Timestamp(1_000), guard: None }
    }

    /// Commits the requests in one batch.
    pub fn all(&mut self, requests: impl IntoIterator<Item = (Actor, Operation)>) -> Batch {
        let request = |(at, (actor, operation)): (usize, _)| Request {
            request_id: RequestId(at as u64 + 100),
            actor,
            operation,
        };
        self.writer.commit(self.now, requests.into_iter().enumerate().map(request).collect())
    }

    /// Commits one request. Returns its answer and the appended events.
    pub fn one(
        &mut self,
        who: u64,
        operation: impl Into<Operation>,
    ) -> (Result<OperationResult, ErrorCode>, Vec<Arc<Event>>) {
        let mut batch = self.all([(guest(who), operation.into())]);
        assert_eq!(batch.internal, Vec::<String>::new());
        let (request_id, answer) = batch.replies.pop().unwrap();
        assert_eq!(request_id, RequestId(100));
        (answer.map_err(|rejection| rejection.code), batch.events)
    }

    /// Commits one request that must succeed.
    pub fn done(&mut self, who: u64, operation: impl Into<Operation>) -> OperationResult {
        self.one(who, operation).0.unwrap()
    }

    /// Commits one request that must be rejected and append nothing. Returns the code.
    pub fn rejected(&mut self, who: u64, operation: impl Into<Operation>) -> ErrorCode {
        let (answer, events) = self.one(who, operation);
        assert_eq!(events, []);
        answer.unwrap_err()
    }

    pub fn join(&mut self, who: u64, name: &str) -> RoomId {
        match self.done(who, join(name)) {
            OperationResult::Join(joined) => joined.info.room,
            other => panic!("{other:?}"),
        }
    }

    pub fn send(&mut self, who: u64, name: &str, text: &str) -> Seq {
        match self.done(who, send(name, None, text)) {
            OperationResult::Send(SentMessage { seq, .. }) => seq,
            other => panic!("{other:?}"),
        }
    }

    /// All events of a room, oldest first.
    pub fn events(&mut self, room: RoomId) -> Vec<Event> {
        self.reader.events_after(room, Seq(0), None, ALL).unwrap().events
    }

    /// All events of a room, each as a short text.
    pub fn kinds(&mut self, room: RoomId) -> Vec<String> {
        let kind = |event: Event| match event.kind {
            EventKind::Message { body, .. } => format!("{}: {}", event.by.id, body.as_str()),
            EventKind::MemberJoined { also_joined } => also_joined
                .iter()
                .fold(format!("+{}", event.by.id), |line, other| format!("{line} +{}", other.id)),
            EventKind::MemberLeft {} => format!("-{}", event.by.id),
            EventKind::Renamed { old_name } => {
                format!("{} {} -> {}", event.by.id, old_name.as_str(), event.by.name.as_str())
            }
            other => format!("{} {}", event.by.id, serde_json::to_string(&other).unwrap()),
        };
        self.events(room).into_iter().map(kind).collect()
    }
}

/// User `n`, named "guest n", with session `n`.
pub fn guest(n: u64) -> Actor {
    Actor { user: user(n), registration: Some(Registration { token: Some(token(n)) }) }
}

/// User `n` without a session.
pub fn transient_guest(n: u64) -> Actor {
    Actor { user: user(n), registration: Some(Registration { token: None }) }
}

pub fn user(n: u64) -> User {
    User { id: UserId(n), name: user_name(&format!("guest {n}")) }
}

pub fn token(n: u64) -> TokenHash {
    TokenHash([u8::try_from(n).unwrap(); 32])
}

pub fn user_name(name: &str) -> UserName {
    UserName::new(name).unwrap()
}

pub fn named(name: &str) -> RoomRef {
    RoomRef::Name(RoomName::new(name).unwrap())
}

pub fn key(key: &str) -> ClientMessageId {
    ClientMessageId::new(key).unwrap()
}

pub fn join(name: &str) -> Operation {
    domain::Join { room: named(name), create_if_missing: true }.into()
}

pub fn leave(name: &str) -> Operation {
    protocol::Leave { room: named(name) }.into()
}

pub fn send(name: &str, key_text: Option<&str>, text: &str) -> Operation {
    let body = MessageBody::new(text, 8192).unwrap();
    domain::Send { room: named(name), key: key_text.map(key), body }.into()
}

pub fn rename(name: &str) -> Operation {
    protocol::Rename { name: user_name(name) }.into()
}

pub fn read(name: &str, seq: u64) -> Operation {
    protocol::Read { room: named(name), seq: Seq(seq) }.into()
}
