//! The frames that the server sent on its sockets, and when.

use std::collections::HashMap;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::faults::trace::Call;

/// What a client received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SentFrame {
    /// A message with the idempotency key that its sender chose.
    Message { room: String, seq: u64, key: String },
    /// An event other than a message.
    Event { room: String, seq: u64 },
    /// An `ok` with a number, for the only room of the socket.
    Ok { room: String, seq: u64 },
}

/// All sockets, identified by both of their addresses.
#[derive(Default)]
pub(super) struct Sockets(HashMap<String, Socket>);

#[derive(Default)]
struct Socket {
    /// The bytes of an incomplete frame.
    stream: Vec<u8>,
    /// The line on which the call started that sent the first of these bytes.
    since: usize,
    harness: StreamState,
    room: Option<String>,
}

#[derive(Default)]
enum StreamState {
    #[default]
    Http,
    WebSocket,
    /// An HTTP response, whose content comes from the store.
    Other,
}

impl Sockets {
    /// The frames that this call completes, each with the line on which the call started that wrote its first byte.
    pub(super) fn take(&mut self, call: &Call) -> Result<Vec<(SentFrame, usize)>> {
        if !call.on.starts_with("TCP") || call.returned <= 0 {
            return Ok(Vec::new());
        }
        let socket = self.0.entry(call.on.clone()).or_default();
        // No frame starts like this: the port was reused for another connection.
        if call.bytes.starts_with(b"HTTP/1.1 ") {
            *socket = Socket::default();
        }
        if socket.stream.is_empty() {
            socket.since = call.first_line;
        }
        socket.stream.extend_from_slice(call.taken());
        let mut sent_frames = Vec::new();
        while let Some(payload) = socket.next_frame()? {
            let since = std::mem::replace(&mut socket.since, call.first_line);
            if let Some(payload) = payload {
                let value: Value = serde_json::from_slice(&payload).context("a frame is not JSON")?;
                let frames = match &value {
                    Value::Array(frames) => frames.as_slice(),
                    one => std::slice::from_ref(one),
                };
                for frame in frames {
                    sent_frames.extend(socket.sent_frame(frame)?.map(|sent_frame| (sent_frame, since)));
                }
            }
        }
        Ok(sent_frames)
    }
}

impl Socket {
    /// The next complete frame: a text, or a frame without a text (`Some(None)`).
    fn next_frame(&mut self) -> Result<Option<Option<Vec<u8>>>> {
        match self.harness {
            StreamState::Other => self.stream.clear(),
            StreamState::Http => {
                let end = self.stream.windows(4).position(|four| four == b"\r\n\r\n");
                let Some(end) = end else { return Ok(None) };
                if self.stream.starts_with(b"HTTP/1.1 101 ") {
                    self.harness = StreamState::WebSocket;
                    self.stream.drain(..end + 4);
                } else {
                    self.harness = StreamState::Other;
                    self.stream.clear();
                }
                return Ok((!self.stream.is_empty()).then_some(None));
            }
            StreamState::WebSocket => {}
        }
        let &[first, second, ..] = self.stream.as_slice() else { return Ok(None) };
        let (head, len) = match second {
            0..=125 => (2, usize::from(second)),
            126 => (4, self.number(2..4)),
            127 => (10, self.number(2..10)),
            _ => bail!("the server sent a masked frame"),
        };
        if self.stream.len() < head || self.stream.len() < head + len {
            return Ok(None);
        }
        let payload = self.stream[head..head + len].to_vec();
        self.stream.drain(..head + len);
        // A complete, uncompressed text, because these clients negotiate nothing else. Other frames, such as pings, contain no
        // event.
        match first {
            0x81 => Ok(Some(Some(payload))),
            _ if first & 0x0f >= 8 => Ok(Some(None)),
            _ => bail!("a frame starts with {first:#x}"),
        }
    }

    fn number(&self, at: std::ops::Range<usize>) -> usize {
        let bytes = self.stream.get(at).unwrap_or_default();
        bytes.iter().fold(0, |number, byte| number << 8 | usize::from(*byte))
    }

