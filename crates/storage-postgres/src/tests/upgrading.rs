//! Databases as released programs wrote them, opened by this one. `frozen/README.md` describes how to add one.

use std::collections::BTreeSet;
use std::fs;

use domain::{Effect, EndSession, RoomLimits, SentMessage};
use protocol::{Event, EventKind, MessageCount, RoomId, Seq, Timestamp, User, UserId};
use storage::conformance::{
    Fixture, guest, join, key, leave, named, read, rename, send, token, transient_guest, user, user_name,
};
use storage::{LOBBY, OperationResult, attributes_from_json, attributes_to_json};

use super::frozen::Frozen;
use super::schema::schema;
use crate::PostgresStore;
use crate::migrate::MIGRATIONS;
use crate::testing::Server;

const TEA: RoomId = RoomId(2);
/// The schema of the first release with PostgreSQL.
const FIRST: usize = 3;
const LIMITS: RoomLimits = RoomLimits { rooms_per_user: 10 };

fn open(server: &Server, database: &str) -> Fixture {
    Fixture::new(Box::new(PostgresStore::open(&server.url(database), LIMITS).unwrap()))
}

/// Something of everything that a store holds, in two languages.
fn write_demo(fixture: &mut Fixture) {
    fixture.writer.reserve_user_ids(100).unwrap();
    let batches = [
        vec![(guest(1), join("lobby")), (guest(2), join("lobby")), (guest(3), join("lobby"))],
        vec![
            (guest(1), send("lobby", Some("k1"), "你好，茶馆 👩‍🚀")),
            (guest(1), read("lobby", u64::MAX >> 1)),
        ],
        vec![(guest(2), send("lobby", None, "two\nlines"))],
        vec![(guest(1), join("茶馆")), (guest(2), join("茶馆"))],
        vec![(guest(1), send("茶馆", Some("k2"), "it's \"tea\"")), (guest(2), send("茶馆", None, "me too"))],
        vec![(guest(2), rename("韩梅梅")), (guest(3), leave("lobby"))],
        vec![(guest(2), read("茶馆", u64::MAX >> 1))],
        vec![(guest(3), join("gone"))],
        vec![(guest(3), leave("gone"))],
        vec![(transient_guest(4), join("lobby"))],
        vec![(guest(5), join("lobby")), (guest(5), EndSession { token: token(5) }.into())],
    ];
    for (at, batch) in (1..).zip(batches) {
        fixture.now = Timestamp(at * 1_000);
        let batch = fixture.all(batch);
        assert!(batch.replies.iter().all(|(_, answer)| answer.is_ok()), "{:?}", batch.replies);
    }
    let at = Timestamp(20_000);
    fixture.writer.commit_effects(at, attribute_effects(at)).unwrap();
}

