//! A full disk, a failed COMMIT, a failed statement: no answer acknowledges what is not stored.

use protocol::{ErrorCode, Event, EventKind, Seq, Timestamp};
use storage::conformance::*;
use storage::{Batch, OperationResult, Reader, Store, StoreError, Writer};

use super::{commit, open};
use crate::SqliteWriter;

struct Setup {
    writer: SqliteWriter,
    reader: Box<dyn Reader>,
    _folder: tempfile::TempDir,
}

/// Guests 1 and 2 are members of `tea`, which has two events.
fn setup() -> Setup {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mut writer = store.sqlite_writer().unwrap();
    commit(&mut writer, [(guest(1), join("tea"))]);
    commit(&mut writer, [(guest(2), join("tea"))]);
    Setup { writer, reader: store.reader().unwrap(), _folder: folder }
}

impl Setup {
    fn on_disk(&mut self) -> u64 {
        let room = self.reader.room(&named("tea")).unwrap().unwrap().info.room;
        let events = self.reader.events_after(room, Seq(0), None, ALL).unwrap().events;
        assert!(events.iter().zip(1..).all(|(event, seq)| event.seq == Seq(seq)), "a hole");
        events.len() as u64
    }

    fn last(&mut self) -> Event {
        let room = self.reader.room(&named("tea")).unwrap().unwrap();
        self.reader
            .events_after(room.info.room, Seq(room.head.seq.0 - 1), None, ALL)
            .unwrap()
            .events
            .remove(0)
    }

    fn send(&mut self, texts: &[&str]) -> Batch {
        commit(&mut self.writer, texts.iter().map(|text| (guest(1), send("tea", None, text))))
    }
}

fn codes(batch: &Batch) -> Vec<Option<ErrorCode>> {
    batch.replies.iter().map(|(_, answer)| answer.as_ref().err().map(|rejection| rejection.code)).collect()
}

fn sent(batch: &Batch, at: usize) -> u64 {
    match &batch.replies[at].1 {
        Ok(OperationResult::Send(domain::SentMessage { seq, .. })) => seq.0,
        other => panic!("{other:?}"),
    }
}

#[test]
fn failed_commit_leaves_no_trace() {
    let mut setup = setup();
    assert_eq!(sent(&setup.send(&["before"]), 0), 3);
    setup.writer.backend_mut().break_commits();
    let batch = setup.send(&["one", "two"]);
    assert_eq!(codes(&batch), [Some(ErrorCode::Unavailable); 2]);
    assert_eq!((batch.events.len(), batch.deleted_rooms.len(), batch.internal.len()), (0, 0, 1));
    assert_eq!(batch.fatal, None);
    assert_eq!(setup.on_disk(), 3);
    // The connection was opened again, without the hook, and is as durable as the first one.
    assert_eq!(sent(&setup.send(&["after"]), 0), 4);
    let synchronous: i64 =
        setup.writer.backend().connection().query_row("PRAGMA synchronous", [], |row| row.get(0)).unwrap();
    assert_eq!(synchronous, 2);
    assert_eq!(setup.on_disk(), 4);
}

#[test]
fn failed_probe_is_reported_and_recovers() {
    let mut setup = setup();
    setup.writer.backend_mut().break_commits();
    setup.writer.probe(Timestamp(0)).unwrap_err();
    setup.writer.probe(Timestamp(0)).unwrap();
    setup.writer.backend_mut().break_commits();
    setup.writer.reserve_user_ids(5).unwrap_err();
    assert_eq!(setup.writer.reserve_user_ids(5).unwrap(), 1..6);
}

