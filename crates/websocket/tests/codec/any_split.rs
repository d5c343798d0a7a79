//! What is heard depends on the bytes alone, never on how the network cuts them.

use crate::talk::{Frame, Said, hear, reads, talk};
use proptest::prelude::*;
use teahouse_websocket::{
    Decoder, Opcode, Role, binary_frame, close_frame, masked_frame, ping_frame, pong_frame, text_frame,
};

proptest! {
    #[test]
    fn decoding_any_split_yields_same_messages(
        talk in talk(),
        reads in reads(),
        role in prop::sample::select(&[Role::Server, Role::Client][..]),
    ) {
        let mut decoder = Decoder::new(role, 70_000);
        let (heard, end) = hear(&mut decoder, &talk.encode(role), &reads);
        prop_assert_eq!(end, Ok(()));
        prop_assert!(decoder.is_idle());
        prop_assert_eq!(decoder.is_ended(), matches!(heard.last(), Some(Said::Close(_))));
        prop_assert!(heard == talk.said, "heard {:?}\nsaid {:?}", heard, talk.said);
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
        let heard = hear(&mut Decoder::new(Role::Server, 70_000), &bytes, &[usize::MAX]);
        prop_assert!(heard == (vec![Said::Text(text), Said::Binary(binary), Said::Ping(ping)], Ok(())));
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
        let (heard, end) = hear(&mut Decoder::new(Role::Client, 70_000), &bytes, &[usize::MAX]);
        prop_assert_eq!(end, Ok(()));
        let said = [
            Said::Text(text),
            Said::Binary(binary),
            Said::Ping(vec![]),
            Said::Pong(pong),
            Said::Close(Some((code, reason))),
        ];
        prop_assert!(heard == said);
    }
}

/// Would take minutes if each byte cost a look at those before it.
#[test]
fn megabyte_in_single_bytes_is_decoded() {
    let text = "茶馆".repeat(170_000);
    let frame = Frame::new(Opcode::Text, text.as_bytes()).encode(Role::Server);
    let (heard, end) = hear(&mut Decoder::new(Role::Server, 2 << 20), &frame, &[1]);
    assert_eq!(end, Ok(()));
    assert!(heard == [Said::Text(text)]);
}
