//! Connection attempts during a shutdown: an accepted client must receive a close frame with the retry window, and all others must be
//! rejected.

use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Barrier, PoisonError, RwLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Result, bail};
use websocket::{Decoder, Message, Role};

use super::super::rng::Rng;

/// Bounds the delay after SIGTERM. A shutdown without clients takes some milliseconds, one with thousands some hundred.
const MAX_DELAY: Duration = Duration::from_millis(400);
/// Bounds the wait for an answer; by then the server has dropped the client.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Bounds a message: more than a welcome and the frames after it.
const MESSAGE_BYTES: u32 = 1024 * 1024;

const UPGRADE: &str = "GET /ws HTTP/1.1\r\nHost: teahouse\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Protocol: teahouse.v1.json\r\n";

/// The number of attempts with each outcome.
#[derive(Default)]
pub(super) struct Outcomes {
    /// The connection was refused, or closed without an answer.
    not_answered: u32,
    /// The answer was 503 with `Retry-After`.
    rejected: u32,
    /// The upgrade succeeded, and the connection was closed with 1001 and the retry window.
    closed_with_window: u32,
}

impl Outcomes {
    pub(super) fn add(&mut self, other: &Self) {
        self.not_answered += other.not_answered;
        self.rejected += other.rejected;
        self.closed_with_window += other.closed_with_window;
    }
}

impl fmt::Display for Outcomes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { not_answered, rejected, closed_with_window } = self;
        write!(
            f,
            "{closed_with_window} were accepted and closed with a retry window, {rejected} got 503, {not_answered} found the port closed"
        )
    }
}

pub(super) struct ShutdownConnects {
    begin: Arc<Barrier>,
    /// Whether the server has exited. Locked during a connect, so that no attempt reaches the next server.
    has_ended: Arc<RwLock<bool>>,
    threads: Vec<JoinHandle<Result<Outcomes>>>,
}

impl ShutdownConnects {
    /// Prepares the attempts. Every second one connects early and sends its request later; half of them are new clients, and half have a
    /// session that the server looks up in the store.
    pub(super) fn ready(server: SocketAddr, token: &str, count: u32, rng: &mut Rng) -> Result<Self> {
        let begin = Arc::new(Barrier::new(count as usize + 1));
        let has_ended = Arc::new(RwLock::new(false));
        let mut threads = Vec::new();
        for number in 0..count {
            let stream = if number % 2 == 0 { Some(TcpStream::connect(server)?) } else { None };
            // Most attempts fall into the first moments, in which most can go wrong.
            let within = rng.moment_within(MAX_DELAY);
            let moment = rng.moment_within(within);
            let request = match number % 4 {
                0 | 1 => format!("{UPGRADE}Authorization: Bearer {token}\r\n\r\n"),
                _ => format!("{UPGRADE}\r\n"),
            };
            let (begin, has_ended) = (Arc::clone(&begin), Arc::clone(&has_ended));
            threads.push(thread::spawn(move || {
                begin.wait();
                thread::sleep(moment);
                let connect = || {
                    let has_ended = has_ended.read().unwrap_or_else(PoisonError::into_inner);
                    if *has_ended {
                        Err(ErrorKind::ConnectionRefused.into())
                    } else {
                        TcpStream::connect(server)
                    }
                };
                match stream.map_or_else(connect, Ok) {
                    Ok(stream) => connect_once(stream, &request),
                    Err(error) if is_closed(error.kind()) => {
                        Ok(Outcomes { not_answered: 1, ..Outcomes::default() })
                    }
                    Err(error) => bail!("cannot connect: {error}"),
                }
            }));
        }
        Ok(Self { begin, has_ended, threads })
    }

    pub(super) fn begin(&self) {
        self.begin.wait();
    }

    /// Notes that the server has exited, before it is started again.
    pub(super) fn end(&self) {
        *self.has_ended.write().unwrap_or_else(PoisonError::into_inner) = true;
    }

