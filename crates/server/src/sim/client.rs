//! A client that follows docs/PROTOCOL.md: it keeps a cursor per room, resumes after a reconnect, repeats unacknowledged sends
//! unchanged, and fetches the ranges that a `gap` reports. It panics when the server violates a promise.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use history::{ConnectionId, ObservedEvent, ObservedKind, RecordKind, Recorder};
use protocol::{
    Appended, ClientMessageId, CommandId, ControlFrame, Done, Epoch, ErrorCode, ErrorFrame, Event, EventKind,
    EventPage, Gap, Joined, MessageBody, OkFrame, RoomId, Seq, ServerFrame, UserId,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use storage::{MemoryStore, TokenHash};

use super::rng::Rng;

/// The names of the rooms of the simulation.
pub(super) const ROOMS: [&str; 4] = ["lobby", "a", "b", "c"];

/// An event for the history. A message without a key, from a line of plain text, cannot be matched with a send, so the history
/// records it as another event; `lines.rs` checks those messages.
pub(super) fn observed_event(event: &Event) -> ObservedEvent {
    let observed = ObservedEvent::of(event);
    let kind = if observed.key.is_none() && observed.kind == ObservedKind::Message {
        ObservedKind::Other
    } else {
        observed.kind
    };
    ObservedEvent { kind, ..observed }
}

/// A message that has not been acknowledged.
#[derive(Clone, Debug)]
struct PendingSend {
    room: RoomId,
    key: ClientMessageId,
    body: MessageBody,
    /// Whether it was sent on the current connection and has no reply yet.
    in_flight: bool,
}

/// The state of a room in the client.
#[derive(Debug)]
struct RoomView {
    name: String,
    /// The last applied event, and the epoch of that event.
    cursor: Seq,
    epoch: Epoch,
    /// The head of the last `joined`.
    joined_at: Seq,
    /// Whether the room is open on the current connection.
    open: bool,
    leaving: bool,
    /// Ranges reported by `gap` that have not been fetched yet.
    gaps: VecDeque<(Seq, Seq)>,
}

/// A command without a reply yet.
#[derive(Debug)]
enum PendingCommand {
    Join { name: String },
    Resume,
    Leave(RoomId),
    Send(ClientMessageId),
    FetchGap(RoomId),
    Other,
}

/// The state of the current connection.
struct ConnectionState {
    connection: ConnectionId,
    epoch: Epoch,
    pending: BTreeMap<u64, PendingCommand>,
    resuming: BTreeMap<RoomId, Seq>,
    /// The rooms that received a `reset`; their `joined` follows.
    reset: BTreeSet<RoomId>,
}

pub(super) struct Client {
    history_client: history::ClientId,
    /// The number that distinguishes the messages of this client from those of others.
    number: u64,
    pub(super) session: Option<TokenHash>,
    pub(super) user: Option<UserId>,
    state: Option<ConnectionState>,
    rooms: BTreeMap<RoomId, RoomView>,
    unacknowledged: VecDeque<PendingSend>,
    next_id: u64,
    next_key: u64,
    pub(super) outgoing: Vec<Value>,
}

impl Client {
    pub(super) fn new(number: u64, session: Option<TokenHash>, recorder: &mut Recorder) -> Self {
        Client {
            history_client: recorder.new_client(),
            number,
            session,
            user: None,
            state: None,
            rooms: BTreeMap::new(),
            unacknowledged: VecDeque::new(),
            next_id: 0,
            next_key: 0,
            outgoing: Vec::new(),
        }
    }

    /// Continues as a new user without state, because the session is invalid.
    pub(super) fn reset(&mut self, session: Option<TokenHash>, recorder: &mut Recorder) {
        let next_key = self.next_key;
        *self = Client { next_key, ..Client::new(self.number, session, recorder) };
    }

    /// Handles the end of the connection.
    pub(super) fn disconnect(&mut self, code: u16, recorder: &mut Recorder) {
        if let Some(state) = self.state.take() {
            recorder.closed(state.connection, code);
        }
        for send in &mut self.unacknowledged {
            send.in_flight = false;
        }
        for view in self.rooms.values_mut() {
            (view.open, view.leaving) = (false, false);
        }
        self.outgoing.clear();
    }

    /// Handles a frame of the server.
    pub(super) fn receive(&mut self, text: &str, store: &MemoryStore, recorder: &mut Recorder) {
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

    fn state(&mut self) -> &mut ConnectionState {
        self.state.as_mut().expect("welcome comes first")
    }

    fn send_command(&mut self, pending: PendingCommand, mut command: Value) -> CommandId {
        self.next_id += 1;
        let id = self.next_id;
        command["id"] = id.into();
        self.outgoing.push(command);
        self.state().pending.insert(id, pending);
        CommandId(id)
    }

    fn take_pending(&mut self, id: CommandId) -> PendingCommand {
        let command = self.state().pending.remove(&id.0);
        command.unwrap_or_else(|| panic!("promise 2: a reply to {id}, which is not pending"))
    }

    /// Resumes all rooms at their cursors, with one command per epoch of the cursors.
    fn resume_rooms(&mut self) {
        let mut by_epoch: BTreeMap<String, BTreeMap<RoomId, Seq>> = BTreeMap::new();
        for (room, view) in &self.rooms {
            by_epoch.entry(view.epoch.0.clone()).or_default().insert(*room, view.cursor);
        }
        for (epoch, rooms) in by_epoch {
            let command = json!({"type": "resume", "rooms": &rooms, "epoch": epoch});
            self.state().resuming.extend(rooms);
            self.send_command(PendingCommand::Resume, command);
        }
    }

    /// Repeats the unacknowledged sends, unchanged and in order.
    fn resend_unacknowledged(&mut self, recorder: &mut Recorder) {
        for at in 0..self.unacknowledged.len() {
            let send = &mut self.unacknowledged[at];
            if std::mem::replace(&mut send.in_flight, true) {
                continue;
            }
            let PendingSend { room, key, body, .. } = send.clone();
            let command = json!({
                "type": "send", "room": room, "client_message_id": key.as_str(), "body": body.as_str()
            });
            let id = self.send_command(PendingCommand::Send(key.clone()), command);
            let connection = self.state().connection;
            recorder.send(connection, id, room, &key, &body);
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

    /// Fetches the first missing range of a room.
    fn fetch_gap(&mut self, room: RoomId) {
        let Some(&(from, _)) = self.rooms.get(&room).and_then(|view| view.gaps.front()) else { return };
        let is_pending =
            |command: &PendingCommand| matches!(command, PendingCommand::FetchGap(of) if *of == room);
        if self.state().pending.values().any(is_pending) {
            return;
        }
        let command = json!({"type": "history", "room": room, "after": from.0 - 1, "limit": 7});
        self.send_command(PendingCommand::FetchGap(room), command);
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
                recorder.refused(connection, id, error.code);
                assert!(error.code != ErrorCode::KeyConflict, "promise 3: {key} is in conflict with itself");
                let Some(at) = self.unacknowledged.iter().position(|send| send.key == key) else { return };
                if error.retryable {
                    self.unacknowledged[at].in_flight = false;
                } else {
                    self.unacknowledged.remove(at);
                }
            }
            PendingCommand::Leave(room) => {
                recorder.refused(connection, id, error.code);
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

    /// Repeats what failed: sends, history requests, leaves, resumes.
    pub(super) fn retry(&mut self, recorder: &mut Recorder) {
        if self.state.is_none() {
            return;
        }
        self.resend_unacknowledged(recorder);
        for room in self.rooms.keys().copied().collect::<Vec<_>>() {
            self.fetch_gap(room);
            let is_pending =
                |command: &PendingCommand| matches!(command, PendingCommand::Leave(of) if *of == room);
            if self.rooms[&room].leaving && !self.state().pending.values().any(is_pending) {
                self.send_leave(room, recorder);
            }
        }
        // The rooms whose resume failed.
        let state = self.state();
        let resumes = state.pending.values().any(|command| matches!(command, PendingCommand::Resume));
        if !resumes && self.rooms.values().any(|view| !view.open) {
            let closed = self.rooms.iter().filter(|(_, view)| !view.open);
            let closed: Vec<_> = closed.map(|(r, view)| (*r, view.cursor, view.epoch.clone())).collect();
            for (room, cursor, epoch) in closed {
                let command = json!({"type": "resume", "rooms": {room.to_string(): cursor}, "epoch": epoch});
                self.state().resuming.insert(room, cursor);
                self.send_command(PendingCommand::Resume, command);
            }
        }
    }

    /// Performs a random action of a user.
    pub(super) fn act(&mut self, rng: &mut Rng, recorder: &mut Recorder) {
        self.retry(recorder);
        if self.state.is_none() {
            return;
        }
        let open: Vec<RoomId> =
            self.rooms.iter().filter(|(_, view)| view.open && !view.leaving).map(|(room, _)| *room).collect();
        if open.is_empty() {
            return self.send_join(rng);
        }
        let room = *rng.of(&open);
        match rng.below(40) {
            0..=2 => self.send_join(rng),
            3 => {
                if let Some(view) = self.rooms.get_mut(&room) {
                    view.leaving = true;
                }
                self.send_leave(room, recorder);
            }
            4 => {
                self.send_command(PendingCommand::Other, json!({"type": "typing", "room": room}));
            }
            5 => {
                self.send_command(PendingCommand::Other, json!({"type": "who", "room": room}));
            }
            6 => {
                self.send_command(PendingCommand::Other, json!({"type": "rooms"}));
            }
            7 => {
                self.send_command(
                    PendingCommand::Other,
                    json!({"type": "history", "room": room, "limit": 5}),
                );
            }
            8 => {
                let name = format!("person {}", rng.below(50));
                self.send_command(PendingCommand::Other, json!({"type": "rename", "name": name}));
            }
            9 => {
                let seq = rng.below(50);
                self.send_command(PendingCommand::Other, json!({"type": "read", "room": room, "seq": seq}));
            }
            10 => {
                self.send_command(PendingCommand::Other, json!({"type": "ping"}));
            }
            _ => {
                let many = if rng.one_in(5) { 1 + rng.below(8) } else { 1 };
                for _ in 0..many {
                    self.queue_message(room, rng);
                }
                self.resend_unacknowledged(recorder);
            }
        }
    }

    fn send_leave(&mut self, room: RoomId, recorder: &mut Recorder) {
        let id = self.send_command(PendingCommand::Leave(room), json!({"type": "leave", "room": room}));
        let connection = self.state().connection;
        recorder.leave(connection, id, room);
    }

    /// Sends a message to one of its rooms, if it has any.
    pub(super) fn send_message(&mut self, rng: &mut Rng, recorder: &mut Recorder) {
        let open: Vec<RoomId> = self.rooms.keys().copied().collect();
        if self.state.is_some() && !open.is_empty() {
            self.queue_message(*rng.of(&open), rng);
            self.resend_unacknowledged(recorder);
        }
    }

    fn send_join(&mut self, rng: &mut Rng) {
        let name = *rng.of(&ROOMS);
        let known = self.rooms.values().any(|view| view.name == name);
        let command =
            |command: &PendingCommand| matches!(command, PendingCommand::Join { name: of } if of == name);
        if !known && !self.state().pending.values().any(command) {
            self.send_command(
                PendingCommand::Join { name: name.to_owned() },
                json!({"type": "join", "room": name}),
            );
        }
    }

    fn queue_message(&mut self, room: RoomId, rng: &mut Rng) {
        self.next_key += 1;
        let key = format!("c{}-{}", self.number, self.next_key);
        let padding = *rng.of(&[0, 0, 0, 50, 500, 8000]);
        let body = format!("{key} {}", "茶".repeat(padding / 3));
        let body = MessageBody::new(body, 8192).expect("a valid body");
        let key = ClientMessageId::new(key).expect("a valid key");
        self.unacknowledged.push_back(PendingSend { room, key, body, in_flight: false });
    }

    /// What the client is waiting for; `None` if it is quiescent.
    pub(super) fn pending_work(&self, store: &MemoryStore) -> Option<String> {
        let Some(state) = &self.state else { return Some("a connection".to_owned()) };
        if let Some((id, command)) = state.pending.first_key_value() {
            return Some(format!("the reply to ({id}) {command:?}"));
        }
        if let Some(send) = self.unacknowledged.front() {
            return Some(format!("an acknowledgement of {}", send.key));
        }
        for (room, view) in &self.rooms {
            let head = store.head(*room);
            if !view.open {
                return Some(format!("{room} to be open"));
            }
            if view.cursor != head {
                return Some(format!("#{} of {room}, whose head is #{head}", view.cursor.next()));
            }
            if let Some((from, _)) = view.gaps.front() {
                return Some(format!("#{from} of {room}, which a gap reported"));
            }
        }
        None
    }

    /// The id of the current connection in the history.
    pub(super) fn connection(&self) -> Option<ConnectionId> {
        self.state.as_ref().map(|state| state.connection)
    }

    /// The rooms that the client has joined.
    pub(super) fn rooms(&self) -> BTreeSet<RoomId> {
        self.rooms.keys().copied().collect()
    }
}

/// The reply of an operation, as docs/PROTOCOL.md describes it.
fn reply_of<R: DeserializeOwned>(ok: &OkFrame) -> R {
    ok.reply().unwrap_or_else(|error| panic!("{error}: {ok:?}"))
}
