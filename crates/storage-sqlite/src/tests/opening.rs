//! Opening a folder: what is rejected, and that the content stays.

use std::path::Path;
use std::thread;
use std::time::Duration;

use protocol::{EventKind, RoomId, Seq};
use rusqlite::Connection;
use storage::conformance::*;
use storage::{OperationResult, Reader, Store, Writer};

use super::{LIMITS, commit, open};
use crate::checkpoints::Bounds;
use crate::{OpenError, SqliteStore, SqliteWriter};

fn rejected(dir: &Path) -> OpenError {
    SqliteStore::open(dir, LIMITS).err().expect("it must not open")
}

/// Checks that the error is one line that names the file.
fn assert_clear(error: &OpenError, place: &Path) {
    let text = error.to_string();
    assert!(text.contains(&place.display().to_string()), "{text}");
    assert!(!text.contains('\n'), "{text}");
}

#[test]
fn everything_survives_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("made/by/open");
    let store = open(&dir);
    let mut writer = store.writer().unwrap();
    let send = || (guest(1), send("tea", Some("k1"), "你好"));
    commit(&mut *writer, [(guest(1), join("tea")), send(), (guest(1), read("tea", 2))]);
    commit(&mut *writer, [(guest(2), join("gone")), (guest(2), leave("gone"))]);
    assert_eq!(writer.reserve_user_ids(5).unwrap(), 1..6);
    let epoch = store.epoch();
    drop((writer, store));

    let store = open(&dir);
    assert_eq!(store.epoch(), epoch);
    let (mut writer, mut reader) = (store.writer().unwrap(), store.reader().unwrap());
    assert_eq!(reader.user_of_session(&token(1)).unwrap(), Some(user(1)));
    assert_eq!(reader.read_position(RoomId(2), user(1).id).unwrap().unwrap().seq, Seq(2));
    assert_eq!(writer.reserve_user_ids(5).unwrap(), 6..11);
    let batch = commit(&mut *writer, [send(), (guest(2), join("new"))]);
    assert_eq!(
        batch.replies[0].1,
        Ok(OperationResult::Send(domain::SentMessage { room: RoomId(2), seq: Seq(2), repeated: true }))
    );
    // Room 3 was deleted, so its id is not used again.
    assert_eq!(batch.events[0].room, RoomId(4));
}

/// A store of version 1: its content stays, and new features work with it.
#[test]
fn store_of_version_1_is_opened_complete() {
    let folder = tempfile::tempdir().unwrap();
    let old = Connection::open(folder.path().join("teahouse.db")).unwrap();
    old.execute_batch(include_str!("../../migrations/0001_rooms.sql")).unwrap();
    old.execute_batch(
        "INSERT INTO meta (key, value) VALUES ('epoch', 'e1');
         INSERT INTO person (id, name, transient, created_at) VALUES (1, 'guest 1', 0, 5);
         INSERT INTO room_event VALUES (1, 1, 0, 'member_joined', 1, 'guest 1', 5, NULL, NULL, NULL);
         INSERT INTO room_event VALUES (1, 2, 1, 'message', 1, 'guest 1', 6, 'k1', '你好', NULL);
         INSERT INTO membership (room, user, since_seq) VALUES (1, 1, 1);
         PRAGMA user_version = 1;",
    )
    .unwrap();
    drop(old);

    let store = open(folder.path());
    assert_eq!(store.epoch().0, "e1");
    let (mut writer, mut reader) = (store.writer().unwrap(), store.reader().unwrap());
    let before = reader.events_after(storage::LOBBY, Seq(0), None, ALL).unwrap().events;
    assert_eq!((before.len(), &before[0].by), (2, &user(1)));
    assert_eq!(before[0].kind, EventKind::MemberJoined { also_joined: Vec::new() });
    let batch = commit(&mut *writer, [(guest(2), join("lobby")), (guest(3), join("lobby"))]);
    let after = reader.events_after(storage::LOBBY, Seq(2), None, ALL).unwrap().events;
    assert_eq!((after.len(), &after[0]), (1, &*batch.events[0]));
    assert_eq!(after[0].kind, EventKind::MemberJoined { also_joined: vec![user(3)] });
}

