//! The upgrade from a request to a WebSocket.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn upgrade_response_has_the_subprotocol_and_accept_key() {
    let running = Running::start();
    let mut wire = running.connect().await;
    wire.write(upgrade_with(&["Sec-WebSocket-Protocol: chat, teahouse.v1.json"])).await;
    let answer = wire.answer().await;
    assert_eq!(answer.status, 101);
    assert_eq!(answer.headers["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_eq!(answer.headers["sec-websocket-protocol"], "teahouse.v1.json");
    assert!(!answer.headers.contains_key("sec-websocket-extensions"));
    let welcome = wire.next_of("welcome").await;
    assert!(welcome["you"]["name"].as_str().unwrap().is_ascii());
}

#[tokio::test(flavor = "multi_thread")]
async fn frame_sent_right_after_the_request_is_not_lost() {
    let running = Running::start();
    let mut wire = running.connect().await;
    let mut bytes = upgrade_with(&[JSON_PROTOCOL]).into_bytes();
    bytes.extend(frame(r#"{"type":"ping","id":7}"#));
    wire.write(bytes).await;
    assert_eq!(wire.answer().await.status, 101);
    assert_eq!(wire.next_of("ok").await["id"], 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn upgrade_without_subprotocol_uses_plain_text_and_language() {
    let running = Running::start();
    for (language, part) in [("Accept-Language: zh", "欢迎"), ("Accept-Language: de", "welcome")] {
        let mut wire = running.connect().await;
        wire.write(upgrade_with(&[language])).await;
        let answer = wire.answer().await;
        assert_eq!(answer.status, 101);
        assert!(!answer.headers.contains_key("sec-websocket-protocol"));
        let line = wire.next_text().await;
        assert!(line.starts_with("* ") && line.contains(part), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn upgrade_with_a_session_has_its_user() {
    let running =
        Running::with(|_, settings| settings.allowed_origins.push("https://listed.example".to_owned()));
    let created =
        running.ask("POST /api/v1/session", &["Origin: http://chat.example"], "{\"name\":\"李雷\"}").await;
    let cookie = format!("Cookie: {}", created.headers["set-cookie"].split(';').next().unwrap());
    let known = created.json()["user"].clone();
    for (headers, same) in [
        (vec!["Origin: http://chat.example", cookie.as_str()], true),
        (vec![cookie.as_str()], true),
        (vec!["Origin: https://listed.example", cookie.as_str()], false),
        (vec!["Origin: http://chat.example"], false),
    ] {
        let mut wire = running.connect().await;
        wire.write(upgrade_with(&[&headers[..], &[JSON_PROTOCOL]].concat())).await;
        assert_eq!(wire.answer().await.status, 101, "{headers:?}");
        let you = wire.next_of("welcome").await["you"].clone();
        assert_eq!(you == known, same, "{headers:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stored_guest_is_found_in_the_store() {
    let running = Running::start();
    let token = running.guest().await;
    let bearer = format!("Authorization: Bearer {token}");
    let mut wire = running.connect().await;
    wire.write(upgrade_with(&[JSON_PROTOCOL, &bearer])).await;
    wire.answer().await;
    wire.send_frame(r#"{"type":"rename","id":1,"name":"韩梅梅"}"#).await;
    wire.next_of("ok").await;
    wire.send_frame(r#"{"type":"join","id":2,"room":"lobby"}"#).await;
    wire.next_of("joined").await;
    let hash = crate::token::Token::parse(&token).unwrap().hash();
    assert_eq!(running.gateway.sessions().provisional(&hash), None);
    let known = running.get("/api/v1/session", &[&bearer]).await;
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
    let running = Running::start();
    let bearer = format!("Authorization: Bearer {}", running.guest().await);
    let mut wire = running.connect().await;
    wire.write(upgrade_with(&[JSON_PROTOCOL, &bearer])).await;
    wire.answer().await;
    wire.send_frame(r#"{"type":"join","id":1,"room":"lobby"}"#).await;
    wire.next_of("joined").await;
    let held = hold_readers(&running.gateway).await;
    let mut wire = running.connect().await;
    wire.write(upgrade_with(&[JSON_PROTOCOL, &bearer])).await;
    // Meanwhile the other request waits for the store.
    for _ in 0..100 {
        running.get("/healthz", &[]).await;
    }
    running.gateway.begin_stopping();
    drop(held);
    assert_eq!(wire.answer().await.rejection(), (503, "shutting_down".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_waits_for_upgrades_and_closes_them() {
    let running = Running::start();
    let guard = running.gateway.begin_upgrade().unwrap();
    let gateway = Arc::clone(&running.gateway);
    let stopping = tokio::spawn(async move { gateway.stop().await });
    let stops_upgrades = async {
        while running.gateway.begin_upgrade().is_some() {
            tokio::task::yield_now().await;
        }
    };
    timeout(WAIT_TIMEOUT, stops_upgrades).await.expect("it does not stop");
    // Long enough for a stop that does not wait.
    for _ in 0..100 {
        running.get("/healthz", &[]).await;
    }
    assert!(!stopping.is_finished(), "an upgrade was in progress");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut wire = Wire::connect(listener.local_addr().unwrap()).await;
    let (stream, peer) = listener.accept().unwrap();
    stream.set_nonblocking(true).unwrap();
    let name = protocol::UserName::new("Li").unwrap();
    running.gateway.connect(gateway::UpgradedConnection {
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
    wire.next_of("welcome").await;
    assert_eq!(wire.take(2).await[0], 0x88);
    assert_eq!(wire.rest().await, "\u{3}\u{fffd}retry_within_ms=500");
    timeout(WAIT_TIMEOUT, stopping).await.expect("it stops").unwrap();
}

#[cfg(feature = "echo")]
#[tokio::test(flavor = "multi_thread")]
async fn echo_returns_the_message() {
    let running = Running::start();
    let mut wire = running.connect().await;
    wire.write(request("GET /echo", &UPGRADE, "")).await;
    assert_eq!(wire.answer().await.status, 101);
    wire.send_frame("茶").await;
    assert_eq!(wire.next_text().await, "茶");
}
