//! One client, across its connections.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use protocol::{CommandId, Epoch, RoomId, Send, Seq, UserId};

use super::counters::Counters;
use super::history_file::HistoryFile;
use super::keepalive::Keepalive;
use super::options::{RecorderOptions, room_name};
use super::recorder_error::RecorderError;
use super::run_state::RunState;
use super::slow_reader::SlowReader;
use client::{Client, Error, Options, new_session_from};
use fastrand::Rng;

/// The longest delay between two attempts to connect; short, because a killed server restarts soon.
const RECONNECT_DELAY_MS: u64 = 40;
/// How long a client waits for a frame before it looks for other work.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// The same for a client that sends nothing by itself.
const LISTENER_POLL_INTERVAL: Duration = Duration::from_secs(1);
/// The reconnect delay of docs/PROTOCOL.md: a random part of this, which doubles with each attempt.
const BACKOFF_START_MS: u64 = 500;
/// Bounds the wait for the remaining events.
const CATCH_UP_TIMEOUT: Duration = Duration::from_secs(30);
/// Bounds an offline period. Some clients miss more events than a catch-up delivers, and receive a gap.
const MAX_OFFLINE_MS: u64 = 6_000;
/// One in this many writers sends to the room that all receivers have joined.
const BUSY_ROOM_SHARE: u32 = 3;
/// The UTF-8 bytes of one word, which is one character.
const WORD_BYTES: u32 = 3;
/// Bounds the bytes of a message's key and the space after it.
const KEY_BYTES: u32 = 20;
/// The number of rooms of a receiver.
const ROOMS: u32 = 3;
/// Distance between the seeds of two clients: the golden ratio of 2^64, so that nearby run seeds share no client seed.
const SEED_STRIDE: u64 = 0x9e37_79b9_7f4a_7c15;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Writer,
    Receiver,
    Listener,
}

/// A client with its session, across its connections.
pub(super) struct RecordingClient {
    pub(super) history_file: HistoryFile,
    pub(super) role: Role,
    /// `None` unless the client is a slow reader.
    slow_reader: Option<SlowReader>,
    pub(super) rng: Rng,
    pub(super) counters: Arc<Counters>,
    pub(super) number: u32,
    client: history::ClientId,
    user: UserId,
    token: String,
    /// The room that the client joins when it is in none.
    home: RoomId,
    pub(super) epoch: Epoch,
    /// The rooms of which the client is a member.
    pub(super) rooms: BTreeMap<RoomId, RoomState>,
    /// Messages without a reply, in the order in which they were sent.
    pub(super) unanswered: Vec<Message>,
    /// Other commands on this connection without a reply.
    pub(super) pending: BTreeMap<CommandId, Pending>,
    /// The time at which the oldest pending command was sent.
    pub(super) pending_since: Instant,
    pub(super) next_id: u64,
    pub(super) next_key: u64,
    /// The number of words in a message is below this.
    pub(super) max_words: u64,
    pub(super) next_burst: Instant,
    /// The time at which the client closes the connection; `None` if it never does.
    pub(super) next_close: Option<Instant>,
    has_all_answers: bool,
}

/// The events of a room that a client has.
#[derive(Clone, Debug, Default)]
pub(super) struct RoomState {
    /// The client has every event up to this one, except for the gaps.
    pub(super) cursor: Seq,
    /// The gaps that are being filled from history.
    pub(super) gaps: Vec<(Seq, Seq)>,
    /// The cursor that the client sent on this connection.
    pub(super) resumed_from: Seq,
    /// Whether `reset` has arrived, but not the `joined` that follows it.
    pub(super) was_reset: bool,
}

/// A message without a reply.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) send: Send,
    pub(super) room: RoomId,
    /// The id of the attempt on this connection; `None` if no reply is expected.
    pub(super) in_flight: Option<CommandId>,
    pub(super) last_sent: Option<Instant>,
}

/// A command other than `send`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pending {
    Join,
    Leave(RoomId),
    Resume,
    Ping,
    History(RoomId),
}

/// The reason why a connection ended.
pub(super) enum ConnectionEnd {
    /// The client closed it and stays offline for a while.
    GoesOffline,
    /// The client closed it and reconnects at once.
    Closed,
    /// The run is complete.
    Finished,
    Lost(Error),
}

impl From<Error> for ConnectionEnd {
    fn from(error: Error) -> Self {
        ConnectionEnd::Lost(error)
    }
}

