//! The world around the process: a network, people, and what can go wrong, by a schedule that the seed has made.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::Duration;

use history::Recorder;
use proto::{Epoch, Person, RoomId, Seq, Timestamp, UserId, UserName};
use store::{Backup, Failure, MemoryStore, TokenHash};
use websocket::{Decoder, Message, Opcode};

use super::chance::Chance;
use super::client::Client;
use super::lines::{Index, LineClient};
use super::process::{Losses, Process, Shape};
use super::wire::Pipe;
use crate::arrival::{Identity, Speaks};
use crate::shard::{ConnKey, Found};
use crate::texts::Language;

/// What is due.
enum Due {
    /// A shard's tick.
    Tick(usize),
    /// A shard looks at its inbox, and works.
    Turn(usize),
    Commit,
    Read,
    Found(usize, Found),
    /// Bytes come to the server.
    Arrives(usize, Vec<u8>),
    /// The client takes bytes from its socket.
    Takes(usize),
    /// The server learns that the connection is gone.
    ServerLoses(usize),
    /// The client learns it, with a close code.
    ClientLoses(usize, u16),
    /// Somebody does something.
    Acts(usize),
    /// Something goes wrong.
    Fault,
    /// What went wrong is mended.
    Mended(Fault),
    Start,
    /// Everybody has had the time to say goodbye.
    Stopped,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    Overloaded,
    Bus,
    SlowWriter,
    SlowReaders,
    FailingCommits,
    FullDisk,
}

struct Planned {
    at: Duration,
    /// In the order of planning.
    nth: u64,
    /// Of which process's life it is a part; 0: of none.
    life: u64,
    due: Due,
}

impl PartialEq for Planned {
    fn eq(&self, other: &Self) -> bool {
        self.nth == other.nth
    }
}
impl Eq for Planned {}
impl PartialOrd for Planned {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Planned {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.nth).cmp(&(other.at, other.nth))
    }
}

pub(super) enum Speaker {
    Json(Box<Client>),
    Lines(LineClient),
}

pub(super) struct Somebody {
    pub(super) speaker: Speaker,
    /// Its connection, in the list of all.
    pub(super) online: Option<usize>,
    /// Takes nothing from its socket until then.
    stalls_until: Duration,
    attempts: u32,
}

pub(super) struct Wired {
    pub(super) pipe: Pipe,
    pub(super) life: u64,
    pub(super) of: usize,
    pub(super) shard: usize,
    pub(super) key: ConnKey,
    decoder: Decoder,
    /// What came and is no whole message yet.
    text: Vec<u8>,
    /// Bytes do not overtake each other.
    last_arrival: Duration,
    /// Nothing goes through any more.
    pub(super) dead: bool,
    takes_planned: bool,
}

