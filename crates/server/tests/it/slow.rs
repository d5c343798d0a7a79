//! Backpressure: a client that does not read delays no other client, and receives a gap for what it missed.

use std::io::{Read, Write};

use client::{Client, Options, Received};
use protocol::{ControlFrame, RoomId, ServerFrame};
use serde_json::{Value, json};
use websocket::{Opcode, append_masked};

use crate::client_ext::{ClientExt, WAIT_TIMEOUT, bearer, body, options};
use crate::resume::message_command;
use crate::server::TestServer;

/// A small receive buffer, so that the kernel holds little for the client.
const SMALL: Option<usize> = Some(4096);

fn send_large(client: &mut Client, room: RoomId, numbers: std::ops::Range<u64>, size: usize) {
    let mut started = Vec::new();
    for number in numbers {
        started.push(client.start(&message_command(room, &format!("{number:0size$}"))).unwrap());
        if started.len() == 16 {
            started.drain(..).for_each(|id| drop(client.reply_to(id).unwrap()));
        }
    }
    started.into_iter().for_each(|id| drop(client.reply_to(id).unwrap()));
}

/// Reads up to the event `last`: events and gaps must be contiguous. Returns the number of missed events.
fn all_or_gaps(client: &mut Client, room: RoomId, after: u64, last: u64) -> u64 {
    let (mut next, mut missed) = (after + 1, 0);
    while next <= last {
        match client
            .next_frame(WAIT_TIMEOUT)
            .unwrap_or_else(|error| panic!("{error} before {next} of {last}"))
        {
            ServerFrame::Event(event) => {
                assert_eq!((event.room, event.seq.0), (room, next));
                next += 1;
            }
            ServerFrame::ControlFrame(ControlFrame::Gap(gap)) => {
                assert_eq!((gap.room, gap.from.0), (room, next));
                missed += gap.to.0 - gap.from.0 + 1;
                next = gap.to.0 + 1;
            }
            _ => {}
        }
    }
    missed
}

#[test]
fn slow_reader_catches_up_and_blocks_nobody() {
    let server = TestServer::open();
    let (mut ann, mut mei) = (server.guest(), server.guest());
    let room = ann.join("lobby").unwrap().info.room;
    mei.join("lobby").unwrap();
    let mut slow = Client::connect(server.addr, Options { receive_buffer: SMALL, ..options() }).unwrap();
    let head = slow.join("lobby").unwrap().head.0;
    // Fourteen megabytes, since each character is six bytes in JSON. The log in memory retains four, and the kernel buffers some.
    let catch_ups = server.metric("teahouse_catch_ups_total");
    let wide = "\u{1}".repeat(8000);
    for number in 0..300 {
        ann.send_body(room, &wide).unwrap();
        let seq = head + 1 + number;
        mei.event_where(|event| event.seq.0 == seq).unwrap();
    }
    assert_eq!(all_or_gaps(&mut slow, room, head, head + 300), 0);
    assert!(server.metric("teahouse_catch_ups_total") > catch_ups, "the reader fell out of the log");
    ann.send_body(room, "live").unwrap();
    assert_eq!(body(&slow.events_of(room, head + 300, 1)[0]), "live");
}

#[test]
fn too_slow_reader_gets_a_gap() {
    let server = TestServer::open();
    let mut ann = server.guest();
    let room = ann.join("lobby").unwrap().info.room;
    let (first, token) = server.user("Slow");
    drop(first);
    let slow = Options { receive_buffer: SMALL, ..bearer(&token) };
    let mut slow = Client::connect(server.addr, slow).unwrap();
    let mut lines =
        Client::connect(server.addr, Options { receive_buffer: SMALL, ..crate::client_ext::plain_text() })
            .unwrap();
    lines.next_line().unwrap();
    lines.next_line().unwrap();
    let head = slow.join("lobby").unwrap().head.0;
    send_large(&mut ann, room, 0..2500, 3000);
    let last = head + 2500;
    let missed = all_or_gaps(&mut slow, room, head, last);
    assert!(missed > 1000, "{missed}");
    assert!(server.metric("teahouse_gaps_total") >= 1.0);
    ann.send_body(room, "live").unwrap();
    assert_eq!(body(&slow.events_of(room, last, 1)[0]), "live");
    // The events in the gap can be fetched.
    let page = slow.request(json!({"type":"history","room":"lobby","after":head,"limit":1}));
    assert_eq!(page["events"][0]["seq"], head + 1);
    // A line client receives a notice for each gap, and every message outside the gaps.
    let (mut lines_read, mut missed) = (0, 0);
    while lines_read + missed < 2501 {
        let line = lines.next_line().unwrap();
        let range = line.strip_prefix("* missed ").and_then(|line| line.strip_suffix(" in lobby"));
        if let Some((from, to)) = range.and_then(|range| range.split_once(" to ")) {
            missed += to.parse::<u64>().unwrap() - from.parse::<u64>().unwrap() + 1;
        } else if !line.starts_with("* ") {
            lines_read += 1;
        }
    }
    assert!(lines_read + missed == 2501 && missed > 1000, "{lines_read} lines and {missed} missed");
    ann.send_body(room, "again").unwrap();
    assert!(lines.next_line().unwrap().ends_with(": again"));
}

