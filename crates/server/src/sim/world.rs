//! The world around the process, by a schedule that the seed has made.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::time::Duration;

use history::Recorder;
use protocol::{Timestamp, UserId};
use storage::{Backup, Failure, MemoryStore, TokenHash};
use websocket::Decoder;

use super::client::Client;
use super::lines::{Index, LineClient};
use super::logout::Logout;
use super::process::{Process, Shape};
use super::rng::Rng;
use super::wire::Pipe;
use crate::handoff::Identity;
use crate::i18n::Language;
use crate::shard::{ConnKey, QueryResult};

/// What is due.
pub(super) enum Due {
    /// A shard's tick.
    Tick(usize),
    /// A shard looks at its inbox, and works.
    FlushOutcome(usize),
    Commit,
    Read,
    QueryResult(usize, QueryResult),
    /// Bytes come to the server.
    Arrives(usize, Vec<u8>),
    /// The client takes bytes from its socket.
    Takes(usize),
    /// The server learns that the connection is gone.
    ServerLoses(usize),
    /// The client learns it, with a close code.
    ClientLoses(usize, u16),
    /// Somebody whom HTTP has let in comes to their shard, if it is still of that life of the process.
    LetIn(usize, u64, Identity),
    /// A logout goes on.
    LogsOut,
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
pub(super) enum Fault {
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

pub(super) struct Actor {
    pub(super) speaker: Speaker,
    /// Its connection, in the list of all.
    pub(super) online: Option<usize>,
    /// HTTP has let it in, and it is not with its shard yet.
    pub(super) on_the_way: bool,
    /// Takes nothing from its socket until then.
    pub(super) stalls_until: Duration,
    pub(super) attempts: u32,
}

pub(super) struct LiveServices {
    pub(super) pipe: Pipe,
    pub(super) life: u64,
    pub(super) of: usize,
    pub(super) shard: usize,
    pub(super) key: ConnKey,
    pub(super) decoder: Decoder,
    /// What came and is no whole message yet.
    pub(super) text: Vec<u8>,
    /// Bytes do not overtake each other.
    pub(super) last_arrival: Duration,
    /// Nothing goes through any more.
    pub(super) websocket_idle: bool,
    pub(super) takes_planned: bool,
}

pub(super) struct World {
    pub(super) rng: Rng,
    pub(super) now: Duration,
    pub(super) store: MemoryStore,
    pub(super) shape: Shape,
    pub(super) process: Option<Process>,
    pub(super) recorder: Recorder,
    pub(super) life: u64,
    pub(super) restarts: u64,
    plan: BinaryHeap<Reverse<Planned>>,
    pub(super) planned: u64,
    pub(super) people: Vec<Actor>,
    pub(super) wires: Vec<LiveServices>,
    pub(super) next_token: u64,
    /// Tokens for which somebody has been made.
    pub(super) issued: BTreeSet<[u8; 32]>,
    pub(super) faults: BTreeSet<u8>,
    pub(super) faulty: bool,
    pub(super) commit_planned: bool,
    pub(super) read_planned: bool,
    pub(super) backup: Option<Backup>,
    /// Nobody is let in any more.
    pub(super) stopping: bool,
    /// How far the wall clock is off.
    pub(super) clock: i64,
    pub(super) epochs: u64,
    /// Nobody comes any more.
    pub(super) deserted: bool,
    /// Guests as whom nobody can come back: without a session, or logged out.
    pub(super) gone: Vec<UserId>,
    pub(super) logouts: Vec<Logout>,
    /// Sessions of which it was said that they have ended.
    pub(super) ended: BTreeSet<[u8; 32]>,
    /// A commit was stored without a word of it: what the shards hold of those who asked may be older.
    pub(super) in_doubt: bool,
    /// Printed when a seed is replayed.
    pub(super) tells: bool,
    pub(super) deliveries: u64,
    /// A digest of all that was heard: the same seed gives the same.
    pub(super) digest: u64,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = Rng(seed);
        let shape = Shape {
            shards: 2 + rng.below(2) as usize,
            catch_up_events: *rng.of(&[3, 20, 1000]),
            rounds: *rng.of(&[1, 4, 4096, 4096]),
        };
        let store = MemoryStore::new(domain::RoomLimits::default());
        let mut world = World {
            rng,
            now: Duration::ZERO,
            store,
            shape,
            process: None,
            recorder: Recorder::new(1),
            life: 0,
            restarts: 0,
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
            gone: Vec::new(),
            logouts: Vec::new(),
            ended: BTreeSet::new(),
            in_doubt: false,
            tells: false,
            deliveries: 0,
            digest: 0,
        };
        world.populate();
        world.start();
        let first = world.rng.millis(200, 4000);
        world.plan_in(first, 0, Due::Fault);
        world
    }