pub(super) struct World {
    pub(super) chance: Chance,
    pub(super) now: Duration,
    pub(super) store: MemoryStore,
    shape: Shape,
    pub(super) process: Option<Process>,
    pub(super) recorder: Recorder,
    life: u64,
    pub(super) lives: u64,
    plan: BinaryHeap<Reverse<Planned>>,
    planned: u64,
    pub(super) people: Vec<Somebody>,
    pub(super) wires: Vec<Wired>,
    next_token: u64,
    /// Tokens for which somebody has been made.
    issued: BTreeSet<[u8; 32]>,
    pub(super) faults: BTreeSet<u8>,
    pub(super) faulty: bool,
    commit_planned: bool,
    read_planned: bool,
    backup: Option<Backup>,
    /// Nobody is let in any more.
    stopping: bool,
    /// How far the wall clock is off.
    clock: i64,
    epochs: u64,
    /// Nobody comes any more.
    deserted: bool,
    /// Guests without a session, of all times.
    pub(super) passers_by: Vec<UserId>,
    /// Printed when a seed is replayed.
    pub(super) tells: bool,
    pub(super) deliveries: u64,
    /// A digest of all that was heard: the same seed gives the same.
    pub(super) digest: u64,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut chance = Chance(seed);
        let shape = Shape {
            shards: 2 + chance.below(2) as usize,
            catch_up_events: *chance.of(&[3, 20, 1000]),
            rounds: *chance.of(&[1, 4, 4096, 4096]),
        };
        let store = MemoryStore::new(rules::RoomLimits::default());
        let mut world = World {
            chance,
            now: Duration::ZERO,
            store,
            shape,
            process: None,
            recorder: Recorder::new(1),
            life: 0,
            lives: 0,
            plan: BinaryHeap::new(),
            planned: 0,
            people: Vec::new(),
            wires: Vec::new(),
            next_token: 0,
            issued: BTreeSet::new(),
            faults: BTreeSet::new(),
            faulty: true,
            commit_planned: false,
            read_planned: false,
            backup: None,
            stopping: false,
            clock: 1_700_000_000_000,
            epochs: 0,
            deserted: false,
            passers_by: Vec::new(),
            tells: false,
            deliveries: 0,
            digest: 0,
        };
        world.populate();
        world.start();
        let first = world.chance.millis(200, 4000);
        world.plan_in(first, 0, Due::Fault);
        world
    }

    fn populate(&mut self) {
        let count = 4 + self.chance.below(6);
        let mut sessions: Vec<TokenHash> = Vec::new();
        for number in 1..=count {
            // Some have a second device; some are guests as whom nobody can come back.
            let session = match self.chance.below(6) {
                0 => None,
                1 | 2 if !sessions.is_empty() => Some(*self.chance.of(&sessions)),
                _ => Some(self.new_session()),
            };
            sessions.extend(session);
            let speaker = if self.chance.one_in(5) {
                let language = *self.chance.of(&[Language::En, Language::Zh]);
                Speaker::Lines(LineClient::new(number, session, language))
            } else {
                Speaker::Json(Box::new(Client::new(number, session, &mut self.recorder)))
            };
            let at = self.people.len();
            self.people.push(Somebody { speaker, online: None, stalls_until: Duration::ZERO, attempts: 0 });
            let first = self.chance.millis(1, 3000);
            self.plan_in(first, 0, Due::Acts(at));
        }
    }

    fn new_session(&mut self) -> TokenHash {
        self.next_token += 1;
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&self.next_token.to_be_bytes());
        TokenHash(bytes)
    }

    pub(super) fn tell(&mut self, what: impl FnOnce() -> String) {
        if self.tells {
            let what = what();
            println!("{:9.3} {what}", self.now.as_secs_f64());
        }
    }

    fn plan_in(&mut self, wait: Duration, life: u64, due: Due) {
        self.planned += 1;
        self.plan.push(Reverse(Planned { at: self.now + wait, nth: self.planned, life, due }));
    }

    fn wall_clock(&self) -> Timestamp {
        Timestamp(self.clock + i64::try_from(self.now.as_millis()).unwrap_or(i64::MAX))
    }

    /// Runs until then, or until `done`.
    pub(super) fn run(&mut self, until: Duration, mut done: impl FnMut(&mut Self) -> bool) -> bool {
        while self.plan.peek().is_some_and(|Reverse(next)| next.at <= until) {
            let Some(Reverse(Planned { at, life, due, .. })) = self.plan.pop() else { break };
            self.now = at;
            if life == 0 || life == self.life {
                self.recorder.now(u64::try_from(at.as_micros()).unwrap_or(u64::MAX));
                let ticked = matches!(due, Due::Tick(0));
                self.step(due);
                if ticked && done(self) {
                    return true;
                }
            }
        }
        self.now = until;
        false
    }

    fn step(&mut self, due: Due) {
        let now = self.now;
        match due {
            Due::Acts(of) => self.act(of),
            Due::Fault => self.go_wrong(),
            Due::Mended(fault) => self.mend(fault),
            Due::Start => self.start(),
            Due::Stopped => self.die(),
            Due::Takes(wire) => self.take(wire),
            Due::Arrives(wire, bytes) => self.arrives(wire, &bytes),
            Due::ClientLoses(wire, code) => self.client_loses(wire, code),
            Due::ServerLoses(wire) => {
                let Wired { pipe, shard, key, .. } = &self.wires[wire];
                pipe.0.broken.set(true);
                let (at, index) = (*shard, key.index);
                self.touch(wire, |process| process.desks[at].shard.handle_readable(now, index));
            }
            Due::Tick(at) => {
                if let Some(process) = &mut self.process {
                    process.desks[at].shard.handle_timeout(now);
                    self.turn(at);
                    self.plan_in(Duration::from_millis(100), self.life, Due::Tick(at));
                }
            }
            Due::Turn(at) => {
                if let Some(process) = &mut self.process {
                    process.desks[at].planned = false;
                    self.turn(at);
                }
            }
            Due::Commit => self.commit(),
            Due::Read => {
                self.read_planned = false;
                let Some(process) = &mut self.process else { return };
                if let Some((at, found)) = process.read() {
                    let wait = self.chance.millis(0, 10);
                    self.plan_in(wait, self.life, Due::Found(at, found));
                }
                self.after();
            }
            Due::Found(at, found) => {
                let Some(process) = &mut self.process else { return };
                process.desks[at].shard.handle_found(now, found);
                self.turn(at);
            }
        }
    }

    /// Does something to a live connection's shard, which then has its turn.
    fn touch(&mut self, wire: usize, what: impl FnOnce(&mut Process)) {
        let Wired { life, shard, key, .. } = &self.wires[wire];
        let (at, key) = (*shard, *key);
        if *life != self.life {
            return;
        }
        let Some(process) = &mut self.process else { return };
        if process.desks[at].shard.connection(key).is_some() {
            what(process);
            self.plan_turn(at, 0, 3);
        }
    }

    fn plan_turn(&mut self, at: usize, from: u64, to: u64) {
        let Some(process) = &mut self.process else { return };
        if !std::mem::replace(&mut process.desks[at].planned, true) {
            let wait = self.chance.millis(from, to);
            self.plan_in(wait, self.life, Due::Turn(at));
        }
    }

    fn turn(&mut self, at: usize) {
        let now = self.now;
        let Some(process) = &mut self.process else { return };
        if process.turn(at, now, &mut self.chance) {
            self.plan_turn(at, 0, 1);
        }
        if let Some(process) = &self.process {
            process.desks[at].shard.check_bounds(|room| self.store.head(room));
        }
        self.after();
    }

    /// What has been asked for is planned.
    fn after(&mut self) {
        let Some(process) = &mut self.process else { return };
        let called: Vec<usize> = process.called().collect();
        let (writes, reads) = (!process.requests.is_empty(), !process.queries.is_empty());
        for at in called {
            self.plan_turn(at, 0, 5);
        }
        if writes && !std::mem::replace(&mut self.commit_planned, true) {
            let slowest = if self.has(Fault::SlowWriter) { 1500 } else { 8 };
            let wait = self.chance.millis(0, slowest);
            self.plan_in(wait, self.life, Due::Commit);
        }
        if reads && !std::mem::replace(&mut self.read_planned, true) {
            let slowest = if self.has(Fault::SlowReaders) { 900 } else { 5 };
            let wait = self.chance.millis(0, slowest);
            self.plan_in(wait, self.life, Due::Read);
        }
        // What was written to sockets goes on its way.
        for wire in 0..self.wires.len() {
            let Wired { pipe, dead, takes_planned, .. } = &mut self.wires[wire];
            if !*dead && !*takes_planned && !pipe.0.to_client.borrow().is_empty() {
                *takes_planned = true;
                let wait = self.chance.millis(0, 20);
                self.plan_in(wait, 0, Due::Takes(wire));
            }
        }
    }

    fn has(&self, fault: Fault) -> bool {
        self.faults.contains(&(fault as u8))
    }

    fn commit(&mut self) {
        self.commit_planned = false;
        let wall_clock = self.wall_clock();
        let failure = if self.has(Fault::FullDisk) {
            Some(Failure::Full)
        } else if self.has(Fault::FailingCommits) && self.chance.one_in(2) {
            Some(*self.chance.of(&[Failure::Lost, Failure::NotKnown]))
        } else if self.faulty && self.chance.one_in(3000) {
            Some(*self.chance.of(&[Failure::FatalLost, Failure::FatalNotKnown]))
        } else {
            None
        };
        if let Some(failure) = failure {
            self.store.fail_next(failure);
            self.tell(|| format!("commit fails: {failure:?}"));
        }
        let Some(process) = &mut self.process else { return };
        if process.requests.is_empty() {
            return;
        }
        if process.commit(wall_clock).is_some() {
            self.die();
        }
        self.after();
    }

    /// The process begins its life.
    fn start(&mut self) {
        self.lives += 1;
        self.life = self.lives;
        (self.commit_planned, self.read_planned, self.stopping) = (false, false, false);
        let process = Process::start(&self.store, &self.shape, self.wall_clock());
        let shards = process.desks.len();
        self.process = Some(process);
        self.faults.clear();
        self.tell(|| "the process starts".to_owned());
        for at in 0..shards {
            let first = self.chance.millis(0, 100);
            self.plan_in(first, self.life, Due::Tick(at));
        }
    }

    /// The process ends at once; what was in its sockets may still come to the clients.
    fn die(&mut self) {
        self.tell(|| "the process dies".to_owned());
        self.recorder.note("the process dies");
        self.process = None;
        for wire in 0..self.wires.len() {
            if self.wires[wire].life == self.life && self.people[self.wires[wire].of].online == Some(wire) {
                let wait = self.chance.millis(0, 300);
                self.plan_in(wait, 0, Due::ClientLoses(wire, 1006));
            }
        }
        self.life = 0;
        let wait = self.chance.millis(1, 1500);
        self.plan_in(wait, 0, Due::Start);
    }

    /// The operator stops the process, as `House::stop` does it.
    fn stop(&mut self) {
        let (now, wall_clock) = (self.now, self.wall_clock());
        let Some(process) = self.process.as_mut().filter(|_| !self.stopping) else { return };
        self.stopping = true;
        let shards = process.desks.len();
        for at in 0..shards {
            process.desks[at].shard.work(now);
            process.desks[at].shard.handle_quiet(now);
            process.gather(at);
        }
        let fatal = process.commit(wall_clock);
        for at in 0..shards {
            process.turn(at, now, &mut self.chance);
            process.desks[at].shard.handle_goodbye(now, Duration::from_millis(500));
            process.gather(at);
        }
        self.tell(|| "the process is stopped".to_owned());
        match fatal {
            Some(_) => self.die(),
            None => self.plan_in(Duration::from_secs(5), self.life, Due::Stopped),
        }
        self.after();
    }

    /// Something goes wrong, and something else later.
    fn go_wrong(&mut self) {
        if !self.faulty {
            return;
        }
        let wait = self.chance.millis(100, 4000);
        self.plan_in(wait, 0, Due::Fault);
        let for_a_while = self.chance.millis(50, 4000);
        let begin = |world: &mut Self, fault: Fault| {
            world.tell(|| format!("{fault:?} for {for_a_while:?}"));
            world.faults.insert(fault as u8);
            world.set_faults();
            world.plan_in(for_a_while, 0, Due::Mended(fault));
        };
        match self.chance.below(23) {
            0..=4 => {
                let whose = self.chance.below(self.people.len() as u64) as usize;
                if let Some(wire) = self.people[whose].online {
                    self.cut(wire);
                }
            }
            5..=8 => {
                let whose = self.chance.below(self.people.len() as u64) as usize;
                let until = self.now + self.chance.millis(100, 8000);
                self.tell(|| format!("client {whose} stalls until {until:?}"));
                self.people[whose].stalls_until = until;
            }
            9 | 10 if self.process.is_some() => self.die(),
            22 => self.stop(),
            11 if self.backup.is_none() => self.backup = Some(self.store.backup()),
            11 if self.chance.one_in(2) => self.restore(),
            12 => begin(self, Fault::Overloaded),
            13..=15 => begin(self, Fault::Bus),
            16 => begin(self, Fault::SlowWriter),
            17 => begin(self, Fault::SlowReaders),
            18 | 19 => begin(self, Fault::FailingCommits),
            20 => begin(self, Fault::FullDisk),
            21 => self.clock += *self.chance.of(&[-3_600_000, 3_600_000, -2_592_000_000, 2_592_000_000]),
            _ => {}
        }
    }

    /// Nothing goes wrong from now on.
    pub(super) fn calm(&mut self) {
        self.faulty = false;
        self.faults.clear();
        self.set_faults();
        if let Some(process) = &mut self.process {
            process.settle_bus();
        }
    }

    /// Things go wrong again.
    pub(super) fn trouble(&mut self) {
        self.faulty = true;
        self.plan_in(Duration::from_millis(1), 0, Due::Fault);
    }

    /// Everybody goes, and nobody comes back.
    pub(super) fn all_hang_up(&mut self) {
        self.deserted = true;
        for of in 0..self.people.len() {
            if let Some(wire) = self.people[of].online {
                self.client_loses(wire, 1006);
            }
        }
        // Also those that nobody had told.
        for wire in 0..self.wires.len() {
            self.plan_in(Duration::ZERO, self.wires[wire].life, Due::ServerLoses(wire));
        }
    }

    fn mend(&mut self, fault: Fault) {
        self.faults.remove(&(fault as u8));
        self.set_faults();
    }

    fn set_faults(&mut self) {
        let (overloaded, bus) = (self.has(Fault::Overloaded), self.has(Fault::Bus));
        let Some(process) = &mut self.process else { return };
        for desk in &mut process.desks {
            desk.shard.outside.overloaded = overloaded;
        }
        process.losses = if bus { Losses { lost: 3, late: 4, twice: 5 } } else { Losses::default() };
    }

    /// The connection is gone. One side may learn it long after the other, or only by waiting in vain.
    fn cut(&mut self, wire: usize) {
        self.tell(|| format!("connection {wire} is cut"));
        let life = self.wires[wire].life;
        let silence = self.chance.one_in(4);
        self.wires[wire].dead |= silence || self.chance.one_in(2);
        let (server, client) = if silence {
            // Neither is told: the client gives up, the server counts to 75.
            (None, self.chance.millis(25_000, 36_000))
        } else {
            (Some(self.chance.millis(0, 2000)), self.chance.millis(0, 2000))
        };
        if let Some(server) = server {
            self.plan_in(server, life, Due::ServerLoses(wire));
        }
        self.plan_in(client, 0, Due::ClientLoses(wire, 1006));
    }

    /// The operator takes the store back to the backup.
    fn restore(&mut self) {
        let Some(backup) = self.backup.take() else { return };
        self.tell(|| "restore".to_owned());
        if self.process.is_some() {
            self.die();
        }
        // What is still in sockets is of the old life, and comes to nobody.
        for wire in &mut self.wires {
            wire.dead = true;
        }
        self.epochs += 1;
        let epoch = Epoch(format!("e{}", self.epochs + 1));
        self.store.restore(&backup, epoch.clone());
        // Who has come since the backup is not known any more, and their ids are given anew.
        self.passers_by.clear();
        let kept: BTreeMap<RoomId, Seq> =
            self.store.events().iter().map(|event| (event.room, event.seq)).collect();
        self.recorder.record(history::What::Restored { epoch, kept });
        for somebody in &mut self.people {
            if let Speaker::Lines(lines) = &mut somebody.speaker {
                lines.forget();
            }
        }
    }

    fn arrives(&mut self, wire: usize, bytes: &[u8]) {
        let Wired { pipe, dead, shard, key, .. } = &self.wires[wire];
        if *dead {
            return;
        }
        pipe.0.to_server.borrow_mut().extend(bytes);
        let (now, at, index) = (self.now, *shard, key.index);
        self.touch(wire, |process| process.desks[at].shard.handle_readable(now, index));
    }

    /// The client takes what is in its socket, or some of it.
    fn take(&mut self, wire: usize) {
        let of = self.wires[wire].of;
        let stalls_until = self.people[of].stalls_until;
        if self.faulty && stalls_until > self.now && !self.wires[wire].dead {
            return self.plan_in(stalls_until - self.now, 0, Due::Takes(wire));
        }
        let short = self.faulty && self.chance.one_in(30);
        let mouthful = 1 + self.chance.below(500) as usize;
        let Wired { pipe, dead, shard, key, takes_planned, .. } = &mut self.wires[wire];
        *takes_planned = false;
        if *dead {
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
        self.after();
    }

    fn hear(&mut self, wire: usize, bytes: Vec<u8>) {
        let Wired { decoder, text, of, .. } = &mut self.wires[wire];
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
    fn flush(&mut self, of: usize) {
        let Some(wire) = self.people[of].online else { return };
        let Speaker::Json(client) = &mut self.people[of].speaker else { return };
        let mut commands = std::mem::take(&mut client.outgoing);
        while !commands.is_empty() {
            // Several in one frame, now and then.
            let many = if self.chance.one_in(4) { commands.len().min(5) } else { 1 };
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
                client.say_something(&mut self.chance, &mut self.recorder);
                self.flush(of);
            }
        }
    }

    fn send(&mut self, wire: usize, opcode: Opcode, payload: &[u8]) {
        let mut frame = websocket::masked_frame(opcode, payload, [1, 2, 3, 4]);
        let mut pieces = Vec::new();
        if self.chance.one_in(10) {
            let cut = self.chance.below(frame.len() as u64) as usize;
            pieces.push(frame.drain(..cut).collect::<Vec<u8>>());
        }
        pieces.push(frame);
        for piece in pieces {
            let wait = self.chance.millis(0, 15);
            let at = self.wires[wire].last_arrival.max(self.now + wait);
            self.wires[wire].last_arrival = at;
            let life = self.wires[wire].life;
            self.plan_in(at - self.now, life, Due::Arrives(wire, piece));
        }
    }

    /// The client has no connection any more, and comes back soon.
    fn client_loses(&mut self, wire: usize, code: u16) {
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
        let wait = self.chance.millis(1, 500 << self.people[of].attempts.min(4));
        self.people[of].attempts += 1;
        self.plan_in(wait, 0, Due::Acts(of));
        // The server may not have been told yet.
        if !self.wires[wire].dead {
            let wait = self.chance.millis(0, 100);
            let life = self.wires[wire].life;
            self.plan_in(wait, life, Due::ServerLoses(wire));
        }
    }

    fn act(&mut self, of: usize) {
        if self.deserted {
            return;
        }
        let Some(wire) = self.people[of].online else { return self.connect(of) };
        let wait = self.chance.millis(10, 2500);
        self.plan_in(wait, 0, Due::Acts(of));
        match &mut self.people[of].speaker {
            Speaker::Json(client) if self.faulty => client.act(&mut self.chance, &mut self.recorder),
            Speaker::Json(client) => client.go_on(&mut self.recorder),
            Speaker::Lines(lines) if self.faulty => {
                let line = lines.act(&mut self.chance);
                self.tell(|| format!("client {of} says {line}"));
                self.send(wire, Opcode::Text, line.as_bytes());
            }
            Speaker::Lines(_) => {}
        }
        self.flush(of);
        if self.faulty && self.chance.one_in(60) {
            self.client_loses(wire, 1006);
        }
    }

    /// As HTTP does it: whose session is it?
    fn connect(&mut self, of: usize) {
        let now = self.now;
        if self.process.is_none() || self.stopping {
            let wait = self.chance.millis(1, 500);
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
                self.passers_by.push(id);
                Identity { person: Person { id, name }, session: None, stored: false }
            }
        };
        let speaks = match &self.people[of].speaker {
            Speaker::Json(_) => Speaks::Json,
            Speaker::Lines(lines) => Speaks::PlainText(lines.language),
        };
        let pipe = Pipe::default();
        pipe.0.room.set(*self.chance.of(&[300, 5000, 100_000]));
        let Some(process) = &mut self.process else { return };
        let at = identity.person.id.0 as usize % process.desks.len();
        let user = identity.person.id;
        let key = process.desks[at].shard.handle_arrival(now, pipe.clone(), identity, speaks);
        let wire = self.wires.len();
        self.tell(|| format!("client {of} is {user} on connection {wire}, in shard {at}"));
        self.wires.push(Wired {
            pipe,
            life: self.life,
            of,
            shard: at,
            key,
            decoder: Decoder::new(websocket::Role::Client, 1 << 20),
            text: Vec::new(),
            last_arrival: now,
            dead: false,
            takes_planned: false,
        });
        self.people[of].online = Some(wire);
        self.plan_turn(at, 0, 3);
        let wait = self.chance.millis(10, 1000);
        self.plan_in(wait, 0, Due::Acts(of));
    }

    /// Whose session it is, and whether the store knows it.
    fn look_up(&mut self, token: &TokenHash) -> Option<(Person, bool)> {
        let process = self.process.as_mut()?;
        if let Some(person) = process.sessions.provisional(token) {
            return Some((person, false));
        }
        let stored = process.reader().person_of_session(token).expect("memory does not fail here");
        stored.map(|person| (person, true))
    }

    /// Where messages stand.
    pub(super) fn index(&self) -> Index {
        let mut index = Index::new();
        for event in self.store.events() {
            if let proto::EventKind::Message { body, .. } = &event.kind {
                let word = body.as_str().split(' ').next().unwrap_or_default();
                let before = index.insert(word.to_owned(), (event.room, event.n.0));
                assert!(before.is_none(), "promise 3: {word} is stored twice: #{} and {before:?}", event.seq);
            }
        }
        index
    }
}

impl Speaker {
    pub(super) fn session(&self) -> Option<TokenHash> {
        match self {
            Speaker::Json(client) => client.session,
            Speaker::Lines(lines) => lines.session,
        }
    }
}
