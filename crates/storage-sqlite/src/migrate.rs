//! The schema and its versions. `PRAGMA user_version` is the number of migrations that a database has.

use std::path::Path;

use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::{Batch, Connection, TransactionBehavior};
use storage::StoreError;

use super::OpenError;
use super::failure::{Failure, store_error};

/// In order; the first one creates version 1. A released migration is never edited: the next one corrects it.
pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("../migrations/0001_rooms.sql"),
    include_str!("../migrations/0002_joined_with.sql"),
    include_str!("../migrations/0003_topic.sql"),
    include_str!("../migrations/0004_room_attributes.sql"),
];

/// "Teah" in ASCII, which the first migration sets as SQLite's application id.
const APPLICATION_ID: i64 = 0x5465_6168;

/// Rejects the database of another program or of a newer version, without writing anything.
pub(super) fn check(conn: &Connection, database: &Path) -> Result<(), OpenError> {
    let facts = || -> rusqlite::Result<(i64, i64, i64)> {
        let number = |sql| conn.query_row(sql, [], |row| row.get(0));
        Ok((
            number("PRAGMA application_id")?,
            number("PRAGMA user_version")?,
            number("SELECT count(*) FROM sqlite_master")?,
        ))
    };
    let path = database.to_owned();
    let (application, version, tables) = match facts().map_err(store_error) {
        Ok(facts) => facts,
        Err(StoreError::Corrupt(cause)) => return Err(OpenError::NotADatabase { path, cause }),
        Err(cause) => return Err(OpenError::Database { path, cause }),
    };
    let known = MIGRATIONS.len() as i64;
    if application != APPLICATION_ID && (tables, version, application) != (0, 0, 0) {
        let cause = "it belongs to another program".to_owned();
        return Err(OpenError::NotADatabase { path, cause });
    }
    if version > known {
        return Err(OpenError::Newer { path, found: version, known });
    }
    Ok(())
}

/// Runs the missing migrations.
pub(super) fn run(conn: &mut Connection) -> Result<(), Failure> {
    run_of(MIGRATIONS, conn, &mut || ())
}

/// Runs the missing ones of `migrations`, each in its own transaction, so that an interruption at any point leaves a complete
/// version and the next start continues from there (`tests/migrating.rs`). A test may stop it `before` each statement.
pub(super) fn run_of(
    migrations: &[&str],
    conn: &mut Connection,
    before: &mut dyn FnMut(),
) -> Result<(), Failure> {
    loop {
        let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let version: u32 = transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        let Some(migration) = migrations.get(version as usize) else { return Ok(()) };
        let mut statements = Batch::new(&transaction, migration);
        while let Some(mut statement) = statements.next()? {
            before();
            let mut rows = statement.raw_query();
            while rows.next()?.is_some() {}
        }
        before();
        if version == 0 {
            transaction.execute("INSERT INTO meta (key, value) VALUES ('epoch', ?1)", [new_epoch()?])?;
            before();
        }
        transaction.pragma_update(None, "user_version", version + 1)?;
        before();
        transaction.commit()?;
    }
}

/// Random, so that no two stores ever have the same epoch, whatever was copied or restored.
fn new_epoch() -> Result<String, StoreError> {
    let random = getrandom::u64().map_err(|e| StoreError::Unavailable(format!("no randomness: {e}")))?;
    Ok(format!("e{random:016x}"))
}
