//! `floor`: the least that any server must do that stores a message before it tells it to everybody.
//!
//! Each text is written to a file with `fdatasync`, and then sent to each socket with a plain `write()`. With `--batch`, all
//! texts that are there at once are written with one `fdatasync`, and go to each socket in one `write()`. There are no rooms,
//! people, limits or checks: what a chat server adds to this is what it costs.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Registry, Token};
use websocket::handshake::{accept_key, head_len};
use websocket::{Decoder, Message, text_frame};

const LISTENER: Token = Token(0);

/// The least that a server must do: write, fdatasync, and send to all.
#[derive(Parser)]
struct Cli {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:9998")]
    listen: SocketAddr,
    /// What is written goes here.
    #[arg(long)]
    file: PathBuf,
    /// Take in all that is there, and write it in one go to the file and to each socket.
    #[arg(long)]
    batch: bool,
}

/// `head` is what came of the upgrade; `None` once that is done.
struct Peer {
    stream: TcpStream,
    head: Option<Vec<u8>>,
    decoder: Decoder,
    /// What the socket did not take. Bounded by what the generator leaves unanswered.
    out: Vec<u8>,
}

struct Floor {
    file: File,
    batch: bool,
    peers: BTreeMap<Token, Peer>,
    /// Texts that wait for the end of the batch: as payloads, and as frames.
    payloads: Vec<u8>,
    frames: Vec<u8>,
}

fn main() -> io::Result<()> {
    let cli = Cli::parse();
    let mut poll = Poll::new()?;
    let mut listener = TcpListener::bind(cli.listen)?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let file = OpenOptions::new().create(true).append(true).open(cli.file)?;
    let mut floor =
        Floor { file, batch: cli.batch, peers: BTreeMap::new(), payloads: Vec::new(), frames: Vec::new() };
    let (mut events, mut buffer, mut next) = (Events::with_capacity(4096), vec![0; 64 * 1024], 1);
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        for event in &events {
            if event.token() == LISTENER {
                accept(&listener, poll.registry(), &mut floor.peers, &mut next)?;
                continue;
            }
            let done = match floor.peers.get_mut(&event.token()) {
                Some(peer) if event.is_writable() && !peer.out.is_empty() => peer.flush(),
                _ => Ok(()),
            };
            if done.and_then(|()| floor.read(event.token(), &mut buffer)).is_err() {
                floor.peers.remove(&event.token());
            }
        }
        floor.tell()?;
    }
}

fn accept(
    listener: &TcpListener,
    registry: &Registry,
    peers: &mut BTreeMap<Token, Peer>,
    next: &mut usize,
) -> io::Result<()> {
    loop {
        let mut stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        stream.set_nodelay(true)?;
        let token = Token(*next);
        *next += 1;
        // Edge-triggered: what the socket has no room for raises an event when it has.
        registry.register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        peers.insert(
            token,
            Peer { stream, head: Some(Vec::new()), decoder: Decoder::server(), out: Vec::new() },
        );
    }
}

impl Floor {
    /// Takes in all that a peer said.
    fn read(&mut self, token: Token, buffer: &mut [u8]) -> io::Result<()> {
        loop {
            let Some(peer) = self.peers.get_mut(&token) else { return Ok(()) };
            let read = match peer.stream.read(buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            if let Some(head) = &mut peer.head {
                // No client says anything before it has heard the answer.
                head.extend_from_slice(&buffer[..read]);
                if head_len(head).is_some() {
                    let response = response(head).ok_or(ErrorKind::InvalidData)?;
                    peer.head = None;
                    peer.send(response.as_bytes())?;
                }
                continue;
            }
            let mut decoder = std::mem::replace(&mut peer.decoder, Decoder::server());
            let mut input = &mut buffer[..read];
            while let Some(message) = decoder.next(&mut input).map_err(|_| ErrorKind::InvalidData)? {
                let Message::Text(text) = message else { continue };
                self.payloads.extend_from_slice(text.as_bytes());
                self.frames.extend(text_frame(text.as_bytes()));
                if !self.batch {
                    self.tell()?;
                }
            }
            if let Some(peer) = self.peers.get_mut(&token) {
                peer.decoder = decoder;
            }
        }
    }

    /// Stores what has been said, and then tells it to all.
    fn tell(&mut self) -> io::Result<()> {
        if self.frames.is_empty() {
            return Ok(());
        }
        self.file.write_all(&self.payloads)?;
        self.file.sync_data()?;
        for peer in self.peers.values_mut().filter(|peer| peer.head.is_none()) {
            // Whoever is gone also says so when it is read.
            let _ = peer.send(&self.frames);
        }
        self.payloads.clear();
        self.frames.clear();
        Ok(())
    }
}

impl Peer {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        if !self.out.is_empty() {
            self.out.extend_from_slice(bytes);
            return self.flush();
        }
        let written = write(&mut self.stream, bytes)?;
        self.out.extend_from_slice(&bytes[written..]);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let written = write(&mut self.stream, &self.out)?;
        self.out.drain(..written);
        Ok(())
    }
}

/// One `write()`; how much the socket took.
fn write(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<usize> {
    match stream.write(bytes) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        // A short write means that the socket is full, and that it will say when it is not.
        other => other,
    }
}

fn response(head: &[u8]) -> Option<String> {
    let head = std::str::from_utf8(head).ok()?;
    let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "))?;
    Some(format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n",
        accept_key(key)
    ))
}
