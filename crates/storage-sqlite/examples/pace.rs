//! The rate of durable messages on this machine's disk: `cargo run --release -p teahouse-storage-sqlite --example pace [FOLDER]`.
//!
//! It prints the rate and asserts nothing: the duration of an fsync depends on the disk.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use protocol::{
    ClientMessageId, MessageBody, RoomId, RoomName, RoomRef, Seq, Timestamp, User, UserId, UserName,
};
use storage::{
    Actor, Operation, PageBounds, Registration, Request, RequestId, RoomQuery, Store, TokenHash, Writer,
};
use teahouse_storage_sqlite::SqliteStore;

const ROOMS: u64 = 1_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder =
        std::env::args_os().nth(1).map_or_else(|| std::env::temp_dir().join("teahouse-pace"), PathBuf::from);
    let store = SqliteStore::open(&folder, domain::RoomLimits { rooms_per_user: u32::MAX })?;
    let mut writer = store.writer()?;
    let mut key = 0u64;
    for first in (1..ROOMS).step_by(100) {
        commit(&mut *writer, (first..first + 100).map(|room| (1, join(room))));
    }
    println!("folder: {}", folder.display());
    for (batch, rooms) in [(1, 1), (64, 1), (64, ROOMS), (1_024, ROOMS)] {
        let (mut sent, mut slowest) = (0, Duration::ZERO);
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(3) {
            let at = Instant::now();
            commit(
                &mut *writer,
                (0..batch).map(|n| {
                    key += 1;
                    (1, send(n % rooms + 1, key))
                }),
            );
            sent += batch;
            slowest = slowest.max(at.elapsed());
        }
        let rate = sent as f64 / started.elapsed().as_secs_f64();
        println!("sends, {batch:4} a commit, {rooms:4} rooms: {rate:9.0}/s; slowest commit {slowest:?}");
    }
    let mut reader = store.reader()?;
    let bounds = PageBounds { limit: 50, max_bytes: 256 * 1024 };
    time("a page of 50 before", 1_000, || reader.events_before(RoomId(2), Seq(u64::MAX), bounds).map(drop))?;
    let query = RoomQuery { user: UserId(1), joined: false, after: None, limit: 100 };
    time("a page of 100 rooms", 1_000, || reader.rooms(query).map(drop))?;
    let rooms: Vec<RoomId> = (1..=ROOMS).map(RoomId).collect();
    time("the heads of 1,000 rooms", 100, || reader.heads(&rooms).map(drop))?;
    time("500 rooms opened", 100, || reader.open_rooms(UserId(1), &rooms[..500]).map(drop))?;
    time("whether anything changed", 1_000, || reader.changed().map(drop))?;
    Ok(())
}

fn commit(writer: &mut dyn Writer, operations: impl Iterator<Item = (u64, Operation)>) {
    let request = |(n, (user, operation)): (u64, (u64, Operation))| {
        let name = UserName::new("guest").expect("a name");
        let registration = Some(Registration { token: Some(TokenHash([1; 32])) });
        Request {
            request_id: RequestId(n),
            actor: Actor { user: User { id: UserId(user), name }, registration },
            operation,
        }
    };
    let batch = writer.commit(Timestamp(1), (0..).zip(operations).map(request).collect());
    assert!(batch.replies.iter().all(|(_, answer)| answer.is_ok()), "{:?}", batch.internal);
}

fn join(room: u64) -> Operation {
    let room = RoomRef::Name(RoomName::new(&format!("room-{room}")).expect("a name"));
    domain::Join { room, create_if_missing: true }.into()
}

fn send(room: u64, key: u64) -> Operation {
    let start = std::process::id();
    let send = domain::Send {
        room: RoomRef::Id(RoomId(room + 1)),
        key: Some(ClientMessageId::new(format!("0192f3a0-{start:08x}-7000-{key:016x}")).expect("a key")),
        body: MessageBody::new("x".repeat(128), 8192).expect("a body"),
    };
    send.into()
}

fn time<E>(what: &str, times: u32, mut run: impl FnMut() -> Result<(), E>) -> Result<(), E> {
    let started = Instant::now();
    for _ in 0..times {
        run()?;
    }
    println!("{what}: {:?}", started.elapsed() / times);
    Ok(())
}
