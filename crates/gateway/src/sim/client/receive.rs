//! The frames of the server, and the promises that they must keep.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use history::{RecordKind, Recorder};
use protocol::{
    Appended, ControlFrame, Done, ErrorCode, ErrorFrame, Event, EventKind, EventPage, Gap, Joined, OkFrame,
    ServerFrame,
};
use serde::de::DeserializeOwned;
use storage::MemoryStore;

use super::{Client, ConnectionState, PendingCommand, RoomView, observed_event};

impl Client {
    pub(in crate::sim) fn receive(&mut self, text: &str, store: &MemoryStore, recorder: &mut Recorder) {
        let frame: ServerFrame = serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"));
        match frame {
            ServerFrame::Event(event) => {
                recorder.record(RecordKind::Received {
                    connection: self.state().connection,
                    room: event.room,
                    event: observed_event(&event),
                });
                let stored = store.event(event.room, event.seq);
                assert!(
                    stored.as_deref() == Some(&event),
                    "promise 1: {event:?} was received, and {stored:?} is stored"
                );
                self.apply_event(&event);
            }
            ServerFrame::ControlFrame(ControlFrame::Welcome(welcome)) => {
                assert!(self.state.is_none(), "a second welcome");
                assert!(self.user.is_none_or(|user| user == welcome.you.id), "a welcome as another user");
                self.user = Some(welcome.you.id);
                let connection = recorder.opened(self.history_client, welcome.you.id, &welcome.epoch);
                self.state = Some(ConnectionState {
                    connection,
                    epoch: welcome.epoch,
                    pending: BTreeMap::new(),
                    resuming: BTreeMap::new(),
                    reset: BTreeSet::new(),
                });
                self.resume_rooms();
                self.resend_unacknowledged(recorder);
            }
            ServerFrame::ControlFrame(ControlFrame::Joined(joined)) => self.apply_joined(&joined, recorder),
            ServerFrame::ControlFrame(ControlFrame::Ok(ok)) => self.handle_ok(&ok, recorder),
            ServerFrame::ControlFrame(ControlFrame::Error(error)) => self.handle_error(&error, recorder),
            ServerFrame::ControlFrame(ControlFrame::Gap(gap)) => self.apply_gap(gap, recorder),
            ServerFrame::ControlFrame(ControlFrame::Reset(reset)) => {
                let Some(state) = &mut self.state else { panic!("before welcome: {text}") };
                recorder.reset(state.connection, reset.room);
                state.reset.insert(reset.room);
            }
            ServerFrame::ControlFrame(ControlFrame::Presence(_) | ControlFrame::Typing(_)) => {}
        }
    }

    fn apply_event(&mut self, event: &Event) {
        let user = self.user;
        let Some(view) = self.rooms.get_mut(&event.room).filter(|view| view.open) else {
            panic!("promise 6: {user:?} is not in {}, and receives #{}", event.room, event.seq);
        };
        if event.seq <= view.cursor {
            return;
        }
        assert!(
            event.seq == view.cursor.next(),
            "promise 2: {user:?} has #{} of {}, and receives #{} without a gap",
            view.cursor,
            event.room,
            event.seq
        );
        view.cursor = event.seq;
        let left = matches!(event.kind, EventKind::MemberLeft {}) && Some(event.by.id) == user;
        if left && event.seq > view.joined_at {
            self.rooms.remove(&event.room);
        }
    }

    fn apply_gap(&mut self, gap: Gap, recorder: &mut Recorder) {
        let user = self.user;
        let connection = self.state().connection;
        recorder.gap(connection, gap.room, gap.from, gap.to);
        let Some(view) = self.rooms.get_mut(&gap.room).filter(|view| view.open) else {
            panic!("promise 6: {user:?} is not in {}, and receives {gap:?}", gap.room);
        };
        let next = view.cursor.next();
        assert!(gap.from <= next, "promise 2: {user:?} has #{}, and receives {gap:?}", view.cursor);
        assert!(gap.to >= gap.from, "{gap:?}");
        if gap.to >= next {
            view.cursor = gap.to;
            view.gaps.push_back((next, gap.to));
            if view.gaps.len() == 1 {
                self.fetch_gap(gap.room);
            }
        }
    }

