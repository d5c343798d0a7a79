//! Graceful shutdown: every client receives a close frame, no committed message is lost, and the process exits.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use client::{Client, Error, Received};
use protocol::{Command, EventKind, Join, ServerFrame};
use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};

use crate::client_ext::{ClientExt, WAIT_TIMEOUT, plain_text, reply_id};
use crate::resume::message_command;
use crate::server::TestServer;

/// Reads up to the close frame; returns its code and reason.
fn read_close_frame(client: &mut Client) -> (u16, String) {
    loop {
        match client.next_message(WAIT_TIMEOUT).unwrap() {
            Received::Close(code, reason) => return (code, reason),
            Received::End => panic!("the connection ended without a close frame"),
            _ => {}
        }
    }
}

#[test]
fn stop_announces_retry_delay_and_exits_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut server = TestServer::open();
        let mut clients =
            vec![server.guest(), server.guest(), Client::open(server.addr, plain_text()).unwrap()];
        clients[0].join("lobby").unwrap();
        kill_process(server.pid(), signal).unwrap();
        for client in &mut clients {
            assert_eq!(read_close_frame(client), (1001, "retry_within_ms=500".to_owned()));
        }
        drop(clients);
        let (status, printed) = server.wait();
        assert_eq!(status.code(), Some(0), "{signal:?}");
        assert_eq!(printed.lines().count(), 1, "{printed}");
        assert!(TcpStream::connect(server.addr).is_err(), "the port is free");
    }
}

#[test]
fn stop_of_many_connections_spreads_retries() {
    let mut server = TestServer::open();
    let mut clients: Vec<Client> = (0..150).map(|_| server.guest()).collect();
    server.terminate();
    for client in &mut clients {
        assert_eq!(read_close_frame(client), (1001, "retry_within_ms=750".to_owned()));
    }
    drop(clients);
    assert!(server.wait().0.success());
}

#[test]
fn stop_answers_pending_commands_durably() {
    let mut server = TestServer::open();
    let (mut li, token) = server.user("Li");
    let mut ann = server.guest();
    let room = li.join("lobby").unwrap().info.room;
    ann.join("lobby").unwrap();
    let mut ids: BTreeSet<u64> =
        (0..1000).map(|number| li.start(&message_command(room, &number.to_string())).unwrap().0).collect();
    server.terminate();
    let (mut answered, mut received) = (Vec::new(), Vec::new());
    let end = loop {
        match li.next_frame(WAIT_TIMEOUT) {
            Ok(ServerFrame::Event(event)) if matches!(event.kind, EventKind::Message { .. }) => {
                received.push(event)
            }
            Ok(frame) => {
                if let Some(id) = reply_id(&frame) {
                    let reply: Value = serde_json::from_str(&frame.to_json()).unwrap();
                    assert!(ids.remove(&id), "twice: {reply}");
                    if reply["type"] == "ok" {
                        answered.push(reply["seq"].as_u64().unwrap());
                    } else {
                        assert_eq!(reply["code"], "shutting_down", "{reply}");
                    }
                }
            }
            Err(error) => break error,
        }
    };
    assert_eq!(end.close_code(), Some(1001), "{end}");
    drop((li, ann));
    assert!(server.wait().0.success());
    server.start();
    let mut li = server.reconnect(&token);
    li.join("lobby").unwrap();
    let mut stored = BTreeSet::new();
    loop {
        let after = stored.last().copied().unwrap_or(0);
        let page = li.request(json!({"type":"history","room":"lobby","after":after,"limit":500}));
        stored.extend(page["events"].as_array().unwrap().iter().map(|event| event["seq"].as_u64().unwrap()));
        if page["more"] == false {
            break;
        }
    }
    assert!(answered.iter().all(|seq| stored.contains(seq)));
    assert!(received.iter().all(|event| stored.contains(&event.seq.0)));
    // Every committed message was also answered and delivered: no client has to repeat one.
    let messages = stored.len() as u64 - 3;
    assert_eq!((answered.len() as u64, received.len() as u64), (messages, messages), "of {messages} stored");
}

