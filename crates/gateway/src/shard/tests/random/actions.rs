//! The random actions of a run.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use domain::TokenHash;
use serde_json::{Value, json};
use websocket::{Decoder, Opcode};

use super::super::world::World;
use super::model::{Client, PendingCommand};
use super::{ROOMS, RandomRun, USERS};
use crate::handoff::WireProtocol;
use crate::i18n::Language;
use crate::sim::rng::Rng;

impl RandomRun {
    pub(super) fn new(seed: u64) -> Self {
        let mut world = World::new();
        let mut rng = Rng(seed);
        world.shard.settings.limits.catch_up_events = *rng.pick(&[3, 20, 1000]);
        RandomRun {
            rng,
            world,
            clients: Vec::new(),
            ended: BTreeSet::new(),
            transients: BTreeSet::new(),
            next_transient: 100,
            next_key: 0,
            acknowledged: BTreeMap::new(),
            sent: Vec::new(),
            trace: Vec::new(),
        }
    }

    fn connect(&mut self) {
        if self.clients.len() >= 9 {
            return;
        }
        let transient = self.rng.one_in(4);
        let user = if transient {
            self.next_transient += 1;
            self.transients.insert(self.next_transient);
            self.next_transient
        } else {
            1 + self.rng.below(USERS)
        };
        if self.ended.contains(&user) {
            return;
        }
        let is_text = self.rng.one_in(3);
        let languages = [Language::En, Language::Zh];
        let protocol =
            if is_text { WireProtocol::PlainText(*self.rng.pick(&languages)) } else { WireProtocol::Json };
        let session = (!transient).then_some(TokenHash([user as u8; 32]));
        let peer = self.world.connect_without_settling(user, protocol, session);
        self.trace.push(format!("#{} is u{user} lines {is_text}", peer.key.generation));
        self.clients.push(Client {
            peer,
            decoder: Decoder::new(websocket::Role::Client, 1 << 20),
            user,
            transient,
            is_text,
            next_id: 0,
            pending: HashMap::new(),
            resuming: BTreeMap::new(),
            rooms: BTreeMap::new(),
            reset: BTreeSet::new(),
            names: HashMap::new(),
            closed: false,
            received: BTreeSet::new(),
            is_exempt_from_resume_order: true,
        });
    }

    fn some_client(&mut self) -> Option<usize> {
        (!self.clients.is_empty()).then(|| self.rng.below(self.clients.len() as u64) as usize)
    }

