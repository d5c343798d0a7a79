//! The operations that `cargo xtask instructions` measures under callgrind.
//!
//! ```text
//! instruction_bench                  prints the names of the operations
//! instruction_bench OPERATION TIMES  runs one operation TIMES times
//! ```
//!
//! The caller runs an operation with two values of TIMES and subtracts, so that startup and preparation cancel out. All inputs are
//! constant and valid, as each `expect` states. Built only with the feature `instruction-bench`, and never part of a release.

use std::hint::black_box;
use std::process::ExitCode;
use std::sync::Arc;

use protocol::{
    ClientMessageId, Event, EventKind, Limits, MessageBody, MessageCount, RoomId, Seq, Timestamp, User,
    UserId, UserName,
};
use room_log::{Cursor, ReadOutcome, RoomLog, Window};
use websocket::handshake::Upgrade;
use websocket::{Decoder, Message, Opcode};

/// Prepares its input, then runs the operation this many times.
type Operation = fn(u64);

const OPERATIONS: &[(&str, Operation)] = &[
    ("decode-128", |times| decode(128, times)),
    ("decode-64k", |times| decode(64 * 1024, times)),
    ("frame-128", frame),
    ("handshake", handshake),
    ("parse-send", parse),
    ("encode-message", encode),
    ("log-append", append),
    ("log-deliver", deliver),
    ("log-deliver-lagging", deliver_to_lagging_member),
];

/// The size of one read of a shard.
const READ_BYTES: usize = 16 * 1024;
/// The most bytes that a connection receives in a turn of a fan-out.
const TURN_BYTES: usize = 64 * 1024;
/// A `client_message_id` of typical length.
const KEY: &str = "0192f0a1-7c1e-7a55-9d3c-2b1f6f0c9a11";
/// An entry of a log, of the length of a typical message.
const FRAME: [u8; 300] = [b'x'; 300];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let found = |wanted: &str| OPERATIONS.iter().find(|(name, _)| *name == wanted);
    match args[..] {
        [] => OPERATIONS.iter().for_each(|(name, _)| println!("{name}")),
        [name, times] => match (found(name), times.parse()) {
            (Some((_, operation)), Ok(times)) => operation(times),
            _ => return ExitCode::FAILURE,
        },
        _ => return ExitCode::FAILURE,
    }
    ExitCode::SUCCESS
}

/// A client's text message, in reads as a shard makes them.
fn decode(len: usize, times: u64) {
    // Unmasking changes the bytes in place. A key of zeros leaves them unchanged, so that each round decodes the same input.
    let mut bytes = websocket::masked_frame(Opcode::Text, &vec![b'x'; len], [0; 4]);
    let mut decoder = Decoder::server();
    for _ in 0..times {
        let mut messages = 0;
        for mut read in black_box(&mut bytes).chunks_mut(READ_BYTES) {
            while let Ok(Some(message)) = decoder.next(&mut read) {
                messages +=
                    usize::from(matches!(black_box(message), Message::Text(text) if text.len() == len));
            }
        }
        assert_eq!(messages, 1);
    }
}

fn frame(times: u64) {
    let payload = [b'x'; 128];
    for _ in 0..times {
        black_box(websocket::text_frame(black_box(&payload)));
    }
}

