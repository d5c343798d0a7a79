//! Peers that go silent at each stage of a connection.

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

/// How long a live peer reads before it checks whether it should go silent.
const READ_TIMEOUT: Duration = Duration::from_millis(50);
const TIMEOUT: Duration = Duration::from_secs(20);

/// The stage at which a peer goes silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PeerKind {
    /// A member of a room without messages.
    Quiet,
    /// A member of a room with a few messages: the kernel buffers them all.
    Addressed,
    /// A member of a room with more messages than the kernel buffers.
    Flooded,
    /// In the middle of a frame.
    HalfMessage,
    /// Between two HTTP requests.
    KeepAlive,
    /// In the middle of a request's body.
    HalfBody,
    /// In the middle of a WebSocket handshake.
    HalfHandshake,
    /// In the middle of a request line.
    HalfRequest,
    /// Connected, without a byte sent.
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

    /// The number of peers of a kind: 500 in total.
    pub(super) fn count(self) -> usize {
        match self {
            Self::Quiet => 150,
            Self::Addressed | Self::Flooded | Self::HalfMessage => 50,
            _ => 40,
        }
    }

    /// The address that all peers of a kind share.
    pub(super) fn address(self) -> Ipv4Addr {
        Ipv4Addr::new(127, 2, self as u8, 1)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Quiet => "members of a quiet room",
            Self::Addressed => "members of a calm room",
            Self::Flooded => "members with full sockets",
            Self::HalfMessage => "in the middle of a message",
            Self::KeepAlive => "between requests",
            Self::HalfBody => "in the middle of a body",
            Self::HalfHandshake => "in the middle of a handshake",
            Self::HalfRequest => "in the middle of a request",
            Self::NoBytes => "without any byte",
        }
    }

    /// Whether the peer takes part until it goes silent. The others receive nothing.
    fn is_live(self) -> bool {
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

    /// Brings a connection to the stage of its kind.
    fn open_until_stage(self, server: SocketAddr) -> Result<TcpStream> {
        if self == Self::HalfMessage {
            let client = self.join(server)?;
            let mut stream = client.stream().try_clone()?;
            // 7 of the 256 bytes that the header announces: the mask, and three of the payload.
            stream.write_all(b"\x81\xFE\x01\x00maskhal")?;
            return Ok(stream);
        }
        let mut stream = dial(server, Some(self.address().into()), None, TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        let bytes: &[u8] = match self {
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
        stream.write_all(bytes)?;
        if self == Self::KeepAlive {
            let read = stream.read(&mut [0; 4096])?;
            anyhow::ensure!(read > 0, "a request got no answer");
        }
        Ok(stream)
    }
}

/// All peers; they stay connected until this value is dropped.
pub(super) struct SilentPeers {
    are_silent: Arc<AtomicBool>,
    live_peers: Vec<JoinHandle<Result<Client>>>,
    held: Vec<TcpStream>,
    clients: Vec<Client>,
}

impl SilentPeers {
    /// Connects `count` peers of each kind. Live peers come first, because the timeouts of the others are shorter.
    pub(super) fn open(server: SocketAddr, count: impl Fn(PeerKind) -> usize) -> Result<Self> {
        let are_silent = Arc::new(AtomicBool::new(false));
        let mut silent_peers =
            Self { are_silent, live_peers: Vec::new(), held: Vec::new(), clients: Vec::new() };
        for peer in PeerKind::ALL {
            for _ in 0..count(peer) {
                if peer.is_live() {
                    let client = peer.join(server).with_context(|| format!("one {}", peer.name()))?;
                    let are_silent = Arc::clone(&silent_peers.are_silent);
                    silent_peers
                        .live_peers
                        .push(thread::spawn(move || read_until_silent(client, &are_silent)));
                } else {
                    silent_peers
                        .held
                        .push(peer.open_until_stage(server).with_context(|| format!("one {}", peer.name()))?);
                }
            }
        }
        Ok(silent_peers)
    }

    /// Stops reading and answering, and keeps all sockets open.
    pub(super) fn go_silent(&mut self) -> Result<()> {
        self.are_silent.store(true, Ordering::SeqCst);
        for thread in self.live_peers.drain(..) {
            // The thread does nothing that could panic.
            self.clients
                .push(thread.join().unwrap().context("a peer was disconnected before it went silent")?);
        }
        Ok(())
    }
}

impl Drop for SilentPeers {
    fn drop(&mut self) {
        self.are_silent.store(true, Ordering::SeqCst);
        for thread in self.live_peers.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Reads frames and answers pings until the peer should go silent.
fn read_until_silent(mut client: Client, are_silent: &AtomicBool) -> Result<Client> {
    while !are_silent.load(Ordering::SeqCst) {
        match client.next_frame(READ_TIMEOUT) {
            Ok(_) | Err(Error::Timeout) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(client)
}

/// The times at which the server detected the silent peers.
pub(super) struct Detection(BTreeMap<PeerKind, KindDetection>);

#[derive(Default)]
struct KindDetection {
    /// The number of peers that went silent.
    silent: usize,
    left: usize,
    first: Option<Duration>,
    last: Option<Duration>,
}

impl Detection {
    /// The state at the moment of silence: none is detected yet.
    pub(super) fn new(addresses: &[Ipv4Addr]) -> Self {
        let start = |peer: PeerKind| {
            let silent = count_of(addresses, peer);
            (peer, KindDetection { silent, left: silent, ..KindDetection::default() })
        };
        Self(PeerKind::ALL.into_iter().map(start).collect())
    }

    /// Updates the state at the time `now` after the start of the silence. Returns the number of connections that are left.
    pub(super) fn update(&mut self, addresses: &[Ipv4Addr], now: Duration) -> usize {
        for (peer, kind) in &mut self.0 {
            let left = count_of(addresses, *peer);
            if left < kind.left {
                kind.first.get_or_insert(now);
                kind.last = Some(now);
            }
            kind.left = left;
        }
        self.0.values().map(|kind| kind.left).sum()
    }

    /// Whether at least nine tenths of each kind were connected at the start.
    pub(super) fn is_complete(&self) -> bool {
        self.0.iter().all(|(peer, kind)| kind.silent * 10 >= peer.count() * 9)
    }
}

impl fmt::Display for Detection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let silent: usize = self.0.values().map(|kind| kind.silent).sum();
        write!(f, "{silent} sockets went silent, and were closed")?;
        for (peer, kind) in &self.0 {
            let seconds = |time: Option<Duration>| time.unwrap_or_default().as_secs_f64();
            let (first, last) = (seconds(kind.first), seconds(kind.last));
            write!(f, "\n  {:>3} {:<26} after {first:.1} to {last:.1} s", kind.silent, peer.name())?;
        }
        Ok(())
    }
}

/// The number of connections of each kind, as text.
pub(super) fn names(addresses: &[Ipv4Addr]) -> String {
    let counts = PeerKind::ALL.into_iter().map(|peer| (count_of(addresses, peer), peer.name()));
    let counts: Vec<_> =
        counts.filter(|(count, _)| *count > 0).map(|(count, name)| format!("{count} {name}")).collect();
    counts.join(", ")
}

fn count_of(addresses: &[Ipv4Addr], peer: PeerKind) -> usize {
    addresses.iter().filter(|address| **address == peer.address()).count()
}
