//! The upgrade from a request to a WebSocket.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn upgrade_response_has_the_subprotocol_and_accept_key() {
    let server = TestServer::start();
    let mut client = server.connect().await;
    client.write(upgrade_with(&["Sec-WebSocket-Protocol: chat, teahouse.v1.json"])).await;
    let response = client.response().await;
    assert_eq!(response.status, 101);
    assert_eq!(response.headers["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_eq!(response.headers["sec-websocket-protocol"], "teahouse.v1.json");
    assert!(!response.headers.contains_key("sec-websocket-extensions"));
    let welcome = client.next_of("welcome").await;
    assert!(welcome["you"]["name"].as_str().unwrap().is_ascii());
}

#[tokio::test(flavor = "multi_thread")]
async fn frame_sent_right_after_the_request_is_not_lost() {
    let server = TestServer::start();
    let mut client = server.connect().await;
    let mut bytes = upgrade_with(&[JSON_PROTOCOL]).into_bytes();
    bytes.extend(frame(r#"{"type":"ping","id":7}"#));
    client.write(bytes).await;
    assert_eq!(client.response().await.status, 101);
    assert_eq!(client.next_of("ok").await["id"], 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn upgrade_without_subprotocol_uses_plain_text_and_language() {
    let server = TestServer::start();
    for (language, part) in [("Accept-Language: zh", "欢迎"), ("Accept-Language: de", "welcome")] {
        let mut client = server.connect().await;
        client.write(upgrade_with(&[language])).await;
        let response = client.response().await;
        assert_eq!(response.status, 101);
        assert!(!response.headers.contains_key("sec-websocket-protocol"));
        let line = client.next_text().await;
        assert!(line.starts_with("* ") && line.contains(part), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn upgrade_with_a_session_has_its_user() {
    let server =
        TestServer::with(|_, settings| settings.allowed_origins.push("https://listed.example".to_owned()));
    let created =
        server.request("POST /api/v1/session", &["Origin: http://chat.example"], "{\"name\":\"李雷\"}").await;
    let cookie = format!("Cookie: {}", created.headers["set-cookie"].split(';').next().unwrap());
    let known = created.json()["user"].clone();
    for (headers, same) in [
        (vec!["Origin: http://chat.example", cookie.as_str()], true),
        (vec![cookie.as_str()], true),
        (vec!["Origin: https://listed.example", cookie.as_str()], false),
        (vec!["Origin: http://chat.example"], false),
    ] {
        let mut client = server.connect().await;
        client.write(upgrade_with(&[&headers[..], &[JSON_PROTOCOL]].concat())).await;
        assert_eq!(client.response().await.status, 101, "{headers:?}");
        let you = client.next_of("welcome").await["you"].clone();
        assert_eq!(you == known, same, "{headers:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stored_guest_is_found_in_the_store() {
    let server = TestServer::start();
    let token = server.guest().await;
    let bearer = format!("Authorization: Bearer {token}");
    let mut client = server.connect().await;
    client.write(upgrade_with(&[JSON_PROTOCOL, &bearer])).await;
    client.response().await;
    client.send_frame(r#"{"type":"rename","id":1,"name":"韩梅梅"}"#).await;
    client.next_of("ok").await;
    client.send_frame(r#"{"type":"join","id":2,"room":"lobby"}"#).await;
    client.next_of("joined").await;
    let hash = crate::token::Token::parse(&token).unwrap().hash();
    assert_eq!(server.gateway.sessions().provisional(&hash), None);
    let known = server.get("/api/v1/session", &[&bearer]).await;
    assert_eq!(known.json()["user"]["name"], "韩梅梅");
}

/// Blocks all readers of the store until it is dropped.
async fn hold_readers(gateway: &Arc<Gateway>) -> Vec<std::sync::mpsc::Sender<()>> {
    let mut all = Vec::new();
    for _ in 0..gateway.reader_count() {
        let (release, held) = std::sync::mpsc::channel::<()>();
        let (started, is_held) = tokio::sync::oneshot::channel();
        let gateway = Arc::clone(gateway);
        let hold = move |_: &mut dyn storage::Reader| {
            let _ = started.send(());
            held.recv()
        };
        tokio::spawn(async move { gateway.read(hold).await });
        is_held.await.unwrap();
        all.push(release);
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn upgrade_authenticated_during_a_stop_is_rejected() {
    let server = TestServer::start();
    let bearer = format!("Authorization: Bearer {}", server.guest().await);
    let mut client = server.connect().await;
    client.write(upgrade_with(&[JSON_PROTOCOL, &bearer])).await;
    client.response().await;
    client.send_frame(r#"{"type":"join","id":1,"room":"lobby"}"#).await;
    client.next_of("joined").await;
    let held = hold_readers(&server.gateway).await;
    let mut client = server.connect().await;
    client.write(upgrade_with(&[JSON_PROTOCOL, &bearer])).await;
    // Meanwhile the other request waits for the store.
    for _ in 0..100 {
        server.get("/healthz", &[]).await;
    }
    server.gateway.begin_stopping();
    drop(held);
    assert_eq!(client.response().await.rejection(), (503, "shutting_down".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_waits_for_upgrades_and_closes_them() {
    let server = TestServer::start();
    let guard = server.gateway.begin_upgrade().unwrap();
    let gateway = Arc::clone(&server.gateway);
    let stopping = tokio::spawn(async move { gateway.stop().await });
    let stops_upgrades = async {
        while server.gateway.begin_upgrade().is_some() {
            tokio::task::yield_now().await;
        }
    };
    timeout(WAIT_TIMEOUT, stops_upgrades).await.expect("it does not stop");
    // Long enough for a stop that does not wait.
    for _ in 0..100 {
        server.get("/healthz", &[]).await;
    }
    assert!(!stopping.is_finished(), "an upgrade was in progress");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut client = RawClient::connect(listener.local_addr().unwrap()).await;
    let (stream, peer) = listener.accept().unwrap();
    stream.set_nonblocking(true).unwrap();
    let name = protocol::UserName::new("Li").unwrap();
    server.gateway.connect(gateway::UpgradedConnection {
        stream,
        read_ahead: bytes::Bytes::new(),
        identity: gateway::Identity {
            user: protocol::User { id: protocol::UserId(7), name },
            session: None,
            stored: false,
        },
        protocol: gateway::WireProtocol::Json,
        slot: ConnectionLimiter::new(1, 1, Metrics::default())
            .admit(Address::from(peer.ip()))
            .unwrap()
            .into(),
    });
    drop(guard);
    client.next_of("welcome").await;
    assert_eq!(client.take(2).await[0], 0x88);
    assert_eq!(client.rest().await, "\u{3}\u{fffd}retry_within_ms=500");
    timeout(WAIT_TIMEOUT, stopping).await.expect("it stops").unwrap();
}

#[cfg(feature = "echo")]
#[tokio::test(flavor = "multi_thread")]
async fn echo_returns_the_message() {
    let server = TestServer::start();
    let mut client = server.connect().await;
    client.write(request_text("GET /echo", &UPGRADE, "")).await;
    assert_eq!(client.response().await.status, 101);
    client.send_frame("茶").await;
    assert_eq!(client.next_text().await, "茶");
}
