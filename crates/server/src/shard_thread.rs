//! The thread around a shard: an epoll loop that feeds it sockets, rounds, answers and the time.

use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use domain::Presence;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token, Waker};
use protocol::{ErrorCode, RoomId, UserId, UserName};
use rustix::net::SendFlags;
use storage::{Actor, TokenHash};
use tokio::sync::oneshot;

use crate::commit_batch::{BusMessage, ReplySender, ReplyTarget, RoundBus, WriteReply};
use crate::critical_thread;
use crate::handoff::{SlotGuard, UpgradedConnection};
use crate::metrics::Metrics;
use crate::queries;
use crate::readers::Readers;
use crate::sessions::Sessions;
use crate::shard::{
    Admission, AdmissionRequest, Found, Query, Rejection, Settings, Shard, ShardServices, Transport,
};
use crate::writer::WriterHandle;

/// The socket's place in epoll is the connection's place in the shard; this one is the inbox's.
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
            // `send` is cheaper than `sendmsg`, and one piece is the common case. Not by the C library, whose `send` is a place
            // where a thread can be cancelled, and says so before and after.
            [one] => Ok(rustix::net::send(&self.stream, one, SendFlags::NOSIGNAL)?),
            _ => self.stream.write_vectored(slices),
        }
    }

    fn finish_writing(&mut self) {
        // A peer that is gone already needs not be told.
        let _ = self.stream.shutdown(Shutdown::Write);
    }
}

/// What comes to a shard from outside its sockets and the bus.
enum Input {
    UpgradedConnection(UpgradedConnection),
    Found(Found),
    HttpRequest {
        request: AdmissionRequest,
        write: Option<HttpWrite>,
        admitted: oneshot::Sender<Result<Admission, Rejection>>,
    },
    RoomRefund {
        user: UserId,
    },
    Renamed {
        user: UserId,
        name: UserName,
    },
    SessionEnd {
        user: UserId,
        done: oneshot::Sender<()>,
    },
    Draining {
        done: oneshot::Sender<()>,
    },
    Closing {
        retry_within: Duration,
        done: oneshot::Sender<()>,
    },
}

/// What an admitted request over HTTP writes.
pub(crate) struct HttpWrite {
    pub(crate) actor: Actor,
    pub(crate) operation: storage::Operation,
    pub(crate) reply: ReplySender,
}

/// The way to a shard.
#[derive(Clone)]
pub(crate) struct ShardHandle {
    // owner: the shard's thread, which takes all at once; bounded by the connections and reads that may be under way. `None`:
    // the thread has ended, and what is put here is dropped: whoever waits for an answer need not.
    inputs: Arc<Mutex<Option<Vec<Input>>>>,
    waker: Arc<Waker>,
}

impl ShardHandle {
    /// Hands a connection over.
    pub(crate) fn arrive(&self, handoff: UpgradedConnection) {
        self.put(Input::UpgradedConnection(handoff));
    }

    /// Ends the sockets of a person whose session has ended.
    pub(crate) async fn end_session(&self, user: UserId) {
        let (done, wait) = oneshot::channel();
        self.put(Input::SessionEnd { user, done });
        let _ = wait.await;
    }

    /// Admits a request over HTTP. What it writes goes to the writer from the shard's thread.
    pub(crate) async fn admit(
        &self,
        request: AdmissionRequest,
        write: Option<HttpWrite>,
    ) -> Result<Admission, Rejection> {
        let (admitted, wait) = oneshot::channel();
        self.put(Input::HttpRequest { request, write, admitted });
        // A shard that has ended answers nothing.
        wait.await.unwrap_or_else(|_| Err(ErrorCode::ShuttingDown.into()))
    }

    /// Refunds the price of a room that was not created.
    pub(crate) fn refund_room(&self, user: UserId) {
        self.put(Input::RoomRefund { user });
    }

    /// The user was renamed over HTTP.
    pub(crate) fn renamed(&self, user: UserId, name: UserName) {
        self.put(Input::Renamed { user, name });
    }

