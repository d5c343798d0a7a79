//! One client's life.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use protocol::{CommandId, Epoch, RoomId, Send, Seq, UserId};

use super::crowd::{Scene, WitnessError, Witnesses, room_name};
use super::diary::Diary;
use super::dice::Dice;
use super::pulse::Pulse;
use super::stalling::Manner;
use super::tally::Tally;
use client::{Client, Error, Options, new_session_from};

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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Writer,
    Receiver,
    Listener,
}

/// One client with its session, whatever connections it has.
pub(super) struct Witness {
    pub(super) diary: Diary,
    pub(super) role: Role,
    /// How it stalls when it is told to; most never do.
    stalls: Option<Manner>,
    pub(super) dice: Dice,
    pub(super) tally: Arc<Tally>,
    pub(super) number: u32,
    client: history::Client,
    person: UserId,
    token: String,
    /// Where it goes when it is nowhere.
    home: RoomId,
    pub(super) epoch: Epoch,
    /// What it has of each room where it is a member.
    pub(super) rooms: BTreeMap<RoomId, Place>,
    /// What it said and was not answered, in the order in which it was said.
    pub(super) unanswered: Vec<Message>,
    /// What it waits for on this connection beside the answers to messages.
    pub(super) pending: BTreeMap<CommandId, Pending>,
    /// Since when it waits for something of that.
    pub(super) pending_since: Instant,
    pub(super) next_id: u64,
    pub(super) next_key: u64,
    /// A message has fewer words than this.
    pub(super) most_words: u64,
    pub(super) next_burst: Instant,
    /// When it will close the connection, if it does that of itself.
    pub(super) next_close: Option<Instant>,
    has_all_answers: bool,
}

/// What a client has of a room.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    /// Up to here, but for the holes.
    pub(super) at: Seq,
    /// Gaps that are being filled.
    pub(super) holes: Vec<(Seq, Seq)>,
    /// The cursor that it named on this connection.
    pub(super) named: Seq,
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
    pub(super) said: Option<Instant>,
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
pub(super) enum End {
    /// The client wanted it so, and stays away for a while.
    Went,
    /// The client wanted it so, and comes back at once.
    Closed,
    /// All is done.
    Finished,
    Lost(Error),
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        End::Lost(error)
    }
}

