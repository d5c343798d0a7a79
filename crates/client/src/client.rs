//! A blocking client for one connection.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use protocol::{
    Appended, ClientMessageId, Command, CommandEnvelope, CommandId, ControlFrame, Event, Join, Joined,
    MessageBody, OkFrame, RoomRef, Seq, ServerFrame, UserName, Welcome,
};
use serde::de::DeserializeOwned;
use websocket::handshake::{ClientRequest, ResponseError, check_response, client_key, head_len};
use websocket::{CloseCode, Decoder, Message, Opcode, Role, append_masked, close_payload};

use crate::dial::dial;
use crate::{Error, Options};

/// The longest message that the client accepts: a page of history has 256 KiB and the last event.
const MESSAGE_LIMIT: u32 = 16 * 1024 * 1024;

/// The most bytes that one read takes from the socket.
const READ_BYTES: usize = 64 * 1024;

/// One WebSocket message, as received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// A text message, one or more frames of the protocol or one line of plain text.
    Text(String),
    /// A binary message, which the server never sends.
    Binary(Vec<u8>),
    /// A ping. It has been answered, unless [`Client::answer_pings`] is off.
    Ping(Vec<u8>),
    /// A pong, the answer to a ping that the client sent.
    Pong(Vec<u8>),
    /// A close frame with its code (1005 if the frame has none) and reason. Nothing follows it.
    Close(u16, String),
    /// The TCP connection ended or was reset.
    End,
}

/// The frame that replies to a command, unless the command is rejected.
#[derive(Clone, Debug, PartialEq)]
pub enum ReplyFrame {
    /// The reply to `join`.
    Joined(Joined),
    /// The reply to every other command.
    Ok(OkFrame),
}

impl ReplyFrame {
    /// Converts the fields of an `ok` to the reply type of the operation. A `joined` is [`Error::Unreadable`].
    pub fn ok<R: DeserializeOwned>(&self) -> Result<R, Error> {
        match self {
            ReplyFrame::Ok(ok) => read_reply(ok),
            ReplyFrame::Joined(joined) => Err(Error::Unreadable {
                text: format!("{joined:?}"),
                error: "joined instead of ok".to_owned(),
            }),
        }
    }
}

/// Converts the fields of an `ok` to the reply type of the operation. The error is a missing or invalid field.
pub fn read_reply<R: DeserializeOwned>(ok: &OkFrame) -> Result<R, Error> {
    ok.reply().map_err(|error| Error::Unreadable { text: format!("{ok:?}"), error: error.to_string() })
}

/// A blocking client. Calls that expect a reply wait for [`Options::timeout`]. Frames that arrive meanwhile are kept in order,
/// for [`next_frame`](Self::next_frame) and the methods after it.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    decoder: Decoder,
    welcome: Option<Welcome>,
    protocol: Option<String>,
    messages: VecDeque<Received>,
    frames: VecDeque<ServerFrame>,
    next_id: u64,
    timeout: Duration,
    /// Whether the client answers pings as it reads them; `true` by default. Without answers, the server closes the
    /// connection.
    pub answer_pings: bool,
}

impl Client {
    /// Connects and, with the JSON subprotocol, waits for `welcome`.
    pub fn connect(addr: SocketAddr, options: Options) -> Result<Self, Error> {
        let json = options.protocol.as_deref() == Some(Options::JSON);
        let mut client = Self::open(addr, options)?;
        if json {
            let timeout = client.timeout;
            match client.next_frame(timeout)? {
                ServerFrame::ControlFrame(ControlFrame::Welcome(welcome)) => client.welcome = Some(welcome),
                other => {
                    return Err(Error::Unreadable {
                        text: other.to_json(),
                        error: "expected welcome".to_owned(),
                    });
                }
            }
        }
        Ok(client)
    }