    /// Nothing is read any more.
    pub(crate) async fn quiet(&self) {
        let (done, wait) = oneshot::channel();
        self.put(Input::Draining { done });
        let _ = wait.await;
    }

    /// Everybody is told goodbye; returns when all have gone, or have had their time. The thread ends.
    pub(crate) async fn goodbye(&self, retry_within: Duration) {
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

    /// The thread ends here, unless something has come meanwhile.
    fn has_ended(&self) -> bool {
        let mut inputs = self.lock();
        if inputs.as_ref().is_none_or(Vec::is_empty) {
            *inputs = None;
        }
        inputs.is_none()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Vec<Input>>> {
        // A push or a swap cannot leave the list torn.
        self.inputs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a shard's thread shares with the others.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) writer: WriterHandle,
    pub(crate) readers: Readers,
    pub(crate) bus: Arc<RoundBus>,
    // owner: shared by the shards; held for one look or change, never for a recipient.
    pub(crate) presence: Arc<Mutex<Presence>>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) metrics: Metrics,
    /// When the process began: the zero of every moment in it.
    pub(crate) began: Instant,
}

/// The rest of the house, as one shard reaches it.
struct LiveServices {
    number: usize,
    shared: Shared,
    /// Where readers put what they find.
    own: ShardHandle,
}

impl ShardServices for LiveServices {
    fn write(
        &mut self,
        actor: Actor,
        operation: storage::Operation,
        request_id: u64,
    ) -> Result<(), ErrorCode> {
        self.shared.writer.submit(actor, operation, ReplyTarget::Shard { shard: self.number, request_id })
    }

    fn read(&mut self, query: Query) -> Result<(), ErrorCode> {
        let own = self.own.clone();
        self.shared.readers.submit(move |reader| own.put(Input::Found(queries::carry_out(query, reader))))
    }

    fn aside(&mut self, room: RoomId, frame: Bytes) {
        self.shared.bus.publish(Arc::new(BusMessage::Ephemeral { room, frame }), Vec::new());
    }

    fn presence<T>(&mut self, look: impl FnOnce(&mut Presence) -> T) -> T {
        look(&mut self.shared.presence.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn session_has_ended(&self, session: &TokenHash) -> bool {
        self.shared.sessions.has_ended(session)
    }

    fn session_stored(&mut self, session: &TokenHash) {
        self.shared.sessions.stored(session);
    }
}

/// Starts a shard's thread. Shards are numbered in the order in which they are started.
pub(crate) fn start(
    number: usize,
    settings: Settings,
    shared: Shared,
) -> io::Result<(ShardHandle, JoinHandle<()>)> {
    let poll = Poll::new()?;
    let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
    let handle = ShardHandle { inputs: Arc::new(Mutex::new(Some(Vec::new()))), waker: Arc::clone(&waker) };
    let rounds = shared.bus.subscribe(Box::new(move || {
        // The shard looks at its inbox at every tick, also when it cannot be woken.
        let _ = waker.wake();
    }));
    let metrics = shared.metrics.clone();
    let (began, writer) = (shared.began, shared.writer.clone());
    let services = LiveServices { number, shared, own: handle.clone() };
    let own = handle.clone();
    let thread = critical_thread::spawn(format!("shard-{number}"), move || {
        // Made here, for it never leaves its thread.
        let shard = Shard::new(settings, services, metrics);
        Loop { poll, shard, handle: own, rounds, writer, began, goodbyes: Vec::new() }.run();
    })?;
    Ok((handle, thread))
}

struct Loop {
    poll: Poll,
    shard: Shard<Socket, LiveServices>,
    handle: ShardHandle,
    rounds: bus::Inbox<BusMessage, WriteReply>,
    writer: WriterHandle,
    began: Instant,
    /// Who waits for the shard to be empty.
    goodbyes: Vec<oneshot::Sender<()>>,
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
                    // Without epoll there is no shard, and half a server is worse than one that is started anew.
                    tracing::error!(%error, "a shard cannot wait for its sockets; the process ends");
                    std::process::exit(70);
                }
            }
            let now = self.began.elapsed();
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
            // Before the rounds: whoever puts a goodbye here knows that what was committed before it has been published,
            // and its answers must be written before the goodbye is.
            let inputs = self.handle.lock().as_mut().map(std::mem::take).unwrap_or_default();
            let missed = self.rounds.drain(&mut deliveries);
            for delivery in deliveries.drain(..) {
                self.shard.handle_commit(now, delivery);
            }
            if missed {
                self.shard.handle_missed(now);
            }
            for input in inputs {
                self.take(now, input);
            }
            if now >= next_tick {
                next_tick = now + self.shard.poll_timeout();
                self.shard.handle_timeout(now);
            }
            more = self.shard.work(now);
            if more && self.writer.is_busy() {
                // Between two slices: where cores are few, the writer would else wait out this thread's share of one.
                std::thread::yield_now();
            }
            if !self.goodbyes.is_empty() && self.shard.is_empty() && self.handle.has_ended() {
                for done in self.goodbyes.drain(..) {
                    let _ = done.send(());
                }
                return;
            }
        }
    }

