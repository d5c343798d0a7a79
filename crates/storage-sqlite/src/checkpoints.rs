//! Checkpoints of the write-ahead log on a thread of their own, so that no message waits for one.
//!
//! The thread copies the pages that the log has when it starts. A busy writer adds pages meanwhile, and SQLite reuses the log's
//! file only when all pages are copied: so the first commit after the thread is done copies the few pages that were added.

use std::path::{Path, PathBuf};
#[cfg(test)]
use std::sync::atomic::AtomicU64;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;

use rusqlite::Connection;
use rusqlite::hooks::Wal;
use storage::StoreError;

use super::failure::{Failure, store_error};
use super::open;

/// The lengths of the log, in pages, at which it is checkpointed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// The thread checkpoints.
    pub(super) soon: i32,
    /// The commit checkpoints itself, unless the thread is doing so. Bounds the log when the thread cannot keep up.
    pub(super) at_once: i32,
}

impl Bounds {
    /// 16 MiB and 64 MiB. While a checkpoint syncs the database, a commit waits some milliseconds for the disk, also with this
    /// thread. Four times SQLite's own 4 MiB makes that four times rarer, and delays a start after a kill imperceptibly.
    pub(super) const USUAL: Bounds = Bounds { soon: 4_000, at_once: 16_000 };
}

/// A handle to the thread.
pub(super) struct Checkpoints {
    /// Cap 1; full: a checkpoint is requested already. `None` only while this is dropped.
    requests: Option<SyncSender<()>>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    // Set once, by the thread or a commit; the writer reads it before each transaction.
    broken: OnceLock<StoreError>,
    // The thread sets it after a checkpoint; the next commit clears it.
    done: AtomicBool,
    // The thread sets it; the next commit takes it into its batch, for the log.
    failure: Mutex<Option<String>>,
    // Counted by the thread.
    #[cfg(test)]
    passes: AtomicU64,
}

impl Checkpoints {
    pub(super) fn start(database: PathBuf) -> Result<Self, StoreError> {
        let (requests, requested) = sync_channel(1);
        let shared = Arc::<Shared>::default();
        let shared_with_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("checkpoints".to_owned())
            .spawn(move || run(&database, &requested, &shared_with_thread))
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(Checkpoints { requests: Some(requests), shared, thread: Some(thread) })
    }

    /// Makes each commit of `conn` check the length of the log.
    pub(super) fn watch(&self, conn: &mut Connection, bounds: Bounds) -> Result<(), Failure> {
        let Some(requests) = self.requests.clone() else { return Ok(()) };
        let shared = Arc::clone(&self.shared);
        conn.wal_hook(Some(move |log: &mut Wal, pages| {
            let done = shared.done.swap(false, Ordering::Relaxed);
            if pages >= bounds.at_once || done && pages >= bounds.soon {
                // Busy: the thread is checkpointing, and the next commit checks again. A failure here is none of the commit,
                // which is done.
                shared.note(log.checkpoint().map_err(store_error).err());
            } else if pages >= bounds.soon {
                let _ = requests.try_send(());
            }
            Ok(())
        }))?;
        Ok(())
    }

    /// Waits until everything that was committed before is checkpointed, unless a reader prevents it.
    #[cfg(test)]
    pub(super) fn wait(&self) {
        // A checkpoint in progress may have started before the last commit.
        let enough = self.shared.passes.load(Ordering::Acquire) + 2;
        while self.shared.passes.load(Ordering::Acquire) < enough {
            // Full: a checkpoint is requested already.
            let _ = self.requests.as_ref().expect("the thread runs").try_send(());
            std::thread::yield_now();
        }
    }

    /// Why the last checkpoint failed, if it is not reported yet.
    pub(super) fn take_failure(&self) -> Option<String> {
        self.shared.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Why nothing may be written any more: a checkpoint failed in a way after which the disk cannot be trusted.
    pub(super) fn broken(&self) -> Option<&StoreError> {
        self.shared.broken.get()
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        drop(self.requests.take());
        if let Some(thread) = self.thread.take() {
            // The thread closes its files before the folder is unlocked. A panic of the thread has been printed.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn note(&self, error: Option<StoreError>) {
        if let Some(error) = error.filter(|error| error.fatal().is_some()) {
            // Only the first is kept.
            let _ = self.broken.set(error);
        }
    }
}

fn run(database: &Path, requests: &Receiver<()>, shared: &Shared) {
    let mut conn = None;
    let mut failing = false;
    while requests.recv().is_ok() {
        let outcome = checkpoint(database, &mut conn).map_err(StoreError::from);
        #[cfg(test)]
        shared.passes.fetch_add(1, Ordering::Release);
        match &outcome {
            Ok(()) => shared.done.store(true, Ordering::Relaxed),
            // For example a full disk: the log stays, and the next commit requests a checkpoint again.
            Err(_) => conn = None,
        }
        // Reported once, and again only after a success.
        if let Err(error) = &outcome
            && !failing
        {
            *shared.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
        }
        failing = outcome.is_err();
        shared.note(outcome.err());
        // Requests of the meantime are dropped, so that the next commit finds the log unlocked and copies the rest.
        while requests.try_recv().is_ok() {}
    }
}

fn checkpoint(database: &Path, conn: &mut Option<Connection>) -> Result<(), Failure> {
    let conn = match conn {
        Some(conn) => conn,
        None => conn.insert(open::for_checkpoints(database)?),
    };
    // As many pages as possible without waiting for readers or the writer.
    conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
    Ok(())
}
