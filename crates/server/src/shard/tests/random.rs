//! Chance drives a shard: people come, talk, stall, leave and vanish while the bus drops words and the store is slow. What
//! every client saw, and what the shard is left with, is held against the promises.
//!
//! A failure prints its seed: `TEAHOUSE_RANDOM_SEED=… cargo test -p teahouse --lib random` runs that one alone, and
//! `TEAHOUSE_RANDOM_CASES=…` says how many to run.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use serde_json::{Value, json};
use storage::TokenHash;
use websocket::{Decoder, Message, Opcode};

use super::super::closing::Lifecycle;
use super::world::{Peer, World};
use crate::handoff::WireProtocol;
use crate::i18n::Language;
use crate::sim::rng::Rng;

const ROOMS: [&str; 4] = ["lobby", "a", "b", "c"];
const PEOPLE: u64 = 4;

/// What a client knows of a room.
#[derive(Clone, Debug, Default)]
struct Seen {
    open: bool,
    /// The next event may have any of these numbers.
    next: BTreeSet<u64>,
    /// Where the last `joined` said that the log ends.
    joined_at: u64,
    /// Where the last gap ended. It may have named the end of the membership.
    gap_to: u64,
}

enum Asked {
    Join { after: Option<u64> },
    Resume,
    Leave { room: Option<u64> },
    Send { key: String },
    Other,
}

struct Client {
    peer: Peer,
    decoder: Decoder,
    user: u64,
    transient: bool,
    lines: bool,
    next_id: u64,
    asked: HashMap<u64, Asked>,
    /// The cursors of the `resume` that is under way.
    resuming: BTreeMap<u64, u64>,
    rooms: BTreeMap<u64, Seen>,
    /// The rooms whose `joined` will follow a `reset`.
    reset: BTreeSet<u64>,
    names: HashMap<String, u64>,
    goodbye: bool,
    received: BTreeSet<String>,
    /// The `ok` of a `resume` does not wait for rooms that are behind: see
    /// `resume_is_answered_after_all_its_rooms`.
    resumes_early: bool,
}

struct ByteRange {
    rng: Rng,
    world: World,
    clients: Vec<Client>,
    ended: BTreeSet<u64>,
    transients: BTreeSet<u64>,
    next_transient: u64,
    next_key: u64,
    /// What was acknowledged: by whom, with which key, as which event.
    acknowledged: BTreeMap<(u64, String), u64>,
    /// What may be said again: by whom, where, with which key, what.
    said: Vec<(u64, String, String, String)>,
    trace: Vec<String>,
}

impl Client {
    fn take(&mut self, acknowledged: &mut BTreeMap<(u64, String), u64>) {
        let mut bytes = self.peer.take_raw();
        assert!(bytes.is_empty() || !self.goodbye, "bytes behind a goodbye");
        let mut rest = &mut bytes[..];
        let mut i18n = Vec::new();
        let mut goodbye = false;
        while !rest.is_empty() {
            match self.decoder.next(&mut rest).unwrap() {
                Some(Message::Text(text)) => i18n.push(text.to_owned()),
                Some(Message::Close(_)) => {
                    goodbye = true;
                    break;
                }
                Some(_) => {}
                None => break,
            }
        }
        assert!(!goodbye || rest.is_empty(), "{} bytes behind a goodbye", rest.len());
        for text in i18n {
            if self.lines {
                self.line(text);
            } else {
                self.frame(&serde_json::from_str(&text).unwrap(), acknowledged);
            }
        }
        self.goodbye |= goodbye;
    }

    fn line(&mut self, line: String) {
        if line.starts_with('*') {
            // Perhaps it came to another room: what it is known to have read there may be old by some lines.
            self.received.clear();
        }
        // What is said has a number in it, and nobody hears it twice.
        if let Some((_, said)) = line.split_once(": ").filter(|_| !line.starts_with('*')) {
            assert!(self.received.insert(said.to_owned()), "heard twice: {line}");
        }
    }