    fn take(&mut self, now: Duration, input: Input) {
        match input {
            Input::UpgradedConnection(handoff) => self.welcome(now, handoff),
            Input::Found(found) => self.shard.handle_found(now, found),
            Input::HttpRequest { request, write, admitted } => {
                let _ = admitted.send(self.admit(now, request, write));
            }
            Input::RoomRefund { user } => self.shard.handle_room_refund(user),
            Input::Renamed { user, name } => self.shard.handle_renamed(now, user, name),
            Input::SessionEnd { user, done } => {
                self.shard.handle_session_end(now, user);
                let _ = done.send(());
            }
            Input::Draining { done } => {
                // What the sockets brought before is taken in before the answer is given.
                self.shard.work(now);
                self.shard.handle_quiet(now);
                let _ = done.send(());
            }
            Input::Closing { retry_within, done } => {
                self.shard.handle_goodbye(now, retry_within);
                self.goodbyes.push(done);
            }
        }
    }

    fn admit(
        &mut self,
        now: Duration,
        request: AdmissionRequest,
        write: Option<HttpWrite>,
    ) -> Result<Admission, Rejection> {
        let admission = self.shard.handle_admission(now, request)?;
        let Some(HttpWrite { actor, mut operation, reply }) = write else { return Ok(admission) };
        if let storage::Operation::Join { create_if_missing, .. } = &mut operation {
            *create_if_missing &= admission.new_room.is_ok();
        }
        let submitted = self.writer.submit(actor, operation, ReplyTarget::ReplySender(reply));
        if let Err(code) = submitted {
            if request.may_create_room && admission.new_room.is_ok() {
                self.shard.handle_room_refund(request.user);
            }
            return Err(code.into());
        }
        Ok(admission)
    }

    fn welcome(&mut self, now: Duration, handoff: UpgradedConnection) {
        let UpgradedConnection { stream, read_ahead, identity, speaks, slot } = handoff;
        let socket = Socket { stream: TcpStream::from_std(stream), _slot: slot };
        let key = self.shard.handle_arrival(now, socket, identity, speaks);
        let watched = self.shard.connection(key).is_some_and(|connection| {
            let interest = Interest::READABLE | Interest::WRITABLE;
            self.poll
                .registry()
                .register(&mut connection.transport.stream, Token(key.index), interest)
                .is_ok()
        });
        if !watched {
            // Out of memory for epoll: the peer sees a lost connection, and comes back.
            tracing::warn!("a socket cannot be watched, and is closed");
            return self.shard.end_connection(key.index);
        }
        if !read_ahead.is_empty() {
            self.shard.handle_read_ahead(now, key, &mut read_ahead.to_vec());
        }
    }
}
