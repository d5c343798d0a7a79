//! Properties of the decoder for any bytes and any split into reads.

#[path = "decoded_message.rs"]
mod decoded_message;

use teahouse_websocket::{
    Decoder, Header, Opcode, ProtocolError, Role, binary_frame, close_payload, close_reply, masked_frame,
    ping_frame, pong_frame, text_frame,
};

use decoded_message::DecodedMessage;

/// The memory that a decoder may hold above its limit: its box and one control frame.
const OVERHEAD: usize = 250;

/// Asserts the properties for one case, which `data` encodes:
///
/// | byte | |
/// |---|---|
/// | 0 | bit 0: the decoder is a client; bit 1: the rest describes frames instead of wire bytes; bits 4 to 7: the limit |
/// | 1 | the number of read lengths that follow, up to 15 |
/// | then | these lengths minus one, then the wire bytes or the description |
pub(crate) fn hold(data: &[u8]) {
    let Some(case) = Case::of(data) else { return };
    let (messages, end) = case.decode(&[usize::MAX]);
    let (messages_in_pieces, end_in_pieces) = case.decode(&case.reads);
    assert_eq!(messages, messages_in_pieces, "the messages depend on the split");
    assert_eq!(end, end_in_pieces, "the result depends on the split");
    assert_round_trip(&messages);
}

struct Case {
    role: Role,
    limit: u32,
    reads: Vec<usize>,
    wire: Vec<u8>,
}

impl Case {
    fn of(data: &[u8]) -> Option<Self> {
        let (&[flags, cuts], rest) = data.split_first_chunk()?;
        let (reads, rest) = rest.split_at_checked(usize::from(cuts & 15))?;
        let mut reads: Vec<usize> = reads.iter().map(|&read| usize::from(read) + 1).collect();
        if reads.is_empty() {
            reads.push(1);
        }
        let role = if flags & 1 == 0 { Role::Server } else { Role::Client };
        let wire = if flags & 2 == 0 { rest.to_vec() } else { described(rest, role) };
        // From 0 to beyond the length from which a header encodes the length in eight bytes.
        let limit = [0, 1, 5, 125, 126, 300, 4096, 70_000][usize::from(flags >> 4 & 7)];
        Some(Case { role, limit, reads, wire })
    }

    /// Decodes the wire bytes in reads of these lengths, cyclically, and asserts the bounds after each.
    fn decode(&self, reads: &[usize]) -> (Vec<DecodedMessage>, Result<(), ProtocolError>) {
        let mut decoder = Decoder::new(self.role, self.limit);
        let mut wire = self.wire.clone();
        let mut rest = &mut wire[..];
        let (mut messages, mut end, mut arrived) = (Vec::new(), Ok(()), 0);
        for &read in reads.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let read = read.min(rest.len());
            let mut input = rest.split_off_mut(..read).expect("no longer than what is left");
            arrived += read;
            loop {
                let ended = decoder.is_ended();
                match decoder.next(&mut input) {
                    Ok(None) => break,
                    Ok(Some(message)) => {
                        assert!(!ended, "a message after the end");
                        messages.push(DecodedMessage::from(message));
                    }
                    Err(error) => {
                        assert!(!ended && decoder.is_ended() && decoder.is_idle(), "an error is the end");
                        end = Err(error);
                    }
                }
            }
            assert!(input.is_empty(), "`None` means that all input was consumed");
            assert_eq!(decoder.buffered() == 0, decoder.is_idle());
            let (limit, held) = (self.limit as usize, decoder.buffered());
            assert!(held <= limit + OVERHEAD, "{held} bytes are held, the limit is {limit}");
            assert!(held <= 2 * arrived + 64 + OVERHEAD, "{held} bytes are held after {arrived} received");
        }
        for message in &messages {
            if let DecodedMessage::Close(Some((code, _))) = message {
                let code = code.get();
                assert!(matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999), "{code} may not be sent");
            }
            assert!(message.len() <= if message.is_control() { 125 } else { self.limit as usize });
        }
        let closed = matches!(messages.last(), Some(DecodedMessage::Close(_)));
        assert_eq!(decoder.is_ended(), closed || end.is_err());
        (messages, end)
    }
}

