//! The plain text protocol: the same rooms, as lines.

use client::{Client, Options, Received};
use protocol::EventKind;
use serde_json::json;

use crate::client_ext::{ClientExt, WAIT_TIMEOUT, bearer, body, plain_text};
use crate::resume::send_numbers;
use crate::server::TestServer;

/// The next line that is not a notice.
fn next_message_line(client: &mut Client) -> String {
    loop {
        let line = client.next_line().unwrap();
        if !line.starts_with("* ") {
            return line;
        }
    }
}

/// The next notice that contains `part`.
fn notice(client: &mut Client, part: &str) -> String {
    loop {
        let line = client.next_line().unwrap();
        if line.starts_with("* ") && line.contains(part) {
            return line;
        }
    }
}

fn in_chinese() -> Options {
    let headers = vec![("Accept-Language".to_owned(), "zh-CN,zh;q=0.9,en;q=0.8".to_owned())];
    Options { headers, ..plain_text() }
}

/// A line client with this name.
fn named(server: &TestServer, name: &str) -> Client {
    let mut client = server.lines(plain_text());
    client.send_text(&format!("/name {name}")).unwrap();
    notice(&mut client, &format!("is now called {name}"));
    client
}

#[test]
fn message_reaches_everybody_as_a_line() {
    let server = TestServer::open();
    let mut li = named(&server, "李雷");
    let mut ann = server.lines(plain_text());
    li.send_text("你好 👩‍🚀 <script>").unwrap();
    for client in [&mut li, &mut ann] {
        assert_eq!(next_message_line(client), "李雷: 你好 👩‍🚀 <script>");
    }
}

#[test]
fn text_and_json_clients_share_a_room() {
    let server = TestServer::open();
    let mut li = named(&server, "Li");
    let (mut ann, _) = server.user("Ann");
    let room = ann.join("lobby").unwrap().info.room;
    assert_eq!(li.next_line().unwrap(), "* Ann joined");
    li.send_text("hello, Ann").unwrap();
    let event = ann.next_event().unwrap();
    assert_eq!((event.by.name.as_str(), body(&event)), ("Li", "hello, Ann"));
    assert!(matches!(event.kind, EventKind::Message { client_message_id: None, .. }));
    ann.send_body(room, "hello, Li").unwrap();
    assert_eq!(li.next_line().unwrap(), "Li: hello, Ann");
    assert_eq!(li.next_line().unwrap(), "Ann: hello, Li");
    ann.request(json!({"type":"rename","name":"安"}));
    assert_eq!(li.next_line().unwrap(), "* Ann is now called 安");
    ann.request(json!({"type":"typing","room":"lobby"}));
    ann.request(json!({"type":"leave","room":"lobby"}));
    assert_eq!(li.next_line().unwrap(), "* 安 left", "typing sends no line");
    li.send_text("/leave").unwrap();
    li.send_text("/who").unwrap();
    assert_eq!(notice(&mut li, "online"), "* 1 online: Li");
}

#[test]
fn line_cannot_be_forged() {
    let server = TestServer::open();
    let mut li = server.lines(plain_text());
    let (mut ann, _) = server.user("Ann");
    let room = ann.join("lobby").unwrap().info.room;
    for (typed, line) in [
        ("one\nLi: two", "Ann: one Li: two"),
        ("one\r\n* Li left", "Ann: one  * Li left"),
        ("a\u{b}b\u{c}c\u{85}d\u{2028}e\u{2029}f\tg", "Ann: a b c d e f g"),
        ("\u{1b}[2J\u{7f}\u{9b}", "Ann:  [2J  "),
        ("a\u{202e}b\u{2066}c", "Ann: abc"),
        ("/join tea", "Ann: /join tea"),
        ("* Li left", "Ann: * Li left"),
    ] {
        ann.send_body(room, typed).unwrap();
        assert_eq!(next_message_line(&mut li), line, "{typed:?}");
    }
    for bad in ["* Li", "/Li", "Li: x", "a\u{202e}b"] {
        li.send_text(&format!("/name {bad}")).unwrap();
        assert_eq!(notice(&mut li, "error"), "* error: That name cannot be used.", "{bad:?}");
    }
    // A frame from a line client is one line, too.
    li.send_text("/name Li").unwrap();
    li.send_text("one\nAnn: two\r\n").unwrap();
    assert_eq!(next_message_line(&mut li), "Li: one Ann: two");
}

