//! Tests with a disk that is really full, and one that really fails to sync. Not every machine has what they need:
//!
//! ```text
//! mount -t tmpfs -o size=2m none /mnt/small
//! TEAHOUSE_TEST_SMALL_DISK=/mnt/small cargo test -p teahouse-storage-sqlite really_full -- --ignored
//! cargo test -p teahouse-storage-sqlite failed_sync -- --ignored      (strace)
//! ```

use std::path::Path;
use std::process::Command;

use protocol::{ErrorCode, Seq, Timestamp};
use storage::conformance::*;
use storage::{OperationResult, Store, StoreError};

use super::{commit, open};

const FOLDER: &str = "TEAHOUSE_TEST_FOLDER";

#[test]
#[ignore = "needs a file system of a few MiB, named by TEAHOUSE_TEST_SMALL_DISK"]
fn really_full_disk_rejects_and_recovers() {
    let disk = std::env::var_os("TEAHOUSE_TEST_SMALL_DISK").expect("TEAHOUSE_TEST_SMALL_DISK names a folder");
    let folder = tempfile::tempdir_in(disk).unwrap();
    let ballast = folder.path().join("ballast");
    std::fs::write(&ballast, vec![1; 512 << 10]).unwrap();
    let store = open(&folder.path().join("data"));
    let (mut writer, mut reader) = (store.writer().unwrap(), store.reader().unwrap());
    commit(&mut *writer, [(guest(1), join("lobby"))]);
    let text = "x".repeat(4_000);
    let mut acknowledged = 1;
    let rejection = loop {
        let back = (guest(1), domain::Open { room: storage::LOBBY }.into());
        let texts = (0..3).map(|_| (guest(1), send("lobby", None, &text)));
        let again = (guest(1), join("lobby"));
        let mut batch = commit(&mut *writer, texts.clone().take(1).chain([back, again]).chain(texts.skip(1)));
        // Opening a room, and joining one as a member, need no disk space, whatever happens to the other requests.
        for (_, opened) in batch.replies.drain(1..3) {
            assert!(
                matches!(opened, Ok(OperationResult::Open(domain::JoinedRoom { head, .. })) if head >= Seq(acknowledged as u64)),
                "{opened:?}"
            );
        }
        let rejections: Vec<_> = batch.replies.into_iter().filter_map(|(_, answer)| answer.err()).collect();
        if let Some(rejection) = rejections.first() {
            assert_eq!((rejections.len(), batch.events.len(), batch.fatal), (3, 0, None));
            break rejection.clone();
        }
        acknowledged += 3;
        assert!(acknowledged < 10_000, "it never fills");
    };
    assert_eq!(rejection.code, ErrorCode::StorageFull);
    assert!(matches!(writer.probe(Timestamp(0)), Err(StoreError::Full(_))));
    let on_disk = reader.events_after(storage::LOBBY, Seq(0), None, ALL).unwrap().events;
    assert_eq!(on_disk.len(), acknowledged);
    std::fs::remove_file(ballast).unwrap();
    writer.probe(Timestamp(0)).unwrap();
    let batch = commit(&mut *writer, [(guest(1), send("lobby", None, &text))]);
    assert!(
        matches!(batch.replies[0].1, Ok(OperationResult::Send(domain::SentMessage { seq, .. })) if seq == Seq(acknowledged as u64 + 1))
    );
    drop((writer, reader, store));
    let store = open(&folder.path().join("data"));
    let on_disk = store.reader().unwrap().events_after(storage::LOBBY, Seq(0), None, ALL).unwrap().events;
    assert_eq!(on_disk.len(), acknowledged + 1);
}

/// Not a test: the process whose syncs fail after a while.
#[test]
#[ignore = "run by failed_sync_ends_writing"]
fn sync_until_it_fails() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let store = open(Path::new(&folder));
    let mut writer = store.writer().unwrap();
    commit(&mut *writer, [(guest(1), join("lobby"))]);
    for round in 0..100 {
        let batch = commit(&mut *writer, [(guest(1), send("lobby", None, "hello"))]);
        if let Some(reason) = batch.fatal {
            assert!(batch.replies[0].1.is_err() && batch.events.is_empty());
            // The kernel reports the next sync as successful, so the store must write nothing any more.
            let next = commit(&mut *writer, [(guest(1), send("lobby", None, "hello"))]);
            assert!(next.fatal.is_some() && next.events.is_empty());
            println!("fatal after {round}: {reason}");
            return;
        }
    }
    panic!("no sync failed");
}

#[test]
#[ignore = "needs strace, and leave to trace"]
fn failed_sync_ends_writing() {
    let folder = tempfile::tempdir().unwrap();
    let run = Command::new("strace")
        .args(["-f", "-o"])
        .arg(folder.path().join("trace"))
        .args(["-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO:when=20"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "tests::disk::sync_until_it_fails", "--ignored", "--nocapture"])
        .env(FOLDER, folder.path().join("data"))
        .output()
        .expect("strace runs");
    let output = String::from_utf8_lossy(&run.stdout);
    assert!(
        run.status.success() && output.contains("fatal after"),
        "{output}{}",
        String::from_utf8_lossy(&run.stderr)
    );
}
