//! Twice as many connections as the server's limit permits.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::harness::Harness;
use super::recorder_process::{MinimumActivity, RecorderProcess, check};
use super::run_dir::RunDir;
use super::server_under_test::ServerUnderTest;

/// The connections, within the limit, of the recorded clients and of requests for the metrics.
const RESERVED_SLOTS: u32 = 20;
/// Bounds the wait for an answer to the upgrade request.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The number of messages that the recorded clients send while the limit is reached.
const MESSAGES: u32 = 500;
/// Bounds the time in which they are acknowledged.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);
/// Bounds the time until new clients are accepted, after the other clients disconnect.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(30);

/// All messages that the recorded clients must send.
const MINIMUM_ACTIVITY: MinimumActivity = MinimumActivity {
    acknowledged: MESSAGES as u64 * 9 / 10,
    percent: 50,
    deliveries: MESSAGES as u64 * 2,
    resumed: 0,
    views: 10,
};

pub(super) fn exceed_connection_limit(
    harness: &Harness,
    connection_limit: u32,
    run_dir: &RunDir,
) -> Result<()> {
    let program = harness.binary("history");
    let folder = run_dir.path().join("connection-limit");
    std::fs::create_dir_all(&folder)?;
    let mut server = ServerUnderTest::new(harness.binary("teahouse"), &folder)?;
    server.set("TEAHOUSE_LIMITS_ENABLED", "true");
    server.set("TEAHOUSE_LIMITS_CONNECTIONS", connection_limit.to_string());
    // All clients connect from one address, and faster than users do.
    server.set("TEAHOUSE_LIMITS_CONNECTIONS_PER_ADDRESS", connection_limit.to_string());
    for rate in ["MESSAGES", "JOINS", "TYPING", "COMMANDS", "NEW_ROOMS", "GUEST_CREATION"] {
        server.set(&format!("TEAHOUSE_LIMITS_{rate}"), "10000/s burst 10000");
    }
    server.start()?;
    server.wait_until_open()?;
    let options = [
        "--writers=8",
        "--receivers=0",
        "--listeners=2",
        "--rooms=2",
        "--rate=200",
        &format!("--messages={MESSAGES}"),
        &format!("--seed={}", harness.seed),
    ];
    let history = run_dir.path().join("connection-limit-history");
    let options = options.map(str::to_owned);
    let mut recorder = RecorderProcess::start(&program, server.address, &history, &options)?;

    recorder.note("twice as many clients connect as the limit allows")?;
    let connectors =
        (0..connection_limit * 2).map(|_| Connector::start(server.address)).collect::<Result<Vec<_>>>()?;
    let (mut connected, mut rejected) = (Vec::new(), 0);
    for mut connector in connectors {
        match connector.answer()? {
            Answer::Accepted => connected.push(connector),
            Answer::Rejected => rejected += 1,
        }
    }
    println!(
        "{} clients connected at a limit of {connection_limit}: {} were accepted in addition to the recorded ones, {rejected} got 503 `overloaded`",
        connection_limit * 2,
        connected.len()
    );
    let accepted = u32::try_from(connected.len())?;
    ensure!(
        accepted <= connection_limit && accepted + RESERVED_SLOTS >= connection_limit,
        "{accepted} clients were accepted at a limit of {connection_limit}"
    );

    ensure!(
        recorder.is_done_within(SEND_TIMEOUT)?,
        "the recorded clients did not get answers to {MESSAGES} messages within {SEND_TIMEOUT:?}"
    );
    recorder.note("the other clients have disconnected")?;
    drop(connected);
    let disconnected = Instant::now();
    while !matches!(Connector::start(server.address)?.answer()?, Answer::Accepted) {
        ensure!(
            disconnected.elapsed() < RECOVERY_TIMEOUT,
            "no client was accepted {RECOVERY_TIMEOUT:?} after the others had disconnected"
        );
    }
    println!(
        "the next client was accepted {:.1} s after the others disconnected",
        disconnected.elapsed().as_secs_f64()
    );
    recorder.finish()?;
    check(&program, &history, MINIMUM_ACTIVITY)
}

/// A client that requests an upgrade without waiting for the answer.
struct Connector {
    stream: TcpStream,
    server: SocketAddr,
}

enum Answer {
    Accepted,
    Rejected,
}

impl Connector {
    /// Sends the request, and does not wait for the answer.
    fn start(server: SocketAddr) -> Result<Self> {
        let mut stream = TcpStream::connect(server)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        let request = format!(
            "GET /ws HTTP/1.1\r\nHost: {server}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Protocol: teahouse.v1.json\r\n\r\n"
        );
        // The answer to a rejected client may precede this write.
        let _ = stream.write_all(request.as_bytes());
        Ok(Self { stream, server })
    }

    /// Returns the server's answer; an error if it is neither a welcome nor a complete rejection.
    fn answer(&mut self) -> Result<Answer> {
        let mut answer = Vec::new();
        let mut chunk = [0; 1024];
        loop {
            let read = self.stream.read(&mut chunk);
            let text = String::from_utf8_lossy(&answer);
            match read {
                Ok(read @ 1..) => answer.extend_from_slice(&chunk[..read]),
                Ok(_) => bail!("{} closed a connection after {text:?}", self.server),
                Err(error) => return Err(error).with_context(|| format!("after {text:?}")),
            }
            let text = String::from_utf8_lossy(&answer);
            if text.starts_with("HTTP/1.1 101 ") && text.contains("\r\n\r\n") {
                return Ok(Answer::Accepted);
            }
            let is_complete = text.ends_with('}');
            if text.starts_with("HTTP/1.1 503 ") && text.contains(r#""code":"overloaded""#) && is_complete {
                return Ok(Answer::Rejected);
            }
            ensure!(!is_complete, "the server answered {text}");
        }
    }
}
