//! Clients that pause reading on request, each in its own way.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use socket2::SockRef;

use client::Client;
use fastrand::Rng;

/// An approximate receive buffer in bytes; the server's side of the connection buffers more.
const SMALL_BYTES: usize = 4 * 1024;
/// The receive buffer after the pause, in bytes.
const LARGE_BYTES: usize = 256 * 1024;
/// A client that pauses within a frame has read at most this many bytes of it.
const MAX_PARTIAL_READ: u64 = 300;

/// Whether slow readers pause now.
#[derive(Debug, Default)]
pub(super) struct ReadPause {
    // owner: the thread of `record`; slow readers wait for it.
    now: Mutex<bool>,
    changed: Condvar,
}

impl ReadPause {
    pub(super) fn set(&self, now: bool) {
        *self.lock() = now;
        self.changed.notify_all();
    }

    pub(super) fn is_on(&self) -> bool {
        *self.lock()
    }

    /// Returns when reading may resume, or after the timeout.
    pub(super) fn wait_until_over(&self, patience: Duration) {
        // A poisoned lock does not matter: a bool is never half-written.
        let _ = self.changed.wait_timeout_while(self.lock(), patience, |now| *now);
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The way in which a client pauses reading.
#[derive(Clone, Copy, Debug)]
pub(super) struct SlowReader {
    /// When the receive buffer is small.
    window: Window,
    /// If set, the client pauses within a frame, after this many bytes.
    reads_first: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Window {
    Unchanged,
    /// Small from the start.
    Small,
    /// Small during the pause, and large after it.
    Shrunk,
}

impl SlowReader {
    pub(super) fn of(rng: &mut Rng) -> Self {
        let window = [Window::Unchanged, Window::Small, Window::Small, Window::Shrunk][rng.u64(..4) as usize];
        let reads_first = rng.bool().then(|| 1 + rng.u64(..MAX_PARTIAL_READ) as usize);
        SlowReader { window, reads_first }
    }

    /// The receive buffer to request on connect.
    pub(super) fn receive_buffer(self) -> Option<usize> {
        (self.window == Window::Small).then_some(SMALL_BYTES)
    }

    /// If set, the number of bytes of a frame that the client reads before it pauses.
    pub(super) fn reads_first(self) -> Option<usize> {
        self.reads_first
    }

    /// Prepares the receive buffer for the pause. If the kernel rejects a size, the client pauses with a large buffer, which
    /// is another valid case.
    pub(super) fn shrink_window(self, socket: &Client) {
        if self.window == Window::Shrunk {
            let _ = SockRef::from(socket.stream()).set_recv_buffer_size(SMALL_BYTES);
        }
    }

    /// Makes the receive buffer large after the pause.
    pub(super) fn grow_window(self, socket: &Client) {
        let _ = SockRef::from(socket.stream()).set_recv_buffer_size(LARGE_BYTES);
    }
}
