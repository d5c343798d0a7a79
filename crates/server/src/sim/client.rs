//! An honest client of docs/PROTOCOL.md: a cursor for each room, which only events move; it resumes, says again unchanged what
//! was not answered, and reads what a `gap` named. What it cannot forgive it panics about.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use history::{ConnectionId, ObservedEvent, ObservedKind, RecordKind, Recorder};
use protocol::{
    ClientMessageId, CommandId, CommandResult, ControlFrame, Epoch, ErrorCode, ErrorFrame, Event, EventKind,
    Gap, Joined, MessageBody, OkFrame, RoomId, Seq, ServerFrame, UserId,
};
use serde_json::{Value, json};
use storage::{MemoryStore, TokenHash};

use super::rng::Rng;

/// The rooms that there are, by name.
pub(super) const ROOMS: [&str; 4] = ["lobby", "a", "b", "c"];

/// An event for the history. A line that somebody said has no key, so that nobody can tell it from another: for the history it
/// is just an event, and `lines.rs` has an eye on it.
pub(super) fn observed_event(event: &Event) -> ObservedEvent {
    let observed = ObservedEvent::of(event);
    let kind = if observed.key.is_none() && observed.kind == ObservedKind::Message {
        ObservedKind::Other
    } else {
        observed.kind
    };
    ObservedEvent { kind, ..observed }
}

/// A message that somebody wants to be said.
#[derive(Clone, Debug)]
struct Saying {
    room: RoomId,
    key: ClientMessageId,
    body: MessageBody,
    /// Said on this connection, and not answered yet.
    asked: bool,
}

/// What a client holds of a room.
#[derive(Debug)]
struct Place {
    name: String,
    /// The last event applied, and the epoch in which it was learned.
    cursor: Seq,
    epoch: Epoch,
    /// The head that the last `joined` named.
    joined_at: Seq,
    /// Events come on this connection.
    open: bool,
    leaving: bool,
    /// Named by `gap`, and not read yet.
    missing: VecDeque<(Seq, Seq)>,
}

/// A command that waits for its reply.
#[derive(Debug)]
enum Asked {
    Join { name: String },
    Resume,
    Leave(RoomId),
    Send(ClientMessageId),
    Fill(RoomId),
    Other,
}

/// As long as it is connected.
struct Online {
    connection: ConnectionId,
    epoch: Epoch,
    asked: BTreeMap<u64, Asked>,
    resuming: BTreeMap<RoomId, Seq>,
    /// Whose `joined` follows a `reset`.
    reset: BTreeSet<RoomId>,
}

pub(super) struct Client {
    who: history::ClientId,
    /// The number by which its messages are told from those of others.
    number: u64,
    pub(super) session: Option<TokenHash>,
    pub(super) user: Option<UserId>,
    online: Option<Online>,
    rooms: BTreeMap<RoomId, Place>,
    unsaid: VecDeque<Saying>,
    next_id: u64,
    next_key: u64,
    pub(super) outgoing: Vec<Value>,
}

impl Client {
    pub(super) fn new(number: u64, session: Option<TokenHash>, recorder: &mut Recorder) -> Self {
        Client {
            who: recorder.new_client(),
            number,
            session,
            user: None,
            online: None,
            rooms: BTreeMap::new(),
            unsaid: VecDeque::new(),
            next_id: 0,
            next_key: 0,
            outgoing: Vec::new(),
        }
    }

    /// The session is worth nothing any more: whoever this was comes back as somebody else, who knows nothing.
    pub(super) fn begin_anew(&mut self, session: Option<TokenHash>, recorder: &mut Recorder) {
        let next_key = self.next_key;
        *self = Client { next_key, ..Client::new(self.number, session, recorder) };
    }

    /// The connection has ended.
    pub(super) fn hang_up(&mut self, code: u16, recorder: &mut Recorder) {
        if let Some(online) = self.online.take() {
            recorder.closed(online.connection, code);
        }
        for replies in &mut self.unsaid {
            replies.asked = false;
        }
        for place in self.rooms.values_mut() {
            (place.open, place.leaving) = (false, false);
        }
        self.outgoing.clear();
    }