/// Encodes the described frames, so that a small mutation of the input leaves later frames aligned. Each description is a byte
/// with the final bit and the opcode, a byte of the key, a byte of the length, and the payload. A length byte from 250 on
/// selects a long payload, which the description does not contain.
fn described(mut bytes: &[u8], reader: Role) -> Vec<u8> {
    let mut wire = Vec::new();
    while let Some((&[first, key, len], rest)) = bytes.split_first_chunk() {
        let long = [126, 300, 4096, 65_535, 65_536, 70_001];
        let payload: Vec<u8>;
        (payload, bytes) = match len.checked_sub(250) {
            Some(which) => (vec![b'x'; long[usize::from(which)]], rest),
            None => {
                let (payload, rest) = rest.split_at(rest.len().min(usize::from(len)));
                (payload.to_vec(), rest)
            }
        };
        let Some(opcode) = opcode(first) else { continue };
        let key = [key, 0, key.wrapping_mul(7), 1];
        let mask = (reader == Role::Server).then_some(key);
        let header = Header { fin: first & 0x80 != 0, opcode, mask, payload_len: payload.len() };
        wire.extend_from_slice(&header.encode());
        // Masked by an independent implementation, not by the code under test.
        let key = mask.unwrap_or_default();
        wire.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    }
    wire
}

fn opcode(bits: u8) -> Option<Opcode> {
    [Opcode::Continuation, Opcode::Text, Opcode::Binary, Opcode::Close, Opcode::Ping, Opcode::Pong]
        .into_iter()
        .find(|&opcode| opcode as u8 == bits & 0x0F)
}

/// Asserts that the messages, encoded by this crate, decode to the same messages, on a server and on a client.
fn assert_round_trip(messages: &[DecodedMessage]) {
    let (mut to_client, mut to_server) = (Vec::new(), Vec::new());
    for message in messages {
        to_client.extend(message.as_server());
        to_server.extend(message.as_client());
    }
    for (role, wire) in [(Role::Client, to_client), (Role::Server, to_server)] {
        let case = Case { role, limit: 1 << 20, reads: vec![], wire };
        let (decoded, end) = case.decode(&[usize::MAX]);
        assert_eq!((&decoded[..], end), (messages, Ok(())), "{role:?} decodes other messages");
    }
}

impl DecodedMessage {
    fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) | Self::Ping(bytes) | Self::Pong(bytes) => bytes.len(),
            Self::Close(why) => why.as_ref().map_or(0, |(_, reason)| 2 + reason.len()),
        }
    }

    fn is_control(&self) -> bool {
        !matches!(self, Self::Text(_) | Self::Binary(_))
    }

    fn as_server(&self) -> Vec<u8> {
        match self {
            Self::Text(text) => text_frame(text.as_bytes()),
            Self::Binary(bytes) => binary_frame(bytes),
            Self::Ping(bytes) => ping_frame(bytes),
            Self::Pong(bytes) => pong_frame(bytes),
            Self::Close(None) => close_reply(None),
            Self::Close(Some((code, reason))) => teahouse_websocket::close_frame(*code, reason),
        }
    }

    fn as_client(&self) -> Vec<u8> {
        const KEY: [u8; 4] = [0xA5, 0x5A, 0x0F, 0xF1];
        match self {
            Self::Text(text) => masked_frame(Opcode::Text, text.as_bytes(), KEY),
            Self::Binary(bytes) => masked_frame(Opcode::Binary, bytes, KEY),
            Self::Ping(bytes) => masked_frame(Opcode::Ping, bytes, KEY),
            Self::Pong(bytes) => masked_frame(Opcode::Pong, bytes, KEY),
            Self::Close(None) => masked_frame(Opcode::Close, b"", KEY),
            Self::Close(Some((code, reason))) => {
                masked_frame(Opcode::Close, &close_payload(*code, reason), KEY)
            }
        }
    }
}
