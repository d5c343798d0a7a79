//! HTTP over real sockets: a server in its own folder, and a client that writes and reads bytes.

mod events;
mod limits;
mod rejections;
mod sessions;
mod timeouts;
mod upgrades;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use domain::{Rates, RoomLimits};
use protocol::Limits;
use serde_json::Value;
use storage_sqlite::SqliteStore;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::*;
use crate::settings::{Settings, Timeouts};

/// Far longer than any operation takes: a test that waits this long has found a defect.
const WAIT_TIMEOUT: Duration = Duration::from_secs(20);

fn gateway_settings() -> gateway::Settings {
    gateway::Settings {
        server: "teahouse 0.0.0",
        limits: Limits::default(),
        rates: Rates::default(),
        ping_interval: Duration::from_secs(30),
        websocket_idle: Duration::from_secs(75),
        message_assembly: Duration::from_secs(30),
        close: Duration::from_secs(5),
    }
}

fn settings() -> Settings {
    Settings {
        allowed_origins: Vec::new(),
        max_message_bytes: Limits::BODY_BYTES,
        connections: 10_000,
        connections_per_address: 100,
        guest_creation: Some(Rates::default().guest_creation),
        timeouts: Timeouts {
            first_byte: Duration::from_secs(10),
            headers: Duration::from_secs(10),
            keep_alive: Duration::from_secs(60),
        },
    }
}

/// A rate that is exhausted after `burst`.
fn at_most(burst: u32) -> Rate {
    Rate { per_second: 0.001 / 3600.0, burst }
}

/// A server on a free loopback port.
struct TestServer {
    address: SocketAddr,
    gateway: Arc<Gateway>,
    serving: Serving,
    _data: TempDir,
}

impl TestServer {
    fn start() -> Self {
        Self::with(|_, _| {})
    }

    fn with(change: impl FnOnce(&mut gateway::Settings, &mut Settings)) -> Self {
        let (mut of_gateway, mut settings) = (gateway_settings(), settings());
        change(&mut of_gateway, &mut settings);
        let metrics = gateway::Metrics::default();
        let data = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(data.path(), RoomLimits::default()).unwrap();
        let gateway = Gateway::start(&store, 1, &of_gateway, metrics.clone()).unwrap();
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = listener.local_addr().unwrap();
        let mut registry = Registry::with_prefix("teahouse");
        metrics.register(&mut registry);
        let metrics = Metrics::new(metrics);
        metrics.register(&mut registry);
        let serving = serve(listener, settings, Arc::clone(&gateway), metrics, registry);
        TestServer { address, gateway, serving, _data: data }
    }

    async fn connect(&self) -> RawClient {
        RawClient::connect(self.address).await
    }

    /// Sends one request on its own connection. `headers` are lines without their ends; `Host` is added.
    async fn request(&self, request_line: &str, headers: &[&str], body: &str) -> RawResponse {
        let mut client = self.connect().await;
        client.write(&request_text(request_line, headers, body)).await;
        client.response().await
    }

    async fn get(&self, path: &str, headers: &[&str]) -> RawResponse {
        self.request(&format!("GET {path}"), headers, "").await
    }

    async fn guest(&self) -> String {
        let response = self.request("POST /api/v1/session", &[], "").await;
        assert_eq!(response.status, 201);
        response.json()["token"].as_str().unwrap().to_owned()
    }
}

