//! A world for a shard: pipes in memory for sockets, a store in memory, and time that passes when it is told to. What runs in
//! it is the shard itself.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bus::{Delivery, Inbox, LocalBus};
use domain::{Rates, RoomLimits};
use protocol::{Epoch, Limits, Person, RoomId, Timestamp, UserId, UserName};
use serde_json::Value;
use storage::{Actor, MemoryStore, Operation, Reader, Request, RequestId, Store, TokenHash};
use websocket::{Decoder, Message, Opcode};

use super::super::{ConnKey, Settings, Shard};
use crate::commit_batch::{BusMessage, ReplyTarget, ShardBus, WriteReply};
use crate::handoff::{Identity, WireProtocol};
use crate::metrics::Metrics;
use crate::queries;
use crate::sim::services::Memory;
use crate::sim::pipe::Pipe;
use crate::writer::CommitPipeline;

pub(super) struct World {
    pub(super) shard: Shard<Pipe, Memory>,
    pub(super) now: Duration,
    /// What the writer writes to: it can be told to fail.
    pub(super) store: MemoryStore,
    pipeline: CommitPipeline,
    inbox: Inbox<BusMessage, WriteReply>,
    reader: Box<dyn Reader>,
    /// The bus drops every word while this is set.
    pub(super) bus_is_down: bool,
    /// What was committed and has not come to the shard yet.
    pub(super) rounds: VecDeque<Delivery<BusMessage, WriteReply>>,
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
        let bus: Arc<ShardBus> = Arc::new(LocalBus::new(1));
        let inbox = bus.subscribe(Box::new(|| ()));
        World {
            pipeline: CommitPipeline { writer: store.writer().unwrap(), bus, metrics: Metrics::new() },
            inbox,
            reader: store.reader().unwrap(),
            store,
            shard: Shard::new(settings(), Memory::default(), Metrics::new()),
            now: Duration::ZERO,
            bus_is_down: false,
            rounds: VecDeque::new(),
        }
    }

    /// Somebody with a session connects, and gets their welcome.
    pub(super) fn arrive(&mut self, user: u64) -> Peer {
        self.arrive_as(user, WireProtocol::Json, Some(TokenHash([u8::try_from(user).unwrap(); 32])))
    }

    pub(super) fn arrive_as(&mut self, user: u64, speaks: WireProtocol, session: Option<TokenHash>) -> Peer {
        let peer = self.arrive_quietly(user, speaks, session);
        self.settle();
        peer
    }

    /// Somebody connects; nothing follows yet.
    pub(super) fn arrive_quietly(
        &mut self,
        user: u64,
        speaks: WireProtocol,
        session: Option<TokenHash>,
    ) -> Peer {
        let pipe = Pipe::default();
        pipe.0.room.set(usize::MAX);
        let person = Person { id: UserId(user), name: UserName::new(&format!("guest {user}")).unwrap() };
        let identity = Identity { person, session, stored: false };
        let key = self.shard.handle_connect(self.now, pipe.clone(), identity, speaks);
        Peer { key, pipe, decoder: Decoder::client() }
    }

    /// Somebody connects and joins the lobby; what they got so far is forgotten.
    pub(super) fn arrive_in_lobby(&mut self, user: u64) -> Peer {
        let mut peer = self.arrive(user);
        self.send_frame(&peer, r#"{"type":"join","id":1,"room":"lobby"}"#);
        peer.take();
        peer
    }

    /// A client sends a text message, and all that follows from it happens.
    pub(super) fn send_frame(&mut self, peer: &Peer, text: &str) {
        self.bytes(peer, &websocket::masked_frame(Opcode::Text, text.as_bytes(), [1, 2, 3, 4]));
        self.settle();
    }

    /// A client says something in the lobby.
    pub(super) fn send(&mut self, peer: &Peer, key: &str, body: &str) {
        self.send_frame(peer, &send_in_lobby(key, body));
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
        let requests = std::mem::take(&mut self.shard.services.requests);
        if !requests.is_empty() {
            self.commit(requests);
        }
    }

    /// All that was committed comes to the shard.
    pub(super) fn deliver_all(&mut self) {
        while let Some(delivery) = self.rounds.pop_front() {
            let dropped = delivery.message.is_none();
            self.shard.handle_commit(self.now, delivery);
            if dropped {
                self.shard.handle_dropped_messages(self.now);
            }
        }
        for (room, frame) in std::mem::take(&mut self.shard.services.ephemeral_frames) {
            let message = (!self.bus_is_down).then(|| Arc::new(BusMessage::Ephemeral { room, frame }));
            self.shard.handle_commit(self.now, Delivery { message, replies: Vec::new() });
        }
    }

    /// The readers carry out all that waits for them.
    pub(super) fn read_all(&mut self) {
        for query in std::mem::take(&mut self.shard.services.queries) {
            let found = self.look(query);
            self.shard.handle_query_result(self.now, found);
        }
    }

    /// What a reader finds now.
    pub(super) fn look(&mut self, query: crate::shard::Query) -> crate::shard::QueryResult {
        queries::run_query(query, &mut *self.reader)
    }

    /// Who is said to be online in a room.
    pub(super) fn online(&self, room: u64) -> std::collections::BTreeSet<u64> {
        let people = self.shard.services.presence.borrow().online(RoomId(room), usize::MAX);
        people.into_iter().map(|person| person.id.0).collect()
    }

    /// Whether nobody is said to be online anywhere.
    pub(super) fn no_user_is_online(&self) -> bool {
        (1..64).all(|room| self.shard.services.presence.borrow().count(RoomId(room)) == 0)
    }

    /// A client sends a text message; nothing follows yet.
    pub(super) fn text(&mut self, peer: &Peer, text: &str) {
        self.bytes(peer, &websocket::masked_frame(Opcode::Text, text.as_bytes(), [1, 2, 3, 4]));
    }

    /// Everything that was asked for happens, until nothing is left to do.
    pub(super) fn settle(&mut self) {
        loop {
            self.work();
            if self.is_idle() {
                return;
            }
            self.commit_all();
            self.deliver_all();
            self.read_all();
        }
    }

    /// Whether nothing waits for anybody outside.
    pub(super) fn is_idle(&self) -> bool {
        let services = &self.shard.services;
        services.requests.is_empty()
            && services.queries.is_empty()
            && services.ephemeral_frames.is_empty()
            && self.rounds.is_empty()
    }

    /// What the store knows of a room: its events.
    pub(super) fn events_of(&mut self, room: u64) -> Vec<protocol::Event> {
        let bounds = storage::PageBounds { limit: u32::MAX - 1, max_bytes: usize::MAX };
        self.reader.events_after(RoomId(room), protocol::Seq(0), None, bounds).unwrap().events
    }

    /// Whether the store has somebody as a member.
    pub(super) fn is_member(&mut self, room: u64, user: u64) -> bool {
        self.reader.is_member(RoomId(room), UserId(user)).unwrap()
    }

    fn commit(&mut self, requests: Vec<(Actor, Operation, u64)>) {
        let (mut asked, mut reply_to) = (Vec::new(), Vec::new());
        for (actor, operation, request_id) in requests {
            asked.push(Request { request_id: RequestId(asked.len() as u64), actor, operation });
            reply_to.push(ReplyTarget::Shard { shard: 0, request_id });
        }
        self.pipeline.commit(Timestamp(self.now.as_millis() as i64), asked, reply_to);
        let mut round = Vec::new();
        self.inbox.drain(&mut round);
        self.rounds.extend(round.into_iter().map(|Delivery { message, replies }| Delivery {
            message: message.filter(|_| !self.bus_is_down),
            replies,
        }));
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
        ping_interval: Duration::from_secs(30),
        websocket_idle: Duration::from_secs(75),
        message_assembly: Duration::from_secs(30),
        close: Duration::from_secs(5),
        publishes_presence: true,
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
