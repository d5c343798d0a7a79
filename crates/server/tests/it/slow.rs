//! Who does not read costs nobody anything, and is told what was missed.

use std::io::{Read, Write};

use client::{Client, Options, Received};
use protocol::{ControlFrame, RoomId, ServerFrame};
use serde_json::{Value, json};
use websocket::{Opcode, append_masked};

use crate::coming_back::saying;
use crate::server::TestServer;
use crate::talk::{Talk, WAIT_TIMEOUT, bearer, body, options};

/// A kernel that holds little for us.
const SMALL: Option<usize> = Some(4096);

fn say_large(client: &mut Client, room: RoomId, numbers: std::ops::Range<u64>, size: usize) {
    let mut started = Vec::new();
    for number in numbers {
        started.push(client.start(&saying(room, &format!("{number:0size$}"))).unwrap());
        if started.len() == 16 {
            started.drain(..).for_each(|id| drop(client.reply_to(id).unwrap()));
        }
    }
    started.into_iter().for_each(|id| drop(client.reply_to(id).unwrap()));
}

/// Reads up to the event `last`: what came, and the stretches that were named as missed, must meet without a hole.
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
fn slow_reader_catches_up_and_delays_nobody() {
    let server = TestServer::open();
    let (mut ann, mut mei) = (server.guest(), server.guest());
    let room = ann.join("lobby").unwrap().info.room;
    mei.join("lobby").unwrap();
    let mut slow = Client::connect(server.addr, Options { receive_buffer: SMALL, ..options() }).unwrap();
    let head = slow.join("lobby").unwrap().head.0;
    // Fourteen megabytes, for every character is written in six; the log in memory holds four, and the kernel some.
    let catch_ups = server.metric("teahouse_catch_ups_total");
    let wide = "\u{1}".repeat(8000);
    for number in 0..300 {
        ann.send_body(room, &wide).unwrap();
        let seq = head + 1 + number;
        mei.event_where(|event| event.seq.0 == seq).unwrap();
    }
    assert_eq!(all_or_gaps(&mut slow, room, head, head + 300), 0);
    assert!(server.metric("teahouse_catch_ups_total") > catch_ups, "else the log was not outrun");
    ann.send_body(room, "live").unwrap();
    assert_eq!(body(&slow.events_of(room, head + 300, 1)[0]), "live");
}

#[test]
fn too_slow_reader_gets_a_gap() {
    let server = TestServer::open();
    let mut ann = server.guest();
    let room = ann.join("lobby").unwrap().info.room;
    let (first, token) = server.person("Slow");
    drop(first);
    let slow = Options { receive_buffer: SMALL, ..bearer(&token) };
    let mut slow = Client::connect(server.addr, slow).unwrap();
    let mut lines =
        Client::connect(server.addr, Options { receive_buffer: SMALL, ..crate::talk::plain_text() }).unwrap();
    lines.next_line().unwrap();
    lines.next_line().unwrap();
    let head = slow.join("lobby").unwrap().head.0;
    say_large(&mut ann, room, 0..2500, 3000);
    let last = head + 2500;
    let missed = all_or_gaps(&mut slow, room, head, last);
    assert!(missed > 1000, "{missed}");
    assert!(server.metric("teahouse_gaps_total") >= 1.0);
    ann.send_body(room, "live").unwrap();
    assert_eq!(body(&slow.events_of(room, last, 1)[0]), "live");
    // What was named can be fetched.
    let page = slow.ask(json!({"type":"history","room":"lobby","after":head,"limit":1}));
    assert_eq!(page["events"][0]["seq"], head + 1);
    // A line client is told in a line; what it is not told that it missed, it gets.
    let (mut said, mut missed) = (0, 0);
    while said + missed < 2501 {
        let line = lines.next_line().unwrap();
        let stretch = line.strip_prefix("* missed ").and_then(|line| line.strip_suffix(" in lobby"));
        if let Some((from, to)) = stretch.and_then(|stretch| stretch.split_once(" to ")) {
            missed += to.parse::<u64>().unwrap() - from.parse::<u64>().unwrap() + 1;
        } else if !line.starts_with("* ") {
            said += 1;
        }
    }
    assert!(said + missed == 2501 && missed > 1000, "{said} lines and {missed} missed");
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
    say_large(&mut ann, room, 0..600, 8192);
    // What the kernel has taken outlives the program; what the program has not handed over does not.
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
    let (li, token) = server.person("Li");
    drop(li);
    let (mut ann, _) = server.person("Ann");
    let room = ann.join("lobby").unwrap().info.room;
    let mut slow = Client::connect(server.addr, Options { receive_buffer: SMALL, ..bearer(&token) }).unwrap();
    let head = slow.join("lobby").unwrap().head.0;
    say_large(&mut ann, room, 0..300, 8192);
    // By another connection, while the slow one has not read a fifth of it.
    let left = server.back(&token).ask(json!({"type":"leave","room":"lobby"}))["seq"].as_u64().unwrap();
    assert_eq!(left, head + 301);
    say_large(&mut ann, room, 300..700, 8192);
    assert_eq!(all_or_gaps(&mut slow, room, head, left), 0);
    let heard = slow.heard();
    assert!(!heard.iter().any(|frame| matches!(frame, ServerFrame::Event(_))), "{}", heard.len());
}

