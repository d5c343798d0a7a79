//! What becomes of each frame.

use protocol::{
    CommandId, CommandResult, ControlFrame, ErrorCode, ErrorFrame, Event, Gap, Joined, Seq, ServerFrame,
};

use super::person::{Pending, Place, Stop, Witness};
use client::Client;

impl Witness {
    pub(super) fn take(
        &mut self,
        socket: &mut Client,
        on: history::Connection,
        frame: ServerFrame,
    ) -> Result<(), Stop> {
        match frame {
            ServerFrame::Event(event) => self.hear(on, &event)?,
            ServerFrame::ControlFrame(ControlFrame::Ok(ok)) => {
                if let Some(id) = ok.id {
                    self.take_ok(socket, on, id, ok.outcome)?;
                }
            }
            ServerFrame::ControlFrame(ControlFrame::Error(error)) => self.take_error(socket, on, &error)?,
            ServerFrame::ControlFrame(ControlFrame::Joined(joined)) => self.take_joined(on, &joined)?,
            ServerFrame::ControlFrame(ControlFrame::Gap(gap)) => self.take_gap(socket, on, gap)?,
            ServerFrame::ControlFrame(ControlFrame::Reset(reset)) => {
                self.diary.now()?.reset(on, reset.room);
                if let Some(place) = self.rooms.get_mut(&reset.room) {
                    // `joined` follows, and says from where it goes on.
                    place.holes.clear();
                    place.was_reset = true;
                }
            }
            ServerFrame::ControlFrame(
                ControlFrame::Welcome(_) | ControlFrame::Presence(_) | ControlFrame::Typing(_),
            ) => {}
        }
        Ok(())
    }

    fn hear(&mut self, on: history::Connection, event: &Event) -> Result<(), Stop> {
        self.diary.now()?.heard(on, event);
        if let Some(place) = self.rooms.get_mut(&event.room) {
            place.at = place.at.max(event.seq);
        }
        Ok(())
    }

    fn take_joined(&mut self, on: history::Connection, joined: &Joined) -> Result<(), Stop> {
        let place = self.rooms.entry(joined.room).or_default();
        // A `join` names no cursor here, and bears a number; a room of a `resume` bears none.
        let after = joined.id.is_none().then_some(place.named);
        if place.was_reset || after.is_none() {
            *place = Place { at: joined.head, ..Place::default() };
        }
        self.diary.now()?.joined(on, joined.room, after, joined.head);
        if let Some(id) = joined.id {
            self.pending.remove(&id);
        }
        Ok(())
    }

    fn take_gap(&mut self, socket: &mut Client, on: history::Connection, gap: Gap) -> Result<(), Stop> {
        self.diary.now()?.gap(on, gap.room, gap.from, gap.to);
        if let Some(place) = self.rooms.get_mut(&gap.room) {
            place.at = place.at.max(gap.to);
            place.holes.push((gap.from, gap.to));
        }
        self.ask_history(socket, gap.room)
    }

    fn take_ok(
        &mut self,
        socket: &mut Client,
        on: history::Connection,
        id: CommandId,
        outcome: CommandResult,
    ) -> Result<(), Stop> {
        match (self.pending.remove(&id), outcome) {
            (Some(Pending::History(room)), CommandResult::Events(page)) => {
                self.diary.now()?.filled(on, room, &page.events);
                if let Some(place) = self.rooms.get_mut(&room) {
                    let last = page.events.last().map_or(Seq(0), |event| event.seq);
                    if let Some(hole) = place.holes.first_mut() {
                        hole.0 = hole.0.max(last.next());
                    }
                    place.holes.retain(|(from, to)| from <= to);
                }
                self.ask_history(socket, room)?;
            }
            (Some(Pending::Leave(room)), CommandResult::Appended { seq }) => {
                self.diary.now()?.ok(on, id, seq);
                self.rooms.remove(&room);
                self.join_again(socket, room)?;
            }
            (Some(_), _) => {}
            (None, CommandResult::Appended { seq }) => {
                self.diary.now()?.ok(on, id, seq);
                self.forget(id);
            }
            // No other command goes out without being kept.
            (None, outcome) => {
                self.diary.now()?.note(format!("{on}: ok ({id}) to nothing: {outcome:?}"));
            }
        }
        Ok(())
    }

    fn take_error(
        &mut self,
        socket: &mut Client,
        on: history::Connection,
        error: &ErrorFrame,
    ) -> Result<(), Stop> {
        let Some(id) = error.id else {
            // A room of a `resume`: a `leave` that was not answered was done after all.
            if let Some(room) = error.room {
                if !error.retryable {
                    self.diary.now()?.gone(on, room);
                }
                self.rooms.remove(&room);
                self.join_again(socket, room)?;
            }
            return Ok(());
        };
        match self.pending.remove(&id) {
            Some(Pending::Leave(room)) => {
                self.diary.now()?.refused(on, id, error.code);
                if error.code == ErrorCode::NotAMember {
                    self.rooms.remove(&room);
                    self.join_again(socket, room)?;
                }
            }
            Some(Pending::History(room)) => self.ask_history(socket, room)?,
            Some(Pending::Join | Pending::Resume | Pending::Ping) => {
                self.diary.now()?.note(format!("{on}: ({id}) was refused: {}", error.code));
                // The next connection tries again.
                return Err(client::Error::Refused(error.clone()).into());
            }
            None => {
                self.diary.now()?.refused(on, id, error.code);
                if error.retryable {
                    let refused = self.unanswered.iter_mut().find(|message| message.in_flight == Some(id));
                    if let Some(message) = refused {
                        message.in_flight = None;
                    }
                } else {
                    self.forget(id);
                }
            }
        }
        Ok(())
    }

    /// It was answered, and need not be said again. (If it was said again already, that is what has to be answered.)
    fn forget(&mut self, id: CommandId) {
        let before = self.unanswered.len();
        self.unanswered.retain(|message| message.in_flight != Some(id));
        self.tally.answer(before - self.unanswered.len());
    }
}