    fn command(&mut self, index: usize) -> Value {
        let client = &mut self.clients[index];
        let name = *self.rng.pick(&ROOMS);
        let room = client.names.get(name).copied();
        let (kind, mut command, pending);
        match self.rng.below(24) {
            0..=3 => {
                let after = match self.rng.below(5) {
                    0 => Some(0),
                    1 => Some(self.rng.below(40)),
                    2 => room
                        .and_then(|room| client.rooms.get(&room)?.next.first().copied())
                        .map(|next| next.saturating_sub(1)),
                    _ => None,
                };
                (kind, pending) = ("join", PendingCommand::Join { after });
                command = json!({"room": name});
                if let Some(after) = after {
                    command["after"] = after.into();
                }
            }
            4 if client.resuming.is_empty() && !client.rooms.is_empty() => {
                let room = *client.rooms.keys().next().unwrap();
                client.resuming.insert(room, 0);
                for room in client.rooms.keys() {
                    if self.rng.one_in(2) {
                        client.resuming.insert(*room, self.rng.below(30));
                    }
                }
                let rooms: BTreeMap<String, u64> =
                    client.resuming.iter().map(|(room, after)| (format!("r{room}"), *after)).collect();
                (kind, pending, command) = ("resume", PendingCommand::Resume, json!({"rooms": rooms}));
            }
            5 | 6 => {
                // By id, so that the client can match the reply with the room.
                let by = room.map_or_else(|| "r999".to_owned(), |room| format!("r{room}"));
                (kind, pending, command) = ("leave", PendingCommand::Leave { room }, json!({"room": by}));
            }
            7 => (kind, pending, command) = ("typing", PendingCommand::Other, json!({"room": name})),
            8 => (kind, pending, command) = ("who", PendingCommand::Other, json!({"room": name})),
            9 => (kind, pending, command) = ("rooms", PendingCommand::Other, json!({})),
            10 => (kind, pending, command) = ("history", PendingCommand::Other, json!({"room": name})),
            11 => {
                let name = format!("user {}", self.rng.below(50));
                (kind, pending, command) = ("rename", PendingCommand::Other, json!({"name": name}));
            }
            12 => {
                let seq = self.rng.below(50);
                (kind, pending, command) = ("read", PendingCommand::Other, json!({"room": name, "seq": seq}));
            }
            13 => (kind, pending, command) = ("ping", PendingCommand::Other, json!({})),
            _ => {
                let again = self.sent.iter().filter(|(user, ..)| *user == client.user).count() > 0
                    && self.rng.one_in(6);
                let (room, key, body) = if again {
                    let own: Vec<_> = self.sent.iter().filter(|(user, ..)| *user == client.user).collect();
                    let (_, room, key, body) = (*self.rng.pick(&own)).clone();
                    (room, key, body)
                } else {
                    self.next_key += 1;
                    let long = *self.rng.pick(&[1, 1, 100, 3000, 8000]);
                    let body = format!("{}{}", self.next_key, "x".repeat(long));
                    (name.to_owned(), format!("k{}", self.next_key), body)
                };
                if !again {
                    self.sent.push((client.user, room.clone(), key.clone(), body.clone()));
                }
                pending = PendingCommand::Send { key: key.clone() };
                (kind, command) = ("send", json!({"room": room, "client_message_id": key, "body": body}));
            }
        }
        command["type"] = kind.into();
        // A `ping` is always answered. Without an id, a history costs a read and returns nothing.
        if kind == "ping" || !matches!(pending, PendingCommand::Other) || !self.rng.one_in(3) {
            client.next_id += 1;
            command["id"] = client.next_id.into();
            client.pending.insert(client.next_id, pending);
        }
        command
    }

    fn send_input(&mut self, index: usize) {
        let text = if self.clients[index].is_text {
            let name = *self.rng.pick(&ROOMS);
            self.next_key += 1;
            match self.rng.below(12) {
                0..=2 => format!("/join {name}"),
                3 => "/leave".to_owned(),
                4 => "/who".to_owned(),
                5 => "/rooms".to_owned(),
                6 => format!("/name line {}", self.rng.below(9)),
                _ => format!("{}", self.next_key),
            }
        } else if self.rng.one_in(4) {
            let count = 1 + self.rng.below(5);
            Value::from((0..count).map(|_| self.command(index)).collect::<Vec<_>>()).to_string()
        } else {
            self.command(index).to_string()
        };
        self.trace.push(format!("#{} sends {:.300}", self.clients[index].peer.key.generation, text));
        let frame = websocket::masked_frame(Opcode::Text, text.as_bytes(), [1, 2, 3, 4]);
        let peer = &self.clients[index].peer;
        if self.rng.one_in(5) {
            let cut = self.rng.below(frame.len() as u64) as usize;
            self.world.bytes(peer, &frame[..cut]);
            self.world.shard.work(self.world.now);
            self.world.bytes(&self.clients[index].peer, &frame[cut..]);
        } else {
            self.world.bytes(peer, &frame);
        }
    }

