//! Caps over sockets: who finds no place is told so, completely, and keeps nothing of ours.

use super::*;

/// A connection that has been let in for certain.
async fn inside(running: &Running) -> Wire {
    let mut wire = running.connect().await;
    wire.write(request("GET /metrics", &[], "")).await;
    assert_eq!(wire.answer().await.status, 200);
    wire
}

/// Asks until there is a place; each refused try is a round trip, which is time enough for the server to notice.
async fn eventually_inside(running: &Running) {
    let trying = async {
        loop {
            if running.get("/metrics", &[]).await.status == 200 {
                return;
            }
        }
    };
    timeout(WAIT_TIMEOUT, trying).await.expect("the place was not given back");
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_the_cap_of_an_address_comes_429_and_beyond_all_503() {
    for (cap, status, code) in
        [("limits.connections_per_address", 429, "rate_limited"), ("limits.connections", 503, "overloaded")]
    {
        let running = Running::start(&[(cap, "1")]);
        let first = inside(&running).await;
        let mut second = running.connect().await;
        second.write(request("GET /metrics", &[], "")).await;
        assert_eq!(second.answer().await.refusal(), (status, code.to_owned()));
        assert_eq!(second.rest().await, "", "it is closed");
        drop(first);
        eventually_inside(&running).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_turned_away_and_stays_keeps_nobody_from_being_told() {
    let running = Running::start(&[("limits.connections", "1")]);
    let _first = inside(&running).await;
    let mut stubborn = Vec::new();
    for _ in 0..100 {
        stubborn.push(running.connect().await);
    }
    // They say nothing, and do not go when they have been told.
    for wire in &mut stubborn {
        assert_eq!(wire.answer().await.refusal(), (503, "overloaded".to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_has_its_place_until_it_ends() {
    let running = Running::start(&[("limits.connections", "1")]);
    let mut wire = running.connect().await;
    wire.write(upgrade_with(&[JSON_PROTOCOL])).await;
    assert_eq!(wire.answer().await.status, 101);
    wire.hear_of("welcome").await;
    assert_eq!(running.get("/metrics", &[]).await.status, 503);
    drop(wire);
    eventually_inside(&running).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_that_are_off_cap_nothing() {
    let running = Running::start(&[
        ("limits.connections", "1"),
        ("limits.guest_creation", "0.001/h burst 1"),
        ("limits.enabled", "false"),
    ]);
    let _first = inside(&running).await;
    let _second = inside(&running).await;
    for _ in 0..3 {
        running.guest().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn guests_of_one_address_are_limited_however_they_are_made() {
    let running = Running::start(&[("limits.guest_creation", "0.001/h burst 2")]);
    let token = running.guest().await;
    let mut wire = running.connect().await;
    wire.write(upgrade_with(&[])).await;
    assert_eq!(wire.answer().await.status, 101);
    let limited = (429, "rate_limited".to_owned());
    assert_eq!(running.ask("POST /api/v1/session", &[], "").await.refusal(), limited);
    let answer = running.get("/ws", &UPGRADE).await;
    assert_eq!(answer.refusal(), limited);
    assert!(answer.json()["retry_after_ms"].as_u64().unwrap() > 1000);
    // Who is somebody already makes no guest.
    let bearer = format!("Authorization: Bearer {token}");
    let mut wire = running.connect().await;
    wire.write(upgrade_with(&[&bearer])).await;
    assert_eq!(wire.answer().await.status, 101);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_one_clear_line() {
    let running = Running::start(&[]);
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
async fn who_stops_lets_go_of_the_port_and_answers_who_is_here() {
    let running = Running::start(&[]);
    let mut here = inside(&running).await;
    running.app.begin_stopping();
    running.serving.stop_accepting();
    let let_go = async { while TcpStream::connect(running.address).await.is_ok() {} };
    timeout(WAIT_TIMEOUT, let_go).await.expect("the port is still there");
    here.write(request("GET /readyz", &[], "")).await;
    assert_eq!(here.answer().await.refusal(), (503, "shutting_down".to_owned()));
    here.write(request("POST /api/v1/session", &[], "")).await;
    assert_eq!(here.answer().await.refusal(), (503, "shutting_down".to_owned()));
    here.write(upgrade_with(&[])).await;
    assert_eq!(here.answer().await.refusal(), (503, "shutting_down".to_owned()));
    timeout(WAIT_TIMEOUT, running.serving.finish(WAIT_TIMEOUT * 2))
        .await
        .expect("an idle connection holds the end");
    assert_eq!(here.rest().await, "");
}
