//! The operations over HTTP: each of them once, each kind of error, and state shared with WebSocket connections.

use client::{Response, http};
use protocol::{EventKind, EventPage};
use serde_json::{Value, json};

use crate::client_ext::ClientExt;
use crate::server::TestServer;

/// A user of the HTTP API.
pub(crate) struct HttpUser<'s> {
    server: &'s TestServer,
    bearer: String,
}

impl<'s> HttpUser<'s> {
    pub(crate) fn new(server: &'s TestServer, name: &str) -> Self {
        Self::of(server, &server.token(name))
    }

    pub(crate) fn of(server: &'s TestServer, token: &str) -> Self {
        HttpUser { server, bearer: format!("Bearer {token}") }
    }

    fn request(&self, method: &str, path: &str, body: &str) -> Response {
        http(self.server.addr, method, path, &[("Authorization", &self.bearer)], body.as_bytes()).unwrap()
    }

    pub(crate) fn get(&self, path: &str) -> (u16, Value) {
        answer(&self.request("GET", path, ""))
    }

    pub(crate) fn post(&self, path: &str, body: Value) -> (u16, Value) {
        answer(&self.request("POST", path, &body.to_string()))
    }

    pub(crate) fn put(&self, path: &str, body: Value) -> (u16, Value) {
        answer(&self.request("PUT", path, &body.to_string()))
    }

    fn send(&self, key: &str, body: &str) -> (u16, Value) {
        self.post("/api/v1/rooms/lobby/messages", json!({"client_message_id":key,"body":body}))
    }
}

fn answer(response: &Response) -> (u16, Value) {
    (response.status, response.json().unwrap())
}

/// The status and the code of an error response, after a check of its fields.
pub(crate) fn rejection((status, body): (u16, Value)) -> (u16, String) {
    assert!(body["message"].is_string() && body["retryable"].is_boolean(), "{body}");
    (status, body["code"].as_str().unwrap_or_else(|| panic!("{body}")).to_owned())
}

#[test]
fn every_operation_with_a_route_works_over_http() {
    let server = TestServer::open();
    let li = HttpUser::new(&server, "Li");
    let (status, joined) = li.post("/api/v1/rooms/%E8%8C%B6%E9%A6%86/join", json!({}));
    assert_eq!((status, &joined["name"], &joined["head"]), (200, &json!("茶馆"), &json!(1)));
    let room = joined["room"].as_str().unwrap().to_owned();
    let message = json!({"client_message_id":"k1","body":"你好"});
    let sent = li.post(&format!("/api/v1/rooms/{room}/messages"), message);
    assert_eq!(sent, (201, json!({"seq":2})));
    let (status, page) = li.get(&format!("/api/v1/rooms/{room}/events?after=1&limit=5"));
    assert_eq!((status, &page["events"][0]["body"]), (200, &json!("你好")));
    assert_eq!(
        li.put(&format!("/api/v1/rooms/{room}/read"), json!({"seq":2})),
        (200, json!({"seq":2,"n":1}))
    );
    assert_eq!(li.put("/api/v1/name", json!({"name":"李雷"})), (200, json!({"name":"李雷"})));
    let (status, page) = li.get("/api/v1/rooms?joined=true&limit=10");
    assert_eq!((status, &page["rooms"][0]["read"]), (200, &json!({"seq":2,"n":1})));
    assert_eq!(page["rooms"].as_array().unwrap().len(), 1);
    let online = li.get(&format!("/api/v1/rooms/{room}/online"));
    assert_eq!(online, (200, json!({"count":0,"users":[]})), "no connection has it open");
    // member_joined, message, renamed, member_left
    assert_eq!(li.post(&format!("/api/v1/rooms/{room}/leave"), json!({})), (200, json!({"seq":4})));
    assert_eq!(li.get("/api/v1/rooms?joined=true"), (200, json!({"rooms":[]})));
}

#[test]
fn repeated_send_returns_the_first_seq_on_both_transports() {
    let server = TestServer::open();
    let (mut socket, token) = server.user("Li");
    let li = HttpUser::of(&server, &token);
    socket.join("lobby").unwrap();
    assert_eq!(li.send("a", "over HTTP"), (201, json!({"seq":2})));
    assert_eq!(li.send("a", "over HTTP"), (200, json!({"seq":2})));
    let room = protocol::RoomId(1);
    assert_eq!(socket.send_body_with_key(room, "a", "over HTTP").unwrap().0, 2);
    assert_eq!(socket.send_body_with_key(room, "b", "over WebSocket").unwrap().0, 3);
    assert_eq!(li.send("b", "over WebSocket"), (200, json!({"seq":3})));
    assert_eq!(rejection(li.send("b", "another")), (409, "key_conflict".to_owned()));
}

