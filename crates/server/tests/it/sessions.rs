//! Sessions: tokens, cookies, origins, and logout.

use client::{Client, Error, Options, Received, Response, http, new_session};
use protocol::EventKind;
use serde_json::{Value, json};

use crate::client_ext::{ClientExt, WAIT_TIMEOUT, bearer, connect_error, options};
use crate::server::TestServer;

fn session(server: &TestServer, method: &str, headers: &[(&str, &str)], body: &str) -> Response {
    http(server.addr, method, "/api/v1/session", headers, body.as_bytes()).unwrap()
}

fn with_token(server: &TestServer, method: &str, token: &str) -> Response {
    session(server, method, &[("Authorization", &format!("Bearer {token}"))], "")
}

fn cookie_of(answer: &Response) -> String {
    answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned()
}

#[test]
fn program_gets_a_token_and_no_cookie() {
    let server = TestServer::open();
    let answer = session(&server, "POST", &[], r#"{"name":"李雷"}"#);
    assert_eq!((answer.status, answer.header("set-cookie")), (201, None));
    let made: Value = answer.json().unwrap();
    assert_eq!(made["user"]["name"], "李雷");
    let token = made["token"].as_str().unwrap();
    assert_eq!(token.len(), 43, "256 bits");
    let found: Value = with_token(&server, "GET", token).json().unwrap();
    assert_eq!(found, json!({"user":made["user"]}));
    assert_eq!(json!(server.reconnect(token).user_id()), made["user"]["id"]);
    assert_eq!(with_token(&server, "DELETE", token).status, 204);
    for method in ["GET", "DELETE"] {
        assert_eq!(with_token(&server, method, token).status, 401);
    }
    assert!(matches!(connect_error(Client::open(server.addr, bearer(token))), Error::Upgrade(401)));
}

#[test]
fn browser_gets_a_cookie_and_no_token() {
    let server = TestServer::open();
    let origin = format!("http://{}", server.addr);
    let answer = session(&server, "POST", &[("Origin", &origin)], r#"{"name":"Li"}"#);
    let made: Value = answer.json().unwrap();
    assert_eq!((answer.status, made.get("token")), (201, None));
    let header = answer.header("set-cookie").unwrap();
    for part in ["teahouse_session=", "HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(header.contains(part), "{header}");
    }
    assert!(!header.contains("Secure"), "the page is not https: {header}");
    let cookie = cookie_of(&answer);
    let again =
        session(&server, "POST", &[("Origin", &origin), ("Cookie", &cookie)], r#"{"name":"Another"}"#);
    assert_eq!((again.status, again.json::<Value>().unwrap()), (200, made.clone()));
    let client = Client::connect(
        server.addr,
        Options { origin: Some(origin.clone()), cookie: Some(cookie.clone()), ..options() },
    );
    assert_eq!(json!(client.unwrap().user_id()), made["user"]["id"]);
    let ended = session(&server, "DELETE", &[("Origin", &origin), ("Cookie", &cookie)], "");
    assert_eq!(ended.status, 204);
    assert!(ended.header("set-cookie").unwrap().contains("Max-Age=0"));
    assert_eq!(session(&server, "GET", &[("Cookie", &cookie)], "").status, 401);
    let fresh = session(&server, "POST", &[("Origin", &origin), ("Cookie", &cookie)], "");
    assert_eq!(fresh.status, 201, "an invalid cookie is replaced");
    let secure = session(&server, "POST", &[("Origin", "https://tea.example"), ("Host", "tea.example")], "");
    assert!(secure.header("set-cookie").unwrap().contains("Secure"), "behind a proxy that ends TLS");
}

#[test]
fn foreign_page_is_rejected_and_listed_page_is_a_guest() {
    let server = TestServer::with(&[("ALLOWED_ORIGINS", "https://listed.example")]);
    let own = format!("http://{}", server.addr);
    let made = session(&server, "POST", &[("Origin", &own)], "");
    let cookie = cookie_of(&made);
    let li = made.json::<Value>().unwrap()["user"]["id"].clone();
    let upgrade = |origin: &str| {
        Client::connect(
            server.addr,
            Options { origin: Some(origin.to_owned()), cookie: Some(cookie.clone()), ..options() },
        )
    };
    for foreign in
        ["https://evil.example", "null", "http://listed.example", "https://listed.example.evil.example"]
    {
        assert!(matches!(connect_error(upgrade(foreign)), Error::Upgrade(403)), "{foreign}");
        for method in ["GET", "POST", "DELETE"] {
            let answer = session(&server, method, &[("Origin", foreign), ("Cookie", &cookie)], "");
            let rejection: Value = answer.json().unwrap();
            assert_eq!(
                (answer.status, &rejection["code"]),
                (403, &json!("forbidden_origin")),
                "{method} {foreign}"
            );
        }
    }
    let listed = "https://listed.example";
    assert_ne!(json!(upgrade(listed).unwrap().user_id()), li, "the cookie is ignored for a listed origin");
    let answer = session(&server, "POST", &[("Origin", listed), ("Cookie", &cookie)], "");
    assert_eq!((answer.status, answer.header("set-cookie")), (201, None));
    assert_eq!(session(&server, "DELETE", &[("Origin", listed), ("Cookie", &cookie)], "").status, 401);
    assert_eq!(json!(upgrade(&own).unwrap().user_id()), li, "the cookie of the own page stays valid");
    // A form on another site sends the cookie automatically; without an origin it ends no session.
    assert_eq!(session(&server, "DELETE", &[("Cookie", &cookie)], "").status, 401);
    assert_eq!(session(&server, "GET", &[("Cookie", &cookie)], "").status, 200);
}

#[test]
fn malformed_token_is_rejected_and_makes_no_guest() {
    let server = TestServer::open();
    for bad in ["x", "", &"A".repeat(43), &"A".repeat(5000)] {
        for protocol in [Some(Options::JSON.to_owned()), None] {
            let options = Options { protocol, ..bearer(bad) };
            assert!(
                matches!(connect_error(Client::open(server.addr, options)), Error::Upgrade(401)),
                "{bad}"
            );
        }
        assert_eq!(with_token(&server, "GET", bad).status, 401);
    }
    let cookie = Options { cookie: Some("teahouse_session=x".to_owned()), ..options() };
    assert!(matches!(connect_error(Client::open(server.addr, cookie)), Error::Upgrade(401)));
}

#[test]
fn malformed_session_request_is_rejected() {
    let server = TestServer::open();
    for (body, status, code) in [
        (r#"{"name":"a:b"}"#, 400, "invalid_name"),
        (r#"{"name":""}"#, 400, "invalid_name"),
        (r#"{"name":7}"#, 400, "malformed"),
        ("{", 400, "malformed"),
        ("[]", 400, "malformed"),
        (&format!(r#"{{"name":"{}"}}"#, "x".repeat(100_000)), 413, "body_too_long"),
    ] {
        let answer = session(&server, "POST", &[], body);
        let rejection: Value = answer.json().unwrap();
        assert_eq!((answer.status, &rejection["code"]), (status, &json!(code)), "{rejection}");
    }
    for body in ["", "{}", r#"{"name":null,"x":1}"#] {
        let made: Value = session(&server, "POST", &[], body).json().unwrap();
        assert!(!made["user"]["name"].as_str().unwrap().is_empty(), "the server generates a name");
    }
    let made: Value = session(&server, "POST", &[("Accept-Language", "zh-CN")], "").json().unwrap();
    assert!(!made["user"]["name"].as_str().unwrap().is_ascii(), "in Chinese: {made}");
}

#[test]
fn logout_closes_every_connection_before_its_reply() {
    let server = TestServer::open();
    let (mut li, token) = server.user("Li");
    let mut also_li = server.reconnect(&token);
    let mut line = server.lines(bearer(&token));
    let mut ann = server.guest();
    let room = ann.join("lobby").unwrap().info.room;
    li.join("lobby").unwrap();
    also_li.join("lobby").unwrap();
    let who = li.user_id();
    for number in 0..200 {
        ann.start(&crate::resume::message_command(room, &number.to_string())).unwrap();
    }
    assert_eq!(with_token(&server, "DELETE", &token).status, 204);
    ann.send_body(room, "after the logout").unwrap();
    for client in [&mut li, &mut also_li, &mut line] {
        loop {
            match client.next_message(WAIT_TIMEOUT).unwrap() {
                Received::Text(text) => assert!(!text.contains("after the logout"), "{text}"),
                Received::Close(code, _) => {
                    assert_eq!(code, 4100);
                    break;
                }
                Received::Ping(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }
    // No token of Li is left, so Li leaves.
    ann.event_where(|event| event.by.id == who && matches!(event.kind, EventKind::MemberLeft {})).unwrap();
}

#[test]
fn connection_during_logout_is_closed() {
    let server = TestServer::open();
    for round in 0..15 {
        let (mut li, token) = server.user("Li");
        // Every other user is stored.
        if round % 2 == 0 {
            li.join("lobby").unwrap();
        }
        let mut arrived = std::thread::scope(|scope| {
            let arrivals: Vec<_> = (0..3)
                .map(|_| {
                    scope.spawn(|| {
                        let mut arrived = Vec::new();
                        while let Ok(client) = Client::open(server.addr, bearer(&token)) {
                            arrived.push(client);
                        }
                        arrived
                    })
                })
                .collect();
            assert_eq!(with_token(&server, "DELETE", &token).status, 204);
            arrivals.into_iter().flat_map(|arrivals| arrivals.join().unwrap()).collect::<Vec<_>>()
        });
        arrived.push(li);
        for client in &mut arrived {
            assert_eq!(client.closed().unwrap(), 4100);
        }
    }
}

#[test]
fn ended_token_stays_invalid() {
    let mut server = TestServer::open();
    let mut tokens = Vec::new();
    for number in 0..20 {
        let token = server.token("Li");
        let mut li = server.reconnect(&token);
        // While the join that would store the session is in flight, after it, or without one.
        match number % 3 {
            0 => li.send_text(r#"{"type":"join","id":1,"room":"lobby"}"#).unwrap(),
            1 => drop(li.join("lobby").unwrap()),
            _ => {}
        }
        assert_eq!(with_token(&server, "DELETE", &token).status, 204);
        tokens.push(token);
    }
    for _ in 0..2 {
        for token in &tokens {
            assert_eq!(with_token(&server, "GET", token).status, 401);
            assert!(matches!(connect_error(Client::open(server.addr, bearer(token))), Error::Upgrade(401)));
        }
        server.restart();
    }
}

#[test]
fn guest_is_stored_at_the_first_join() {
    let mut server = TestServer::open();
    let inactive = server.token("Inactive");
    let joined = server.token("Joined");
    let before = server.reconnect(&inactive).user_id();
    assert_eq!(server.reconnect(&inactive).user_id(), before, "until the restart");
    server.reconnect(&joined).join("lobby").unwrap();
    server.restart();
    assert_eq!(with_token(&server, "GET", &inactive).status, 401);
    let found: Value = with_token(&server, "GET", &joined).json().unwrap();
    assert_eq!(found["user"]["name"], "Joined");
    let fresh = new_session(server.addr, None).unwrap().0;
    assert!(fresh.id > before, "ids are not reused");
}

#[test]
fn tokens_are_neither_stored_nor_logged() {
    let mut server = TestServer::with(&[("LOG", "trace")]);
    let (mut li, token) = server.user("Somebody");
    let room = li.join("lobby").unwrap().info.room;
    li.send_body(room, "a body that can be found").unwrap();
    let origin = format!("http://{}", server.addr);
    let cookie = cookie_of(&session(&server, "POST", &[("Origin", &origin)], ""));
    let secret = cookie.split('=').nth(1).unwrap().to_owned();
    let by_cookie = Options { origin: Some(origin), cookie: Some(cookie), ..options() };
    Client::connect(server.addr, by_cookie).unwrap().join("lobby").unwrap();
    let search = |server: &TestServer, needle: &[u8]| {
        server.stored_bytes().windows(needle.len()).any(|found| found == needle)
    };
    for running in [true, false] {
        if !running {
            server.stop();
        }
        assert!(search(&server, b"a body that can be found"), "the search finds what is stored");
        for token in [&token, &secret] {
            assert!(!search(&server, token.as_bytes()));
            let raw =
                base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, token).unwrap();
            assert!(!search(&server, &raw));
            assert!(!server.log().contains(token.as_str()));
        }
        assert!(!server.log().contains("a body that can be found"), "message bodies are not logged");
    }
}
