//! A client while it pauses reading.

use std::time::Duration;

use client::{Client, Error};
use history::ConnectionId;
use protocol::Command;

use super::recording_client::{Exit, Pending, RecordingClient, Role};
use super::run_state::RunState;
use super::send::send_command;
use super::slow_reader::SlowReader;

/// The interval at which a paused writer sends.
const PAUSED_SEND_INTERVAL: Duration = Duration::from_millis(500);
/// Commands with each message of a paused writer, so that replies accumulate at the server.
const PINGS_PER_MESSAGE: u32 = 50;
/// A paused writer stops sending at this many unanswered commands. The server has stopped reading long before.
const MAX_UNANSWERED: usize = 4_000;

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
        if let Some(bytes) = slow_reader.reads_first() {
            match socket.read_at_most(bytes) {
                // No frame arrived, so the client pauses between two frames.
                Ok(()) | Err(Error::Timeout) => {}
                Err(error) => return Err(error.into()),
            }
        }
        slow_reader.shrink_window(socket);
        while run.read_pause.is_on() {
            run.read_pause.wait_until_over(PAUSED_SEND_INTERVAL);
            if self.role == Role::Writer && self.pending.len() + self.unanswered.len() < MAX_UNANSWERED {
                self.send_while_paused(socket, on)?;
            }
        }
        slow_reader.grow_window(socket);
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
