//! Interrupted migrations: the next start completes them, and nothing is lost.

use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use protocol::{Event, Seq};
use rusqlite::Connection;
use storage::conformance::*;
use storage::{OperationResult, Store};
use tempfile::TempDir;

use super::{commit, open};
use crate::migrate::{MIGRATIONS, run, run_of};
use crate::open::for_writing;

const FOLDER: &str = "TEAHOUSE_TEST_FOLDER";

/// The state that a start finds: no store, or a store of an older schema.
#[derive(Clone, Copy, Debug)]
enum Found {
    Nothing,
    SchemaOne,
}

impl Found {
    fn folder(self) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        let database = database(folder.path());
        match self {
            Found::Nothing => fs::write(database, "").unwrap(),
            Found::SchemaOne => fs::copy(frozen_schema_one(), database).map(drop).unwrap(),
        }
        folder
    }

    /// Checks that the folder opens, has its old content and the current schema, and is writable.
    fn check(self, folder: &Path) {
        let expected = match self {
            Found::Nothing => Vec::new(),
            Found::SchemaOne => events(self.folder().path()),
        };
        let store = open(folder);
        let (mut writer, mut reader) = (store.writer().unwrap(), store.reader().unwrap());
        let before = reader.events_after(storage::LOBBY, Seq(0), None, ALL).unwrap().events;
        assert_eq!(before, expected);
        let batch = commit(
            &mut *writer,
            [(guest(50), join("lobby")), (guest(50), send("lobby", None, "on it goes"))],
        );
        let seq = Seq(before.len() as u64 + 2);
        assert_eq!(
            batch.replies[1].1,
            Ok(OperationResult::Send(domain::SentMessage { room: storage::LOBBY, seq, repeated: false }))
        );
        drop((writer, reader, store));
        assert_eq!(schema(folder), schema(upgraded(self).path()));
    }
}

fn frozen_schema_one() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/frozen/schema-1.db")
}

fn database(folder: &Path) -> PathBuf {
    folder.join("teahouse.db")
}

/// The result of an upgrade without interruption.
fn upgraded(found: Found) -> TempDir {
    let folder = found.folder();
    drop(open(folder.path()));
    folder
}

fn events(folder: &Path) -> Vec<Event> {
    open(folder).reader().unwrap().events_after(storage::LOBBY, Seq(0), None, ALL).unwrap().events
}

/// The version, and all tables and indexes. Panics if the database is damaged.
fn schema(folder: &Path) -> (usize, Vec<String>) {
    let conn = Connection::open(database(folder)).unwrap();
    let whole: String = conn.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(whole, "ok");
    let version: u32 = conn.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    let mut all = conn.prepare("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name").unwrap();
    let all = all.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    (version as usize, all)
}

/// A copy of the files that a process leaves if it is killed now.
fn left_behind(folder: &Path) -> TempDir {
    let left = tempfile::tempdir().unwrap();
    for name in ["teahouse.db", "teahouse.db-wal"] {
        fs::copy(folder.join(name), left.path().join(name)).unwrap();
    }
    left
}

#[test]
fn migration_stopped_at_any_statement_is_completed() {
    for found in [Found::Nothing, Found::SchemaOne] {
        let folder = found.folder();
        let mut conn = for_writing(&database(folder.path())).unwrap();
        let mut left = Vec::new();
        run_of(MIGRATIONS, &mut conn, &mut || left.push(left_behind(folder.path()))).unwrap();
        drop(conn);
        // Each migration consists at least of its own statement, the version and the commit.
        assert!(left.len() >= if let Found::Nothing = found { 20 } else { 3 }, "{found:?}: {}", left.len());
        for left in &left {
            found.check(left.path());
        }
        found.check(folder.path());
    }
}

/// A statement that fails halfway has the same result as a kill: nothing of its migration is kept, and the earlier ones are.
#[test]
fn failed_migration_leaves_the_version_before_it() {
    let folder = Found::SchemaOne.folder();
    let mut conn = for_writing(&database(folder.path())).unwrap();
    let failing = [MIGRATIONS, &["CREATE TABLE half (a) STRICT; SELECT no_such_function();"]].concat();
    assert!(run_of(&failing, &mut conn, &mut || ()).is_err());
    drop(conn);
    assert_eq!(schema(folder.path()), schema(upgraded(Found::SchemaOne).path()));
    Found::SchemaOne.check(folder.path());
}

/// Not a test: the process that is killed while it opens its folder.
#[test]
#[ignore = "run by upgrade_killed_before_any_write_is_completed"]
fn upgrade_the_folder() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    drop(open(Path::new(&folder)));
}

fn this_test(name: &str) -> [String; 4] {
    let name = format!("tests::migrating::{name}");
    [name, "--exact".to_owned(), "--ignored".to_owned(), "--nocapture".to_owned()]
}

