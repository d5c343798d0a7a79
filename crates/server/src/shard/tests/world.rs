//! A world for a shard: pipes in memory for sockets, a store in memory, and time that passes when it is told to. What runs in
//! it is the shard itself.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bus::Delivery;
use bytes::Bytes;
use proto::{Epoch, ErrorCode, Limits, Person, RoomId, Timestamp, UserId, UserName};
use rules::{Presence, Rates, RoomLimits};
use serde_json::Value;
use store::{Author, Batch, MemoryStore, Reader, Request, Store, Ticket, TokenHash, Write, Writer};
use websocket::{Decoder, Message, Opcode};

use super::super::{ConnKey, Link, Outside, Query, Settings, Shard};
use crate::arrival::{Identity, Speaks};
use crate::metrics::Metrics;
use crate::queries;
use crate::round::{Answer, Committed, Word, events_before};

/// One end of a connection in memory.
#[derive(Clone, Default)]
pub(super) struct Pipe(Rc<Wire>);

#[derive(Default)]
struct Wire {
    to_server: RefCell<VecDeque<u8>>,
    to_client: RefCell<Vec<u8>>,
    /// How many bytes the client still takes.
    room: Cell<usize>,
    writes: Cell<usize>,
    ended: Cell<bool>,
}

impl Link for Pipe {
    fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut waiting = self.0.to_server.borrow_mut();
        if waiting.is_empty() {
            return if self.0.ended.get() { Ok(0) } else { Err(io::ErrorKind::WouldBlock.into()) };
        }
        let len = waiting.len().min(buffer.len());
        for (slot, byte) in buffer.iter_mut().zip(waiting.drain(..len)) {
            *slot = byte;
        }
        Ok(len)
    }

    fn try_write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let offered: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
        let taken = offered.len().min(self.0.room.get());
        if taken == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.0.writes.set(self.0.writes.get() + 1);
        self.0.room.set(self.0.room.get() - taken);
        self.0.to_client.borrow_mut().extend_from_slice(&offered[..taken]);
        Ok(taken)
    }

    fn finish_writing(&mut self) {}
}

/// The house as it is in memory: the writer's and the readers' queues are emptied when [`World::settle`] says so.
#[derive(Default)]
pub(super) struct Memory {
    requests: Vec<(Author, Write, u64)>,
    queries: Vec<Query>,
    asides: Vec<(RoomId, Bytes)>,
    presence: Presence,
    /// The writer, or the readers, have no time.
    pub(super) overloaded: bool,
}

impl Outside for Memory {
    fn write(&mut self, author: Author, deed: Write, ticket: u64) -> Result<(), ErrorCode> {
        if self.overloaded {
            return Err(ErrorCode::Overloaded);
        }
        self.requests.push((author, deed, ticket));
        Ok(())
    }

    fn read(&mut self, query: Query) -> Result<(), ErrorCode> {
        if self.overloaded {
            return Err(ErrorCode::Overloaded);
        }
        self.queries.push(query);
        Ok(())
    }

    fn aside(&mut self, room: RoomId, frame: Bytes) {
        self.asides.push((room, frame));
    }

    fn presence<T>(&mut self, look: impl FnOnce(&mut Presence) -> T) -> T {
        look(&mut self.presence)
    }

    fn session_renamed(&mut self, _: &TokenHash, _: &UserName) {}

    fn session_stored(&mut self, _: &TokenHash) {}
}

pub(super) struct World {
    pub(super) shard: Shard<Pipe, Memory>,
    pub(super) now: Duration,
    writer: Box<dyn Writer>,
    reader: Box<dyn Reader>,
    /// The bus drops every word while this is set.
    pub(super) bus_is_down: bool,
    /// What was committed and has not come to the shard yet.
    rounds: VecDeque<Delivery<Word, Answer>>,
}

/// A client at the other end of a pipe.
pub(super) struct Peer {
    pub(super) key: ConnKey,
    pipe: Pipe,
    decoder: Decoder,
}

impl World {
    pub(super) fn new() -> Self {
        let store = MemoryStore::new(RoomLimits::default());
        World {
            writer: store.writer().unwrap(),
            reader: store.reader().unwrap(),
            shard: Shard::new(settings(), Memory::default(), Metrics::new()),
            now: Duration::ZERO,
            bus_is_down: false,
            rounds: VecDeque::new(),
        }
    }

    /// Somebody with a session connects, and gets their welcome.
    pub(super) fn arrive(&mut self, user: u64) -> Peer {
        self.arrive_as(user, Speaks::Json, Some(TokenHash([u8::try_from(user).unwrap(); 32])))
    }

    pub(super) fn arrive_as(&mut self, user: u64, speaks: Speaks, session: Option<TokenHash>) -> Peer {
        let peer = self.arrive_quietly(user, speaks, session);
        self.settle();
        peer
    }

