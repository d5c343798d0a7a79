//! Every way to stand still is found out. In each test one deadline is short, and the others are out of reach.

use axum::body::Body;
use bytes::Bytes;
use tokio::sync::oneshot;

use super::*;
use crate::http::connection::Server;
use crate::http::connection_deadlines::ConnectionDeadlines;

const LONG: [(&str, &str); 3] =
    [("timeouts.first_byte", "1h"), ("timeouts.headers", "1h"), ("timeouts.http_keep_alive", "1h")];

fn short(key: &'static str) -> Running {
    Running::start(&[&LONG[..], &[(key, "50ms")]].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_connection_is_closed() {
    let running = short("timeouts.first_byte");
    assert_eq!(running.connect().await.rest().await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_sent_head_is_closed() {
    let running = short("timeouts.headers");
    for half in ["G", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: chat.example\r\nX: "] {
        let mut wire = running.connect().await;
        wire.write(half).await;
        assert_eq!(wire.rest().await, "", "{half:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_head_that_is_half_sent_is_closed() {
    let running = short("timeouts.headers");
    let mut wire = running.connect().await;
    wire.write(request("GET /healthz", &[], "")).await;
    assert_eq!(wire.answer().await.text(), "ok");
    wire.write("GET /hea").await;
    assert_eq!(wire.rest().await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_is_closed() {
    let running = short("timeouts.http_keep_alive");
    let mut wire = running.connect().await;
    wire.write(request("GET /healthz", &[], "")).await;
    assert_eq!(wire.answer().await.text(), "ok");
    assert_eq!(wire.rest().await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_sent_body_is_answered_and_closed() {
    let running = short("timeouts.headers");
    let mut wire = running.connect().await;
    wire.write("POST /api/v1/session HTTP/1.1\r\nHost: chat.example\r\nContent-Length: 100\r\n\r\n{\"name\"")
        .await;
    assert_eq!(wire.answer().await.refusal(), (408, "malformed".to_owned()));
    assert_eq!(wire.rest().await, "");
}

/// Megabytes of which nobody takes one; tells when they are dropped.
struct Burden(Vec<u8>, Option<oneshot::Sender<()>>);

impl AsRef<[u8]> for Burden {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Burden {
    fn drop(&mut self) {
        let _ = self.1.take().map(|dropped| dropped.send(()));
    }
}

#[tokio::test]
async fn who_takes_not_a_byte_of_the_answer_is_given_up() {
    let (dropped, given_up) = oneshot::channel();
    // More than the kernel takes for a reader who does not read.
    let burden = Arc::new(Mutex::new(Some(Bytes::from_owner(Burden(vec![b'x'; 64 << 20], Some(dropped))))));
    let answer = move || {
        let burden = burden.lock().unwrap().take();
        async move { Body::from(burden.unwrap()) }
    };
    let config = config_with(
        &[&LONG[..], &[("timeouts.http_keep_alive", "50ms"), ("listen", "127.0.0.1:0")]].concat(),
    );
    let metrics = Metrics::new();
    let server = Server {
        router: Router::new().route("/", get(answer)),
        timeouts: config.timeouts,
        metrics: metrics.clone(),
    };
    let listener = listen(config.listen).unwrap();
    let mut wire = Wire::connect(listener.local_addr().unwrap()).await;
    let _serving =
        accept::serve(listener, server, ConnectionLimiter::new(1, 1, metrics), Capacity::of(1, 1024));
    wire.write(request("GET /", &[], "")).await;
    timeout(WAIT_TIMEOUT, given_up).await.expect("the connection is still there").unwrap();
}

#[tokio::test(start_paused = true)]
async fn patience_is_moved_by_what_is_due_and_not_by_a_byte_more() {
    let config = config_with(&[
        ("timeouts.first_byte", "3s"),
        ("timeouts.headers", "5s"),
        ("timeouts.http_keep_alive", "7s"),
    ]);
    let begin = tokio::time::Instant::now();
    let connection_deadlines = ConnectionDeadlines::new(config.timeouts);
    let until = || (connection_deadlines.until() - begin).as_secs();
    let second = || tokio::time::advance(Duration::from_secs(1));
    assert_eq!(until(), 3);
    second().await;
    connection_deadlines.on_read();
    assert_eq!(until(), 6, "a head has begun");
    second().await;
    connection_deadlines.on_read();
    assert_eq!(until(), 6, "a head that trickles");
    connection_deadlines.handling();
    connection_deadlines.on_read();
    connection_deadlines.on_write();
    assert_eq!(until(), 32, "a handler is at work");
    second().await;
    connection_deadlines.answered();
    assert_eq!(until(), 10, "the next head is due");
    second().await;
    connection_deadlines.on_write();
    assert_eq!(until(), 11, "a slow reader that reads");
    connection_deadlines.on_read();
    assert_eq!(until(), 9, "the next head has begun");
    connection_deadlines.on_write();
    assert_eq!(until(), 9);
}