    /// A frame came.
    pub(super) fn take(&mut self, text: &str, store: &MemoryStore, recorder: &mut Recorder) {
        let frame: ServerFrame = serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"));
        match frame {
            ServerFrame::Event(event) => {
                recorder.record(RecordKind::Received {
                    connection: self.online().connection,
                    room: event.room,
                    event: observed_event(&event),
                });
                let stored = store.event(event.room, event.seq);
                assert!(
                    stored.as_deref() == Some(&event),
                    "promise 1: {event:?} was heard, and {stored:?} is stored"
                );
                self.event(&event);
            }
            ServerFrame::ControlFrame(ControlFrame::Welcome(welcome)) => {
                assert!(self.online.is_none(), "welcomed twice");
                assert!(self.user.is_none_or(|user| user == welcome.you.id), "welcomed as somebody else");
                self.user = Some(welcome.you.id);
                let connection = recorder.opened(self.who, welcome.you.id, &welcome.epoch);
                self.online = Some(Online {
                    connection,
                    epoch: welcome.epoch,
                    asked: BTreeMap::new(),
                    resuming: BTreeMap::new(),
                    reset: BTreeSet::new(),
                });
                self.resume();
                self.say_again(recorder);
            }
            ServerFrame::ControlFrame(ControlFrame::Joined(joined)) => self.joined(&joined, recorder),
            ServerFrame::ControlFrame(ControlFrame::Ok(ok)) => self.ok(ok, recorder),
            ServerFrame::ControlFrame(ControlFrame::Error(error)) => self.error(&error, recorder),
            ServerFrame::ControlFrame(ControlFrame::Gap(gap)) => self.gap(gap, recorder),
            ServerFrame::ControlFrame(ControlFrame::Reset(reset)) => {
                let Some(online) = &mut self.online else { panic!("before welcome: {text}") };
                recorder.reset(online.connection, reset.room);
                online.reset.insert(reset.room);
            }
            ServerFrame::ControlFrame(ControlFrame::Presence(_) | ControlFrame::Typing(_)) => {}
        }
    }

    fn online(&mut self) -> &mut Online {
        self.online.as_mut().expect("welcome comes first")
    }

    fn ask(&mut self, asked: Asked, mut command: Value) -> CommandId {
        self.next_id += 1;
        let id = self.next_id;
        command["id"] = id.into();
        self.outgoing.push(command);
        self.online().asked.insert(id, asked);
        CommandId(id)
    }

    fn answered(&mut self, id: CommandId) -> Asked {
        let asked = self.online().asked.remove(&id.0);
        asked.unwrap_or_else(|| panic!("promise 2: {id} was not asked, or was answered before"))
    }

    /// All rooms, each at its cursor, by the epoch in which that was learned.
    fn resume(&mut self) {
        let mut lives: BTreeMap<String, BTreeMap<RoomId, Seq>> = BTreeMap::new();
        for (room, place) in &self.rooms {
            lives.entry(place.epoch.0.clone()).or_default().insert(*room, place.cursor);
        }
        for (epoch, rooms) in lives {
            let command = json!({"type": "resume", "rooms": &rooms, "epoch": epoch});
            self.online().resuming.extend(rooms);
            self.ask(Asked::Resume, command);
        }
    }

    /// Whatever was not answered, unchanged and in its order.
    fn say_again(&mut self, recorder: &mut Recorder) {
        for at in 0..self.unsaid.len() {
            let replies = &mut self.unsaid[at];
            if std::mem::replace(&mut replies.asked, true) {
                continue;
            }
            let Saying { room, key, body, .. } = replies.clone();
            let command = json!({
                "type": "send", "room": room, "client_message_id": key.as_str(), "body": body.as_str()
            });
            let id = self.ask(Asked::Send(key.clone()), command);
            let connection = self.online().connection;
            recorder.send(connection, id, room, &key, &body);
        }
    }

