//! Writing changes: one cached statement for each row.

use protocol::Timestamp;
use rusqlite::{Connection, Result, params};

use super::rows::{self, execute, int};
use storage::{Changes, attributes_to_json};

pub(super) fn apply(conn: &Connection, now: Timestamp, changes: &Changes) -> Result<()> {
    for token in &changes.ended_sessions {
        execute(conn, "DELETE FROM session WHERE token_hash = ?1", [&token.0])?;
    }
    for room in &changes.deleted_rooms {
        for sql in [
            "DELETE FROM membership WHERE room = ?1",
            "DELETE FROM read_position WHERE room = ?1",
            "DELETE FROM room_event WHERE room = ?1",
            "DELETE FROM room WHERE id = ?1",
        ] {
            execute(conn, sql, [int(room.0)])?;
        }
    }
    apply_users(conn, now, changes)?;
    apply_rooms(conn, now, changes)?;
    for event in changes.events.iter().filter(|event| !changes.is_deleted(event.room)) {
        rows::insert_event(conn, event)?;
    }
    apply_memberships(conn, changes)
}

fn apply_rooms(conn: &Connection, now: Timestamp, changes: &Changes) -> Result<()> {
    for new in changes.rooms.iter().filter(|new| !changes.is_deleted(new.id)) {
        let sql = "INSERT INTO room (id, name, name_key, created_at, created_by) VALUES (?1, ?2, ?3, ?4, ?5)";
        let (name, key) = (new.name.as_str(), new.name.key());
        execute(conn, sql, params![int(new.id.0), name, key, now.0, int(new.created_by.0)])?;
    }
    for (room, attributes) in &changes.attributes {
        let json = attributes_to_json(attributes)
            .map_err(|cause| rusqlite::Error::ToSqlConversionFailure(Box::new(cause)))?;
        execute(conn, "UPDATE room SET attributes = ?2 WHERE id = ?1", params![int(room.0), json])?;
    }
    // SQLite never reuses an id that it has stored. An id that the batch used and deleted again was never stored.
    if let Some(last) = changes.rooms.last().filter(|last| changes.is_deleted(last.id)) {
        let sql = "UPDATE sqlite_sequence SET seq = max(seq, ?1) WHERE name = 'room'";
        execute(conn, sql, [int(last.id.0)])?;
    }
    Ok(())
}

fn apply_users(conn: &Connection, now: Timestamp, changes: &Changes) -> Result<()> {
    for new in &changes.users {
        let sql = "INSERT INTO person (id, name, transient, created_at) VALUES (?1, ?2, ?3, ?4)";
        execute(conn, sql, params![int(new.id.0), new.name.as_str(), new.transient, now.0])?;
    }
    for (user, name) in &changes.names {
        let sql = "UPDATE person SET name = ?2 WHERE id = ?1";
        execute(conn, sql, params![int(user.0), name.as_str()])?;
    }
    for (token, user) in &changes.sessions {
        let sql = "INSERT INTO session (token_hash, user, created_at) VALUES (?1, ?2, ?3)";
        execute(conn, sql, params![token.0, int(user.0), now.0])?;
    }
    Ok(())
}

fn apply_memberships(conn: &Connection, changes: &Changes) -> Result<()> {
    for ((room, user), since) in &changes.memberships {
        let sql = "INSERT INTO membership (room, user, since_seq) VALUES (?1, ?2, ?3) \
                   ON CONFLICT (room, user) DO UPDATE SET since_seq = excluded.since_seq";
        match since {
            Some(since) => execute(conn, sql, params![int(room.0), int(user.0), int(since.0)])?,
            None => execute(
                conn,
                "DELETE FROM membership WHERE room = ?1 AND user = ?2",
                [int(room.0), int(user.0)],
            )?,
        };
    }
    for ((room, user), position) in &changes.read_positions {
        let sql = "INSERT INTO read_position (room, user, seq, n) VALUES (?1, ?2, ?3, ?4) \
                   ON CONFLICT (room, user) DO UPDATE SET seq = excluded.seq, n = excluded.n";
        execute(conn, sql, params![int(room.0), int(user.0), int(position.seq.0), int(position.n.0)])?;
    }
    Ok(())
}
