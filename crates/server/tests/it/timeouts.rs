//! Every way to stand still is found out. In each test one deadline is short and the others are out of reach.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

use client::{Client, Received};
use protocol::EventKind;
use websocket::{Opcode, append_masked};

use crate::server::TestServer;
use crate::talk::{Talk, WAIT_TIMEOUT, bearer};

/// All deadlines far away, but for these.
fn only(short: &[(&'static str, &'static str)]) -> TestServer {
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

/// What the server says until it ends the connection.
fn until_the_end(server: &TestServer, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(server.addr).unwrap();
    stream.set_read_timeout(Some(WAIT_TIMEOUT)).unwrap();
    stream.write_all(request).unwrap();
    let mut heard = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => heard.extend_from_slice(&chunk[..read]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(error) => panic!("it was not ended: {error}"),
        }
    }
    String::from_utf8(heard).unwrap()
}

#[test]
fn silent_http_connection_is_closed() {
    assert_eq!(until_the_end(&only(&[("TIMEOUTS_FIRST_BYTE", "100ms")]), b""), "");
}

#[test]
fn incomplete_request_head_times_out() {
    let server = only(&[("TIMEOUTS_HEADERS", "100ms")]);
    for half in ["G", "GET /ws HTTP/1.1\r\n", "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nX: "] {
        assert_eq!(until_the_end(&server, half.as_bytes()), "");
    }
}

#[test]
fn idle_http_connection_is_closed_after_its_reply() {
    let server = only(&[("TIMEOUTS_HTTP_KEEP_ALIVE", "100ms")]);
    let heard = until_the_end(&server, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(heard.starts_with("HTTP/1.1 200 OK\r\n") && heard.ends_with("ok"), "{heard}");
}

/// The first half of a text frame, or the whole one without the end of its message.
fn begun(whole_frame: bool) -> Vec<u8> {
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
    let server = only(&[("TIMEOUTS_MESSAGE_ASSEMBLY", "200ms")]);
    for whole_frame in [false, true] {
        let mut li = server.guest();
        li.send_bytes(&begun(whole_frame)).unwrap();
        assert_eq!(li.closed().unwrap(), 4000);
    }
    // Nor does it help to go on a little at a time, or to ping in between.
    let mut li = server.guest();
    li.send_bytes(&begun(true)).unwrap();
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
    // Who is only quiet is left in peace.
    let mut quiet = server.guest();
    let mut other = server.guest();
    other.send_bytes(&begun(false)).unwrap();
    assert_eq!(other.closed().unwrap(), 4000);
    quiet.heard();
}

#[test]
fn peer_without_pong_is_dropped_and_goes_offline() {
    let server = only(&[("TIMEOUTS_PING_INTERVAL", "300ms"), ("TIMEOUTS_WEBSOCKET_IDLE", "1500ms")]);
    let mut dead = server.guest();
    dead.answer_pings = false;
    let room = dead.join("lobby").unwrap().info.room;
    assert_eq!(dead.closed().unwrap(), 1006, "a dead peer is told nothing");
    let mut ann = server.guest();
    ann.join("lobby").unwrap();
    ann.join_after(room, 1);
    let left = ann.event_where(|event| event.by.id == dead.me() && event.kind == EventKind::MemberLeft {});
    assert_eq!(left.unwrap().seq.0, 2);
}

#[test]
fn peer_that_answers_pings_stays_connected() {
    let server = only(&[("TIMEOUTS_PING_INTERVAL", "100ms")]);
    let mut li = server.guest();
    for _ in 0..3 {
        assert!(matches!(li.next_message(WAIT_TIMEOUT).unwrap(), Received::Ping(_)));
    }
    // With a deadline that passes meanwhile.
    let server = only(&[("TIMEOUTS_PING_INTERVAL", "200ms"), ("TIMEOUTS_WEBSOCKET_IDLE", "1500ms")]);
    let mut li = server.guest();
    for _ in 0..9 {
        assert!(matches!(li.next_message(WAIT_TIMEOUT).unwrap(), Received::Ping(_)));
    }
    li.heard();
}

#[test]
fn close_frame_is_answered_and_ends_the_connection() {
    let server = only(&[]);
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
fn commands_before_close_are_done_and_later_ones_not() {
    let server = only(&[]);
    let (mut li, token) = server.person("Li");
    let room = li.join("lobby").unwrap().info.room;
    let mut bytes = Vec::new();
    for text in ["before", "after"] {
        let said =
            format!(r#"{{"type":"send","room":"{room}","client_message_id":"{text}","body":"{text}"}}"#);
        append_masked(&mut bytes, Opcode::Text, said.as_bytes(), [1, 2, 3, 4]);
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
    // With an hour to answer, only the answer can end it.
    let server = only(&[]);
    let mut li = server.guest();
    li.send_message(Opcode::Binary, b"x").unwrap();
    assert!(matches!(li.next_message(WAIT_TIMEOUT).unwrap(), Received::Close(1003, _)));
    // What comes before the answer is thrown away.
    li.send_text(r#"{"type":"ping","id":1}"#).unwrap();
    li.send_message(Opcode::Close, &[0x03, 0xeb]).unwrap();
    assert_eq!(li.next_message(WAIT_TIMEOUT).unwrap(), Received::End);

    let server = only(&[("TIMEOUTS_CLOSE", "100ms")]);
    let mut li = server.guest();
    li.send_message(Opcode::Binary, b"x").unwrap();
    assert!(matches!(li.next_message(WAIT_TIMEOUT).unwrap(), Received::Close(1003, _)));
    assert_eq!(li.next_message(WAIT_TIMEOUT).unwrap(), Received::End);
    server.until_metric("teahouse_connections", |open| open == 0.0);
}

#[test]
fn protocol_error_closes_without_waiting() {
    let server = only(&[]);
    let mut li = server.guest();
    li.send_bytes(&[0xff, 0x80, 0, 0, 0, 0]).unwrap();
    assert!(matches!(li.next_message(WAIT_TIMEOUT).unwrap(), Received::Close(1002, _)));
    assert_eq!(li.next_message(WAIT_TIMEOUT).unwrap(), Received::End, "the server's side is ended");
    drop(li);
    server.until_metric("teahouse_connections", |open| open == 0.0);
}
