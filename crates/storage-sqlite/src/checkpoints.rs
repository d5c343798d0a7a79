//! The write-ahead log goes into the database on a thread of its own, so that no message waits for it.
//!
//! The thread takes in what the log holds when it begins. A busy writer has gone on meanwhile, and only a log of which nothing is
//! left is begun anew: so the commit after the thread has done its part takes in the little that has come since.

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

/// When the log is brought into the database, by how many pages it has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// The thread does it.
    pub(super) soon: i32,
    /// The commit that finds so many does it itself, unless the thread is at it: about what bounds the log when the thread cannot
    /// keep up.
    pub(super) at_once: i32,
}

impl Bounds {
    /// 16 MiB and 64 MiB. While a checkpoint syncs the database a commit waits some milliseconds for the disk, also beside this
    /// thread: four times SQLite's own 4 MiB makes that four times rarer, and a start after a kill no slower than one can see.
    pub(super) const USUAL: Bounds = Bounds { soon: 4_000, at_once: 16_000 };
}

/// The thread, and the way to it.
pub(super) struct Checkpoints {
    /// Cap 1; full: it has been asked already. None only while this is dropped.
    ask: Option<SyncSender<()>>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    // Owner: whoever finds it, once; the writer looks before each transaction.
    broken: OnceLock<StoreError>,
    // Owner: the thread sets it when it has taken in what there was; the commit that sees it takes it back.
    done: AtomicBool,
    // Owner: the thread puts it there; the next commit takes it along to whoever keeps the diary.
    failure: Mutex<Option<String>>,
    // Owner: the thread counts them.
    #[cfg(test)]
    passes: AtomicU64,
}

impl Checkpoints {
    pub(super) fn start(database: PathBuf) -> Result<Self, StoreError> {
        let (ask, asked) = sync_channel(1);
        let shared = Arc::<Shared>::default();
        let threads = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("checkpoints".to_owned())
            .spawn(move || run(&database, &asked, &threads))
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(Checkpoints { ask: Some(ask), shared, thread: Some(thread) })
    }

    /// Has each commit of `conn` look at how long the log has become.
    pub(super) fn watch(&self, conn: &mut Connection, bounds: Bounds) -> Result<(), Failure> {
        let Some(ask) = self.ask.clone() else { return Ok(()) };
        let shared = Arc::clone(&self.shared);
        conn.wal_hook(Some(move |log: &mut Wal, pages| {
            let done = shared.done.swap(false, Ordering::Relaxed);
            if pages >= bounds.at_once || done && pages >= bounds.soon {
                // Busy: the thread is at it, and the next commit looks again. No failure here is one of the commit, which is
                // done.
                shared.note(log.checkpoint().map_err(store_error).err());
            } else if pages >= bounds.soon {
                let _ = ask.try_send(());
            }
            Ok(())
        }))?;
        Ok(())
    }

    /// Returns when all that was committed before has been checkpointed, unless a reader was in the way.
    #[cfg(test)]
    pub(super) fn wait(&self) {
        // The one that is under way may have begun before.
        let enough = self.shared.passes.load(Ordering::Acquire) + 2;
        while self.shared.passes.load(Ordering::Acquire) < enough {
            // Full: it has been asked already.
            let _ = self.ask.as_ref().expect("it lives").try_send(());
            std::thread::yield_now();
        }
    }

    /// Why the last checkpoint failed, if nobody has been told.
    pub(super) fn take_failure(&self) -> Option<String> {
        self.shared.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Why nothing may be written any more, if a checkpoint found that the disk cannot be trusted.
    pub(super) fn broken(&self) -> Option<&StoreError> {
        self.shared.broken.get()
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        drop(self.ask.take());
        if let Some(thread) = self.thread.take() {
            // Its files are closed before the folder is given up. A panic of it has been printed.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn note(&self, error: Option<StoreError>) {
        if let Some(error) = error.filter(|error| error.fatal().is_some()) {
            // Only the first is told.
            let _ = self.broken.set(error);
        }
    }
}

fn run(database: &Path, asked: &Receiver<()>, shared: &Shared) {
    let mut conn = None;
    let mut failing = false;
    while asked.recv().is_ok() {
        let outcome = checkpoint(database, &mut conn).map_err(StoreError::from);
        #[cfg(test)]
        shared.passes.fetch_add(1, Ordering::Release);
        match &outcome {
            Ok(()) => shared.done.store(true, Ordering::Relaxed),
            // A full disk, say: the log stays, and the next commit asks again.
            Err(_) => conn = None,
        }
        // Told once, and again only after it went well.
        if let Err(error) = &outcome
            && !failing
        {
            *shared.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
        }
        failing = outcome.is_err();
        shared.note(outcome.err());
        // Commits have asked meanwhile. The next one is to find the log's lock free and take in what is left.
        while asked.try_recv().is_ok() {}
    }
}

fn checkpoint(database: &Path, conn: &mut Option<Connection>) -> Result<(), Failure> {
    let conn = match conn {
        Some(conn) => conn,
        None => conn.insert(open::for_checkpoints(database)?),
    };
    // As far as it goes without anybody waiting.
    conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?;
    Ok(())
}
