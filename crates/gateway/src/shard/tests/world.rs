//! The test environment of a shard: in-memory pipes instead of sockets, an in-memory store, and virtual time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bus::{Delivery, Inbox, LocalBus};
use domain::{Actor, Operation, Rates, Request, RequestId, RoomLimits, TokenHash};
use protocol::{Epoch, Limits, RoomId, Timestamp, User, UserId, UserName};
use serde_json::Value;
use storage::{MemoryStore, Reader, Store};
use websocket::{Decoder, Message, Opcode};

use super::super::{ConnKey, Settings, Shard};
use crate::commit_batch::{BusMessage, ReplyTarget, ShardBus, WriteReply};
use crate::handoff::{Identity, WireProtocol};
use crate::metrics::Metrics;
use crate::queries;
use crate::sim::pipe::Pipe;
use crate::sim::services::Memory;
use crate::writer::CommitPipeline;

pub(super) struct World {
    pub(super) shard: Shard<Pipe, Memory>,
    pub(super) now: Duration,
    /// The store of the writer, which can inject failures.
    pub(super) store: MemoryStore,
    pipeline: CommitPipeline,
    inbox: Inbox<BusMessage, WriteReply>,
    reader: Box<dyn Reader>,
    pub(super) bus_is_down: bool,
    /// Published deliveries that the shard has not received yet.
    pub(super) deliveries: VecDeque<Delivery<BusMessage, WriteReply>>,
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
            pipeline: CommitPipeline { writer: store.writer().unwrap(), bus, metrics: Metrics::default() },
            inbox,
            reader: store.reader().unwrap(),
            store,
            shard: Shard::new(0, epoch(), settings(), Memory::default(), Metrics::default()),
            now: Duration::ZERO,
            bus_is_down: false,
            deliveries: VecDeque::new(),
        }
    }

    /// Connects a user with a session, who receives the welcome.
    pub(super) fn connect(&mut self, user: u64) -> Peer {
        self.connect_as(user, WireProtocol::Json, Some(TokenHash([u8::try_from(user).unwrap(); 32])))
    }

    pub(super) fn connect_as(
        &mut self,
        user: u64,
        protocol: WireProtocol,
        session: Option<TokenHash>,
    ) -> Peer {
        let peer = self.connect_without_settling(user, protocol, session);
        self.settle();
        peer
    }

    pub(super) fn connect_without_settling(
        &mut self,
        user: u64,
        protocol: WireProtocol,
        session: Option<TokenHash>,
    ) -> Peer {
        let pipe = Pipe::default();
        pipe.0.room.set(usize::MAX);
        let user = User { id: UserId(user), name: UserName::new(&format!("guest {user}")).unwrap() };
        let identity = Identity { user, session, stored: false };
        let key = self.shard.handle_connect(self.now, pipe.clone(), identity, protocol);
        Peer { key, pipe, decoder: Decoder::client() }
    }

    /// Connects a user, joins the lobby, and discards the received frames.
    pub(super) fn connect_to_lobby(&mut self, user: u64) -> Peer {
        let mut peer = self.connect(user);
        self.send_frame(&peer, r#"{"type":"join","id":1,"room":"lobby"}"#);
        peer.take();
        peer
    }

    /// Sends a text message and settles.
    pub(super) fn send_frame(&mut self, peer: &Peer, text: &str) {
        self.bytes(peer, &websocket::masked_frame(Opcode::Text, text.as_bytes(), [1, 2, 3, 4]));
        self.settle();
    }

    /// Sends a chat message to the lobby and settles.
    pub(super) fn send(&mut self, peer: &Peer, key: &str, body: &str) {
        self.send_frame(peer, &send_in_lobby(key, body));
    }

    /// Delivers bytes of a client without settling.
    pub(super) fn bytes(&mut self, peer: &Peer, bytes: &[u8]) {
        peer.pipe.0.to_server.borrow_mut().extend(bytes);
        if self.shard.connection(peer.key).is_some() {
            self.shard.handle_readable(self.now, peer.key.index);
        }
    }

    /// Disconnects a client and settles.
    pub(super) fn disconnect(&mut self, peer: &Peer) {
        self.disconnect_without_settling(peer);
        self.settle();
    }

    pub(super) fn disconnect_without_settling(&mut self, peer: &Peer) {
        peer.pipe.0.ended.set(true);
        if self.shard.connection(peer.key).is_some() {
            self.shard.handle_readable(self.now, peer.key.index);
        }
    }

    /// Lets a client accept this many more bytes, and settles.
    pub(super) fn accept_bytes(&mut self, peer: &Peer, bytes: usize) {
        self.accept_bytes_without_settling(peer, bytes);
        self.settle();
    }

    /// Lets a client accept this many more bytes, without settling.
    pub(super) fn accept_bytes_without_settling(&mut self, peer: &Peer, bytes: usize) {
        peer.pipe.0.room.set(bytes);
        if self.shard.connection(peer.key).is_some() {
            self.shard.handle_writable(self.now, peer.key.index);
        }
    }

    /// Advances the time tick by tick, and settles after each.
    pub(super) fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            self.now += Duration::from_millis(100);
            self.shard.handle_timeout(self.now);
            self.settle();
        }
    }

    /// Runs the shard until it is idle, without the writer and the readers.
    ///
    /// # Panics
    /// If the shard does not become idle.
    pub(super) fn work(&mut self) {
        for _ in 0..100_000 {
            if !self.shard.work(self.now) {
                return;
            }
        }
        panic!("the shard does not become idle");
    }

    /// Commits all submitted requests in one batch.
    pub(super) fn commit_all(&mut self) {
        let requests = std::mem::take(&mut self.shard.services.requests);
        if !requests.is_empty() {
            self.commit(requests);
        }
    }

    pub(super) fn deliver_all(&mut self) {
        while let Some(delivery) = self.deliveries.pop_front() {
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

    pub(super) fn read_all(&mut self) {
        for query in std::mem::take(&mut self.shard.services.queries) {
            let found = self.run_query(query);
            self.shard.handle_query_result(self.now, found);
        }
    }

    pub(super) fn run_query(&mut self, query: crate::shard::Query) -> crate::shard::QueryResult {
        queries::run_query(query, &mut *self.reader)
    }

    pub(super) fn online(&self, room: u64) -> std::collections::BTreeSet<u64> {
        let users = self.shard.services.presence.borrow().online(RoomId(room), usize::MAX);
        users.into_iter().map(|user| user.id.0).collect()
    }

    pub(super) fn no_user_is_online(&self) -> bool {
        (1..64).all(|room| self.shard.services.presence.borrow().count(RoomId(room)) == 0)
    }

    /// Sends a text message without settling.
    pub(super) fn text(&mut self, peer: &Peer, text: &str) {
        self.bytes(peer, &websocket::masked_frame(Opcode::Text, text.as_bytes(), [1, 2, 3, 4]));
    }

    /// Runs the shard, the writer, the bus and the readers until nothing is pending.
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

    /// Whether no request, query, frame or delivery is pending.
    pub(super) fn is_idle(&self) -> bool {
        let services = &self.shard.services;
        services.requests.is_empty()
            && services.queries.is_empty()
            && services.ephemeral_frames.is_empty()
            && self.deliveries.is_empty()
    }

    pub(super) fn events_of(&mut self, room: u64) -> Vec<protocol::Event> {
        let bounds = storage::PageBounds { limit: u32::MAX - 1, max_bytes: usize::MAX };
        self.reader.events_after(RoomId(room), protocol::Seq(0), None, bounds).unwrap().events
    }

    /// Whether a user is a member of a room in the store.
    pub(super) fn is_member(&mut self, room: u64, user: u64) -> bool {
        self.reader.is_member(RoomId(room), UserId(user)).unwrap()
    }

    fn commit(&mut self, requests: Vec<(Actor, Operation, u64)>) {
        let (mut batch, mut reply_to) = (Vec::new(), Vec::new());
        for (actor, operation, request_id) in requests {
            batch.push(Request { request_id: RequestId(batch.len() as u64), actor, operation });
            reply_to.push(ReplyTarget::Shard { shard: 0, request_id });
        }
        self.pipeline.commit(Timestamp(self.now.as_millis() as i64), batch, reply_to);
        let mut published = Vec::new();
        self.inbox.drain(&mut published);
        self.deliveries.extend(published.into_iter().map(|Delivery { message, replies }| Delivery {
            message: message.filter(|_| !self.bus_is_down),
            replies,
        }));
    }
}

impl Peer {
    /// Lets the client accept only this many more bytes.
    pub(super) fn limit_bytes(&self, bytes: usize) {
        self.pipe.0.room.set(bytes);
    }

    pub(super) fn take_raw(&mut self) -> Vec<u8> {
        std::mem::take(&mut *self.pipe.0.to_client.borrow_mut())
    }

    pub(super) fn writes(&self) -> usize {
        self.pipe.0.writes.get()
    }

    /// Takes the received messages as text; control frames by name.
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

    pub(super) fn take(&mut self) -> Vec<Value> {
        self.take_text()
            .iter()
            .map(|text| serde_json::from_str(text).unwrap_or_else(|_| Value::from(text.as_str())))
            .collect()
    }

    /// Takes the sequence numbers of the received events, as ranges; a gap is one range.
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

pub(super) fn epoch() -> Epoch {
    Epoch("e1".to_owned())
}

pub(in crate::shard) fn settings() -> Settings {
    Settings {
        server: "teahouse 0.0.0",
        limits: Limits::default(),
        rates: Rates { enabled: false, ..Rates::default() },
        ping_interval: Duration::from_secs(30),
        websocket_idle: Duration::from_secs(75),
        message_assembly: Duration::from_secs(30),
        close: Duration::from_secs(5),
    }
}

pub(super) fn send_in_lobby(key: &str, body: &str) -> String {
    serde_json::json!({"type":"send","id":9,"room":"lobby","client_message_id":key,"body":body}).to_string()
}

/// Whether the ranges are contiguous from `first` to `last`.
pub(super) fn are_contiguous(ranges: &[(u64, u64)], first: u64, last: u64) -> bool {
    let mut next = first;
    for &(from, to) in ranges {
        if from != next || to < from {
            return false;
        }
        next = to + 1;
    }
    next == last + 1
}
