//! Between the people and the process: connections, bytes on their way, and what people do with them.

use protocol::{Person, UserName};
use storage::TokenHash;
use websocket::{Decoder, Message, Opcode};

use super::wire::Pipe;
use super::world::{Due, LiveServices, Speaker, World};
use crate::handoff::{Identity, WireProtocol};

impl World {
    pub(super) fn arrives(&mut self, wire: usize, bytes: &[u8]) {
        let LiveServices { pipe, websocket_idle, shard, key, .. } = &self.wires[wire];
        if *websocket_idle {
            return;
        }
        pipe.0.to_server.borrow_mut().extend(bytes);
        let (now, at, index) = (self.now, *shard, key.index);
        self.touch(wire, |process| process.desks[at].shard.handle_readable(now, index));
    }

    /// The client takes what is in its socket, or some of it.
    pub(super) fn take(&mut self, wire: usize) {
        let of = self.wires[wire].of;
        let stalls_until = self.people[of].stalls_until;
        if self.faulty && stalls_until > self.now && !self.wires[wire].websocket_idle {
            return self.plan_in(stalls_until - self.now, 0, Due::Takes(wire));
        }
        let short = self.faulty && self.rng.one_in(30);
        let mouthful = 1 + self.rng.below(500) as usize;
        let LiveServices { pipe, websocket_idle, shard, key, takes_planned, .. } = &mut self.wires[wire];
        *takes_planned = false;
        if *websocket_idle {
            return;
        }
        let bytes = std::mem::take(&mut *pipe.0.to_client.borrow_mut());
        pipe.0.room.set(pipe.0.room.get() + bytes.len());
        pipe.0.mouthful.set(short.then_some(mouthful));
        let starved = pipe.0.starved.take();
        let (now, at, index) = (self.now, *shard, key.index);
        if starved {
            self.touch(wire, |process| process.desks[at].shard.handle_writable(now, index));
        }
        if self.people[of].online == Some(wire) {
            self.hear(wire, bytes);
        }
        if self.wires[wire].pipe.is_hung_up() {
            self.client_loses(wire, 1006);
        }
        self.after();
    }

