//! The server process as one value: its shards, the commit pipeline, the bus between them. Dropping it simulates a crash: what
//! is not in the store is lost.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bus::{Delivery, Inbox, LocalBus};
use domain::{Presence, Rates, Request, RequestId};
use protocol::{Limits, Timestamp, UserId};
use storage::{MemoryStore, Reader, Store};

use super::pipe::Pipe;
use super::rng::Rng;
use super::services::Memory;
use crate::commit_batch::{BusMessage, ReplyTarget, ShardBus, WriteReply};
use crate::metrics::Metrics;
use crate::queries;
use crate::sessions::Sessions;
use crate::shard::{Query, QueryResult, Settings, Shard};
use crate::writer::{self, CommitPipeline};

/// The faults of the bus: each field is the inverse rate per message, and 0 disables the fault.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct BusFaults {
    pub(super) drop: u64,
    pub(super) delay: u64,
    pub(super) duplicate: u64,
}

pub(super) struct SimShard {
    pub(super) shard: Shard<Pipe, Memory>,
    inbox: Inbox<BusMessage, WriteReply>,
    /// Set by the bus to wake the shard.
    woken: Arc<AtomicBool>,
    delayed: Vec<Arc<BusMessage>>,
    pub(super) is_scheduled: bool,
}

pub(super) struct Process {
    pub(super) shards: Vec<SimShard>,
    pipeline: CommitPipeline,
    bus: Arc<ShardBus>,
    reader: Box<dyn Reader>,
    pub(super) requests: VecDeque<(Request, ReplyTarget)>,
    pub(super) queries: VecDeque<(usize, Query)>,
    pub(super) presence: Rc<RefCell<Presence>>,
    pub(super) sessions: Arc<Sessions>,
    user_ids: Range<u64>,
    pub(super) bus_faults: BusFaults,
}

/// The parameters of a run, chosen by the seed.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub(super) shards: usize,
    pub(super) catch_up_events: u32,
    /// The capacity of a shard's inbox in messages.
    pub(super) inbox_capacity: usize,
}

impl Process {
    /// Starts the process in the steps of `Gateway::start`.
    pub(super) fn start(store: &MemoryStore, shape: &Shape, wall_clock: Timestamp) -> Self {
        let mut store_writer = store.writer().expect("the previous process has ended");
        store_writer.cleanup_transient_users(wall_clock).expect("memory does not fail here");
        let user_ids = store_writer.reserve_user_ids(writer::ID_BLOCK).expect("memory does not fail here");
        let bus: Arc<ShardBus> = Arc::new(LocalBus::new(shape.inbox_capacity));
        let metrics = Metrics::default();
        let presence = Rc::<RefCell<Presence>>::default();
        let sessions = Arc::<Sessions>::default();
        let shards = (0..shape.shards)
            .map(|number| {
                let woken = Arc::new(AtomicBool::new(false));
                let wake = Arc::clone(&woken);
                let inbox = bus.subscribe(Box::new(move || wake.store(true, Ordering::Relaxed)));
                let services = Memory {
                    presence: Rc::clone(&presence),
                    sessions: Arc::clone(&sessions),
                    ..Memory::default()
                };
                let settings = Settings {
                    server: "teahouse 0.0.0",
                    limits: Limits { catch_up_events: shape.catch_up_events, ..Limits::default() },
                    rates: Rates { enabled: false, ..Rates::default() },
                    ping_interval: Duration::from_secs(30),
                    websocket_idle: Duration::from_secs(75),
                    message_assembly: Duration::from_secs(30),
                    close: Duration::from_secs(5),
                };
                let shard = Shard::new(number, store.epoch(), settings, services, metrics.clone());
                SimShard { shard, inbox, woken, delayed: Vec::new(), is_scheduled: false }
            })
            .collect();
        Process {
            shards,
            pipeline: CommitPipeline { writer: store_writer, bus: Arc::clone(&bus), metrics },
            bus,
            reader: store.reader().expect("memory does not fail here"),
            requests: VecDeque::new(),
            queries: VecDeque::new(),
            presence,
            sessions,
            user_ids,
            bus_faults: BusFaults::default(),
        }
    }

