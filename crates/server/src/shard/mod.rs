//! A shard owns its connections outright: each is read, handled and written here and nowhere else, so that nothing about a
//! recipient is locked, counted or allocated.
//!
//! **A shard is a value, not a thread.** `handle_*` takes what happened (a connection, readable bytes, a round of the
//! writer, what a reader found, the time), [`Shard::work`] does the next bounded piece of what is to be done. It reads no
//! clock, waits for nothing, and knows sockets only as [`Transport`] and the rest of the house only as [`ShardServices`]; so the same
//! code runs under a thread (`shard_thread.rs`) and under a simulation's virtual time.
//!
//! The three roles of a connection, each with its place:
//!
//! | role | file | does |
//! |---|---|---|
//! | read | `reading.rs` | socket to messages to commands |
//! | handle | `crate::operations`, `effects.rs`, `rooms.rs`, `timeouts.rs` | requests to effects, and effects to state |
//! | write | `fanout.rs` | cursors to sockets |
//!
//! | file | what it holds |
//! |---|---|
//! | `connection.rs` | `Connection`, `Subscription`, `UserState`: what is kept for each |
//! | `room.rs` | `Room`: the logs of a live room, and who is behind |
//! | `admission.rs` | requests over HTTP pay here |
//! | `room_table.rs` | `RoomTable`: the open rooms, by index and by id |
//! | `scheduler.rs` | `Scheduler`: what is read, written and fanned out next |
//! | `pending.rs` | `PendingReplies`: requests that wait for the writer |
//! | `effects.rs` | requests to operations, and their effects to state |
//! | `rooms.rs` | opening and closing a room for a connection |
//! | `catch_up.rs` | what is no longer in the log comes from the store |
//! | `replies.rs` | private frames into outboxes |
//! | `closing.rs` | every way in which a connection ends; stopping |
//! | `wheel.rs` | the one coarse timer wheel |

mod admission;
mod catch_up;
mod closing;
mod connection;
mod effects;
mod fanout;
#[cfg(test)]
mod invariants;
mod pending;
mod reading;
mod replies;
mod room;
mod room_table;
mod rooms;
mod scheduler;
mod services;
#[cfg(test)]
mod tests;
mod timeouts;
mod wheel;

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use bus::Delivery;
use domain::Rates;
use protocol::{Epoch, Limits, RoomId, UserId};
use slab::Slab;

pub(crate) use admission::{Admission, AdmissionRequest, Rejection};
pub(crate) use catch_up::{PAGE_BYTES, PAGE_EVENTS};
pub(crate) use connection::{ConnKey, Connection, UserState};
pub(crate) use room::Room;
#[cfg(test)]
pub(crate) use rooms::PendingSubscription;
pub(crate) use services::{Found, Page, Query, ShardServices, Transport};

use crate::commit_batch::{BusMessage, WriteReply};
use crate::metrics::Metrics;
use pending::PendingReplies;
use room_table::RoomTable;
use scheduler::Scheduler;
use wheel::Wheel;

/// What a shard is told once.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) epoch: Epoch,
    pub(crate) limits: Limits,
    pub(crate) rates: Rates,
    /// A silent connection is asked for a sign of life after this long.
    pub(crate) ping_interval: Duration,
    /// A connection from which nothing came, and which took nothing, for this long is dead.
    pub(crate) websocket_idle: Duration,
    /// A message that was begun is to be ended within this.
    pub(crate) message_assembly: Duration,
    /// A peer that was told goodbye has this long to answer.
    pub(crate) close: Duration,
    /// Whether this shard is the one that tells all of them who came and went.
    pub(crate) tells_presence: bool,
}

/// See the essay above.
pub(crate) struct Shard<L, O> {
    pub(crate) settings: Settings,
    pub(crate) services: O,
    pub(crate) metrics: Metrics,
    /// The moment of the call that is under way, since the process began.
    pub(crate) now: Duration,
    pub(crate) connections: Slab<Connection<L>>,
    /// Everybody who has a connection here; all connections of a session are in one shard.
    pub(crate) users: HashMap<UserId, UserState>,
    offline_buckets: admission::OfflineBuckets,
    /// Rooms that somebody here has open.
    pub(crate) rooms: RoomTable,
    pub(crate) pending: PendingReplies,
    scheduler: Scheduler,
    wheel: Wheel,
    /// One for all connections: only an unfinished message is kept anywhere else.
    buffer: Vec<u8>,
    /// Bytes of unfinished messages, of all connections.
    assembly_bytes: usize,
    /// What waits in the outboxes of all connections.
    private_bytes: usize,
    /// Told apart from its predecessor in the same place.
    generation: u32,
    /// Pages that no reader would take: asked for again at the next tick.
    postponed: Vec<(ConnKey, RoomId)>,
    /// Who is not read until the next tick, having been refused.
    throttled: Vec<ConnKey>,
    /// Guests who are to leave their rooms, when the writer has time.
    deferred_leaves: VecDeque<storage::Actor>,
    /// Those that the store could not do.
    failed_leaves: Vec<storage::Actor>,
    next_check: Duration,
    /// Where the next check of rooms begins.
    next_room: usize,
    pub(crate) stopping: closing::Stopping,
}

impl<L: Transport, O: ShardServices> Shard<L, O> {
    /// An empty shard.
    pub(crate) fn new(settings: Settings, services: O, metrics: Metrics) -> Self {
        Shard {
            settings,
            services,
            metrics,
            now: Duration::ZERO,
            connections: Slab::new(),
            users: HashMap::new(),
            offline_buckets: admission::OfflineBuckets::default(),
            rooms: RoomTable::default(),
            pending: PendingReplies::default(),
            scheduler: Scheduler::default(),
            wheel: Wheel::default(),
            buffer: vec![0; reading::BUFFER_BYTES],
            assembly_bytes: 0,
            private_bytes: 0,
            generation: 0,
            postponed: Vec::new(),
            throttled: Vec::new(),
            deferred_leaves: VecDeque::new(),
            failed_leaves: Vec::new(),
            next_check: Duration::ZERO,
            next_room: 0,
            stopping: closing::Stopping::No,
        }
    }

    /// Applies a bus delivery: committed events, ephemeral frames and this shard's replies. A `None` message was dropped
    /// because the inbox was full; the store has its events.
    pub(crate) fn handle_commit(&mut self, now: Duration, delivery: Delivery<BusMessage, WriteReply>) {
        self.now = now;
        let mut replies = delivery.replies.into_iter().peekable();
        match delivery.message.as_deref() {
            Some(BusMessage::Committed(events)) => {
                for (before, committed) in events.iter().enumerate() {
                    while let Some(reply) = replies.next_if(|reply| reply.after <= before) {
                        self.handle_reply(reply);
                    }
                    self.handle_event(committed);
                }
            }
            Some(BusMessage::Ephemeral { room, frame }) => self.handle_ephemeral(*room, frame),
            None => {}
        }
        for reply in replies {
            self.handle_reply(reply);
        }
    }

    /// Does the next bounded piece of work: some reading, some private writing, a slice of a room's walk. `true`: there is
    /// more to do, and nothing to wait for.
    pub(crate) fn work(&mut self, now: Duration) -> bool {
        self.now = now;
        self.read_some();
        self.write_some();
        self.fanout_some();
        !self.scheduler.is_idle()
    }

    /// A connection, if it is still the one that was meant.
    pub(crate) fn connection(&mut self, key: ConnKey) -> Option<&mut Connection<L>> {
        self.connections.get_mut(key.index).filter(|connection| connection.key.generation == key.generation)
    }
}
