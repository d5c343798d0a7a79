//! `baseline_server`: the least work of any server that stores each message before it sends it to all members.
//!
//! Each text is written to a file with `fdatasync`, and then sent to each socket with one `write()`. With `--batch`, all
//! available texts share one `fdatasync` and one `write()` per socket. There are no users, limits or checks, so the difference
//! to a chat server is the cost of its features.
//!
//! The path of the upgrade names the channel. A text is sent to the connections with the same path as its sender, so that a
//! load of many rooms can be compared.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Registry, Token};
use websocket::handshake::{accept_key, head_len};
use websocket::{Decoder, Message, text_frame};

/// Differs from every peer's token: those are indices from 0.
const LISTENER: Token = Token(usize::MAX - 1);

/// The least work of a chat server: write, fdatasync, and send to the whole channel.
#[derive(Parser)]
struct Cli {
    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1:9998")]
    listen: SocketAddr,
    /// File for the messages.
    #[arg(long)]
    file: PathBuf,
    /// Read everything available, and write it at once to the file and to each socket.
    #[arg(long)]
    batch: bool,
}

struct Peer {
    stream: TcpStream,
    state: PeerState,
    decoder: Decoder,
    /// Bytes that the socket has not accepted, bounded by the generator's window.
    outbox: Vec<u8>,
}

enum PeerState {
    /// The upgrade is in progress; the bytes of the request so far.
    Upgrading(Vec<u8>),
    /// The upgrade is complete; the index of the channel.
    Joined(usize),
}

/// The peers that requested the same path.
#[derive(Default)]
struct Channel {
    /// Indices among all peers, so that a broadcast visits no other peer.
    members: Vec<usize>,
    /// The encoded frames of the current batch.
    frames: Vec<u8>,
}

struct BaselineServer {
    file: File,
    batch: bool,
    /// By token. Indices are not reused, because the connections of a run are bounded.
    peers: Vec<Option<Peer>>,
    channels: Vec<Channel>,
    by_path: HashMap<String, usize>,
    /// Texts of the current batch, and the channels with frames to send.
    pending_payloads: Vec<u8>,
    pending_channels: Vec<usize>,
}

fn main() -> io::Result<()> {
    let cli = Cli::parse();
    let file = OpenOptions::new().create(true).append(true).open(cli.file)?;
    serve(TcpListener::bind(cli.listen)?, BaselineServer::new(file, cli.batch))
}

fn serve(mut listener: TcpListener, mut server: BaselineServer) -> io::Result<()> {
    let mut poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let (mut events, mut buffer) = (Events::with_capacity(4096), vec![0; 64 * 1024]);
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        for event in &events {
            if event.token() == LISTENER {
                accept(&listener, poll.registry(), &mut server.peers)?;
                continue;
            }
            let at = event.token().0;
            let done = match &mut server.peers[at] {
                Some(peer) if event.is_writable() && !peer.outbox.is_empty() => peer.flush(),
                _ => Ok(()),
            };
            if done.and_then(|()| server.read(at, &mut buffer)).is_err() {
                server.leave(at);
            }
        }
        server.store_and_broadcast()?;
    }
}

fn accept(listener: &TcpListener, registry: &Registry, peers: &mut Vec<Option<Peer>>) -> io::Result<()> {
    loop {
        let mut stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        stream.set_nodelay(true)?;
        // Edge-triggered: a full socket raises an event when it is writable again.
        registry.register(&mut stream, Token(peers.len()), Interest::READABLE | Interest::WRITABLE)?;
        peers.push(Some(Peer {
            stream,
            state: PeerState::Upgrading(Vec::new()),
            decoder: Decoder::server(),
            outbox: Vec::new(),
        }));
    }
}

impl BaselineServer {
    fn new(file: File, batch: bool) -> Self {
        BaselineServer {
            file,
            batch,
            peers: Vec::new(),
            channels: Vec::new(),
            by_path: HashMap::new(),
            pending_payloads: Vec::new(),
            pending_channels: Vec::new(),
        }
    }

