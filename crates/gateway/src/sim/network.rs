//! The network between the actors and the process: connections, bytes in transit, and the steps of the actors.

use domain::TokenHash;
use protocol::{User, UserName};
use websocket::{Decoder, Message, Opcode};

use super::pipe::Pipe;
use super::schedule::Action;
use super::world::{ActorClient, SimConnection, World};
use crate::handoff::{Identity, WireProtocol};

impl World {
    pub(super) fn deliver_to_server(&mut self, conn: usize, bytes: &[u8]) {
        let SimConnection { pipe, is_dead, shard, key, .. } = &self.connections[conn];
        if *is_dead {
            return;
        }
        pipe.0.to_server.borrow_mut().extend(bytes);
        let (now, at, index) = (self.now, *shard, key.index);
        self.with_connection(conn, |process| process.shards[at].shard.handle_readable(now, index));
    }

    /// Lets a client read all or some of the bytes in its socket.
    pub(super) fn client_reads(&mut self, conn: usize) {
        let actor = self.connections[conn].actor;
        let stalls_until = self.actors[actor].stalls_until;
        if self.faults_enabled && stalls_until > self.now && !self.connections[conn].is_dead {
            return self.schedule_in(stalls_until - self.now, 0, Action::ClientReads(conn));
        }
        let short = self.faults_enabled && self.rng.one_in(30);
        let max_write = 1 + self.rng.below(500) as usize;
        let SimConnection { pipe, is_dead, shard, key, client_read_scheduled, .. } =
            &mut self.connections[conn];
        *client_read_scheduled = false;
        if *is_dead {
            return;
        }
        let bytes = std::mem::take(&mut *pipe.0.to_client.borrow_mut());
        pipe.0.room.set(pipe.0.room.get() + bytes.len());
        pipe.0.max_write.set(short.then_some(max_write));
        let write_blocked = pipe.0.write_blocked.take();
        let (now, at, index) = (self.now, *shard, key.index);
        if write_blocked {
            self.with_connection(conn, |process| process.shards[at].shard.handle_writable(now, index));
        }
        if self.actors[actor].online == Some(conn) {
            self.receive(conn, bytes);
        }
        if self.connections[conn].pipe.is_hung_up() {
            self.disconnect_client(conn, 1006);
        }
        self.schedule_pending_work();
    }

