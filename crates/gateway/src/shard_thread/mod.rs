//! The thread of a shard: an epoll loop that passes it socket events, bus deliveries, query results and the time.
//!
//! | file | contents |
//! |---|---|
//! | `mod.rs` | the start of the thread, and its loop |
//! | `handle.rs` | [`ShardHandle`]: input from other threads |
//! | `services.rs` | the services that the shard uses: writer, readers, bus, presence, sessions |
//! | `socket.rs` | the socket of a connection |

mod handle;
mod services;
mod socket;

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use domain::CommandError;
use mio::{Events, Interest, Poll, Token, Waker};
use protocol::Epoch;
use tokio::sync::oneshot;

use crate::commit_batch::{BusMessage, ReplyTarget, WriteReply};
use crate::critical_thread;
use crate::handoff::UpgradedConnection;
use crate::operations::HandlerEffect;
use crate::shard::{HttpRequest, Rejection, Settings, Shard};
use crate::writer::WriterHandle;

use handle::Input;
pub(crate) use handle::{HttpEffects, HttpWrite, ShardHandle};
use services::LiveServices;
pub(crate) use services::Shared;
use socket::Socket;

/// The epoll token of the waker. The token of a socket is the index of its connection.
const WAKE: Token = Token(usize::MAX);

/// Starts the thread of a shard. Shards are numbered in the order of their start.
pub(crate) fn start(
    number: usize,
    epoch: Epoch,
    settings: Settings,
    shared: Shared,
) -> io::Result<(ShardHandle, JoinHandle<()>)> {
    let poll = Poll::new()?;
    let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
    let handle = ShardHandle::new(Arc::clone(&waker));
    let inbox = shared.bus.subscribe(Box::new(move || {
        // If the wake fails, the shard drains its inbox at the next tick.
        let _ = waker.wake();
    }));
    let metrics = shared.metrics.clone();
    let (started, writer) = (shared.started, shared.writer.clone());
    let services = LiveServices { number, shared, handle: handle.clone() };
    let own_handle = handle.clone();
    let thread = critical_thread::spawn(format!("shard-{number}"), move || {
        // Created on the thread that it never leaves.
        let shard = Shard::new(number, epoch, settings, services, metrics);
        Loop { poll, shard, handle: own_handle, inbox, writer, started, close_waiters: Vec::new() }.run();
    })?;
    Ok((handle, thread))
}

struct Loop {
    poll: Poll,
    shard: Shard<Socket, LiveServices>,
    handle: ShardHandle,
    inbox: bus::Inbox<BusMessage, WriteReply>,
    writer: WriterHandle,
    started: Instant,
    /// Callers that wait until the shard has no connections.
    close_waiters: Vec<oneshot::Sender<()>>,
}

impl Loop {
    fn run(mut self) {
        let mut events = Events::with_capacity(1024);
        let mut deliveries = Vec::new();
        let mut more = false;
        let mut next_tick = Duration::ZERO;
        loop {
            let wait = if more { Duration::ZERO } else { self.shard.poll_timeout() };
            match self.poll.poll(&mut events, Some(wait)) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    // Without epoll the shard cannot run; a restart recovers the whole server.
                    tracing::error!(%error, "a shard cannot poll its sockets; the process exits");
                    std::process::exit(70);
                }
            }
            let now = self.started.elapsed();
            for event in &events {
                if event.token() == WAKE {
                    continue;
                }
                if event.is_writable() {
                    self.shard.handle_writable(now, event.token().0);
                }
                if event.is_readable() || event.is_read_closed() || event.is_error() {
                    self.shard.handle_readable(now, event.token().0);
                }
            }
            // Taken before the inbox is drained: the caller of `close` has waited until all commits were published, and their
            // replies must be written before the close frames.
            let inputs = self.handle.take_inputs();
            let dropped = self.inbox.drain(&mut deliveries);
            for delivery in deliveries.drain(..) {
                self.shard.handle_commit(now, delivery);
            }
            if dropped {
                self.shard.handle_dropped_messages(now);
            }
            for input in inputs {
                self.handle_input(now, input);
            }
            if now >= next_tick {
                next_tick = now + self.shard.poll_timeout();
                self.shard.handle_timeout(now);
            }
            more = self.shard.work(now);
            if more && self.writer.is_busy() {
                // On a machine with few cores the writer would otherwise wait for the end of this thread's time slice.
                std::thread::yield_now();
            }
            if !self.close_waiters.is_empty() && self.shard.is_empty() && self.handle.has_ended() {
                for done in self.close_waiters.drain(..) {
                    let _ = done.send(());
                }
                return;
            }
        }
    }

    fn handle_input(&mut self, now: Duration, input: Input) {
        match input {
            Input::UpgradedConnection(upgraded) => self.connect(now, upgraded),
            Input::QueryResult(found) => self.shard.handle_query_result(now, found),
            Input::HttpRequest { request, handled } => {
                let _ = handled.send(self.handle_http_request(now, request));
            }
            Input::Refund { user, class } => self.shard.handle_refund(user, class),
            Input::Renamed { user, name } => self.shard.handle_renamed(now, user, name),
            Input::SessionEnd { user, done } => {
                self.shard.handle_session_end(now, user);
                let _ = done.send(());
            }
            Input::Draining { done } => {
                // What clients have sent before the stop is still handled.
                self.shard.work(now);
                self.shard.handle_draining(now);
                let _ = done.send(());
            }
            Input::Closing { retry_within, done } => {
                self.shard.handle_closing(now, retry_within);
                self.close_waiters.push(done);
            }
        }
    }

    fn handle_http_request(&mut self, now: Duration, request: HttpRequest) -> Result<HttpEffects, Rejection> {
        let actor = request.identity.actor();
        let (mut effects, mut write) = (Vec::new(), None);
        for effect in self.shard.handle_http_request(now, request)? {
            match effect {
                HandlerEffect::Write { operation, on_reply } if write.is_none() => {
                    let (sender, reply) = oneshot::channel();
                    let target = ReplyTarget::Caller(sender);
                    match self.writer.submit(actor.clone(), operation, target) {
                        Ok(()) => write = Some(HttpWrite { on_reply, reply }),
                        Err(code) => effects.extend(on_reply.failed(CommandError::from(code))),
                    }
                }
                effect => effects.push(effect),
            }
        }
        Ok(HttpEffects { effects, write })
    }

    fn connect(&mut self, now: Duration, upgraded: UpgradedConnection) {
        let UpgradedConnection { stream, read_ahead, identity, protocol, slot } = upgraded;
        let key = self.shard.handle_connect(now, Socket::new(stream, slot), identity, protocol);
        let registered = self.shard.connection(key).is_some_and(|connection| {
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.poll
                .registry()
                .register(&mut connection.transport.stream, Token(key.index), interest)
                .is_ok()
        });
        if !registered {
            // Out of kernel memory: the peer loses its connection and reconnects.
            tracing::warn!("a socket cannot be registered with epoll and is closed");
            return self.shard.end_connection(key.index);
        }
        if !read_ahead.is_empty() {
            self.shard.handle_read_ahead(now, key, &mut read_ahead.to_vec());
        }
    }
}
