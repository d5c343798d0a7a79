//! Handling of the frames that a client receives.

use protocol::{
    Appended, CommandId, ControlFrame, ErrorCode, ErrorFrame, Event, EventPage, Gap, Joined, OkFrame, Seq,
    ServerFrame,
};

use super::recording_client::{Exit, Pending, RecordingClient, RoomState};
use client::{Client, read_reply};

impl RecordingClient {
    pub(super) fn handle_frame(
        &mut self,
        socket: &mut Client,
        on: history::ConnectionId,
        frame: ServerFrame,
    ) -> Result<(), Exit> {
        match frame {
            ServerFrame::Event(event) => self.receive_event(on, &event)?,
            ServerFrame::ControlFrame(ControlFrame::Ok(ok)) => {
                if let Some(id) = ok.id {
                    self.handle_ok(socket, on, id, &ok)?;
                }
            }
            ServerFrame::ControlFrame(ControlFrame::Error(error)) => self.handle_error(socket, on, &error)?,
            ServerFrame::ControlFrame(ControlFrame::Joined(joined)) => self.handle_joined(on, &joined)?,
            ServerFrame::ControlFrame(ControlFrame::Gap(gap)) => self.handle_gap(socket, on, gap)?,
            ServerFrame::ControlFrame(ControlFrame::Reset(reset)) => {
                self.history_file.now()?.reset(on, reset.room);
                if let Some(room_state) = self.rooms.get_mut(&reset.room) {
                    // A `joined` with the new cursor follows.
                    room_state.gaps.clear();
                    room_state.was_reset = true;
                }
            }
            ServerFrame::ControlFrame(
                ControlFrame::Welcome(_) | ControlFrame::Presence(_) | ControlFrame::Typing(_),
            ) => {}
        }
        Ok(())
    }

    fn receive_event(&mut self, on: history::ConnectionId, event: &Event) -> Result<(), Exit> {
        self.history_file.now()?.received(on, event);
        if let Some(room_state) = self.rooms.get_mut(&event.room) {
            room_state.cursor = room_state.cursor.max(event.seq);
        }
        Ok(())
    }

    fn handle_joined(&mut self, on: history::ConnectionId, joined: &Joined) -> Result<(), Exit> {
        let room_state = self.rooms.entry(joined.info.room).or_default();
        // A `join` of these clients has no cursor, and its `joined` has an id; the `joined` of a `resume` has none.
        let after = joined.id.is_none().then_some(room_state.resumed_from);
        if room_state.was_reset || after.is_none() {
            *room_state = RoomState { cursor: joined.head, ..RoomState::default() };
        }
        self.history_file.now()?.joined(on, joined.info.room, after, joined.head);
        if let Some(id) = joined.id {
            self.pending.remove(&id);
        }
        Ok(())
    }

    fn handle_gap(&mut self, socket: &mut Client, on: history::ConnectionId, gap: Gap) -> Result<(), Exit> {
        self.history_file.now()?.gap(on, gap.room, gap.from, gap.to);
        if let Some(room_state) = self.rooms.get_mut(&gap.room) {
            room_state.cursor = room_state.cursor.max(gap.to);
            room_state.gaps.push((gap.from, gap.to));
        }
        self.request_history(socket, gap.room)
    }

    fn handle_ok(
        &mut self,
        socket: &mut Client,
        on: history::ConnectionId,
        id: CommandId,
        ok: &OkFrame,
    ) -> Result<(), Exit> {
        match self.pending.remove(&id) {
            Some(Pending::History(room)) => {
                let page: EventPage = read_reply(ok)?;
                self.history_file.now()?.history_page(on, room, &page.events);
                if let Some(room_state) = self.rooms.get_mut(&room) {
                    let last = page.events.last().map_or(Seq(0), |event| event.seq);
                    if let Some(gap_range) = room_state.gaps.first_mut() {
                        gap_range.0 = gap_range.0.max(last.next());
                    }
                    room_state.gaps.retain(|(from, to)| from <= to);
                }
                self.request_history(socket, room)?;
            }
            Some(Pending::Leave(room)) => {
                let Appended { seq } = read_reply(ok)?;
                self.history_file.now()?.ok(on, id, seq);
                self.rooms.remove(&room);
                self.rejoin(socket, room)?;
            }
            Some(Pending::Join | Pending::Resume | Pending::Ping) => {}
            // All other commands are in `pending`.
            None => match ok.reply() {
                Ok(Appended { seq }) => {
                    self.history_file.now()?.ok(on, id, seq);
                    self.settle(id);
                }
                Err(_) => {
                    self.history_file.now()?.note(format!("{on}: ok ({id}) without a command: {ok:?}"));
                }
            },
        }
        Ok(())
    }

    fn handle_error(
        &mut self,
        socket: &mut Client,
        on: history::ConnectionId,
        error: &ErrorFrame,
    ) -> Result<(), Exit> {
        let Some(id) = error.id else {
            // A room of a `resume` was closed: an unanswered `leave` was carried out after all.
            if let Some(room) = error.room {
                if !error.retryable {
                    self.history_file.now()?.room_closed(on, room);
                }
                self.rooms.remove(&room);
                self.rejoin(socket, room)?;
            }
            return Ok(());
        };
        match self.pending.remove(&id) {
            Some(Pending::Leave(room)) => {
                self.history_file.now()?.rejected(on, id, error.code);
                if error.code == ErrorCode::NotAMember {
                    self.rooms.remove(&room);
                    self.rejoin(socket, room)?;
                }
            }
            Some(Pending::History(room)) => self.request_history(socket, room)?,
            Some(Pending::Join | Pending::Resume | Pending::Ping) => {
                self.history_file.now()?.note(format!("{on}: ({id}) was rejected: {}", error.code));
                // The next connection retries it.
                return Err(client::Error::Rejected(error.clone()).into());
            }
            None => {
                self.history_file.now()?.rejected(on, id, error.code);
                if error.retryable {
                    let rejected = self.unanswered.iter_mut().find(|message| message.in_flight == Some(id));
                    if let Some(message) = rejected {
                        message.in_flight = None;
                    }
                } else {
                    self.settle(id);
                }
            }
        }
        Ok(())
    }

    /// Removes the message that this reply answers. If it was already resent, only the reply to the resend counts.
    fn settle(&mut self, id: CommandId) {
        let before = self.unanswered.len();
        self.unanswered.retain(|message| message.in_flight != Some(id));
        self.counters.on_replies(before - self.unanswered.len());
    }
}
