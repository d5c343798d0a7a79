//! Error codes, rate limits and connection limits.

use std::net::IpAddr;

use client::{Client, Error, Options, http, http_from, new_session};
use serde_json::{Value, json};

use crate::client_ext::{ClientExt, WAIT_TIMEOUT, connect_error, options, plain_text};
use crate::server::TestServer;

/// A rate that refills nothing within a test.
const NEVER: &str = "0.01/h burst 2";

fn elsewhere() -> Option<IpAddr> {
    Some("127.0.0.77".parse().unwrap())
}

fn send(key: usize) -> Value {
    json!({"type":"send","room":"lobby","client_message_id":key.to_string(),"body":"x"})
}

fn typing() -> Value {
    json!({"type":"typing","room":"lobby"})
}

#[test]
fn each_rate_is_separate_and_has_retry_after() {
    for (setting, first, rejected) in [
        ("LIMITS_MESSAGES", [send(1), send(2)], send(3)),
        ("LIMITS_TYPING", [typing(), typing()], typing()),
        (
            "LIMITS_JOINS",
            [json!({"type":"join","room":"lobby"}), Value::Null],
            json!({"type":"join","room":"lobby"}),
        ),
        (
            "LIMITS_COMMANDS",
            [json!({"type":"ping"}), json!({"type":"rooms"})],
            json!({"type":"who","room":"lobby"}),
        ),
        (
            "LIMITS_NEW_ROOMS",
            [json!({"type":"join","room":"one"}), json!({"type":"join","room":"two"})],
            json!({"type":"join","room":"three"}),
        ),
    ] {
        let server = TestServer::with(&[("LIMITS_ENABLED", "true"), (setting, NEVER)]);
        let (mut li, token) = server.user("Li");
        li.join("lobby").unwrap();
        for command in first.iter().filter(|command| !command.is_null()) {
            assert_ne!(li.request(command.clone())["type"], "error", "{setting} {command}");
        }
        let mut also_li = server.reconnect(&token);
        for client in [&mut li, &mut also_li] {
            let reply = client.request(rejected.clone());
            assert_eq!(
                (&reply["code"], &reply["retryable"]),
                (&json!("rate_limited"), &json!(true)),
                "{setting}: {reply}"
            );
            let wait = reply["retry_after_ms"].as_u64().unwrap();
            assert!((1_000_000..=360_000_001).contains(&wait), "{setting}: {wait}");
        }
        // The other rate classes still have tokens, and so do other users.
        for (other, command) in [
            ("LIMITS_MESSAGES", send(9)),
            ("LIMITS_TYPING", typing()),
            ("LIMITS_COMMANDS", json!({"type":"ping"})),
        ] {
            if other != setting {
                assert_eq!(li.request(command)["type"], "ok", "{setting} {other}");
            }
        }
        let mut ann = server.guest();
        ann.join("lobby").unwrap();
        assert_ne!(ann.request(rejected)["type"], "error", "{setting}");
        assert!(server.metric(r#"teahouse_errors_total{code="rate_limited"}"#) >= 2.0);
    }
}

#[test]
fn limited_creator_still_joins_existing_rooms() {
    let server = TestServer::with(&[("LIMITS_ENABLED", "true"), ("LIMITS_NEW_ROOMS", NEVER)]);
    let (mut li, mut ann) = (server.guest(), server.guest());
    ann.join("tea").unwrap();
    // Joining an existing room takes no token for a new one, however often.
    for _ in 0..5 {
        li.join("tea").unwrap();
        li.join("lobby").unwrap();
    }
    li.join("one").unwrap();
    li.join("two").unwrap();
    assert_eq!(li.rejected_with(json!({"type":"join","room":"three"})), "rate_limited");
    li.join("tea").unwrap();
    li.join("one").unwrap();
    // An unknown room id costs nothing, either.
    assert_eq!(ann.rejected_with(json!({"type":"join","room":"r999"})), "room_not_found");
    ann.join("four").unwrap();
    assert_eq!(ann.rejected_with(json!({"type":"join","room":"five"})), "rate_limited");
}

#[test]
fn retry_after_the_announced_time_succeeds() {
    let server = TestServer::with(&[("LIMITS_ENABLED", "true"), ("LIMITS_MESSAGES", "10/s burst 1")]);
    let mut li = server.guest();
    li.join("lobby").unwrap();
    let begin = std::time::Instant::now();
    let mut rejected = 0;
    for key in 0..5 {
        loop {
            let reply = li.request(send(key));
            if reply["type"] == "ok" {
                break;
            }
            rejected += 1;
            assert!(reply["retry_after_ms"].as_u64().unwrap() <= 101, "{reply}");
            assert!(begin.elapsed() < WAIT_TIMEOUT);
        }
    }
    assert!(rejected > 0);
}

#[test]
fn disabled_limits_reject_nothing() {
    let mut settings = vec![
        ("LIMITS_ENABLED", "false"),
        ("LIMITS_CONNECTIONS", "1"),
        ("LIMITS_CONNECTIONS_PER_ADDRESS", "1"),
    ];
    settings.push(("LIMITS_ROOMS_PER_USER", "1"));
    for rate in ["MESSAGES", "TYPING", "JOINS", "COMMANDS", "NEW_ROOMS", "GUEST_CREATION"] {
        let setting: &'static str = format!("LIMITS_{rate}").leak();
        settings.push((setting, "0.01/h burst 1"));
    }
    let server = TestServer::with(&settings);
    let mut guests: Vec<Client> = (0..5).map(|_| server.guest()).collect();
    let li = &mut guests[0];
    for number in 0..5 {
        li.join(&format!("room-{number}")).unwrap();
        li.join("lobby").unwrap();
        assert_eq!(li.request(send(number))["type"], "ok");
        assert_eq!(li.request(typing())["type"], "ok");
        assert_eq!(li.request(json!({"type":"ping"}))["type"], "ok");
    }
    // The limits on sizes still apply.
    assert_eq!(
        li.rejected_with(
            json!({"type":"send","room":"lobby","client_message_id":"k","body":"x".repeat(8193)})
        ),
        "body_too_long"
    );
    li.send_message(websocket::Opcode::Text, &vec![b'x'; 65_537]).unwrap();
    assert_eq!(li.closed().unwrap(), 1009);
}

#[test]
fn guest_creation_is_limited_per_address() {
    let server = TestServer::with(&[("LIMITS_ENABLED", "true"), ("LIMITS_GUEST_CREATION", "0.01/h burst 3")]);
    let token = new_session(server.addr, None).unwrap().1;
    let _guest = server.guest();
    let _line_client = Client::open(server.addr, plain_text()).unwrap();
    let answer = http(server.addr, "POST", "/api/v1/session", &[], b"").unwrap();
    assert_eq!(answer.status, 429, "{}", answer.text());
    let rejection: Value = answer.json().unwrap();
    assert_eq!((&rejection["code"], &rejection["retryable"]), (&json!("rate_limited"), &json!(true)));
    assert!(rejection["retry_after_ms"].as_u64().unwrap() > 1_000_000);
    assert!(answer.header("retry-after").unwrap().parse::<u64>().unwrap() >= 1000);
    for options in [options(), plain_text()] {
        assert!(matches!(connect_error(Client::open(server.addr, options)), Error::Upgrade(429)));
    }
    // A user with a token is not a new guest; and another address has its own limit.
    server.reconnect(&token);
    assert_eq!(http_from(elsewhere(), server.addr, "POST", "/api/v1/session", &[], b"").unwrap().status, 201);
    Client::connect(server.addr, Options { source: elsewhere(), ..options() }).unwrap();
}

#[test]
fn history_over_http_is_rate_limited() {
    let server = TestServer::with(&[("LIMITS_ENABLED", "true"), ("LIMITS_COMMANDS", NEVER)]);
    let (mut li, token) = server.user("Li");
    li.join("lobby").unwrap();
    let header = format!("Bearer {token}");
    let request = || {
        http(server.addr, "GET", "/api/v1/rooms/lobby/events", &[("Authorization", &header)], b"").unwrap()
    };
    assert_eq!([request().status, request().status, request().status], [200, 200, 429]);
}

#[test]
fn connections_above_the_limit_are_rejected_and_released() {
    let server = TestServer::with(&[
        ("LIMITS_ENABLED", "true"),
        ("LIMITS_CONNECTIONS", "3"),
        ("LIMITS_CONNECTIONS_PER_ADDRESS", "2"),
    ]);
    let here = options();
    let there = Options { source: elsewhere(), ..options() };
    let first = eventually(&server, &here);
    let _second = eventually(&server, &here);
    assert!(matches!(connect_error(Client::open(server.addr, here.clone())), Error::Upgrade(429)));
    let answer = http(server.addr, "GET", "/readyz", &[], b"").unwrap();
    let rejection: Value = answer.json().unwrap();
    assert_eq!((answer.status, &rejection["code"]), (429, &json!("rate_limited")));
    let third = eventually(&server, &there);
    assert!(matches!(connect_error(Client::open(server.addr, there.clone())), Error::Upgrade(503)));
    let answer = http_from(elsewhere(), server.addr, "GET", "/readyz", &[], b"").unwrap();
    let rejection: Value = answer.json().unwrap();
    assert_eq!((answer.status, &rejection["code"]), (503, &json!("overloaded")));
    // A full server is alive: the health check still succeeds.
    for source in [None, Some(elsewhere())] {
        let answer = match source {
            None => http(server.addr, "GET", "/healthz", &[], b"").unwrap(),
            Some(source) => http_from(source, server.addr, "GET", "/healthz", &[], b"").unwrap(),
        };
        assert_eq!((answer.status, answer.text().as_str()), (200, "ok"));
    }
    // Each way of ending a connection releases its slot.
    first.close().unwrap();
    let mut again = eventually(&server, &here);
    again.send_bytes(&[0xff, 0xff]).unwrap();
    assert_eq!(again.closed().unwrap(), 1002);
    drop(again);
    let again = eventually(&server, &here);
    again.reset();
    drop(third);
    eventually(&server, &there);
}

/// Retries until a slot is released, which may take a moment; each attempt is a round trip.
fn eventually(server: &TestServer, options: &Options) -> Client {
    let begin = std::time::Instant::now();
    loop {
        match Client::open(server.addr, options.clone()) {
            Ok(client) => return client,
            Err(error) => assert!(begin.elapsed() < WAIT_TIMEOUT, "{error}"),
        }
    }
}

#[test]
fn command_with_wrong_room_gets_the_matching_error() {
    let server = TestServer::open();
    let mut li = server.guest();
    let mut ann = server.guest();
    ann.join("tea").unwrap();
    for (room, code) in [
        ("nowhere", "room_not_found"),
        ("r999", "room_not_found"),
        ("tea", "not_a_member"),
        ("a b", "invalid_name"),
        ("r18446744073709551615", "room_not_found"),
    ] {
        for command in ["leave", "send", "history", "read"] {
            let command = json!({"type":command,"room":room,"seq":1,"client_message_id":"k","body":"x"});
            assert_eq!(li.rejected_with(command.clone()), code, "{command}");
        }
    }
    for body in ["", " ", "\n\t\u{3000}"] {
        assert_eq!(
            li.rejected_with(json!({"type":"send","room":"tea","client_message_id":"k","body":body})),
            "body_empty"
        );
    }
}

#[test]
fn unknown_path_is_404_and_wrong_method_405_in_json() {
    let server = TestServer::open();
    for (method, path, status) in [
        ("GET", "/nope", 404),
        ("GET", "/api/v1/nope", 404),
        ("POST", "/nope", 404),
        ("GET", "/../Cargo.toml", 404),
        ("GET", "//", 404),
        ("GET", "/api/v1/rooms/lobby", 404),
        ("PUT", "/api/v1/session", 405),
        ("POST", "/healthz", 405),
        ("DELETE", "/ws", 405),
        ("POST", "/", 405),
    ] {
        let answer = http(server.addr, method, path, &[], b"").unwrap();
        assert_eq!(answer.status, status, "{method} {path}");
        assert_eq!(answer.header("content-type"), Some("application/json"), "{method} {path}");
        let rejection: Value = answer.json().unwrap();
        assert_eq!((&rejection["code"], &rejection["retryable"]), (&json!("not_found"), &json!(false)));
        assert!(answer.header("allow").is_some() == (status == 405), "{method} {path}: {answer:?}");
    }
}