    fn frame(&mut self, frame: &Value, acknowledged: &mut BTreeMap<(u64, String), u64>) {
        let room = frame["room"].as_str().and_then(|room| room.strip_prefix('r')?.parse::<u64>().ok());
        let number = |field: &str| frame[field].as_u64();
        let asked = number("id").map(|id| {
            self.asked
                .remove(&id)
                .unwrap_or_else(|| panic!("nobody asked, or it was answered before: {frame}"))
        });
        match frame["type"].as_str().unwrap() {
            "welcome" | "presence" | "typing" => {}
            "reset" => {
                self.reset.insert(room.unwrap());
            }
            "joined" => {
                let room = room.unwrap();
                self.names.insert(frame["name"].as_str().unwrap().to_owned(), room);
                let head = number("head").unwrap();
                let after = match asked {
                    Some(Asked::Join { after }) => after,
                    None => Some(self.resuming.remove(&room).unwrap_or_else(|| panic!("unasked {frame}"))),
                    Some(_) => panic!("{frame} is no answer to that"),
                };
                let seen = self.rooms.entry(room).or_default();
                if self.reset.remove(&room) {
                    seen.next = [head + 1].into();
                } else if let Some(after) = after {
                    assert!(after <= head, "no reset: {frame}");
                    seen.next = [after + 1].into();
                } else if !seen.open {
                    // Who had just left may not have been taken out of the room yet.
                    seen.next.insert(head + 1);
                }
                (seen.open, seen.joined_at) = (true, head);
            }
            "ok" => match asked {
                Some(Asked::Leave { .. }) => {
                    let seq = number("seq").unwrap();
                    // Which room it was is known to whoever asked by its id or name only.
                    if let Some(Asked::Leave { room: Some(room) }) = asked {
                        let seen = self.rooms.entry(room).or_default();
                        if seen.joined_at < seq {
                            seen.open = false;
                            seen.next.clear();
                        }
                    }
                }
                Some(Asked::Send { key }) => {
                    let seq = number("seq").unwrap();
                    let before = acknowledged.insert((self.user, key), seq);
                    assert!(before.is_none_or(|before| before == seq), "two numbers for one key: {frame}");
                }
                Some(Asked::Resume) if !self.resumes_early => {
                    assert!(self.resuming.is_empty(), "rooms without an answer: {frame}");
                }
                _ => {}
            },
            "error" => {
                if let (None, Some(room)) = (number("id"), room) {
                    self.resuming.remove(&room);
                }
            }
            "gap" => {
                let (from, to) = (number("from").unwrap(), number("to").unwrap());
                assert!(to >= from);
                self.step(room.unwrap(), from, to, frame);
                self.rooms.entry(room.unwrap()).or_default().gap_to = to;
            }
            _ => {
                let (room, seq) = (room.unwrap(), number("seq").unwrap());
                self.step(room, seq, seq, frame);
                let mine = frame["by"]["id"] == format!("u{}", self.user);
                let seen = self.rooms.entry(room).or_default();
                if frame["type"] == "member_left" && mine && seq > seen.joined_at {
                    seen.open = false;
                }
            }
        }
    }

    fn step(&mut self, room: u64, from: u64, to: u64, frame: &Value) {
        let user = self.user;
        let seen = self.rooms.entry(room).or_default();
        assert!(seen.open, "u{user} is not in r{room}, and hears {frame}");
        assert!(seen.next.contains(&from), "u{user} expected {:?} in r{room}: {frame}", seen.next);
        seen.next = [to + 1].into();
    }
}

impl ByteRange {
    fn new(seed: u64) -> Self {
        let mut world = World::new();
        let mut rng = Rng(seed);
        world.shard.settings.limits.catch_up_events = *rng.of(&[3, 20, 1000]);
        ByteRange {
            rng,
            world,
            clients: Vec::new(),
            ended: BTreeSet::new(),
            transients: BTreeSet::new(),
            next_transient: 100,
            next_key: 0,
            acknowledged: BTreeMap::new(),
            said: Vec::new(),
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
            1 + self.rng.below(PEOPLE)
        };
        if self.ended.contains(&user) {
            return;
        }
        let lines = self.rng.one_in(3);
        let languages = [Language::En, Language::Zh];
        let protocol =
            if lines { WireProtocol::PlainText(*self.rng.of(&languages)) } else { WireProtocol::Json };
        let session = (!transient).then_some(TokenHash([user as u8; 32]));
        let peer = self.world.connect_without_settling(user, protocol, session);
        self.trace.push(format!("#{} is u{user} lines {lines}", peer.key.generation));
        self.clients.push(Client {
            peer,
            decoder: Decoder::new(websocket::Role::Client, 1 << 20),
            user,
            transient,
            lines,
            next_id: 0,
            asked: HashMap::new(),
            resuming: BTreeMap::new(),
            rooms: BTreeMap::new(),
            reset: BTreeSet::new(),
            names: HashMap::new(),
            goodbye: false,
            received: BTreeSet::new(),
            resumes_early: true,
        });
    }