    /// Somebody connects; nothing follows yet.
    pub(super) fn arrive_quietly(&mut self, user: u64, speaks: Speaks, session: Option<TokenHash>) -> Peer {
        let pipe = Pipe::default();
        pipe.0.room.set(usize::MAX);
        let person = Person { id: UserId(user), name: UserName::new(&format!("guest {user}")).unwrap() };
        let identity = Identity { person, session, stored: false };
        let key = self.shard.handle_arrival(self.now, pipe.clone(), identity, speaks);
        Peer { key, pipe, decoder: Decoder::client() }
    }

    /// Somebody connects and joins the lobby; what they got so far is forgotten.
    pub(super) fn arrive_in_lobby(&mut self, user: u64) -> Peer {
        let mut peer = self.arrive(user);
        self.say(&peer, r#"{"type":"join","id":1,"room":"lobby"}"#);
        peer.take();
        peer
    }

    /// A client sends a text message, and all that follows from it happens.
    pub(super) fn say(&mut self, peer: &Peer, text: &str) {
        self.bytes(peer, &websocket::masked_frame(Opcode::Text, text.as_bytes(), [1, 2, 3, 4]));
        self.settle();
    }

    /// A client says something in the lobby.
    pub(super) fn send(&mut self, peer: &Peer, key: &str, body: &str) {
        self.say(peer, &send_in_lobby(key, body));
    }

    /// Bytes of a client arrive; nothing follows yet.
    pub(super) fn bytes(&mut self, peer: &Peer, bytes: &[u8]) {
        peer.pipe.0.to_server.borrow_mut().extend(bytes);
        if self.shard.connection(peer.key).is_some() {
            self.shard.handle_readable(self.now, peer.key.index);
        }
    }

    /// A client hangs up.
    pub(super) fn hang_up(&mut self, peer: &Peer) {
        self.hang_up_quietly(peer);
        self.settle();
    }

    /// A client hangs up; nothing follows yet.
    pub(super) fn hang_up_quietly(&mut self, peer: &Peer) {
        peer.pipe.0.ended.set(true);
        if self.shard.connection(peer.key).is_some() {
            self.shard.handle_readable(self.now, peer.key.index);
        }
    }

    /// A client takes so many bytes more.
    pub(super) fn make_room(&mut self, peer: &Peer, bytes: usize) {
        self.make_room_quietly(peer, bytes);
        self.settle();
    }

    /// A client takes so many bytes more; nothing follows yet.
    pub(super) fn make_room_quietly(&mut self, peer: &Peer, bytes: usize) {
        peer.pipe.0.room.set(bytes);
        if self.shard.connection(peer.key).is_some() {
            self.shard.handle_writable(self.now, peer.key.index);
        }
    }

    /// Time passes, a tick at a time.
    pub(super) fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            self.now += Duration::from_millis(100);
            self.shard.handle_timeout(self.now);
            self.settle();
        }
    }

    /// The shard works until it has nothing to do; the writer and the readers wait.
    ///
    /// # Panics
    /// When it never comes to rest.
    pub(super) fn work(&mut self) {
        for _ in 0..100_000 {
            if !self.shard.work(self.now) {
                return;
            }
        }
        panic!("the shard does not come to rest");
    }

    /// The writer commits all that waits for it, at once.
    pub(super) fn commit_all(&mut self) {
        let requests = std::mem::take(&mut self.shard.outside.requests);
        if !requests.is_empty() {
            self.commit(requests);
        }
    }

    /// All that was committed comes to the shard.
    pub(super) fn deliver_all(&mut self) {
        while let Some(delivery) = self.rounds.pop_front() {
            let dropped = delivery.word.is_none();
            self.shard.handle_round(self.now, delivery);
            if dropped {
                self.shard.handle_missed(self.now);
            }
        }
        for (room, frame) in std::mem::take(&mut self.shard.outside.asides) {
            let word = (!self.bus_is_down).then(|| Arc::new(Word::Aside { room, frame }));
            self.shard.handle_round(self.now, Delivery { word, answers: Vec::new() });
        }
    }

    /// The readers carry out all that waits for them.
    pub(super) fn read_all(&mut self) {
        for query in std::mem::take(&mut self.shard.outside.queries) {
            let found = queries::carry_out(query, &mut *self.reader);
            self.shard.handle_found(self.now, found);
        }
    }

    /// Who is said to be online in a room.
    pub(super) fn online(&self, room: u64) -> std::collections::BTreeSet<u64> {
        let people = self.shard.outside.presence.online(RoomId(room), usize::MAX);
        people.into_iter().map(|person| person.id.0).collect()
    }

    /// Whether nobody is said to be online anywhere.
    pub(super) fn nobody_is_online(&self) -> bool {
        (1..64).all(|room| self.shard.outside.presence.count(RoomId(room)) == 0)
    }

    /// A client sends a text message; nothing follows yet.
    pub(super) fn text(&mut self, peer: &Peer, text: &str) {
        self.bytes(peer, &websocket::masked_frame(Opcode::Text, text.as_bytes(), [1, 2, 3, 4]));
    }

    /// Everything that was asked for happens, until nothing is left to do.
    pub(super) fn settle(&mut self) {
        loop {
            self.work();
            if self.is_at_rest() {
                return;
            }
            self.commit_all();
            self.deliver_all();
            self.read_all();
        }
    }

    /// Whether nothing waits for anybody outside.
    pub(super) fn is_at_rest(&self) -> bool {
        let outside = &self.shard.outside;
        outside.requests.is_empty()
            && outside.queries.is_empty()
            && outside.asides.is_empty()
            && self.rounds.is_empty()
    }

    /// What the store knows of a room: its events.
    pub(super) fn events_of(&mut self, room: u64) -> Vec<proto::Event> {
        let bounds = store::PageBounds { limit: u32::MAX - 1, max_bytes: usize::MAX };
        self.reader.events_after(RoomId(room), proto::Seq(0), None, bounds).unwrap().events
    }

    /// Whether the store has somebody as a member.
    pub(super) fn is_member(&mut self, room: u64, user: u64) -> bool {
        self.reader.is_member(RoomId(room), UserId(user)).unwrap()
    }

    /// As the writer's thread does it.
    fn commit(&mut self, requests: Vec<(Author, Write, u64)>) {
        let tickets: Vec<u64> = requests.iter().map(|(_, _, ticket)| *ticket).collect();
        let numbered = requests.into_iter().enumerate();
        let requests =
            numbered.map(|(at, (author, deed, _))| Request { ticket: Ticket(at as u64), author, deed });
        let mut batch: Batch = self.writer.commit(Timestamp(self.now.as_millis() as i64), requests.collect());
        let answers = std::mem::take(&mut batch.answers);
        let mut answers: Vec<Answer> = answers
            .into_iter()
            .map(|(Ticket(at), result)| {
                let after = result.as_ref().map_or(0, |done| events_before(&batch, done));
                Answer { after, ticket: tickets[at as usize], result }
            })
            .collect();
        answers.sort_by_key(|answer| answer.after);
        let events = batch.events.into_iter().map(Committed::from).collect();
        let word = (!self.bus_is_down).then(|| Arc::new(Word::Committed(events)));
        self.rounds.push_back(Delivery { word, answers });
    }
}

