//! The thread of a shard: an epoll loop that passes it socket events, bus deliveries, query results and the time.

use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use domain::{Actor, CommandError, OperationResult, Presence, TokenHash};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token, Waker};
use protocol::{Epoch, ErrorCode, RateClass, RoomId, UserId, UserName};
use rustix::net::SendFlags;
use tokio::sync::oneshot;

use crate::commit_batch::{BusMessage, ReplyTarget, ShardBus, WriteReply};
use crate::critical_thread;
use crate::handoff::{SlotGuard, UpgradedConnection};
use crate::metrics::Metrics;
use crate::operations::{HandlerEffect, OnReply};
use crate::queries;
use crate::readers::Readers;
use crate::sessions::Sessions;
use crate::shard::{HttpRequest, Query, QueryResult, Rejection, Settings, Shard, ShardServices, Transport};
use crate::writer::WriterHandle;

/// The epoll token of the waker. The token of a socket is the index of its connection.
const WAKE: Token = Token(usize::MAX);

/// A connection's socket.
struct Socket {
    stream: TcpStream,
    /// Held, not read: dropping it frees the connection's slot under the limits.
    _slot: SlotGuard,
}

impl Transport for Socket {
    fn try_read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
    }

    fn try_write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match slices {
            // One slice is the common case, and `send` is cheaper than `sendmsg`. The system call is made directly: `send` of the
            // C library is a cancellation point, which costs instructions before and after it.
            [one] => Ok(rustix::net::send(&self.stream, one, SendFlags::NOSIGNAL)?),
            _ => self.stream.write_vectored(slices),
        }
    }

    fn finish_writing(&mut self) {
        // Fails only if the peer has disconnected.
        let _ = self.stream.shutdown(Shutdown::Write);
    }
}

/// Input of a shard from other threads, apart from the bus.
enum Input {
    UpgradedConnection(UpgradedConnection),
    QueryResult(QueryResult),
    HttpRequest { request: HttpRequest, handled: oneshot::Sender<Result<HttpEffects, Rejection>> },
    Refund { user: UserId, class: RateClass },
    Renamed { user: UserId, name: UserName },
    SessionEnd { user: UserId, done: oneshot::Sender<()> },
    Draining { done: oneshot::Sender<()> },
    Closing { retry_within: Duration, done: oneshot::Sender<()> },
}

/// The effects of a request over HTTP. Its write has been submitted.
pub(crate) struct HttpEffects {
    pub(crate) effects: Vec<HandlerEffect>,
    pub(crate) write: Option<HttpWrite>,
}

/// A write that was submitted for a request over HTTP.
pub(crate) struct HttpWrite {
    /// What follows from the answer.
    pub(crate) on_reply: Box<dyn OnReply>,
    /// The writer's answer.
    pub(crate) answer: oneshot::Receiver<Result<OperationResult, CommandError>>,
}

/// A handle to a shard's thread.
#[derive(Clone)]
pub(crate) struct ShardHandle {
    // owner: the shard's thread, which takes all inputs at once; bounded by the upgrades and reads in progress. `None`: the
    // thread has ended, and further inputs are dropped with their reply channels.
    inputs: Arc<Mutex<Option<Vec<Input>>>>,
    waker: Arc<Waker>,
}

impl ShardHandle {
    /// Hands an upgraded connection to the shard.
    pub(crate) fn connect(&self, upgraded: UpgradedConnection) {
        self.put(Input::UpgradedConnection(upgraded));
    }

    /// Closes the connections of a user whose session has ended.
    pub(crate) async fn end_session(&self, user: UserId) {
        let (done, wait) = oneshot::channel();
        self.put(Input::SessionEnd { user, done });
        let _ = wait.await;
    }

    /// Handles a request over HTTP. Its write is submitted from the shard's thread.
    pub(crate) async fn handle(&self, request: HttpRequest) -> Result<HttpEffects, Rejection> {
        let (handled, wait) = oneshot::channel();
        self.put(Input::HttpRequest { request, handled });
        // The channel is closed if the thread has ended.
        wait.await.unwrap_or_else(|_| Err(ErrorCode::ShuttingDown.into()))
    }

