//! The look-ups of a batch: all facts that are not cached, in one round trip.

use std::collections::HashMap;

use domain::{Fact, KeyedMessage, Room, TokenHash, World};
use protocol::{MessageCount, ReadPosition, RoomId, RoomRef, Seq, Timestamp, UserId, UserName};
use storage::StoreError;
use tokio_postgres::Row;

use crate::cache::FactCache;
use crate::failure::Failure;
use crate::rows::{get, int, message_body, read_position, room_info, uint, user_name};
use crate::session::Session;
use crate::step::Step;

const USERS: &str = "SELECT id, name FROM user_account WHERE id = ANY($1::bigint[])";
const ROOMS: &str = "SELECT id, name, attributes::text, head_seq, head_n, head_at, name_key FROM room \
    WHERE id = ANY($1::bigint[]) OR name_key = ANY($2::text[])";
/// The rooms of a list of references: an id, or else a key; and a number that belongs to each.
macro_rules! of_references {
    () => {
        "FROM (SELECT coalesce(r.id, (SELECT room.id FROM room WHERE room.name_key = r.key)) AS room, r.number \
         FROM unnest($1::bigint[], $2::text[], $3::bigint[]) AS r (id, key, number)) AS wanted "
    };
}
const MEMBERS: &str = concat!(
    "SELECT m.room, m.user_id, u.name ",
    of_references!(),
    "JOIN membership m ON m.room = wanted.room AND m.user_id = wanted.number JOIN user_account u ON u.id = m.user_id"
);
const POSITIONS: &str = concat!(
    "SELECT p.room, p.user_id, p.seq, p.n ",
    of_references!(),
    "JOIN read_position p ON p.room = wanted.room AND p.user_id = wanted.number"
);
const COUNTS: &str = concat!(
    "SELECT e.room, e.seq, e.n ",
    of_references!(),
    "JOIN room_event e ON e.room = wanted.room AND e.seq = wanted.number"
);
const MEMBER_COUNTS: &str =
    "SELECT room, count(*) FROM membership WHERE room = ANY($1::bigint[]) GROUP BY room";
const ROOMS_OF: &str = "SELECT user_id, room FROM membership WHERE user_id = ANY($1::bigint[])";
const KEYED: &str = "SELECT e.sender, e.client_message_id, e.room, e.seq, e.body \
    FROM (SELECT unnest($1::bigint[]) AS sender, unnest($2::text[]) AS key) AS wanted JOIN room_event e \
    ON e.sender = wanted.sender AND e.client_message_id = wanted.key AND e.client_message_id IS NOT NULL";
const SESSIONS: &str = "SELECT token_hash, user_id FROM session WHERE token_hash = ANY($1::bytea[])";
const SESSION_COUNTS: &str =
    "SELECT user_id, count(*) FROM session WHERE user_id = ANY($1::bigint[]) GROUP BY user_id";
const NEXT_ROOM: &str = "SELECT value FROM counter WHERE key = 'next_room'";

/// All of them, to be prepared when a session begins.
pub(crate) const STATEMENTS: [&str; 11] = [
    USERS,
    ROOMS,
    MEMBERS,
    POSITIONS,
    COUNTS,
    MEMBER_COUNTS,
    ROOMS_OF,
    KEYED,
    SESSIONS,
    SESSION_COUNTS,
    NEXT_ROOM,
];

/// Whether sends look these facts up and no key is missing, so that they are probably those of a batch of sends.
pub(crate) fn only_looked_up_by_sends(facts: &[Fact]) -> bool {
    let is_of_send = |fact: &Fact| matches!(fact, Fact::Room(_) | Fact::Member(..) | Fact::KeyedMessage(..));
    facts.iter().any(|fact| matches!(fact, Fact::KeyedMessage(..))) && facts.iter().all(is_of_send)
}

/// References to rooms, each with a number: a user, or an event.
#[derive(Default)]
struct References {
    ids: Vec<Option<i64>>,
    keys: Vec<Option<String>>,
    numbers: Vec<i64>,
}

impl References {
    fn push(&mut self, room: &RoomRef, number: u64) {
        let (id, key) = match room {
            RoomRef::Id(id) => (Some(int(id.0)), None),
            RoomRef::Name(name) => (None, Some(name.key())),
        };
        self.ids.push(id);
        self.keys.push(key);
        self.numbers.push(int(number));
    }

    fn step(self, sql: &'static str) -> Option<Step<'static>> {
        let References { ids, keys, numbers } = self;
        (!numbers.is_empty())
            .then(|| Step { sql, params: vec![Box::new(ids), Box::new(keys), Box::new(numbers)] })
    }
}

/// The statements that look up facts.
struct Lookups<'f> {
    facts: Vec<&'f Fact>,
    steps: Vec<Step<'f>>,
}

