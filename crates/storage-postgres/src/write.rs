//! The changes of a batch as statements: one for each table and kind of change, whatever the number of rows.
//!
//! What is deleted goes first, so that a room may be deleted and created again under its name in one batch. A room that the batch
//! both creates and deletes is never written.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use protocol::{RoomId, Timestamp, UserName};
use storage::{Changes, StoreError, StoredKind, attributes_to_json};
use tokio_postgres::types::ToSql;

use crate::rows::int;
use crate::step::Step;

const END_SESSIONS: &str = "DELETE FROM session WHERE token_hash = ANY($1::bytea[])";
const END_MEMBERSHIPS: &str = "DELETE FROM membership m USING unnest($1::bigint[], $2::bigint[]) AS ended (room, user_id) \
    WHERE m.room = ended.room AND m.user_id = ended.user_id";
const DELETE_MEMBERSHIPS: &str = "DELETE FROM membership WHERE room = ANY($1::bigint[])";
const DELETE_EVENTS: &str = "DELETE FROM room_event WHERE room = ANY($1::bigint[])";
const DELETE_POSITIONS: &str = "DELETE FROM read_position WHERE room = ANY($1::bigint[])";
const DELETE_ROOMS: &str = "DELETE FROM room WHERE id = ANY($1::bigint[])";
const USERS: &str = "INSERT INTO user_account (id, name, transient, created_at) \
    SELECT id, name, transient, $4::bigint FROM unnest($1::bigint[], $2::text[], $3::boolean[]) AS new (id, name, transient)";
const NAMES: &str = "UPDATE user_account u SET name = new.name FROM unnest($1::bigint[], $2::text[]) AS new (id, name) \
    WHERE u.id = new.id";
const SESSIONS: &str = "INSERT INTO session (token_hash, user_id, created_at) \
    SELECT token_hash, user_id, $3::bigint FROM unnest($1::bytea[], $2::bigint[]) AS new (token_hash, user_id)";
const ROOMS: &str = "INSERT INTO room (id, name, name_key, created_by, created_at) \
    SELECT id, name, name_key, created_by, $5::bigint \
    FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[]) AS new (id, name, name_key, created_by)";
const ATTRIBUTES: &str = "UPDATE room r SET attributes = new.attributes::jsonb \
    FROM unnest($1::bigint[], $2::text[]) AS new (id, attributes) WHERE r.id = new.id";
const NEXT_ROOM: &str = "UPDATE counter SET value = greatest(value, $1::bigint) WHERE key = 'next_room'";
const MEMBERSHIPS: &str = "INSERT INTO membership (room, user_id, since_seq) \
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) \
    ON CONFLICT (room, user_id) DO UPDATE SET since_seq = excluded.since_seq";
const POSITIONS: &str = "INSERT INTO read_position (room, user_id, seq, n) \
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) \
    ON CONFLICT (room, user_id) DO UPDATE SET seq = excluded.seq, n = excluded.n";
/// One statement, because each costs both sides a message and a wake-up.
const EVENTS: &str = "WITH \
    heads AS (UPDATE room r SET head_seq = new.seq, head_n = new.n, head_at = new.at \
    FROM unnest($11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[]) AS new (room, seq, n, at) WHERE r.id = new.room), \
    commits AS (UPDATE counter SET value = value + 1 WHERE key = 'commits') \
    INSERT INTO room_event \
    (room, seq, n, at, kind, sender, sender_name, client_message_id, body, payload) \
    SELECT unnest($1::bigint[]), unnest($2::bigint[]), unnest($3::bigint[]), unnest($4::bigint[]), unnest($5::text[]), \
    unnest($6::bigint[]), unnest($7::text[]), unnest($8::text[]), unnest($9::text[]), unnest($10::text[])::jsonb";
const COMMITS: &str = "UPDATE counter SET value = value + 1 WHERE key = 'commits'";

/// All of them, to be prepared when a session begins.
pub(crate) const STATEMENTS: [&str; 16] = [
    END_SESSIONS,
    END_MEMBERSHIPS,
    DELETE_MEMBERSHIPS,
    DELETE_EVENTS,
    DELETE_POSITIONS,
    DELETE_ROOMS,
    USERS,
    NAMES,
    SESSIONS,
    ROOMS,
    ATTRIBUTES,
    NEXT_ROOM,
    MEMBERSHIPS,
    POSITIONS,
    EVENTS,
    COMMITS,
];

/// The statements that write `changes`, in order. None if there is nothing to write.
pub(crate) fn steps(now: Timestamp, changes: &Changes) -> Result<Vec<Step<'_>>, StoreError> {
    let mut steps = Vec::new();
    if changes.is_empty() {
        return Ok(steps);
    }
    delete(changes, &mut steps);
    insert_users(now, changes, &mut steps);
    insert_rooms(now, changes, &mut steps)?;
    insert_memberships(changes, &mut steps);
    if !insert_events(changes, &mut steps)? {
        push(&mut steps, COMMITS, 1, []);
    }
    Ok(steps)
}

/// Adds a statement unless it would have no rows.
fn push<'c, const N: usize>(
    steps: &mut Vec<Step<'c>>,
    sql: &'static str,
    rows: usize,
    params: [Box<dyn ToSql + Sync + 'c>; N],
) {
    if rows > 0 {
        steps.push(Step { sql, params: params.into() });
    }
}

/// A column of a statement's rows.
fn column<'c, T: ToSql + Sync + 'c>(values: impl IntoIterator<Item = T>) -> Box<dyn ToSql + Sync + 'c> {
    Box::new(values.into_iter().collect::<Vec<T>>())
}

