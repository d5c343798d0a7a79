//! The rate of SQLite alone on this disk: `cargo run --release -p teahouse-storage-sqlite --example bare FOLDER SECONDS
//! BATCH…`.
//!
//! Inserts messages into the server's schema, with the settings of the server's writer, in transactions of each batch size,
//! without rules, look-ups or delivery. Prints a JSON list with an object per batch size. `cargo xtask bench` compares the
//! server's durable sends with it.

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, Statement, params};

/// The server's first schema. Later ones add only columns that a message does not use.
const MIGRATIONS: &[&str] = &[include_str!("../migrations/0001_rooms.sql")];

/// The settings of the server's writer (`src/open.rs`): a commit returns when it is on disk. Here the commit that makes the
/// log long checkpoints it; the server has a thread for that.
const SETTINGS: &str = "PRAGMA journal_mode = wal; PRAGMA synchronous = FULL; PRAGMA foreign_keys = on; \
    PRAGMA secure_delete = on; PRAGMA wal_autocheckpoint = 1000; PRAGMA journal_size_limit = 67108864; \
    PRAGMA temp_store = MEMORY; PRAGMA cell_size_check = on; PRAGMA cache_size = -32768;";

/// Each room has one sender, as in the scenario of `cargo xtask bench` that is compared.
const ROOMS: i64 = 100;

const INSERT: &str = "INSERT INTO room_event (room, seq, n, kind, sender, sender_name, at, client_message_id, body, was) \
    VALUES (?1, ?2, ?3, 'message', ?1, 'guest-of-the-room', ?4, ?5, ?6, NULL) \
    ON CONFLICT (sender, client_message_id) WHERE client_message_id IS NOT NULL DO NOTHING";

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [folder, seconds, batches @ ..] = args.as_slice() else {
        return Err("usage: bare FOLDER SECONDS BATCH…".into());
    };
    let time = Duration::try_from_secs_f64(seconds.parse()?)?;
    let conn = open(Path::new(folder))?;
    let mut results = Vec::new();
    let mut sent = 0;
    for batch in batches {
        results.push(measure(&conn, batch.parse()?, time, &mut sent)?);
    }
    println!("{}", serde_json::to_string(&results)?);
    Ok(())
}

/// Creates a database with one user per room.
fn open(folder: &Path) -> Result<Connection, Box<dyn Error>> {
    std::fs::create_dir_all(folder)?;
    let file = folder.join("bare.db");
    if file.exists() {
        return Err(format!("{} exists already", file.display()).into());
    }
    let conn = Connection::open(file)?;
    conn.execute_batch(SETTINGS)?;
    for migration in MIGRATIONS {
        conn.execute_batch(migration)?;
    }
    for room in 1..=ROOMS {
        conn.execute("INSERT INTO person VALUES (?1, 'guest-of-the-room', 1, 0)", [room])?;
        // The schema itself creates the first room.
        conn.execute("INSERT OR IGNORE INTO room (id, name, created_at) VALUES (?1, 'room', 0)", [room])?;
    }
    Ok(conn)
}

/// Commits batches for this long; `sent` counts all messages so far, and numbers them.
fn measure(
    conn: &Connection,
    batch: i64,
    time: Duration,
    sent: &mut i64,
) -> Result<serde_json::Value, Box<dyn Error>> {
    if batch < 1 {
        return Err("a batch has at least one message".into());
    }
    let (mut begin, mut commit) = (conn.prepare("BEGIN IMMEDIATE")?, conn.prepare("COMMIT")?);
    let mut insert = conn.prepare(INSERT)?;
    let mut took = Vec::new();
    let started = Instant::now();
    while took.is_empty() || started.elapsed() < time {
        let commit_started = Instant::now();
        begin.execute([])?;
        for _ in 0..batch {
            send(&mut insert, *sent)?;
            *sent += 1;
        }
        commit.execute([])?;
        took.push(commit_started.elapsed());
    }
    let per_second = took.len() as f64 * batch as f64 / started.elapsed().as_secs_f64();
    took.sort_unstable();
    let commit_ms_p50 = took[took.len() / 2].as_secs_f64() * 1e3;
    Ok(serde_json::json!({ "batch": batch, "per_second": per_second, "commit_ms_p50": commit_ms_p50 }))
}

/// Inserts one message, into each room in turn.
fn send(insert: &mut Statement<'_>, number: i64) -> rusqlite::Result<()> {
    let (room, seq) = (number % ROOMS + 1, number / ROOMS + 1);
    let key = format!("{room:08x}-{seq:016x}");
    insert.execute(params![room, seq, seq, 1_700_000_000_000 + number, key, BODY])?;
    Ok(())
}

/// Of the same length as the load generator's bodies.
const BODY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\
                    0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