#[test]
fn connections_receive_what_is_done_over_http() {
    let server = TestServer::open();
    let (mut socket, token) = server.user("Li");
    let li = HttpUser::of(&server, &token);
    let mut ann = server.guest();
    ann.join("lobby").unwrap();
    assert_eq!(li.post("/api/v1/rooms/lobby/join", json!({})).0, 200);
    let joined = ann.next_event().unwrap();
    assert!(matches!(joined.kind, EventKind::MemberJoined { .. }) && joined.by.id == socket.user_id());
    // Nothing is appended: the user is a member already.
    assert_eq!(socket.join("lobby").unwrap().head, joined.seq);
    assert_eq!(li.put("/api/v1/name", json!({"name":"Lei"})).0, 200);
    for client in [&mut socket, &mut ann] {
        assert!(matches!(client.next_event().unwrap().kind, EventKind::Renamed { .. }));
    }
    let who = ann.request(json!({"type":"who","room":"lobby"}));
    assert!(who["users"].as_array().unwrap().iter().any(|user| user["name"] == "Lei"), "{who}");
    assert_eq!(li.get("/api/v1/rooms/lobby/online").1, json!({"count":who["count"],"users":who["users"]}));
    assert_eq!(li.post("/api/v1/rooms/lobby/leave", json!({})).0, 200);
    for client in [&mut socket, &mut ann] {
        assert!(matches!(client.next_event().unwrap().kind, EventKind::MemberLeft {}));
    }
    ann.send_body(protocol::RoomId(1), "after the end").unwrap();
    assert!(socket.received().iter().all(|frame| !frame.to_json().contains("after the end")));
    assert_eq!(socket.rejected_with(json!({"type":"typing","room":"lobby"})), "not_a_member");
}

#[test]
fn invalid_http_request_gets_the_matching_error() {
    let server = TestServer::open();
    let li = HttpUser::new(&server, "Li");
    li.post("/api/v1/rooms/lobby/join", json!({}));
    let message = |key: &str, body: &str| json!({"client_message_id":key,"body":body});
    for (method, path, body, status, code) in [
        ("GET", "/api/v1/rooms/r99/events", json!({}), 404, "room_not_found"),
        ("GET", "/api/v1/rooms/nowhere/online", json!({}), 404, "room_not_found"),
        ("POST", "/api/v1/rooms/r99/join", json!({}), 404, "room_not_found"),
        ("GET", "/api/v1/rooms/a%20b/events", json!({}), 400, "invalid_name"),
        ("GET", "/api/v1/rooms/%FF/events", json!({}), 400, "invalid_name"),
        ("GET", "/api/v1/rooms/lobby/events?after=x", json!({}), 400, "malformed"),
        ("GET", "/api/v1/rooms/lobby/events?after=1&before=2", json!({}), 400, "malformed"),
        ("GET", "/api/v1/rooms/lobby/events?after=1&after=2", json!({}), 400, "malformed"),
        ("GET", "/api/v1/rooms?joined=perhaps", json!({}), 400, "malformed"),
        ("POST", "/api/v1/rooms/lobby/messages", json!({"body":"no key"}), 400, "malformed"),
        ("POST", "/api/v1/rooms/lobby/messages", json!([1]), 400, "malformed"),
        ("POST", "/api/v1/rooms/lobby/messages", message("", "x"), 400, "malformed"),
        ("POST", "/api/v1/rooms/lobby/messages", message("k", " "), 400, "body_empty"),
        ("POST", "/api/v1/rooms/lobby/messages", message("k", &"x".repeat(9000)), 413, "body_too_long"),
        ("POST", "/api/v1/rooms/lobby/messages", message("k", &"x".repeat(90_000)), 413, "body_too_long"),
        ("PUT", "/api/v1/rooms/lobby/read", json!({"seq":-1}), 400, "malformed"),
        ("PUT", "/api/v1/name", json!({"name":"a:b"}), 400, "invalid_name"),
    ] {
        let found = rejection(answer(&li.request(method, path, &body.to_string())));
        assert_eq!(found, (status, code.to_owned()), "{method} {path} {body}");
    }
    let ann = HttpUser::new(&server, "Ann");
    for (method, path, body) in [
        ("GET", "/api/v1/rooms/lobby/events", json!({})),
        ("GET", "/api/v1/rooms/lobby/online", json!({})),
        ("POST", "/api/v1/rooms/lobby/messages", message("k", "x")),
        ("POST", "/api/v1/rooms/lobby/leave", json!({})),
        ("PUT", "/api/v1/rooms/lobby/read", json!({"seq":1})),
    ] {
        let found = rejection(answer(&ann.request(method, path, &body.to_string())));
        assert_eq!(found, (403, "not_a_member".to_owned()), "{method} {path}");
    }
}