    pub(super) fn outcomes(self) -> Result<Outcomes> {
        let mut outcomes = Outcomes::default();
        for thread in self.threads {
            // The threads return errors and do not panic.
            outcomes.add(&thread.join().expect("the thread does not panic")?);
        }
        Ok(outcomes)
    }
}

fn is_closed(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

fn connect_once(mut stream: TcpStream, request: &str) -> Result<Outcomes> {
    stream.set_read_timeout(Some(TIMEOUT))?;
    let mut received = Vec::new();
    if stream.write_all(request.as_bytes()).is_ok() {
        loop {
            let mut chunk = [0; 4096];
            match stream.read(&mut chunk) {
                Ok(0) => break,
                Ok(read) => received.extend_from_slice(&chunk[..read]),
                Err(error) if is_closed(error.kind()) => break,
                Err(error) => {
                    bail!(
                        "a client that connected during the shutdown received {:?}, and then: {error}",
                        as_text(&received)
                    )
                }
            }
            // A WebSocket client answers the close and closes the connection.
            if let Some(outcomes) = parse_response(&received)? {
                return Ok(outcomes);
            }
        }
    }
    if received.is_empty() {
        return Ok(Outcomes { not_answered: 1, ..Outcomes::default() });
    }
    bail!("a client that connected during the shutdown was disconnected after {:?}", as_text(&received))
}

/// Parses what the client received; `None` if the response is incomplete.
fn parse_response(received: &[u8]) -> Result<Option<Outcomes>> {
    let Some(end) = received.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { return Ok(None) };
    let (head, rest) = (as_text(&received[..end]).to_lowercase(), &received[end + 4..]);
    if head.starts_with("http/1.1 503 ") && head.contains("\r\nretry-after: ") {
        return Ok(Some(Outcomes { rejected: 1, ..Outcomes::default() }));
    }
    if !head.starts_with("http/1.1 101 ") {
        bail!("a client that connected during the shutdown was answered {head:?}");
    }
    let mut decoder = Decoder::new(Role::Client, MESSAGE_BYTES);
    let mut bytes = rest.to_vec();
    let mut input = &mut bytes[..];
    while let Some(message) = decoder.next(&mut input)? {
        if let Message::Close(close) = message {
            let (code, reason) =
                close.map_or((1005, String::new()), |(code, reason)| (code.get(), reason.to_owned()));
            if code != 1001 || !reason.starts_with("retry_within_ms=") {
                bail!("a client that connected during the shutdown was closed with {code} {reason:?}");
            }
            return Ok(Some(Outcomes { closed_with_window: 1, ..Outcomes::default() }));
        }
    }
    Ok(None)
}

fn as_text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(text: &[&[u8]]) -> Result<Option<(u32, u32, u32)>> {
        let understood = parse_response(&text.concat())?;
        Ok(understood.map(|it| (it.not_answered, it.rejected, it.closed_with_window)))
    }

    const UPGRADED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n\r\n";
    const WELCOME: &[u8] = b"\x81\x02{}";

    #[test]
    fn accepted_client_waits_for_the_close_frame() {
        assert_eq!(received(&[b"HTTP/1.1 101 Sw"]).unwrap(), None);
        assert_eq!(received(&[UPGRADED, WELCOME]).unwrap(), None);
        let close = b"\x88\x15\x03\xe9retry_within_ms=500";
        assert_eq!(received(&[UPGRADED, WELCOME, close]).unwrap(), Some((0, 0, 1)));
        for other in [&b"\x88\x02\x03\xe9"[..], b"\x88\x00", b"\x88\x15\x03\xe8retry_within_ms=500"] {
            received(&[UPGRADED, WELCOME, other]).unwrap_err();
        }
    }

    #[test]
    fn rejection_must_say_when_to_retry() {
        let rejection = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n\r\n";
        assert_eq!(received(&[rejection]).unwrap(), Some((0, 1, 0)));
        received(&[b"HTTP/1.1 503 Service Unavailable\r\n\r\n"]).unwrap_err();
        received(&[b"HTTP/1.1 500 Internal Server Error\r\nRetry-After: 1\r\n\r\n"]).unwrap_err();
    }
}