    fn populate(&mut self) {
        let count = 4 + self.rng.below(6);
        let mut sessions: Vec<TokenHash> = Vec::new();
        for number in 1..=count {
            // Some have a second device; some are guests as whom nobody can come back.
            let session = match self.rng.below(6) {
                0 => None,
                1 | 2 if !sessions.is_empty() => Some(*self.rng.of(&sessions)),
                _ => Some(self.new_session()),
            };
            sessions.extend(session);
            let speaker = if self.rng.one_in(5) {
                let language = *self.rng.of(&[Language::En, Language::Zh]);
                Speaker::Lines(LineClient::new(number, session, language))
            } else {
                Speaker::Json(Box::new(Client::new(number, session, &mut self.recorder)))
            };
            let at = self.people.len();
            self.people.push(Actor {
                speaker,
                online: None,
                on_the_way: false,
                stalls_until: Duration::ZERO,
                attempts: 0,
            });
            let first = self.rng.millis(1, 3000);
            self.plan_in(first, 0, Due::Acts(at));
        }
    }

    pub(super) fn new_session(&mut self) -> TokenHash {
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

    pub(super) fn plan_in(&mut self, wait: Duration, life: u64, due: Due) {
        self.planned += 1;
        self.plan.push(Reverse(Planned { at: self.now + wait, nth: self.planned, life, due }));
    }

    pub(super) fn wall_clock(&self) -> Timestamp {
        Timestamp(self.clock + i64::try_from(self.now.as_millis()).unwrap_or(i64::MAX))
    }

    /// Runs until then, or until `done`.
    pub(super) fn run(&mut self, until: Duration, mut done: impl FnMut(&mut Self) -> bool) -> bool {
        while self.plan.peek().is_some_and(|Reverse(next)| next.at <= until) {
            let Some(Reverse(Planned { at, life, due, .. })) = self.plan.pop() else { break };
            self.now = at;
            if life == 0 || life == self.life {
                self.recorder.set_time(u64::try_from(at.as_micros()).unwrap_or(u64::MAX));
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
            Due::LetIn(of, life, identity) => self.begin_upgrade(of, life, identity),
            Due::LogsOut => self.go_on_logging_out(),
            Due::Fault => self.go_wrong(),
            Due::Mended(fault) => self.mend(fault),
            Due::Start => self.start(),
            Due::Stopped => self.die(),
            Due::Takes(wire) => self.take(wire),
            Due::Arrives(wire, bytes) => self.arrives(wire, &bytes),
            Due::ClientLoses(wire, code) => self.client_loses(wire, code),
            Due::ServerLoses(wire) => {
                let LiveServices { pipe, shard, key, .. } = &self.wires[wire];
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
            Due::FlushOutcome(at) => {
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
                    let wait = self.rng.millis(0, 10);
                    self.plan_in(wait, self.life, Due::QueryResult(at, found));
                }
                self.after();
            }
            Due::QueryResult(at, found) => {
                let Some(process) = &mut self.process else { return };
                process.desks[at].shard.handle_query_result(now, found);
                self.turn(at);
            }
        }
    }

    /// Does something to a live connection's shard, which then has its turn.
    pub(super) fn touch(&mut self, wire: usize, what: impl FnOnce(&mut Process)) {
        let LiveServices { life, shard, key, .. } = &self.wires[wire];
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

    pub(super) fn plan_turn(&mut self, at: usize, from: u64, to: u64) {
        let Some(process) = &mut self.process else { return };
        if !std::mem::replace(&mut process.desks[at].planned, true) {
            let wait = self.rng.millis(from, to);
            self.plan_in(wait, self.life, Due::FlushOutcome(at));
        }
    }

    fn turn(&mut self, at: usize) {
        let now = self.now;
        let Some(process) = &mut self.process else { return };
        if process.turn(at, now, &mut self.rng) {
            self.plan_turn(at, 0, 1);
        }
        if let Some(process) = &self.process {
            process.desks[at].shard.check_bounds(|room| self.store.head(room));
        }
        self.after();
    }

    /// What has been asked for is planned.
    pub(super) fn after(&mut self) {
        let Some(process) = &mut self.process else { return };
        let called: Vec<usize> = process.called().collect();
        let (writes, reads) = (!process.requests.is_empty(), !process.queries.is_empty());
        for at in called {
            self.plan_turn(at, 0, 5);
        }
        if writes && !std::mem::replace(&mut self.commit_planned, true) {
            let slowest = if self.has(Fault::SlowWriter) { 1500 } else { 8 };
            let wait = self.rng.millis(0, slowest);
            self.plan_in(wait, self.life, Due::Commit);
        }
        if reads && !std::mem::replace(&mut self.read_planned, true) {
            let slowest = if self.has(Fault::SlowReaders) { 900 } else { 5 };
            let wait = self.rng.millis(0, slowest);
            self.plan_in(wait, self.life, Due::Read);
        }
        // What was written to sockets goes on its way.
        for wire in 0..self.wires.len() {
            let LiveServices { pipe, websocket_idle, takes_planned, of, .. } = &mut self.wires[wire];
            let waits = !pipe.0.to_client.borrow().is_empty()
                || self.people[*of].online == Some(wire) && pipe.is_hung_up();
            if !*websocket_idle && !*takes_planned && waits {
                *takes_planned = true;
                let wait = self.rng.millis(0, 20);
                self.plan_in(wait, 0, Due::Takes(wire));
            }
        }
    }

    pub(super) fn has(&self, fault: Fault) -> bool {
        self.faults.contains(&(fault as u8))
    }

    fn commit(&mut self) {
        self.commit_planned = false;
        let wall_clock = self.wall_clock();
        let failure = if self.has(Fault::FullDisk) {
            Some(Failure::Full)
        } else if self.has(Fault::FailingCommits) && self.rng.one_in(2) {
            Some(*self.rng.of(&[Failure::Lost, Failure::NotKnown]))
        } else if self.faulty && self.rng.one_in(3000) {
            Some(*self.rng.of(&[Failure::FatalLost, Failure::FatalNotKnown]))
        } else {
            None
        };
        if let Some(failure) = failure {
            self.store.fail_next(failure);
            self.in_doubt |= matches!(failure, Failure::NotKnown | Failure::FatalNotKnown);
            self.tell(|| format!("commit fails: {failure:?}"));
        }
        let Some(process) = &mut self.process else { return };
        if process.requests.is_empty() {
            return;
        }
        if process.commit(wall_clock).is_some() {
            self.die();
        }
        self.go_on_logging_out();
        self.after();
    }

    /// The process begins its life.
    pub(super) fn start(&mut self) {
        self.restarts += 1;
        self.life = self.restarts;
        (self.commit_planned, self.read_planned, self.stopping) = (false, false, false);
        let process = Process::start(&self.store, &self.shape, self.wall_clock());
        let shards = process.desks.len();
        self.process = Some(process);
        self.faults.clear();
        self.tell(|| "the process starts".to_owned());
        for at in 0..shards {
            let first = self.rng.millis(0, 100);
            self.plan_in(first, self.life, Due::Tick(at));
        }
    }

    /// Where messages stand.
    pub(super) fn index(&self) -> Index {
        let mut index = Index::new();
        for event in self.store.events() {
            if let protocol::EventKind::Message { body, .. } = &event.kind {
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