#[test]
fn stop_delivers_earlier_messages_before_close() {
    let mut server = TestServer::with(&[("SHARDS", "1")]);
    let (mut li, token) = server.user("Li");
    let room = li.join("lobby").unwrap().info.room;
    let mut clients: Vec<Client> = (0..400).map(|_| server.guest()).collect();
    let ids: Vec<_> = clients.iter_mut().map(|client| client.start(&join_lobby()).unwrap()).collect();
    for (client, id) in clients.iter_mut().zip(ids) {
        client.reply_to(id).unwrap();
    }
    // Li keeps sending, so that a delivery to many members is always in progress.
    let (reply_sender, replies) = std::sync::mpsc::channel();
    let sending = std::thread::spawn(move || {
        let mut number = 0;
        let mut send_next = |li: &mut Client| {
            number += 1;
            li.start(&message_command(room, &number.to_string()))
        };
        for _ in 0..4 {
            send_next(&mut li).unwrap();
        }
        while let Ok(frame) = li.next_frame(WAIT_TIMEOUT) {
            if reply_id(&frame).is_some() {
                let _ = reply_sender.send(());
                let _ = send_next(&mut li);
            }
        }
    });
    replies.iter().take(30).for_each(drop);
    server.terminate();
    let received: Vec<usize> = clients
        .iter_mut()
        .map(|client| {
            let mut messages = 0;
            loop {
                match client.next_frame(WAIT_TIMEOUT) {
                    Ok(ServerFrame::Event(event)) => {
                        messages += usize::from(matches!(event.kind, EventKind::Message { .. }));
                    }
                    Ok(_) => {}
                    Err(error) => {
                        assert_eq!(error.close_code(), Some(1001));
                        return messages;
                    }
                }
            }
        })
        .collect();
    sending.join().unwrap();
    drop(clients);
    assert!(server.wait().0.success());
    server.start();
    let stored = server.reconnect(&token).join("lobby").unwrap().n.0;
    assert!(
        received.iter().all(|messages| *messages as u64 == stored),
        "{stored} were stored, and the clients received {received:?}"
    );
}

fn join_lobby() -> Command {
    Command::Join(Join { room: "lobby".parse().unwrap(), after: None, epoch: None })
}

#[test]
fn repeated_stops_answer_what_they_commit() {
    // Hits the window between the commit and the close frame, in several rounds.
    let mut server = TestServer::open();
    let (mut li, token) = server.user("Li");
    let room = li.join("lobby").unwrap().info.room;
    let mut previous = 0;
    for round in 0..10 {
        for number in 0..3 {
            li.start(&message_command(room, &format!("{round}-{number}"))).unwrap();
        }
        server.terminate();
        let mut answered = 0;
        while let Ok(frame) = li.next_frame(WAIT_TIMEOUT) {
            answered += u64::from(reply_id(&frame).is_some());
        }
        drop(li);
        assert!(server.wait().0.success());
        server.start();
        li = server.reconnect(&token);
        let joined = li.join("lobby").unwrap();
        assert_eq!(joined.n.0 - previous, answered, "committed, and answered, in round {round}");
        previous = joined.n.0;
    }
}

