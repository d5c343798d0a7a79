//! The embedded store: one folder, one SQLite database, one process.
//!
//! It implements the ports of `teahouse-storage`. The writer is that crate's commit loop over `SqliteBackend`, which loads
//! facts by point look-ups with cached statements, and writes changes row by row. The rules are in `teahouse-domain`.
//!
//! The crate has one thread, which checkpoints the write-ahead log. Everything else runs on the thread of the caller.
//!
//! | file | contents |
//! |---|---|
//! | `open.rs` | the lock of the folder; connections and their settings |
//! | `migrate.rs` | the schema, and upgrades of older ones |
//! | `backend.rs` | transactions of the writer, and the recovery after a failed one |
//! | `load.rs`, `apply.rs` | reading facts from rows, writing changes to rows |
//! | `rows.rs` | conversion between columns and values |
//! | `room_cache.rs` | rooms in use, so that a message does not read them |
//! | `reader.rs` | the read port |
//! | `checkpoints.rs` | the thread that checkpoints the write-ahead log |
//! | `failure.rs`, `open_error.rs` | the conversion of SQLite's errors |

mod apply;
mod backend;
mod checkpoints;
mod failure;
mod load;
mod migrate;
mod open;
mod open_error;
mod reader;
mod room_cache;
mod rows;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use domain::RoomLimits;
use protocol::Epoch;

use storage::{CommitLoop, Reader, Store, StoreError, Writer};

use backend::SqliteBackend;
pub use open_error::OpenError;
use reader::SqliteReader;

/// A store in a folder of its own. No other process can open the folder while this value, its writer or one of its readers
/// lives.
pub struct SqliteStore {
    folder: Arc<Folder>,
    epoch: Epoch,
    limits: RoomLimits,
}

/// The writer of this store.
#[cfg(test)]
pub(crate) type SqliteWriter = CommitLoop<SqliteBackend>;

/// The locked data folder, shared by the store, its writer and its readers.
struct Folder {
    database: PathBuf,
    /// The lock lasts as long as the file is open. The kernel releases it when the process ends, also after SIGKILL.
    _lock: File,
    has_writer: AtomicBool,
}

impl SqliteStore {
    /// Opens the folder `dir`. Creates it and the database if they do not exist, and upgrades an older schema.
    pub fn open(dir: &Path, limits: RoomLimits) -> Result<Self, OpenError> {
        let lock = open::lock(dir)?;
        let database = dir.join("teahouse.db");
        let epoch = open::prepare(dir, &database)?;
        let folder = Folder { database, _lock: lock, has_writer: AtomicBool::new(false) };
        Ok(SqliteStore { folder: Arc::new(folder), epoch, limits })
    }

    fn sqlite_writer(&self) -> Result<CommitLoop<SqliteBackend>, StoreError> {
        let backend = SqliteBackend::new(WriterPermit::take(&self.folder)?)?;
        Ok(CommitLoop::new(backend, self.limits))
    }

    fn sqlite_reader(&self) -> Result<SqliteReader, StoreError> {
        SqliteReader::new(&self.folder)
    }
}

impl Store for SqliteStore {
    fn epoch(&self) -> Epoch {
        self.epoch.clone()
    }

    fn writer(&self) -> Result<Box<dyn Writer>, StoreError> {
        Ok(Box::new(self.sqlite_writer()?))
    }

    fn reader(&self) -> Result<Box<dyn Reader>, StoreError> {
        Ok(Box::new(self.sqlite_reader()?))
    }
}

/// The right to be the single writer, returned on drop.
struct WriterPermit(Arc<Folder>);

impl WriterPermit {
    fn take(folder: &Arc<Folder>) -> Result<Self, StoreError> {
        if folder.has_writer.swap(true, Ordering::AcqRel) {
            return Err(StoreError::WriterTaken);
        }
        Ok(WriterPermit(folder.clone()))
    }

    fn database(&self) -> &Path {
        &self.0.database
    }
}

impl Drop for WriterPermit {
    fn drop(&mut self) {
        self.0.has_writer.store(false, Ordering::Release);
    }
}
