//! Checkpoints of the write-ahead log on a separate thread, so that no message waits for one.
//!
//! The thread copies the pages that the log has when it starts. A busy writer adds pages meanwhile, and SQLite reuses the file
//! of the log only after all pages are copied. So the first commit after a checkpoint copies the few pages that were added.

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
    /// The length at which the thread checkpoints.
    pub(super) soon: i32,
    /// The length at which the commit itself checkpoints, unless the thread is doing so. Bounds the log if the thread cannot
    /// keep up.
    pub(super) at_once: i32,
}

impl Bounds {
    /// 16 MiB and 64 MiB. While a checkpoint syncs the database, a commit waits some milliseconds for the disk. At four times
    /// SQLite's default of 4 MiB this happens a quarter as often, and a start after a kill is not noticeably slower.
    pub(super) const USUAL: Bounds = Bounds { soon: 4_000, at_once: 16_000 };
}

/// A handle to the thread, which ends when the handle is dropped.
pub(super) struct Checkpoints {
    /// owner: the writer; cap 1; full => a checkpoint is already requested. `None` only while the handle is dropped.
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

    /// Makes each commit of `conn` compare the length of the log with `bounds`.
    pub(super) fn watch(&self, conn: &mut Connection, bounds: Bounds) -> Result<(), Failure> {
        let Some(requests) = self.requests.clone() else { return Ok(()) };
        let shared = Arc::clone(&self.shared);
        conn.wal_hook(Some(move |log: &mut Wal, pages| {
            let done = shared.done.swap(false, Ordering::Relaxed);
            if pages >= bounds.at_once || done && pages >= bounds.soon {
                // Busy: the thread is checkpointing, and the next commit tries again. The commit itself has succeeded, so a
                // failure here must not fail it.
                shared.note(log.checkpoint().map_err(store_error).err());
            } else if pages >= bounds.soon {
                let _ = requests.try_send(());
            }
            Ok(())
        }))?;
        Ok(())
    }

    /// Waits until everything committed so far is checkpointed, unless a reader prevents it.
    #[cfg(test)]
    pub(super) fn wait(&self) {
        // A checkpoint in progress may have started before the last commit, so only the one after it counts.
        let enough = self.shared.passes.load(Ordering::Acquire) + 2;
        while self.shared.passes.load(Ordering::Acquire) < enough {
            // Full: a checkpoint is already requested.
            let _ = self.requests.as_ref().expect("the thread runs").try_send(());
            std::thread::yield_now();
        }
    }

    /// The reason why the last checkpoint failed, unless it was already returned.
    pub(super) fn take_failure(&self) -> Option<String> {
        self.shared.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The reason why nothing may be written any more: a checkpoint failed in such a way that the disk cannot be trusted.
    pub(super) fn broken(&self) -> Option<&StoreError> {
        self.shared.broken.get()
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        drop(self.requests.take());
        if let Some(thread) = self.thread.take() {
            // The thread must close its files before the folder is unlocked. If it panicked, the panic was printed.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn note(&self, error: Option<StoreError>) {
        if let Some(error) = error.filter(|error| error.fatal().is_some()) {
            // Only the first error is kept.
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
            // For example a full disk: the log remains, and the next commit requests another checkpoint.
            Err(_) => conn = None,
        }
        // Reported once, and then only after a success in between: a full disk must not fill the log of the server.
        if let Err(error) = &outcome
            && !failing
        {
            *shared.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
        }
        failing = outcome.is_err();
        shared.note(outcome.err());
        // Requests that arrived meanwhile are dropped, so that the next commit finds the log unlocked and copies the rest.
        while requests.try_recv().is_ok() {}
    }
}

fn checkpoint(database: &Path, conn: &mut Option<Connection>) -> Result<(), Failure> {
    let conn = match conn {
        Some(conn) => conn,
        None => conn.insert(open::for_checkpoints(database)?),
    };
    // PASSIVE copies as many pages as possible without waiting for readers or the writer.
    conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
    Ok(())
}
