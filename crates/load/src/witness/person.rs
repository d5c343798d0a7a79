//! One client's life.

use std::collections::BTreeMap;
use std::mem;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use proto::{
    ClientMessageId, Command, CommandId, Epoch, Join, MessageBody, Numbered, Resume, RoomId, RoomRef, Send,
    Seq, UserId,
};

use super::crowd::{Scene, WitnessError, Witnesses, room_name};
use super::diary::Diary;
use super::dice::Dice;
use crate::{Client, Error, Options, new_session};

/// How long it is waited between two attempts to connect: a server that was killed comes back soon.
const BETWEEN_ATTEMPTS_MS: u64 = 40;
/// How long a client listens before it looks whether there is something else to do.
const LISTEN: Duration = Duration::from_millis(20);
/// How long all may take to hear the rest.
const PATIENCE: Duration = Duration::from_secs(30);
/// At most so many messages go out at once.
const BURST: u64 = 15;
/// A writer leaves and comes again about once in so many bursts.
const BURSTS_A_LEAVE: u64 = 40;
/// A receiver goes away of itself about once in so many looks.
const LOOKS_AN_ABSENCE: u64 = 12;
/// How long it may stay away: some miss more than a catch-up holds, and are told of a gap.
const ABSENCE_MS: u64 = 6_000;
/// One in so many writers is in the room that all receivers listen to.
const BUSY: u32 = 3;
/// Rooms of a receiver.
const ROOMS: u32 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Writer,
    Receiver,
}

/// One client with its session, whatever connections it has.
pub(super) struct Witness {
    pub(super) diary: Diary,
    role: Role,
    dice: Dice,
    number: u32,
    client: history::Client,
    person: UserId,
    token: String,
    pub(super) epoch: Epoch,
    /// What it has of each room where it is a member.
    pub(super) rooms: BTreeMap<RoomId, Place>,
    /// What it said and was not answered, in the order in which it was said.
    pub(super) unanswered: Vec<Message>,
    /// What it waits for on this connection beside the answers to messages.
    pub(super) pending: BTreeMap<CommandId, Pending>,
    next_id: u64,
    next_key: u64,
    next_burst: Instant,
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
}

/// A command that is no message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pending {
    Join,
    Leave(RoomId),
    Resume,
    History(RoomId),
}

/// Why a connection is over.
pub(super) enum End {
    /// The client wanted it so.
    Went,
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
    pub(super) fn arrive(plan: &Witnesses, number: u32, role: Role) -> Result<Self, WitnessError> {
        let (person, token) = new_session(plan.server, Some(&format!("W{number}")))?;
        let mut diary = Diary::new(&plan.history, number)?;
        let client = diary.now()?.new_client();
        let mut socket = Client::connect(plan.server, Options::bearer(&token))?;
        // `connect` waits for the welcome of whoever speaks JSON.
        let epoch = socket.welcome().expect("connected as JSON").epoch.clone();
        let on = diary.now()?.opened(client, person.id, &epoch);
        let count = if role == Role::Writer { 1 } else { ROOMS.min(plan.rooms) };
        let mut rooms = BTreeMap::new();
        // One room is busier than the others: who is away from it for a while is told of a gap.
        let is_busy = role == Role::Receiver || number.is_multiple_of(BUSY);
        let first = if is_busy { 0 } else { number };
        for further in 0..count {
            let joined = socket.join(&room_name((first + further * number) % plan.rooms))?;
            diary.now()?.joined(on, joined.room, None, joined.head);
            rooms.insert(joined.room, Place { at: joined.head, ..Place::default() });
        }
        // Events that came meanwhile were not taken down, and come again, for the cursors stand where they joined.
        diary.now()?.closed(on, 1006);
        Ok(Witness {
            diary,
            role,
            dice: Dice::new(plan.seed, u64::from(number)),
            number,
            client,
            person: person.id,
            token,
            epoch,
            rooms,
            unanswered: Vec::new(),
            pending: BTreeMap::new(),
            next_id: 0,
            next_key: 0,
            next_burst: Instant::now(),
            has_all_answers: false,
        })
    }

