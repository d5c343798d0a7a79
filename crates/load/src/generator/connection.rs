//! One of many connections: its socket, what is not yet written to it, and how far it has come.

use std::io::{self, Read, Write};
use std::net::IpAddr;

use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use websocket::handshake::{ClientRequest, check_response, client_key, head_len};
use websocket::{Decoder, Opcode, Role, append_masked};

use super::checker::{Index, Member};
use super::plan::Target;
use crate::dial::dial_without_waiting;

/// The longest message of the server that is taken.
const MESSAGE_LIMIT: u32 = 1024 * 1024;

/// How far a connection has come.
#[derive(Debug)]
pub(crate) enum Stage {
    /// The upgrade is under way: its key, and what has come of the response.
    Upgrading { key: String, head: Vec<u8>, offered: &'static [&'static str] },
    /// Open, and waiting for `welcome` and `joined`.
    Joining,
    /// A member.
    Member,
    /// Gone.
    Ended,
}

#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    token: Token,
    pub(crate) decoder: Decoder,
    pub(crate) member: Member,
    pub(crate) stage: Stage,
    /// Which sender it is, if it is one.
    pub(crate) sender: Option<Index>,
    /// What the socket did not take yet. Bounded by the window of its sender, or by what a schedule leaves unanswered.
    out: Vec<u8>,
    waits_for_room: bool,
}

impl Connection {
    /// Begins to connect, with the upgrade ready to be written.
    pub(crate) fn start(
        registry: &Registry,
        number: u32,
        target: &Target,
        source: Option<IpAddr>,
        room: Index,
    ) -> io::Result<Self> {
        let mut stream = TcpStream::from_std(dial_without_waiting(target.addr, source)?);
        let token = Token(number as usize);
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        let key = client_key(crate::client::random());
        let request = ClientRequest {
            host: &target.addr.to_string(),
            path: &target.path,
            key: &key,
            protocols: target.protocols,
            headers: &[],
        };
        Ok(Connection {
            stream,
            token,
            decoder: Decoder::new(Role::Client, MESSAGE_LIMIT),
            member: Member::of(room),
            out: request.encode(),
            stage: Stage::Upgrading { key, head: Vec::new(), offered: target.protocols },
            sender: None,
            waits_for_room: true,
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

    /// Takes bytes of the response to the upgrade. `Some`: it is whole and good, and these bytes follow it.
    pub(crate) fn upgraded(&mut self, bytes: &[u8]) -> Result<Option<Vec<u8>>, String> {
        let Stage::Upgrading { key, head, offered } = &mut self.stage else {
            return Ok(Some(bytes.to_vec()));
        };
        head.extend_from_slice(bytes);
        let Some(end) = head_len(head) else { return Ok(None) };
        let rest = head.split_off(end);
        check_response(head, key, offered).map_err(|error| error.to_string())?;
        self.stage = Stage::Joining;
        Ok(Some(rest))
    }

    /// Queues a frame; [`flush`](Self::flush) writes it.
    pub(crate) fn queue(&mut self, opcode: Opcode, payload: &[u8], key: [u8; 4]) {
        append_masked(&mut self.out, opcode, payload, key);
    }

    /// Whether the socket takes nothing at the moment.
    pub(crate) fn is_blocked(&self) -> bool {
        self.waits_for_room
    }

    /// Writes what is queued, as far as the socket takes it; the rest when there is room.
    pub(crate) fn flush(&mut self, registry: &Registry) -> io::Result<()> {
        let mut written = 0;
        let blocked = loop {
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
        if blocked != self.waits_for_room {
            let interest = if blocked { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
            registry.reregister(&mut self.stream, self.token, interest)?;
            self.waits_for_room = blocked;
        }
        Ok(())
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