    fn some_client(&mut self) -> Option<usize> {
        (!self.clients.is_empty()).then(|| self.rng.below(self.clients.len() as u64) as usize)
    }

    fn command(&mut self, index: usize) -> Value {
        let client = &mut self.clients[index];
        let name = *self.rng.of(&ROOMS);
        let room = client.names.get(name).copied();
        let (kind, mut command, asked);
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
                (kind, asked) = ("join", Asked::Join { after });
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
                (kind, asked, command) = ("resume", Asked::Resume, json!({"rooms": rooms}));
            }
            5 | 6 => {
                // By its id, so that it is known which room the answer is about.
                let by = room.map_or_else(|| "r999".to_owned(), |room| format!("r{room}"));
                (kind, asked, command) = ("leave", Asked::Leave { room }, json!({"room": by}));
            }
            7 => (kind, asked, command) = ("typing", Asked::Other, json!({"room": name})),
            8 => (kind, asked, command) = ("who", Asked::Other, json!({"room": name})),
            9 => (kind, asked, command) = ("rooms", Asked::Other, json!({})),
            10 => (kind, asked, command) = ("history", Asked::Other, json!({"room": name})),
            11 => {
                let name = format!("person {}", self.rng.below(50));
                (kind, asked, command) = ("rename", Asked::Other, json!({"name": name}));
            }
            12 => {
                let seq = self.rng.below(50);
                (kind, asked, command) = ("read", Asked::Other, json!({"room": name, "seq": seq}));
            }
            13 => (kind, asked, command) = ("ping", Asked::Other, json!({})),
            _ => {
                let again = self.said.iter().filter(|(user, ..)| *user == client.user).count() > 0
                    && self.rng.one_in(6);
                let (room, key, body) = if again {
                    let mine: Vec<_> = self.said.iter().filter(|(user, ..)| *user == client.user).collect();
                    let (_, room, key, body) = (*self.rng.of(&mine)).clone();
                    (room, key, body)
                } else {
                    self.next_key += 1;
                    let long = *self.rng.of(&[1, 1, 100, 3000, 8000]);
                    let body = format!("{}{}", self.next_key, "x".repeat(long));
                    (name.to_owned(), format!("k{}", self.next_key), body)
                };
                if !again {
                    self.said.push((client.user, room.clone(), key.clone(), body.clone()));
                }
                asked = Asked::Send { key: key.clone() };
                (kind, command) = ("send", json!({"room": room, "client_message_id": key, "body": body}));
            }
        }
        command["type"] = kind.into();
        // `ping` is answered always; a history without an id costs a read and says nothing.
        if kind == "ping" || !matches!(asked, Asked::Other) || !self.rng.one_in(3) {
            client.next_id += 1;
            command["id"] = client.next_id.into();
            client.asked.insert(client.next_id, asked);
        }
        command
    }

    fn talk(&mut self, index: usize) {
        let text = if self.clients[index].lines {
            let name = *self.rng.of(&ROOMS);
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
            let many = 1 + self.rng.below(5);
            Value::from((0..many).map(|_| self.command(index)).collect::<Vec<_>>()).to_string()
        } else {
            self.command(index).to_string()
        };
        self.trace.push(format!("#{} says {:.300}", self.clients[index].peer.key.generation, text));
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

    fn step(&mut self) {
        let what = self.rng.below(100);
        let client = self.some_client();
        match (what, client) {
            (0..=5, _) | (_, None) => self.connect(),
            (6..=47, Some(index)) => self.talk(index),
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
                let few = *self.rng.of(&[0, 10, 500, 5000]);
                self.clients[index].peer.limit_bytes(few);
                self.trace.push(format!("#{} takes {few}", self.clients[index].peer.key.generation));
            }
            (84..=88, Some(index)) => {
                let many = *self.rng.of(&[7, 1000, 20_000, usize::MAX, usize::MAX]);
                self.world.accept_bytes_without_settling(&self.clients[index].peer, many);
                self.trace.push(format!("#{} makes room {many}", self.clients[index].peer.key.generation));
            }
            (89..=91, Some(index)) => self.clients[index].take(&mut self.acknowledged),
            (92, Some(index)) => {
                let client = self.clients.swap_remove(index);
                self.trace.push(format!("#{} hangs up", client.peer.key.generation));
                self.world.disconnect_without_settling(&client.peer);
                // A write to nobody does not block either.
                self.world.accept_bytes_without_settling(&client.peer, usize::MAX);
            }
            (93, Some(index)) => {
                let client = self.clients.swap_remove(index);
                self.trace.push(format!("#{} says goodbye", client.peer.key.generation));
                let goodbye = websocket::masked_frame(Opcode::Close, &[3, 232], [0; 4]);
                self.world.bytes(&client.peer, &goodbye);
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
                let ticks = *self.rng.of(&[1, 5, 12, 30]);
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
                self.trace.push("14 quiet seconds".into());
                self.world.wait(Duration::from_secs(14));
            }
            (98, Some(index)) if self.rng.one_in(4) && !self.clients[index].transient => {
                let user = self.clients[index].user;
                self.trace.push(format!("the session of u{user} ends"));
                self.ended.insert(user);
                self.world.shard.handle_session_end(self.world.now, protocol::UserId(user));
            }
            (_, Some(index)) if self.rng.one_in(12) && !self.clients[index].lines => self.flood(index),
            _ => {}
        }
    }

    /// More than a log holds for whoever lags.
    fn flood(&mut self, index: usize) {
        let many = *self.rng.of(&[60, 600]);
        self.trace.push(format!("#{} floods {many}", self.clients[index].peer.key.generation));
        let name = *self.rng.of(&ROOMS);
        for _ in 0..many {
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

    /// Everything comes to rest: nobody stalls, nothing is dropped, time passes.
    fn quiesce(&mut self) {
        self.trace.push("rest".into());
        self.world.bus_is_down = false;
        self.world.shard.services.overloaded = false;
        self.world.settle();
        for client in &self.clients {
            self.world.accept_bytes_without_settling(&client.peer, usize::MAX);
        }
        self.world.wait(Duration::from_secs(8));
        for client in &mut self.clients {
            client.take(&mut self.acknowledged);
        }
    }

    fn check_quiescent(&mut self) {
        assert_eq!(self.world.shard.pending_work(), None);
        let mut live: BTreeSet<(u64, u64)> = BTreeSet::new();
        for at in 0..self.clients.len() {
            let client = &self.clients[at];
            let (key, user) = (client.peer.key, client.user);
            let Some(connection) = self.world.shard.connection(key) else { continue };
            let open: BTreeSet<usize> = connection.subscriptions.iter().map(|m| m.room).collect();
            if client.goodbye {
                continue;
            }
            let open: BTreeSet<u64> =
                open.into_iter().map(|room| self.world.shard.rooms[room].id.0).collect();
            live.extend(open.iter().map(|room| (user, *room)));
            if client.lines {
                assert!(open.len() <= 1, "u{user} hears {open:?}");
            } else {
                assert!(
                    client.asked.is_empty(),
                    "u{user} #{} was not answered {:?}",
                    key.generation,
                    client.asked.keys()
                );
                let thinks: BTreeSet<u64> =
                    client.rooms.iter().filter(|(_, seen)| seen.open).map(|(room, _)| *room).collect();
                // A room that is gone without a word has nothing more to say.
                // Nor has one whose gap held that one left: see `gap_does_not_hide_a_removal`.
                let mut gone = BTreeSet::new();
                for &room in thinks.difference(&open) {
                    let seen = &client.rooms[&room];
                    let hidden = seen.next.contains(&(seen.gap_to + 1));
                    if self.world.events_of(room).is_empty() || hidden && !self.world.is_member(room, user) {
                        gone.insert(room);
                    }
                }
                let thinks: BTreeSet<u64> = thinks.difference(&gone).copied().collect();
                assert_eq!(thinks, open, "u{user} #{}: what it thinks to hear and hears", key.generation);
            }
            for room in open {
                assert!(self.world.is_member(room, user), "u{user} is no member of r{room}, and hears it");
                let head = self.world.events_of(room).len() as u64;
                if let Some(seen) = self.clients[at].rooms.get(&room) {
                    assert!(
                        seen.next.contains(&(head + 1)),
                        "u{user} #{} in r{room} of {head}: {seen:?}",
                        key.generation
                    );
                }
            }
        }
        for room in 1..64 {
            let online = self.world.online(room);
            let here: BTreeSet<u64> =
                live.iter().filter(|(_, r)| *r == room).map(|(user, _)| *user).collect();
            // Whoever said goodbye, or was told, may still be there for a moment; they are not in `live`.
            assert_eq!(online, here, "who is online in r{room}");
        }
        self.check_store();
    }

    fn check_store(&mut self) {
        let mut keys: BTreeMap<(u64, String), u64> = BTreeMap::new();
        for room in 1..64 {
            for event in self.world.events_of(room) {
                if let protocol::EventKind::Message { client_message_id: Some(key), .. } = &event.kind {
                    let before = keys.insert((event.by.id.0, key.as_str().to_owned()), event.seq.0);
                    assert_eq!(before, None, "{key:?} is stored twice");
                }
            }
        }
        for (said, seq) in &self.acknowledged {
            assert_eq!(keys.get(said), Some(seq), "{said:?} was acknowledged");
        }
    }

    fn check_when_all_have_gone(&mut self) {
        let clients = std::mem::take(&mut self.clients);
        for client in &clients {
            self.world.disconnect_without_settling(&client.peer);
            self.world.accept_bytes_without_settling(&client.peer, usize::MAX);
        }
        self.world.wait(Duration::from_secs(8));
        self.world.shard.check_empty();
        assert!(self.world.no_user_is_online());
        for user in std::mem::take(&mut self.transients) {
            for room in 1..64 {
                assert!(!self.world.is_member(room, user), "u{user} has gone, and is in r{room}");
            }
        }
    }

    fn check_stop(&mut self) {
        self.trace.push("stop".into());
        self.world.shard.handle_draining(self.world.now);
        self.world.settle();
        self.world.shard.handle_closing(self.world.now, Duration::from_millis(500));
        assert!(matches!(self.world.shard.lifecycle, Lifecycle::Closing { .. }));
        self.world.wait(Duration::from_secs(6));
        assert!(self.world.shard.is_empty(), "somebody is left");
        for client in &mut self.clients {
            client.take(&mut self.acknowledged);
        }
        self.check_store();
    }
}

fn run(seed: u64) {
    let mut run = ByteRange::new(seed);
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let rests = 1 + run.rng.below(3);
        for _ in 0..rests {
            for _ in 0..30 + run.rng.below(170) {
                run.step();
            }
            run.quiesce();
            run.check_quiescent();
        }
        if run.rng.one_in(4) {
            for _ in 0..20 {
                run.step();
            }
            run.check_stop();
        } else {
            run.check_when_all_have_gone();
        }
    }));
    if let Err(defect) = outcome {
        for line in run.trace.iter().skip(run.trace.len().saturating_sub(400)) {
            println!("{line}");
        }
        println!("TEAHOUSE_RANDOM_SEED={seed}");
        std::panic::resume_unwind(defect);
    }
}

#[test]
fn random_steps_deliver_every_event_once() {
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    if let Some(seed) = number("TEAHOUSE_RANDOM_SEED") {
        return run(seed);
    }
    for seed in 0..number("TEAHOUSE_RANDOM_CASES").unwrap_or(100) {
        run(seed);
    }
}
