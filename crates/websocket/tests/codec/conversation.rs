//! Random conversations for the property tests: messages, their fragmentation, and the expected decoded messages.

#[path = "../fuzzed/decoded_message.rs"]
mod decoded_message;

use proptest::{collection::vec, prelude::*};
use teahouse_websocket::{CloseCode, Decoder, Header, Opcode, ProtocolError, Role, close_payload};

pub(crate) use decoded_message::DecodedMessage;

/// A frame before it is encoded.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) fin: bool,
    pub(crate) opcode: Opcode,
    pub(crate) payload: Vec<u8>,
    pub(crate) key: [u8; 4],
}

impl Frame {
    pub(crate) fn new(opcode: Opcode, payload: &[u8]) -> Self {
        Self { fin: true, opcode, payload: payload.to_owned(), key: [0xA5, 0x5A, 0x0F, 0xF1] }
    }

    pub(crate) fn unfinished(self) -> Self {
        Self { fin: false, ..self }
    }

    /// The frame as the peer of this role sends it: masked for a server, plain for a client.
    pub(crate) fn encode(&self, reader: Role) -> Vec<u8> {
        let Self { fin, opcode, ref payload, key } = *self;
        let mask = (reader == Role::Server).then_some(key);
        let mut bytes = Header { fin, opcode, mask, payload_len: payload.len() }.encode().to_vec();
        // Masked by an independent implementation of RFC 6455, 5.3, not by the code under test.
        let key = mask.unwrap_or_default();
        bytes.extend(payload.iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]));
        bytes
    }
}

/// A conversation: its frames, and the messages that they decode to, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Conversation {
    pub(crate) frames: Vec<Frame>,
    pub(crate) expected: Vec<DecodedMessage>,
}

impl Conversation {
    pub(crate) fn encode(&self, reader: Role) -> Vec<u8> {
        self.frames.iter().flat_map(|frame| frame.encode(reader)).collect()
    }
}

/// A control frame that does not end the conversation.
fn control() -> impl Strategy<Value = (bool, Vec<u8>)> {
    (any::<bool>(), prop_oneof![vec(any::<u8>(), 0..10), vec(any::<u8>(), 120..=125)])
}

fn body() -> impl Strategy<Value = DecodedMessage> {
    prop_oneof![
        4 => any::<String>().prop_map(DecodedMessage::Text),
        4 => "[茶馆a-zé🫖]{0,300}".prop_map(DecodedMessage::Text),
        4 => vec(any::<u8>(), 0..300).prop_map(DecodedMessage::Binary),
        // Around the length where the header grows by eight bytes.
        1 => (65_500_usize..65_600, any::<u8>()).prop_map(|(len, byte)| DecodedMessage::Binary(vec![byte; len])),
    ]
}

/// Where a message is fragmented, and the control frames after the fragment.
type Cut = (prop::sample::Index, Vec<(bool, Vec<u8>)>);

fn message() -> impl Strategy<Value = (DecodedMessage, Vec<Cut>, [u8; 4])> {
    (body(), vec((any::<prop::sample::Index>(), vec(control(), 0..3)), 0..5), any::<[u8; 4]>())
}

/// A valid conversation: messages, whole or in fragments (which may be empty or end inside a character), control frames before,
/// between and after them, and optionally a close frame at the end.
pub(crate) fn conversation() -> impl Strategy<Value = Conversation> {
    let close = prop::option::of(prop::option::of((
        prop::sample::select(&[1000_u16, 1001, 1011, 3000, 4000, 4999][..]),
        any::<String>(),
    )));
    (vec(message(), 0..6), vec(control(), 0..2), close).prop_map(|(messages, controls, close)| {
        let mut conversation = Conversation::default();
        push_controls(&mut conversation, controls);
        for (body, cuts, key) in messages {
            push_message(&mut conversation, body, cuts, key);
        }
        if let Some(why) = close {
            let (payload, expected) = match why {
                None => (Vec::new(), None),
                Some((code, reason)) => {
                    let code = CloseCode::new(code).unwrap();
                    let payload = close_payload(code, &reason);
                    let reason = String::from_utf8(payload[2..].to_vec()).unwrap();
                    (payload, Some((code, reason)))
                }
            };
            conversation.frames.push(Frame::new(Opcode::Close, &payload));
            conversation.expected.push(DecodedMessage::Close(expected));
        }
        conversation
    })
}

fn push_controls(conversation: &mut Conversation, controls: Vec<(bool, Vec<u8>)>) {
    for (ping, payload) in controls {
        conversation.frames.push(Frame::new(if ping { Opcode::Ping } else { Opcode::Pong }, &payload));
        conversation.expected.push(if ping {
            DecodedMessage::Ping(payload)
        } else {
            DecodedMessage::Pong(payload)
        });
    }
}

fn push_message(conversation: &mut Conversation, body: DecodedMessage, cuts: Vec<Cut>, key: [u8; 4]) {
    let (mut opcode, bytes) = match &body {
        DecodedMessage::Text(text) => (Opcode::Text, text.as_bytes()),
        DecodedMessage::Binary(bytes) => (Opcode::Binary, &bytes[..]),
        other => panic!("{other:?} is not a data message"),
    };
    let mut cuts: Vec<_> =
        cuts.into_iter().map(|(at, between)| (at.index(bytes.len() + 1), between)).collect();
    cuts.sort_by_key(|(at, _)| *at);
    let mut from = 0;
    for (at, between) in cuts {
        conversation.frames.push(Frame { key, ..Frame::new(opcode, &bytes[from..at]).unfinished() });
        push_controls(conversation, between);
        (from, opcode) = (at, Opcode::Continuation);
    }
    conversation.frames.push(Frame { key, ..Frame::new(opcode, &bytes[from..]) });
    conversation.expected.push(body);
}

/// Lengths of reads, used cyclically.
pub(crate) fn reads() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![
        Just(vec![1]),
        Just(vec![usize::MAX]),
        vec(1_usize..20, 1..20),
        vec(prop_oneof![1_usize..8, 1_usize..70_000], 1..20),
    ]
}

/// Decodes the bytes in reads of these lengths, until the end or an error.
pub(crate) fn decode_all(
    decoder: &mut Decoder,
    bytes: &[u8],
    reads: &[usize],
) -> (Vec<DecodedMessage>, Result<(), ProtocolError>) {
    let mut bytes = bytes.to_vec();
    let mut rest = &mut bytes[..];
    let mut decoded = Vec::new();
    for &read in reads.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let mut input = rest.split_off_mut(..read.min(rest.len())).unwrap();
        loop {
            match decoder.next(&mut input) {
                Ok(Some(message)) => decoded.push(message.into()),
                Ok(None) => break,
                Err(error) => return (decoded, Err(error)),
            }
        }
        assert!(input.is_empty(), "None means that all input was consumed");
        assert_eq!(decoder.buffered() == 0, decoder.is_idle());
    }
    (decoded, Ok(()))
}
