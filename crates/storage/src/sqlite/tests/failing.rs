//! The disk fills, a COMMIT fails, a statement fails: nobody is told what is not so.

use protocol::{ErrorCode, Event, EventKind, Seq, Timestamp};

use super::{commit, open};
use crate::conformance::*;
use crate::sqlite::writer::SqliteWriter;
use crate::{Batch, OperationResult, Reader, Store, StoreError, Writer};

struct Place {
    writer: SqliteWriter,
    reader: Box<dyn Reader>,
    _folder: tempfile::TempDir,
}

/// Guests 1 and 2 are in `tea`, where two events are.
fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let mut writer = store.sqlite_writer().unwrap();
    commit(&mut writer, [(guest(1), join("tea"))]);
    commit(&mut writer, [(guest(2), join("tea"))]);
    Place { writer, reader: store.reader().unwrap(), _folder: folder }
}

impl Place {
    fn on_disk(&mut self) -> u64 {
        let room = self.reader.room(&named("tea")).unwrap().unwrap().room;
        let events = self.reader.events_after(room, Seq(0), None, ALL).unwrap().events;
        assert!(events.iter().zip(1..).all(|(event, seq)| event.seq == Seq(seq)), "a hole");
        events.len() as u64
    }

    fn last(&mut self) -> Event {
        let room = self.reader.room(&named("tea")).unwrap().unwrap();
        self.reader.events_after(room.room, Seq(room.head.seq.0 - 1), None, ALL).unwrap().events.remove(0)
    }

    fn say(&mut self, texts: &[&str]) -> Batch {
        commit(&mut self.writer, texts.iter().map(|text| (guest(1), say("tea", None, text))))
    }
}

fn codes(batch: &Batch) -> Vec<Option<ErrorCode>> {
    batch.answers.iter().map(|(_, answer)| answer.as_ref().err().map(|refusal| refusal.code)).collect()
}

