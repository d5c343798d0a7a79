//! One connection of many: its socket, its outgoing buffer and its stage.

use std::io::{self, Read, Write};
use std::net::IpAddr;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use websocket::handshake::{ClientRequest, check_response, client_key, head_len};
use websocket::{Decoder, Opcode, Role, append_masked};

use super::checker::Index;
use super::plan::Target;
use client::dial_nonblocking;

/// Bounds a message. A peer may put everything that waits for a client into one.
const MESSAGE_LIMIT: u32 = 64 * 1024 * 1024;

/// The receive buffer of a connection that will pause reading, in bytes: small, so that unread data waits at the server.
const SMALL_BUFFER: usize = 4096;

/// Includes writability from the start: events are edge-triggered, so it costs nothing until a socket is full.
const INTEREST: Interest = Interest::READABLE.add(Interest::WRITABLE);

/// The stage of a connection.
#[derive(Debug)]
pub(crate) enum Stage {
    /// The upgrade is in progress; the bytes of the response so far.
    Upgrading(Vec<u8>),
    /// The connection is open, but has not joined all its rooms.
    Joining,
    /// The connection has joined all its rooms.
    Member,
    Ended,
}

/// The upgrade requests and responses of all connections: encoded once and validated once.
#[derive(Debug)]
pub(crate) struct Upgrade {
    target: Target,
    key: String,
    /// One request for each path.
    requests: Vec<Vec<u8>>,
    /// The first validated response; empty before it. Equal responses need no further validation.
    response: Vec<u8>,
}

impl Upgrade {
    pub(crate) fn new(target: Target) -> Self {
        // One key for all connections: it is not a secret, and only proves that the server has read the request.
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
    pub(crate) sender: Option<Index>,
    /// Bytes that the socket has not accepted, bounded by the sender's window.
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

    /// Reads once. `Ok(None)` means that there are no more bytes for now.
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

    /// Consumes bytes of the upgrade response. Returns `Some` when it is complete and valid: the number of these bytes that
    /// belong to it.
    pub(crate) fn upgraded(&mut self, bytes: &[u8], upgrade: &mut Upgrade) -> Result<Option<usize>, String> {
        let Stage::Upgrading(head) = &mut self.stage else { return Ok(Some(0)) };
        let before = head.len();
        head.extend_from_slice(bytes);
        let Some(end) = head_len(head) else { return Ok(None) };
        upgrade.check(&head[..end])?;
        self.stage = Stage::Joining;
        // Without these bytes it was incomplete.
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

    /// Writes queued bytes as far as the socket accepts them. The rest follows when it is writable.
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

    pub(crate) fn pause_reading(&mut self, registry: &Registry) -> io::Result<()> {
        registry.deregister(&mut self.stream)
    }

    pub(crate) fn resume_reading(&mut self, registry: &Registry) -> io::Result<()> {
        registry.register(&mut self.stream, self.token, INTEREST)
    }

    /// Ends the connection: nothing more is read or written.
    pub(crate) fn end(&mut self, registry: &Registry) {
        self.stage = Stage::Ended;
        self.out = Vec::new();
        // A closed socket can be neither deregistered nor shut down, which is not needed then.
        let _ = registry.deregister(&mut self.stream);
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
    }
}