    pub(super) fn new_user_id(&mut self) -> UserId {
        UserId(self.user_ids.next().expect("a run has few guests"))
    }

    pub(super) fn reader(&mut self) -> &mut dyn Reader {
        &mut *self.reader
    }

    /// Runs a shard once: its inbox, then a piece of work. Returns whether more work is ready.
    pub(super) fn run_shard(&mut self, at: usize, now: Duration, rng: &mut Rng) -> bool {
        let bus_faults = self.bus_faults;
        let sim_shard = &mut self.shards[at];
        let mut deliveries = Vec::new();
        let mut dropped = sim_shard.inbox.drain(&mut deliveries);
        for delivery in deliveries {
            // A delayed message may arrive before or after the next one.
            if !sim_shard.delayed.is_empty() && rng.one_in(2) {
                let message = sim_shard.delayed.remove(0);
                sim_shard.shard.handle_commit(now, Delivery { message: Some(message), replies: Vec::new() });
            }
            let mut happens = |times: u64| times > 0 && rng.one_in(times);
            let Delivery { mut message, replies } = delivery;
            if happens(bus_faults.delay) {
                sim_shard.delayed.extend(message.take());
            } else if happens(bus_faults.duplicate) {
                sim_shard.delayed.extend(message.clone());
            } else if happens(bus_faults.drop) && message.take().is_some() {
                // A bus between machines may not report the drop.
                dropped |= happens(2);
            }
            sim_shard.shard.handle_commit(now, Delivery { message, replies });
        }
        if dropped {
            sim_shard.shard.handle_dropped_messages(now);
        }
        let more = sim_shard.shard.work(now);
        self.collect_output(at);
        more
    }

    /// Collects the requests, queries and ephemeral frames of a shard.
    pub(super) fn collect_output(&mut self, at: usize) {
        let services = &mut self.shards[at].shard.services;
        for (actor, operation, request_id) in services.requests.drain(..) {
            let reply_to = ReplyTarget::Shard { shard: at, request_id };
            self.requests.push_back((Request { request_id: RequestId(0), actor, operation }, reply_to));
        }
        self.queries.extend(services.queries.drain(..).map(|query| (at, query)));
        for (room, frame) in services.ephemeral_frames.drain(..) {
            self.bus.publish(Arc::new(BusMessage::Ephemeral { room, frame }), Vec::new());
        }
    }

    /// Commits all collected requests. Returns a reason if the process must exit.
    pub(super) fn commit(&mut self, wall_clock: Timestamp) -> Option<String> {
        let (mut requests, mut reply_to) = (Vec::new(), Vec::new());
        for (request, to) in self.requests.drain(..) {
            requests.push(Request { request_id: RequestId(requests.len() as u64), ..request });
            reply_to.push(to);
        }
        self.pipeline.commit(wall_clock, requests, reply_to)
    }

    /// Runs the next query. Returns its result and the index of the shard.
    pub(super) fn read(&mut self) -> Option<(usize, QueryResult)> {
        let (at, query) = self.queries.pop_front()?;
        Some((at, queries::run_query(query, &mut *self.reader)))
    }

    /// The shards that the bus has woken since the last call.
    pub(super) fn take_woken(&mut self) -> impl Iterator<Item = usize> {
        let shards = self.shards.iter().enumerate();
        shards.filter(|(_, sim_shard)| sim_shard.woken.swap(false, Ordering::Relaxed)).map(|(at, _)| at)
    }

    /// Whether no request, query or run is pending.
    pub(super) fn is_idle(&self) -> bool {
        self.requests.is_empty()
            && self.queries.is_empty()
            && self.shards.iter().all(|sim_shard| !sim_shard.is_scheduled)
    }

    /// Ends the faults of the bus and drops the delayed messages.
    pub(super) fn clear_bus_faults(&mut self) {
        self.bus_faults = BusFaults::default();
        for sim_shard in &mut self.shards {
            sim_shard.delayed.clear();
        }
    }
}
