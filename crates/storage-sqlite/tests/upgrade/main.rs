//! Databases that released programs wrote, opened by this one: their content is complete, and their numbers continue.
//! `frozen/README.md` describes how to add one.

mod demo;
mod frozen;

use std::collections::BTreeSet;
use std::fs;

use demo::*;
use frozen::{Frozen, dump, schema};
use protocol::{ErrorCode, RoomId, Seq, Timestamp, UserId};
use rusqlite::Connection;
use storage::{OperationResult, Reader, RoomQuery, Store, StoredRoom, attributes_to_json};
use teahouse_storage_sqlite::SqliteStore;

/// The demo data as the logs show it. Schema 1 has no shared joins, and no topic is older than schema 3.
fn history(schema: i64) -> [Vec<&'static str>; 2] {
    let together = ["u1 李雷 joined with u2 Han Meimei, u3 Bob"];
    let one_by_one = ["u1 李雷 joined", "u2 Han Meimei joined", "u3 Bob joined"];
    let lobby = [
        "u1 李雷 [k1]: 你好，茶馆 👩‍🚀",
        "u2 Han Meimei: Hello, everybody\nand a second line",
        "u2 韩梅梅 was Han Meimei",
        "u3 Bob left",
        "u4 Passer-by joined",
        "u4 Passer-by: 路过而已",
        "u5 Ann joined",
    ];
    let tea = ["u1 李雷 [k2]: 今天喝龙井", "u2 Han Meimei: me too", "u2 韩梅梅 was Han Meimei"];
    let joined = if schema == 1 { &one_by_one[..] } else { &together[..] };
    let joined_tea: &[&str] = match schema {
        1 => &["u1 李雷 joined", "u2 Han Meimei joined"],
        _ => &["u1 李雷 joined with u2 Han Meimei"],
    };
    let topic: &[&str] = if schema < 3 {
        &[]
    } else {
        &[r#"u2 韩梅梅 {"type":"topic_changed","topic":"今天喝龙井"}"#]
    };
    // Since schema 3, a user whose last session ends leaves all rooms.
    let left: &[&str] = if schema < 3 { &[] } else { &["u5 Ann left"] };
    [[joined, &lobby, left].concat(), [joined_tea, &tea, topic].concat()]
}

#[test]
fn every_schema_that_was_released_is_frozen() {
    let fresh = tempfile::tempdir().unwrap();
    drop(SqliteStore::open(fresh.path(), LIMITS).unwrap());
    let conn = Connection::open(fresh.path().join("teahouse.db")).unwrap();
    let known: i64 = conn.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    let versions: Vec<i64> = Frozen::all().iter().map(|frozen| frozen.version).collect();
    assert_eq!(versions, (1..=known).collect::<Vec<_>>(), "frozen/README.md describes how to add one");
}

#[test]
fn frozen_file_equals_its_text() {
    for frozen in Frozen::all() {
        let copy = frozen.copy();
        let conn = Connection::open(copy.path().join("teahouse.db")).unwrap();
        let text = fs::read_to_string(frozen.text()).unwrap();
        assert!(dump(&conn) == text, "schema {} differs from its text", frozen.version);
        assert!(text.contains(&format!("PRAGMA user_version = {};", frozen.version)));
    }
}

/// A released migration must not be edited: databases that have run it would have another schema than those that run it now.
#[test]
fn upgraded_store_has_the_schema_of_a_new_one() {
    let fresh = tempfile::tempdir().unwrap();
    drop(SqliteStore::open(fresh.path(), LIMITS).unwrap());
    let expected = schema(&Connection::open(fresh.path().join("teahouse.db")).unwrap());
    for frozen in Frozen::all() {
        let copy = frozen.copy();
        drop(SqliteStore::open(copy.path(), LIMITS).unwrap());
        let conn = Connection::open(copy.path().join("teahouse.db")).unwrap();
        assert_eq!(schema(&conn), expected, "schema {}", frozen.version);
        let whole: String = conn.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(whole, "ok");
        let dangling = conn.prepare("PRAGMA foreign_key_check").unwrap().exists([]).unwrap();
        assert!(!dangling, "schema {}", frozen.version);
    }
}

#[test]
fn frozen_store_keeps_its_contents() {
    for frozen in Frozen::all() {
        let copy = frozen.copy();
        let epoch = frozen.epoch();
        let store = SqliteStore::open(copy.path(), LIMITS).unwrap();
        assert_eq!(store.epoch().0, epoch, "another epoch would throw every client's cache away");
        check_demo(&mut *store.reader().unwrap(), frozen.version);
    }
}

fn check_demo(reader: &mut dyn Reader, version: i64) {
    let [lobby, tea] = history(version);
    assert_eq!(event_lines(reader, LOBBY), lobby);
    assert_eq!(event_lines(reader, TEA), tea);
    assert_eq!(reader.room(&named("lobby")).unwrap().unwrap().info.room, LOBBY);
    let StoredRoom { info: room, head } = reader.room(&named("茶馆")).unwrap().unwrap();
    assert_eq!((room.room, room.name.as_str(), head.n.0), (TEA, "茶馆", 2));
    assert_eq!(head.seq, Seq(tea.len() as u64));
    let attributes = if version < 3 { "{}" } else { r#"{"topic":"今天喝龙井"}"# };
    assert_eq!(attributes_to_json(&room.attributes).unwrap(), attributes);
    assert_eq!(reader.room(&named("gone")).unwrap(), None);
    let heads = reader.heads(&[LOBBY, TEA, RoomId(3)]).unwrap();
    let heads: Vec<_> = heads.iter().map(|head| head.map(|head| (head.seq.0, head.n.0))).collect();
    assert_eq!(heads, [Some((lobby.len() as u64, 3)), Some((tea.len() as u64, 2)), None]);

    let members = |reader: &mut dyn Reader, room| -> BTreeSet<u64> {
        (1..=6).filter(|&user| reader.is_member(room, UserId(user)).unwrap()).collect()
    };
    let ann = (version < 3).then_some(5);
    assert_eq!(members(reader, LOBBY), [1, 2, 4].into_iter().chain(ann).collect());
    assert_eq!(members(reader, TEA), BTreeSet::from([1, 2]));

    let name = |reader: &mut dyn Reader, n| {
        reader.user_of_session(&token(n)).unwrap().map(|user| (user.id.0, user.name.to_string()))
    };
    assert_eq!(name(reader, 1), Some((1, "李雷".to_owned())));
    assert_eq!(name(reader, 2), Some((2, "韩梅梅".to_owned())));
    assert_eq!(name(reader, 3), Some((3, "Bob".to_owned())));
    assert_eq!((name(reader, 4), name(reader, 5)), (None, None), "no session, and one that was ended");

    // The unread messages of a room are its messages minus those up to the read position: 3 - 1, and 2 - 2.
    let unread = |reader: &mut dyn Reader, user, room| {
        let open = reader.open_rooms(UserId(user), &[room]).unwrap().remove(0).unwrap();
        open.read.map(|read| open.room.head.n.0 - read.n.0)
    };
    assert_eq!(unread(reader, 1, LOBBY), Some(2));
    assert_eq!(unread(reader, 2, TEA), Some(0));
    assert_eq!(unread(reader, 2, LOBBY), None);
    let query = RoomQuery { user: UserId(1), joined: true, after: None, limit: 10 };
    let rooms: Vec<_> =
        reader.rooms(query).unwrap().rooms.into_iter().map(|room| room.info.name.to_string()).collect();
    assert_eq!(rooms, ["lobby", "茶馆"]);
}

#[test]
fn frozen_store_continues_its_numbers() {
    for frozen in Frozen::all() {
        let copy = frozen.copy();
        let [lobby, tea] = history(frozen.version);
        {
            let store = SqliteStore::open(copy.path(), LIMITS).unwrap();
            let mut writer = store.writer().unwrap();
            assert_eq!(writer.reserve_user_ids(10).unwrap(), 101..111);
            // The user without a session leaves, as after every start.
            let swept = writer.cleanup_transient_users(Timestamp(9_000)).unwrap();
            assert_eq!(
                swept.events.iter().map(|event| line(event)).collect::<Vec<_>>(),
                ["u4 Passer-by left"]
            );

            let batch = commit(
                &mut *writer,
                9_001,
                [
                    (guest(1, "李雷"), send("lobby", Some("k1"), "你好，茶馆 👩‍🚀")),
                    (guest(1, "李雷"), send("lobby", Some("k1"), "something else")),
                    (guest(2, "韩梅梅"), send("lobby", Some("k1"), "k1 of another person is another key")),
                    (guest(3, "Bob"), send("lobby", None, "he has left")),
                    (guest(101, "Zoë"), join("lobby")),
                    (guest(102, "王芳"), join("lobby")),
                    (guest(1, "李雷"), join("new")),
                    (guest(1, "李雷"), read("lobby", 1)),
                ],
            );
            let replies: Vec<_> =
                batch.replies.into_iter().map(|(_, answer)| answer.map_err(|no| no.code)).collect();
            // After `u4 Passer-by left`.
            let next = lobby.len() as u64 + 2;
            let k1 = Seq(if frozen.version == 1 { 4 } else { 2 });
            assert_eq!(
                replies[0],
                Ok(OperationResult::Send(domain::SentMessage { room: LOBBY, seq: k1, repeated: true }))
            );
            assert_eq!(replies[1], Err(ErrorCode::KeyConflict));
            assert_eq!(
                replies[2],
                Ok(OperationResult::Send(domain::SentMessage {
                    room: LOBBY,
                    seq: Seq(next),
                    repeated: false
                }))
            );
            assert_eq!(replies[3], Err(ErrorCode::NotAMember));
            let joined = |at: usize| match &replies[at] {
                Ok(OperationResult::Join(joined)) => (joined.info.room, joined.head),
                other => panic!("{other:?}"),
            };
            assert_eq!([joined(4), joined(5)], [(LOBBY, Seq(next + 1)); 2]);
            assert_eq!(joined(6).0, RoomId(4), "room 3 was, and its id is not given again");
            assert!(
                matches!(&replies[7], Ok(OperationResult::Read(at)) if at.n.0 == 1),
                "a position does not go back"
            );
        }
        // Again, from disk.
        let store = SqliteStore::open(copy.path(), LIMITS).unwrap();
        let mut reader = store.reader().unwrap();
        let more = [
            "u4 Passer-by left",
            "u2 韩梅梅 [k1]: k1 of another person is another key",
            "u101 Zoë joined with u102 王芳",
        ];
        assert_eq!(event_lines(&mut *reader, LOBBY), [&lobby[..], &more].concat());
        assert_eq!(event_lines(&mut *reader, TEA), tea);
        assert_eq!(reader.user_of_session(&token(101)).unwrap().unwrap().id, UserId(101));
    }
}

/// An old program that was killed left its last messages in the write-ahead log; the upgrade keeps them.
#[test]
fn log_of_a_killed_server_survives_an_upgrade() {
    for frozen in Frozen::all() {
        let (running, left) = (frozen.copy(), tempfile::tempdir().unwrap());
        let old = Connection::open(running.path().join("teahouse.db")).unwrap();
        let seq = history(frozen.version)[1].len() as u64 + 1;
        old.execute_batch(&format!(
            "PRAGMA journal_mode = wal;
             INSERT INTO room_event (room, seq, n, kind, sender, sender_name, at, client_message_id, body)
             VALUES (2, {seq}, 3, 'message', 1, '李雷', 7000, 'last', '最后一句');"
        ))
        .unwrap();
        for name in ["teahouse.db", "teahouse.db-wal"] {
            fs::copy(running.path().join(name), left.path().join(name)).unwrap();
        }
        drop(old);
        let store = SqliteStore::open(left.path(), LIMITS).unwrap();
        let lines = event_lines(&mut *store.reader().unwrap(), TEA);
        assert_eq!(lines.last().unwrap(), "u1 李雷 [last]: 最后一句");
    }
}

/// Not a test: creates the files for the schema of the current program.
#[test]
#[ignore = "writes into tests/frozen; run by hand when a schema is released"]
fn freeze() {
    let folder = tempfile::tempdir().unwrap();
    build_demo(folder.path());
    let database = folder.path().join("teahouse.db");
    let conn = Connection::open(&database).unwrap();
    let version: i64 = conn.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    let text = dump(&conn);
    drop(conn);
    let frozen = Frozen { version };
    assert!(!frozen.file().exists(), "schema {version} is frozen already");
    fs::write(frozen.text(), text).unwrap();
    fs::copy(&database, frozen.file()).unwrap();
}

#[test]
fn frozen_file_is_small_enough_to_review() {
    let bytes: u64 =
        Frozen::all().iter().map(|frozen| fs::metadata(frozen.file()).unwrap().len()).max().unwrap();
    assert!(bytes <= 100 << 10, "{bytes} bytes; the demo data is enough");
}
