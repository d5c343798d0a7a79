//! Two thousand concurrent resumes after a restart: each client receives exactly what it missed.

use std::sync::Mutex;
use std::thread::scope;

use client::{Client, Options, Received};
use protocol::{ControlFrame, Event, RoomId, ServerFrame};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;

use crate::client_ext::{WAIT_TIMEOUT, bearer, body};
use crate::resume::send_numbers;
use crate::server::TestServer;

/// Threads of this test, each with a share of the clients.
const THREADS: usize = 4;
/// Users within the catch-up limit, with ten connections each.
const RECENT: usize = 100;
/// Users beyond the catch-up limit, with ten connections each.
const AWAY: usize = 80;
/// Line clients, with one connection each.
const LINES: usize = 200;
/// The messages before and after the line clients disconnect.
const BEFORE: u64 = 1100;
const MISSED: u64 = 50;

/// Calls `work` for each item, on several threads.
fn spread<T: Send, R: Send>(items: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    let (items, done) = (Mutex::new(items), Mutex::new(Vec::new()));
    scope(|scope| {
        for _ in 0..THREADS {
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

enum Reconnect {
    /// By `resume`, with a cursor this many events before the head.
    FromCursor(u64),
    /// As a line client, whose read position is in the store.
    PlainText,
}

#[test]
fn two_thousand_concurrent_resumes_are_complete() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
    let mut server = TestServer::open();
    let (mut ann, ann_token) = server.user("Ann");
    let room = ann.join("lobby").unwrap().info.room;
    let members = spread((0..RECENT + AWAY).collect(), |_| {
        let (mut client, token) = server.user("Member");
        client.join("lobby").unwrap();
        token
    });
    send_numbers(&mut ann, room, 1..=BEFORE);
    let line_clients = spread((0..LINES).collect(), |_| {
        let token = server.token("Liner");
        server.lines(bearer(&token)).close().unwrap();
        token
    });
    send_numbers(&mut ann, room, BEFORE + 1..=BEFORE + MISSED);
    let head = server.reconnect(&ann_token).join("lobby").unwrap().head.0;
    drop(ann);
    server.restart();

    let (recent, away) = members.split_at(RECENT);
    let mut reconnects: Vec<(String, Reconnect)> = Vec::new();
    for _ in 0..10 {
        reconnects.extend(recent.iter().map(|token| (token.clone(), Reconnect::FromCursor(MISSED))));
        reconnects.extend(away.iter().map(|token| (token.clone(), Reconnect::FromCursor(BEFORE))));
    }
    reconnects.extend(line_clients.into_iter().map(|token| (token, Reconnect::PlainText)));
    assert_eq!(reconnects.len(), 2000);
    // All are connected before the first of them reads.
    let clients = spread(reconnects, |(token, reconnect)| {
        let protocol = matches!(reconnect, Reconnect::FromCursor(_)).then(|| Options::JSON.to_owned());
        let mut client = Client::open(server.addr, Options { protocol, ..bearer(&token) }).unwrap();
        if let Reconnect::FromCursor(count) = reconnect {
            let after = json!({room.to_string(): head - count});
            client.send_text(&json!({"type":"resume","id":1,"rooms":after}).to_string()).unwrap();
        }
        (client, reconnect)
    });
    let mut ann = server.reconnect(&ann_token);
    ann.join("lobby").unwrap();
    ann.send_body(room, "live").unwrap();
    let caught_up = spread(clients, |(mut client, reconnect)| {
        match reconnect {
            Reconnect::FromCursor(count) => check_cursor_client(&mut client, room, head, count),
            Reconnect::PlainText => check_line_client(&mut client),
        }
        client
    });
    server.until_metric("teahouse_connections", |open| open == 2001.0);
    drop(caught_up);
    server.until_metric("teahouse_connections", |open| open == 1.0);
}

/// Expects every event after the cursor, or a gap in their place; then the live message; each of them once.
fn check_cursor_client(client: &mut Client, room: RoomId, head: u64, count: u64) {
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

/// Expects the lines since the stored read position, then the live one.
fn check_line_client(client: &mut Client) {
    let mut lines = Vec::new();
    loop {
        match client.next_message(WAIT_TIMEOUT).unwrap() {
            Received::Text(line) if line == "Ann: live" => break,
            Received::Text(line) if line.starts_with("* ") => {
                assert!(!line.contains("error") && !line.contains("missed"), "{line}");
            }
            Received::Text(line) => lines.push(line),
            Received::Ping(_) => {}
            other => panic!("{other:?}"),
        }
    }
    let expected: Vec<String> =
        (BEFORE + 1..=BEFORE + MISSED).map(|number| format!("Ann: {number}")).collect();
    assert_eq!(lines, expected);
}
