//! One of many connections: its socket, its outgoing buffer and its stage.

use std::io::{self, Read, Write};
use std::net::IpAddr;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use websocket::handshake::{ClientRequest, check_response, client_key, head_len};
use websocket::{Decoder, Opcode, Role, append_masked};

use super::checker::Index;
use super::plan::Target;
use client::dial_nonblocking;

/// The longest accepted message. A peer may put everything that waits for a client into one.
const MESSAGE_LIMIT: u32 = 64 * 1024 * 1024;

/// The receive buffer of a connection that will stall. Small, so that unread data waits at the server.
const SMALL_BUFFER: usize = 4096;

/// Also writable, from the start: events are edge-triggered, so it costs nothing until a socket is full.
const INTEREST: Interest = Interest::READABLE.add(Interest::WRITABLE);

/// The stage of a connection.
#[derive(Debug)]
pub(crate) enum Stage {
    /// The upgrade is in progress, with this much of the response.
    Upgrading(Vec<u8>),
    /// Open, but not in all its rooms yet.
    Joining,
    /// A member of all its rooms.
    Member,
    /// Ended.
    Ended,
}

/// The upgrade request and response of all connections: encoded once and validated once.
#[derive(Debug)]
pub(crate) struct Upgrade {
    target: Target,
    key: String,
    /// One request for each path.
    requests: Vec<Vec<u8>>,
    /// The response that was validated; empty before the first.
    response: Vec<u8>,
}

impl Upgrade {
    pub(crate) fn new(target: Target) -> Self {
        // One key for all: it is not a secret, and only proves that the server has read the request.
        let key = client_key(fastrand::u128(..).to_le_bytes());
        let host = target.addr.to_string();
        let request = |path: &String| {
            let protocols = target.protocols;
            ClientRequest { host: &host, path, key: &key, protocols, headers: &[] }.encode()
        };
        Upgrade { requests: target.paths.iter().map(request).collect(), key, response: Vec::new(), target }
    }

    fn check(&mut self, response: &[u8]) -> Result<(), String> {
        if response != self.response {
            check_response(response, &self.key, self.target.protocols).map_err(|error| error.to_string())?;
            self.response = response.to_vec();
        }
        Ok(())
    }
}

#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    token: Token,
    pub(crate) decoder: Decoder,
    pub(crate) stage: Stage,
    /// The sender's index, if the connection sends.
    pub(crate) sender: Option<Index>,
    /// Bytes that the socket has not accepted yet. Bounded by the sender's window.
    out: Vec<u8>,
    is_blocked: bool,
}

impl Connection {
    /// Starts to connect, with the upgrade request queued.
    pub(crate) fn start(
        registry: &Registry,
        number: u32,
        upgrade: &Upgrade,
        source: Option<IpAddr>,
        is_stalled: bool,
    ) -> io::Result<Self> {
        let buffer = is_stalled.then_some(SMALL_BUFFER);
        let mut stream = TcpStream::from_std(dial_nonblocking(upgrade.target.addr, source, buffer)?);
        let token = Token(number as usize);
        registry.register(&mut stream, token, INTEREST)?;
        Ok(Connection {
            stream,
            token,
            decoder: Decoder::new(Role::Client, MESSAGE_LIMIT),
            out: upgrade.requests[number as usize % upgrade.requests.len()].clone(),
            stage: Stage::Upgrading(Vec::new()),
            sender: None,
            is_blocked: true,
        })
    }

    /// Reads once. `Ok(None)`: no more bytes for now.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            match self.stream.read(buffer) {
                Ok(read) => return Ok(Some(read)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Consumes bytes of the upgrade response. `Some`: it is complete and valid, and this many of the bytes belong to it.
    pub(crate) fn upgraded(&mut self, bytes: &[u8], upgrade: &mut Upgrade) -> Result<Option<usize>, String> {
        let Stage::Upgrading(head) = &mut self.stage else { return Ok(Some(0)) };
        let before = head.len();
        head.extend_from_slice(bytes);
        let Some(end) = head_len(head) else { return Ok(None) };
        upgrade.check(&head[..end])?;
        self.stage = Stage::Joining;
        // Before these bytes it was incomplete.
        Ok(Some(end - before))
    }

    /// Queues a frame; [`flush`](Self::flush) writes it.
    pub(crate) fn queue(&mut self, opcode: Opcode, payload: &[u8], key: [u8; 4]) {
        append_masked(&mut self.out, opcode, payload, key);
    }

    /// Whether the socket is full.
    pub(crate) fn is_blocked(&self) -> bool {
        self.is_blocked
    }

    /// Writes queued bytes as far as the socket accepts them; the rest when it is writable.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        let mut written = 0;
        self.is_blocked = loop {
            if written == self.out.len() {
                break false;
            }
            match self.stream.write(&self.out[written..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(more) => written += more,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break true,
                Err(error) if error.kind() == io::ErrorKind::NotConnected => break true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        };
        self.out.drain(..written);
        Ok(())
    }

    /// Stops reading.
    pub(crate) fn pause_reading(&mut self, registry: &Registry) -> io::Result<()> {
        registry.deregister(&mut self.stream)
    }

    /// Resumes reading.
    pub(crate) fn resume_reading(&mut self, registry: &Registry) -> io::Result<()> {
        registry.register(&mut self.stream, self.token, INTEREST)
    }

    /// Ends the connection: nothing more is read or written.
    pub(crate) fn end(&mut self, registry: &Registry) {
        self.stage = Stage::Ended;
        self.out = Vec::new();
        // A closed socket cannot be deregistered or shut down, and need not be.
        let _ = registry.deregister(&mut self.stream);
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
    }
}
