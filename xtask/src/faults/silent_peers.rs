//! Peers that fall silent, in the middle of whatever they were at.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};
use client::{Client, Error, Options, dial};

/// How long one that lives listens before it looks whether it is to go on.
const LISTEN: Duration = Duration::from_millis(50);
const TIMEOUT: Duration = Duration::from_secs(20);

/// What a peer was at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PeerKind {
    /// A member of a room in which nobody says anything.
    Quiet,
    /// A member to whom something is said now and then: the kernel takes it all, and keeps it.
    Addressed,
    /// A member to whom more is said than the kernel keeps.
    Flooded,
    /// In the middle of a frame.
    HalfMessage,
    /// Has asked something over HTTP, and could ask more.
    KeepAlive,
    /// In the middle of a request's body.
    HalfBody,
    /// In the middle of the handshake of a WebSocket.
    HalfHandshake,
    /// In the middle of a request's first line.
    HalfRequest,
    /// Connected, and never said anything.
    NoBytes,
}

impl PeerKind {
    pub(super) const ALL: [Self; 9] = [
        Self::Quiet,
        Self::Addressed,
        Self::Flooded,
        Self::HalfMessage,
        Self::KeepAlive,
        Self::HalfBody,
        Self::HalfHandshake,
        Self::HalfRequest,
        Self::NoBytes,
    ];
    pub(super) const CALM_ROOM: &str = "calm";
    pub(super) const LOUD_ROOM: &str = "loud";
    const QUIET_ROOM: &str = "quiet";

    /// How many there are: 500 in all.
    pub(super) fn count(self) -> usize {
        match self {
            Self::Quiet => 150,
            Self::Addressed | Self::Flooded | Self::HalfMessage => 50,
            _ => 40,
        }
    }

    /// All of a kind have this one.
    pub(super) fn address(self) -> Ipv4Addr {
        Ipv4Addr::new(127, 2, self as u8, 1)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Quiet => "members of a quiet room",
            Self::Addressed => "members who are spoken to",
            Self::Flooded => "members with full sockets",
            Self::HalfMessage => "in half a message",
            Self::KeepAlive => "between requests",
            Self::HalfBody => "in half a body",
            Self::HalfHandshake => "in half a handshake",
            Self::HalfRequest => "in half a request",
            Self::NoBytes => "that never said anything",
        }
    }

    /// Whether it takes part until it falls silent. The others have nothing to hear.
    fn lives(self) -> bool {
        matches!(self, Self::Quiet | Self::Addressed | Self::Flooded)
    }

    fn join(self, server: SocketAddr) -> Result<Client> {
        let source = Some(self.address().into());
        let mut client = Client::connect(server, Options { source, timeout: TIMEOUT, ..Options::default() })?;
        client.join(match self {
            Self::Addressed => Self::CALM_ROOM,
            Self::Flooded => Self::LOUD_ROOM,
            _ => Self::QUIET_ROOM,
        })?;
        Ok(client)
    }

    /// Comes as far as it comes.
    fn begin(self, server: SocketAddr) -> Result<TcpStream> {
        if self == Self::HalfMessage {
            let client = self.join(server)?;
            let mut stream = client.stream().try_clone()?;
            // Of 256 bytes that are announced, three.
            stream.write_all(b"\x81\xFE\x01\x00maskhal")?;
            return Ok(stream);
        }
        let mut stream = dial(server, Some(self.address().into()), None, TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        let said: &[u8] = match self {
            Self::KeepAlive => b"GET /healthz HTTP/1.1\r\nHost: tea\r\n\r\n",
            Self::HalfBody => {
                b"POST /api/v1/session HTTP/1.1\r\nHost: tea\r\nContent-Type: application/json\r\n\
                  Content-Length: 100\r\n\r\n{\"name\":"
            }
            Self::HalfHandshake => {
                b"GET /ws HTTP/1.1\r\nHost: tea\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                  Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBs"
            }
            Self::HalfRequest => b"GET /w",
            _ => b"",
        };
        stream.write_all(said)?;
        if self == Self::KeepAlive {
            let read = stream.read(&mut [0; 4096])?;
            anyhow::ensure!(read > 0, "a request was not answered");
        }
        Ok(stream)
    }
}

/// All of them, until they are dropped.
pub(super) struct SilentPeers {
    are_silent: Arc<AtomicBool>,
    living: Vec<JoinHandle<Result<Client>>>,
    held: Vec<TcpStream>,
    clients: Vec<Client>,
}