    pub(super) fn hear(&mut self, wire: usize, bytes: Vec<u8>) {
        let LiveServices { decoder, text, of, .. } = &mut self.wires[wire];
        let of = *of;
        text.extend(bytes);
        let mut bytes = std::mem::take(text);
        let mut rest = &mut bytes[..];
        let mut pongs = 0;
        let mut closed = None;
        loop {
            let Ok(message) = decoder.next(&mut rest) else { panic!("the server broke RFC 6455") };
            match message {
                Some(Message::Text(said)) => {
                    assert!(closed.is_none(), "something was said behind a goodbye: {said}");
                    self.deliveries += 1;
                    for byte in said.bytes() {
                        self.digest = (self.digest ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
                    }
                    if self.tells {
                        println!("{:9.3} client {of} hears {said:.200}", self.now.as_secs_f64());
                    }
                    match &mut self.people[of].speaker {
                        Speaker::Json(client) => client.take(said, &self.store, &mut self.recorder),
                        Speaker::Lines(lines) => lines.take(said),
                    }
                }
                Some(Message::Ping(_)) => pongs += 1,
                Some(Message::Close(code)) => closed = Some(code.map_or(1005, |(code, _)| code.get())),
                Some(_) => {}
                None => break,
            }
        }
        for _ in 0..pongs {
            self.send(wire, Opcode::Pong, b"");
        }
        if let Some(code) = closed {
            self.send(wire, Opcode::Close, &[3, 232]);
            return self.client_loses(wire, code);
        }
        self.people[of].attempts = 0;
        self.flush(of);
    }

    /// What a client wants to say goes on its way.
    pub(super) fn flush(&mut self, of: usize) {
        let Some(wire) = self.people[of].online else { return };
        let Speaker::Json(client) = &mut self.people[of].speaker else { return };
        let mut commands = std::mem::take(&mut client.outgoing);
        while !commands.is_empty() {
            // Several in one frame, now and then.
            let many = if self.rng.one_in(4) { commands.len().min(5) } else { 1 };
            let text = match many {
                1 => commands.remove(0).to_string(),
                _ => serde_json::Value::from(commands.drain(..many).collect::<Vec<_>>()).to_string(),
            };
            self.tell(|| format!("client {of} says {text:.200}"));
            self.send(wire, Opcode::Text, text.as_bytes());
        }
    }

    /// Everybody says one thing more.
    pub(super) fn say_last_words(&mut self) {
        for of in 0..self.people.len() {
            if let Speaker::Json(client) = &mut self.people[of].speaker {
                client.say_something(&mut self.rng, &mut self.recorder);
                self.flush(of);
            }
        }
    }

    pub(super) fn send(&mut self, wire: usize, opcode: Opcode, payload: &[u8]) {
        let mut frame = websocket::masked_frame(opcode, payload, [1, 2, 3, 4]);
        let mut pieces = Vec::new();
        if self.rng.one_in(10) {
            let cut = self.rng.below(frame.len() as u64) as usize;
            pieces.push(frame.drain(..cut).collect::<Vec<u8>>());
        }
        pieces.push(frame);
        for piece in pieces {
            let wait = self.rng.millis(0, 15);
            let at = self.wires[wire].last_arrival.max(self.now + wait);
            self.wires[wire].last_arrival = at;
            let life = self.wires[wire].life;
            self.plan_in(at - self.now, life, Due::Arrives(wire, piece));
        }
    }

    /// The client has no connection any more, and comes back soon.
    pub(super) fn client_loses(&mut self, wire: usize, code: u16) {
        let of = self.wires[wire].of;
        if self.people[of].online != Some(wire) {
            return;
        }
        self.tell(|| format!("client {of} has lost its connection: {code}"));
        self.people[of].online = None;
        let new_session = self.people[of].speaker.session().is_none();
        match &mut self.people[of].speaker {
            Speaker::Json(client) => {
                client.hang_up(code, &mut self.recorder);
                if new_session {
                    // A guest without a session comes back as somebody else.
                    client.begin_anew(None, &mut self.recorder);
                }
            }
            Speaker::Lines(_) => self.check_lines(of, true),
        }
        let wait = self.rng.millis(1, 500 << self.people[of].attempts.min(4));
        self.people[of].attempts += 1;
        self.plan_in(wait, 0, Due::Acts(of));
        // The server may not have been told yet.
        if !self.wires[wire].websocket_idle {
            let wait = self.rng.millis(0, 100);
            let life = self.wires[wire].life;
            self.plan_in(wait, life, Due::ServerLoses(wire));
        }
    }

    pub(super) fn act(&mut self, of: usize) {
        if self.deserted {
            return;
        }
        if self.people[of].on_the_way {
            return;
        }
        let Some(wire) = self.people[of].online else { return self.connect(of) };
        let wait = self.rng.millis(10, 2500);
        self.plan_in(wait, 0, Due::Acts(of));
        match &mut self.people[of].speaker {
            Speaker::Json(client) if self.faulty => client.act(&mut self.rng, &mut self.recorder),
            Speaker::Json(client) => client.resume_io(&mut self.recorder),
            Speaker::Lines(lines) if self.faulty => {
                let line = lines.act(&mut self.rng);
                self.tell(|| format!("client {of} says {line}"));
                self.send(wire, Opcode::Text, line.as_bytes());
            }
            Speaker::Lines(_) => {}
        }
        self.flush(of);
        if self.faulty && self.rng.one_in(60) {
            self.client_loses(wire, 1006);
        }
    }

    /// As HTTP does it: whose session is it?
    pub(super) fn connect(&mut self, of: usize) {
        if self.process.is_none() || self.stopping {
            let wait = self.rng.millis(1, 500);
            return self.plan_in(wait, 0, Due::Acts(of));
        }
        let session = self.people[of].speaker.session();
        let known = session.map(|token| self.look_up(&token));
        let name = UserName::new(&format!("guest {of}")).expect("a name");
        let identity = match (session, known) {
            (Some(token), Some(Some((person, stored)))) => Identity { person, session: Some(token), stored },
            (Some(token), _) => {
                // 401: the session is forgotten, and with it whoever it was.
                let token = if self.issued.insert(token.0) { token } else { self.new_session() };
                self.issued.insert(token.0);
                match &mut self.people[of].speaker {
                    Speaker::Json(client) => client.begin_anew(Some(token), &mut self.recorder),
                    Speaker::Lines(lines) => lines.session = Some(token),
                }
                let Some(process) = &mut self.process else { return };
                let person = Person { id: process.new_user_id(), name };
                process.sessions.begin(token, person.clone());
                Identity { person, session: Some(token), stored: false }
            }
            (None, _) => {
                let Some(process) = &mut self.process else { return };
                let id = process.new_user_id();
                self.gone.push(id);
                Identity { person: Person { id, name }, session: None, stored: false }
            }
        };
        // The 101 goes out, and the stream on its way.
        self.people[of].on_the_way = true;
        let slowest = if self.rng.one_in(6) { 1000 } else { 5 };
        let wait = self.rng.millis(0, slowest);
        self.plan_in(wait, 0, Due::LetIn(of, self.life, identity));
    }

    /// A connection comes to its shard.
    pub(super) fn begin_upgrade(&mut self, of: usize, life: u64, identity: Identity) {
        let now = self.now;
        self.people[of].on_the_way = false;
        if self.process.is_none() || self.life != life || self.deserted {
            let wait = self.rng.millis(1, 500);
            return self.plan_in(wait, 0, Due::Acts(of));
        }
        let speaks = match &self.people[of].speaker {
            Speaker::Json(_) => WireProtocol::Json,
            Speaker::Lines(lines) => WireProtocol::PlainText(lines.language),
        };
        let pipe = Pipe::default();
        pipe.0.room.set(*self.rng.of(&[300, 5000, 100_000]));
        let Some(process) = &mut self.process else { return };
        let at = identity.person.id.0 as usize % process.desks.len();
        let user = identity.person.id;
        let key = process.desks[at].shard.handle_connect(now, pipe.clone(), identity, speaks);
        let wire = self.wires.len();
        self.tell(|| format!("client {of} is {user} on connection {wire}, in shard {at}"));
        self.wires.push(LiveServices {
            pipe,
            life: self.life,
            of,
            shard: at,
            key,
            decoder: Decoder::new(websocket::Role::Client, 1 << 20),
            text: Vec::new(),
            last_arrival: now,
            websocket_idle: false,
            takes_planned: false,
        });
        self.people[of].online = Some(wire);
        self.plan_turn(at, 0, 3);
        let wait = self.rng.millis(10, 1000);
        self.plan_in(wait, 0, Due::Acts(of));
    }

    /// Whose session it is, and whether the store knows it.
    pub(super) fn look_up(&mut self, token: &TokenHash) -> Option<(Person, bool)> {
        let process = self.process.as_mut()?;
        if process.sessions.has_ended(token) {
            return None;
        }
        if let Some(person) = process.sessions.provisional(token) {
            return Some((person, false));
        }
        let stored = process.reader().person_of_session(token).expect("memory does not fail here");
        stored.map(|person| (person, true))
    }
}