#[test]
fn socket_buffer_of_unread_peer_is_small() {
    let mut server = TestServer::open();
    let mut ann = server.guest();
    let room = ann.join("lobby").unwrap().info.room;
    let mut slow = Client::connect(server.addr, Options { receive_buffer: SMALL, ..options() }).unwrap();
    slow.join("lobby").unwrap();
    send_large(&mut ann, room, 0..600, 8192);
    // Data in the kernel's socket buffer outlives the program; data in the program's own buffers does not.
    server.kill();
    let (mut held, mut chunk) = (0, vec![0; 64 * 1024]);
    slow.stream().set_read_timeout(Some(WAIT_TIMEOUT)).unwrap();
    while let Ok(read @ 1..) = slow.stream().read(&mut chunk) {
        held += read;
    }
    assert!((1..512 * 1024).contains(&held), "{held} of 5 MB");
}

#[test]
fn leave_of_slow_reader_delivers_earlier_events_only() {
    let server = TestServer::open();
    let (li, token) = server.user("Li");
    drop(li);
    let (mut ann, _) = server.user("Ann");
    let room = ann.join("lobby").unwrap().info.room;
    let mut slow = Client::connect(server.addr, Options { receive_buffer: SMALL, ..bearer(&token) }).unwrap();
    let head = slow.join("lobby").unwrap().head.0;
    send_large(&mut ann, room, 0..300, 8192);
    // Leaves by another connection, before the slow one has read a fifth of the messages.
    let left =
        server.reconnect(&token).request(json!({"type":"leave","room":"lobby"}))["seq"].as_u64().unwrap();
    assert_eq!(left, head + 301);
    send_large(&mut ann, room, 300..700, 8192);
    assert_eq!(all_or_gaps(&mut slow, room, head, left), 0);
    let received = slow.received();
    assert!(!received.iter().any(|frame| matches!(frame, ServerFrame::Event(_))), "{}", received.len());
}