    fn apply_joined(&mut self, joined: &Joined, recorder: &mut Recorder) {
        let state = self.state.as_mut().expect("welcome comes first");
        let room = joined.info.room;
        let after = match joined.id {
            Some(id) => {
                let command = state.pending.remove(&id.0);
                assert!(
                    matches!(command, Some(PendingCommand::Join { .. })),
                    "{joined:?} answers {command:?}"
                );
                None
            }
            None => Some(state.resuming.remove(&room).unwrap_or_else(|| panic!("unrequested {joined:?}"))),
        };
        recorder.joined(state.connection, room, after, joined.head);
        let reset = state.reset.remove(&room);
        let epoch = state.epoch.clone();
        let name = joined.info.name.as_str().to_owned();
        let head = joined.head;
        let view = self.rooms.entry(room).or_insert_with(|| RoomView {
            name: String::new(),
            cursor: head,
            epoch: epoch.clone(),
            joined_at: head,
            open: false,
            leaving: false,
            gaps: VecDeque::new(),
        });
        match after {
            _ if reset => {
                view.cursor = head;
                view.gaps.clear();
            }
            // A cursor of another epoch without a `reset`.
            _ if view.epoch != epoch => panic!("promise 2: {room} of {:?} without a reset", view.epoch),
            Some(after) => assert!(after <= head, "promise 2: no reset: {joined:?} after {after}"),
            // Joined by name a room that was known under another name.
            None if !view.open => view.cursor = head,
            None => {}
        }
        (view.name, view.epoch, view.joined_at, view.open) = (name, epoch, head, true);
        self.fetch_gap(room);
    }

    fn handle_ok(&mut self, ok: &OkFrame, recorder: &mut Recorder) {
        let Some(id) = ok.id else { panic!("an ok without an id: {ok:?}") };
        let command = self.take_pending(id);
        let connection = self.state().connection;
        match command {
            PendingCommand::Send(key) => {
                let Appended { seq } = reply_of(ok);
                recorder.ok(connection, id, seq);
                self.unacknowledged.retain(|send| send.key != key);
            }
            PendingCommand::Leave(room) => {
                let Appended { seq } = reply_of(ok);
                recorder.ok(connection, id, seq);
                if self.rooms.get(&room).is_some_and(|view| view.joined_at < seq) {
                    self.rooms.remove(&room);
                }
            }
            PendingCommand::FetchGap(room) => {
                let page: EventPage = reply_of(ok);
                let events = page.events.iter().map(observed_event).collect();
                recorder.record(RecordKind::HistoryPage { connection, room, events });
                let Some(view) = self.rooms.get_mut(&room) else { return };
                let Some((from, to)) = view.gaps.front_mut() else { return };
                for event in page.events {
                    assert!(event.seq <= *from, "promise 2: history has #{}, not #{from}", event.seq);
                    if event.seq == *from {
                        *from = from.next();
                    }
                }
                if from > to {
                    view.gaps.pop_front();
                } else {
                    assert!(page.more, "promise 2: history ends before #{from} of {room}");
                }
                self.fetch_gap(room);
            }
            PendingCommand::Resume => {
                let Done {} = reply_of(ok);
                // Another `resume` may be pending.
                let is_pending = |command: &PendingCommand| matches!(command, PendingCommand::Resume);
                let state = self.state();
                if !state.pending.values().any(is_pending) {
                    assert!(state.resuming.is_empty(), "rooms without a reply: {:?}", state.resuming);
                }
            }
            PendingCommand::Other => {}
            PendingCommand::Join { .. } => panic!("a join was answered {ok:?}"),
        }
    }

    fn handle_error(&mut self, error: &ErrorFrame, recorder: &mut Recorder) {
        let connection = self.state().connection;
        let Some(id) = error.id else {
            let Some(room) = error.room else { panic!("a valid command was rejected: {error:?}") };
            let command = self.state().resuming.remove(&room).is_some();
            let open = self.rooms.get(&room).is_some_and(|view| view.open);
            // For an open room, the error reports that it was closed.
            assert!(command || open && !error.retryable, "unrequested {error:?}");
            if !error.retryable {
                recorder.room_closed(connection, room);
                self.rooms.remove(&room);
            }
            return;
        };
        match self.take_pending(id) {
            PendingCommand::Send(key) => {
                recorder.rejected(connection, id, error.code);
                assert!(error.code != ErrorCode::KeyConflict, "promise 3: {key} is in conflict with itself");
                let Some(at) = self.unacknowledged.iter().position(|send| send.key == key) else { return };
                if error.retryable {
                    self.unacknowledged[at].in_flight = false;
                } else {
                    self.unacknowledged.remove(at);
                }
            }
            PendingCommand::Leave(room) => {
                recorder.rejected(connection, id, error.code);
                // A retryable error leaves the outcome open, and the leave is repeated.
                if let Some(view) = self.rooms.get_mut(&room).filter(|_| !error.retryable) {
                    view.leaving = false;
                }
            }
            // Repeated by `retry`, unless the user was removed.
            PendingCommand::FetchGap(_) => {}
            PendingCommand::Join { .. } | PendingCommand::Other => {}
            PendingCommand::Resume => panic!("a whole resume was rejected: {error:?}"),
        }
    }
}

/// The reply of an operation, as docs/PROTOCOL.md describes it.
fn reply_of<R: DeserializeOwned>(ok: &OkFrame) -> R {
    ok.reply().unwrap_or_else(|error| panic!("{error}: {ok:?}"))
}
