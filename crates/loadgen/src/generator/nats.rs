//! The subset of the NATS client protocol that a room needs: all connections subscribe to one subject, and senders publish to
//! it. Over WebSocket the stream of lines arrives in binary frames that are split anywhere.

/// The client's reply to a ping, without which NATS closes the connection.
pub(crate) const PONG: &[u8] = b"PONG\r\n";

const LINE_END: &[u8] = b"\r\n";

/// Bounds a message and the buffered bytes, far above what a run publishes.
const MAX_BUFFERED: usize = 1024 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServerMessage<'a> {
    /// The server's description of itself, its first message.
    Info,
    Ping,
    Pong,
    /// A published payload.
    Message(&'a [u8]),
    /// An error with its text.
    Error(&'a str),
    /// An unexpected message.
    Unknown,
}

/// The incomplete end of the server's stream.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    buffer: Vec<u8>,
}

impl Stream {
    /// Consumes bytes, and calls `on_message` for each complete message.
    pub(crate) fn read(&mut self, bytes: &[u8], mut on_message: impl FnMut(ServerMessage<'_>)) {
        if self.buffer.is_empty() {
            // Almost always every message is complete, and nothing is buffered.
            let used = parse_all(bytes, &mut on_message);
            self.buffer.extend_from_slice(&bytes[used..]);
        } else {
            self.buffer.extend_from_slice(bytes);
            let used = parse_all(&self.buffer, &mut on_message);
            self.buffer.drain(..used);
        }
        if self.buffer.len() > MAX_BUFFERED {
            self.buffer = Vec::new();
            on_message(ServerMessage::Unknown);
        }
    }
}

fn parse_all(bytes: &[u8], on_message: &mut impl FnMut(ServerMessage<'_>)) -> usize {
    let mut used = 0;
    while let Some((message, length)) = parse_first(&bytes[used..]) {
        on_message(message);
        used += length;
    }
    used
}

/// The message at the start with its length; `None` if it is incomplete.
fn parse_first(bytes: &[u8]) -> Option<(ServerMessage<'_>, usize)> {
    let line = &bytes[..bytes.windows(LINE_END.len()).position(|two| two == LINE_END)?];
    let after = line.len() + LINE_END.len();
    let word = line.split(|&byte| byte == b' ').next().unwrap_or_default();
    let message = match word {
        b"MSG" => match length_of(line) {
            Some(length) => {
                let payload = bytes.get(after..after + length)?;
                let rest = bytes.get(after + length..after + length + LINE_END.len())?;
                let message =
                    if rest == LINE_END { ServerMessage::Message(payload) } else { ServerMessage::Unknown };
                return Some((message, after + length + LINE_END.len()));
            }
            None => ServerMessage::Unknown,
        },
        b"INFO" => ServerMessage::Info,
        b"PING" => ServerMessage::Ping,
        b"PONG" => ServerMessage::Pong,
        b"-ERR" => ServerMessage::Error(std::str::from_utf8(&line[word.len()..]).unwrap_or_default().trim()),
        _ => ServerMessage::Unknown,
    };
    Some((message, after))
}

/// `MSG subject sid [reply-to] length`
fn length_of(line: &[u8]) -> Option<usize> {
    let last = line.rsplit(|&byte| byte == b' ').next()?;
    std::str::from_utf8(last).ok()?.parse().ok().filter(|&length| length <= MAX_BUFFERED)
}

/// The commands of a client after `INFO`: it turns off replies to commands, receives its own messages, subscribes, and sends a
/// ping whose reply proves that the server has read all of this.
pub(crate) fn connect_commands(subject: &str) -> Vec<u8> {
    let options =
        r#"{"verbose":false,"pedantic":false,"echo":true,"lang":"rust","version":"1","protocol":0}"#;
    format!("CONNECT {options}\r\nSUB {subject} 1\r\nPING\r\n").into_bytes()
}

pub(crate) fn publish(subject: &str, payload: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"PUB ");
    out.extend_from_slice(subject.as_bytes());
    out.push(b' ');
    super::payload::write_number(payload.len() as u64, out);
    out.extend_from_slice(LINE_END);
    out.extend_from_slice(payload);
    out.extend_from_slice(LINE_END);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A stream with a payload that looks like the protocol, an error and an empty message.
    const STREAM: &[u8] = b"INFO {\"a\":1}\r\nPONG\r\nMSG room-0 1 13\r\nx\r\nMSG a 1 0\r\r\nPING\r\n\
        -ERR 'Slow Consumer'\r\nMSG room-0 1 reply 0\r\n\r\nMSG room-0 1 2\r\nhi\r\n";

    fn parsed(pieces: &[&[u8]]) -> Vec<String> {
        let (mut stream, mut parsed) = (Stream::default(), Vec::new());
        for piece in pieces {
            stream.read(piece, |message| {
                parsed.push(match message {
                    ServerMessage::Message(payload) => format!("<{}>", String::from_utf8_lossy(payload)),
                    other => format!("{other:?}"),
                });
            });
        }
        assert!(stream.buffer.is_empty());
        parsed
    }

    #[test]
    fn every_server_message_is_parsed() {
        let whole = parsed(&[STREAM]);
        let expected =
            ["Info", "Pong", "<x\r\nMSG a 1 0\r>", "Ping", r#"Error("'Slow Consumer'")"#, "<>", "<hi>"];
        assert_eq!(whole, expected);
    }

    #[test]
    fn invalid_message_is_unknown_and_parsing_continues() {
        assert_eq!(parsed(&[b"+OK\r\nPONG\r\n"]), ["Unknown", "Pong"]);
        assert_eq!(parsed(&[b"MSG a 1 x\r\nPONG\r\n"]), ["Unknown", "Pong"]);
        assert_eq!(parsed(&[b"MSG a 1 99999999999\r\nPONG\r\n"]), ["Unknown", "Pong"]);
        assert_eq!(parsed(&[b"MSG a 1 1\r\nabcPONG\r\n"]), ["Unknown", "Pong"]);
    }

    #[test]
    fn line_without_an_end_is_discarded_at_the_limit() {
        let mut unknown = 0;
        let mut stream = Stream::default();
        for _ in 0..100 {
            stream.read(&[b'x'; 100_000], |message| unknown += u32::from(message == ServerMessage::Unknown));
            assert!(stream.buffer.len() <= MAX_BUFFERED);
        }
        assert!(unknown > 0);
    }

    #[test]
    fn publish_command_has_the_payload_length() {
        let mut out = Vec::new();
        publish("room-0", b"hi\r\n!", &mut out);
        assert_eq!(out, b"PUB room-0 5\r\nhi\r\n!\r\n");
        assert!(connect_commands("room-0").ends_with(b"}\r\nSUB room-0 1\r\nPING\r\n"));
    }

    proptest! {
        #[test]
        fn stream_may_be_split_anywhere(mut cuts in prop::collection::vec(0..=STREAM.len(), 0..8)) {
            cuts.extend([0, STREAM.len()]);
            cuts.sort_unstable();
            let pieces: Vec<_> = cuts.windows(2).map(|cut| &STREAM[cut[0]..cut[1]]).collect();
            prop_assert_eq!(parsed(&pieces), parsed(&[STREAM]));
        }
    }
}