#[test]
fn slow_reader_leave_reply_comes_last() {
    let server = TestServer::open();
    let mut ann = server.guest();
    let room = ann.join("lobby").unwrap().info.room;
    let mut slow = Client::connect(server.addr, Options { receive_buffer: SMALL, ..options() }).unwrap();
    let head = slow.join("lobby").unwrap().head.0;
    send_large(&mut ann, room, 0..500, 8192);
    slow.send_text(r#"{"type":"leave","id":7,"room":"lobby"}"#).unwrap();
    let left = ann.event_where(|event| event.kind == protocol::EventKind::MemberLeft {}).unwrap().seq.0;
    send_large(&mut ann, room, 500..1000, 8192);
    assert_eq!(all_or_gaps(&mut slow, room, head, left), 0);
    let reply = slow.next_frame(WAIT_TIMEOUT).unwrap();
    assert_eq!(crate::client_ext::reply_id(&reply), Some(7), "{reply:?}");
    assert_eq!(slow.received(), []);
}

#[test]
fn unfinished_messages_are_bounded_in_total() {
    let server = TestServer::with(&[("SHARDS", "1")]);
    // A fragment, then a ping whose pong shows that the server buffered the fragment.
    let mut unfinished = Vec::new();
    append_masked(&mut unfinished, Opcode::Text, &[b' '; 64_000], [1, 2, 3, 4]);
    unfinished[0] &= 0x7f;
    append_masked(&mut unfinished, Opcode::Ping, b"buffered", [1, 2, 3, 4]);
    let (mut accepted, mut rejected) = (Vec::new(), 0);
    for _ in 0..1200 {
        let mut client = server.guest();
        client.send_bytes(&unfinished).unwrap();
        match client.next_message(WAIT_TIMEOUT).unwrap() {
            Received::Pong(_) => accepted.push(client),
            Received::Close(code, _) => {
                assert_eq!(code, 4001);
                rejected += 1;
            }
            other => panic!("{other:?}"),
        }
        if rejected > 3 {
            break;
        }
    }
    assert!(
        rejected > 3 && accepted.len() * 64_000 <= 64 << 20 && accepted.len() > 500,
        "{} {rejected}",
        accepted.len()
    );
    // Accepted clients can finish their messages, which frees memory.
    for client in accepted.iter_mut().take(10) {
        let mut rest = Vec::new();
        append_masked(&mut rest, Opcode::Continuation, br#"{"type":"ping","id":1}"#, [1, 2, 3, 4]);
        client.send_bytes(&rest).unwrap();
        client.frame_where(|frame| crate::client_ext::reply_id(frame) == Some(1)).unwrap();
    }
    let mut again = server.guest();
    again.send_bytes(&unfinished).unwrap();
    assert!(matches!(again.next_message(WAIT_TIMEOUT).unwrap(), Received::Pong(_)));
    drop(accepted);
    server.until_metric("teahouse_connections", |open| open == 1.0);
    let mut clients: Vec<Client> = (0..100).map(|_| server.guest()).collect();
    for client in &mut clients {
        client.send_bytes(&unfinished).unwrap();
        assert!(
            matches!(client.next_message(WAIT_TIMEOUT).unwrap(), Received::Pong(_)),
            "all of the memory was released"
        );
    }
}

/// The peak resident memory of the process, in KiB.
fn peak_memory(server: &TestServer) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid().as_raw_nonzero())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn peer_that_does_not_read_is_not_read() {
    let server = TestServer::open();
    let mut ann = server.guest();
    let room = ann.join("lobby").unwrap().info.room;
    send_large(&mut ann, room, 0..60, 8192);
    let mut flooding = Client::connect(server.addr, Options { receive_buffer: SMALL, ..options() }).unwrap();
    flooding.join("lobby").unwrap();
    let before = peak_memory(&server);
    // A hundred megabytes of replies.
    for id in 0..400 {
        flooding
            .send_text(&json!({"type":"history","id":id,"room":"lobby","after":0,"limit":500}).to_string())
            .unwrap();
    }
    for _ in 0..20 {
        ann.send_body(room, "others go on").unwrap();
    }
    let grown = peak_memory(&server) - before;
    assert!(grown < 32 * 1024, "{grown} KiB");
    let mut answered = vec![0; 400];
    while answered.iter().sum::<u32>() < 400 {
        if let Some(id) = crate::client_ext::reply_id(&flooding.next_frame(WAIT_TIMEOUT).unwrap()) {
            answered[usize::try_from(id).unwrap()] += 1;
        }
    }
    assert_eq!(answered, vec![1; 400]);
    let grown = peak_memory(&server) - before;
    assert!(grown < 32 * 1024, "{grown} KiB");
}

#[test]
fn requests_are_read_no_faster_than_replies() {
    // One shard: for each reply to Ann, the shard had a turn to read the flooding client, too.
    let server = TestServer::with(&[("SHARDS", "1")]);
    let mut ann = server.guest();
    let room = ann.join("lobby").unwrap().info.room;
    let flooding = Client::connect(server.addr, Options { receive_buffer: SMALL, ..options() });
    let mut flooding = flooding.unwrap();
    // Three bytes per command, a hundred per reply.
    let mut commands = Vec::new();
    append_masked(
        &mut commands,
        Opcode::Text,
        format!("[{}]", vec!["{}"; 256].join(",")).as_bytes(),
        [1, 2, 3, 4],
    );
    let before = peak_memory(&server);
    let stream = flooding.stream().try_clone().unwrap();
    let sending = std::thread::spawn(move || (0..1000).try_for_each(|_| (&stream).write_all(&commands)));
    for _ in 0..100 {
        ann.send_body(room, "others go on").unwrap();
    }
    let mut replies = 0;
    while replies < 256_000 {
        match flooding.next_message(WAIT_TIMEOUT).unwrap() {
            Received::Text(text) => assert!(text.contains("malformed")),
            other => panic!("{other:?}"),
        }
        replies += 1;
    }
    sending.join().unwrap().unwrap();
    let grown = peak_memory(&server) - before;
    assert!(grown < 12 * 1024, "{grown} KiB");
}

#[test]
fn large_page_does_not_block_other_replies() {
    let server = TestServer::open();
    let mut ann = server.guest();
    let room = ann.join("lobby").unwrap().info.room;
    send_large(&mut ann, room, 0..60, 8192);
    let flooding: Vec<Client> = (0..20)
        .map(|_| {
            let mut flooding =
                Client::connect(server.addr, Options { receive_buffer: SMALL, ..options() }).unwrap();
            flooding.join("lobby").unwrap();
            for id in 0..10 {
                flooding
                    .send_text(
                        &json!({"type":"history","id":id,"room":"lobby","after":0,"limit":500}).to_string(),
                    )
                    .unwrap();
            }
            flooding
        })
        .collect();
    let page: Value = ann.request(json!({"type":"history","room":"lobby","limit":1}));
    assert_eq!(page["type"], "ok");
    drop(flooding);
}
