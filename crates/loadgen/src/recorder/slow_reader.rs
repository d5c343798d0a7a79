//! Clients that pause reading on request, each in its own way.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use history::ConnectionId;
use protocol::Command;
use socket2::SockRef;

use super::client_pool::RunState;
use super::recording_client::{Exit, Pending, RecordingClient, Role};
use super::send::send_command;
use client::{Client, Error};
use fastrand::Rng;

/// An approximate receive buffer in bytes; the server's side of the connection buffers more.
const SMALL_BYTES: usize = 4 * 1024;
/// The receive buffer after the pause, in bytes.
const LARGE_BYTES: usize = 256 * 1024;
/// A client that pauses within a frame has read at most this many bytes of it.
const MAX_PARTIAL_READ: u64 = 300;
/// The interval at which a paused writer sends.
const PAUSED_SEND_INTERVAL: Duration = Duration::from_millis(500);
/// Commands with each message of a paused writer, so that replies accumulate at the server.
const PINGS_PER_MESSAGE: u32 = 50;
/// A paused writer stops sending at this many unanswered commands. The server has stopped reading long before.
const MAX_UNANSWERED: usize = 4_000;

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
    fn wait_until_over(&self, patience: Duration) {
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
}

impl RecordingClient {
    /// Reads nothing until the pause ends. A writer continues to send.
    pub(super) fn pause_reading(
        &mut self,
        slow_reader: SlowReader,
        socket: &mut Client,
        on: ConnectionId,
        run: &RunState,
    ) -> Result<(), Exit> {
        self.history_file.now()?.note(format!("{on} pauses reading: {slow_reader:?}"));
        if let Some(bytes) = slow_reader.reads_first {
            match socket.read_at_most(bytes) {
                // No frame arrived, so the client pauses between two frames.
                Ok(()) | Err(Error::Timeout) => {}
                Err(error) => return Err(error.into()),
            }
        }
        set_window(slow_reader, socket, SMALL_BYTES);
        while run.read_pause.is_on() {
            run.read_pause.wait_until_over(PAUSED_SEND_INTERVAL);
            if self.role == Role::Writer && self.pending.len() + self.unanswered.len() < MAX_UNANSWERED {
                self.send_while_paused(socket, on)?;
            }
        }
        set_window(slow_reader, socket, LARGE_BYTES);
        self.history_file.now()?.note(format!("{on} resumes reading"));
        Ok(())
    }

    fn send_while_paused(&mut self, socket: &mut Client, on: ConnectionId) -> Result<(), Exit> {
        let Some(room) = self.rooms.keys().next().copied() else { return Ok(()) };
        self.compose(room)?;
        self.send_message(socket, on, self.unanswered.len() - 1)?;
        for _ in 0..PINGS_PER_MESSAGE {
            let id = self.new_id(Pending::Ping);
            send_command(socket, id, Command::Ping(protocol::Ping {}))?;
        }
        Ok(())
    }
}

/// Sets the receive buffer. If the kernel rejects the size, the client pauses with a large buffer, which is another valid
/// case.
fn set_window(slow_reader: SlowReader, socket: &Client, bytes: usize) {
    if slow_reader.window == Window::Shrunk || bytes == LARGE_BYTES {
        let _ = SockRef::from(socket.stream()).set_recv_buffer_size(bytes);
    }
}
