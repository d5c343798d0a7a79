//! Timeouts of idle and unresponsive peers. In each test one timeout is short and the others are out of reach.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use client::{Client, Received};
use protocol::EventKind;
use websocket::{Opcode, append_masked};

use crate::client_ext::{ClientExt, WAIT_TIMEOUT, bearer};
use crate::server::TestServer;

/// A server whose timeouts are out of reach, except these.
fn with_timeouts(short: &[(&'static str, &'static str)]) -> TestServer {
    let far = [
        ("TIMEOUTS_FIRST_BYTE", "1h"),
        ("TIMEOUTS_HEADERS", "1h"),
        ("TIMEOUTS_HTTP_KEEP_ALIVE", "1h"),
        ("TIMEOUTS_PING_INTERVAL", "1h"),
        ("TIMEOUTS_WEBSOCKET_IDLE", "2h"),
        ("TIMEOUTS_MESSAGE_ASSEMBLY", "1h"),
        ("TIMEOUTS_CLOSE", "1h"),
    ];
    TestServer::with(&[&far[..], short].concat())
}

/// Everything that the server sends until it ends the connection.
fn read_to_end(server: &TestServer, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.addr).unwrap();
    stream.set_read_timeout(Some(WAIT_TIMEOUT)).unwrap();
    stream.write_all(request).unwrap();
    let mut received = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => received.extend_from_slice(&chunk[..read]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(error) => panic!("the server did not end the connection: {error}"),
        }
    }
    String::from_utf8(received).unwrap()
}

#[test]
fn silent_http_connection_is_closed() {
    assert_eq!(read_to_end(&with_timeouts(&[("TIMEOUTS_FIRST_BYTE", "100ms")]), b""), "");
}

#[test]
fn incomplete_request_head_times_out() {
    let server = with_timeouts(&[("TIMEOUTS_HEADERS", "100ms")]);
    for half in ["G", "GET /ws HTTP/1.1\r\n", "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nX: "] {
        assert_eq!(read_to_end(&server, half.as_bytes()), "");
    }
}