    fn event(&mut self, event: &Event) {
        let user = self.user;
        let Some(place) = self.rooms.get_mut(&event.room).filter(|place| place.open) else {
            panic!("promise 6: {user:?} is not in {}, and hears #{}", event.room, event.seq);
        };
        if event.seq <= place.cursor {
            return;
        }
        assert!(
            event.seq == place.cursor.next(),
            "promise 2: {user:?} has #{} of {}, and hears #{} without a gap",
            place.cursor,
            event.room,
            event.seq
        );
        place.cursor = event.seq;
        let left = matches!(event.kind, EventKind::MemberLeft {}) && Some(event.by.id) == user;
        if left && event.seq > place.joined_at {
            self.rooms.remove(&event.room);
        }
    }

    fn gap(&mut self, gap: Gap, recorder: &mut Recorder) {
        let user = self.user;
        let connection = self.online().connection;
        recorder.gap(connection, gap.room, gap.from, gap.to);
        let Some(place) = self.rooms.get_mut(&gap.room).filter(|place| place.open) else {
            panic!("promise 6: {user:?} is not in {}, and hears {gap:?}", gap.room);
        };
        let next = place.cursor.next();
        assert!(gap.from <= next, "promise 2: {user:?} has #{}, and hears {gap:?}", place.cursor);
        assert!(gap.to >= gap.from, "{gap:?}");
        if gap.to >= next {
            place.cursor = gap.to;
            place.missing.push_back((next, gap.to));
            if place.missing.len() == 1 {
                self.fill(gap.room);
            }
        }
    }

    /// Reads the first stretch that is missing.
    fn fill(&mut self, room: RoomId) {
        let Some(&(from, _)) = self.rooms.get(&room).and_then(|place| place.missing.front()) else { return };
        let waits = |asked: &Asked| matches!(asked, Asked::Fill(of) if *of == room);
        if self.online().asked.values().any(waits) {
            return;
        }
        let command = json!({"type": "history", "room": room, "after": from.0 - 1, "limit": 7});
        self.ask(Asked::Fill(room), command);
    }

    fn joined(&mut self, joined: &Joined, recorder: &mut Recorder) {
        let online = self.online.as_mut().expect("welcome comes first");
        let room = joined.room;
        let after = match joined.id {
            Some(id) => {
                let asked = online.asked.remove(&id.0);
                assert!(matches!(asked, Some(Asked::Join { .. })), "{joined:?} answers {asked:?}");
                None
            }
            None => {
                Some(online.resuming.remove(&room).unwrap_or_else(|| panic!("nobody asked for {joined:?}")))
            }
        };
        recorder.joined(online.connection, room, after, joined.head);
        let reset = online.reset.remove(&room);
        let epoch = online.epoch.clone();
        let name = joined.name.as_str().to_owned();
        let head = joined.head;
        let place = self.rooms.entry(room).or_insert_with(|| Place {
            name: String::new(),
            cursor: head,
            epoch: epoch.clone(),
            joined_at: head,
            open: false,
            leaving: false,
            missing: VecDeque::new(),
        });
        match after {
            _ if reset => {
                place.cursor = head;
                place.missing.clear();
            }
            // Of another epoch, and no `reset`.
            _ if place.epoch != epoch => panic!("promise 2: {room} of {:?} without a reset", place.epoch),
            Some(after) => assert!(after <= head, "promise 2: no reset: {joined:?} after {after}"),
            // Came by its name to a room that had not been known under it.
            None if !place.open => place.cursor = head,
            None => {}
        }
        (place.name, place.epoch, place.joined_at, place.open) = (name, epoch, head, true);
        self.fill(room);
    }

