//! The process, and the actors and connections around it.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::time::Duration;

use domain::TokenHash;
use history::Recorder;
use protocol::{Timestamp, UserId};
use storage::{Backup, Failure, MemoryStore};
use websocket::Decoder;

use super::client::Client;
use super::lines::{LineClient, MessageIndex};
use super::logout::Logout;
use super::pipe::Pipe;
use super::process::{Process, Shape};
use super::rng::Rng;
use super::schedule::{Action, Fault, Scheduled};
use crate::i18n::Language;
use crate::shard::ConnKey;

pub(super) enum ActorClient {
    Json(Box<Client>),
    Lines(LineClient),
}

pub(super) struct SimActor {
    pub(super) client: ActorClient,
    /// The index of its connection.
    pub(super) online: Option<usize>,
    /// Whether its upgraded connection is in transit to the shard.
    pub(super) is_upgrading: bool,
    /// The actor does not read from its socket until then.
    pub(super) stalls_until: Duration,
    pub(super) attempts: u32,
}

pub(super) struct SimConnection {
    pub(super) pipe: Pipe,
    pub(super) incarnation: u64,
    pub(super) actor: usize,
    pub(super) shard: usize,
    pub(super) key: ConnKey,
    pub(super) decoder: Decoder,
    /// Received bytes without a complete message.
    pub(super) text: Vec<u8>,
    /// The last scheduled delivery to the server; later bytes arrive later.
    pub(super) last_delivery: Duration,
    /// Whether the connection loses all bytes.
    pub(super) is_dead: bool,
    pub(super) client_read_scheduled: bool,
}