/// Sends `first` and the look-ups of those facts that are not cached, and records each of `facts` in `world`, also those that were
/// not found.
pub(crate) fn load(
    session: &mut Session,
    first: &'static str,
    facts: &[Fact],
    world: &mut World,
) -> Result<(), Failure> {
    let lookups = Lookups::of(facts.iter().filter(|fact| !session.cache.has(fact)).collect());
    let rows = session.pipeline(first, &lookups.steps, "")?;
    // Not before the answer: a session that is lost takes its cache with it, and all facts are looked up with the next one.
    for fact in facts {
        session.cache.load(fact, world);
    }
    lookups.load(&rows, world, &mut session.cache)?;
    Ok(())
}

fn ints_step(sql: &'static str, ids: Vec<i64>) -> Option<Step<'static>> {
    (!ids.is_empty()).then(|| Step { sql, params: vec![Box::new(ids)] })
}

impl<'f> Lookups<'f> {
    fn of(facts: Vec<&'f Fact>) -> Self {
        let (mut users, mut ids, mut keys) = (Vec::new(), Vec::new(), Vec::new());
        let (mut members, mut positions, mut counts) =
            (References::default(), References::default(), References::default());
        let (mut member_counts, mut rooms_of, mut session_counts) = (Vec::new(), Vec::new(), Vec::new());
        let (mut senders, mut message_keys, mut tokens) = (Vec::new(), Vec::new(), Vec::new());
        let mut next_room = false;
        for fact in &facts {
            match fact {
                Fact::Room(RoomRef::Id(id)) => ids.push(int(id.0)),
                Fact::Room(RoomRef::Name(name)) => keys.push(name.key()),
                Fact::User(user) => users.push(int(user.0)),
                Fact::Member(room, user) => members.push(room, user.0),
                Fact::ReadPosition(room, user) => positions.push(room, user.0),
                Fact::MessageCount(room, seq) => counts.push(room, seq.0),
                Fact::MemberCount(room) => member_counts.push(int(room.0)),
                Fact::RoomsOf(user) => rooms_of.push(int(user.0)),
                Fact::KeyedMessage(user, key) => {
                    senders.push(int(user.0));
                    message_keys.push(key.as_str());
                }
                Fact::Session(token) => tokens.push(token.0.to_vec()),
                Fact::SessionCount(user) => session_counts.push(int(user.0)),
                Fact::NextRoom => next_room = true,
            }
        }
        let rooms = !ids.is_empty() || !keys.is_empty();
        let keyed = !senders.is_empty();
        let steps = [
            ints_step(USERS, users),
            rooms.then(|| Step { sql: ROOMS, params: vec![Box::new(ids), Box::new(keys)] }),
            members.step(MEMBERS),
            positions.step(POSITIONS),
            counts.step(COUNTS),
            ints_step(MEMBER_COUNTS, member_counts),
            ints_step(ROOMS_OF, rooms_of),
            keyed.then(|| Step { sql: KEYED, params: vec![Box::new(senders), Box::new(message_keys)] }),
            (!tokens.is_empty()).then(|| Step { sql: SESSIONS, params: vec![Box::new(tokens)] }),
            ints_step(SESSION_COUNTS, session_counts),
            next_room.then(|| Step { sql: NEXT_ROOM, params: Vec::new() }),
        ];
        Lookups { facts, steps: steps.into_iter().flatten().collect() }
    }

    /// Records what the statements found.
    fn load(&self, rows: &[Vec<Row>], world: &mut World, cache: &mut FactCache) -> Result<(), StoreError> {
        let found = Found::read(&self.steps, rows)?;
        // First, because the other facts name rooms by reference.
        for fact in &self.facts {
            if let Fact::Room(reference) = fact {
                world.load_room(reference, found.room(reference).cloned());
            }
        }
        for fact in &self.facts {
            found.load(fact, world)?;
        }
        found.keep(cache);
        Ok(())
    }
}

/// The rows of a batch's look-ups, by their keys.
#[derive(Default)]
struct Found {
    rooms: HashMap<RoomId, Room>,
    room_ids: HashMap<String, RoomId>,
    users: HashMap<UserId, UserName>,
    members: HashMap<(RoomId, UserId), UserName>,
    positions: HashMap<(RoomId, UserId), ReadPosition>,
    counts: HashMap<(RoomId, Seq), MessageCount>,
    member_counts: HashMap<RoomId, u64>,
    rooms_of: HashMap<UserId, Vec<RoomId>>,
    keyed: HashMap<UserId, HashMap<String, KeyedMessage>>,
    sessions: HashMap<TokenHash, UserId>,
    session_counts: HashMap<UserId, u64>,
    next_room: Option<RoomId>,
}

impl Found {
    fn read(steps: &[Step<'_>], rows: &[Vec<Row>]) -> Result<Self, StoreError> {
        let mut found = Found::default();
        for (step, rows) in steps.iter().zip(rows) {
            for row in rows {
                found.add(step.sql, row)?;
            }
        }
        Ok(found)
    }

    fn add(&mut self, sql: &'static str, row: &Row) -> Result<(), StoreError> {
        let room = |column| uint(row, column).map(RoomId);
        let user = |column| uint(row, column).map(UserId);
        let n = |column| uint(row, column).map(MessageCount);
        match sql {
            USERS => drop(self.users.insert(user(0)?, user_name(row, 1)?)),
            ROOMS => {
                let info = room_info(row)?;
                let last_at = get::<Option<i64>>(row, 5)?.map(Timestamp);
                if let Some(key) = get::<Option<String>>(row, 6)? {
                    self.room_ids.insert(key, info.room);
                }
                let room = Room { info, head: Seq(uint(row, 3)?), n: n(4)?, last_at };
                self.rooms.insert(room.id(), room);
            }
            MEMBERS => drop(self.members.insert((room(0)?, user(1)?), user_name(row, 2)?)),
            POSITIONS => {
                if let Some(position) = read_position(row, 2)? {
                    self.positions.insert((room(0)?, user(1)?), position);
                }
            }
            COUNTS => drop(self.counts.insert((room(0)?, Seq(uint(row, 1)?)), n(2)?)),
            MEMBER_COUNTS => drop(self.member_counts.insert(room(0)?, uint(row, 1)?)),
            ROOMS_OF => self.rooms_of.entry(user(0)?).or_default().push(room(1)?),
            KEYED => {
                let message =
                    KeyedMessage { room: room(2)?, seq: Seq(uint(row, 3)?), body: message_body(row, 4)? };
                self.keyed.entry(user(0)?).or_default().insert(get(row, 1)?, message);
            }
            SESSIONS => {
                let token: [u8; 32] = get::<&[u8]>(row, 0)?
                    .try_into()
                    .map_err(|_| StoreError::Corrupt("a session's hash has another length".to_owned()))?;
                self.sessions.insert(TokenHash(token), user(1)?);
            }
            SESSION_COUNTS => drop(self.session_counts.insert(user(0)?, uint(row, 1)?)),
            _ => self.next_room = Some(room(0)?),
        }
        Ok(())
    }

    fn room(&self, reference: &RoomRef) -> Option<&Room> {
        let id = match reference {
            RoomRef::Id(id) => *id,
            RoomRef::Name(name) => *self.room_ids.get(&name.key())?,
        };
        self.rooms.get(&id)
    }

    fn keep(self, cache: &mut FactCache) {
        self.rooms.into_values().for_each(|room| cache.insert_room(room));
        self.users.into_iter().for_each(|(user, name)| cache.insert_user(user, name));
        self.members.into_iter().for_each(|((room, user), name)| cache.insert_member(room, user, name));
    }

    fn load(&self, fact: &Fact, world: &mut World) -> Result<(), StoreError> {
        let id = |world: &World, room: &RoomRef| {
            let missing = |_| StoreError::Defect(format!("{fact:?} was loaded before its room"));
            world.room_id(room).map_err(missing)
        };
        match fact {
            Fact::Room(_) => {}
            Fact::User(user) => world.load_user(*user, self.users.get(user).cloned()),
            Fact::Member(room, user) => {
                if let Some(id) = id(world, room)? {
                    world.load_member(id, *user, self.members.get(&(id, *user)).cloned());
                }
            }
            Fact::ReadPosition(room, user) => {
                if let Some(id) = id(world, room)? {
                    world.load_read_position(id, *user, self.positions.get(&(id, *user)).copied());
                }
            }
            Fact::MessageCount(room, seq) => {
                if let Some(id) = id(world, room)? {
                    world.load_message_count(id, *seq, self.counts.get(&(id, *seq)).copied());
                }
            }
            Fact::MemberCount(room) => {
                world.load_member_count(*room, self.member_counts.get(room).copied().unwrap_or(0));
            }
            Fact::RoomsOf(user) => {
                world.load_rooms_of(*user, self.rooms_of.get(user).cloned().unwrap_or_default());
            }
            Fact::KeyedMessage(user, key) => {
                let message = self.keyed.get(user).and_then(|messages| messages.get(key.as_str()));
                world.load_keyed_message(*user, key.clone(), message.cloned());
            }
            Fact::Session(token) => world.load_session(*token, self.sessions.get(token).copied()),
            Fact::SessionCount(user) => {
                world.load_session_count(*user, self.session_counts.get(user).copied().unwrap_or(0));
            }
            Fact::NextRoom => {
                let missing = || StoreError::Corrupt("the counter of rooms is missing".to_owned());
                world.load_next_room(self.next_room.ok_or_else(missing)?);
            }
        }
        Ok(())
    }
}