    /// From one connection to the next, until all is heard.
    pub(super) fn live(mut self, scene: &Scene) -> Result<(), WitnessError> {
        let mut is_ready = false;
        let mut deadline = None;
        loop {
            let options = Options { timeout: Duration::from_secs(5), ..Options::bearer(&self.token) };
            if let Ok(mut socket) = Client::connect(scene.plan.server, options) {
                // As above.
                self.epoch = socket.welcome().expect("connected as JSON").epoch.clone();
                let on = self.diary.now()?.opened(self.client, self.person, &self.epoch);
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
                    End::Lost(error) => {
                        self.diary.now()?.closed(on, error.close_code().unwrap_or(1006));
                    }
                }
            }
            if scene.heads.get().is_some()
                && Instant::now() > *deadline.get_or_insert(Instant::now() + PATIENCE)
            {
                // Nobody lets it in: that it never came to rest shows in the counts.
                return Ok(self.diary.close()?);
            }
            thread::sleep(Duration::from_millis(5 + self.dice.below(BETWEEN_ATTEMPTS_MS)));
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
        let mut done = || -> Result<(), Stop> {
            self.resume(socket)?;
            self.say_again(socket, on)?;
            self.next_burst = Instant::now();
            let mut rest = None;
            loop {
                self.act(socket, on, scene)?;
                match socket.next_frame(LISTEN) {
                    Ok(frame) => self.take(socket, on, frame)?,
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

    fn resume(&mut self, socket: &mut Client) -> Result<(), Stop> {
        let mut rooms = BTreeMap::new();
        for (room, place) in &mut self.rooms {
            // From before the first hole: it comes again, or is named again.
            if let Some((from, _)) = place.holes.first() {
                place.at = Seq(from.0 - 1);
            }
            place.holes.clear();
            place.named = place.at;
            rooms.insert(*room, place.at);
        }
        let id = self.new_id(Pending::Resume);
        say(socket, id, Command::Resume(Resume { rooms, epoch: Some(self.epoch.clone()) }))?;
        Ok(())
    }

    fn say_again(&mut self, socket: &mut Client, on: history::Connection) -> Result<(), Stop> {
        for place in 0..self.unanswered.len() {
            self.say_message(socket, on, place)?;
        }
        Ok(())
    }

    fn say_message(
        &mut self,
        socket: &mut Client,
        on: history::Connection,
        place: usize,
    ) -> Result<(), Stop> {
        self.next_id += 1;
        let id = CommandId(self.next_id);
        let message = &mut self.unanswered[place];
        message.in_flight = Some(id);
        let send = message.send.clone();
        self.diary.now()?.send(on, id, message.room, &send.client_message_id, &send.body);
        Ok(say(socket, id, Command::Send(send))?)
    }

    /// What it does of itself.
    fn act(&mut self, socket: &mut Client, on: history::Connection, scene: &Scene) -> Result<(), Stop> {
        let now = Instant::now();
        if now < self.next_burst {
            return Ok(());
        }
        let pause =
            2_000 * u64::from(scene.plan.writers) * (BURST + 1) / 2 / u64::from(scene.plan.rate.max(1));
        self.next_burst = now + Duration::from_millis(self.dice.below(pause.max(1)));
        if self.unanswered.iter().any(|message| message.in_flight.is_none()) {
            return self.say_refused_again(socket, on);
        }
        if scene.finishing.get().is_some() {
            return Ok(());
        }
        if self.role == Role::Receiver {
            let goes = self.dice.once_in(LOOKS_AN_ABSENCE);
            return if goes { Err(End::Went.into()) } else { Ok(()) };
        }
        if !self.unanswered.is_empty() || !self.pending.is_empty() {
            return Ok(());
        }
        let Some(room) = self.rooms.keys().next().copied() else { return Ok(()) };
        if self.dice.once_in(BURSTS_A_LEAVE) {
            let id = self.new_id(Pending::Leave(room));
            self.diary.now()?.leave(on, id, room);
            return Ok(say(socket, id, Command::Leave { room: RoomRef::Id(room) })?);
        }
        for _ in 0..=self.dice.below(BURST) {
            self.think(room)?;
            self.say_message(socket, on, self.unanswered.len() - 1)?;
        }
        Ok(())
    }

    fn say_refused_again(&mut self, socket: &mut Client, on: history::Connection) -> Result<(), Stop> {
        for place in 0..self.unanswered.len() {
            if self.unanswered[place].in_flight.is_none() {
                self.say_message(socket, on, place)?;
            }
        }
        Ok(())
    }

    /// Another message.
    fn think(&mut self, room: RoomId) -> Result<(), Stop> {
        self.next_key += 1;
        let key = format!("{}-{}", self.number, self.next_key);
        let body = format!("{key} {}", "茶".repeat(self.dice.below(60) as usize));
        let send = Send {
            room: RoomRef::Id(room),
            // Digits and a dash, and text of less than 300 bytes.
            client_message_id: ClientMessageId::new(key).expect("a short visible key"),
            body: MessageBody::new(body, u32::MAX).expect("a short text"),
        };
        self.unanswered.push(Message { send, room, in_flight: None });
        Ok(())
    }

    /// It is a member no more, and wants to be.
    pub(super) fn join_again(&mut self, socket: &mut Client, room: RoomId) -> Result<(), Stop> {
        let id = self.new_id(Pending::Join);
        let join = Join { room: RoomRef::Id(room), after: None, epoch: None };
        Ok(say(socket, id, Command::Join(join))?)
    }

    /// The next page of what lies in the first hole.
    pub(super) fn ask_history(&mut self, socket: &mut Client, room: RoomId) -> Result<(), Stop> {
        let hole = self.rooms.get(&room).and_then(|place| place.holes.first());
        let Some(&(from, to)) = hole else { return Ok(()) };
        if self.pending.values().any(|pending| *pending == Pending::History(room)) {
            return Ok(());
        }
        let id = self.new_id(Pending::History(room));
        let limit = u32::try_from(to.0 - from.0 + 1).unwrap_or(u32::MAX).min(proto::Limits::HISTORY_EVENTS);
        let after = Some(Seq(from.0 - 1));
        let history = proto::History { room: RoomRef::Id(room), after, before: None, limit: Some(limit) };
        Ok(say(socket, id, Command::History(history))?)
    }

    fn new_id(&mut self, pending: Pending) -> CommandId {
        self.next_id += 1;
        self.pending.insert(CommandId(self.next_id), pending);
        CommandId(self.next_id)
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

/// Sends a command.
fn say(socket: &mut Client, id: CommandId, command: Command) -> Result<(), Error> {
    // Commands are maps with text keys; serde_json cannot fail on them.
    let text = serde_json::to_string(&Numbered { id: Some(id), command })
        .expect("commands are JSON by construction");
    socket.send_text(&text)
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