    fn ok(&mut self, ok: OkFrame, recorder: &mut Recorder) {
        let Some(id) = ok.id else { panic!("an ok without an id: {ok:?}") };
        let asked = self.answered(id);
        let connection = self.online().connection;
        match (asked, ok.outcome) {
            (Asked::Send(key), CommandResult::Appended { seq }) => {
                recorder.ok(connection, id, seq);
                self.unsaid.retain(|replies| replies.key != key);
            }
            (Asked::Leave(room), CommandResult::Appended { seq }) => {
                recorder.ok(connection, id, seq);
                if self.rooms.get(&room).is_some_and(|place| place.joined_at < seq) {
                    self.rooms.remove(&room);
                }
            }
            (Asked::Fill(room), CommandResult::Events(page)) => {
                let events = page.events.iter().map(observed_event).collect();
                recorder.record(RecordKind::HistoryPage { connection, room, events });
                let Some(place) = self.rooms.get_mut(&room) else { return };
                let Some((from, to)) = place.missing.front_mut() else { return };
                for event in page.events {
                    assert!(event.seq <= *from, "promise 2: history has #{}, not #{from}", event.seq);
                    if event.seq == *from {
                        *from = from.next();
                    }
                }
                if from > to {
                    place.missing.pop_front();
                } else {
                    assert!(page.more, "promise 2: history ends before #{from} of {room}");
                }
                self.fill(room);
            }
            (Asked::Resume, CommandResult::Done {}) => {
                // Others may be under way.
                let waits = |asked: &Asked| matches!(asked, Asked::Resume);
                let online = self.online();
                if !online.asked.values().any(waits) {
                    assert!(online.resuming.is_empty(), "without an answer: {:?}", online.resuming);
                }
            }
            (Asked::Other, _) => {}
            (asked, outcome) => panic!("{asked:?} was answered {outcome:?}"),
        }
    }

    fn error(&mut self, error: &ErrorFrame, recorder: &mut Recorder) {
        let connection = self.online().connection;
        let Some(id) = error.id else {
            let Some(room) = error.room else { panic!("an honest client was refused: {error:?}") };
            let asked = self.online().resuming.remove(&room).is_some();
            let open = self.rooms.get(&room).is_some_and(|place| place.open);
            // Of a room that is open it says that it is not any more.
            assert!(asked || open && !error.retryable, "nobody asked: {error:?}");
            if !error.retryable {
                recorder.room_closed(connection, room);
                self.rooms.remove(&room);
            }
            return;
        };
        match self.answered(id) {
            Asked::Send(key) => {
                recorder.refused(connection, id, error.code);
                assert!(error.code != ErrorCode::KeyConflict, "promise 3: {key} is in conflict with itself");
                let Some(at) = self.unsaid.iter().position(|replies| replies.key == key) else { return };
                if error.retryable {
                    self.unsaid[at].asked = false;
                } else {
                    self.unsaid.remove(at);
                }
            }
            Asked::Leave(room) => {
                recorder.refused(connection, id, error.code);
                // Whether it was done may not be known; then it is asked again. One who is no member is told so.
                if let Some(place) = self.rooms.get_mut(&room).filter(|_| !error.retryable) {
                    place.leaving = false;
                }
            }
            // Somebody who was removed will hear of it; somebody who is let in again by then still lacks it.
            Asked::Fill(_) => {}
            Asked::Join { .. } | Asked::Other => {}
            Asked::Resume => panic!("a resume as a whole was refused: {error:?}"),
        }
    }

    /// Some time has passed: what had to wait is tried again.
    pub(super) fn resume_io(&mut self, recorder: &mut Recorder) {
        if self.online.is_none() {
            return;
        }
        self.say_again(recorder);
        for room in self.rooms.keys().copied().collect::<Vec<_>>() {
            self.fill(room);
            let waits = |asked: &Asked| matches!(asked, Asked::Leave(of) if *of == room);
            if self.rooms[&room].leaving && !self.online().asked.values().any(waits) {
                self.leave(room, recorder);
            }
        }
        // Rooms of a `resume` that could not be opened then.
        let online = self.online();
        let resumes = online.asked.values().any(|asked| matches!(asked, Asked::Resume));
        if !resumes && self.rooms.values().any(|place| !place.open) {
            let closed = self.rooms.iter().filter(|(_, place)| !place.open);
            let closed: Vec<_> = closed.map(|(r, place)| (*r, place.cursor, place.epoch.clone())).collect();
            for (room, cursor, epoch) in closed {
                let command = json!({"type": "resume", "rooms": {room.to_string(): cursor}, "epoch": epoch});
                self.online().resuming.insert(room, cursor);
                self.ask(Asked::Resume, command);
            }
        }
    }