#[test]
fn two_stores_have_two_epochs() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    assert_ne!(open(one.path()).epoch(), open(two.path()).epoch());
}

#[test]
fn folder_in_use_is_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let error = rejected(folder.path());
    assert!(matches!(error, OpenError::Locked { .. }), "{error}");
    assert_clear(&error, folder.path());
    // The lock lasts as long as any reader.
    let reader = store.sqlite_reader().unwrap();
    drop(store);
    assert!(matches!(rejected(folder.path()), OpenError::Locked { .. }));
    drop(reader);
    open(folder.path());
}

#[test]
fn folder_being_released_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let before = open(folder.path());
    // Long enough that the first attempt finds the folder locked.
    let leaves = thread::spawn(move || {
        thread::sleep(Duration::from_millis(100));
        drop(before);
    });
    open(folder.path());
    leaves.join().unwrap();
}

#[test]
fn folder_that_cannot_be_created_is_rejected() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "not a folder").unwrap();
    for dir in [file.clone(), file.join("below")] {
        let error = rejected(&dir);
        assert!(matches!(error, OpenError::Folder { .. }), "{error}");
        assert_clear(&error, &dir);
    }
}

#[cfg(unix)]
#[test]
fn folder_that_cannot_be_written_is_rejected() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("data");
    std::fs::create_dir(&dir).unwrap();
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o500)).unwrap();
    if std::fs::write(dir.join("probe"), "").is_ok() {
        eprintln!("not shown: this user may write everywhere");
        return;
    }
    let error = rejected(&dir);
    assert!(matches!(error, OpenError::Folder { .. }), "{error}");
    assert_clear(&error, &dir);
}

#[cfg(unix)]
#[test]
fn files_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("data");
    let store = open(&dir);
    let mut writer = store.writer().unwrap();
    writer.probe(protocol::Timestamp(0)).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&dir), 0o700);
    let mut names = Vec::new();
    for file in std::fs::read_dir(&dir).unwrap() {
        let file = file.unwrap();
        assert_eq!(mode(&file.path()), 0o600, "{file:?}");
        names.push(file.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names, ["teahouse.db", "teahouse.db-shm", "teahouse.db-wal", "teahouse.lock"]);
}

#[test]
fn newer_schema_is_rejected_and_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("teahouse.db");
    drop(open(folder.path()));
    let version = || {
        let conn = Connection::open(&database).unwrap();
        conn.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0)).unwrap()
    };
    let known = version();
    Connection::open(&database).unwrap().pragma_update(None, "user_version", known + 1).unwrap();
    let error = rejected(folder.path());
    assert!(matches!(error, OpenError::Newer { .. }), "{error}");
    assert_clear(&error, &database);
    assert_eq!(version(), known + 1);
}

#[test]
fn foreign_database_is_rejected_and_unchanged() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("teahouse.db");
    let conn = Connection::open(&database).unwrap();
    conn.execute_batch("CREATE TABLE recipe (name TEXT)").unwrap();
    drop(conn);
    let before = std::fs::read(&database).unwrap();
    let error = rejected(folder.path());
    assert!(matches!(error, OpenError::NotADatabase { .. }), "{error}");
    assert_clear(&error, &database);
    assert_eq!(std::fs::read(&database).unwrap(), before);
}

#[test]
fn damaged_database_is_rejected() {
    let damages: [fn(&mut Vec<u8>); 4] = [
        |bytes| bytes.fill(0x55),
        |bytes| bytes[..16].fill(0),
        |bytes| bytes.truncate(bytes.len() / 2),
        // Damages the page with the list of tables.
        |bytes| bytes[100..4096].fill(0xff),
    ];
    for (number, damage) in damages.into_iter().enumerate() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("teahouse.db");
        drop(open(folder.path()));
        let mut bytes = std::fs::read(&database).unwrap();
        damage(&mut bytes);
        std::fs::write(&database, bytes).unwrap();
        let error = rejected(folder.path());
        assert!(matches!(error, OpenError::NotADatabase { .. }), "{number}: {error}");
        assert_clear(&error, &database);
    }
}

