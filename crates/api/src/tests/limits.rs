//! The connection limits over sockets: a rejected client receives a whole response, and holds no slot.

use super::*;

/// A connection that has been accepted.
async fn accepted(server: &TestServer) -> RawClient {
    let mut client = server.connect().await;
    client.write(request_text("GET /metrics", &[], "")).await;
    assert_eq!(client.response().await.status, 200);
    client
}

/// Tries until a connection is accepted; each rejected try is a round trip.
async fn eventually_accepted(server: &TestServer) {
    let trying = async {
        loop {
            if server.get("/metrics", &[]).await.status == 200 {
                return;
            }
        }
    };
    timeout(WAIT_TIMEOUT, trying).await.expect("the slot was not freed");
}

#[tokio::test(flavor = "multi_thread")]
async fn connection_beyond_a_limit_is_429_or_503() {
    let one_per_address = |settings: &mut Settings| settings.connections_per_address = 1;
    let one_in_all = |settings: &mut Settings| settings.connections = 1;
    let cases: [(fn(&mut Settings), _, _); 2] =
        [(one_per_address, 429, "rate_limited"), (one_in_all, 503, "overloaded")];
    for (limit, status, code) in cases {
        let server = TestServer::with(|_, settings| limit(settings));
        let first = accepted(&server).await;
        let mut second = server.connect().await;
        second.write(request_text("GET /metrics", &[], "")).await;
        assert_eq!(second.response().await.rejection(), (status, code.to_owned()));
        assert_eq!(second.rest().await, "", "it is closed");
        drop(first);
        eventually_accepted(&server).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_rejected_clients_do_not_block_rejections() {
    let server = TestServer::with(|_, settings| settings.connections = 1);
    let _first = accepted(&server).await;
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(server.connect().await);
    }
    // They send nothing, and stay connected after the response.
    for client in &mut silent {
        assert_eq!(client.response().await.rejection(), (503, "overloaded".to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn websocket_holds_its_slot_until_it_ends() {
    let server = TestServer::with(|_, settings| settings.connections = 1);
    let mut client = server.connect().await;
    client.write(upgrade_with(&[JSON_PROTOCOL])).await;
    assert_eq!(client.response().await.status, 101);
    client.next_of("welcome").await;
    assert_eq!(server.get("/metrics", &[]).await.status, 503);
    drop(client);
    eventually_accepted(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn disabled_limits_reject_nothing() {
    let server = TestServer::with(|_, settings| {
        settings.connections = u32::MAX;
        settings.connections_per_address = u32::MAX;
        settings.guest_creation = None;
    });
    let _first = accepted(&server).await;
    let _second = accepted(&server).await;
    for _ in 0..3 {
        server.guest().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn guests_of_one_address_share_a_rate_on_all_routes() {
    let server = TestServer::with(|_, settings| settings.guest_creation = Some(at_most(2)));
    let token = server.guest().await;
    let mut client = server.connect().await;
    client.write(upgrade_with(&[])).await;
    assert_eq!(client.response().await.status, 101);
    let limited = (429, "rate_limited".to_owned());
    assert_eq!(server.request("POST /api/v1/session", &[], "").await.rejection(), limited);
    let response = server.get("/ws", &UPGRADE).await;
    assert_eq!(response.rejection(), limited);
    assert!(response.json()["retry_after_ms"].as_u64().unwrap() > 1000);
    // A client with a session creates no guest.
    let bearer = format!("Authorization: Bearer {token}");
    let mut client = server.connect().await;
    client.write(upgrade_with(&[&bearer])).await;
    assert_eq!(client.response().await.status, 101);
}

#[tokio::test(flavor = "multi_thread")]
async fn port_in_use_is_one_clear_line() {
    let server = TestServer::start();
    let error = listen(server.address).unwrap_err();
    assert_eq!(
        format!("{error:#}"),
        format!(
            "cannot listen on {}: address in use; is another server running? choose another with --listen",
            server.address
        )
    );
    let error = listen("192.0.2.1:9999".parse().unwrap()).unwrap_err();
    assert!(format!("{error:#}").contains("this machine has no such address"), "{error:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_closes_the_port_and_answers_connected_clients() {
    let server = TestServer::start();
    let mut connected = accepted(&server).await;
    server.gateway.begin_stopping();
    server.serving.stop_accepting();
    let closed = async { while TcpStream::connect(server.address).await.is_ok() {} };
    timeout(WAIT_TIMEOUT, closed).await.expect("the port is still open");
    connected.write(request_text("GET /readyz", &[], "")).await;
    assert_eq!(connected.response().await.rejection(), (503, "shutting_down".to_owned()));
    connected.write(request_text("POST /api/v1/session", &[], "")).await;
    assert_eq!(connected.response().await.rejection(), (503, "shutting_down".to_owned()));
    connected.write(upgrade_with(&[])).await;
    assert_eq!(connected.response().await.rejection(), (503, "shutting_down".to_owned()));
    timeout(WAIT_TIMEOUT, server.serving.finish(WAIT_TIMEOUT * 2))
        .await
        .expect("an idle connection blocks the stop");
    assert_eq!(connected.rest().await, "");
}
