//! How the folder and its database are opened.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use protocol::Epoch;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use storage::StoreError;

use super::failure::Failure;
use super::{OpenError, migrate};

/// Somebody who is just ending holds the folder a moment longer; so does a child between `fork` and `exec`, which has
/// open what its parent had. Whoever holds it longer than this is there to stay.
const STILL_ENDING: Duration = Duration::from_secs(1);

/// Makes the folder if it is absent, and takes it for this process.
pub(super) fn lock(dir: &Path) -> Result<File, OpenError> {
    let folder = |cause| OpenError::Folder { path: dir.to_owned(), cause };
    if !dir.is_dir() {
        make_private_dir(dir).map_err(folder)?;
    }
    let lock = private_file(&dir.join("teahouse.lock")).map_err(folder)?;
    let begun = Instant::now();
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::WouldBlock) if begun.elapsed() < STILL_ENDING => {
                thread::sleep(STILL_ENDING / 50)
            }
            Err(TryLockError::WouldBlock) => return Err(OpenError::Locked { path: dir.to_owned() }),
            Err(TryLockError::Error(cause)) => return Err(folder(cause)),
        }
    }
}

/// Makes or upgrades the database; gives its epoch.
pub(super) fn prepare(dir: &Path, database: &Path) -> Result<Epoch, OpenError> {
    if !database.exists() {
        // SQLite gives its other files the mode of this one. No connection of this process is open yet: closing the file
        // afterwards would take that connection's locks away.
        private_file(database)
            .and_then(|file| file.sync_all())
            .and_then(|()| sync_dir(dir))
            .map_err(|cause| OpenError::Folder { path: dir.to_owned(), cause })?;
    }
    let fail = |failure: Failure| match StoreError::from(failure) {
        StoreError::Corrupt(cause) => OpenError::NotADatabase { path: database.to_owned(), cause },
        cause => OpenError::Database { path: database.to_owned(), cause },
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut conn = Connection::open_with_flags(database, flags).map_err(|e| fail(e.into()))?;
    // Before anything is written: another program's database, or a newer version's, stays as it is.
    migrate::check(&conn, database)?;
    make_durable(&conn).map_err(fail)?;
    migrate::run(&mut conn).map_err(fail)?;
    let epoch: String = conn
        .query_row("SELECT value FROM meta WHERE key = 'epoch'", [], |row| row.get(0))
        .map_err(|e| fail(e.into()))?;
    Ok(Epoch(epoch))
}

/// The connection that writes.
pub(super) fn for_writing(database: &Path) -> Result<Connection, Failure> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(database, flags)?;
    make_durable(&conn)?;
    // KiB; taken as it is needed. The ends of a few thousand rooms' logs, and of the index of keys, stay at hand.
    conn.pragma_update(None, "cache_size", -32 * 1024)?;
    conn.set_prepared_statement_cache_capacity(64);
    Ok(conn)
}

/// The connection that brings the write-ahead log into the database. It reads no page of its own.
pub(super) fn for_checkpoints(database: &Path) -> Result<Connection, Failure> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(database, flags)?;
    make_durable(&conn)?;
    Ok(conn)
}

/// A connection that cannot write.
pub(super) fn for_reading(database: &Path) -> Result<Connection, Failure> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(database, flags)?;
    be_brief(&conn)?;
    conn.pragma_update(None, "query_only", true)?;
    conn.pragma_update(None, "cache_size", -8 * 1024)?;
    conn.set_prepared_statement_cache_capacity(64);
    Ok(conn)
}

/// What makes an acknowledged message survive a loss of power. The test `commits_are_synced` reads it back.
fn make_durable(conn: &Connection) -> Result<(), Failure> {
    be_brief(conn)?;
    let mode: String = conn.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if mode != "wal" {
        let cause = format!("no write-ahead log on this file system, only {mode}");
        return Err(StoreError::Unavailable(cause).into());
    }
    conn.pragma_update(None, "synchronous", synchronous())?;
    conn.pragma_update(None, "foreign_keys", true)?;
    conn.pragma_update(None, "secure_delete", true)?;
    // A burst may leave a longer file behind; it is cut back.
    conn.pragma_update(None, "journal_size_limit", 64 << 20)?;
    Ok(())
}

/// Each commit is synced.
#[cfg(not(feature = "fault-injection"))]
const fn synchronous() -> &'static str {
    "FULL"
}

/// A promise broken on purpose, in no release: commits are not synced. `cargo xtask faults power` has to see it.
#[cfg(feature = "fault-injection")]
fn synchronous() -> &'static str {
    let is_chosen = std::env::var("TEAHOUSE_FAULT_INJECTION").is_ok_and(|name| name == "synchronous-normal");
    if is_chosen { "NORMAL" } else { "FULL" }
}

/// One process, one writer: nobody is waited for but a checkpoint or a recovery. An answer within a second is promised.
fn be_brief(conn: &Connection) -> Result<(), Failure> {
    conn.busy_timeout(Duration::from_millis(800))?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    // A damaged page is noticed when it is read, instead of being believed.
    conn.pragma_update(None, "cell_size_check", true)?;
    // A plan once made is kept. Without this a statement whose values might have changed the plan is compiled anew each time.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

fn make_private_dir(dir: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)?;
    match dir.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_dir(parent),
        _ => sync_dir(Path::new(".")),
    }
}

fn private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// A new name in a folder is on disk only when the folder is.
fn sync_dir(dir: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(dir)?.sync_all() } else { Ok(()) }
}
