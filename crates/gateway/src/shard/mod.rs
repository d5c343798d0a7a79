//! A shard owns its connections: each is read, handled and written only here, so delivery neither locks, counts nor allocates
//! per recipient.
//!
//! **A shard is a value, not a thread.** `handle_*` takes input (a new connection, readable bytes, a commit batch, the result of
//! a query, the time), and [`Shard::work`] does the next bounded piece of work. A shard reads no clock and never blocks. It
//! accesses sockets only through [`Transport`] and the rest of the server only through [`ShardServices`], so the same code runs
//! on a thread (`shard_thread/`) and in the simulation's virtual time (`sim/`).
//!
//! The three steps of a connection:
//!
//! | step | file | task |
//! |---|---|---|
//! | read | `reading.rs` | socket to messages to commands |
//! | handle | `crate::operations`, `effects.rs`, `attach.rs` | requests to effects, and effects to state |
//! | write | `fanout.rs`, `writing.rs` | cursors to sockets |
//!
//! | file | contents |
//! |---|---|
//! | `services.rs` | [`Transport`] and [`ShardServices`]: the interfaces to sockets and to the rest of the server |
//! | `connection.rs` | `Connection`, `Subscription`, `UserState`: the state of a connection and of a user |
//! | `connection_table.rs` | `ConnectionTable`: connections by key, and the users by id |
//! | `room.rs` | `Room`: the logs of an open room, its members and its fan-out |
//! | `room_table.rs` | `RoomTable`: the open rooms, by index and by id |
//! | `scheduler.rs` | `Scheduler`: the ready queues of reading, writing and fan-out |
//! | `pending.rs` | `PendingReplies`: requests that wait for the writer |
//! | `pending_subscription.rs` | `PendingSubscription`: a room that is about to be opened for a connection |
//! | `departures.rs` | `Departures`: transient guests who leave their rooms |
//! | `admission.rs` | rate limiting of HTTP requests |
//! | `effects.rs` | dispatch of requests to operations, and application of their effects |
//! | `attach.rs` | attaching connections to rooms, detaching them |
//! | `room_events.rs` | appending events to rooms, backfill of missing ones |
//! | `fanout.rs`, `writing.rs` | passes over the members of a room; one write to one connection |
//! | `catch_up.rs` | events that are no longer in the log, from the store |
//! | `replies.rs` | private frames to outboxes |
//! | `closing.rs` | start and end of connections; shutdown |
//! | `timeouts.rs` | the work of a tick |
//! | `deadlines.rs`, `wheel.rs` | `Deadlines`: the deadlines of a connection; `Wheel`: the timer wheel |
//! | `invariants.rs` | the invariants of a shard; tests only |

mod admission;
mod attach;
mod catch_up;
mod closing;
mod connection;
mod connection_table;
mod deadlines;
mod departures;
mod effects;
mod fanout;
#[cfg(test)]
mod invariants;
mod pending;
mod pending_subscription;
mod reading;
mod replies;
mod room;
mod room_events;
mod room_table;
mod scheduler;
mod services;
#[cfg(test)]
mod tests;
mod timeouts;
mod wheel;
mod writing;

use std::time::Duration;

use bus::Delivery;
use domain::Rates;
use protocol::{Epoch, Limits, RoomId};

pub use admission::{HttpRequest, Rejection};
pub(crate) use catch_up::{PAGE_BYTES, PAGE_EVENTS};
pub(crate) use connection::{ConnKey, Connection};
#[cfg(test)]
pub(crate) use pending_subscription::PendingSubscription;
pub(crate) use room::Room;
pub(crate) use services::{Page, Query, QueryResult, ShardServices, Transport};

use crate::commit_batch::{BusMessage, WriteReply};
use crate::metrics::Metrics;
use connection_table::ConnectionTable;
use departures::Departures;
use pending::PendingReplies;
use room_table::RoomTable;
use scheduler::Scheduler;
use wheel::Wheel;

