//! Properties of the writer that only a store on a network has.

use std::time::{Duration, Instant};

use domain::RoomLimits;
use protocol::{
    ClientMessageId, ErrorCode, MessageBody, RoomName, RoomRef, Seq, Timestamp, Topic, User, UserId, UserName,
};
use storage::{
    Actor, Batch, LOBBY, Operation, OperationResult, PageBounds, Registration, Request, RequestId, Store,
    TokenHash, Writer,
};

use super::proxy::CountingProxy;
use crate::session::{Role, Session};
use crate::testing::Server;
use crate::{DatabaseUrl, OpenError, PostgresStore};

/// Ends all sessions of the stores of a database.
const END_SESSIONS: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
     WHERE datname = current_database() AND application_name LIKE 'teahouse %'";

fn open(url: &DatabaseUrl) -> PostgresStore {
    PostgresStore::open(url, RoomLimits::default()).unwrap()
}

fn actor(n: u8) -> Actor {
    let user = User { id: UserId(n.into()), name: UserName::new(&format!("guest {n}")).unwrap() };
    Actor { user, registration: Some(Registration { token: Some(TokenHash([n; 32])) }) }
}

fn room(name: &str) -> RoomRef {
    RoomRef::Name(RoomName::new(name).unwrap())
}

fn join(name: &str) -> Operation {
    domain::Join { room: room(name), create_if_missing: true }.into()
}

fn send(name: &str, key: &str) -> Operation {
    let body = MessageBody::new("你好", 8192).unwrap();
    domain::Send { room: room(name), key: Some(ClientMessageId::new(key).unwrap()), body }.into()
}

/// A send whose room and sender are cached after the first one.
fn send_by_id(key: &str) -> Operation {
    let body = MessageBody::new("你好", 8192).unwrap();
    domain::Send { room: RoomRef::Id(LOBBY), key: Some(ClientMessageId::new(key).unwrap()), body }.into()
}

fn commit(writer: &mut dyn Writer, requests: impl IntoIterator<Item = (Actor, Operation)>) -> Batch {
    let numbered = requests.into_iter().zip(0..);
    let requests =
        numbered.map(|((actor, operation), n)| Request { request_id: RequestId(n), actor, operation });
    writer.commit(Timestamp(1_000), requests.collect())
}

fn all_done(batch: &Batch) {
    assert_eq!(batch.internal, Vec::<String>::new());
    assert!(batch.replies.iter().all(|(_, answer)| answer.is_ok()), "{:?}", batch.replies);
}

fn code(batch: &Batch, at: usize) -> Option<ErrorCode> {
    batch.replies[at].1.as_ref().err().map(|error| error.code)
}

#[test]
fn batch_costs_two_round_trips() {
    let Some(server) = Server::shared() else { return };
    let name = server.create_database_named();
    let proxy = CountingProxy::start(server.port());
    let store = open(&format!("postgres://teahouse@127.0.0.1:{}/{name}", proxy.port).parse().unwrap());
    let mut writer = store.writer().unwrap();
    all_done(&commit(&mut *writer, (1..=100).map(|n| (actor(n), join("lobby")))));
    all_done(&commit(
        &mut *writer,
        (1..=100).map(|n| (actor(n), join(["tea", "coffee"][usize::from(n % 2)]))),
    ));
    proxy.take_turns();
    for batch in 0..3 {
        let rooms = |n| ["lobby", ["tea", "coffee"][usize::from(n % 2)]][usize::from(n / 2 % 2)];
        let sends = (1..=100).map(|n| (actor(n), send(rooms(n), &format!("{batch}-{n}"))));
        let committed = commit(&mut *writer, sends);
        all_done(&committed);
        assert_eq!(committed.events.len(), 100);
        assert_eq!(proxy.take_turns(), 2, "batch {batch}");
    }
    all_done(&commit(&mut *writer, [(actor(1), send("lobby", "alone"))]));
    assert_eq!(proxy.take_turns(), 2);
    // The same again changes nothing, so nothing is written.
    let repeated = commit(&mut *writer, [(actor(1), send("lobby", "alone"))]);
    assert!(matches!(
        repeated.replies[0].1,
        Ok(OperationResult::Send(domain::SentMessage { repeated: true, .. }))
    ));
    assert_eq!(proxy.take_turns(), 1);
    let topic = protocol::SetTopic { room: room("lobby"), topic: Topic::new("tea").unwrap() };
    all_done(&commit(&mut *writer, [(actor(1), send("lobby", "b")), (actor(1), topic.into())]));
    assert_eq!(proxy.take_turns(), 3, "several statements are one transaction");
    all_done(&commit(&mut *writer, (101..=200).map(|n| (actor(n), join("lobby")))));
    assert!(proxy.take_turns() <= 3, "users who join are looked up and stored together");
}

