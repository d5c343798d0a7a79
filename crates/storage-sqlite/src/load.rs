//! Loading facts: each is a look-up by a key or a short range, with a cached statement.

use domain::{Fact, KeyedMessage, Room, World};
use protocol::{ClientMessageId, MessageCount, RoomId, RoomInfo, RoomRef, Seq, Timestamp, UserId};
use rusqlite::{Connection, Result, Row, params};

use super::room_cache::RoomCache;
use super::rows::{self, first, int, uint};

pub(super) fn load(
    conn: &Connection,
    cache: &mut RoomCache,
    facts: &[Fact],
    world: &mut World,
) -> Result<()> {
    facts.iter().try_for_each(|fact| load_one(conn, cache, fact, world))
}

fn load_one(conn: &Connection, cache: &mut RoomCache, fact: &Fact, world: &mut World) -> Result<()> {
    match fact {
        Fact::Room(reference) => world.load_room(reference, room(conn, cache, reference)?),
        Fact::User(user) => {
            let sql = "SELECT name FROM person WHERE id = ?1";
            world.load_user(*user, first(conn, sql, [int(user.0)], |row| rows::user_name(row, 0))?);
        }
        Fact::Member(reference, user) => {
            if let Some(room) = resolve(world, reference) {
                let sql = "SELECT p.name FROM membership m JOIN person p ON p.id = m.user \
                           WHERE m.room = ?1 AND m.user = ?2";
                let ids = params![int(room.0), int(user.0)];
                world.load_member(room, *user, first(conn, sql, ids, |row| rows::user_name(row, 0))?);
            }
        }
        Fact::ReadPosition(reference, user) => {
            if let Some(room) = resolve(world, reference) {
                world.load_read_position(room, *user, rows::find_position(conn, room, *user)?);
            }
        }
        Fact::MessageCount(reference, seq) => {
            if let Some(room) = resolve(world, reference) {
                let sql = "SELECT n FROM room_event WHERE room = ?1 AND seq = ?2";
                let n = first(conn, sql, params![int(room.0), int(seq.0)], |row| uint(row, 0))?;
                world.load_message_count(room, *seq, n.map(MessageCount));
            }
        }
        Fact::MemberCount(room) => {
            let sql = "SELECT count(*) FROM membership WHERE room = ?1";
            world.load_member_count(*room, count(conn, sql, room.0)?);
        }
        Fact::RoomsOf(user) => {
            let mut rooms = conn.prepare_cached("SELECT room FROM membership WHERE user = ?1")?;
            let rooms = rooms.query_map([int(user.0)], |row| uint(row, 0).map(RoomId))?;
            world.load_rooms_of(*user, rooms.collect::<Result<Vec<_>>>()?);
        }
        Fact::KeyedMessage(user, key) => {
            world.load_keyed_message(*user, key.clone(), keyed_message(conn, *user, key)?);
        }
        Fact::Session(token) => {
            let sql = "SELECT user FROM session WHERE token_hash = ?1";
            world.load_session(*token, first(conn, sql, [&token.0], |row| uint(row, 0).map(UserId))?);
        }
        Fact::SessionCount(user) => {
            let sql = "SELECT count(*) FROM session WHERE user = ?1";
            world.load_session_count(*user, count(conn, sql, user.0)?);
        }
        Fact::NextRoom => {
            // SQLite keeps the greatest id that was ever stored.
            let sql = "SELECT seq FROM sqlite_sequence WHERE name = 'room'";
            let last = first(conn, sql, [], |row| uint(row, 0))?.unwrap_or(0);
            world.load_next_room(RoomId(last + 1));
        }
    }
    Ok(())
}

/// The id of an existing room. A `Room` fact with the same name was loaded before.
fn resolve(world: &World, reference: &RoomRef) -> Option<RoomId> {
    match reference {
        RoomRef::Id(room) => Some(*room),
        RoomRef::Name(_) => world.room_id(reference).ok().flatten(),
    }
}

fn room(conn: &Connection, cache: &mut RoomCache, reference: &RoomRef) -> Result<Option<Room>> {
    if let RoomRef::Id(id) = reference
        && let Some(room) = cache.get(*id)
    {
        return Ok(Some(room.clone()));
    }
    // The name and the attributes of a cached room are not read again.
    let found = rows::find_room(conn, reference, |id, row| match cache.get(id) {
        Some(room) => Ok(Found::Cached(room.clone())),
        None => rows::room_info(id, row).map(Found::Stored),
    })?;
    Ok(match found {
        Some(Found::Cached(room)) => Some(room),
        Some(Found::Stored(info)) => {
            let room = with_head(conn, info)?;
            cache.insert(room.clone());
            Some(room)
        }
        None => None,
    })
}

enum Found {
    Cached(Room),
    Stored(RoomInfo),
}

fn with_head(conn: &Connection, info: RoomInfo) -> Result<Room> {
    let sql = "SELECT seq, n, at FROM room_event WHERE room = ?1 ORDER BY seq DESC LIMIT 1";
    let last = first(conn, sql, [int(info.room.0)], |row| {
        Ok((Seq(uint(row, 0)?), MessageCount(uint(row, 1)?), Timestamp(row.get(2)?)))
    })?;
    let (head, n, last_at) = last.map_or((Seq(0), MessageCount(0), None), |(seq, n, at)| (seq, n, Some(at)));
    Ok(Room { info, head, n, last_at })
}

fn keyed_message(conn: &Connection, user: UserId, key: &ClientMessageId) -> Result<Option<KeyedMessage>> {
    let sql = "SELECT room, seq, body FROM room_event WHERE sender = ?1 AND client_message_id = ?2";
    first(conn, sql, params![int(user.0), key.as_str()], |row: &Row<'_>| {
        Ok(KeyedMessage {
            room: RoomId(uint(row, 0)?),
            seq: Seq(uint(row, 1)?),
            body: rows::message_body(row, 2)?,
        })
    })
}

fn count(conn: &Connection, sql: &str, id: u64) -> Result<u64> {
    Ok(first(conn, sql, [int(id)], |row| uint(row, 0))?.unwrap_or(0))
}
