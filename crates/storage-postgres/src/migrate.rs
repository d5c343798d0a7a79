//! The schema and its versions. The table `schema` counts the migrations that a database has been through.
//!
//! A migration is numbered as SQLite's of equal meaning. Each runs in a transaction of its own, so that a stop at any point leaves a
//! whole version, and the next start continues from there. The caller holds the advisory lock: two programs never migrate at
//! the same time.

use storage::StoreError;

use crate::failure::Failure;
use crate::session::Session;

/// A step of the schema.
pub(crate) struct Migration {
    pub(crate) sql: &'static str,
    /// The oldest schema whose programs can use a database after this migration.
    pub(crate) compat: i64,
}

/// In order; the first makes version 1. A migration that was released is never edited: the next one corrects it.
pub(crate) const MIGRATIONS: &[Migration] = &[
    Migration { sql: include_str!("../migrations/0001_rooms.sql"), compat: 1 },
    Migration { sql: include_str!("../migrations/0002_joined_with.sql"), compat: 1 },
    // Older programs cannot read a room's events of kind `topic_changed`.
    Migration { sql: include_str!("../migrations/0003_topic.sql"), compat: 3 },
    // Older programs read the column `topic`.
    Migration { sql: include_str!("../migrations/0004_room_attributes.sql"), compat: 4 },
];

/// What a database holds before the migrations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// No tables at all.
    Nothing,
    /// Our tables.
    Schema { version: i64, compat: i64 },
    /// Another program's tables.
    Foreign,
}

/// Looks at the database. Writes nothing.
pub(crate) fn find(session: &mut Session) -> Result<Found, Failure> {
    let rows = session.query(
        "SELECT to_regclass('schema') IS NOT NULL AND to_regclass('room_event') IS NOT NULL, \
         EXISTS (SELECT 1 FROM pg_class WHERE relnamespace = current_schema()::regnamespace)",
        &[],
    )?;
    match (rows[0].try_get(0)?, rows[0].try_get(1)?) {
        (true, _) => {}
        (false, true) => return Ok(Found::Foreign),
        (false, false) => return Ok(Found::Nothing),
    }
    let rows = session.query("SELECT version, compat FROM schema", &[])?;
    match rows.first() {
        Some(row) => Ok(Found::Schema { version: row.try_get(0)?, compat: row.try_get(1)? }),
        None => Ok(Found::Foreign),
    }
}

/// Runs the missing ones of `migrations`. `before` each transaction, a test may stop it.
pub(crate) fn run(
    session: &mut Session,
    migrations: &[Migration],
    found: Found,
    before: &mut dyn FnMut(&mut Session) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let version = match found {
        Found::Schema { version, .. } => version,
        Found::Nothing | Found::Foreign => 0,
    };
    for (number, migration) in (1..).zip(migrations).skip(usize::try_from(version).unwrap_or(0)) {
        before(session)?;
        let first = match number {
            1 => format!(
                "CREATE TABLE schema (version bigint NOT NULL, compat bigint NOT NULL); \
                 INSERT INTO schema (version, compat) VALUES (0, 0); {} \
                 INSERT INTO meta (key, value) VALUES ('epoch', '{}');",
                migration.sql,
                new_epoch()?
            ),
            _ => migration.sql.to_owned(),
        };
        let compat = migration.compat;
        // One message of several statements is one transaction; the words make it visible.
        session.execute(&format!(
            "BEGIN; {first} UPDATE schema SET version = {number}, compat = {compat}; COMMIT"
        ))?;
    }
    Ok(())
}

/// Random, so that no two stores ever have the same, whatever was copied or restored.
fn new_epoch() -> Result<String, Failure> {
    let random = getrandom::u64().map_err(|cause| Failure {
        error: StoreError::Unavailable(format!("no randomness: {cause}")),
        session_lost: false,
    })?;
    Ok(format!("e{random:016x}"))
}