/// The last event of the demo data, which changes an attribute of a room.
fn attribute_effects(at: Timestamp) -> Vec<Effect> {
    let kind = serde_json::from_str(r#"{"type":"topic_changed","topic":"今天喝龙井"}"#).unwrap();
    let by = User { name: user_name("韩梅梅"), ..user(2) };
    let event = Event { kind, room: TEA, seq: Seq(5), n: MessageCount(2), by, at };
    let attributes = attributes_from_json(r#"{"topic":"今天喝龙井"}"#).unwrap();
    vec![Effect::AppendEvent(event), Effect::SetRoomAttributes { room: TEA, attributes }]
}

const LOBBY_EVENTS: [&str; 8] = [
    "+u1 +u2 +u3",
    "u1: 你好，茶馆 👩‍🚀",
    "u2: two\nlines",
    "u2 guest 2 -> 韩梅梅",
    "-u3",
    "+u4",
    "+u5",
    "-u5",
];
const TEA_EVENTS: [&str; 5] = [
    "+u1 +u2",
    "u1: it's \"tea\"",
    "u2: me too",
    "u2 guest 2 -> 韩梅梅",
    r#"u2 {"type":"topic_changed","topic":"今天喝龙井"}"#,
];

#[test]
fn every_schema_since_the_first_release_is_frozen() {
    let versions: Vec<usize> = Frozen::all().iter().map(|frozen| frozen.version).collect();
    assert_eq!(
        versions,
        (FIRST..=MIGRATIONS.len()).collect::<Vec<_>>(),
        "frozen/README.md describes how to add one"
    );
}

#[test]
fn upgraded_schema_is_that_of_a_new_database() {
    let Some(server) = Server::shared() else { return };
    let fresh = server.create_database_named();
    drop(open(server, &fresh));
    for frozen in Frozen::all() {
        let database = frozen.load(server);
        drop(open(server, &database));
        assert_eq!(schema(server, &database), schema(server, &fresh), "schema {}", frozen.version);
    }
}

#[test]
fn upgraded_database_keeps_its_contents() {
    let Some(server) = Server::shared() else { return };
    for frozen in Frozen::all() {
        let mut fixture = open(server, &frozen.load(server));
        assert_eq!(
            fixture.store.epoch().0,
            frozen.epoch(),
            "another epoch would invalidate every client's cache"
        );
        assert_eq!(fixture.kinds(LOBBY), LOBBY_EVENTS);
        assert_eq!(fixture.kinds(TEA), TEA_EVENTS);
        let reader = &mut fixture.reader;
        let room = reader.room(&named("茶馆")).unwrap().unwrap();
        let attributes = attributes_to_json(&room.info.attributes).unwrap();
        assert_eq!((room.info.room, room.info.name.as_str()), (TEA, "茶馆"));
        assert_eq!(attributes, r#"{"topic":"今天喝龙井"}"#);
        assert_eq!((room.head.seq, room.head.n.0), (Seq(TEA_EVENTS.len() as u64), 2));
        assert_eq!(reader.room(&named("gone")).unwrap(), None);
        let mut members = |room| -> BTreeSet<u64> {
            (1..=6).filter(|&user| reader.is_member(room, UserId(user)).unwrap()).collect()
        };
        assert_eq!((members(LOBBY), members(TEA)), (BTreeSet::from([1, 2, 4]), BTreeSet::from([1, 2])));
        let users =
            (1..=5).map(|n| reader.user_of_session(&token(n)).unwrap().map(|user| user.name.to_string()));
        let users: Vec<_> = users.collect();
        assert_eq!(
            users,
            [Some("guest 1"), Some("韩梅梅"), Some("guest 3"), None, None].map(|it| it.map(str::to_owned))
        );
        let position = reader.read_position(LOBBY, UserId(1)).unwrap().unwrap();
        assert_eq!((position.seq, position.n.0), (Seq(2), 1));
        assert_eq!(reader.read_position(LOBBY, UserId(2)).unwrap(), None);
    }
}

#[test]
fn upgraded_database_continues_its_numbers() {
    let Some(server) = Server::shared() else { return };
    for frozen in Frozen::all() {
        let mut fixture = open(server, &frozen.load(server));
        fixture.now = Timestamp(99_000);
        assert_eq!(fixture.writer.reserve_user_ids(10).unwrap(), 101..111);
        let repeated = fixture.done(1, send("lobby", Some("k1"), "你好，茶馆 👩‍🚀"));
        let sent = SentMessage { room: LOBBY, seq: Seq(2), repeated: true };
        assert_eq!(repeated, OperationResult::Send(sent));
        assert_eq!(fixture.send(1, "lobby", "and on"), Seq(LOBBY_EVENTS.len() as u64 + 1));
        assert_eq!(fixture.join(1, "new"), RoomId(4), "room 3 was deleted, and its id is not used again");
        let EventKind::Message { client_message_id, .. } = &fixture.events(LOBBY)[1].kind else {
            panic!("event 2 is a message");
        };
        assert_eq!(client_message_id.as_ref(), Some(&key("k1")));
    }
}

/// Not a test: writes the file for the schema of this program.
#[test]
#[ignore = "writes into src/tests/frozen; run by hand when a schema is released"]
fn freeze() {
    let server = Server::shared().unwrap();
    let database = server.create_database_named();
    write_demo(&mut open(server, &database));
    let frozen = Frozen { version: MIGRATIONS.len() };
    assert!(!frozen.file().exists(), "schema {} is frozen already", frozen.version);
    fs::write(frozen.file(), server.dump(&database).unwrap()).unwrap();
}