impl RecordingClient {
    /// Creates a session and joins the client's rooms, which makes the session durable.
    pub(super) fn connect(
        plan: &RecorderOptions,
        counters: &Arc<Counters>,
        number: u32,
        role: Role,
    ) -> Result<Self, RecorderError> {
        let source = plan.source(number);
        let (user, token) = new_session_from(source, plan.server, Some(&format!("W{number}")))?;
        let mut history_file = HistoryFile::new(&plan.history, number)?;
        let client = history_file.now()?.new_client();
        let mut socket = Client::connect(plan.server, Options { source, ..Options::bearer(&token) })?;
        // `connect` waits for `welcome` with the JSON subprotocol, which these options request.
        let epoch = socket.welcome().expect("a JSON connection has its welcome").epoch.clone();
        let on = history_file.now()?.opened(client, user.id, &epoch);
        let count = if role == Role::Receiver { ROOMS.min(plan.rooms) } else { 1 };
        let mut rooms = BTreeMap::new();
        // One room is busier than the others, so that an offline receiver misses enough events for a gap.
        let is_busy =
            role == Role::Receiver || role == Role::Writer && number.is_multiple_of(BUSY_ROOM_SHARE);
        let first = if is_busy { 0 } else { number };
        // Each room only once: events between two joins would be below the second head, and were not recorded.
        let numbers: BTreeSet<u32> =
            (0..count).map(|further| (first + further * number) % plan.rooms).collect();
        for number in numbers {
            let joined = socket.join(&room_name(number))?;
            history_file.now()?.joined(on, joined.info.room, None, joined.head);
            // A second join of a room must not move the cursor: the events between were not received.
            rooms
                .entry(joined.info.room)
                .or_insert(RoomState { cursor: joined.head, ..RoomState::default() });
        }
        // Events that arrived meanwhile were not recorded. They are delivered again, because the cursors are at the joins.
        history_file.now()?.closed(on, 1006);
        // Each client of a run has its own random sequence.
        let mut rng = Rng::with_seed(plan.seed.wrapping_add(u64::from(number).wrapping_mul(SEED_STRIDE)));
        // `count` is at least 1, so there is a room.
        let home = *rooms.keys().next().expect("every client joins a room");
        Ok(RecordingClient {
            history_file,
            role,
            slow_reader: plan.slow_reader(number).then(|| SlowReader::of(&mut rng)),
            rng,
            counters: Arc::clone(counters),
            number,
            client,
            user: user.id,
            token,
            home,
            epoch,
            rooms,
            unanswered: Vec::new(),
            pending: BTreeMap::new(),
            pending_since: Instant::now(),
            next_id: 0,
            next_key: 0,
            max_words: u64::from(plan.max_body_bytes.saturating_sub(KEY_BYTES) / WORD_BYTES).max(1),
            next_burst: Instant::now(),
            next_close: None,
            has_all_answers: false,
        })
    }

    /// Runs one connection after another, until every event is received.
    pub(super) fn run(mut self, run: &RunState) -> Result<(), RecorderError> {
        let mut is_ready = false;
        let mut deadline = None;
        // Attempts since the server announced when to reconnect.
        let mut attempts_since_stop = None;
        loop {
            let options = Options {
                timeout: Duration::from_secs(5),
                source: run.plan.source(self.number),
                receive_buffer: self.slow_reader.and_then(SlowReader::receive_buffer),
                ..Options::bearer(&self.token)
            };
            if let Ok(mut socket) = Client::connect(run.plan.server, options) {
                // The options request JSON, as in `connect`.
                self.epoch = socket.welcome().expect("a JSON connection has its welcome").epoch.clone();
                let on = self.history_file.now()?.opened(self.client, self.user, &self.epoch);
                attempts_since_stop = None;
                if !mem::replace(&mut is_ready, true) {
                    run.ready.wait();
                }
                match self.run_connection(&mut socket, on, run)? {
                    ConnectionEnd::Finished => {
                        self.history_file.now()?.quiescent(on);
                        self.history_file.now()?.closed(on, 1000);
                        return Ok(self.history_file.close()?);
                    }
                    ConnectionEnd::GoesOffline => {
                        self.history_file.now()?.closed(on, 1000);
                        drop(socket);
                        self.stay_offline(run);
                    }
                    ConnectionEnd::Closed => {
                        self.history_file.now()?.closed(on, 1000);
                        self.counters.on_close();
                        // Half of the time with a close frame and its reply. Events before the reply are delivered again.
                        if self.rng.bool() {
                            let _ = socket.close();
                        }
                    }
                    ConnectionEnd::Lost(Error::Closed { code, reason }) => {
                        self.history_file.now()?.closed_with_reason(on, code, &reason);
                        if let Some(within) = retry_within_ms(code, &reason) {
                            // The server waits for the end of the TCP connection.
                            drop(socket);
                            thread::sleep(Duration::from_millis(self.rng.u64(..within)));
                            attempts_since_stop = Some(0);
                            continue;
                        }
                    }
                    // A broken connection does not turn valid frames into invalid ones, so this is a defect of the server.
                    ConnectionEnd::Lost(error @ (Error::Framing(_) | Error::Unreadable { .. })) => {
                        return Err(error.into());
                    }
                    // The client drops the connection, because its `join` or `resume` was rejected.
                    ConnectionEnd::Lost(Error::Rejected(_)) => self.history_file.now()?.closed(on, 1000),
                    ConnectionEnd::Lost(_) => self.history_file.now()?.closed(on, 1006),
                }
            }
            if run.heads.get().is_some()
                && Instant::now() > *deadline.get_or_insert(Instant::now() + CATCH_UP_TIMEOUT)
            {
                let number = self.number;
                self.history_file.close()?;
                return Err(RecorderError::ShutOut { number });
            }
            let wait = match &mut attempts_since_stop {
                Some(attempts) => {
                    *attempts += 1;
                    BACKOFF_START_MS << (*attempts - 1).min(6)
                }
                None => RECONNECT_DELAY_MS,
            };
            thread::sleep(Duration::from_millis(5 + self.rng.u64(..wait)));
        }
    }