#[test]
fn commits_are_synced() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let writer = store.sqlite_writer().unwrap();
    let setting = |name: &str| -> String {
        let read = |row: &rusqlite::Row<'_>| row.get::<_, rusqlite::types::Value>(0);
        match writer.backend().connection().query_row(&format!("PRAGMA {name}"), [], read).unwrap() {
            rusqlite::types::Value::Integer(number) => number.to_string(),
            rusqlite::types::Value::Text(text) => text,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(setting("journal_mode"), "wal");
    // 2 is FULL.
    assert_eq!(setting("synchronous"), "2");
    assert_eq!(setting("foreign_keys"), "1");
    assert_eq!(setting("secure_delete"), "1");
    // A lock that another program holds is an error within the promised second.
    assert_eq!(setting("busy_timeout"), "800");
    assert!(
        writer
            .backend()
            .connection()
            .db_config(rusqlite::config::DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG)
            .unwrap()
    );
}

#[test]
fn reader_cannot_write() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mut reader = store.sqlite_reader().unwrap();
    assert!(reader.connection().execute_batch("DELETE FROM room").is_err());
    assert!(reader.room(&named("lobby")).unwrap().is_some());
}

/// Commits 12 MiB and, after `settle`, a little more. Returns the number of pages in the log then.
fn pages_after(writer: &mut SqliteWriter, settle: impl Fn(&mut SqliteWriter)) -> i64 {
    let text = "x".repeat(8_000);
    commit(writer, [(guest(1), join("tea"))]);
    for _ in 0..40 {
        commit(writer, (0..40).map(|_| (guest(1), send("tea", None, &text))));
    }
    settle(writer);
    // A commit that finds all pages of the log in the database reuses its file.
    commit(writer, [(guest(1), send("tea", None, "short"))]);
    let sql = "PRAGMA wal_checkpoint(PASSIVE)";
    writer.backend().connection().query_row(sql, [], |row| row.get(1)).unwrap()
}

#[test]
fn wal_is_checkpointed_while_the_writer_commits() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = open(folder.path()).sqlite_writer().unwrap();
    writer.backend_mut().checkpoint_at(Bounds { soon: 100, at_once: i32::MAX });
    let settle = |writer: &mut SqliteWriter| {
        writer.backend_mut().checkpoint_at(Bounds { soon: i32::MAX, at_once: i32::MAX }).wait();
    };
    let pages = pages_after(&mut writer, settle);
    assert!(pages < 100, "{pages}");
}

#[test]
fn overlong_wal_is_checkpointed_by_the_commit() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = open(folder.path()).sqlite_writer().unwrap();
    writer.backend_mut().checkpoint_at(Bounds { soon: i32::MAX, at_once: 200 });
    let pages = pages_after(&mut writer, |_| {});
    assert!(pages < 400, "{pages}");
    // The file is reused each time, and was never longer than that.
    let log = std::fs::metadata(folder.path().join("teahouse.db-wal")).unwrap();
    assert!(log.len() < 3 << 20, "{}", log.len());
    writer.checkpoint().unwrap();
    assert_eq!(std::fs::metadata(folder.path().join("teahouse.db-wal")).unwrap().len(), 0);
}

/// The thread and the commit after it, without the bound that would hide a failure of both.
#[test]
fn wal_of_a_busy_writer_is_restarted() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = open(folder.path()).sqlite_writer().unwrap();
    commit(&mut writer, [(guest(1), join("tea"))]);
    writer.backend_mut().checkpoint_at(Bounds { soon: 100, at_once: i32::MAX });
    let text = "x".repeat(3_000);
    for _ in 0..1_500 {
        commit(&mut writer, (0..10).map(|_| (guest(1), send("tea", None, &text))));
    }
    // 15,000 pages were written in total.
    let log = std::fs::metadata(folder.path().join("teahouse.db-wal")).unwrap();
    assert!(log.len() < 10 << 20, "{} bytes", log.len());
}
