//! Clients that stop reading, each in its own way, until they are told to read on.

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

/// What a small kernel buffer holds, more or less; the server's side of the connection holds more.
const SMALL_BYTES: usize = 4 * 1024;
/// What a buffer has that has become large again.
const LARGE_BYTES: usize = 256 * 1024;
/// A client that stops in the middle of something has read so much of it, at most.
const A_LITTLE: u64 = 300;
/// How often whoever goes on talking says something.
const BETWEEN_WORDS: Duration = Duration::from_millis(500);
/// Commands that go with each message: their answers are what waits for a client that does not read.
const QUESTIONS: u32 = 50;
/// With so many unanswered commands it keeps silent. The server has stopped to take them long before.
const MOST_UNANSWERED: usize = 4_000;

/// Whether those who are to stall do.
#[derive(Debug, Default)]
pub(super) struct ReadPause {
    // owner: whoever does the harm; those who stall wait for it.
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

    /// Returns when they are to read on, or after so long.
    fn wait_until_over(&self, patience: Duration) {
        // A bool cannot be torn.
        let _ = self.changed.wait_timeout_while(self.lock(), patience, |now| *now);
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// In which way a client stalls.
#[derive(Clone, Copy, Debug)]
pub(super) struct SlowReader {
    /// The kernel holds little for it.
    window: Window,
    /// It stops in the middle of a frame, after so many bytes.
    reads_first: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Window {
    AsItIs,
    /// From the beginning.
    Small,
    /// It becomes small when the client stops reading, and large again.
    Shrunk,
}

impl SlowReader {
    pub(super) fn of(rng: &mut Rng) -> Self {
        let window = [Window::AsItIs, Window::Small, Window::Small, Window::Shrunk][rng.u64(..4) as usize];
        let reads_first = rng.bool().then(|| 1 + rng.u64(..A_LITTLE) as usize);
        SlowReader { window, reads_first }
    }

    /// What it asks the kernel for when it connects.
    pub(super) fn receive_buffer(self) -> Option<usize> {
        (self.window == Window::Small).then_some(SMALL_BYTES)
    }
}

impl RecordingClient {
    /// Reads nothing more until it is told to. Whoever has something to say goes on saying it.
    pub(super) fn pause_reading(
        &mut self,
        slow_reader: SlowReader,
        socket: &mut Client,
        on: ConnectionId,
        run: &RunState,
    ) -> Result<(), Exit> {
        self.history_file.now()?.note(format!("{on} stops reading: {slow_reader:?}"));
        if let Some(bytes) = slow_reader.reads_first {
            match socket.read_at_most(bytes) {
                // Nobody says anything: it stops between two frames.
                Ok(()) | Err(Error::Timeout) => {}
                Err(error) => return Err(error.into()),
            }
        }
        set_window(slow_reader, socket, SMALL_BYTES);
        while run.read_pause.is_on() {
            run.read_pause.wait_until_over(BETWEEN_WORDS);
            if self.role == Role::Writer && self.pending.len() + self.unanswered.len() < MOST_UNANSWERED {
                self.send_while_paused(socket, on)?;
            }
        }
        set_window(slow_reader, socket, LARGE_BYTES);
        self.history_file.now()?.note(format!("{on} reads on"));
        Ok(())
    }

    fn send_while_paused(&mut self, socket: &mut Client, on: ConnectionId) -> Result<(), Exit> {
        let Some(room) = self.rooms.keys().next().copied() else { return Ok(()) };
        self.compose(room)?;
        self.send_message(socket, on, self.unanswered.len() - 1)?;
        for _ in 0..QUESTIONS {
            let id = self.new_id(Pending::Ping);
            send_command(socket, id, Command::Ping(protocol::Ping {}))?;
        }
        Ok(())
    }
}

/// A kernel that refuses leaves a client that stalls with a large window: a way of its own.
fn set_window(slow_reader: SlowReader, socket: &Client, bytes: usize) {
    if slow_reader.window == Window::Shrunk || bytes == LARGE_BYTES {
        let _ = SockRef::from(socket.stream()).set_recv_buffer_size(bytes);
    }
}