#[test]
fn slow_reader_leave_reply_comes_last() {
    let server = TestServer::open();
    let mut ann = server.guest();
    let room = ann.join("lobby").unwrap().info.room;
    let mut slow = Client::connect(server.addr, Options { receive_buffer: SMALL, ..options() }).unwrap();
    let head = slow.join("lobby").unwrap().head.0;
    say_large(&mut ann, room, 0..500, 8192);
    slow.send_text(r#"{"type":"leave","id":7,"room":"lobby"}"#).unwrap();
    let left = ann.event_where(|event| event.kind == protocol::EventKind::MemberLeft {}).unwrap().seq.0;
    say_large(&mut ann, room, 500..1000, 8192);
    assert_eq!(all_or_gaps(&mut slow, room, head, left), 0);
    let reply = slow.next_frame(WAIT_TIMEOUT).unwrap();
    assert_eq!(crate::talk::reply_id(&reply), Some(7), "{reply:?}");
    assert_eq!(slow.heard(), []);
}

#[test]
fn unfinished_messages_are_bounded_in_total() {
    let server = TestServer::with(&[("SHARDS", "1")]);
    // A fragment, and a ping by which one sees whether it was taken.
    let mut begun = Vec::new();
    append_masked(&mut begun, Opcode::Text, &[b' '; 64_000], [1, 2, 3, 4]);
    begun[0] &= 0x7f;
    append_masked(&mut begun, Opcode::Ping, b"taken", [1, 2, 3, 4]);
    let (mut taken, mut refused) = (Vec::new(), 0);
    for _ in 0..1200 {
        let mut client = server.guest();
        client.send_bytes(&begun).unwrap();
        match client.next_message(WAIT_TIMEOUT).unwrap() {
            Received::Pong(_) => taken.push(client),
            Received::Close(code, _) => {
                assert_eq!(code, 4001);
                refused += 1;
            }
            other => panic!("{other:?}"),
        }
        if refused > 3 {
            break;
        }
    }
    assert!(
        refused > 3 && taken.len() * 64_000 <= 64 << 20 && taken.len() > 500,
        "{} {refused}",
        taken.len()
    );
    // Those who were taken can end what they began; and room is made by it.
    for client in taken.iter_mut().take(10) {
        let mut rest = Vec::new();
        append_masked(&mut rest, Opcode::Continuation, br#"{"type":"ping","id":1}"#, [1, 2, 3, 4]);
        client.send_bytes(&rest).unwrap();
        client.frame_where(|frame| crate::talk::reply_id(frame) == Some(1)).unwrap();
    }
    let mut again = server.guest();
    again.send_bytes(&begun).unwrap();
    assert!(matches!(again.next_message(WAIT_TIMEOUT).unwrap(), Received::Pong(_)));
    drop(taken);
    server.until_metric("teahouse_connections", |open| open == 1.0);
    let mut crowd: Vec<Client> = (0..100).map(|_| server.guest()).collect();
    for client in &mut crowd {
        client.send_bytes(&begun).unwrap();
        assert!(
            matches!(client.next_message(WAIT_TIMEOUT).unwrap(), Received::Pong(_)),
            "all of it was given back"
        );
    }
}

/// The most memory that the process ever had, in KiB.
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
    say_large(&mut ann, room, 0..60, 8192);
    let mut greedy = Client::connect(server.addr, Options { receive_buffer: SMALL, ..options() }).unwrap();
    greedy.join("lobby").unwrap();
    let before = peak_memory(&server);
    // A hundred megabytes of answers.
    for id in 0..400 {
        greedy
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
        if let Some(id) = crate::talk::reply_id(&greedy.next_frame(WAIT_TIMEOUT).unwrap()) {
            answered[usize::try_from(id).unwrap()] += 1;
        }
    }
    assert_eq!(answered, vec![1; 400]);
    let grown = peak_memory(&server) - before;
    assert!(grown < 32 * 1024, "{grown} KiB");
}

#[test]
fn requests_are_read_no_faster_than_replies_are_taken() {
    // In one shard: each time that Ann is heard, the other one has had a turn to be read, too.
    let server = TestServer::with(&[("SHARDS", "1")]);
    let mut ann = server.guest();
    let room = ann.join("lobby").unwrap().info.room;
    let greedy = Client::connect(server.addr, Options { receive_buffer: SMALL, ..options() });
    let mut greedy = greedy.unwrap();
    // Three bytes each, and a hundred for the answer.
    let mut questions = Vec::new();
    append_masked(
        &mut questions,
        Opcode::Text,
        format!("[{}]", vec!["{}"; 256].join(",")).as_bytes(),
        [1, 2, 3, 4],
    );
    let before = peak_memory(&server);
    let stream = greedy.stream().try_clone().unwrap();
    let asking = std::thread::spawn(move || (0..1000).try_for_each(|_| (&stream).write_all(&questions)));
    for _ in 0..100 {
        ann.send_body(room, "others go on").unwrap();
    }
    let mut answers = 0;
    while answers < 256_000 {
        match greedy.next_message(WAIT_TIMEOUT).unwrap() {
            Received::Text(text) => assert!(text.contains("malformed")),
            other => panic!("{other:?}"),
        }
        answers += 1;
    }
    asking.join().unwrap().unwrap();
    let grown = peak_memory(&server) - before;
    assert!(grown < 12 * 1024, "{grown} KiB");
}

#[test]
fn large_page_does_not_delay_other_replies() {
    let server = TestServer::open();
    let mut ann = server.guest();
    let room = ann.join("lobby").unwrap().info.room;
    say_large(&mut ann, room, 0..60, 8192);
    let greedy: Vec<Client> = (0..20)
        .map(|_| {
            let mut greedy =
                Client::connect(server.addr, Options { receive_buffer: SMALL, ..options() }).unwrap();
            greedy.join("lobby").unwrap();
            for id in 0..10 {
                greedy
                    .send_text(
                        &json!({"type":"history","id":id,"room":"lobby","after":0,"limit":500}).to_string(),
                    )
                    .unwrap();
            }
            greedy
        })
        .collect();
    let page: Value = ann.ask(json!({"type":"history","room":"lobby","limit":1}));
    assert_eq!(page["type"], "ok");
    drop(greedy);
}