    pub(super) fn step(&mut self) {
        let what = self.rng.below(100);
        let client = self.some_client();
        match (what, client) {
            (0..=5, _) | (_, None) => self.connect(),
            (6..=47, Some(index)) => self.send_input(index),
            (48..=57, _) => {
                self.world.shard.work(self.world.now);
            }
            (58..=64, _) => {
                self.trace.push("commit".into());
                self.world.commit_all();
            }
            (65..=71, _) => {
                self.trace.push("deliver".into());
                self.world.deliver_all();
            }
            (72..=76, _) => {
                self.trace.push("read".into());
                self.world.read_all();
            }
            (77..=80, _) => {
                self.trace.push("settle".into());
                self.world.settle();
            }
            (81..=83, Some(index)) => {
                let limit = *self.rng.pick(&[0, 10, 500, 5000]);
                self.clients[index].peer.limit_bytes(limit);
                self.trace.push(format!("#{} accepts {limit}", self.clients[index].peer.key.generation));
            }
            (84..=88, Some(index)) => {
                let count = *self.rng.pick(&[7, 1000, 20_000, usize::MAX, usize::MAX]);
                self.world.accept_bytes_without_settling(&self.clients[index].peer, count);
                self.trace.push(format!("#{} accepts {count} more", self.clients[index].peer.key.generation));
            }
            (89..=91, Some(index)) => self.clients[index].take(&mut self.acknowledged),
            (92, Some(index)) => {
                let client = self.clients.swap_remove(index);
                self.trace.push(format!("#{} disconnects", client.peer.key.generation));
                self.world.disconnect_without_settling(&client.peer);
                // A write to a disconnected peer does not block.
                self.world.accept_bytes_without_settling(&client.peer, usize::MAX);
            }
            (93, Some(index)) => {
                let client = self.clients.swap_remove(index);
                self.trace.push(format!("#{} closes", client.peer.key.generation));
                let closed = websocket::masked_frame(Opcode::Close, &[3, 232], [0; 4]);
                self.world.bytes(&client.peer, &closed);
                self.world.accept_bytes_without_settling(&client.peer, usize::MAX);
            }
            (94, _) => {
                self.world.bus_is_down = !self.world.bus_is_down;
                self.trace.push(format!("bus is down: {}", self.world.bus_is_down));
            }
            (95, _) => {
                self.world.shard.services.overloaded = !self.world.shard.services.overloaded;
                self.trace.push(format!("overloaded: {}", self.world.shard.services.overloaded));
            }
            (96 | 97, _) => {
                let ticks = *self.rng.pick(&[1, 5, 12, 30]);
                self.trace.push(format!("{ticks} ticks"));
                for _ in 0..ticks {
                    self.world.now += Duration::from_millis(100);
                    self.world.shard.handle_timeout(self.world.now);
                    if self.rng.one_in(2) {
                        self.world.settle();
                    }
                }
            }
            (98, _) if self.rng.one_in(3) => {
                self.trace.push("14 idle seconds".into());
                self.world.wait(Duration::from_secs(14));
            }
            (98, Some(index)) if self.rng.one_in(4) && !self.clients[index].transient => {
                let user = self.clients[index].user;
                self.trace.push(format!("the session of u{user} ends"));
                self.ended.insert(user);
                self.world.shard.handle_session_end(self.world.now, protocol::UserId(user));
            }
            (_, Some(index)) if self.rng.one_in(12) && !self.clients[index].is_text => self.flood(index),
            _ => {}
        }
    }

    /// Sends more than a log retains for a lagging member.
    fn flood(&mut self, index: usize) {
        let count = *self.rng.pick(&[60, 600]);
        self.trace.push(format!("#{} floods {count}", self.clients[index].peer.key.generation));
        let name = *self.rng.pick(&ROOMS);
        for _ in 0..count {
            self.next_key += 1;
            let body = format!("{}{}", self.next_key, "y".repeat(8000));
            let send = json!({"type":"send","room":name,"client_message_id":format!("k{}", self.next_key),
                "body":body});
            self.world.text(&self.clients[index].peer, &send.to_string());
            if self.rng.one_in(20) {
                self.world.settle();
            }
        }
        self.world.settle();
    }
}