impl Witness {
    /// Gets a session and joins its rooms, which makes it durable.
    pub(super) fn arrive(
        plan: &Witnesses,
        tally: &Arc<Tally>,
        number: u32,
        role: Role,
    ) -> Result<Self, WitnessError> {
        let source = plan.source(number);
        let (person, token) = new_session_from(source, plan.server, Some(&format!("W{number}")))?;
        let mut diary = Diary::new(&plan.history, number)?;
        let client = diary.now()?.new_client();
        let mut socket = Client::connect(plan.server, Options { source, ..Options::bearer(&token) })?;
        // `connect` waits for the welcome of whoever speaks JSON.
        let epoch = socket.welcome().expect("connected as JSON").epoch.clone();
        let on = diary.now()?.opened(client, person.id, &epoch);
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
            diary.now()?.joined(on, joined.room, None, joined.head);
            // Into a room that it has joined already it comes no further by that: it has not heard what was said between.
            rooms.entry(joined.room).or_insert(Place { at: joined.head, ..Place::default() });
        }
        // Events that came meanwhile were not taken down, and come again, for the cursors stand where they joined.
        diary.now()?.closed(on, 1006);
        let mut dice = Dice::new(plan.seed, u64::from(number));
        // `count` is at least 1.
        let home = *rooms.keys().next().expect("everybody joins a room");
        Ok(Witness {
            diary,
            role,
            stalls: plan.stalls(number).then(|| Manner::of(&mut dice)),
            dice,
            tally: Arc::clone(tally),
            number,
            client,
            person: person.id,
            token,
            home,
            epoch,
            rooms,
            unanswered: Vec::new(),
            pending: BTreeMap::new(),
            pending_since: Instant::now(),
            next_id: 0,
            next_key: 0,
            most_words: u64::from(plan.longest.saturating_sub(KEY_BYTES) / WORD_BYTES).max(1),
            next_burst: Instant::now(),
            next_close: None,
            has_all_answers: false,
        })
    }

    /// From one connection to the next, until all is heard.
    pub(super) fn live(mut self, scene: &Scene) -> Result<(), WitnessError> {
        let mut is_ready = false;
        let mut deadline = None;
        // Attempts since the server said when to come back.
        let mut told = None;
        loop {
            let options = Options {
                timeout: Duration::from_secs(5),
                source: scene.plan.source(self.number),
                receive_buffer: self.stalls.and_then(Manner::receive_buffer),
                ..Options::bearer(&self.token)
            };
            if let Ok(mut socket) = Client::connect(scene.plan.server, options) {
                // As above.
                self.epoch = socket.welcome().expect("connected as JSON").epoch.clone();
                let on = self.diary.now()?.opened(self.client, self.person, &self.epoch);
                told = None;
                if !mem::replace(&mut is_ready, true) {
                    scene.ready.wait();
                }
                match self.stay(&mut socket, on, scene)? {
                    End::Finished => {
                        self.diary.now()?.at_rest(on);
                        self.diary.now()?.closed(on, 1000);
                        return Ok(self.diary.close()?);
                    }
                    End::Went => {
                        self.diary.now()?.closed(on, 1000);
                        drop(socket);
                        self.be_away(scene);
                    }
                    End::Closed => {
                        self.diary.now()?.closed(on, 1000);
                        self.tally.close();
                        // Half of them say so, and wait for the answer; what comes before it comes again on the next.
                        if self.dice.once_in(2) {
                            let _ = socket.close();
                        }
                    }
                    End::Lost(Error::Closed { code, reason }) => {
                        self.diary.now()?.closed_because(on, code, &reason);
                        if let Some(within) = retry_within_ms(code, &reason) {
                            // The server waits for that.
                            drop(socket);
                            thread::sleep(Duration::from_millis(self.dice.below(within)));
                            told = Some(0);
                            continue;
                        }
                    }
                    // No break of the connection makes a frame out of what is none.
                    End::Lost(error @ (Error::Framing(_) | Error::Unreadable { .. })) => {
                        return Err(error.into());
                    }
                    End::Lost(_) => self.diary.now()?.closed(on, 1006),
                }
            }
            if scene.heads.get().is_some()
                && Instant::now() > *deadline.get_or_insert(Instant::now() + PATIENCE)
            {
                let number = self.number;
                self.diary.close()?;
                return Err(WitnessError::ShutOut { number });
            }
            let wait = match &mut told {
                Some(attempts) => {
                    *attempts += 1;
                    FIRST_WAIT_MS << (*attempts - 1).min(6)
                }
                None => BETWEEN_ATTEMPTS_MS,
            };
            thread::sleep(Duration::from_millis(5 + self.dice.below(wait)));
        }
    }

    fn be_away(&mut self, scene: &Scene) {
        let end = Instant::now() + Duration::from_millis(self.dice.below(ABSENCE_MS));
        while Instant::now() < end && scene.finishing.get().is_none() {
            thread::sleep(LISTEN);
        }
    }

    /// One connection, to its end.
    fn stay(
        &mut self,
        socket: &mut Client,
        on: history::Connection,
        scene: &Scene,
    ) -> Result<End, WitnessError> {
        self.pending.clear();
        self.next_id = 0;
        let listen = if self.role == Role::Listener { LISTEN_ONLY } else { LISTEN };
        let mut done = || -> Result<(), Stop> {
            self.resume(socket)?;
            if self.rooms.is_empty() {
                // It had left, and was cut off before it had come again.
                self.join_again(socket, self.home)?;
            }
            self.say_again(socket, on)?;
            let now = Instant::now();
            self.next_burst = now;
            let close = scene.plan.close_ms;
            self.next_close = (close > 0).then(|| now + Duration::from_millis(self.dice.below(2 * close)));
            let mut pulse = Pulse::new(now, Duration::from_millis(scene.plan.silence_ms));
            let mut rest = None;
            loop {
                self.feel(socket, &mut pulse)?;
                if let Some(manner) = self.stalls.filter(|_| scene.stalling.is_on()) {
                    self.stall(manner, socket, on, scene)?;
                }
                self.act(socket, on, scene)?;
                self.press(socket, on, scene)?;
                match socket.next_frame(listen) {
                    Ok(frame) => {
                        pulse.hear(Instant::now());
                        self.take(socket, on, frame)?;
                    }
                    Err(Error::Timeout) => {}
                    Err(error) => return Err(End::Lost(error).into()),
                }
                if self.is_finished(scene, &mut rest) {
                    return Err(End::Finished.into());
                }
            }
        };
        match done() {
            Ok(()) => Ok(End::Finished),
            Err(Stop::End(end)) => Ok(end),
            Err(Stop::Failed(error)) => Err(error),
        }
    }

    /// Whether it has been answered and has heard all that there is, or has waited long enough for it.
    fn is_finished(&mut self, scene: &Scene, rest: &mut Option<Instant>) -> bool {
        let heads = scene.heads.get();
        let rest = heads.map(|_| *rest.get_or_insert_with(|| Instant::now() + PATIENCE));
        let is_late = rest.is_some_and(|rest| Instant::now() > rest);
        if scene.finishing.get().is_none() || !self.unanswered.is_empty() || !self.pending.is_empty() {
            return is_late;
        }
        if !mem::replace(&mut self.has_all_answers, true) {
            scene.answered.fetch_add(1, Ordering::Release);
        }
        let Some(heads) = heads else { return false };
        let has_all = |(room, place): (&RoomId, &Place)| {
            place.holes.is_empty() && heads.get(room).is_some_and(|head| *head <= place.at)
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
pub(super) enum Stop {
    End(End),
    Failed(WitnessError),
}

impl From<End> for Stop {
    fn from(end: End) -> Self {
        Stop::End(end)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Stop::End(End::Lost(error))
    }
}

impl From<std::io::Error> for Stop {
    fn from(error: std::io::Error) -> Self {
        Stop::Failed(WitnessError::Io(error))
    }
}
