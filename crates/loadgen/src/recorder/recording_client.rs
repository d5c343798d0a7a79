//! One client's life.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use protocol::{CommandId, Epoch, RoomId, Send, Seq, UserId};

use super::client_pool::{RecorderError, RecorderOptions, RunState, room_name};
use super::counters::Counters;
use super::history_file::HistoryFile;
use super::keepalive::Keepalive;
use super::slow_reader::SlowReader;
use client::{Client, Error, Options, new_session_from};
use fastrand::Rng;

/// How long it is waited between two attempts to connect: a server that was killed comes back soon.
const BETWEEN_ATTEMPTS_MS: u64 = 40;
/// How long a client listens before it looks whether there is something else to do.
const LISTEN: Duration = Duration::from_millis(20);
/// As long, if it has nothing to do of itself.
const LISTEN_ONLY: Duration = Duration::from_secs(1);
/// What docs/PROTOCOL.md says of attempts to come back: a random part of this, doubled each time.
const FIRST_WAIT_MS: u64 = 500;
/// How long all may take to hear the rest.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long it may stay away: some miss more than a catch-up holds, and are told of a gap.
const ABSENCE_MS: u64 = 6_000;
/// One in so many writers is in the room that all receivers listen to.
const BUSY: u32 = 3;
/// A word: one character, in UTF-8.
const WORD_BYTES: u32 = 3;
/// A message begins with its key, and a space.
const KEY_BYTES: u32 = 20;
/// Rooms of a receiver.
const ROOMS: u32 = 3;
/// Distance between the seeds of two clients: the golden ratio of 2^64, so that nearby run seeds share no client seed.
const SEED_STRIDE: u64 = 0x9e37_79b9_7f4a_7c15;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Writer,
    Receiver,
    Listener,
}

/// One client with its session, whatever connections it has.
pub(super) struct RecordingClient {
    pub(super) history_file: HistoryFile,
    pub(super) role: Role,
    /// How it stalls when it is told to; most never do.
    slow_reader: Option<SlowReader>,
    pub(super) rng: Rng,
    pub(super) counters: Arc<Counters>,
    pub(super) number: u32,
    client: history::ClientId,
    user: UserId,
    token: String,
    /// Where it goes when it is nowhere.
    home: RoomId,
    pub(super) epoch: Epoch,
    /// What it has of each room where it is a member.
    pub(super) rooms: BTreeMap<RoomId, RoomState>,
    /// What it said and was not answered, in the order in which it was said.
    pub(super) unanswered: Vec<Message>,
    /// What it waits for on this connection beside the answers to messages.
    pub(super) pending: BTreeMap<CommandId, Pending>,
    /// Since when it waits for something of that.
    pub(super) pending_since: Instant,
    pub(super) next_id: u64,
    pub(super) next_key: u64,
    /// A message has fewer words than this.
    pub(super) max_words: u64,
    pub(super) next_burst: Instant,
    /// When it will close the connection, if it does that of itself.
    pub(super) next_close: Option<Instant>,
    has_all_answers: bool,
}

/// What a client has of a room.
#[derive(Clone, Debug, Default)]
pub(super) struct RoomState {
    /// Up to here, but for the holes.
    pub(super) cursor: Seq,
    /// Gaps that are being filled.
    pub(super) gaps: Vec<(Seq, Seq)>,
    /// The cursor that it named on this connection.
    pub(super) resumed_from: Seq,
    /// `reset` came, and its `joined` did not yet.
    pub(super) was_reset: bool,
}

/// Something that it said.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) send: Send,
    pub(super) room: RoomId,
    /// On this connection, and not answered.
    pub(super) in_flight: Option<CommandId>,
    /// When it was said the last time.
    pub(super) last_sent: Option<Instant>,
}

/// A command that is no message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pending {
    Join,
    Leave(RoomId),
    Resume,
    Ping,
    History(RoomId),
}

/// Why a connection is over.
pub(super) enum ConnectionEnd {
    /// The client wanted it so, and stays away for a while.
    GoesOffline,
    /// The client wanted it so, and comes back at once.
    Closed,
    /// All is done.
    Finished,
    Lost(Error),
}

impl From<Error> for ConnectionEnd {
    fn from(error: Error) -> Self {
        ConnectionEnd::Lost(error)
    }
}

impl RecordingClient {
    /// Gets a session and joins its rooms, which makes it durable.
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
        // `connect` waits for the welcome of whoever speaks JSON.
        let epoch = socket.welcome().expect("connected as JSON").epoch.clone();
        let on = history_file.now()?.opened(client, user.id, &epoch);
        let count = if role == Role::Receiver { ROOMS.min(plan.rooms) } else { 1 };
        let mut rooms = BTreeMap::new();
        // One room is busier than the others: who is away from it for a while is told of a gap.
        let is_busy = role == Role::Receiver || role == Role::Writer && number.is_multiple_of(BUSY);
        let first = if is_busy { 0 } else { number };
        // One room only once: what came between two joins would be below the second's head, and was not taken down.
        let numbers: BTreeSet<u32> =
            (0..count).map(|further| (first + further * number) % plan.rooms).collect();
        for number in numbers {
            let joined = socket.join(&room_name(number))?;
            history_file.now()?.joined(on, joined.room, None, joined.head);
            // Into a room that it has joined already it comes no further by that: it has not heard what was said between.
            rooms.entry(joined.room).or_insert(RoomState { cursor: joined.head, ..RoomState::default() });
        }
        // Events that came meanwhile were not taken down, and come again, for the cursors stand where they joined.
        history_file.now()?.closed(on, 1006);
        // Each client of a run has its own sequence.
        let mut rng = Rng::with_seed(plan.seed.wrapping_add(u64::from(number).wrapping_mul(SEED_STRIDE)));
        // `count` is at least 1.
        let home = *rooms.keys().next().expect("everybody joins a room");
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