    fn stay_offline(&mut self, run: &RunState) {
        let end = Instant::now() + Duration::from_millis(self.rng.u64(..MAX_OFFLINE_MS));
        while Instant::now() < end && run.finish.get().is_none() {
            thread::sleep(POLL_INTERVAL);
        }
    }

    /// Runs one connection until it ends.
    fn run_connection(
        &mut self,
        socket: &mut Client,
        on: history::ConnectionId,
        run: &RunState,
    ) -> Result<ConnectionEnd, RecorderError> {
        self.pending.clear();
        self.next_id = 0;
        let listen = if self.role == Role::Listener { LISTENER_POLL_INTERVAL } else { POLL_INTERVAL };
        let mut done = || -> Result<(), Exit> {
            self.resume(socket)?;
            if self.rooms.is_empty() {
                // The client left its room, and was disconnected before it rejoined.
                self.rejoin(socket, self.home)?;
            }
            self.resend_unanswered(socket, on)?;
            let now = Instant::now();
            self.next_burst = now;
            let close = run.plan.reconnect_ms;
            self.next_close = (close > 0).then(|| now + Duration::from_millis(self.rng.u64(..2 * close)));
            let mut keepalive = Keepalive::new(now, Duration::from_millis(run.plan.keepalive_ms));
            let mut quiescence_deadline = None;
            loop {
                self.check_keepalive(socket, &mut keepalive)?;
                if let Some(slow_reader) = self.slow_reader.filter(|_| run.read_pause.is_on()) {
                    self.pause_reading(slow_reader, socket, on, run)?;
                }
                self.act(socket, on, run)?;
                self.resend_late(socket, on, run)?;
                match socket.next_frame(listen) {
                    Ok(frame) => {
                        keepalive.receive_event(Instant::now());
                        self.handle_frame(socket, on, frame)?;
                    }
                    Err(Error::Timeout) => {}
                    Err(error) => return Err(ConnectionEnd::Lost(error).into()),
                }
                if self.is_finished(run, &mut quiescence_deadline) {
                    return Err(ConnectionEnd::Finished.into());
                }
            }
        };
        match done() {
            Ok(()) => Ok(ConnectionEnd::Finished),
            Err(Exit::ConnectionEnd(end)) => Ok(end),
            Err(Exit::Failed(error)) => Err(error),
        }
    }

    /// Whether the client has every reply and every event, or has waited for them long enough.
    fn is_finished(&mut self, run: &RunState, quiescence_deadline: &mut Option<Instant>) -> bool {
        let heads = run.heads.get();
        let quiescence_deadline =
            heads.map(|_| *quiescence_deadline.get_or_insert_with(|| Instant::now() + CATCH_UP_TIMEOUT));
        let is_late =
            quiescence_deadline.is_some_and(|quiescence_deadline| Instant::now() > quiescence_deadline);
        if run.finish.get().is_none() || !self.unanswered.is_empty() || !self.pending.is_empty() {
            return is_late;
        }
        if !mem::replace(&mut self.has_all_answers, true) {
            run.answered.fetch_add(1, Ordering::Release);
        }
        let Some(heads) = heads else { return false };
        let has_all = |(room, room_state): (&RoomId, &RoomState)| {
            room_state.gaps.is_empty() && heads.get(room).is_some_and(|head| *head <= room_state.cursor)
        };
        is_late || self.rooms.iter().all(has_all)
    }
}

/// Parses the close reason of a stopping server (docs/PROTOCOL.md).
fn retry_within_ms(code: u16, reason: &str) -> Option<u64> {
    let within = reason.strip_prefix("retry_within_ms=").filter(|_| code == 1001)?.parse().ok()?;
    (within > 0).then_some(within)
}

/// The reason to leave a connection: it ended, or the history cannot be written.
pub(super) enum Exit {
    ConnectionEnd(ConnectionEnd),
    Failed(RecorderError),
}

impl From<ConnectionEnd> for Exit {
    fn from(end: ConnectionEnd) -> Self {
        Exit::ConnectionEnd(end)
    }
}

impl From<Error> for Exit {
    fn from(error: Error) -> Self {
        Exit::ConnectionEnd(ConnectionEnd::Lost(error))
    }
}

impl From<std::io::Error> for Exit {
    fn from(error: std::io::Error) -> Self {
        Exit::Failed(RecorderError::Io(error))
    }
}