#[test]
fn stopping_server_rejects_connections_and_is_not_ready() {
    let mut server = TestServer::with(&[("TIMEOUTS_CLOSE", "30s")]);
    let mut unresponsive = server.guest();
    let mut kept_alive = TcpStream::connect(server.addr).unwrap();
    kept_alive.set_read_timeout(Some(WAIT_TIMEOUT)).unwrap();
    let mut request = |path: &str| {
        kept_alive.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes()).unwrap();
        let mut received = String::new();
        let mut chunk = [0; 4096];
        while !(received.contains("\r\n\r\n")
            && (received.ends_with('}') || received.ends_with("ready") || received.ends_with("ok")))
        {
            let read = kept_alive.read(&mut chunk).unwrap();
            assert!(read > 0, "{received}");
            received.push_str(&String::from_utf8_lossy(&chunk[..read]));
        }
        received
    };
    assert!(request("/readyz").starts_with("HTTP/1.1 200 "));
    server.terminate();
    assert_eq!(read_close_frame(&mut unresponsive).0, 1001);
    let answer = request("/readyz");
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("shutting_down"), "{answer}");
    assert!(request("/healthz").starts_with("HTTP/1.1 200 "), "the process is alive");
    let begin = Instant::now();
    while TcpStream::connect(server.addr).is_ok() {
        assert!(begin.elapsed() < WAIT_TIMEOUT, "the port is still open");
    }
    assert!(matches!(Client::open(server.addr, plain_text()), Err(Error::Io(_))));
    // After the close reply there is nothing to wait for.
    unresponsive.send_message(websocket::Opcode::Close, &[0x03, 0xe9]).unwrap();
    assert_eq!(unresponsive.next_message(WAIT_TIMEOUT).unwrap(), Received::End);
    assert!(server.wait().0.success());
}

#[test]
fn connection_upgraded_during_stop_is_closed() {
    let mut server = TestServer::open();
    // Which connections are between request and shard during a stop depends on timing.
    for round in 0..5 {
        let mut arriving: Vec<TcpStream> = (0..8).map(|_| TcpStream::connect(server.addr).unwrap()).collect();
        for stream in &mut arriving {
            stream.set_read_timeout(Some(WAIT_TIMEOUT)).unwrap();
            stream.write_all(UPGRADE.strip_suffix("\r\n").unwrap().as_bytes()).unwrap();
        }
        server.terminate();
        for stream in &mut arriving {
            // A rejected connection may be reset.
            let _ = stream.write_all(b"\r\n");
        }
        for stream in &mut arriving {
            let mut received = Vec::new();
            // A reset means that the server has not read the request.
            let _ = stream.read_to_end(&mut received);
            let text = String::from_utf8_lossy(&received);
            assert!(
                if text.starts_with("HTTP/1.1 101 ") {
                    text.contains("\u{3}\u{fffd}retry_within_ms=")
                } else {
                    text.is_empty() || text.starts_with("HTTP/1.1 503 ") && text.contains("retry-after: ")
                },
                "in round {round}: {text:?}"
            );
        }
        assert!(server.wait().0.success());
        server.start();
    }
}

const UPGRADE: &str = "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Protocol: teahouse.v1.json\r\n\r\n";

#[test]
fn unresponsive_peer_does_not_delay_the_stop() {
    let mut server = TestServer::with(&[("TIMEOUTS_CLOSE", "100ms")]);
    let mut unresponsive = server.guest();
    let (mut li, token) = server.user("Li");
    let room = li.join("lobby").unwrap().info.room;
    unresponsive.join("lobby").unwrap();
    let slow = client::Options { receive_buffer: Some(4096), ..crate::client_ext::bearer(&token) };
    let mut slow = Client::connect(server.addr, slow).unwrap();
    slow.join("lobby").unwrap();
    for number in 0..400 {
        li.send_body_with_key(room, &number.to_string(), &"x".repeat(8000)).unwrap();
    }
    server.terminate();
    let (status, _) = server.wait();
    assert!(status.success());
    drop((unresponsive, slow, li));
}

#[test]
fn stopped_server_leaves_no_write_ahead_log() {
    let mut server = TestServer::open();
    let mut li = server.guest();
    let room = li.join("lobby").unwrap().info.room;
    li.send_body(room, "into the database").unwrap();
    drop(li);
    server.stop();
    for entry in std::fs::read_dir(server.data()).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        assert!(!name.ends_with("-wal") || entry.metadata().unwrap().len() == 0, "{name}");
    }
}
