//! The connection limits over sockets: a rejected client receives a whole response, and holds no slot.

use super::*;

/// A connection that has been accepted.
async fn accepted(running: &Running) -> Wire {
    let mut wire = running.connect().await;
    wire.write(request("GET /metrics", &[], "")).await;
    assert_eq!(wire.answer().await.status, 200);
    wire
}

/// Tries until a connection is accepted; each rejected try is a round trip.
async fn eventually_accepted(running: &Running) {
    let trying = async {
        loop {
            if running.get("/metrics", &[]).await.status == 200 {
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
        let running = Running::with(|_, settings| limit(settings));
        let first = accepted(&running).await;
        let mut second = running.connect().await;
        second.write(request("GET /metrics", &[], "")).await;
        assert_eq!(second.answer().await.rejection(), (status, code.to_owned()));
        assert_eq!(second.rest().await, "", "it is closed");
        drop(first);
        eventually_accepted(&running).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_rejected_clients_do_not_block_rejections() {
    let running = Running::with(|_, settings| settings.connections = 1);
    let _first = accepted(&running).await;
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(running.connect().await);
    }
    // They send nothing, and stay connected after the response.
    for wire in &mut silent {
        assert_eq!(wire.answer().await.rejection(), (503, "overloaded".to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn websocket_holds_its_slot_until_it_ends() {
    let running = Running::with(|_, settings| settings.connections = 1);
    let mut wire = running.connect().await;
    wire.write(upgrade_with(&[JSON_PROTOCOL])).await;
    assert_eq!(wire.answer().await.status, 101);
    wire.next_of("welcome").await;
    assert_eq!(running.get("/metrics", &[]).await.status, 503);
    drop(wire);
    eventually_accepted(&running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn disabled_limits_reject_nothing() {
    let running = Running::with(|_, settings| {
        settings.connections = u32::MAX;
        settings.connections_per_address = u32::MAX;
        settings.guest_creation = None;
    });
    let _first = accepted(&running).await;
    let _second = accepted(&running).await;
    for _ in 0..3 {
        running.guest().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn guests_of_one_address_share_a_rate_on_all_routes() {
    let running = Running::with(|_, settings| settings.guest_creation = Some(at_most(2)));
    let token = running.guest().await;
    let mut wire = running.connect().await;
    wire.write(upgrade_with(&[])).await;
    assert_eq!(wire.answer().await.status, 101);
    let limited = (429, "rate_limited".to_owned());
    assert_eq!(running.ask("POST /api/v1/session", &[], "").await.rejection(), limited);
    let answer = running.get("/ws", &UPGRADE).await;
    assert_eq!(answer.rejection(), limited);
    assert!(answer.json()["retry_after_ms"].as_u64().unwrap() > 1000);
    // A client with a session creates no guest.
    let bearer = format!("Authorization: Bearer {token}");
    let mut wire = running.connect().await;
    wire.write(upgrade_with(&[&bearer])).await;
    assert_eq!(wire.answer().await.status, 101);
}

#[tokio::test(flavor = "multi_thread")]
async fn port_in_use_is_one_clear_line() {
    let running = Running::start();
    let error = listen(running.address).unwrap_err();
    assert_eq!(
        format!("{error:#}"),
        format!(
            "cannot listen on {}: address in use; is another server running? choose another with --listen",
            running.address
        )
    );
    let error = listen("192.0.2.1:9999".parse().unwrap()).unwrap_err();
    assert!(format!("{error:#}").contains("this machine has no such address"), "{error:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_closes_the_port_and_answers_connected_clients() {
    let running = Running::start();
    let mut connected = accepted(&running).await;
    running.gateway.begin_stopping();
    running.serving.stop_accepting();
    let closed = async { while TcpStream::connect(running.address).await.is_ok() {} };
    timeout(WAIT_TIMEOUT, closed).await.expect("the port is still open");
    connected.write(request("GET /readyz", &[], "")).await;
    assert_eq!(connected.answer().await.rejection(), (503, "shutting_down".to_owned()));
    connected.write(request("POST /api/v1/session", &[], "")).await;
    assert_eq!(connected.answer().await.rejection(), (503, "shutting_down".to_owned()));
    connected.write(upgrade_with(&[])).await;
    assert_eq!(connected.answer().await.rejection(), (503, "shutting_down".to_owned()));
    timeout(WAIT_TIMEOUT, running.serving.finish(WAIT_TIMEOUT * 2))
        .await
        .expect("an idle connection blocks the stop");
    assert_eq!(connected.rest().await, "");
}
