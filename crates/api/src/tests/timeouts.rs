//! Each way to stall a connection has its deadline. In each test one is short, and the others are out of reach.

use axum::body::Body;
use bytes::Bytes;
use tokio::sync::oneshot;

use super::*;
use crate::connection::Server;
use crate::connection_deadlines::ConnectionDeadlines;

const HOUR: Duration = Duration::from_secs(3600);
const LONG: Timeouts = Timeouts { first_byte: HOUR, headers: HOUR, keep_alive: HOUR };
const SHORT: Duration = Duration::from_millis(50);

fn with(timeouts: Timeouts) -> TestServer {
    TestServer::with(|_, settings| settings.timeouts = timeouts)
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_connection_is_closed() {
    let server = with(Timeouts { first_byte: SHORT, ..LONG });
    assert_eq!(server.connect().await.rest().await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn half_sent_head_is_closed() {
    let server = with(Timeouts { headers: SHORT, ..LONG });
    for half in ["G", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: chat.example\r\nX: "] {
        let mut client = server.connect().await;
        client.write(half).await;
        assert_eq!(client.rest().await, "", "{half:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn half_sent_second_head_is_closed() {
    let server = with(Timeouts { headers: SHORT, ..LONG });
    let mut client = server.connect().await;
    client.write(request_text("GET /healthz", &[], "")).await;
    assert_eq!(client.response().await.text(), "ok");
    client.write("GET /hea").await;
    assert_eq!(client.rest().await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connection_is_closed() {
    let server = with(Timeouts { keep_alive: SHORT, ..LONG });
    let mut client = server.connect().await;
    client.write(request_text("GET /healthz", &[], "")).await;
    assert_eq!(client.response().await.text(), "ok");
    assert_eq!(client.rest().await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn half_sent_body_is_answered_and_closed() {
    let server = with(Timeouts { headers: SHORT, ..LONG });
    let mut client = server.connect().await;
    client
        .write("POST /api/v1/session HTTP/1.1\r\nHost: chat.example\r\nContent-Length: 100\r\n\r\n{\"name\"")
        .await;
    assert_eq!(client.response().await.rejection(), (408, "malformed".to_owned()));
    assert_eq!(client.rest().await, "");
}

/// A large body that no client reads; it notifies when it is dropped.
struct UnreadBody(Vec<u8>, Option<oneshot::Sender<()>>);

impl AsRef<[u8]> for UnreadBody {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for UnreadBody {
    fn drop(&mut self) {
        let _ = self.1.take().map(|dropped| dropped.send(()));
    }
}

#[tokio::test]
async fn client_that_reads_no_response_is_closed() {
    let (dropped, closed) = oneshot::channel();
    // More than the kernel buffers.
    let body = Arc::new(Mutex::new(Some(Bytes::from_owner(UnreadBody(vec![b'x'; 64 << 20], Some(dropped))))));
    let response = move || {
        let body = body.lock().unwrap().take();
        async move { Body::from(body.unwrap()) }
    };
    let metrics = Metrics::default();
    let server = Server {
        router: Router::new().route("/", get(response)),
        timeouts: Timeouts { keep_alive: SHORT, ..LONG },
        metrics: metrics.clone(),
    };
    let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let mut client = RawClient::connect(listener.local_addr().unwrap()).await;
    let _serving =
        accept::serve(listener, server, ConnectionLimiter::new(1, 1, metrics), Capacity::of(1, 1024));
    client.write(request_text("GET /", &[], "")).await;
    timeout(WAIT_TIMEOUT, closed).await.expect("the connection is still open").unwrap();
}

#[tokio::test(start_paused = true)]
async fn deadline_moves_with_the_phase_and_not_with_each_byte() {
    let seconds = Duration::from_secs;
    let timeouts = Timeouts { first_byte: seconds(3), headers: seconds(5), keep_alive: seconds(7) };
    let begin = tokio::time::Instant::now();
    let connection_deadlines = ConnectionDeadlines::new(timeouts);
    let until = || (connection_deadlines.until() - begin).as_secs();
    let second = || tokio::time::advance(Duration::from_secs(1));
    assert_eq!(until(), 3);
    second().await;
    connection_deadlines.on_read();
    assert_eq!(until(), 6, "a head has started");
    second().await;
    connection_deadlines.on_read();
    assert_eq!(until(), 6, "a head that arrives slowly");
    connection_deadlines.on_request();
    connection_deadlines.on_read();
    connection_deadlines.on_write();
    assert_eq!(until(), 32, "a handler is running");
    second().await;
    connection_deadlines.on_response();
    assert_eq!(until(), 10, "the next head is due");
    second().await;
    connection_deadlines.on_write();
    assert_eq!(until(), 11, "a slow reader that reads");
    connection_deadlines.on_read();
    assert_eq!(until(), 9, "the next head has started");
    connection_deadlines.on_write();
    assert_eq!(until(), 9);
}