fn delete<'c>(changes: &'c Changes, steps: &mut Vec<Step<'c>>) {
    let tokens = &changes.ended_sessions;
    push(steps, END_SESSIONS, tokens.len(), [column(tokens.iter().map(|token| token.0.to_vec()))]);
    let ended = || changes.memberships.iter().filter(|(_, since)| since.is_none()).map(|(key, _)| key);
    let (rooms, users) =
        (column(ended().map(|(room, _)| int(room.0))), column(ended().map(|(_, user)| int(user.0))));
    push(steps, END_MEMBERSHIPS, ended().count(), [rooms, users]);
    let deleted = &changes.deleted_rooms;
    for sql in [DELETE_MEMBERSHIPS, DELETE_EVENTS, DELETE_POSITIONS, DELETE_ROOMS] {
        push(steps, sql, deleted.len(), [column(deleted.iter().map(|room| int(room.0)))]);
    }
}

fn insert_users<'c>(now: Timestamp, changes: &'c Changes, steps: &mut Vec<Step<'c>>) {
    let users = &changes.users;
    let columns = [
        column(users.iter().map(|user| int(user.id.0))),
        column(users.iter().map(|user| user.name.as_str())),
        column(users.iter().map(|user| user.transient)),
        Box::new(now.0),
    ];
    push(steps, USERS, users.len(), columns);
    let names = &changes.names;
    let columns =
        [column(names.keys().map(|user| int(user.0))), column(names.values().map(UserName::as_str))];
    push(steps, NAMES, names.len(), columns);
    let sessions = &changes.sessions;
    let columns = [
        column(sessions.iter().map(|(token, _)| token.0.to_vec())),
        column(sessions.iter().map(|(_, user)| int(user.0))),
        Box::new(now.0),
    ];
    push(steps, SESSIONS, sessions.len(), columns);
}

fn insert_rooms<'c>(
    now: Timestamp,
    changes: &'c Changes,
    steps: &mut Vec<Step<'c>>,
) -> Result<(), StoreError> {
    let rooms = || changes.rooms.iter().filter(|room| !changes.deleted_rooms.contains(&room.id));
    let columns = [
        column(rooms().map(|room| int(room.id.0))),
        column(rooms().map(|room| room.name.as_str())),
        column(rooms().map(|room| room.name.key())),
        column(rooms().map(|room| int(room.created_by.0))),
        Box::new(now.0),
    ];
    push(steps, ROOMS, rooms().count(), columns);
    let attributes = changes.attributes.values().map(attributes_to_json).collect::<Result<Vec<_>, _>>()?;
    let rows = attributes.len();
    let columns = [column(changes.attributes.keys().map(|room| int(room.0))), column(attributes)];
    push(steps, ATTRIBUTES, rows, columns);
    // The id of a room that is created and deleted at once is used up too.
    if let Some(last) = changes.rooms.iter().map(|room| room.id.0).max() {
        push(steps, NEXT_ROOM, 1, [Box::new(int(last.saturating_add(1)))]);
    }
    Ok(())
}

fn insert_memberships<'c>(changes: &'c Changes, steps: &mut Vec<Step<'c>>) {
    let added = || changes.memberships.iter().filter_map(|(key, since)| Some((key, (*since)?)));
    let columns = [
        column(added().map(|((room, _), _)| int(room.0))),
        column(added().map(|((_, user), _)| int(user.0))),
        column(added().map(|(_, since)| int(since.0))),
    ];
    push(steps, MEMBERSHIPS, added().count(), columns);
    let positions = &changes.read_positions;
    let columns = [
        column(positions.keys().map(|(room, _)| int(room.0))),
        column(positions.keys().map(|(_, user)| int(user.0))),
        column(positions.values().map(|position| int(position.seq.0))),
        column(positions.values().map(|position| int(position.n.0))),
    ];
    push(steps, POSITIONS, positions.len(), columns);
}

/// Returns whether there are any. If so, the commit is counted too.
fn insert_events<'c>(changes: &'c Changes, steps: &mut Vec<Step<'c>>) -> Result<bool, StoreError> {
    let deleted: BTreeSet<RoomId> = changes.deleted_rooms.iter().copied().collect();
    let events: Vec<_> = changes.events.iter().filter(|event| !deleted.contains(&event.room)).collect();
    let stored = events.iter().map(|event| StoredKind::of(&event.kind)).collect::<Result<Vec<_>, _>>()?;
    let mut columns: [Vec<Option<Cow<'_, str>>>; 4] = Default::default();
    for kind in stored {
        let StoredKind { kind, client_message_id, body, payload } = kind;
        for (column, value) in columns.iter_mut().zip([Some(kind), client_message_id, body, payload]) {
            column.push(value);
        }
    }
    let [kinds, keys, bodies, payloads] = columns;
    let heads: BTreeMap<RoomId, _> = events.iter().map(|event| (event.room, *event)).collect();
    let columns = [
        column(events.iter().map(|event| int(event.room.0))),
        column(events.iter().map(|event| int(event.seq.0))),
        column(events.iter().map(|event| int(event.n.0))),
        column(events.iter().map(|event| event.at.0)),
        column(kinds),
        column(events.iter().map(|event| int(event.by.id.0))),
        column(events.iter().map(|event| event.by.name.as_str())),
        column(keys),
        column(bodies),
        column(payloads),
        column(heads.keys().map(|room| int(room.0))),
        column(heads.values().map(|event| int(event.seq.0))),
        column(heads.values().map(|event| int(event.n.0))),
        column(heads.values().map(|event| event.at.0)),
    ];
    push(steps, EVENTS, events.len(), columns);
    Ok(!events.is_empty())
}