    /// Something that a person does.
    pub(super) fn act(&mut self, rng: &mut Rng, recorder: &mut Recorder) {
        self.resume_io(recorder);
        if self.online.is_none() {
            return;
        }
        let open: Vec<RoomId> = self
            .rooms
            .iter()
            .filter(|(_, place)| place.open && !place.leaving)
            .map(|(room, _)| *room)
            .collect();
        if open.is_empty() {
            return self.join(rng);
        }
        let room = *rng.of(&open);
        match rng.below(40) {
            0..=2 => self.join(rng),
            3 => {
                if let Some(place) = self.rooms.get_mut(&room) {
                    place.leaving = true;
                }
                self.leave(room, recorder);
            }
            4 => drop(self.ask(Asked::Other, json!({"type": "typing", "room": room}))),
            5 => drop(self.ask(Asked::Other, json!({"type": "who", "room": room}))),
            6 => drop(self.ask(Asked::Other, json!({"type": "rooms"}))),
            7 => drop(self.ask(Asked::Other, json!({"type": "history", "room": room, "limit": 5}))),
            8 => {
                let name = format!("person {}", rng.below(50));
                self.ask(Asked::Other, json!({"type": "rename", "name": name}));
            }
            9 => {
                let seq = rng.below(50);
                self.ask(Asked::Other, json!({"type": "read", "room": room, "seq": seq}));
            }
            10 => drop(self.ask(Asked::Other, json!({"type": "ping"}))),
            _ => {
                let many = if rng.one_in(5) { 1 + rng.below(8) } else { 1 };
                for _ in 0..many {
                    self.send_frame(room, rng);
                }
                self.say_again(recorder);
            }
        }
    }

    fn leave(&mut self, room: RoomId, recorder: &mut Recorder) {
        let id = self.ask(Asked::Leave(room), json!({"type": "leave", "room": room}));
        let connection = self.online().connection;
        recorder.leave(connection, id, room);
    }

    /// In one of its rooms, if it has any.
    pub(super) fn say_something(&mut self, rng: &mut Rng, recorder: &mut Recorder) {
        let open: Vec<RoomId> = self.rooms.keys().copied().collect();
        if self.online.is_some() && !open.is_empty() {
            self.send_frame(*rng.of(&open), rng);
            self.say_again(recorder);
        }
    }

    fn join(&mut self, rng: &mut Rng) {
        let name = *rng.of(&ROOMS);
        let known = self.rooms.values().any(|place| place.name == name);
        let asked = |asked: &Asked| matches!(asked, Asked::Join { name: of } if of == name);
        if !known && !self.online().asked.values().any(asked) {
            self.ask(Asked::Join { name: name.to_owned() }, json!({"type": "join", "room": name}));
        }
    }

    fn send_frame(&mut self, room: RoomId, rng: &mut Rng) {
        self.next_key += 1;
        let key = format!("c{}-{}", self.number, self.next_key);
        let padding = *rng.of(&[0, 0, 0, 50, 500, 8000]);
        let body = format!("{key} {}", "茶".repeat(padding / 3));
        let body = MessageBody::new(body, 8192).expect("short, and not white space");
        let key = ClientMessageId::new(key).expect("short, and visible ASCII");
        self.unsaid.push_back(Saying { room, key, body, asked: false });
    }

    /// Why it is not at rest; `None` if it is.
    pub(super) fn waits_for(&self, store: &MemoryStore) -> Option<String> {
        let Some(online) = &self.online else { return Some("a connection".to_owned()) };
        if let Some((id, asked)) = online.asked.first_key_value() {
            return Some(format!("the answer to ({id}) {asked:?}"));
        }
        if let Some(replies) = self.unsaid.front() {
            return Some(format!("an answer to {}", replies.key));
        }
        for (room, place) in &self.rooms {
            let head = store.head(*room);
            if !place.open {
                return Some(format!("{room} to be open"));
            }
            if place.cursor != head {
                return Some(format!("#{} of {room}, whose head is #{head}", place.cursor.next()));
            }
            if let Some((from, _)) = place.missing.front() {
                return Some(format!("#{from} of {room}, which a gap had named"));
            }
        }
        None
    }

    /// Where its connection stands in the history.
    pub(super) fn connection(&self) -> Option<ConnectionId> {
        self.online.as_ref().map(|online| online.connection)
    }

    /// The rooms that it hears.
    pub(super) fn rooms(&self) -> BTreeSet<RoomId> {
        self.rooms.keys().copied().collect()
    }
}
