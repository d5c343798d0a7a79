//! The advisory lock: one process writes into a database.

use std::thread;
use std::time::{Duration, Instant};

use crate::failure::Failure;
use crate::session::Session;

/// "Teahouse" in ASCII. PostgreSQL keeps advisory locks apart by database.
const KEY: i64 = i64::from_be_bytes(*b"Teahouse");

/// A process that is just ending, or a session of ours that PostgreSQL has not yet noticed to be gone, holds the lock a moment
/// longer.
const LOCK_TIMEOUT: Duration = Duration::from_millis(700);

/// Takes the lock for `session`. `false`: another process has it.
///
/// `name` is the `application_name` of all sessions of this process. An earlier session of ours may outlive its connection, for
/// PostgreSQL notices a silent network late; it may even be about to commit. It is ended first.
pub(crate) fn acquire(session: &mut Session, name: &str) -> Result<bool, Failure> {
    let started = Instant::now();
    loop {
        let rows = session.query("SELECT pg_try_advisory_lock($1)", &[&KEY])?;
        if rows[0].try_get::<_, bool>(0)? {
            return Ok(true);
        }
        if started.elapsed() >= LOCK_TIMEOUT {
            return Ok(false);
        }
        session.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE application_name = $1 AND pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted) \
             AND datname = current_database() AND pid <> pg_backend_pid()",
            &[&name],
        )?;
        thread::sleep(LOCK_TIMEOUT / 20);
    }
}
