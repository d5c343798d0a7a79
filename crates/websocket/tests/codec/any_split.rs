//! The decoded messages depend on the bytes alone, not on how the network splits them.

use crate::conversation::{DecodedMessage, Frame, conversation, decode_all, reads};
use proptest::prelude::*;
use teahouse_websocket::{
    Decoder, Opcode, Role, binary_frame, close_frame, masked_frame, ping_frame, pong_frame, text_frame,
};

proptest! {
    #[test]
    fn decoding_any_split_yields_same_messages(
        conversation in conversation(),
        reads in reads(),
        role in prop::sample::select(&[Role::Server, Role::Client][..]),
    ) {
        let mut decoder = Decoder::new(role, 70_000);
        let (decoded, end) = decode_all(&mut decoder, &conversation.encode(role), &reads);
        prop_assert_eq!(end, Ok(()));
        prop_assert!(decoder.is_idle());
        prop_assert_eq!(decoder.is_ended(), matches!(decoded.last(), Some(DecodedMessage::Close(_))));
        prop_assert!(decoded == conversation.expected, "decoded {:?}\nexpected {:?}", decoded, conversation.expected);
    }

    #[test]
    fn client_frames_decode_on_server(
        text: String,
        binary in prop::collection::vec(any::<u8>(), 0..70_000),
        ping in prop::collection::vec(any::<u8>(), 0..=125),
        key: [u8; 4],
    ) {
        let mut bytes = masked_frame(Opcode::Text, text.as_bytes(), key);
        bytes.extend(masked_frame(Opcode::Binary, &binary, key));
        bytes.extend(masked_frame(Opcode::Ping, &ping, key));
        let decoded = decode_all(&mut Decoder::new(Role::Server, 70_000), &bytes, &[usize::MAX]);
        prop_assert!(decoded == (vec![DecodedMessage::Text(text), DecodedMessage::Binary(binary), DecodedMessage::Ping(ping)], Ok(())));
    }

    #[test]
    fn server_frames_decode_on_client(
        text: String,
        binary in prop::collection::vec(any::<u8>(), 0..70_000),
        pong in prop::collection::vec(any::<u8>(), 0..=125),
        reason in "[a-z茶]{0,40}",
    ) {
        let mut bytes = text_frame(text.as_bytes());
        bytes.extend(binary_frame(&binary));
        bytes.extend(ping_frame(b""));
        bytes.extend(pong_frame(&pong));
        let code = teahouse_websocket::CloseCode::GOING_AWAY;
        bytes.extend(close_frame(code, &reason));
        let (decoded, end) = decode_all(&mut Decoder::new(Role::Client, 70_000), &bytes, &[usize::MAX]);
        prop_assert_eq!(end, Ok(()));
        let expected = [
            DecodedMessage::Text(text),
            DecodedMessage::Binary(binary),
            DecodedMessage::Ping(vec![]),
            DecodedMessage::Pong(pong),
            DecodedMessage::Close(Some((code, reason))),
        ];
        prop_assert!(decoded == expected);
    }
}

/// A decoder that rescans earlier bytes for each byte would take minutes.
#[test]
fn megabyte_in_single_bytes_is_decoded() {
    let text = "茶馆".repeat(170_000);
    let frame = Frame::new(Opcode::Text, text.as_bytes()).encode(Role::Server);
    let (decoded, end) = decode_all(&mut Decoder::new(Role::Server, 2 << 20), &frame, &[1]);
    assert_eq!(end, Ok(()));
    assert!(decoded == [DecodedMessage::Text(text)]);
}
