//! What PostgreSQL alone can do: `cargo run --release -p teahouse-storage-postgres --example bare_postgres DATABASE SECONDS BATCH…`.
//!
//! Inserts messages into an empty database with the server's schema and session settings, a given number per transaction. Nothing
//! else happens: no rule is checked, and no client is served. A transaction takes two round trips, the fewest in which events can be
//! numbered in the database: one counts the rooms' heads up, the other inserts the events and commits. The server also takes two: it
//! looks up the messages' keys in the first, and numbers events from heads that it has cached. Prints a JSON list with one object per batch
//! size. `cargo xtask bench` compares the server's durable sends with it.

use std::collections::BTreeMap;
use std::error::Error;
use std::time::{Duration, Instant};

use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, NoTls, Statement};

/// The server's first schema: later ones add nothing to the tables that are written here.
const SCHEMA: &str = include_str!("../migrations/0001_rooms.sql");

/// Those of the server's sessions (`src/session.rs`) that affect the loop.
const SETTINGS: &str = "-c synchronous_commit=on -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off -c jit=off \
    -c plan_cache_mode=force_generic_plan";

/// Each with one sender, as in the scenario that the loop is compared with.
const ROOMS: i64 = 100;

const HEADS: &str = "UPDATE room r SET head_seq = head_seq + new.count, head_n = head_n + new.count, head_at = $3 \
    FROM unnest($1::bigint[], $2::bigint[]) AS new (room, count) WHERE r.id = new.room RETURNING r.id, r.head_seq";
const EVENTS: &str = "INSERT INTO room_event (room, seq, n, at, kind, sender, sender_name, client_message_id, body) \
    SELECT room, seq, seq, $3, 'message', room, 'guest-alone', client_message_id, $5 \
    FROM unnest($1::bigint[], $2::bigint[], $4::text[]) AS new (room, seq, client_message_id)";
const COMMITS: &str = "UPDATE counter SET value = value + 1 WHERE key = 'commits'";

/// As long as the load generator's.
const BODY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\
                    0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [database, seconds, batches @ ..] = args.as_slice() else {
        return Err("usage: bare_postgres DATABASE SECONDS BATCH…".into());
    };
    let time = Duration::try_from_secs_f64(seconds.parse()?)?;
    let mut config: Config = database.parse()?;
    config.options(SETTINGS);
    let (client, connection) = config.connect(NoTls).await?;
    // Ends with the program. If the connection fails, the next statement returns the error.
    tokio::spawn(connection);
    let writer = Writer::new(client).await?;
    let mut results = Vec::new();
    let mut sent = 0;
    for batch in batches {
        results.push(measure(&writer, batch.parse()?, time, &mut sent).await?);
    }
    println!("{}", serde_json::to_string(&results)?);
    Ok(())
}

/// Commits batches for this long; `sent` counts all messages so far.
async fn measure(
    writer: &Writer,
    batch: i64,
    time: Duration,
    sent: &mut i64,
) -> Result<serde_json::Value, Box<dyn Error>> {
    if batch < 1 {
        return Err("a batch has at least one message".into());
    }
    let mut durations = Vec::new();
    let started = Instant::now();
    while durations.is_empty() || started.elapsed() < time {
        let batch_started = Instant::now();
        writer.commit(*sent..*sent + batch).await?;
        *sent += batch;
        durations.push(batch_started.elapsed());
    }
    let per_second = durations.len() as f64 * batch as f64 / started.elapsed().as_secs_f64();
    durations.sort_unstable();
    let commit_ms_p50 = durations[durations.len() / 2].as_secs_f64() * 1e3;
    Ok(serde_json::json!({ "batch": batch, "per_second": per_second, "commit_ms_p50": commit_ms_p50 }))
}

struct Writer {
    client: Client,
    heads: Statement,
    events: Statement,
    commits: Statement,
}

impl Writer {
    /// Creates the tables, with a hundred users in as many rooms.
    async fn new(client: Client) -> Result<Self, tokio_postgres::Error> {
        client.batch_execute(SCHEMA).await?;
        let rows = format!(
            "INSERT INTO user_account (id, name, transient, created_at) \
             SELECT id, 'guest-alone', true, 0 FROM generate_series(1, {ROOMS}) AS id; \
             INSERT INTO room (id, name, created_at) \
             SELECT id, 'room', 0 FROM generate_series(1, {ROOMS}) AS id ON CONFLICT DO NOTHING"
        );
        client.batch_execute(&rows).await?;
        let (heads, events, commits) =
            (client.prepare(HEADS).await?, client.prepare(EVENTS).await?, client.prepare(COMMITS).await?);
        Ok(Self { client, heads, events, commits })
    }

    /// Commits these messages in one transaction. The rooms take turns.
    async fn commit(&self, numbers: std::ops::Range<i64>) -> Result<(), tokio_postgres::Error> {
        let client = &self.client;
        let at = 1_700_000_000_000 + numbers.start;
        let mut counts = BTreeMap::<i64, i64>::new();
        for number in numbers.clone() {
            *counts.entry(number % ROOMS + 1).or_default() += 1;
        }
        let (rooms, added): (Vec<i64>, Vec<i64>) = counts.iter().unzip();
        let params: [&(dyn ToSql + Sync); 3] = [&rooms, &added, &at];
        // In this order: each future sends its message when it is first polled.
        let (began, heads) = tokio::join!(
            biased;
            client.batch_execute("BEGIN"),
            client.query(&self.heads, &params)
        );
        began?;
        // The last number that each room had before this batch.
        let mut heads: BTreeMap<i64, i64> = heads?.iter().map(|row| (row.get(0), row.get(1))).collect();
        for (room, head) in &mut heads {
            *head -= counts[room];
        }
        let (mut rooms, mut seqs, mut keys) = (Vec::new(), Vec::new(), Vec::new());
        for number in numbers {
            let room = number % ROOMS + 1;
            let seq = heads.entry(room).and_modify(|head| *head += 1).or_insert(1);
            rooms.push(room);
            seqs.push(*seq);
            keys.push(format!("{room:08x}-{seq:016x}"));
        }
        let params: [&(dyn ToSql + Sync); 5] = [&rooms, &seqs, &at, &keys, &BODY];
        let (events, commits, committed) = tokio::join!(
            biased;
            client.execute(&self.events, &params),
            client.execute(&self.commits, &[]),
            client.batch_execute("COMMIT")
        );
        events?;
        commits?;
        committed?;
        Ok(())
    }
}