#[test]
fn idle_http_connection_is_closed_after_its_reply() {
    let server = with_timeouts(&[("TIMEOUTS_HTTP_KEEP_ALIVE", "100ms")]);
    let received = read_to_end(&server, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(received.starts_with("HTTP/1.1 200 OK\r\n") && received.ends_with("ok"), "{received}");
}

/// The first half of a text frame, or a complete frame that is the first fragment of a message.
fn unfinished_message(whole_frame: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    append_masked(&mut bytes, Opcode::Text, b"{\"type\":\"ping\"}", [1, 2, 3, 4]);
    if whole_frame {
        bytes[0] &= 0x7f;
    } else {
        bytes.truncate(8);
    }
    bytes
}

#[test]
fn unfinished_message_closes_with_4000() {
    let server = with_timeouts(&[("TIMEOUTS_MESSAGE_ASSEMBLY", "200ms")]);
    for whole_frame in [false, true] {
        let mut li = server.guest();
        li.send_bytes(&unfinished_message(whole_frame)).unwrap();
        assert_eq!(li.closed().unwrap(), 4000);
    }
    // Further fragments and pings do not extend the timeout.
    let mut li = server.guest();
    li.send_bytes(&unfinished_message(true)).unwrap();
    let mut fragment = Vec::new();
    append_masked(&mut fragment, Opcode::Continuation, b" ", [1, 2, 3, 4]);
    fragment[0] &= 0x7f;
    append_masked(&mut fragment, Opcode::Ping, b"", [1, 2, 3, 4]);
    loop {
        if li.send_bytes(&fragment).is_err() {
            break;
        }
        match li.next_message(WAIT_TIMEOUT).unwrap() {
            Received::Pong(_) => {}
            Received::Close(code, _) => {
                assert_eq!(code, 4000);
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    // A connection that is only idle stays open.
    let mut idle = server.guest();
    let mut other = server.guest();
    other.send_bytes(&unfinished_message(false)).unwrap();
    assert_eq!(other.closed().unwrap(), 4000);
    idle.received();
}

#[test]
fn peer_without_pong_is_dropped_and_goes_offline() {
    let server = with_timeouts(&[("TIMEOUTS_PING_INTERVAL", "300ms"), ("TIMEOUTS_WEBSOCKET_IDLE", "1500ms")]);
    let mut dead = server.guest();
    dead.answer_pings = false;
    let room = dead.join("lobby").unwrap().info.room;
    assert_eq!(dead.closed().unwrap(), 1006, "a dead peer receives no close frame");
    let mut ann = server.guest();
    ann.join("lobby").unwrap();
    ann.join_after(room, 1);
    let left =
        ann.event_where(|event| event.by.id == dead.user_id() && event.kind == EventKind::MemberLeft {});
    assert_eq!(left.unwrap().seq.0, 2);
}

#[test]
fn peer_that_answers_pings_stays_connected() {
    let server = with_timeouts(&[("TIMEOUTS_PING_INTERVAL", "100ms")]);
    let mut li = server.guest();
    for _ in 0..3 {
        assert!(matches!(li.next_message(WAIT_TIMEOUT).unwrap(), Received::Ping(_)));
    }
    // The idle timeout passes during these pings.
    let server = with_timeouts(&[("TIMEOUTS_PING_INTERVAL", "200ms"), ("TIMEOUTS_WEBSOCKET_IDLE", "1500ms")]);
    let mut li = server.guest();
    for _ in 0..9 {
        assert!(matches!(li.next_message(WAIT_TIMEOUT).unwrap(), Received::Ping(_)));
    }
    li.received();
}

#[test]
fn close_frame_is_answered_and_ends_the_connection() {
    let server = with_timeouts(&[]);
    for (payload, code) in [
        (&[][..], 1005),
        (&[0x03, 0xe8][..], 1000),
        (&[0x03, 0xe8, b'b', b'y', b'e'][..], 1000),
        (&[0x03, 0xe9][..], 1001),
        (&[0x0f, 0xa0][..], 4000),
        (&[0x0b, 0xb8][..], 3000),
    ] {
        let mut li = server.guest();
        li.send_message(Opcode::Close, payload).unwrap();
        assert!(
            matches!(li.next_message(WAIT_TIMEOUT).unwrap(), Received::Close(found, _) if found == code),
            "{code}"
        );
        assert_eq!(li.next_message(WAIT_TIMEOUT).unwrap(), Received::End, "the server ends it first");
    }
    server.until_metric("teahouse_connections", |open| open == 0.0);
}

#[test]
fn commands_before_close_are_executed_and_later_ones_not() {
    let server = with_timeouts(&[]);
    let (mut li, token) = server.user("Li");
    let room = li.join("lobby").unwrap().info.room;
    let mut bytes = Vec::new();
    for text in ["before", "after"] {
        let command =
            format!(r#"{{"type":"send","room":"{room}","client_message_id":"{text}","body":"{text}"}}"#);
        append_masked(&mut bytes, Opcode::Text, command.as_bytes(), [1, 2, 3, 4]);
        append_masked(&mut bytes, Opcode::Close, &[], [1, 2, 3, 4]);
    }
    li.send_bytes(&bytes).unwrap();
    assert_eq!(li.closed().unwrap(), 1005);
    let mut li = Client::connect(server.addr, bearer(&token)).unwrap();
    li.join_after(room, 1);
    li.send_body(room, "again").unwrap();
    assert_eq!(li.bodies_until("again"), ["before", "again"]);
}

#[test]
fn peer_is_released_on_close_reply_or_timeout() {
    // With a close timeout of an hour, only the close reply can end the connection.
    let server = with_timeouts(&[]);
    let mut li = server.guest();
    li.send_message(Opcode::Binary, b"x").unwrap();
    assert!(matches!(li.next_message(WAIT_TIMEOUT).unwrap(), Received::Close(1003, _)));
    // Frames before the close reply are discarded.
    li.send_text(r#"{"type":"ping","id":1}"#).unwrap();
    li.send_message(Opcode::Close, &[0x03, 0xeb]).unwrap();
    assert_eq!(li.next_message(WAIT_TIMEOUT).unwrap(), Received::End);

    let server = with_timeouts(&[("TIMEOUTS_CLOSE", "100ms")]);
    let mut li = server.guest();
    li.send_message(Opcode::Binary, b"x").unwrap();
    assert!(matches!(li.next_message(WAIT_TIMEOUT).unwrap(), Received::Close(1003, _)));
    assert_eq!(li.next_message(WAIT_TIMEOUT).unwrap(), Received::End);
    server.until_metric("teahouse_connections", |open| open == 0.0);
}

#[test]
fn protocol_error_closes_without_waiting() {
    let server = with_timeouts(&[]);
    let mut li = server.guest();
    li.send_bytes(&[0xff, 0x80, 0, 0, 0, 0]).unwrap();
    assert!(matches!(li.next_message(WAIT_TIMEOUT).unwrap(), Received::Close(1002, _)));
    assert_eq!(li.next_message(WAIT_TIMEOUT).unwrap(), Received::End, "the server has closed its side");
    drop(li);
    server.until_metric("teahouse_connections", |open| open == 0.0);
}