fn sent(batch: &Batch, at: usize) -> u64 {
    match &batch.answers[at].1 {
        Ok(OperationResult::Sent { seq, .. }) => seq.0,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_failed_commit_leaves_no_trace() {
    let mut place = place();
    assert_eq!(sent(&place.say(&["before"]), 0), 3);
    place.writer.break_commits();
    let batch = place.say(&["one", "two"]);
    assert_eq!(codes(&batch), [Some(ErrorCode::Unavailable); 2]);
    assert_eq!((batch.events.len(), batch.gone.len(), batch.internal.len()), (0, 0, 1));
    assert_eq!(batch.fatal, None);
    assert_eq!(place.on_disk(), 3);
    // The connection was opened anew, without the hook, and as durable as the first.
    assert_eq!(sent(&place.say(&["after"]), 0), 4);
    let synchronous: i64 =
        place.writer.connection().query_row("PRAGMA synchronous", [], |row| row.get(0)).unwrap();
    assert_eq!(synchronous, 2);
    assert_eq!(place.on_disk(), 4);
}

#[test]
fn a_failed_probe_says_so_and_recovers() {
    let mut place = place();
    place.writer.break_commits();
    place.writer.probe(Timestamp(0)).unwrap_err();
    place.writer.probe(Timestamp(0)).unwrap();
    place.writer.break_commits();
    place.writer.reserve_user_ids(5).unwrap_err();
    assert_eq!(place.writer.reserve_user_ids(5).unwrap(), 1..6);
}

#[test]
fn a_full_disk_refuses_and_recovers() {
    let mut place = place();
    let limit = |place: &Place, pages: i64| {
        let set = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
        place.writer.connection().pragma_update_and_check(None, "max_page_count", pages, set).unwrap()
    };
    // As many pages as it has.
    limit(&place, 1);
    let large = "x".repeat(8_000);
    let mut acknowledged = 2;
    let full = loop {
        let batch = place.say(&["small", &large, "small"]);
        if batch.answers.iter().any(|(_, answer)| answer.is_err()) {
            break batch;
        }
        acknowledged += 3;
        assert!(acknowledged < 50, "it never fills");
    };
    assert!(codes(&full).iter().flatten().all(|code| *code == ErrorCode::StorageFull));
    assert!(!full.internal.is_empty());
    assert_eq!(full.fatal, None);
    acknowledged += full.events.len() as u64;
    assert_eq!(full.answers.iter().filter(|(_, answer)| answer.is_ok()).count(), full.events.len());
    // Reading goes on, and nothing was acknowledged that is not there.
    assert_eq!(place.on_disk(), acknowledged);
    let again = place.say(&[&large]);
    assert_eq!(codes(&again), [Some(ErrorCode::StorageFull)]);
    assert_eq!(place.on_disk(), acknowledged);
    // Room again: writing resumes where it stood.
    limit(&place, 100_000);
    assert_eq!(sent(&place.say(&[&large]), 0), acknowledged + 1);
    assert_eq!(place.on_disk(), acknowledged + 1);
}

/// Has the next statement that writes `boom` fail, with a text that nobody outside should read.
fn boom(writer: &SqliteWriter, action: &str) {
    let trigger = format!(
        "CREATE TEMP TRIGGER boom BEFORE INSERT ON room_event WHEN NEW.body = 'boom' OR NEW.was = 'boom' \
         BEGIN SELECT RAISE({action}, 'hush'); END"
    );
    writer.connection().execute_batch(&trigger).unwrap();
}

#[test]
fn a_failed_request_leaves_the_others_alone() {
    let mut place = place();
    boom(&place.writer, "ABORT");
    let batch = place.say(&["one", "boom", "two"]);
    assert_eq!(codes(&batch), [None, Some(ErrorCode::Internal), None]);
    assert_eq!((sent(&batch, 0), sent(&batch, 2)), (3, 4));
    assert_eq!(place.on_disk(), 4);
    // The reason is for the log.
    let Err(refusal) = &batch.answers[1].1 else { panic!() };
    assert!(!refusal.message.contains("hush"), "{refusal:?}");
    assert!(batch.internal[0].contains("hush"), "{batch:?}");
}

#[test]
fn a_lone_request_that_fails_halfway_leaves_no_trace() {
    let mut place = place();
    place
        .writer
        .connection()
        .execute_batch(
            "CREATE TEMP TRIGGER boom BEFORE INSERT ON membership BEGIN SELECT RAISE(ABORT, 'hush'); END",
        )
        .unwrap();
    // Its event and its author are written before the membership is.
    let batch = commit(&mut place.writer, [(guest(3), join("tea"))]);
    assert_eq!(codes(&batch), [Some(ErrorCode::Internal)]);
    assert_eq!((batch.events.len(), batch.internal.len(), place.on_disk()), (0, 1, 2));
    place.writer.connection().execute_batch("DROP TRIGGER boom").unwrap();
    let batch = commit(&mut place.writer, [(guest(3), join("tea"))]);
    assert_eq!((codes(&batch), place.on_disk()), (vec![None], 3));
}

#[test]
fn a_rename_that_fails_in_one_room_is_undone_in_all() {
    let mut place = place();
    commit(&mut place.writer, [(guest(1), join("zoo")), (guest(1), say("zoo", None, "hello"))]);
    let zoo = place.reader.room(&named("zoo")).unwrap().unwrap().room;
    let trigger = format!(
        "CREATE TEMP TRIGGER boom BEFORE INSERT ON room_event WHEN NEW.kind = 'renamed' AND NEW.room = {} \
         BEGIN SELECT RAISE(ABORT, 'hush'); END",
        zoo.0
    );
    place.writer.connection().execute_batch(&trigger).unwrap();
    let batch = commit(&mut place.writer, [(guest(1), rename("Li")), (guest(1), say("tea", None, "hello"))]);
    assert_eq!(codes(&batch), [Some(ErrorCode::Internal), None]);
    assert_eq!(batch.events.len(), 1);
    assert_eq!((batch.events[0].seq, &batch.events[0].by), (Seq(3), &person(1)));
    assert_eq!(place.on_disk(), 3);
}

#[test]
fn a_join_that_fails_is_not_in_the_shared_event() {
    let mut place = place();
    place
        .writer
        .connection()
        .execute_batch(
            "CREATE TEMP TRIGGER boom BEFORE INSERT ON membership WHEN NEW.user IN (3, 5) \
             BEGIN SELECT RAISE(ABORT, 'hush'); END",
        )
        .unwrap();
    // The first of them, and one in the middle.
    let batch = commit(&mut place.writer, (3..8).map(|who| (guest(who), join("tea"))));
    assert_eq!(codes(&batch), [Some(ErrorCode::Internal), None, Some(ErrorCode::Internal), None, None]);
    assert_eq!(batch.events.len(), 1);
    let also_joined = vec![person(6), person(7)];
    assert_eq!(
        (&batch.events[0].by, &batch.events[0].kind),
        (&person(4), &EventKind::MemberJoined { also_joined })
    );
    assert_eq!(place.last(), *batch.events[0]);
    let since = "SELECT count(*) FROM membership WHERE room = 2 AND since_seq = 3 AND user IN (4, 6, 7)";
    let since: i64 = place.writer.connection().query_row(since, [], |row| row.get(0)).unwrap();
    assert_eq!(since, 3);
}

#[test]
fn nobody_is_told_of_a_join_that_could_not_be_written_down() {
    let mut place = place();
    place
        .writer
        .connection()
        .execute_batch(
            "CREATE TEMP TRIGGER boom BEFORE UPDATE ON room_event BEGIN SELECT RAISE(ABORT, 'hush'); END",
        )
        .unwrap();
    let both = || [(guest(3), join("tea")), (guest(4), join("tea"))];
    let batch = commit(&mut place.writer, both());
    assert_eq!(codes(&batch), [Some(ErrorCode::Internal); 2]);
    assert_eq!(batch.events, []);
    assert_eq!(place.on_disk(), 2);
    let batch = commit(&mut place.writer, both());
    assert_eq!(codes(&batch), [None; 2]);
    assert_eq!(place.last(), *batch.events[0]);
}

#[test]
fn when_everything_is_undone_everybody_hears_it() {
    let mut place = place();
    boom(&place.writer, "ROLLBACK");
    let batch = place.say(&["one", "boom", "two"]);
    assert_eq!(codes(&batch), [Some(ErrorCode::Internal); 3]);
    assert_eq!(batch.events, []);
    assert_eq!(place.on_disk(), 2);
    assert_eq!(sent(&place.say(&["after"]), 0), 3);
}

#[test]
fn what_another_program_appended_is_noticed_and_not_overwritten() {
    let mut place = place();
    place.say(&["three"]);
    let tool = rusqlite::Connection::open(place._folder.path().join("teahouse.db")).unwrap();
    let copy = "INSERT INTO room_event SELECT room, 4, 2, kind, sender, sender_name, at, NULL, 'tool', NULL, NULL \
                FROM room_event WHERE room = 2 AND seq = 3";
    assert_eq!(tool.execute(copy, []).unwrap(), 1);
    let batch = place.say(&["five"]);
    assert_eq!(codes(&batch), [Some(ErrorCode::Internal)]);
    assert_eq!(batch.internal.len(), 1);
    assert_eq!(sent(&place.say(&["five"]), 0), 5);
    assert_eq!(place.on_disk(), 5);
}

#[test]
fn a_database_that_is_taken_away_is_told_and_found_again() {
    let mut place = place();
    let database = place._folder.path().join("teahouse.db");
    // Somebody's tool holds the write lock: the answer comes within the second that is promised, not never.
    let tool = rusqlite::Connection::open(&database).unwrap();
    tool.execute_batch("BEGIN IMMEDIATE").unwrap();
    let batch = place.say(&["one"]);
    assert_eq!(codes(&batch), [Some(ErrorCode::Unavailable)]);
    tool.execute_batch("ROLLBACK").unwrap();
    assert_eq!(sent(&place.say(&["one"]), 0), 3);
}

#[test]
fn after_a_failed_sync_nothing_is_written() {
    let mut place = place();
    assert_eq!(place.writer.failure(), None);
    place.writer.mark_untrusted(StoreError::Fatal("fsync".to_owned()));
    assert!(place.writer.failure().is_some());
    let batch = place.say(&["one"]);
    assert_eq!(codes(&batch), [Some(ErrorCode::Unavailable)]);
    assert!(batch.fatal.is_some());
    assert!(place.writer.probe(Timestamp(0)).unwrap_err().fatal().is_some());
    assert!(place.writer.checkpoint().unwrap_err().fatal().is_some());
    assert_eq!(place.on_disk(), 2);
}