#[test]
fn request_without_session_is_unauthorized() {
    let server = TestServer::open();
    let own = format!("http://{}", server.addr);
    let session = http(server.addr, "POST", "/api/v1/session", &[("Origin", &own)], b"").unwrap();
    let cookie = session.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let status = |method: &str, path: &str, headers: &[(&str, &str)]| {
        let response = http(server.addr, method, path, headers, b"{}").unwrap();
        (response.status != 200).then(|| rejection(answer(&response)))
    };
    let join = "/api/v1/rooms/lobby/join";
    let unauthorized = Some((401, "unauthorized".to_owned()));
    assert_eq!(status("POST", join, &[]), unauthorized);
    assert_eq!(status("GET", "/api/v1/rooms", &[]), unauthorized);
    // A form on another site sends the cookie automatically.
    assert_eq!(status("POST", join, &[("Cookie", &cookie)]), unauthorized);
    let foreign = [("Origin", "https://evil.example"), ("Cookie", cookie.as_str())];
    assert_eq!(status("POST", join, &foreign), Some((403, "forbidden_origin".to_owned())));
    assert_eq!(status("POST", join, &[("Origin", &own), ("Cookie", &cookie)]), None);
    assert_eq!(status("GET", "/api/v1/rooms", &[("Cookie", &cookie)]), None);
}

#[test]
fn both_transports_share_the_rate_limits() {
    let limits = [
        ("LIMITS_ENABLED", "true"),
        ("LIMITS_MESSAGES", "0.001/h burst 2"),
        ("LIMITS_NEW_ROOMS", "0.001/h burst 1"),
    ];
    let server = TestServer::with(&limits);
    let token = server.token("Li");
    let li = HttpUser::of(&server, &token);
    li.post("/api/v1/rooms/lobby/join", json!({}));
    assert_eq!(li.send("a", "one").0, 201);
    let mut socket = server.reconnect(&token);
    let room = socket.join("lobby").unwrap().info.room;
    socket.send_body(room, "two").unwrap();
    let (status, body) = li.send("c", "three");
    assert!(body["retry_after_ms"].as_u64().unwrap() > 1000, "{body}");
    assert_eq!(rejection((status, body)), (429, "rate_limited".to_owned()));
    // Joining an existing room is free; the first new room is within the limit, the second exceeds it.
    assert_eq!(li.post("/api/v1/rooms/lobby/join", json!({})).0, 200);
    assert_eq!(li.post("/api/v1/rooms/first/join", json!({})).0, 200);
    assert_eq!(li.post("/api/v1/rooms/first/join", json!({})).0, 200);
    assert_eq!(rejection(li.post("/api/v1/rooms/second/join", json!({}))).0, 429);
    assert_eq!(socket.rejected_with(json!({"type":"join","room":"second"})), "rate_limited");
}

#[test]
fn guest_is_stored_at_the_first_durable_http_operation() {
    let mut server = TestServer::open();
    let (joined, renamed, inactive) = (server.token("Li"), server.token("Ann"), server.token("Bob"));
    assert_eq!(HttpUser::of(&server, &joined).post("/api/v1/rooms/lobby/join", json!({})).0, 200);
    assert_eq!(HttpUser::of(&server, &renamed).put("/api/v1/name", json!({"name":"Han"})).0, 200);
    assert_eq!(HttpUser::of(&server, &inactive).get("/api/v1/rooms").0, 200);
    server.restart();
    for (token, name) in [(&joined, Some("Li")), (&renamed, Some("Han")), (&inactive, None)] {
        let (status, session) = HttpUser::of(&server, token).get("/api/v1/session");
        assert_eq!(
            (status, session["user"]["name"].as_str()),
            (if name.is_some() { 200 } else { 401 }, name)
        );
    }
}

#[test]
fn ended_session_has_no_further_effect() {
    let server = TestServer::open();
    for _ in 0..10 {
        let token = server.token("Li");
        let li = HttpUser::of(&server, &token);
        std::thread::scope(|scope| {
            scope.spawn(|| while li.post("/api/v1/rooms/lobby/join", json!({})).0 == 200 {});
            assert_eq!(li.request("DELETE", "/api/v1/session", "").status, 204);
        });
        assert_eq!(li.get("/api/v1/rooms").0, 401);
    }
    // Every user who had joined has left.
    let mut ann = server.guest();
    ann.join("lobby").unwrap();
    let reply = ann.call(&protocol::Command::History(protocol::History {
        room: "lobby".parse().unwrap(),
        after: Some(protocol::Seq(0)),
        before: None,
        limit: Some(500),
    }));
    let page: EventPage = reply.unwrap().ok().unwrap();
    let joined = |event: &&protocol::Event| matches!(event.kind, EventKind::MemberJoined { .. });
    let (joined, others): (Vec<_>, Vec<_>) = page.events.iter().partition(joined);
    let left = others.iter().filter(|event| matches!(event.kind, EventKind::MemberLeft {})).count();
    assert_eq!(joined.len(), left + 1, "all but Ann have left");
}

#[test]
fn document_and_its_page_are_public_and_self_contained() {
    let server = TestServer::open();
    let document: Value = server.get("/api/v1/openapi.json").json().unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["paths"]["/api/v1/rooms/{room}/messages"]["post"]["operationId"], "send");
    for path in ["/api/docs", "/api/docs.css", "/api/docs.js"] {
        let file = server.get(path);
        assert_eq!(file.status, 200, "{path}");
        // The page loads nothing from other hosts.
        assert!(!file.text().contains("http://") && !file.text().contains("https://"), "{path}");
    }
}