    /// Reads everything that a peer has sent, because no further event announces the rest.
    fn read(&mut self, at: usize, buffer: &mut [u8]) -> io::Result<()> {
        loop {
            let Some(peer) = &mut self.peers[at] else { return Ok(()) };
            let read = match peer.stream.read(buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            let channel = match &mut peer.state {
                PeerState::Joined(channel) => *channel,
                PeerState::Upgrading(head) => {
                    // A client sends nothing before it has received the response.
                    head.extend_from_slice(&buffer[..read]);
                    if head_len(head).is_some() {
                        let (path, response) = upgrade_response(head).ok_or(ErrorKind::InvalidData)?;
                        let channel = *self.by_path.entry(path).or_insert(self.channels.len());
                        if channel == self.channels.len() {
                            self.channels.push(Channel::default());
                        }
                        peer.state = PeerState::Joined(channel);
                        self.channels[channel].members.push(at);
                        peer.send(response.as_bytes())?;
                    }
                    continue;
                }
            };
            let mut decoder = std::mem::replace(&mut peer.decoder, Decoder::server());
            let mut input = &mut buffer[..read];
            while let Some(message) = decoder.next(&mut input).map_err(|_| ErrorKind::InvalidData)? {
                let Message::Text(text) = message else { continue };
                self.pending_payloads.extend_from_slice(text.as_bytes());
                let frames = &mut self.channels[channel].frames;
                if frames.is_empty() {
                    self.pending_channels.push(channel);
                }
                frames.extend(text_frame(text.as_bytes()));
                if !self.batch {
                    self.store_and_broadcast()?;
                }
            }
            if let Some(peer) = &mut self.peers[at] {
                peer.decoder = decoder;
            }
        }
    }

    /// Stores the batch, and then sends it to all members of its channels.
    fn store_and_broadcast(&mut self) -> io::Result<()> {
        if self.pending_channels.is_empty() {
            return Ok(());
        }
        self.file.write_all(&self.pending_payloads)?;
        self.file.sync_data()?;
        self.pending_payloads.clear();
        for channel in self.pending_channels.drain(..) {
            let Channel { members, frames } = &mut self.channels[channel];
            for &member in &*members {
                if let Some(peer) = &mut self.peers[member] {
                    // The peer's next read returns the error as well.
                    let _ = peer.send(frames);
                }
            }
            frames.clear();
        }
        Ok(())
    }

    fn leave(&mut self, at: usize) {
        if let Some(Peer { state: PeerState::Joined(channel), .. }) = self.peers[at].take() {
            self.channels[channel].members.retain(|&member| member != at);
        }
    }
}

impl Peer {
    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        if !self.outbox.is_empty() {
            self.outbox.extend_from_slice(bytes);
            return self.flush();
        }
        let written = write(&mut self.stream, bytes)?;
        self.outbox.extend_from_slice(&bytes[written..]);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let written = write(&mut self.stream, &self.outbox)?;
        self.outbox.drain(..written);
        Ok(())
    }
}

/// Calls `write()` once. Returns the number of bytes that the socket accepted.
fn write(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<usize> {
    match stream.write(bytes) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        // After a short write the socket is full, and an event follows when it is writable.
        other => other,
    }
}

/// The requested path and the response; `None` if the request is not an upgrade.
fn upgrade_response(head: &[u8]) -> Option<(String, String)> {
    let head = std::str::from_utf8(head).ok()?;
    let path = head.split(' ').nth(1)?.to_owned();
    let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "))?;
    let response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n",
        accept_key(key)
    );
    Some((path, response))
}

#[cfg(test)]
mod tests {
    use std::thread::spawn;

    use teahouse_loadgen::generator::{Findings, Plan, run};

    use super::*;

    #[derive(Parser)]
    struct Load {
        #[command(flatten)]
        plan: Plan,
    }

    /// Runs 7 connections for a short time. Returns the findings, and the deliveries of each message.
    fn load(batch: bool, args: &str) -> (Findings, u64) {
        let name = format!("baseline-{}-{batch}-{}", std::process::id(), args.len());
        let path = std::env::temp_dir().join(name);
        let file = OpenOptions::new().create(true).append(true).open(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        // The thread ends with the process.
        spawn(move || serve(listener, BaselineServer::new(file, batch)));
        let times = "--duration 0.1 --warmup 0 --settle 0 --idle-timeout 0.7";
        let line = format!("load --peer --url {url} --connections 7 {times} {args}");
        let plan = Load::try_parse_from(line.split(' ')).unwrap().plan;
        let report = run(&plan, || {}).unwrap();
        assert!(report.sent > 0 && report.unanswered == 0, "{report}");
        assert_eq!(report.deliveries_total % report.sent, 0, "{report}");
        (report.findings, report.deliveries_total / report.sent)
    }

    #[test]
    fn every_member_of_a_channel_receives_all() {
        for batch in [false, true] {
            assert_eq!(load(batch, "--senders 3"), (Findings::default(), 7));
        }
    }

    #[test]
    fn channel_receives_only_its_own_messages() {
        for batch in [false, true] {
            // Seven members in three channels: 3, 2 and 2, with one sender in the first; then each in its own channel.
            assert_eq!(load(batch, "--rooms 3 --senders 1"), (Findings::default(), 3));
            assert_eq!(load(batch, "--rooms 7 --senders 7"), (Findings::default(), 1));
        }
    }
}