#[test]
fn writer_retakes_the_lock_after_a_restart() {
    let Some(server) = Server::start_or_skip() else { return };
    let url = server.create_database();
    let store = open(&url);
    let mut writer = store.writer().unwrap();
    all_done(&commit(&mut *writer, [(actor(1), join("lobby"))]));
    for restart in 0..3 {
        server.restart_immediately().unwrap();
        all_done(&commit(&mut *writer, [(actor(1), send("lobby", &format!("{restart}")))]));
        let second = PostgresStore::open(&url, RoomLimits::default());
        assert!(matches!(second, Err(OpenError::Locked { .. })));
    }
    assert_eq!(store.reader().unwrap().heads(&[LOBBY]).unwrap()[0].unwrap().seq, Seq(4));
}

#[test]
fn stopped_postgresql_is_unavailable_in_two_seconds() {
    let Some(server) = Server::start_or_skip() else { return };
    let store = open(&server.create_database());
    let mut writer = store.writer().unwrap();
    all_done(&commit(&mut *writer, [(actor(1), join("lobby"))]));
    server.stop_immediately().unwrap();
    let started = Instant::now();
    let batch = commit(&mut *writer, [(actor(1), send("lobby", "a")), (actor(1), send("lobby", "b"))]);
    assert_eq!([code(&batch, 0), code(&batch, 1)], [Some(ErrorCode::Unavailable); 2]);
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    assert!(writer.probe(Timestamp(0)).is_err());
    assert!(writer.failure().is_none(), "the process has no reason to end");
    server.start_again().unwrap();
    all_done(&commit(&mut *writer, [(actor(1), send("lobby", "a"))]));
    writer.probe(Timestamp(0)).unwrap();
    assert_eq!(store.reader().unwrap().heads(&[LOBBY]).unwrap()[0].unwrap().seq, Seq(2));
}

#[test]
fn ended_session_is_replaced_and_nothing_is_stored_twice() {
    let Some(server) = Server::shared() else { return };
    let name = server.create_database_named();
    let store = open(&server.url(&name));
    let mut writer = store.writer().unwrap();
    all_done(&commit(&mut *writer, [(actor(1), join("lobby"))]));
    for n in 0..5 {
        server.psql(&name, END_SESSIONS).unwrap();
        let mut message = send_by_id(&n.to_string());
        if let Operation::Send(message) = &mut message {
            // Without a key, all facts are cached.
            message.key.take_if(|_| n % 2 == 1);
        }
        all_done(&commit(&mut *writer, [(actor(1), message)]));
    }
    let bounds = PageBounds { limit: 100, max_bytes: usize::MAX };
    let events = store.reader().unwrap().events_after(LOBBY, Seq(0), None, bounds).unwrap().events;
    assert_eq!(events.iter().map(|event| event.seq.0).collect::<Vec<_>>(), (1..=6).collect::<Vec<_>>());
}

#[test]
fn writer_does_not_write_without_the_lock() {
    let Some(server) = Server::shared() else { return };
    let name = server.create_database_named();
    let store = open(&server.url(&name));
    let mut writer = store.writer().unwrap();
    all_done(&commit(&mut *writer, [(actor(1), join("lobby"))]));
    // Another process waits for the lock, and gets it when our session ends.
    let url = server.url(&name);
    let other = std::thread::spawn(move || {
        let session = Session::open(&url, Role::Writer, "another process").unwrap();
        session.execute("SET lock_timeout = 0; SELECT pg_advisory_lock(6081373973008184165)").unwrap();
        session
    });
    let waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted \
                   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    while server.psql(&name, waiting).unwrap() != "1\n" {
        std::thread::sleep(Duration::from_millis(5));
    }
    server.psql(&name, END_SESSIONS).unwrap();
    let session = other.join().unwrap();
    let batch = commit(&mut *writer, [(actor(1), send("lobby", "a"))]);
    assert_eq!(code(&batch, 0), Some(ErrorCode::Unavailable));
    drop(session);
    all_done(&commit(&mut *writer, [(actor(1), send("lobby", "a"))]));
}

