//! One of many connections: its socket, what is not yet written to it, and how far it has come.

use std::io::{self, Read, Write};
use std::net::IpAddr;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use websocket::handshake::{ClientRequest, check_response, client_key, head_len};
use websocket::{Decoder, Opcode, Role, append_masked};

use super::checker::Index;
use super::plan::Target;
use client::dial_nonblocking;

/// The longest message of the server that is taken: a peer may put all that waits for a client into one.
const MESSAGE_LIMIT: u32 = 64 * 1024 * 1024;

/// The receive buffer of one who will stall: what it does not read is to wait at the server and not here.
const SMALL_BUFFER: usize = 4096;

/// For room to write too, from the beginning: events are edge-triggered, so that it costs nothing until a socket is full.
const INTEREST: Interest = Interest::READABLE.add(Interest::WRITABLE);

/// How far a connection has come.
#[derive(Debug)]
pub(crate) enum Stage {
    /// The upgrade is under way: what has come of the response.
    Upgrading(Vec<u8>),
    /// Open, and not yet in all its rooms.
    Joining,
    /// A member.
    Member,
    /// Gone.
    Ended,
}

/// What all connections say and hear when they begin: made once, and checked once.
#[derive(Debug)]
pub(crate) struct Upgrade {
    target: Target,
    key: String,
    /// One for each path.
    requests: Vec<Vec<u8>>,
    /// The response that was found to be good; empty before the first.
    response: Vec<u8>,
}

impl Upgrade {
    pub(crate) fn new(target: Target) -> Self {
        // One key for all: it is no secret, it only shows that the server has read the request.
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
    /// Which sender it is, if it is one.
    pub(crate) sender: Option<Index>,
    /// What the socket did not take yet. Bounded by the window of its sender, or by what a schedule leaves unanswered.
    out: Vec<u8>,
    is_blocked: bool,
}

impl Connection {
    /// Begins to connect, with the upgrade ready to be written.
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

    /// Reads once. `Ok(None)`: there is nothing more for now.
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

    /// Takes bytes of the response to the upgrade. `Some`: it is whole and good, and so many of these bytes belong to it.
    pub(crate) fn upgraded(&mut self, bytes: &[u8], upgrade: &mut Upgrade) -> Result<Option<usize>, String> {
        let Stage::Upgrading(head) = &mut self.stage else { return Ok(Some(0)) };
        let before = head.len();
        head.extend_from_slice(bytes);
        let Some(end) = head_len(head) else { return Ok(None) };
        upgrade.check(&head[..end])?;
        self.stage = Stage::Joining;
        // Before these bytes it was not whole.
        Ok(Some(end - before))
    }

    /// Queues a frame; [`flush`](Self::flush) writes it.
    pub(crate) fn queue(&mut self, opcode: Opcode, payload: &[u8], key: [u8; 4]) {
        append_masked(&mut self.out, opcode, payload, key);
    }

    /// Whether the socket takes nothing at the moment.
    pub(crate) fn is_blocked(&self) -> bool {
        self.is_blocked
    }

    /// Writes what is queued, as far as the socket takes it; the rest when there is room.
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

    /// Lets lie what comes.
    pub(crate) fn pause_reading(&mut self, registry: &Registry) -> io::Result<()> {
        registry.deregister(&mut self.stream)
    }

    /// Reads again what comes, and what has come.
    pub(crate) fn resume_reading(&mut self, registry: &Registry) -> io::Result<()> {
        registry.register(&mut self.stream, self.token, INTEREST)
    }

    /// Ends it: nothing more is read or written.
    pub(crate) fn end(&mut self, registry: &Registry) {
        self.stage = Stage::Ended;
        self.out = Vec::new();
        // A socket that is gone already cannot be deregistered or shut down, and need not be.
        let _ = registry.deregister(&mut self.stream);
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
    }
}
