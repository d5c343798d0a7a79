//! The threads that read the store, for pages of history, catch-ups and lists.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use protocol::ErrorCode;
use storage::{Reader, Store, StoreError};

use crate::critical_thread;

/// How many reads may wait. Beyond it a read is `overloaded`; a catch-up is submitted again at the next tick.
const QUEUE: usize = 4 * 1024;

type Read = Box<dyn FnOnce(&mut dyn Reader) + Send>;

/// A handle to the readers' threads. Clones share their queue.
#[derive(Clone)]
pub(crate) struct Readers {
    // owner: the reader threads; cap QUEUE; full => `overloaded`.
    queue: SyncSender<Read>,
}

impl Readers {
    /// Opens `count` readers and starts a thread for each.
    pub(crate) fn start(store: &dyn Store, count: usize) -> Result<Self, StoreError> {
        let (queue, inbox) = sync_channel::<Read>(QUEUE);
        let inbox = Arc::new(Mutex::new(inbox));
        for number in 0..count {
            let reader = store.reader()?;
            let inbox = Arc::clone(&inbox);
            critical_thread::spawn(format!("reader-{number}"), move || run(reader, &inbox))
                .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        }
        Ok(Readers { queue })
    }

    /// Calls `read` on a reader's thread. Never blocks.
    pub(crate) fn submit(
        &self,
        read: impl FnOnce(&mut dyn Reader) + Send + 'static,
    ) -> Result<(), ErrorCode> {
        self.queue.try_send(Box::new(read)).map_err(|error| match error {
            TrySendError::Full(_) => ErrorCode::Overloaded,
            TrySendError::Disconnected(_) => ErrorCode::ShuttingDown,
        })
    }

    /// Calls `read` on a reader's thread, and waits for its result.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut dyn Reader) -> T + Send + 'static,
    ) -> Result<T, ErrorCode> {
        let (sender, result) = tokio::sync::oneshot::channel();
        self.submit(move |reader| {
            let _ = sender.send(read(reader));
        })?;
        // The channel is closed only if the thread has panicked, which ends the process.
        result.await.map_err(|_| ErrorCode::Internal)
    }
}

fn run(mut reader: Box<dyn Reader>, inbox: &Mutex<Receiver<Read>>) {
    loop {
        // The lock is held while waiting: one thread waits for the next read, and the others wait for the lock.
        let read = inbox.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(read) = read else { return };
        read(&mut *reader);
    }
}