impl Peer {
    /// The client takes only so many bytes from now on.
    pub(super) fn takes_only(&self, bytes: usize) {
        self.pipe.0.room.set(bytes);
    }

    /// The bytes that have come since the last time, as they are.
    pub(super) fn take_raw(&mut self) -> Vec<u8> {
        std::mem::take(&mut *self.pipe.0.to_client.borrow_mut())
    }

    /// How often the server wrote to it.
    pub(super) fn writes(&self) -> usize {
        self.pipe.0.writes.get()
    }

    /// Every message that has come since the last time, as text; a control frame by its name.
    pub(super) fn take_text(&mut self) -> Vec<String> {
        let mut bytes = std::mem::take(&mut *self.pipe.0.to_client.borrow_mut());
        let mut rest = &mut bytes[..];
        let mut messages = Vec::new();
        while let Some(message) = self.decoder.next(&mut rest).unwrap() {
            messages.push(match message {
                Message::Text(text) => text.to_owned(),
                Message::Ping(_) => "PING".to_owned(),
                Message::Pong(_) => "PONG".to_owned(),
                Message::Close(Some((code, reason))) => format!("CLOSE {} {reason}", code.get()),
                other => format!("{other:?}"),
            });
        }
        messages
    }

    /// Every JSON object that has come since the last time.
    pub(super) fn take(&mut self) -> Vec<Value> {
        self.take_text()
            .iter()
            .map(|text| serde_json::from_str(text).unwrap_or_else(|_| Value::from(text.as_str())))
            .collect()
    }

    /// The numbers of the events that have come since the last time; a gap as its ends.
    pub(super) fn take_seqs(&mut self) -> Vec<(u64, u64)> {
        self.take()
            .iter()
            .filter_map(|frame| match frame["type"].as_str()? {
                "gap" => Some((frame["from"].as_u64()?, frame["to"].as_u64()?)),
                "ok" | "joined" => None,
                _ => frame["seq"].as_u64().map(|seq| (seq, seq)),
            })
            .collect()
    }
}

/// As in the house, and without rates.
pub(super) fn settings() -> Settings {
    Settings {
        epoch: Epoch("e1".to_owned()),
        limits: Limits::default(),
        rates: Rates { enabled: false, ..Rates::default() },
        heartbeat: Duration::from_secs(30),
        dead: Duration::from_secs(75),
        unfinished: Duration::from_secs(30),
        close: Duration::from_secs(5),
        tells_presence: true,
    }
}

pub(super) fn send_in_lobby(key: &str, body: &str) -> String {
    serde_json::json!({"type":"send","id":9,"room":"lobby","client_message_id":key,"body":body}).to_string()
}

/// Whether stretches follow each other without a hole, from the first to `last`.
pub(super) fn are_contiguous(stretches: &[(u64, u64)], first: u64, last: u64) -> bool {
    let mut next = first;
    for &(from, to) in stretches {
        if from != next || to < from {
            return false;
        }
        next = to + 1;
    }
    next == last + 1
}
