//! Two thousand who come back at once after a restart, and each gets exactly what it missed.

use std::sync::Mutex;
use std::thread::scope;

use client::{Client, Options, Received};
use protocol::{ControlFrame, Event, RoomId, ServerFrame};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;

use crate::coming_back::say_many;
use crate::server::TestServer;
use crate::talk::{WAIT_TIMEOUT, bearer, body};

/// Threads of this test, each with a share of the crowd.
const HANDS: usize = 4;
/// People who bring a cursor, with ten connections each.
const WITH_CURSOR: usize = 100;
/// People who were away too long, with ten connections each.
const AWAY: usize = 80;
/// Line clients, with a connection each.
const LINES: usize = 200;
/// Said before, and after the line clients left.
const BEFORE: u64 = 1100;
const MISSED: u64 = 50;

/// Calls `work` for each, on several threads.
fn spread<T: Send, R: Send>(items: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let (items, done) = (Mutex::new(items), Mutex::new(Vec::new()));
    scope(|scope| {
        for _ in 0..HANDS {
            scope.spawn(|| {
                loop {
                    let Some(item) = items.lock().unwrap().pop() else { return };
                    let result = work(item);
                    done.lock().unwrap().push(result);
                }
            });
        }
    });
    done.into_inner().unwrap()
}

enum Comes {
    /// With a cursor so many events behind the head.
    Behind(u64),
    /// As a line client.
    AsLines,
}

#[test]
fn two_thousand_concurrent_resumes_are_complete() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
    let mut server = TestServer::open();
    let (mut ann, anns) = server.person("Ann");
    let room = ann.join("lobby").unwrap().info.room;
    let members = spread((0..WITH_CURSOR + AWAY).collect(), |_| {
        let (mut client, token) = server.person("Member");
        client.join("lobby").unwrap();
        token
    });
    say_many(&mut ann, room, 1..=BEFORE);
    let line_clients = spread((0..LINES).collect(), |_| {
        let token = server.token("Liner");
        server.lines(bearer(&token)).close().unwrap();
        token
    });
    say_many(&mut ann, room, BEFORE + 1..=BEFORE + MISSED);
    let head = server.back(&anns).join("lobby").unwrap().head.0;
    drop(ann);
    server.restart();

    let (with_cursor, away) = members.split_at(WITH_CURSOR);
    let mut coming: Vec<(String, Comes)> = Vec::new();
    for _ in 0..10 {
        coming.extend(with_cursor.iter().map(|token| (token.clone(), Comes::Behind(MISSED))));
        coming.extend(away.iter().map(|token| (token.clone(), Comes::Behind(BEFORE))));
    }
    coming.extend(line_clients.into_iter().map(|token| (token, Comes::AsLines)));
    assert_eq!(coming.len(), 2000);
    // All are there before the first of them reads.
    let crowd = spread(coming, |(token, comes)| {
        let protocol = matches!(comes, Comes::Behind(_)).then(|| Options::JSON.to_owned());
        let mut client = Client::open(server.addr, Options { protocol, ..bearer(&token) }).unwrap();
        if let Comes::Behind(count) = comes {
            let after = json!({room.to_string(): head - count});
            client.send_text(&json!({"type":"resume","id":1,"rooms":after}).to_string()).unwrap();
        }
        (client, comes)
    });
    let mut ann = server.back(&anns);
    ann.join("lobby").unwrap();
    ann.send_body(room, "live").unwrap();
    let back = spread(crowd, |(mut client, comes)| {
        match comes {
            Comes::Behind(count) => from_cursor(&mut client, room, head, count),
            Comes::AsLines => as_lines(&mut client),
        }
        client
    });
    server.until_metric("teahouse_connections", |open| open == 2001.0);
    drop(back);
    server.until_metric("teahouse_connections", |open| open == 1.0);
}

/// Everything after the cursor, or a gap that names it; then what is live, and all of it once.
fn from_cursor(client: &mut Client, room: RoomId, head: u64, count: u64) {
    let mut next = head - count + 1;
    loop {
        match client.next_frame(WAIT_TIMEOUT).unwrap() {
            ServerFrame::Event(event) => {
                assert_eq!((event.room, event.seq.0), (room, next));
                next += 1;
                if is_last(&event) {
                    break;
                }
            }
            ServerFrame::ControlFrame(ControlFrame::Gap(gap)) => {
                assert!(count > 1000, "a gap of {count}");
                assert_eq!((gap.from.0, gap.to.0), (head - count + 1, head));
                next = head + 1;
            }
            ServerFrame::ControlFrame(ControlFrame::Error(error)) => panic!("{error:?}"),
            _ => {}
        }
    }
    assert_eq!(next, head + 2);
}

fn is_last(event: &Event) -> bool {
    matches!(event.kind, protocol::EventKind::Message { .. }) && body(event) == "live"
}

/// The lines that were said since the place that was kept, and the live one.
fn as_lines(client: &mut Client) {
    let mut said = Vec::new();
    loop {
        match client.next_message(WAIT_TIMEOUT).unwrap() {
            Received::Text(line) if line == "Ann: live" => break,
            Received::Text(line) if line.starts_with("* ") => {
                assert!(!line.contains("error") && !line.contains("missed"), "{line}");
            }
            Received::Text(line) => said.push(line),
            Received::Ping(_) => {}
            other => panic!("{other:?}"),
        }
    }
    let expected: Vec<String> =
        (BEFORE + 1..=BEFORE + MISSED).map(|number| format!("Ann: {number}")).collect();
    assert_eq!(said, expected);
}