#[test]
fn every_documented_line_command_works() {
    let server = TestServer::open();
    let mut li = named(&server, "Li");
    let mut ann = named(&server, "Ann");
    notice(&mut li, "is now called Ann");
    for client in [&mut li, &mut ann] {
        client.send_text("/who").unwrap();
        assert_eq!(notice(client, "online"), "* 2 online: Li, Ann");
    }
    li.send_text("/join #茶馆").unwrap();
    assert_eq!(li.next_line().unwrap(), "* you are in 茶馆");
    li.send_text("here alone").unwrap();
    assert_eq!(li.next_line().unwrap(), "Li: here alone");
    ann.send_text("in the lobby").unwrap();
    assert_eq!(next_message_line(&mut ann), "Ann: in the lobby");
    li.send_text("/rooms").unwrap();
    assert_eq!(li.next_line().unwrap(), "* #lobby (1 online)", "the lobby's message is not delivered");
    assert_eq!(li.next_line().unwrap(), "* #茶馆 (1 online)");
    ann.send_text("/JOIN 茶馆").unwrap();
    assert_eq!(li.next_line().unwrap(), "* Ann joined");
    notice(&mut ann, "you are in 茶馆");
    li.send_text("//join is a command").unwrap();
    for client in [&mut li, &mut ann] {
        assert_eq!(next_message_line(client), "Li: /join is a command");
    }
    li.send_text("/leave").unwrap();
    notice(&mut li, "you are in lobby");
    assert_eq!(notice(&mut ann, "Li"), "* Li left");
    li.send_text("/help").unwrap();
    let mut help = Vec::new();
    while help.last().is_none_or(|line: &String| !line.starts_with("* //")) {
        help.push(li.next_line().unwrap());
    }
    for command in ["/join", "/leave", "/who", "/name", "/rooms", "/help"] {
        let has_word = |line: &String| line.strip_prefix("* ").is_some_and(|line| line.starts_with(command));
        assert!(help.iter().any(has_word), "{command} {help:?}");
    }
    for (line, part) in [
        ("/brew tea", "There is no command /brew"),
        ("/join", "Which room?"),
        ("/name ", "Which name?"),
        ("/join a b", "That name cannot be used."),
        ("/join r999", "This room does not exist."),
        ("", "The message is empty."),
        ("  ", "The message is empty."),
        (&"x".repeat(8193), "The message is too long."),
    ] {
        li.send_text(line).unwrap();
        let head: String = line.chars().take(20).collect();
        assert!(notice(&mut li, "error: ").contains(part), "{head}");
    }
    li.send_text("still here").unwrap();
    assert_eq!(li.next_line().unwrap(), "Li: still here");
}

#[test]
fn text_client_with_failed_join_stays_in_its_room() {
    let server = TestServer::with(&[
        ("LIMITS_ENABLED", "true"),
        ("LIMITS_ROOMS_PER_USER", "2"),
        ("LIMITS_NEW_ROOMS", "0.01/h burst 1"),
    ]);
    let mut ann = server.guest();
    ann.join("coffee").unwrap();
    let mut li = server.lines(plain_text());
    li.send_text("/name Li").unwrap();
    li.send_text("/join tea").unwrap();
    notice(&mut li, "you are in tea");
    for rejected in ["/join another", "/join coffee", "/join r999", "/join a b"] {
        li.send_text(rejected).unwrap();
        notice(&mut li, "error: ");
        li.send_text("still here").unwrap();
        assert_eq!(li.next_line().unwrap(), "Li: still here", "{rejected}");
    }
}

#[test]
fn notices_are_in_the_requested_language() {
    let server = TestServer::open();
    let mut li = Client::connect(server.addr, in_chinese()).unwrap();
    assert!(li.next_line().unwrap().contains("，欢迎！你在 lobby"));
    assert_eq!(li.next_line().unwrap(), "* 你在 lobby");
    let (mut ann, _) = server.user("Ann");
    let room = ann.join("lobby").unwrap().info.room;
    ann.send_body(room, "你好").unwrap();
    li.send_text("/brew").unwrap();
    ann.request(json!({"type":"leave","room":"lobby"}));
    let mut received: Vec<String> = (0..4).map(|_| li.next_line().unwrap()).collect();
    received.sort();
    let mut expected = [
        "* Ann 进来了",
        "Ann: 你好",
        "* 出错了：没有 /brew 这个命令。输入 /help 可以查看全部命令；要原样说出来，请以两个斜杠开头。",
        "* Ann 离开了",
    ];
    expected.sort_unstable();
    assert_eq!(received, expected);
}

#[test]
fn text_client_without_token_starts_at_head() {
    let server = TestServer::open();
    let (mut ann, _) = server.user("Ann");
    let room = ann.join("lobby").unwrap().info.room;
    ann.send_body(room, "before").unwrap();
    let mut li = server.lines(plain_text());
    ann.send_body(room, "after").unwrap();
    assert_eq!(li.next_line().unwrap(), "Ann: after");
}