    /// Returns a token that a request over HTTP took in advance.
    pub(crate) fn refund(&self, user: UserId, class: RateClass) {
        self.put(Input::Refund { user, class });
    }

    /// Applies a rename over HTTP.
    pub(crate) fn renamed(&self, user: UserId, name: UserName) {
        self.put(Input::Renamed { user, name });
    }

    /// Stops the reading of input.
    pub(crate) async fn drain(&self) {
        let (done, wait) = oneshot::channel();
        self.put(Input::Draining { done });
        let _ = wait.await;
    }

    /// Closes every connection. Returns when all have ended, at the latest after the close timeout; then the thread ends.
    pub(crate) async fn close(&self, retry_within: Duration) {
        let (done, wait) = oneshot::channel();
        self.put(Input::Closing { retry_within, done });
        let _ = wait.await;
    }

    fn put(&self, input: Input) {
        match &mut *self.lock() {
            Some(inputs) => inputs.push(input),
            None => return,
        }
        if let Err(error) = self.waker.wake() {
            tracing::error!(%error, "a shard cannot be woken");
        }
    }

    /// Ends the acceptance of inputs if none is queued. Returns whether it has ended.
    fn has_ended(&self) -> bool {
        let mut inputs = self.lock();
        if inputs.as_ref().is_none_or(Vec::is_empty) {
            *inputs = None;
        }
        inputs.is_none()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Vec<Input>>> {
        // A panic during a push or a swap leaves the list valid.
        self.inputs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The values that the threads of the shards share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) writer: WriterHandle,
    pub(crate) readers: Readers,
    pub(crate) bus: Arc<ShardBus>,
    // owner: shared by the shards; held for one read or update, never per recipient.
    pub(crate) presence: Arc<Mutex<Presence>>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) metrics: Metrics,
    /// The start of the process, from which all times are measured.
    pub(crate) started: Instant,
}

/// The services of the server, as a shard uses them.
struct LiveServices {
    number: usize,
    shared: Shared,
    /// The handle to this shard, to which readers send results.
    handle: ShardHandle,
}

impl ShardServices for LiveServices {
    fn write(
        &mut self,
        actor: Actor,
        operation: domain::Operation,
        request_id: u64,
    ) -> Result<(), ErrorCode> {
        self.shared.writer.submit(actor, operation, ReplyTarget::Shard { shard: self.number, request_id })
    }

    fn read(&mut self, query: Query) -> Result<(), ErrorCode> {
        let handle = self.handle.clone();
        self.shared
            .readers
            .submit(move |reader| handle.put(Input::QueryResult(queries::run_query(query, reader))))
    }

    fn publish_ephemeral(&mut self, room: RoomId, frame: Bytes) {
        self.shared.bus.publish(Arc::new(BusMessage::Ephemeral { room, frame }), Vec::new());
    }

    fn presence<T>(&mut self, access: impl FnOnce(&mut Presence) -> T) -> T {
        access(&mut self.shared.presence.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn session_has_ended(&self, session: &TokenHash) -> bool {
        self.shared.sessions.has_ended(session)
    }

    fn session_stored(&mut self, session: &TokenHash) {
        self.shared.sessions.stored(session);
    }
}

/// Starts the thread of a shard. Shards are numbered in the order of their start.
pub(crate) fn start(
    number: usize,
    epoch: Epoch,
    settings: Settings,
    shared: Shared,
) -> io::Result<(ShardHandle, JoinHandle<()>)> {
    let poll = Poll::new()?;
    let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
    let handle = ShardHandle { inputs: Arc::new(Mutex::new(Some(Vec::new()))), waker: Arc::clone(&waker) };
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
            let inputs = self.handle.lock().as_mut().map(std::mem::take).unwrap_or_default();
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
                // Between two slices: on machines with few cores the writer would otherwise wait for the end of this thread's time
                // slice.
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
                // Processes the input that the sockets have already.
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
                    let (reply, answer) = oneshot::channel();
                    let target = ReplyTarget::Caller(reply);
                    match self.writer.submit(actor.clone(), operation, target) {
                        Ok(()) => write = Some(HttpWrite { on_reply, answer }),
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
        let socket = Socket { stream: TcpStream::from_std(stream), _slot: slot };
        let key = self.shard.handle_connect(now, socket, identity, protocol);
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