/// SIGKILL instead of the first, the second … write, truncation or sync, until none is left.
#[test]
fn upgrade_killed_before_any_write_is_completed() {
    const CALLS: &str = "pwrite64,ftruncate,fsync,fdatasync,unlink";
    let upgrade = |folder: &Path, nth: usize| {
        Command::new("strace")
            .args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={CALLS}")])
            .args(["-e", &format!("inject={CALLS}:signal=SIGKILL:when={nth}")])
            .arg(std::env::current_exe().unwrap())
            .args(this_test("upgrade_the_folder"))
            .env(FOLDER, folder)
            .output()
    };
    let may_trace = Command::new("strace").args(["-o", "/dev/null", "true"]).output();
    if !may_trace.is_ok_and(|it| it.status.success()) {
        eprintln!("not shown: strace is missing, or may not trace");
        return;
    }
    for found in [Found::Nothing, Found::SchemaOne] {
        let mut kills = 0;
        loop {
            let folder = found.folder();
            let ended = upgrade(folder.path(), kills + 1).unwrap();
            if ended.status.success() {
                break;
            }
            assert_eq!(ended.status.signal(), Some(9), "{}", String::from_utf8_lossy(&ended.stderr));
            kills += 1;
            found.check(folder.path());
        }
        assert!(kills >= 5, "{found:?}: {kills} writes are too few to be an upgrade");
    }
}

/// Migrations that rewrite many events.
const LONG: [&str; 2] = [
    "ALTER TABLE room_event ADD COLUMN words TEXT;
     UPDATE room_event SET words = upper(body) || ' ' || length(body);
     CREATE INDEX room_event_words ON room_event (words);",
    "CREATE TABLE event (room INTEGER NOT NULL, seq INTEGER NOT NULL, body TEXT, PRIMARY KEY (room, seq)) STRICT, WITHOUT ROWID;
     INSERT INTO event SELECT room, seq, words FROM room_event ORDER BY length(words), seq;
     DROP INDEX room_event_words;
     ALTER TABLE room_event DROP COLUMN words;",
];
const MUCH: i64 = 8_000;

fn with_long() -> Vec<&'static str> {
    [MIGRATIONS, &LONG].concat()
}

/// A connection whose migrations write to the disk long before they commit.
fn small_cache(folder: &Path) -> Connection {
    let conn = for_writing(&database(folder)).unwrap();
    conn.pragma_update(None, "cache_size", 20).unwrap();
    conn
}

/// Not a test: the process that is killed. It prints a line every few thousand steps of SQLite's virtual machine.
#[test]
#[ignore = "run by long_migration_killed_midway_is_completed"]
fn migrate_for_long() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let mut conn = small_cache(Path::new(&folder));
    let step = || {
        println!("step");
        std::io::stdout().flush().is_err()
    };
    conn.progress_handler(5_000, Some(step)).unwrap();
    run_of(&with_long(), &mut conn, &mut || ()).unwrap();
}

/// A store of schema 1 with many events.
fn much() -> TempDir {
    let folder = Found::SchemaOne.folder();
    let conn = Connection::open(database(folder.path())).unwrap();
    let sql = "WITH RECURSIVE more (seq) AS (SELECT 1000 UNION ALL SELECT seq + 1 FROM more LIMIT ?1)
               INSERT INTO room_event (room, seq, n, kind, sender, sender_name, at, body)
               SELECT 1, seq, seq, 'message', 1, '李雷', 20000 + seq, 'tea ' || seq || ' ' || hex(zeroblob(100)) FROM more";
    conn.execute(sql, [MUCH]).unwrap();
    folder
}

/// The number of lines until the process was killed or ended by itself.
fn migrate_until(folder: &Path, lines: usize) -> (usize, bool) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(this_test("migrate_for_long"))
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut received = 0;
    for _ in output.filter(|line| line.ends_with("step")) {
        received += 1;
        if received == lines {
            child.kill().unwrap();
        }
    }
    (received, child.wait().unwrap().success())
}

/// The number of messages and the sum of their lengths.
fn messages(conn: &Connection) -> (i64, i64) {
    let sql = "SELECT count(*), sum(length(body)) FROM room_event WHERE seq >= 1000";
    conn.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
}

#[test]
fn long_migration_killed_midway_is_completed() {
    const KILLS: usize = 10;
    let whole = much();
    let expected = messages(&Connection::open(database(whole.path())).unwrap());
    assert_eq!(expected.0, MUCH);
    let (lines, success) = migrate_until(whole.path(), usize::MAX);
    assert!(success && lines > 2 * KILLS, "{lines} lines are too few kill points");
    let done = schema(whole.path());
    let mut killed_at = Vec::new();
    for kill in 0..KILLS {
        let folder = much();
        let (_, success) = migrate_until(folder.path(), 1 + kill * lines / KILLS);
        let (version, _) = schema(folder.path());
        let mut conn = small_cache(folder.path());
        assert_eq!(messages(&conn), expected);
        // The file has one version or the next, and never a part of one.
        let partly = ["words", "event"].map(|name| {
            let sql = "SELECT (SELECT count(*) FROM pragma_table_info('room_event') WHERE name = ?1)
                            + (SELECT count(*) FROM sqlite_master WHERE name = ?1)";
            conn.query_row(sql, [name], |row| row.get::<_, i64>(0)).unwrap() > 0
        });
        let long = MIGRATIONS.len();
        assert_eq!(partly, [version == long + 1, version == long + 2], "at {version}");
        run_of(&with_long(), &mut conn, &mut || ()).unwrap();
        assert_eq!(messages(&conn), expected);
        drop(conn);
        assert_eq!(schema(folder.path()), done);
        killed_at.push((version, success));
    }
    let killed = killed_at.iter().filter(|(_, success)| !success).count();
    assert!(killed > KILLS / 2, "{killed_at:?}");
    // A program without these migrations does not change the schema.
    let mut conn = for_writing(&database(whole.path())).unwrap();
    run(&mut conn).unwrap();
    drop(conn);
    assert_eq!(schema(whole.path()), done);
}