impl SilentPeers {
    /// So many of each kind. Those who take part come first, because the others are not waited for as long.
    pub(super) fn open(server: SocketAddr, count: impl Fn(PeerKind) -> usize) -> Result<Self> {
        let are_silent = Arc::new(AtomicBool::new(false));
        let mut silent_peers = Self { are_silent, living: Vec::new(), held: Vec::new(), clients: Vec::new() };
        for peer in PeerKind::ALL {
            for _ in 0..count(peer) {
                if peer.lives() {
                    let client = peer.join(server).with_context(|| format!("one {}", peer.name()))?;
                    let are_silent = Arc::clone(&silent_peers.are_silent);
                    silent_peers.living.push(thread::spawn(move || live(client, &are_silent)));
                } else {
                    silent_peers
                        .held
                        .push(peer.begin(server).with_context(|| format!("one {}", peer.name()))?);
                }
            }
        }
        Ok(silent_peers)
    }

    /// They neither take nor answer anything any more, and hold what they have.
    pub(super) fn go_silent(&mut self) -> Result<()> {
        self.are_silent.store(true, Ordering::SeqCst);
        for life in self.living.drain(..) {
            // It does nothing that could panic.
            self.clients.push(life.join().unwrap().context("a peer was cut off before it fell silent")?);
        }
        Ok(())
    }
}

impl Drop for SilentPeers {
    fn drop(&mut self) {
        self.are_silent.store(true, Ordering::SeqCst);
        for life in self.living.drain(..) {
            let _ = life.join();
        }
    }
}

/// Takes what comes, and answers pings.
fn live(mut client: Client, are_silent: &AtomicBool) -> Result<Client> {
    while !are_silent.load(Ordering::SeqCst) {
        match client.next_frame(LISTEN) {
            Ok(_) | Err(Error::Timeout) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(client)
}

/// When those who fell silent were found.
pub(super) struct Detection(BTreeMap<PeerKind, KindDetection>);

#[derive(Default)]
struct KindDetection {
    /// How many fell silent.
    silent: usize,
    left: usize,
    first: Option<Duration>,
    last: Option<Duration>,
}

impl Detection {
    /// None yet of those who are there.
    pub(super) fn among(there: &[Ipv4Addr]) -> Self {
        let of = |peer: PeerKind| {
            let silent = counted(there, peer);
            (peer, KindDetection { silent, left: silent, ..KindDetection::default() })
        };
        Self(PeerKind::ALL.into_iter().map(of).collect())
    }

    /// How many are still there, so long after they fell silent.
    pub(super) fn look(&mut self, there: &[Ipv4Addr], now: Duration) -> usize {
        for (peer, kind) in &mut self.0 {
            let left = counted(there, *peer);
            if left < kind.left {
                kind.first.get_or_insert(now);
                kind.last = Some(now);
            }
            kind.left = left;
        }
        self.0.values().map(|kind| kind.left).sum()
    }

    /// Whether nearly all of each kind were there when they fell silent.
    pub(super) fn is_complete(&self) -> bool {
        self.0.iter().all(|(peer, kind)| kind.silent * 10 >= peer.count() * 9)
    }
}

impl fmt::Display for Detection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let silent: usize = self.0.values().map(|kind| kind.silent).sum();
        write!(f, "{silent} sockets fell silent, and were found")?;
        for (peer, kind) in &self.0 {
            let seconds = |time: Option<Duration>| time.unwrap_or_default().as_secs_f64();
            let (first, last) = (seconds(kind.first), seconds(kind.last));
            write!(f, "\n  {:>3} {:<26} after {first:.1} to {last:.1} s", kind.silent, peer.name())?;
        }
        Ok(())
    }
}

/// How many of which.
pub(super) fn names(there: &[Ipv4Addr]) -> String {
    let instruction_bench = PeerKind::ALL.into_iter().map(|peer| (counted(there, peer), peer.name()));
    let instruction_bench: Vec<_> = instruction_bench
        .filter(|(count, _)| *count > 0)
        .map(|(count, name)| format!("{count} {name}"))
        .collect();
    instruction_bench.join(", ")
}

fn counted(there: &[Ipv4Addr], peer: PeerKind) -> usize {
    there.iter().filter(|address| **address == peer.address()).count()
}