/// The request of a browser.
fn handshake(times: u64) {
    let headers: [(&str, &[u8]); 13] = [
        ("host", b"chat.example"),
        ("connection", b"Upgrade"),
        ("pragma", b"no-cache"),
        ("cache-control", b"no-cache"),
        ("user-agent", b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140 Safari/537.36"),
        ("upgrade", b"websocket"),
        ("origin", b"https://chat.example"),
        ("sec-websocket-version", b"13"),
        ("accept-encoding", b"gzip, deflate, br, zstd"),
        ("accept-language", b"zh-CN,zh;q=0.9,en;q=0.8"),
        ("sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-extensions", b"permessage-deflate; client_max_window_bits"),
        ("sec-websocket-protocol", b"teahouse.v1.json"),
    ];
    for _ in 0..times {
        let upgrade =
            Upgrade::check("GET", (1, 1), black_box(headers)).expect("the request of a browser is valid");
        black_box((upgrade.accept_key(), upgrade.protocols));
    }
}

fn parse(times: u64) {
    let command = serde_json::json!({
        "type": "send",
        "id": 71,
        "room": "r1",
        "client_message_id": KEY,
        "body": text(),
    });
    let command = command.to_string();
    for _ in 0..times {
        let commands = protocol::parse_frame(black_box(&command), Limits::BODY_BYTES)
            .expect("the frame contains a command");
        assert!(black_box(commands).iter().all(Result::is_ok));
    }
}

/// The event of a message, as the writer encodes it for all shards.
fn encode(times: u64) {
    let event = Arc::new(Event {
        kind: EventKind::Message {
            client_message_id: Some(ClientMessageId::new(KEY).expect("a legal key")),
            body: MessageBody::new(text(), Limits::BODY_BYTES).expect("a legal body"),
        },
        room: RoomId(1),
        seq: Seq(123_456),
        n: MessageCount(120_000),
        by: User { id: UserId(4_711), name: UserName::new("李雷").expect("a legal name") },
        at: Timestamp(1_795_000_000_123),
    });
    for _ in 0..times {
        black_box(teahouse_gateway::instruction_bench::encode(black_box(&event)));
    }
}

/// Appends to a log at its steady size, which evicts the oldest event.
fn append(times: u64) {
    let mut log = log();
    for seq in log.head().0 + 1..=log.head().0 + times {
        log.append(Seq(seq), black_box(&FRAME)).expect("the sequence number is the next one");
        log.trim(RoomLog::SOFT_BYTES, RoomLog::HARD_BYTES, log.tip());
    }
}

/// Delivers one event to a member who has all earlier ones.
fn deliver(times: u64) {
    let log = log();
    let cursor = log.cursor_after(Seq(log.head().0 - 1)).expect("the log retains this event");
    for _ in 0..times {
        let reached = turn(&log, black_box(cursor), false, 0);
        assert!(reached.has_reached(log.tip()));
    }
}

/// One turn of delivery to a lagging member: ephemeral frames are skipped, and the socket accepts fewer bytes than the turn
/// offers.
fn deliver_to_lagging_member(times: u64) {
    let mut log = log();
    let head = log.head().0;
    for seq in head + 1..=head + 250 {
        log.append(Seq(seq), &FRAME).expect("the sequence number is the next one");
    }
    log.append_ephemeral(&FRAME);
    let cursor = log.cursor_after(Seq(head - 200)).expect("the log retains this event");
    for _ in 0..times {
        black_box(turn(&log, black_box(cursor), true, 100));
    }
}

/// The cursor after a turn in which the socket did not accept the last `left` bytes.
fn turn(log: &RoomLog, cursor: Cursor, numbered_only: bool, left: usize) -> Cursor {
    let ReadOutcome::ByteRange(range) =
        log.read(cursor, Window { bytes: TURN_BYTES, end: None, numbered_only })
    else {
        panic!("the cursor is before the tip");
    };
    let len = black_box(&range).len();
    black_box(log.advance(range.start, len - left)).cursor
}

/// A log at the size that is retained while no member lags.
fn log() -> RoomLog {
    let mut log = RoomLog::new(Seq(0));
    for seq in 1..=2_000 {
        log.append(Seq(seq), &FRAME).expect("the sequence number is the next one");
        log.trim(RoomLog::SOFT_BYTES, RoomLog::HARD_BYTES, log.tip());
    }
    log
}

/// 128 bytes, the length of a typical message.
fn text() -> String {
    let text = "你好! Tea is ready; a line that is quoted \"so\", and one\nmore. ".repeat(3);
    text[..text.floor_char_boundary(128)].to_owned()
}