/// The numbers in the next messages, up to and including `last`.
fn numbers_until(client: &mut Client, last: u64) -> Vec<u64> {
    let mut received = Vec::new();
    while received.last() != Some(&last) {
        let line = next_message_line(client);
        received.push(line.strip_prefix("Ann: ").unwrap().parse().unwrap());
    }
    received
}

#[test]
fn text_client_with_token_keeps_its_position() {
    let mut server = TestServer::open();
    let (mut ann, ann_token) = server.user("Ann");
    let room = ann.join("lobby").unwrap().info.room;
    let token = server.token("Li");
    let mut li = server.lines(bearer(&token));
    send_numbers(&mut ann, room, 1..=5);
    assert_eq!(numbers_until(&mut li, 5), [1, 2, 3, 4, 5]);
    li.close().unwrap();
    // Served from the log in memory.
    send_numbers(&mut ann, room, 6..=10);
    let mut li = server.lines(bearer(&token));
    assert_eq!(numbers_until(&mut li, 10), [6, 7, 8, 9, 10]);
    drop(li);
    server.until_metric("teahouse_connections", |open| open == 1.0);
    // Served from the store.
    send_numbers(&mut ann, room, 11..=300);
    server.restart();
    let mut li = server.lines(bearer(&token));
    assert_eq!(numbers_until(&mut li, 300), (11..=300).collect::<Vec<_>>());
    // The server stops while Li is connected: delivered lines count as read.
    server.restart();
    let mut ann = server.reconnect(&ann_token);
    ann.join("lobby").unwrap();
    ann.send_body(room, "301").unwrap();
    let mut li = server.lines(bearer(&token));
    assert_eq!(numbers_until(&mut li, 301), [301]);
    li.close().unwrap();
    // More than the server catches up.
    send_numbers(&mut ann, room, 302..=1302);
    server.restart();
    let mut li = server.lines(bearer(&token));
    let mut ann = server.reconnect(&ann_token);
    let joined = ann.join("lobby").unwrap();
    let line = notice(&mut li, "missed");
    assert_eq!(line, format!("* missed {} to {} in lobby", joined.head.0 - 1000, joined.head.0));
    ann.send_body(room, "1303").unwrap();
    assert_eq!(numbers_until(&mut li, 1303), [1303]);
}

#[test]
fn position_is_kept_in_a_room_without_events() {
    let server = TestServer::open();
    let (mut ann, _) = server.user("Ann");
    let room = ann.join("lobby").unwrap().info.room;
    send_numbers(&mut ann, room, 1..=3);
    let token = server.token("Li");
    server.lines(bearer(&token)).close().unwrap();
    send_numbers(&mut ann, room, 4..=6);
    assert_eq!(numbers_until(&mut server.lines(bearer(&token)), 6), [4, 5, 6]);
}

#[test]
fn position_is_kept_per_room() {
    let mut server = TestServer::open();
    let (mut ann, _) = server.user("Ann");
    let tea = ann.join("tea").unwrap().info.room;
    let token = server.token("Li");
    let mut li = server.lines(bearer(&token));
    li.send_text("/join tea").unwrap();
    notice(&mut li, "you are in tea");
    send_numbers(&mut ann, tea, 1..=2);
    assert_eq!(numbers_until(&mut li, 2), [1, 2]);
    li.send_text("/join lobby").unwrap();
    notice(&mut li, "you are in lobby");
    send_numbers(&mut ann, tea, 3..=4);
    li.send_text("/join tea").unwrap();
    assert_eq!(numbers_until(&mut li, 4), [3, 4]);
    li.close().unwrap();
    send_numbers(&mut ann, tea, 5..=6);
    server.restart();
    let mut li = server.lines(bearer(&token));
    li.send_text("/join tea").unwrap();
    assert_eq!(numbers_until(&mut li, 6), [5, 6]);
}

#[test]
fn stop_is_announced_in_a_line() {
    let mut server = TestServer::open();
    let mut li = server.lines(plain_text());
    server.terminate();
    assert_eq!(li.next_line().unwrap(), "* the server is stopping; come back in a moment");
    assert!(
        matches!(li.next_message(WAIT_TIMEOUT).unwrap(), Received::Close(1001, reason) if reason.starts_with("retry_within_ms="))
    );
    drop(li);
    assert!(server.wait().0.success());
}

#[test]
fn rate_limited_line_is_rejected_in_a_line() {
    let server = TestServer::with(&[("LIMITS_ENABLED", "true"), ("LIMITS_MESSAGES", "0.01/h burst 1")]);
    let mut li = server.lines(plain_text());
    li.send_text("one").unwrap();
    li.send_text("two").unwrap();
    assert_eq!(notice(&mut li, "error"), "* error: That was a little too fast. Please wait a moment.");
}