fn request_text(request_line: &str, headers: &[&str], body: &str) -> String {
    let mut text = format!("{request_line} HTTP/1.1\r\nHost: chat.example\r\n");
    for header in headers {
        text.push_str(header);
        text.push_str("\r\n");
    }
    if !body.is_empty() {
        text.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    format!("{text}\r\n{body}")
}

/// A client that writes and reads bytes, so that a test controls each of them.
struct RawClient {
    stream: TcpStream,
    unread: Vec<u8>,
}

struct RawResponse {
    status: u16,
    headers: HashMap<String, String>,
    body: Vec<u8>,
}

impl RawClient {
    async fn connect(address: SocketAddr) -> Self {
        RawClient { stream: TcpStream::connect(address).await.unwrap(), unread: Vec::new() }
    }

    async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// `false` at the end of the connection, however it ended.
    async fn read_more(&mut self) -> bool {
        let mut buffer = [0; 4096];
        let read = timeout(WAIT_TIMEOUT, self.stream.read(&mut buffer)).await.expect("nothing arrived");
        let read = read.unwrap_or(0);
        self.unread.extend_from_slice(&buffer[..read]);
        read > 0
    }

    /// Everything until the server closes.
    async fn rest(mut self) -> String {
        while self.read_more().await {}
        String::from_utf8_lossy(&self.unread).into_owned()
    }

    async fn take(&mut self, length: usize) -> Vec<u8> {
        while self.unread.len() < length {
            assert!(self.read_more().await, "closed after {:?}", String::from_utf8_lossy(&self.unread));
        }
        self.unread.drain(..length).collect()
    }

    async fn response(&mut self) -> RawResponse {
        let end = loop {
            if let Some(at) = self.unread.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            assert!(self.read_more().await, "closed within {:?}", String::from_utf8_lossy(&self.unread));
        };
        let head = String::from_utf8(self.take(end).await).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: HashMap<String, String> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
        RawResponse { status, headers, body: self.take(length).await }
    }

    /// Sends a text frame, masked with zeros.
    async fn send_frame(&mut self, text: &str) {
        self.write(frame(text)).await;
    }

    /// The next text message, unmasked and unfragmented as a server sends it. Pings are skipped.
    async fn next_text(&mut self) -> String {
        loop {
            let head = self.take(2).await;
            let length = match head[1] {
                126 => u16::from_be_bytes(self.take(2).await.try_into().unwrap()).into(),
                127 => u64::from_be_bytes(self.take(8).await.try_into().unwrap()) as usize,
                short => usize::from(short),
            };
            let payload = self.take(length).await;
            match head[0] {
                0x81 => return String::from_utf8(payload).unwrap(),
                0x89 => {}
                other => panic!("an unexpected frame: {other:x} {}", String::from_utf8_lossy(&payload)),
            }
        }
    }

    /// Reads until an object of this type arrives.
    async fn next_of(&mut self, kind: &str) -> Value {
        loop {
            let received: Value = serde_json::from_str(&self.next_text().await).unwrap();
            let received = match received {
                Value::Array(several) => several,
                one => vec![one],
            };
            if let Some(found) = received.into_iter().find(|object| object["type"] == kind) {
                return found;
            }
        }
    }
}

fn frame(text: &str) -> Vec<u8> {
    let mut frame = vec![0x81];
    match u16::try_from(text.len()) {
        Ok(short @ 0..=125) => frame.push(0x80 | short as u8),
        Ok(long) => {
            frame.push(0x80 | 126);
            frame.extend(long.to_be_bytes());
        }
        Err(_) => unreachable!("no test sends so much"),
    }
    frame.extend([0; 4]);
    frame.extend(text.as_bytes());
    frame
}

impl RawResponse {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The status and the code of an error, after a check of its form.
    fn rejection(&self) -> (u16, String) {
        assert_eq!(self.headers["content-type"], "application/json");
        let body = self.json();
        assert!(!body["message"].as_str().unwrap().is_empty());
        assert_eq!(body["retryable"].as_bool().unwrap(), self.headers.contains_key("retry-after"));
        (self.status, body["code"].as_str().unwrap().to_owned())
    }
}

/// The headers of an upgrade, with the key of RFC 6455's example.
const UPGRADE: [&str; 4] = [
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
];
const JSON_PROTOCOL: &str = "Sec-WebSocket-Protocol: teahouse.v1.json";

fn upgrade_with(headers: &[&str]) -> String {
    request_text("GET /ws", &[&UPGRADE, headers].concat(), "")
}