#[test]
fn full_disk_rejects_and_recovers() {
    let mut setup = setup();
    let limit = |setup: &Setup, pages: i64| {
        let set = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
        setup
            .writer
            .backend()
            .connection()
            .pragma_update_and_check(None, "max_page_count", pages, set)
            .unwrap()
    };
    // The database may not grow beyond its current pages.
    limit(&setup, 1);
    let large = "x".repeat(8_000);
    let mut acknowledged = 2;
    let full = loop {
        let batch = setup.send(&["small", &large, "small"]);
        if batch.replies.iter().any(|(_, answer)| answer.is_err()) {
            break batch;
        }
        acknowledged += 3;
        assert!(acknowledged < 50, "it never fills");
    };
    assert!(codes(&full).iter().flatten().all(|code| *code == ErrorCode::StorageFull));
    assert!(!full.internal.is_empty());
    assert_eq!(full.fatal, None);
    acknowledged += full.events.len() as u64;
    assert_eq!(full.replies.iter().filter(|(_, answer)| answer.is_ok()).count(), full.events.len());
    // Readers continue to work, and nothing was acknowledged that is not stored.
    assert_eq!(setup.on_disk(), acknowledged);
    let again = setup.send(&[&large]);
    assert_eq!(codes(&again), [Some(ErrorCode::StorageFull)]);
    assert_eq!(setup.on_disk(), acknowledged);
    // With free space, writing continues after the last stored event.
    limit(&setup, 100_000);
    assert_eq!(sent(&setup.send(&[&large]), 0), acknowledged + 1);
    assert_eq!(setup.on_disk(), acknowledged + 1);
}

/// Makes the next statement that writes `boom` fail, with a text that no client may receive.
fn boom(writer: &SqliteWriter, action: &str) {
    let trigger = format!(
        "CREATE TEMP TRIGGER boom BEFORE INSERT ON room_event WHEN NEW.body = 'boom' OR NEW.was = 'boom' \
         BEGIN SELECT RAISE({action}, 'hush'); END"
    );
    writer.backend().connection().execute_batch(&trigger).unwrap();
}

/// Sends three messages, of which the statement of the second one fails. The others must be stored.
fn fail_second_of_three(setup: &mut Setup, action: &str) -> Batch {
    boom(&setup.writer, action);
    let batch = setup.send(&["one", "boom", "two"]);
    assert_eq!(codes(&batch), [None, Some(ErrorCode::Internal), None]);
    assert_eq!((sent(&batch, 0), sent(&batch, 2)), (3, 4));
    assert_eq!(setup.on_disk(), 4);
    batch
}

#[test]
fn failed_request_does_not_fail_the_others() {
    let mut setup = setup();
    let batch = fail_second_of_three(&mut setup, "ABORT");
    // The cause is only for the log.
    let Err(rejection) = &batch.replies[1].1 else { panic!() };
    assert!(!rejection.message.contains("hush"), "{rejection:?}");
    assert!(batch.internal[0].contains("hush"), "{batch:?}");
}

#[test]
fn single_failed_request_leaves_no_trace() {
    let mut setup = setup();
    setup
        .writer
        .backend()
        .connection()
        .execute_batch(
            "CREATE TEMP TRIGGER boom BEFORE INSERT ON membership BEGIN SELECT RAISE(ABORT, 'hush'); END",
        )
        .unwrap();
    // The event and its author are written before the membership.
    let batch = commit(&mut setup.writer, [(guest(3), join("tea"))]);
    assert_eq!(codes(&batch), [Some(ErrorCode::Internal)]);
    assert_eq!((batch.events.len(), batch.internal.len(), setup.on_disk()), (0, 1, 2));
    setup.writer.backend().connection().execute_batch("DROP TRIGGER boom").unwrap();
    let batch = commit(&mut setup.writer, [(guest(3), join("tea"))]);
    assert_eq!((codes(&batch), setup.on_disk()), (vec![None], 3));
}

#[test]
fn rename_failed_in_one_room_is_undone_in_all() {
    let mut setup = setup();
    commit(&mut setup.writer, [(guest(1), join("zoo")), (guest(1), send("zoo", None, "hello"))]);
    let zoo = setup.reader.room(&named("zoo")).unwrap().unwrap().info.room;
    let trigger = format!(
        "CREATE TEMP TRIGGER boom BEFORE INSERT ON room_event WHEN NEW.kind = 'renamed' AND NEW.room = {} \
         BEGIN SELECT RAISE(ABORT, 'hush'); END",
        zoo.0
    );
    setup.writer.backend().connection().execute_batch(&trigger).unwrap();
    let batch = commit(&mut setup.writer, [(guest(1), rename("Li")), (guest(1), send("tea", None, "hello"))]);
    assert_eq!(codes(&batch), [Some(ErrorCode::Internal), None]);
    assert_eq!(batch.events.len(), 1);
    assert_eq!((batch.events[0].seq, &batch.events[0].by), (Seq(3), &user(1)));
    assert_eq!(setup.on_disk(), 3);
}