    /// From one connection to the next, until all is heard.
    pub(super) fn run(mut self, run: &RunState) -> Result<(), RecorderError> {
        let mut is_ready = false;
        let mut deadline = None;
        // Attempts since the server said when to come back.
        let mut told = None;
        loop {
            let options = Options {
                timeout: Duration::from_secs(5),
                source: run.plan.source(self.number),
                receive_buffer: self.slow_reader.and_then(SlowReader::receive_buffer),
                ..Options::bearer(&self.token)
            };
            if let Ok(mut socket) = Client::connect(run.plan.server, options) {
                // As above.
                self.epoch = socket.welcome().expect("connected as JSON").epoch.clone();
                let on = self.history_file.now()?.opened(self.client, self.user, &self.epoch);
                told = None;
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
                        self.counters.close();
                        // Half of them say so, and wait for the answer; what comes before it comes again on the next.
                        if self.rng.bool() {
                            let _ = socket.close();
                        }
                    }
                    ConnectionEnd::Lost(Error::Closed { code, reason }) => {
                        self.history_file.now()?.closed_with_reason(on, code, &reason);
                        if let Some(within) = retry_within_ms(code, &reason) {
                            // The server waits for that.
                            drop(socket);
                            thread::sleep(Duration::from_millis(self.rng.u64(..within)));
                            told = Some(0);
                            continue;
                        }
                    }
                    // No break of the connection makes a frame out of what is none.
                    ConnectionEnd::Lost(error @ (Error::Framing(_) | Error::Unreadable { .. })) => {
                        return Err(error.into());
                    }
                    ConnectionEnd::Lost(_) => self.history_file.now()?.closed(on, 1006),
                }
            }
            if run.heads.get().is_some()
                && Instant::now() > *deadline.get_or_insert(Instant::now() + PATIENCE)
            {
                let number = self.number;
                self.history_file.close()?;
                return Err(RecorderError::ShutOut { number });
            }
            let wait = match &mut told {
                Some(attempts) => {
                    *attempts += 1;
                    FIRST_WAIT_MS << (*attempts - 1).min(6)
                }
                None => BETWEEN_ATTEMPTS_MS,
            };
            thread::sleep(Duration::from_millis(5 + self.rng.u64(..wait)));
        }
    }

    fn stay_offline(&mut self, run: &RunState) {
        let end = Instant::now() + Duration::from_millis(self.rng.u64(..ABSENCE_MS));
        while Instant::now() < end && run.finish.get().is_none() {
            thread::sleep(LISTEN);
        }
    }

    /// One connection, to its end.
    fn run_connection(
        &mut self,
        socket: &mut Client,
        on: history::ConnectionId,
        run: &RunState,
    ) -> Result<ConnectionEnd, RecorderError> {
        self.pending.clear();
        self.next_id = 0;
        let listen = if self.role == Role::Listener { LISTEN_ONLY } else { LISTEN };
        let mut done = || -> Result<(), Exit> {
            self.resume(socket)?;
            if self.rooms.is_empty() {
                // It had left, and was cut off before it had come again.
                self.rejoin(socket, self.home)?;
            }
            self.resend_unanswered(socket, on)?;
            let now = Instant::now();
            self.next_burst = now;
            let close = run.plan.reconnect_ms;
            self.next_close = (close > 0).then(|| now + Duration::from_millis(self.rng.u64(..2 * close)));
            let mut keepalive = Keepalive::new(now, Duration::from_millis(run.plan.keepalive_ms));
            let mut rest = None;
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
                if self.is_finished(run, &mut rest) {
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

    /// Whether it has been answered and has heard all that there is, or has waited long enough for it.
    fn is_finished(&mut self, run: &RunState, rest: &mut Option<Instant>) -> bool {
        let heads = run.heads.get();
        let rest = heads.map(|_| *rest.get_or_insert_with(|| Instant::now() + PATIENCE));
        let is_late = rest.is_some_and(|rest| Instant::now() > rest);
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

/// What the server says when it stops, as docs/PROTOCOL.md has it.
fn retry_within_ms(code: u16, reason: &str) -> Option<u64> {
    let within = reason.strip_prefix("retry_within_ms=").filter(|_| code == 1001)?.parse().ok()?;
    (within > 0).then_some(within)
}

/// Why a connection is left: its end, or there is no history any more.
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
