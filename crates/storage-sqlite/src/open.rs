//! Opening the folder and its database, and the settings of each connection.

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

/// How long to wait for a lock. A process that is ending holds it a moment longer, and so does a child between `fork` and
/// `exec`, which has inherited the open files.
const LOCK_TIMEOUT: Duration = Duration::from_secs(1);

/// Creates the folder if it does not exist, and locks it for this process.
pub(super) fn lock(dir: &Path) -> Result<File, OpenError> {
    let folder = |cause| OpenError::Folder { path: dir.to_owned(), cause };
    if !dir.is_dir() {
        make_private_dir(dir).map_err(folder)?;
    }
    let lock = private_file(&dir.join("teahouse.lock")).map_err(folder)?;
    let started = Instant::now();
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::WouldBlock) if started.elapsed() < LOCK_TIMEOUT => {
                thread::sleep(LOCK_TIMEOUT / 50)
            }
            Err(TryLockError::WouldBlock) => return Err(OpenError::Locked { path: dir.to_owned() }),
            Err(TryLockError::Error(cause)) => return Err(folder(cause)),
        }
    }
}

/// Creates or upgrades the database. Returns its epoch.
pub(super) fn prepare(dir: &Path, database: &Path) -> Result<Epoch, OpenError> {
    if !database.exists() {
        // SQLite creates its other files with the mode of this one. No connection of this process may be open yet: closing the
        // file later would release the locks of that connection.
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
    // Checked before anything is written, so that the database of another program or of a newer version stays unchanged.
    migrate::check(&conn, database)?;
    make_durable(&conn).map_err(fail)?;
    migrate::run(&mut conn).map_err(fail)?;
    let epoch: String = conn
        .query_row("SELECT value FROM meta WHERE key = 'epoch'", [], |row| row.get(0))
        .map_err(|e| fail(e.into()))?;
    Ok(Epoch(epoch))
}

/// The connection that writes: durable, with a page cache.
pub(super) fn for_writing(database: &Path) -> Result<Connection, Failure> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(database, flags)?;
    make_durable(&conn)?;
    // In KiB, allocated as needed. It holds the ends of a few thousand rooms' logs, and of the index of idempotency keys.
    conn.pragma_update(None, "cache_size", -32 * 1024)?;
    conn.set_prepared_statement_cache_capacity(64);
    Ok(conn)
}

/// The connection that checkpoints the write-ahead log. It copies pages, so it needs no page cache.
pub(super) fn for_checkpoints(database: &Path) -> Result<Connection, Failure> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(database, flags)?;
    make_durable(&conn)?;
    Ok(conn)
}

/// A connection for a reader. SQLite rejects writes on it.
pub(super) fn for_reading(database: &Path) -> Result<Connection, Failure> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(database, flags)?;
    set_common_options(&conn)?;
    conn.pragma_update(None, "query_only", true)?;
    conn.pragma_update(None, "cache_size", -8 * 1024)?;
    conn.set_prepared_statement_cache_capacity(64);
    Ok(conn)
}

/// Sets the options by which an acknowledged message survives a loss of power. The test `commits_are_synced` reads them back.
fn make_durable(conn: &Connection) -> Result<(), Failure> {
    set_common_options(conn)?;
    let mode: String = conn.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
    if mode != "wal" {
        let cause = format!("no write-ahead log on this file system, only {mode}");
        return Err(StoreError::Unavailable(cause).into());
    }
    conn.pragma_update(None, "synchronous", synchronous())?;
    conn.pragma_update(None, "foreign_keys", true)?;
    conn.pragma_update(None, "secure_delete", true)?;
    // Bounds the file after a burst: SQLite truncates it to this size.
    conn.pragma_update(None, "journal_size_limit", 64 << 20)?;
    Ok(())
}

/// SQLite's FULL: each commit is synced.
#[cfg(not(feature = "fault-injection"))]
const fn synchronous() -> &'static str {
    "FULL"
}

/// A promise that is broken on purpose, never in a release: commits are not synced. `cargo xtask faults power` must detect it.
#[cfg(feature = "fault-injection")]
fn synchronous() -> &'static str {
    let is_chosen = std::env::var("TEAHOUSE_FAULT_INJECTION").is_ok_and(|name| name == "synchronous-normal");
    if is_chosen { "NORMAL" } else { "FULL" }
}

/// Sets the options of every connection. With one process and one writer, only a checkpoint or a recovery holds a lock; the
/// bound on the wait keeps the promise to answer within a second.
fn set_common_options(conn: &Connection) -> Result<(), Failure> {
    conn.busy_timeout(Duration::from_millis(800))?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    // A damaged page is then an error when it is read, instead of a wrong result.
    conn.pragma_update(None, "cell_size_check", true)?;
    // Keeps a query plan. Without this, a statement is compiled again whenever its values might change the plan.
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

/// A new file name is durable only after its folder is synced.
fn sync_dir(dir: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(dir)?.sync_all() } else { Ok(()) }
}