    pub(super) fn receive(&mut self, conn: usize, bytes: Vec<u8>) {
        let SimConnection { decoder, text, actor, .. } = &mut self.connections[conn];
        let actor = *actor;
        text.extend(bytes);
        let mut bytes = std::mem::take(text);
        let mut rest = &mut bytes[..];
        let mut pongs = 0;
        let mut closed = None;
        loop {
            let Ok(message) = decoder.next(&mut rest) else { panic!("the server broke RFC 6455") };
            match message {
                Some(Message::Text(text)) => {
                    assert!(closed.is_none(), "a message after the close frame: {text}");
                    self.deliveries += 1;
                    for byte in text.bytes() {
                        self.digest = (self.digest ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
                    }
                    if self.verbose {
                        println!("{:9.3} client {actor} receives {text:.200}", self.now.as_secs_f64());
                    }
                    match &mut self.actors[actor].client {
                        ActorClient::Json(client) => client.receive(text, &self.store, &mut self.recorder),
                        ActorClient::Lines(lines) => lines.receive(text),
                    }
                }
                Some(Message::Ping(_)) => pongs += 1,
                Some(Message::Close(code)) => closed = Some(code.map_or(1005, |(code, _)| code.get())),
                Some(_) => {}
                None => break,
            }
        }
        for _ in 0..pongs {
            self.send(conn, Opcode::Pong, b"");
        }
        if let Some(code) = closed {
            self.send(conn, Opcode::Close, &[3, 232]);
            return self.disconnect_client(conn, code);
        }
        self.actors[actor].attempts = 0;
        self.flush(actor);
    }

    pub(super) fn flush(&mut self, actor: usize) {
        let Some(conn) = self.actors[actor].online else { return };
        let ActorClient::Json(client) = &mut self.actors[actor].client else { return };
        let mut commands = std::mem::take(&mut client.outgoing);
        while !commands.is_empty() {
            // Sometimes several commands in one frame.
            let many = if self.rng.one_in(4) { commands.len().min(5) } else { 1 };
            let text = match many {
                1 => commands.remove(0).to_string(),
                _ => serde_json::Value::from(commands.drain(..many).collect::<Vec<_>>()).to_string(),
            };
            self.log(|| format!("client {actor} sends {text:.200}"));
            self.send(conn, Opcode::Text, text.as_bytes());
        }
    }

    pub(super) fn send_final_messages(&mut self) {
        for actor in 0..self.actors.len() {
            if let ActorClient::Json(client) = &mut self.actors[actor].client {
                client.send_message(&mut self.rng, &mut self.recorder);
                self.flush(actor);
            }
        }
    }

    pub(super) fn send(&mut self, conn: usize, opcode: Opcode, payload: &[u8]) {
        let mut frame = websocket::masked_frame(opcode, payload, [1, 2, 3, 4]);
        let mut pieces = Vec::new();
        if self.rng.one_in(10) {
            let cut = self.rng.below(frame.len() as u64) as usize;
            pieces.push(frame.drain(..cut).collect::<Vec<u8>>());
        }
        pieces.push(frame);
        for piece in pieces {
            let wait = self.rng.millis(0, 15);
            let at = self.connections[conn].last_delivery.max(self.now + wait);
            self.connections[conn].last_delivery = at;
            let incarnation = self.connections[conn].incarnation;
            self.schedule_in(at - self.now, incarnation, Action::ServerReceives(conn, piece));
        }
    }

    /// Ends a connection on the client side; the client reconnects soon.
    pub(super) fn disconnect_client(&mut self, conn: usize, code: u16) {
        let actor = self.connections[conn].actor;
        if self.actors[actor].online != Some(conn) {
            return;
        }
        self.log(|| format!("client {actor} has lost its connection: {code}"));
        self.actors[actor].online = None;
        let new_session = self.actors[actor].client.session().is_none();
        match &mut self.actors[actor].client {
            ActorClient::Json(client) => {
                client.disconnect(code, &mut self.recorder);
                if new_session {
                    // A guest without a session reconnects as another user.
                    client.reset(None, &mut self.recorder);
                }
            }
            ActorClient::Lines(_) => self.check_lines(actor, true),
        }
        let wait = self.rng.millis(1, 500 << self.actors[actor].attempts.min(4));
        self.actors[actor].attempts += 1;
        self.schedule_in(wait, 0, Action::ActorStep(actor));
        // The server may not have detected it yet.
        if !self.connections[conn].is_dead {
            let wait = self.rng.millis(0, 100);
            let incarnation = self.connections[conn].incarnation;
            self.schedule_in(wait, incarnation, Action::ServerDisconnects(conn));
        }
    }

    pub(super) fn actor_step(&mut self, actor: usize) {
        if self.is_closing_down {
            return;
        }
        if self.actors[actor].is_upgrading {
            return;
        }
        let Some(conn) = self.actors[actor].online else { return self.connect(actor) };
        let wait = self.rng.millis(10, 2500);
        self.schedule_in(wait, 0, Action::ActorStep(actor));
        match &mut self.actors[actor].client {
            ActorClient::Json(client) if self.faults_enabled => client.act(&mut self.rng, &mut self.recorder),
            ActorClient::Json(client) => client.retry(&mut self.recorder),
            ActorClient::Lines(lines) if self.faults_enabled => {
                let line = lines.act(&mut self.rng);
                self.log(|| format!("client {actor} sends {line}"));
                self.send(conn, Opcode::Text, line.as_bytes());
            }
            ActorClient::Lines(_) => {}
        }
        self.flush(actor);
        if self.faults_enabled && self.rng.one_in(60) {
            self.disconnect_client(conn, 1006);
        }
    }

    /// Starts an upgrade, with the authentication of HTTP.
    pub(super) fn connect(&mut self, actor: usize) {
        if self.process.is_none() || self.stopping {
            let wait = self.rng.millis(1, 500);
            return self.schedule_in(wait, 0, Action::ActorStep(actor));
        }
        let session = self.actors[actor].client.session();
        let known = session.map(|token| self.find_session(&token));
        let name = UserName::new(&format!("guest {actor}")).expect("a name");
        let identity = match (session, known) {
            (Some(token), Some(Some((user, stored)))) => Identity { user, session: Some(token), stored },
            (Some(token), _) => {
                // 401: the session is unknown; the client continues as a new user.
                let token = if self.issued_tokens.insert(token.0) { token } else { self.new_session() };
                self.issued_tokens.insert(token.0);
                match &mut self.actors[actor].client {
                    ActorClient::Json(client) => client.reset(Some(token), &mut self.recorder),
                    ActorClient::Lines(lines) => lines.session = Some(token),
                }
                let Some(process) = &mut self.process else { return };
                let user = User { id: process.new_user_id(), name };
                process.sessions.begin(token, user.clone());
                Identity { user, session: Some(token), stored: false }
            }
            (None, _) => {
                let Some(process) = &mut self.process else { return };
                let id = process.new_user_id();
                self.departed_users.push(id);
                Identity { user: User { id, name }, session: None, stored: false }
            }
        };
        // The 101 is sent, and the stream is in transit to the shard.
        self.actors[actor].is_upgrading = true;
        let slowest = if self.rng.one_in(6) { 1000 } else { 5 };
        let wait = self.rng.millis(0, slowest);
        self.schedule_in(wait, 0, Action::CompleteUpgrade(actor, self.incarnation, identity));
    }

    /// Hands an upgraded connection to its shard.
    pub(super) fn complete_upgrade(&mut self, actor: usize, incarnation: u64, identity: Identity) {
        let now = self.now;
        self.actors[actor].is_upgrading = false;
        if self.process.is_none() || self.incarnation != incarnation || self.is_closing_down {
            let wait = self.rng.millis(1, 500);
            return self.schedule_in(wait, 0, Action::ActorStep(actor));
        }
        let protocol = match &self.actors[actor].client {
            ActorClient::Json(_) => WireProtocol::Json,
            ActorClient::Lines(lines) => WireProtocol::PlainText(lines.language),
        };
        let pipe = Pipe::default();
        pipe.0.room.set(*self.rng.pick(&[300, 5000, 100_000]));
        let Some(process) = &mut self.process else { return };
        let at = identity.user.id.0 as usize % process.shards.len();
        let user = identity.user.id;
        let key = process.shards[at].shard.handle_connect(now, pipe.clone(), identity, protocol);
        let conn = self.connections.len();
        self.log(|| format!("client {actor} is {user} on connection {conn}, in shard {at}"));
        self.connections.push(SimConnection {
            pipe,
            incarnation: self.incarnation,
            actor,
            shard: at,
            key,
            decoder: Decoder::new(websocket::Role::Client, 1 << 20),
            text: Vec::new(),
            last_delivery: now,
            is_dead: false,
            client_read_scheduled: false,
        });
        self.actors[actor].online = Some(conn);
        self.schedule_shard(at, 0, 3);
        let wait = self.rng.millis(10, 1000);
        self.schedule_in(wait, 0, Action::ActorStep(actor));
    }

    /// The user of a session, and whether the store has that user.
    pub(super) fn find_session(&mut self, token: &TokenHash) -> Option<(User, bool)> {
        let process = self.process.as_mut()?;
        if process.sessions.has_ended(token) {
            return None;
        }
        if let Some(user) = process.sessions.provisional(token) {
            return Some((user, false));
        }
        let stored = process.reader().user_of_session(token).expect("memory does not fail here");
        stored.map(|user| (user, true))
    }
}