    /// Connects and upgrades without reading a frame, for tests that read slowly.
    pub fn open(addr: SocketAddr, options: Options) -> Result<Self, Error> {
        let mut stream = dial(addr, options.source, options.receive_buffer, options.timeout)?;
        stream.set_read_timeout(Some(options.timeout))?;
        stream.set_write_timeout(Some(options.timeout))?;
        let key = client_key(random());
        let host = addr.to_string();
        let bearer = options.bearer.as_ref().map(|token| format!("Bearer {token}"));
        let mut headers: Vec<(&str, &str)> = Vec::new();
        headers.extend(bearer.as_deref().map(|value| ("Authorization", value)));
        headers.extend(options.origin.as_deref().map(|value| ("Origin", value)));
        headers.extend(options.cookie.as_deref().map(|value| ("Cookie", value)));
        headers.extend(options.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let protocols: Vec<&str> = options.protocol.as_deref().into_iter().collect();
        let request = ClientRequest {
            host: &host,
            path: &options.path,
            key: &key,
            protocols: &protocols,
            headers: &headers,
        };
        stream.write_all(&request.encode())?;

        let mut head = Vec::new();
        let end = loop {
            if let Some(end) = head_len(&head) {
                break end;
            }
            let mut chunk = [0; 4096];
            match stream.read(&mut chunk) {
                Ok(0) => return Err(Error::Handshake("the connection ended".to_owned())),
                Ok(read) => head.extend_from_slice(&chunk[..read]),
                Err(error) if is_timeout(&error) => return Err(Error::Timeout),
                Err(error) => return Err(error.into()),
            }
        };
        let mut rest = head.split_off(end);
        let info = check_response(&head, &key, &protocols).map_err(|error| match error {
            ResponseError::Status(status) => Error::Upgrade(status),
            other => Error::Handshake(other.to_string()),
        })?;
        let mut client = Client {
            stream,
            decoder: Decoder::new(Role::Client, MESSAGE_LIMIT),
            welcome: None,
            protocol: info.protocol.map(str::to_owned),
            messages: VecDeque::new(),
            frames: VecDeque::new(),
            next_id: 1,
            timeout: options.timeout,
            answer_pings: true,
        };
        client.decode(&mut rest)?;
        Ok(client)
    }

    /// The user of this connection and the limits. `None` unless [`connect`](Self::connect) was used with the JSON
    /// subprotocol.
    #[must_use]
    pub fn welcome(&self) -> Option<&Welcome> {
        self.welcome.as_ref()
    }

    /// The subprotocol that the server selected; `None` means plain text.
    #[must_use]
    pub fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    /// The socket, for tests that shut it down or write invalid frames.
    #[must_use]
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    // --- Sending ---

    /// Sends a command without an id. Nothing answers it unless it is rejected.
    pub fn send(&mut self, command: &Command) -> Result<(), Error> {
        self.send_json(&CommandEnvelope { id: None, command: command.clone() })
    }

    /// Sends a command with a fresh id, and does not wait for the reply.
    pub fn start(&mut self, command: &Command) -> Result<CommandId, Error> {
        let id = CommandId(self.next_id);
        self.next_id += 1;
        self.send_json(&CommandEnvelope { id: Some(id), command: command.clone() })?;
        Ok(id)
    }

    /// Sends a command and waits for its reply. A rejection is [`Error::Rejected`].
    pub fn call(&mut self, command: &Command) -> Result<ReplyFrame, Error> {
        let id = self.start(command)?;
        self.reply_to(id)
    }

    /// Waits for the reply to a command that was [started](Self::start).
    pub fn reply_to(&mut self, id: CommandId) -> Result<ReplyFrame, Error> {
        let id = Some(id);
        let frame = self.frame_where(|frame| match frame {
            ServerFrame::ControlFrame(ControlFrame::Ok(ok)) => ok.id == id,
            ServerFrame::ControlFrame(ControlFrame::Joined(joined)) => joined.id == id,
            ServerFrame::ControlFrame(ControlFrame::Error(error)) => error.id == id,
            _ => false,
        })?;
        match frame {
            ServerFrame::ControlFrame(ControlFrame::Joined(joined)) => Ok(ReplyFrame::Joined(joined)),
            ServerFrame::ControlFrame(ControlFrame::Ok(ok)) => Ok(ReplyFrame::Ok(ok)),
            ServerFrame::ControlFrame(ControlFrame::Error(error)) => Err(Error::Rejected(error)),
            other => Err(unexpected(&other)),
        }
    }

    /// Sends a command that the server must reject, and returns the rejection.
    ///
    /// # Panics
    ///
    /// If the command is not rejected.
    pub fn rejected(&mut self, command: &Command) -> Result<protocol::ErrorFrame, Error> {
        match self.call(command) {
            Err(Error::Rejected(frame)) => Ok(frame),
            Err(error) => Err(error),
            Ok(reply) => panic!("{command:?} was not rejected but answered: {reply:?}"),
        }
    }

    /// Joins a room, given by id or name, without a cursor: only new events follow.
    pub fn join(&mut self, room: &str) -> Result<Joined, Error> {
        let room = room.parse().map_err(|error: protocol::InvalidName| Error::Unreadable {
            text: room.to_owned(),
            error: error.to_string(),
        })?;
        self.join_with(Join { room, after: None, epoch: None })
    }

    /// Joins a room; the events after `join.after` follow.
    pub fn join_with(&mut self, join: Join) -> Result<Joined, Error> {
        match self.call(&Command::Join(join))? {
            ReplyFrame::Joined(joined) => Ok(joined),
            ReplyFrame::Ok(ok) => {
                Err(Error::Unreadable { text: format!("{ok:?}"), error: "ok instead of joined".to_owned() })
            }
        }
    }

    /// Sends a message with a new idempotency key, and waits until the server has acknowledged it.
    pub fn send_body(&mut self, room: protocol::RoomId, body: &str) -> Result<Seq, Error> {
        self.send_body_with_key(room, &fresh_key(), body)
    }

    /// Sends a message with this idempotency key, and waits until the server has acknowledged it.
    pub fn send_body_with_key(
        &mut self,
        room: protocol::RoomId,
        key: &str,
        body: &str,
    ) -> Result<Seq, Error> {
        let Appended { seq } = self.call(&send_command(room, key, body)?)?.ok()?;
        Ok(seq)
    }

    /// Changes the user's name in every room.
    pub fn rename(&mut self, name: UserName) -> Result<ReplyFrame, Error> {
        self.call(&Command::Rename(protocol::Rename { name }))
    }

    /// Sends a `ping` command, and returns all frames before its reply. The reply does not pass the store, so it proves only
    /// that the server has read the earlier commands.
    pub fn roundtrip(&mut self) -> Result<Vec<ServerFrame>, Error> {
        self.call(&Command::Ping(protocol::Ping {}))?;
        Ok(self.frames.drain(..).collect())
    }

    // --- Receiving ---

    /// Returns the next frame. The error is [`Error::Timeout`] if none arrives in time.
    pub fn next_frame(&mut self, timeout: Duration) -> Result<ServerFrame, Error> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(frame) = self.frames.pop_front() {
                return Ok(frame);
            }
            self.read_frames(deadline)?;
        }
    }

    /// Returns the first frame that satisfies `wanted`; the frames before it are kept for later calls.
    pub fn frame_where(&mut self, wanted: impl Fn(&ServerFrame) -> bool) -> Result<ServerFrame, Error> {
        let deadline = Instant::now() + self.timeout;
        let mut looked_at = 0;
        loop {
            if let Some(found) = self.frames.iter().skip(looked_at).position(&wanted)
                && let Some(frame) = self.frames.remove(looked_at + found)
            {
                return Ok(frame);
            }
            looked_at = self.frames.len();
            self.read_frames(deadline)?;
        }
    }

    /// Returns the next event of any room, and keeps the other frames.
    pub fn next_event(&mut self) -> Result<Event, Error> {
        self.event_where(|_| true)
    }

    /// Returns the first event that satisfies `wanted`, and keeps the other frames.
    pub fn event_where(&mut self, wanted: impl Fn(&Event) -> bool) -> Result<Event, Error> {
        match self.frame_where(|frame| matches!(frame, ServerFrame::Event(event) if wanted(event)))? {
            ServerFrame::Event(event) => Ok(event),
            other => Err(unexpected(&other)),
        }
    }

    /// Returns the next line of plain text, or any other text message.
    pub fn next_line(&mut self) -> Result<String, Error> {
        let deadline = Instant::now() + self.timeout;
        loop {
            match self.message_by(deadline)? {
                Received::Text(text) => return Ok(text),
                Received::Ping(_) | Received::Pong(_) | Received::Binary(_) => {}
                Received::Close(code, reason) => return Err(Error::Closed { code, reason }),
                Received::End => return Err(Error::Closed { code: 1006, reason: String::new() }),
            }
        }
    }

    /// Returns the next WebSocket message of any kind, before it is parsed.
    pub fn next_message(&mut self, timeout: Duration) -> Result<Received, Error> {
        self.message_by(Instant::now() + timeout)
    }

    /// Reads until the server closes the connection. Returns the close code; 1006 if there was no close frame.
    pub fn closed(&mut self) -> Result<u16, Error> {
        let deadline = Instant::now() + self.timeout;
        loop {
            match self.message_by(deadline)? {
                Received::Close(code, _) => return Ok(code),
                Received::End => return Ok(1006),
                _ => {}
            }
        }
    }

    // --- Protocol violations, for tests with a hostile client ---

    /// Reads once, at most this many bytes. The rest of a frame is read by the next call.
    pub fn read_at_most(&mut self, bytes: usize) -> Result<(), Error> {
        self.read_by(Instant::now() + self.timeout, bytes)
    }

    /// Sends a text message unchanged: invalid JSON, or a line of plain text.
    pub fn send_text(&mut self, text: &str) -> Result<(), Error> {
        self.send_message(Opcode::Text, text.as_bytes())
    }

    /// Sends one frame, masked with a new key; the opcode need not suit the payload.
    pub fn send_message(&mut self, opcode: Opcode, payload: &[u8]) -> Result<(), Error> {
        let mut bytes = Vec::with_capacity(payload.len() + 14);
        append_masked(&mut bytes, opcode, payload, random());
        self.send_bytes(&bytes)
    }

    /// Writes these bytes to the socket without a frame around them.
    pub fn send_bytes(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.stream
            .write_all(bytes)
            .map_err(|error| if is_timeout(&error) { Error::Timeout } else { error.into() })
    }

    /// Sends a close frame and waits for the server's. Returns its code.
    pub fn close(mut self) -> Result<u16, Error> {
        self.send_message(Opcode::Close, &close_payload(CloseCode::NORMAL, ""))?;
        self.closed()
    }

    fn send_json(&mut self, command: &CommandEnvelope) -> Result<(), Error> {
        // Cannot fail: all keys are strings, and no value implements `Serialize` by hand.
        let text = serde_json::to_string(command).expect("a command is valid JSON by construction");
        self.send_text(&text)
    }

    fn read_frames(&mut self, deadline: Instant) -> Result<(), Error> {
        match self.message_by(deadline)? {
            Received::Text(text) => self.frames.extend(parse_frames(&text)?),
            Received::Ping(_) | Received::Pong(_) => {}
            Received::Close(code, reason) => return Err(Error::Closed { code, reason }),
            Received::End => return Err(Error::Closed { code: 1006, reason: String::new() }),
            Received::Binary(bytes) => {
                return Err(Error::Unreadable {
                    text: format!("{bytes:?}"),
                    error: "a binary frame".to_owned(),
                });
            }
        }
        Ok(())
    }

    fn message_by(&mut self, deadline: Instant) -> Result<Received, Error> {
        loop {
            if let Some(message) = self.messages.pop_front() {
                return Ok(message);
            }
            self.read_by(deadline, READ_BYTES)?;
        }
    }

    /// Reads once, and keeps complete messages in order.
    fn read_by(&mut self, deadline: Instant, bytes: usize) -> Result<(), Error> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Error::Timeout);
        }
        self.stream.set_read_timeout(Some(left))?;
        let mut chunk = vec![0; bytes];
        match self.stream.read(&mut chunk) {
            Ok(0) => self.messages.push_back(Received::End),
            Ok(read) => self.decode(&mut chunk[..read])?,
            Err(error) if is_timeout(&error) => return Err(Error::Timeout),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                self.messages.push_back(Received::End)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn decode(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        let mut input = bytes;
        let mut pings = Vec::new();
        while let Some(message) = self.decoder.next(&mut input)? {
            self.messages.push_back(match message {
                Message::Text(text) => Received::Text(text.to_owned()),
                Message::Binary(bytes) => Received::Binary(bytes.to_owned()),
                Message::Ping(payload) => {
                    pings.push(payload.to_owned());
                    Received::Ping(payload.to_owned())
                }
                Message::Pong(payload) => Received::Pong(payload.to_owned()),
                Message::Close(None) => Received::Close(1005, String::new()),
                Message::Close(Some((code, reason))) => Received::Close(code.get(), reason.to_owned()),
            });
        }
        if self.answer_pings {
            for payload in pings {
                // The write may fail because the server has closed the connection; its close frame must still be read.
                let _ = self.send_message(Opcode::Pong, &payload);
            }
        }
        Ok(())
    }
}

