//! Those who come in the very moment of a stop: whoever is let in must be told goodbye, and everybody else must be told no.

use std::fmt;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Barrier, PoisonError, RwLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Result, bail};
use websocket::{Decoder, Message, Role};

use super::super::rng::Rng;

/// From SIGTERM on. A stop that has nothing to wait for takes some milliseconds, one that says goodbye to thousands some hundred.
const LONGEST: Duration = Duration::from_millis(400);
/// Whoever hears nothing for so long has been forgotten.
const TIMEOUT: Duration = Duration::from_secs(20);
/// More than a welcome and what is said beside it.
const MESSAGE_BYTES: u32 = 1024 * 1024;

const UPGRADE: &str = "GET /ws HTTP/1.1\r\nHost: teahouse\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Protocol: teahouse.v1.json\r\n";

/// How it went for them.
#[derive(Default)]
pub(super) struct Outcomes {
    /// Refused or cut off before any answer.
    not_answered: u32,
    /// 503 with `Retry-After`.
    refused: u32,
    /// Let in, and told 1001 with N.
    told: u32,
}

impl Outcomes {
    pub(super) fn add(&mut self, other: &Self) {
        self.not_answered += other.not_answered;
        self.refused += other.refused;
        self.told += other.told;
    }
}

impl fmt::Display for Outcomes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { not_answered, refused, told } = self;
        write!(
            f,
            "{told} were let in and told when to come back, {refused} were answered 503, {not_answered} found it closed"
        )
    }
}

pub(super) struct ShutdownConnects {
    begin: Arc<Barrier>,
    /// Whether the server has ended. Held while they connect, so that nobody comes to the next one.
    has_ended: Arc<RwLock<bool>>,
    threads: Vec<JoinHandle<Result<Outcomes>>>,
}

impl ShutdownConnects {
    /// Every other one has its connection already, and asks when its moment comes; by turns they are new, or somebody whom the
    /// store has to be asked about.
    pub(super) fn ready(server: SocketAddr, token: &str, count: u32, rng: &mut Rng) -> Result<Self> {
        let begin = Arc::new(Barrier::new(count as usize + 1));
        let has_ended = Arc::new(RwLock::new(false));
        let mut threads = Vec::new();
        for number in 0..count {
            let stream = if number % 2 == 0 { Some(TcpStream::connect(server)?) } else { None };
            // The first moments are the interesting ones.
            let within = rng.moment_within(LONGEST);
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

    /// The server has ended, and will be started again.
    pub(super) fn end(&self) {
        *self.has_ended.write().unwrap_or_else(PoisonError::into_inner) = true;
    }

    pub(super) fn outcomes(self) -> Result<Outcomes> {
        let mut outcomes = Outcomes::default();
        for thread in self.threads {
            // What they do can fail, and not panic.
            outcomes.add(&thread.join().expect("no panic")?);
        }
        Ok(outcomes)
    }
}

fn is_closed(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
}

fn connect_once(mut stream: TcpStream, request: &str) -> Result<Outcomes> {
    stream.set_read_timeout(Some(TIMEOUT))?;
    let mut heard = Vec::new();
    if stream.write_all(request.as_bytes()).is_ok() {
        loop {
            let mut chunk = [0; 4096];
            match stream.read(&mut chunk) {
                Ok(0) => break,
                Ok(read) => heard.extend_from_slice(&chunk[..read]),
                Err(error) if is_closed(error.kind()) => break,
                Err(error) => {
                    bail!("who came while it stopped heard {:?}, and then: {error}", as_text(&heard))
                }
            }
            // It is for the client to end what has been said.
            if let Some(outcomes) = parse_response(&heard)? {
                return Ok(outcomes);
            }
        }
    }
    if heard.is_empty() {
        return Ok(Outcomes { not_answered: 1, ..Outcomes::default() });
    }
    bail!("whoever came while it stopped was cut off after {:?}", as_text(&heard))
}

/// `None`: there is more to come.
fn parse_response(heard: &[u8]) -> Result<Option<Outcomes>> {
    let Some(end) = heard.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { return Ok(None) };
    let (head, rest) = (as_text(&heard[..end]).to_lowercase(), &heard[end + 4..]);
    if head.starts_with("http/1.1 503 ") && head.contains("\r\nretry-after: ") {
        return Ok(Some(Outcomes { refused: 1, ..Outcomes::default() }));
    }
    if !head.starts_with("http/1.1 101 ") {
        bail!("whoever came while it stopped was answered {head:?}");
    }
    let mut decoder = Decoder::new(Role::Client, MESSAGE_BYTES);
    let mut bytes = rest.to_vec();
    let mut input = &mut bytes[..];
    while let Some(message) = decoder.next(&mut input)? {
        if let Message::Close(said) = message {
            let (code, reason) =
                said.map_or((1005, String::new()), |(code, reason)| (code.get(), reason.to_owned()));
            if code != 1001 || !reason.starts_with("retry_within_ms=") {
                bail!("whoever came while it stopped was told {code} {reason:?}");
            }
            return Ok(Some(Outcomes { told: 1, ..Outcomes::default() }));
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

    fn heard(text: &[&[u8]]) -> Result<Option<(u32, u32, u32)>> {
        let understood = parse_response(&text.concat())?;
        Ok(understood.map(|it| (it.not_answered, it.refused, it.told)))
    }

    const UPGRADED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n\r\n";
    const WELCOME: &[u8] = b"\x81\x02{}";

    #[test]
    fn whoever_is_let_in_waits_for_the_goodbye() {
        assert_eq!(heard(&[b"HTTP/1.1 101 Sw"]).unwrap(), None);
        assert_eq!(heard(&[UPGRADED, WELCOME]).unwrap(), None);
        let goodbye = b"\x88\x15\x03\xe9retry_within_ms=500";
        assert_eq!(heard(&[UPGRADED, WELCOME, goodbye]).unwrap(), Some((0, 0, 1)));
        for other in [&b"\x88\x02\x03\xe9"[..], b"\x88\x00", b"\x88\x15\x03\xe8retry_within_ms=500"] {
            heard(&[UPGRADED, WELCOME, other]).unwrap_err();
        }
    }

    #[test]
    fn a_refusal_says_when_to_try_again() {
        let refusal = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n\r\n";
        assert_eq!(heard(&[refusal]).unwrap(), Some((0, 1, 0)));
        heard(&[b"HTTP/1.1 503 Service Unavailable\r\n\r\n"]).unwrap_err();
        heard(&[b"HTTP/1.1 500 Internal Server Error\r\nRetry-After: 1\r\n\r\n"]).unwrap_err();
    }
}
