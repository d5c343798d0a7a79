//! Conformance to RFC 6455 at the socket.

use std::io::{Read, Write};
use std::net::TcpStream;

use client::{Client, Received, http};
use websocket::{Opcode, append_masked};

use crate::client_ext::{ClientExt, WAIT_TIMEOUT, options, plain_text};
use crate::server::TestServer;

const KEY: [u8; 4] = [0x12, 0x34, 0x56, 0x78];

/// A masked frame with any first byte.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    append_masked(&mut bytes, Opcode::Text, payload, KEY);
    bytes[0] = first;
    bytes
}

#[test]
fn framing_errors_close_with_the_matching_code() {
    let server = TestServer::open();
    let long = [&[0x89, 0xfe, 0, 126][..], &KEY, &[0; 126]].concat();
    let huge = [&[0x81, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0][..], &KEY].concat();
    let clumsy = [&[0x81, 0xfe, 0, 5][..], &KEY, &[0; 5]].concat();
    let too_big = [&[0x81, 0xff, 0, 0, 0, 0, 0, 1, 0, 1][..], &KEY].concat();
    let close = |payload: &[u8]| frame(0x88, payload);
    let cases: Vec<(&str, Vec<u8>, u16)> = vec![
        ("unmasked", b"\x81\x02{}".to_vec(), 1002),
        ("reserved bit 1", frame(0xc1, b"{}"), 1002),
        ("reserved bit 2", frame(0xa1, b"{}"), 1002),
        ("reserved bit 3", frame(0x91, b"{}"), 1002),
        ("opcode 3", frame(0x83, b""), 1002),
        ("opcode 11", frame(0x8b, b""), 1002),
        ("a ping in fragments", frame(0x09, b""), 1002),
        ("a ping of 126 bytes", long, 1002),
        ("a continuation of nothing", frame(0x80, b"x"), 1002),
        ("a message within a message", [frame(0x01, b"{"), frame(0x81, b"{}")].concat(), 1002),
        ("a length with its first bit set", huge, 1002),
        ("a length in more bytes than needed", clumsy, 1002),
        ("a close of one byte", close(&[3]), 1002),
        ("close 0", close(&[0, 0]), 1002),
        ("close 999", close(&[0x03, 0xe7]), 1002),
        ("close 1004", close(&[0x03, 0xec]), 1002),
        ("close 1005", close(&[0x03, 0xed]), 1002),
        ("close 1006", close(&[0x03, 0xee]), 1002),
        ("close 1015", close(&[0x03, 0xf7]), 1002),
        ("close 2999", close(&[0x0b, 0xb7]), 1002),
        ("close 5000", close(&[0x13, 0x88]), 1002),
        ("a close whose reason is no text", close(&[0x03, 0xe8, 0xff]), 1007),
        ("bad UTF-8", frame(0x81, &[b'"', 0xff, b'"']), 1007),
        ("a surrogate", frame(0x81, &[0xed, 0xa0, 0x80]), 1007),
        ("UTF-8 that ends too soon", frame(0x81, &[0xe8, 0x8c]), 1007),
        ("bad UTF-8 in the first fragment", frame(0x01, &[0xff]), 1007),
        ("binary", frame(0x82, b"{}"), 1003),
        ("64 KiB and a byte", too_big, 1009),
        (
            "64 KiB and a byte in fragments",
            [frame(0x01, &[b' '; 40_000]), frame(0x80, &[b' '; 25_537])].concat(),
            1009,
        ),
    ];
    for (what, bytes, code) in cases {
        for options in [options(), plain_text()] {
            let mut client = Client::connect(server.addr, options).unwrap();
            client.send_bytes(&bytes).unwrap();
            assert_eq!(client.closed().unwrap(), code, "{what}");
        }
    }
    server.guest().received();
}

#[test]
fn ping_is_answered_with_its_payload() {
    let server = TestServer::open();
    let mut li = server.guest();
    for payload in [&b""[..], b"hello", &[0xff; 125]] {
        li.send_message(Opcode::Ping, payload).unwrap();
        assert_eq!(li.next_message(WAIT_TIMEOUT).unwrap(), Received::Pong(payload.to_vec()));
    }
    li.send_message(Opcode::Pong, b"unsolicited").unwrap();
    assert_eq!(li.received(), []);
}