fn send_command(room: protocol::RoomId, key: &str, body: &str) -> Result<Command, Error> {
    let illegal = |error: String| Error::Unreadable { text: body.to_owned(), error };
    Ok(Command::Send(protocol::Send {
        room: RoomRef::Id(room),
        client_message_id: ClientMessageId::new(key).map_err(|error| illegal(error.to_string()))?,
        body: MessageBody::new(body, u32::MAX).map_err(|error| illegal(error.to_string()))?,
    }))
}

/// Parses a text message: one object, or an array of them.
fn parse_frames(text: &str) -> Result<Vec<ServerFrame>, Error> {
    let parsed = if text.starts_with('[') {
        serde_json::from_str(text)
    } else {
        serde_json::from_str(text).map(|frame| vec![frame])
    };
    parsed.map_err(|error| Error::Unreadable { text: text.to_owned(), error: error.to_string() })
}

fn unexpected(frame: &ServerFrame) -> Error {
    Error::Unreadable { text: frame.to_json(), error: "unexpected frame".to_owned() }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

fn fresh_key() -> String {
    format!("{:032x}", u128::from_le_bytes(random()))
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // The kernel provides random bytes once it has booted; a client cannot continue without them.
    getrandom::fill(&mut bytes).expect("the kernel provides random bytes");
    bytes
}

#[cfg(test)]
mod tests;