    fn sent_frame(&mut self, frame: &Value) -> Result<Option<SentFrame>> {
        let text = |name: &str| frame[name].as_str().map(str::to_owned);
        let (kind, seq) = (text("type").unwrap_or_default(), frame["seq"].as_u64());
        if let Some(room) = text("room") {
            self.room = Some(room);
        }
        let Some(seq) = seq else { return Ok(None) };
        // Each client has joined before it receives a number, so an earlier frame named the room.
        let room = self.room.clone().context("an answer on a socket without a room")?;
        Ok(Some(match (kind.as_str(), text("client_message_id")) {
            ("ok", _) => SentFrame::Ok { room, seq },
            ("message", Some(key)) => SentFrame::Message { room, seq, key },
            _ => SentFrame::Event { room, seq },
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UPGRADE: &str = "HTTP/1.1 101 Switching Protocols\r\n\r\n";

    fn call(bytes: &[u8], line: usize) -> Call {
        Call {
            name: "sendto".into(),
            on: "TCP:[a->b]".into(),
            bytes: bytes.to_vec(),
            at: 0,
            returned: bytes.len() as i64,
            first_line: line,
            last_line: line + 1,
        }
    }

    fn frame(text: &str) -> Vec<u8> {
        let len = text.len() as u16;
        let mut frame =
            if len < 126 { vec![0x81, len as u8] } else { vec![0x81, 126, (len >> 8) as u8, len as u8] };
        frame.extend_from_slice(text.as_bytes());
        frame
    }

    fn sent_frames(calls: &[Call]) -> Vec<(SentFrame, usize)> {
        let mut sockets = Sockets::default();
        calls.iter().flat_map(|call| sockets.take(call).unwrap()).collect()
    }

    #[test]
    fn frame_is_dated_by_the_call_that_sent_its_first_byte() {
        let body = "x".repeat(200);
        let message = frame(&format!(
            r#"{{"type":"message","client_message_id":"w1-1","body":"{body}","room":"r2","seq":4}}"#
        ));
        let ok = frame(r#"{"type":"ok","id":1,"seq":4}"#);
        let mut all = UPGRADE.as_bytes().to_vec();
        all.extend(&message[..7]);
        let rest = [&message[7..], &ok].concat();
        let frames_sent = sent_frames(&[call(&all, 10), call(&rest, 20)]);
        let message = SentFrame::Message { room: "r2".into(), seq: 4, key: "w1-1".into() };
        assert_eq!(frames_sent, [(message, 10), (SentFrame::Ok { room: "r2".into(), seq: 4 }, 20)]);
    }

    #[test]
    fn bytes_that_the_socket_did_not_accept_are_not_sent() {
        let joined = frame(r#"{"type":"joined","id":1,"room":"r2","head":1}"#);
        let ok = frame(r#"{"type":"ok","id":2,"seq":4}"#);
        let mut short = call(&ok, 3);
        short.returned = 5;
        let frames_sent =
            sent_frames(&[call(UPGRADE.as_bytes(), 1), call(&joined, 2), short, call(&ok[5..], 9)]);
        assert_eq!(frames_sent, [(SentFrame::Ok { room: "r2".into(), seq: 4 }, 3)]);
    }

    #[test]
    fn reused_port_is_another_connection() {
        let joined = |room: &str| frame(&format!(r#"{{"type":"joined","id":1,"room":"{room}","head":1}}"#));
        let cut = &joined("r1")[..9];
        let ok = frame(r#"{"type":"ok","id":2,"seq":4}"#);
        let upgrade = UPGRADE.as_bytes();
        let calls = [call(upgrade, 1), call(cut, 2), call(upgrade, 3), call(&joined("r2"), 4), call(&ok, 5)];
        assert_eq!(sent_frames(&calls), [(SentFrame::Ok { room: "r2".into(), seq: 4 }, 5)]);
    }

    #[test]
    fn http_responses_and_pings_carry_no_sent_frame() {
        let page = call(b"HTTP/1.1 200 OK\r\n\r\n{\"type\":\"message\"}", 1);
        assert_eq!(sent_frames(&[page]), []);
        assert_eq!(sent_frames(&[call(UPGRADE.as_bytes(), 1), call(&[0x89, 0], 2)]), []);
    }
}