/// The configuration of the shards.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name and version of the server, as `welcome` has it: `teahouse 1.2.3`.
    pub server: &'static str,
    /// The limits of messages and rooms, which clients receive in `welcome`.
    pub limits: Limits,
    /// Per user; the HTTP API shares them.
    pub rates: Rates,
    /// The server pings a connection after this long without input.
    pub ping_interval: Duration,
    /// A connection that neither sent nor accepted bytes for this long is dead.
    pub websocket_idle: Duration,
    /// The time limit for the reception of a whole message.
    pub message_assembly: Duration,
    /// The time limit for the peer's close frame after the server's.
    pub close: Duration,
}

/// A set of connections and the rooms that they have open; see the module documentation.
pub(crate) struct Shard<T, S> {
    pub(crate) settings: Settings,
    /// The epoch of the store's numbering, which `welcome` and `reset` carry.
    epoch: Epoch,
    /// Whether this shard publishes the presence frames; one shard of the server does.
    publishes_presence: bool,
    pub(crate) services: S,
    pub(crate) metrics: Metrics,
    /// The time of the current call, since the start of the process.
    pub(crate) now: Duration,
    /// All connections of a user are in one shard.
    pub(crate) connections: ConnectionTable<T>,
    offline_buckets: admission::OfflineBuckets,
    pub(crate) rooms: RoomTable,
    pub(crate) pending: PendingReplies,
    scheduler: Scheduler,
    wheel: Wheel,
    /// The read buffer of all connections. Only an incomplete message is buffered elsewhere.
    buffer: Vec<u8>,
    /// The bytes of incomplete messages of all connections; bounded by `MAX_ASSEMBLY_BYTES`.
    assembly_bytes: usize,
    /// The bytes in the outboxes of all connections; above `PRIVATE_BYTES` no store read is started.
    private_bytes: usize,
    /// Catch-up pages that could not be requested; retried at the next tick.
    postponed: Vec<(ConnKey, RoomId)>,
    /// Connections that are not read until the next tick, because the writer was overloaded.
    throttled: Vec<ConnKey>,
    departures: Departures,
    next_check: Duration,
    /// The room index at which the next check of rooms starts.
    next_room: usize,
    pub(crate) lifecycle: closing::Lifecycle,
}

impl<T: Transport, S: ShardServices> Shard<T, S> {
    /// An empty shard. The first one, whose `number` is 0, publishes the presence frames.
    pub(crate) fn new(
        number: usize,
        epoch: Epoch,
        settings: Settings,
        services: S,
        metrics: Metrics,
    ) -> Self {
        Shard {
            settings,
            epoch,
            publishes_presence: number == 0,
            services,
            metrics,
            now: Duration::ZERO,
            connections: ConnectionTable::default(),
            offline_buckets: admission::OfflineBuckets::default(),
            rooms: RoomTable::default(),
            pending: PendingReplies::default(),
            scheduler: Scheduler::default(),
            wheel: Wheel::default(),
            buffer: vec![0; reading::BUFFER_BYTES],
            assembly_bytes: 0,
            private_bytes: 0,
            postponed: Vec::new(),
            throttled: Vec::new(),
            departures: Departures::default(),
            next_check: Duration::ZERO,
            next_room: 0,
            lifecycle: closing::Lifecycle::Running,
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

    /// Does the next bounded piece of work: some reading, some private writing, a slice of one room's fan-out. Returns whether
    /// more work is ready.
    pub(crate) fn work(&mut self, now: Duration) -> bool {
        self.now = now;
        self.read_ready();
        self.write_ready();
        self.fanout_slice();
        !self.scheduler.is_idle()
    }

    /// The connection of `key`, unless it has ended.
    pub(crate) fn connection(&mut self, key: ConnKey) -> Option<&mut Connection<T>> {
        self.connections.find(key)
    }
}
