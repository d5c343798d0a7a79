//! Twice as many connections as the server may have.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::harness::Harness;
use super::recorder_process::{MinimumActivity, RecorderProcess, check};
use super::run_dir::RunDir;
use super::server_under_test::ServerUnderTest;

/// Of those who may be there, so many are: some places are for the people who take down what they see, and for whoever asks how
/// things stand.
const OTHERS: u32 = 20;
/// How long an answer to the upgrade may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// What those inside say while nobody else is let in, and how long that may take.
const MESSAGES: u32 = 500;
const TIME_TO_TALK: Duration = Duration::from_secs(30);
/// So long after the others have gone, whoever comes is let in.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(30);

/// All of what those inside were to say.
const LEAST: MinimumActivity = MinimumActivity {
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
    let folder = run_dir.path().join("places");
    std::fs::create_dir_all(&folder)?;
    let mut server = ServerUnderTest::new(harness.binary("teahouse"), &folder)?;
    server.set("TEAHOUSE_LIMITS_ENABLED", "true");
    server.set("TEAHOUSE_LIMITS_CONNECTIONS", connection_limit.to_string());
    // All come from one address, and faster than people do.
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
    let history = run_dir.path().join("history-of-places");
    let options = options.map(str::to_owned);
    let mut recorder = RecorderProcess::start(&program, server.address, &history, &options)?;

    recorder.note("twice as many come as may be there")?;
    let comers =
        (0..connection_limit * 2).map(|_| Connector::call(server.address)).collect::<Result<Vec<_>>>()?;
    let (mut inside, mut refused) = (Vec::new(), 0);
    for mut comer in comers {
        match comer.answer()? {
            Answer::LetIn => inside.push(comer),
            Answer::Refused => refused += 1,
        }
    }
    println!(
        "{} came where {connection_limit} may be: {} were let in beside those who were there, {refused} told 503 `overloaded`",
        connection_limit * 2,
        inside.len()
    );
    let let_in = u32::try_from(inside.len())?;
    ensure!(
        let_in <= connection_limit && let_in + OTHERS >= connection_limit,
        "{let_in} were let in where {connection_limit} may be"
    );

    ensure!(
        recorder.is_done_within(TIME_TO_TALK)?,
        "{MESSAGES} messages of those inside were not answered within {TIME_TO_TALK:?}"
    );
    recorder.note("they have gone")?;
    drop(inside);
    let gone = Instant::now();
    while !matches!(Connector::call(server.address)?.answer()?, Answer::LetIn) {
        ensure!(
            gone.elapsed() < RECOVERY_TIMEOUT,
            "nobody was let in {RECOVERY_TIMEOUT:?} after all had gone"
        );
    }
    println!("the next was let in {:.1} s after they had gone", gone.elapsed().as_secs_f64());
    recorder.finish()?;
    check(&program, &history, LEAST)
}

/// Somebody who wants to be let in.
struct Connector {
    stream: TcpStream,
    server: SocketAddr,
}

enum Answer {
    LetIn,
    Refused,
}

impl Connector {
    /// Asks, and does not wait for the answer.
    fn call(server: SocketAddr) -> Result<Self> {
        let mut stream = TcpStream::connect(server)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        let request = format!(
            "GET /ws HTTP/1.1\r\nHost: {server}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Protocol: teahouse.v1.json\r\n\r\n"
        );
        // Whoever is turned away may have been told before this.
        let _ = stream.write_all(request.as_bytes());
        Ok(Self { stream, server })
    }

    /// An error, if that is neither a welcome nor a refusal that says what it is.
    fn answer(&mut self) -> Result<Answer> {
        let mut answer = Vec::new();
        let mut chunk = [0; 1024];
        loop {
            let read = self.stream.read(&mut chunk);
            let text = String::from_utf8_lossy(&answer);
            match read {
                Ok(read @ 1..) => answer.extend_from_slice(&chunk[..read]),
                Ok(_) => bail!("{} let somebody go who had been told {text:?}", self.server),
                Err(error) => return Err(error).with_context(|| format!("after {text:?}")),
            }
            let text = String::from_utf8_lossy(&answer);
            if text.starts_with("HTTP/1.1 101 ") && text.contains("\r\n\r\n") {
                return Ok(Answer::LetIn);
            }
            let is_whole = text.ends_with('}');
            if text.starts_with("HTTP/1.1 503 ") && text.contains(r#""code":"overloaded""#) && is_whole {
                return Ok(Answer::Refused);
            }
            ensure!(!is_whole, "somebody was told {text}");
        }
    }
}