pub(super) struct World {
    pub(super) rng: Rng,
    pub(super) now: Duration,
    pub(super) store: MemoryStore,
    pub(super) shape: Shape,
    pub(super) process: Option<Process>,
    pub(super) recorder: Recorder,
    pub(super) incarnation: u64,
    pub(super) restarts: u64,
    pub(super) schedule: BinaryHeap<Reverse<Scheduled>>,
    pub(super) scheduled_count: u64,
    pub(super) actors: Vec<SimActor>,
    pub(super) connections: Vec<SimConnection>,
    pub(super) next_token: u64,
    /// Tokens for which a user was created.
    pub(super) issued_tokens: BTreeSet<[u8; 32]>,
    pub(super) faults: BTreeSet<u8>,
    pub(super) faults_enabled: bool,
    pub(super) commit_scheduled: bool,
    pub(super) read_scheduled: bool,
    pub(super) backup: Option<Backup>,
    /// Whether the process is stopping and rejects upgrades.
    pub(super) stopping: bool,
    /// The wall clock at virtual time 0.
    pub(super) wall_clock_offset: i64,
    pub(super) epochs: u64,
    pub(super) is_closing_down: bool,
    /// Users without a valid session: transient guests, and users who logged out.
    pub(super) departed_users: Vec<UserId>,
    pub(super) logouts: Vec<Logout>,
    /// Sessions whose logout was acknowledged.
    pub(super) ended_sessions: BTreeSet<[u8; 32]>,
    /// Whether a commit succeeded without a reply, so that names in shards may be older than in the store.
    pub(super) commit_outcome_unknown: bool,
    pub(super) verbose: bool,
    pub(super) deliveries: u64,
    /// A digest of all received messages; equal for equal seeds.
    pub(super) digest: u64,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = Rng(seed);
        let shape = Shape {
            shards: 2 + rng.below(2) as usize,
            catch_up_events: *rng.pick(&[3, 20, 1000]),
            inbox_capacity: *rng.pick(&[1, 4, 4096, 4096]),
        };
        let store = MemoryStore::new(domain::RoomLimits::default());
        let mut world = World {
            rng,
            now: Duration::ZERO,
            store,
            shape,
            process: None,
            recorder: Recorder::new(1),
            incarnation: 0,
            restarts: 0,
            schedule: BinaryHeap::new(),
            scheduled_count: 0,
            actors: Vec::new(),
            connections: Vec::new(),
            next_token: 0,
            issued_tokens: BTreeSet::new(),
            faults: BTreeSet::new(),
            faults_enabled: true,
            commit_scheduled: false,
            read_scheduled: false,
            backup: None,
            stopping: false,
            wall_clock_offset: 1_700_000_000_000,
            epochs: 0,
            is_closing_down: false,
            departed_users: Vec::new(),
            logouts: Vec::new(),
            ended_sessions: BTreeSet::new(),
            commit_outcome_unknown: false,
            verbose: false,
            deliveries: 0,
            digest: 0,
        };
        world.populate();
        world.start();
        let first = world.rng.millis(200, 4000);
        world.schedule_in(first, 0, Action::InjectFault);
        world
    }

    fn populate(&mut self) {
        let count = 4 + self.rng.below(6);
        let mut sessions: Vec<TokenHash> = Vec::new();
        for number in 1..=count {
            // Some actors are second devices of a user, some are guests without a session.
            let session = match self.rng.below(6) {
                0 => None,
                1 | 2 if !sessions.is_empty() => Some(*self.rng.pick(&sessions)),
                _ => Some(self.new_session()),
            };
            sessions.extend(session);
            let client = if self.rng.one_in(5) {
                let language = *self.rng.pick(&[Language::En, Language::Zh]);
                ActorClient::Lines(LineClient::new(number, session, language))
            } else {
                ActorClient::Json(Box::new(Client::new(number, session, &mut self.recorder)))
            };
            let at = self.actors.len();
            self.actors.push(SimActor {
                client,
                online: None,
                is_upgrading: false,
                stalls_until: Duration::ZERO,
                attempts: 0,
            });
            let first = self.rng.millis(1, 3000);
            self.schedule_in(first, 0, Action::ActorStep(at));
        }
    }

    pub(super) fn new_session(&mut self) -> TokenHash {
        self.next_token += 1;
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&self.next_token.to_be_bytes());
        TokenHash(bytes)
    }

    pub(super) fn log(&mut self, what: impl FnOnce() -> String) {
        if self.verbose {
            let what = what();
            println!("{:9.3} {what}", self.now.as_secs_f64());
        }
    }

    pub(super) fn wall_clock(&self) -> Timestamp {
        Timestamp(self.wall_clock_offset + i64::try_from(self.now.as_millis()).unwrap_or(i64::MAX))
    }

    pub(super) fn has_fault(&self, fault: Fault) -> bool {
        self.faults.contains(&(fault as u8))
    }

    pub(super) fn commit(&mut self) {
        self.commit_scheduled = false;
        let wall_clock = self.wall_clock();
        let failure = if self.has_fault(Fault::FullDisk) {
            Some(Failure::Full)
        } else if self.has_fault(Fault::FailingCommits) && self.rng.one_in(2) {
            Some(*self.rng.pick(&[Failure::Lost, Failure::NotKnown]))
        } else if self.faults_enabled && self.rng.one_in(3000) {
            Some(*self.rng.pick(&[Failure::FatalLost, Failure::FatalNotKnown]))
        } else {
            None
        };
        if let Some(failure) = failure {
            self.store.fail_next(failure);
            self.commit_outcome_unknown |= matches!(failure, Failure::NotKnown | Failure::FatalNotKnown);
            self.log(|| format!("commit fails: {failure:?}"));
        }
        let Some(process) = &mut self.process else { return };
        if process.requests.is_empty() {
            return;
        }
        if process.commit(wall_clock).is_some() {
            self.crash();
        }
        self.continue_logouts();
        self.schedule_pending_work();
    }

    pub(super) fn start(&mut self) {
        self.restarts += 1;
        self.incarnation = self.restarts;
        (self.commit_scheduled, self.read_scheduled, self.stopping) = (false, false, false);
        let process = Process::start(&self.store, &self.shape, self.wall_clock());
        let shards = process.shards.len();
        self.process = Some(process);
        self.faults.clear();
        self.log(|| "the process starts".to_owned());
        for at in 0..shards {
            let first = self.rng.millis(0, 100);
            self.schedule_in(first, self.incarnation, Action::Tick(at));
        }
    }

    /// The positions of the stored messages. Asserts that none is stored twice.
    pub(super) fn message_index(&self) -> MessageIndex {
        let mut index = MessageIndex::new();
        for event in self.store.events() {
            if let protocol::EventKind::Message { body, .. } = &event.kind {
                let key = body.as_str().split(' ').next().unwrap_or_default();
                let before = index.insert(key.to_owned(), (event.room, event.n.0));
                assert!(before.is_none(), "promise 3: {key} is stored twice: #{} and {before:?}", event.seq);
            }
        }
        index
    }
}

impl ActorClient {
    pub(super) fn session(&self) -> Option<TokenHash> {
        match self {
            ActorClient::Json(client) => client.session,
            ActorClient::Lines(lines) => lines.session,
        }
    }
}