#[test]
fn fragmented_message_with_interleaved_ping_is_read() {
    let server = TestServer::open();
    let mut li = server.guest();
    let mut ann = server.guest();
    ann.join("lobby").unwrap();
    li.join("lobby").unwrap();
    let text = r#"{"type":"send","room":"lobby","client_message_id":"k","body":"茶👩‍🚀"}"#.as_bytes();
    let middle = text.iter().position(|byte| *byte == 0xe8).unwrap() + 1;
    let bytes = [
        frame(0x01, &text[..5]),
        frame(0x89, b"are you there?"),
        frame(0x00, b""),
        // Within a character.
        frame(0x00, &text[5..middle]),
        frame(0x8a, b""),
        frame(0x80, &text[middle..]),
    ]
    .concat();
    for byte in bytes {
        li.send_bytes(&[byte]).unwrap();
    }
    let event = ann.event_where(|event| matches!(event.kind, protocol::EventKind::Message { .. })).unwrap();
    assert_eq!(crate::client_ext::body(&event), "茶👩‍🚀");
    let mut pongs = 0;
    li.send_text(r#"{"type":"ping","id":1}"#).unwrap();
    loop {
        match li.next_message(WAIT_TIMEOUT).unwrap() {
            Received::Pong(payload) => {
                assert_eq!(payload, b"are you there?");
                pongs += 1;
            }
            Received::Text(text) if text.contains(r#""id":1}"#) => break,
            Received::Text(_) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(pongs, 1);
}

fn upgrade(server: &TestServer, more: &str) -> String {
    format!(
        "GET /ws HTTP/1.1\r\nHost: {}\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n",
        server.addr
    )
}

#[test]
fn bytes_after_the_upgrade_are_read_first() {
    let server = TestServer::open();
    let mut ann = server.lines(plain_text());
    let mut stream = TcpStream::connect(server.addr).unwrap();
    stream.set_read_timeout(Some(WAIT_TIMEOUT)).unwrap();
    let mut bytes = upgrade(&server, "").into_bytes();
    // Two complete frames, and one that is cut.
    let lines = [frame(0x81, b"one"), frame(0x81, b"two"), frame(0x81, b"three")].concat();
    bytes.extend_from_slice(&lines[..lines.len() - 2]);
    stream.write_all(&bytes).unwrap();
    let mut received = Vec::new();
    let mut chunk = [0; 1024];
    while !received.windows(4).any(|found| found == b"\r\n\r\n") {
        let read = stream.read(&mut chunk).unwrap();
        received.extend_from_slice(&chunk[..read]);
    }
    let head = String::from_utf8_lossy(&received);
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(
        head.to_ascii_lowercase().contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="),
        "{head}"
    );
    stream.write_all(&lines[lines.len() - 2..]).unwrap();
    for line in ["one", "two", "three"] {
        loop {
            let received = ann.next_line().unwrap();
            if !received.starts_with("* ") {
                assert!(received.ends_with(&format!(": {line}")), "{received}");
                break;
            }
        }
    }
}

#[test]
fn invalid_upgrade_is_rejected_over_http() {
    let server = TestServer::open();
    let request = |headers: &[(&str, &str)]| {
        let mut all = vec![("Connection", "Upgrade"), ("Upgrade", "websocket")];
        all.extend_from_slice(headers);
        http(server.addr, "GET", "/ws", &all, b"").unwrap()
    };
    let key = ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    let version = ("Sec-WebSocket-Version", "13");
    let answer = request(&[key, ("Sec-WebSocket-Version", "8")]);
    assert_eq!((answer.status, answer.header("sec-websocket-version")), (426, Some("13")));
    assert_eq!(request(&[version]).status, 400, "no key");
    assert_eq!(request(&[version, ("Sec-WebSocket-Key", "c2hvcnQ=")]).status, 400, "a short key");
    assert_eq!(request(&[key, version, ("Sec-WebSocket-Protocol", "teahouse.v9.xml")]).status, 400);
    let plain = server.get("/ws");
    assert!(plain.status == 400 || plain.status == 426, "{}", plain.status);
    let rejection: serde_json::Value = plain.json().unwrap();
    assert_eq!(rejection["code"], "malformed");
    let client = Client::open(server.addr, options()).unwrap();
    assert_eq!(client.protocol(), Some("teahouse.v1.json"));
    assert_eq!(
        Client::open(server.addr, plain_text()).unwrap().protocol(),
        None,
        "no subprotocol was offered"
    );
}

#[test]
fn known_subprotocol_is_chosen_among_several() {
    let server = TestServer::open();
    for (offered, chosen) in [
        ("Sec-WebSocket-Protocol: chat, teahouse.v1.json\r\n", true),
        ("Sec-WebSocket-Protocol: teahouse.v1.json\r\nSec-WebSocket-Protocol: chat\r\n", true),
        ("", false),
    ] {
        let mut stream = TcpStream::connect(server.addr).unwrap();
        stream.set_read_timeout(Some(WAIT_TIMEOUT)).unwrap();
        stream.write_all(upgrade(&server, offered).as_bytes()).unwrap();
        let mut received = Vec::new();
        let mut chunk = [0; 1024];
        while !received.windows(4).any(|found| found == b"\r\n\r\n") {
            let read = stream.read(&mut chunk).unwrap();
            received.extend_from_slice(&chunk[..read]);
        }
        let head = String::from_utf8_lossy(&received).to_ascii_lowercase();
        assert!(head.starts_with("http/1.1 101 "), "{head}");
        assert_eq!(head.contains("sec-websocket-protocol: teahouse.v1.json\r\n"), chosen, "{head}");
        assert!(!head.contains("chat"), "{head}");
    }
    let old = upgrade(&server, "").replace("HTTP/1.1", "HTTP/1.0");
    let mut stream = TcpStream::connect(server.addr).unwrap();
    stream.set_read_timeout(Some(WAIT_TIMEOUT)).unwrap();
    stream.write_all(old.as_bytes()).unwrap();
    let mut received = [0; 1024];
    let read = stream.read(&mut received).unwrap();
    let received = String::from_utf8_lossy(&received[..read]);
    assert!(
        received.contains(" 400 ") || received.contains(" 426 ") || received.contains(" 505 "),
        "{received}"
    );
}

#[test]
fn abrupt_disconnect_frees_the_connection() {
    let server = TestServer::open();
    for half_a_frame in [false, true] {
        for _ in 0..10 {
            let mut client = server.guest();
            if half_a_frame {
                client.send_bytes(&frame(0x81, &[b' '; 20_000])[..10_000]).unwrap();
            }
            client.reset();
        }
    }
    server.until_metric("teahouse_connections", |open| open == 0.0);
    server.until_metric("teahouse_tcp_connections", |open| open <= 1.0);
}