#[test]
fn failed_join_is_not_in_the_shared_event() {
    let mut setup = setup();
    setup
        .writer
        .backend()
        .connection()
        .execute_batch(
            "CREATE TEMP TRIGGER boom BEFORE INSERT ON membership WHEN NEW.user IN (3, 5) \
             BEGIN SELECT RAISE(ABORT, 'hush'); END",
        )
        .unwrap();
    // The first one, and one in the middle: the batch is split, and the last two still share an event.
    let batch = commit(&mut setup.writer, (3..8).map(|who| (guest(who), join("tea"))));
    assert_eq!(codes(&batch), [Some(ErrorCode::Internal), None, Some(ErrorCode::Internal), None, None]);
    assert_eq!(batch.events.len(), 2);
    let also_joined = vec![user(7)];
    assert_eq!(
        (&batch.events[1].by, &batch.events[1].kind),
        (&user(6), &EventKind::MemberJoined { also_joined })
    );
    assert_eq!(setup.last(), *batch.events[1]);
    let since = "SELECT group_concat(user || ' ' || since_seq) FROM membership WHERE room = 2 AND user > 2";
    let since: String = setup.writer.backend().connection().query_row(since, [], |row| row.get(0)).unwrap();
    assert_eq!(since, "4 3,6 4,7 4");
}

#[test]
fn unwritable_shared_join_is_split() {
    let mut setup = setup();
    setup
        .writer
        .backend()
        .connection()
        .execute_batch(
            "CREATE TEMP TRIGGER boom BEFORE INSERT ON room_event WHEN NEW.joined_with IS NOT NULL \
             BEGIN SELECT RAISE(ABORT, 'hush'); END",
        )
        .unwrap();
    let batch = commit(&mut setup.writer, [(guest(3), join("tea")), (guest(4), join("tea"))]);
    assert_eq!(codes(&batch), [None; 2]);
    assert_eq!((batch.events.len(), setup.on_disk()), (2, 4));
    assert_eq!(setup.last(), *batch.events[1]);
}

#[test]
fn statement_that_rolls_back_fails_its_request_only() {
    let mut setup = setup();
    fail_second_of_three(&mut setup, "ROLLBACK");
    assert_eq!(sent(&setup.send(&["after"]), 0), 5);
}

#[test]
fn event_of_another_program_is_not_overwritten() {
    let mut setup = setup();
    setup.send(&["three"]);
    let tool = rusqlite::Connection::open(setup._folder.path().join("teahouse.db")).unwrap();
    let copy = "INSERT INTO room_event SELECT room, 4, 2, kind, sender, sender_name, at, NULL, 'tool', NULL, NULL, NULL \
                FROM room_event WHERE room = 2 AND seq = 3";
    assert_eq!(tool.execute(copy, []).unwrap(), 1);
    let batch = setup.send(&["five"]);
    assert_eq!(codes(&batch), [Some(ErrorCode::Internal)]);
    assert_eq!(batch.internal.len(), 1);
    assert_eq!(sent(&setup.send(&["five"]), 0), 5);
    assert_eq!(setup.on_disk(), 5);
}

#[test]
fn locked_database_is_unavailable_then_recovers() {
    let mut setup = setup();
    let database = setup._folder.path().join("teahouse.db");
    // Another program holds the write lock. `commits_are_synced` checks how long the writer waits for it.
    let tool = rusqlite::Connection::open(&database).unwrap();
    tool.execute_batch("BEGIN IMMEDIATE").unwrap();
    let batch = setup.send(&["one"]);
    assert_eq!(codes(&batch), [Some(ErrorCode::Unavailable)]);
    tool.execute_batch("ROLLBACK").unwrap();
    assert_eq!(sent(&setup.send(&["one"]), 0), 3);
}

#[test]
fn nothing_is_written_after_a_failed_sync() {
    let mut setup = setup();
    assert_eq!(setup.writer.failure(), None);
    setup.writer.backend_mut().mark_untrusted(StoreError::Fatal("fsync".to_owned()));
    assert!(setup.writer.failure().is_some());
    let batch = setup.send(&["one"]);
    assert_eq!(codes(&batch), [Some(ErrorCode::Unavailable)]);
    assert!(batch.fatal.is_some());
    assert!(setup.writer.probe(Timestamp(0)).unwrap_err().fatal().is_some());
    assert!(setup.writer.checkpoint().unwrap_err().fatal().is_some());
    assert_eq!(setup.on_disk(), 2);
}
