//! The server as one value: its shards, the loom that commits, the bus between them. When it is dropped the process has died:
//! what was not in the store is gone.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bus::{Delivery, Inbox, LocalBus};
use domain::{Presence, Rates};
use protocol::{Limits, Timestamp, UserId};
use storage::{MemoryStore, Reader, Request, RequestId, Store};

use super::rng::Rng;
use super::services::Memory;
use super::wire::Pipe;
use crate::commit_batch::{BusMessage, ReplyTarget, ShardBus, WriteReply};
use crate::metrics::Metrics;
use crate::queries;
use crate::sessions::Sessions;
use crate::shard::{Query, QueryResult, Settings, Shard};
use crate::writer::{self, CommitPipeline};

/// How bad a day it is for the bus: one in so many words; 0 is never.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Losses {
    pub(super) lost: u64,
    pub(super) late: u64,
    pub(super) twice: u64,
}

/// A shard, and what lies before its door.
pub(super) struct Desk {
    pub(super) shard: Shard<Pipe, Memory>,
    inbox: Inbox<BusMessage, WriteReply>,
    /// The bus has called.
    called: Arc<AtomicBool>,
    /// Words that were held up on the way.
    late: Vec<Arc<BusMessage>>,
    /// Whether a look at the inbox is planned.
    pub(super) planned: bool,
}

pub(super) struct Process {
    pub(super) desks: Vec<Desk>,
    pipeline: CommitPipeline,
    bus: Arc<ShardBus>,
    reader: Box<dyn Reader>,
    pub(super) requests: VecDeque<(Request, ReplyTarget)>,
    pub(super) queries: VecDeque<(usize, Query)>,
    pub(super) presence: Rc<RefCell<Presence>>,
    pub(super) sessions: Arc<Sessions>,
    user_ids: Range<u64>,
    pub(super) losses: Losses,
}

/// What the seed chose for a whole run.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub(super) shards: usize,
    pub(super) catch_up_events: u32,
    /// How many rounds a shard may be behind.
    pub(super) rounds: usize,
}

impl Process {
    /// As `AppState::start` does it.
    pub(super) fn start(store: &MemoryStore, shape: &Shape, wall_clock: Timestamp) -> Self {
        let mut store_writer = store.writer().expect("the process before this one is gone");
        store_writer.cleanup_transient_users(wall_clock).expect("memory does not fail here");
        let user_ids = store_writer.reserve_user_ids(writer::ID_BLOCK).expect("memory does not fail here");
        let bus: Arc<ShardBus> = Arc::new(LocalBus::new(shape.rounds));
        let metrics = Metrics::new();
        let presence = Rc::<RefCell<Presence>>::default();
        let sessions = Arc::<Sessions>::default();
        let desks = (0..shape.shards)
            .map(|number| {
                let called = Arc::new(AtomicBool::new(false));
                let wake = Arc::clone(&called);
                let inbox = bus.subscribe(Box::new(move || wake.store(true, Ordering::Relaxed)));
                let services = Memory {
                    presence: Rc::clone(&presence),
                    sessions: Arc::clone(&sessions),
                    ..Memory::default()
                };
                let settings = Settings {
                    epoch: store.epoch(),
                    limits: Limits { catch_up_events: shape.catch_up_events, ..Limits::default() },
                    rates: Rates { enabled: false, ..Rates::default() },
                    ping_interval: Duration::from_secs(30),
                    websocket_idle: Duration::from_secs(75),
                    message_assembly: Duration::from_secs(30),
                    close: Duration::from_secs(5),
                    publishes_presence: number == 0,
                };
                let shard = Shard::new(settings, services, metrics.clone());
                Desk { shard, inbox, called, late: Vec::new(), planned: false }
            })
            .collect();
        Process {
            desks,
            pipeline: CommitPipeline { writer: store_writer, bus: Arc::clone(&bus), metrics },
            bus,
            reader: store.reader().expect("memory does not fail here"),
            requests: VecDeque::new(),
            queries: VecDeque::new(),
            presence,
            sessions,
            user_ids,
            losses: Losses::default(),
        }
    }

    pub(super) fn new_user_id(&mut self) -> UserId {
        UserId(self.user_ids.next().expect("a run has few guests"))
    }

    pub(super) fn reader(&mut self) -> &mut dyn Reader {
        &mut *self.reader
    }

    /// One turn of a shard's thread: what has come on the bus, then some work. Whether there is more to do.
    pub(super) fn turn(&mut self, at: usize, now: Duration, rng: &mut Rng) -> bool {
        let losses = self.losses;
        let desk = &mut self.desks[at];
        let mut deliveries = Vec::new();
        let mut missed = desk.inbox.drain(&mut deliveries);
        for delivery in deliveries {
            // A delayed message may arrive before or after the next one.
            if !desk.late.is_empty() && rng.one_in(2) {
                let message = desk.late.remove(0);
                desk.shard.handle_commit(now, Delivery { message: Some(message), replies: Vec::new() });
            }
            let mut happens = |times: u64| times > 0 && rng.one_in(times);
            let Delivery { mut message, replies } = delivery;
            if happens(losses.late) {
                desk.late.extend(message.take());
            } else if happens(losses.twice) {
                desk.late.extend(message.clone());
            } else if happens(losses.lost) && message.take().is_some() {
                // A bus between machines may not even know.
                missed |= happens(2);
            }
            desk.shard.handle_commit(now, Delivery { message, replies });
        }
        if missed {
            desk.shard.handle_dropped_messages(now);
        }
        let more = desk.shard.work(now);
        self.gather(at);
        more
    }

    /// Takes along what a shard has asked for.
    pub(super) fn gather(&mut self, at: usize) {
        let services = &mut self.desks[at].shard.services;
        for (actor, operation, request_id) in services.requests.drain(..) {
            let reply_to = ReplyTarget::Shard { shard: at, request_id };
            self.requests.push_back((Request { request_id: RequestId(0), actor, operation }, reply_to));
        }
        self.queries.extend(services.queries.drain(..).map(|query| (at, query)));
        for (room, frame) in services.ephemeral_frames.drain(..) {
            self.bus.publish(Arc::new(BusMessage::Ephemeral { room, frame }), Vec::new());
        }
    }

    /// The loom's turn: all that has gathered. `Some`: the process has to end.
    pub(super) fn commit(&mut self, wall_clock: Timestamp) -> Option<String> {
        let (mut requests, mut reply_to) = (Vec::new(), Vec::new());
        for (request, to) in self.requests.drain(..) {
            requests.push(Request { request_id: RequestId(requests.len() as u64), ..request });
            reply_to.push(to);
        }
        self.pipeline.commit(wall_clock, requests, reply_to)
    }

    /// A reader's turn: what it found, for which shard.
    pub(super) fn read(&mut self) -> Option<(usize, QueryResult)> {
        let (at, query) = self.queries.pop_front()?;
        Some((at, queries::run_query(query, &mut *self.reader)))
    }

    /// The shards that the bus has called since the last time.
    pub(super) fn called(&mut self) -> impl Iterator<Item = usize> {
        let called = self.desks.iter().enumerate();
        called.filter(|(_, desk)| desk.called.swap(false, Ordering::Relaxed)).map(|(at, _)| at)
    }

    /// Whether nothing waits for anybody.
    pub(super) fn is_idle(&self) -> bool {
        self.requests.is_empty() && self.queries.is_empty() && self.desks.iter().all(|desk| !desk.planned)
    }

    /// Words that were held up do not come any more.
    pub(super) fn settle_bus(&mut self) {
        self.losses = Losses::default();
        for desk in &mut self.desks {
            desk.late.clear();
        }
    }
}