#[test]
fn failed_constraint_fails_its_own_request_only() {
    let Some(server) = Server::shared() else { return };
    let name = server.create_database_named();
    let store = open(&server.url(&name));
    let mut writer = store.writer().unwrap();
    all_done(&commit(&mut *writer, [(actor(1), join("lobby")), (actor(1), join("tea"))]));
    let foreign = "INSERT INTO room_event (room, seq, n, at, kind, sender, sender_name) VALUES (1, 2, 1, 0, 'message', 1, 'x')";
    server.psql(&name, foreign).unwrap();
    let sends = [("tea", "a"), ("lobby", "b"), ("tea", "c")];
    let batch = commit(&mut *writer, sends.map(|(room, key)| (actor(1), send(room, key))));
    assert_eq!(batch.replies.len(), 3);
    assert_eq!([code(&batch, 0), code(&batch, 1), code(&batch, 2)], [None, Some(ErrorCode::Internal), None]);
    assert!(batch.internal.iter().any(|line| line.contains("PostgreSQL 23505")), "{:?}", batch.internal);
    assert_eq!(batch.events.iter().map(|event| event.seq.0).collect::<Vec<_>>(), [2, 3]);
}

#[test]
fn foreign_event_is_noticed_after_one_failure() {
    let Some(server) = Server::shared() else { return };
    let name = server.create_database_named();
    let store = open(&server.url(&name));
    let mut writer = store.writer().unwrap();
    all_done(&commit(&mut *writer, [(actor(1), join("lobby"))]));
    all_done(&commit(&mut *writer, [(actor(1), send_by_id("a"))]));
    let foreign = "INSERT INTO room_event (room, seq, n, at, kind, sender, sender_name) VALUES (1, 3, 2, 0, 'message', 1, 'x'); \
                   UPDATE room SET head_seq = 3, head_n = 2 WHERE id = 1";
    server.psql(&name, foreign).unwrap();
    let batch = commit(&mut *writer, [(actor(1), send_by_id("b"))]);
    assert_eq!(code(&batch, 0), Some(ErrorCode::Internal), "the cached head is behind");
    let batch = commit(&mut *writer, [(actor(1), send_by_id("b"))]);
    assert_eq!(batch.events[0].seq, Seq(4));
}

#[test]
fn failed_statement_undoes_the_others_of_its_batch() {
    let Some(server) = Server::shared() else { return };
    let name = server.create_database_named();
    let store = open(&server.url(&name));
    let mut writer = store.writer().unwrap();
    all_done(&commit(&mut *writer, [(actor(1), join("lobby"))]));
    let foreign = "INSERT INTO room_event (room, seq, n, at, kind, sender, sender_name) VALUES (1, 2, 1, 0, 'message', 1, 'x')";
    server.psql(&name, foreign).unwrap();
    for key in [Some("a"), None] {
        let topic = protocol::SetTopic { room: room("lobby"), topic: Topic::new("tea").unwrap() };
        let requests = key.map(|key| send("lobby", key)).into_iter().chain([topic.into()]);
        let batch = commit(&mut *writer, requests.map(|operation| (actor(1), operation)));
        assert!(batch.replies.iter().all(|(_, answer)| answer.is_err()), "{:?}", batch.replies);
        let attributes = server.psql(&name, "SELECT attributes FROM room WHERE id = 1").unwrap();
        assert_eq!(attributes, "{}\n", "written before the event");
    }
}

#[test]
fn changes_of_another_process_are_seen_with_a_new_session() {
    let Some(server) = Server::shared() else { return };
    let name = server.create_database_named();
    let store = open(&server.url(&name));
    let mut writer = store.writer().unwrap();
    all_done(&commit(&mut *writer, [(actor(1), join("lobby")), (actor(1), send("lobby", "a"))]));
    all_done(&commit(&mut *writer, [(actor(1), send_by_id("b"))]));
    server.psql(&name, END_SESSIONS).unwrap();
    {
        let other = open(&server.url(&name));
        let rename = protocol::Rename { name: UserName::new("Anna").unwrap() };
        all_done(&commit(
            &mut *other.writer().unwrap(),
            [(actor(1), rename.into()), (actor(1), send_by_id("c"))],
        ));
    }
    let batch = commit(&mut *writer, [(actor(1), send_by_id("d"))]);
    all_done(&batch);
    assert_eq!((batch.events[0].seq, batch.events[0].by.name.as_str()), (Seq(6), "Anna"));
}
