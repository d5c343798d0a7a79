//! Each rule of RFC 6455 that a peer can violate, with the nearest valid case.

use crate::conversation::{DecodedMessage, Frame, decode_all};
use teahouse_websocket::{CloseCode, Decoder, Message, Opcode, ProtocolError, Role};

const KEY: [u8; 4] = [0; 4];

/// The messages and the final result of a server with a limit of 1000 bytes; asserts that they are the same byte by byte.
fn server(bytes: &[u8]) -> (Vec<DecodedMessage>, Result<(), ProtocolError>) {
    let whole = decode_all(&mut Decoder::new(Role::Server, 1000), bytes, &[usize::MAX]);
    let bytewise = decode_all(&mut Decoder::new(Role::Server, 1000), bytes, &[1]);
    assert_eq!(whole, bytewise);
    whole
}

fn masked(frames: &[Frame]) -> Vec<u8> {
    frames.iter().flat_map(|frame| frame.encode(Role::Server)).collect()
}

/// Asserts that these bytes alone, with nothing after them, are rejected with this error.
fn assert_rejected(bytes: &[u8], error: ProtocolError, close_code: u16) {
    assert_eq!(server(bytes).1, Err(error), "{bytes:02x?}");
    assert_eq!(error.close_code().get(), close_code);
    // The error is also the reason in the close frame.
    assert!(error.to_string().len() <= 123);
}

#[test]
fn reserved_bit_is_rejected_at_first_byte() {
    for bit in [0x40, 0x20, 0x10] {
        assert_rejected(&[0x81 | bit], ProtocolError::ReservedBits, 1002);
        assert_rejected(&[0x89 | bit], ProtocolError::ReservedBits, 1002);
    }
}

#[test]
fn reserved_opcode_is_rejected_at_first_byte() {
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        assert_rejected(&[0x80 | opcode], ProtocolError::ReservedOpcode(opcode), 1002);
    }
}

#[test]
fn unmasked_frame_to_server_is_rejected() {
    assert_rejected(&[0x81, 0x00], ProtocolError::Unmasked, 1002);
    assert_eq!(server(&[0x81, 0x80, 1, 2, 3, 4]), (vec![DecodedMessage::Text(String::new())], Ok(())));
}

#[test]
fn masked_frame_to_client_is_rejected() {
    let mut client = Decoder::client();
    assert_eq!(decode_all(&mut client, &[0x81, 0x80], &[1]).1, Err(ProtocolError::Masked));
    assert_eq!(ProtocolError::Masked.close_code(), CloseCode::PROTOCOL_ERROR);
    assert_eq!(decode_all(&mut Decoder::client(), b"\x81\x01x", &[1]).0, [DecodedMessage::Text("x".into())]);
}

#[test]
fn fragmented_control_frame_is_rejected() {
    for opcode in [8, 9, 10] {
        assert_rejected(&[opcode], ProtocolError::FragmentedControl, 1002);
    }
}

#[test]
fn control_frame_above_125_bytes_is_rejected() {
    for opcode in [0x88, 0x89, 0x8A] {
        assert_rejected(&[opcode, 0x80 | 126], ProtocolError::ControlTooLong, 1002);
        assert_rejected(&[opcode, 0x80 | 127], ProtocolError::ControlTooLong, 1002);
    }
    let longest = Frame::new(Opcode::Ping, &[b'p'; 125]);
    assert_eq!(server(&masked(&[longest])), (vec![DecodedMessage::Ping(vec![b'p'; 125])], Ok(())));
}

#[test]
fn control_frames_do_not_count_toward_message_limit() {
    let bytes = masked(&[Frame::new(Opcode::Ping, &[b'p'; 125])]);
    for reads in [1, usize::MAX] {
        let (decoded, end) = decode_all(&mut Decoder::new(Role::Server, 10), &bytes, &[reads]);
        assert_eq!((decoded.len(), end), (1, Ok(())));
    }
}

#[test]
fn non_minimal_length_is_rejected() {
    assert_rejected(&[0x82, 0x80 | 126, 0, 125], ProtocolError::LengthNotMinimal, 1002);
    assert_rejected(&[0x82, 0x80 | 127, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF], ProtocolError::LengthNotMinimal, 1002);
    assert_eq!(
        server(&masked(&[Frame::new(Opcode::Binary, &[7; 126])])),
        (vec![DecodedMessage::Binary(vec![7; 126])], Ok(()))
    );
}

#[test]
fn length_with_top_bit_is_rejected() {
    assert_rejected(&[0x82, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0], ProtocolError::LengthTopBit, 1002);
    let without = [0x82, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];
    assert_rejected(&without, ProtocolError::TooBig { limit: 1000 }, 1009);
}

#[test]
fn frame_above_limit_is_rejected_by_header() {
    assert_rejected(&[0x82, 0xFE, 0x03, 0xE9], ProtocolError::TooBig { limit: 1000 }, 1009);
    let bytes = masked(&[Frame::new(Opcode::Binary, &[7; 1000])]);
    assert_eq!(server(&bytes), (vec![DecodedMessage::Binary(vec![7; 1000])], Ok(())));
}

#[test]
fn fragments_above_limit_are_rejected() {
    for (opcode, byte) in [(Opcode::Text, b'x'), (Opcode::Binary, 0xFF)] {
        let first = Frame::new(opcode, &[byte; 600]).unfinished();
        let fits = Frame::new(Opcode::Continuation, &[byte; 400]);
        assert_eq!(server(&masked(&[first.clone(), fits])).0.len(), 1);
        let over = Frame::new(Opcode::Continuation, &[byte; 401]).encode(Role::Server);
        let bytes = [first.encode(Role::Server), over[..4].to_vec()].concat();
        assert_rejected(&bytes, ProtocolError::TooBig { limit: 1000 }, 1009);
    }
}

#[test]
fn continuation_without_start_is_rejected() {
    assert_rejected(&[0x80], ProtocolError::UnexpectedContinuation, 1002);
    assert_rejected(&[0x00], ProtocolError::UnexpectedContinuation, 1002);
    // Also after a complete message.
    let done = [
        Frame::new(Opcode::Text, b"a").unfinished(),
        Frame::new(Opcode::Continuation, b"b"),
        Frame::new(Opcode::Continuation, b"c"),
    ];
    let (decoded, end) = server(&masked(&done));
    assert_eq!(decoded, [DecodedMessage::Text("ab".into())]);
    assert_eq!(end, Err(ProtocolError::UnexpectedContinuation));
}

#[test]
fn message_start_inside_fragments_is_rejected() {
    for opcode in [Opcode::Text, Opcode::Binary] {
        let frames = [Frame::new(Opcode::Text, b"a").unfinished(), Frame::new(opcode, b"b")];
        assert_rejected(&masked(&frames), ProtocolError::MessageInsideMessage, 1002);
    }
}

#[test]
fn control_frame_between_fragments_is_returned() {
    let mut decoder = Decoder::server();
    let start = [Frame::new(Opcode::Text, b"te").unfinished(), Frame::new(Opcode::Ping, b"?")];
    assert_eq!(decode_all(&mut decoder, &masked(&start), &[1]).0, [DecodedMessage::Ping(b"?".to_vec())]);
    assert!(!decoder.is_idle());
    let end = [Frame::new(Opcode::Continuation, b"a")];
    assert_eq!(decode_all(&mut decoder, &masked(&end), &[1]).0, [DecodedMessage::Text("tea".into())]);
    assert!(decoder.is_idle());
}

#[test]
fn text_split_anywhere_is_validated() {
    let broken = "κόσμε\u{d7ff}".as_bytes().iter().copied().chain(*b"\xED\xA0\x80edited").collect::<Vec<_>>();
    for cut in 0..broken.len() {
        let frames = [
            Frame::new(Opcode::Text, &broken[..cut]).unfinished(),
            Frame::new(Opcode::Continuation, &broken[cut..]),
        ];
        assert_rejected(&masked(&frames), ProtocolError::InvalidUtf8, 1007);
    }
    assert_rejected(&masked(&[Frame::new(Opcode::Text, &broken)]), ProtocolError::InvalidUtf8, 1007);
    // Any bytes will do in a binary message.
    assert_eq!(server(&masked(&[Frame::new(Opcode::Binary, &broken)])).1, Ok(()));
}

#[test]
fn invalid_text_is_rejected_before_frame_end() {
    let frame = Frame { key: KEY, ..Frame::new(Opcode::Text, b"ok \xF4\x90 and so on") }.encode(Role::Server);
    // Six bytes of header, `ok `, the byte that may begin a character, and the one that cannot continue it.
    assert_eq!(server(&frame[..10]).1, Ok(()));
    assert_rejected(&frame[..11], ProtocolError::InvalidUtf8, 1007);
}

#[test]
fn text_ending_inside_character_is_rejected() {
    assert_rejected(&masked(&[Frame::new(Opcode::Text, b"\xE8\x8C")]), ProtocolError::InvalidUtf8, 1007);
    let frames = [Frame::new(Opcode::Text, b"\xE8\x8C").unfinished(), Frame::new(Opcode::Continuation, b"")];
    assert_rejected(&masked(&frames), ProtocolError::InvalidUtf8, 1007);
    let frames =
        [Frame::new(Opcode::Text, b"\xE8\x8C").unfinished(), Frame::new(Opcode::Continuation, b"\xB6")];
    assert_eq!(server(&masked(&frames)), (vec![DecodedMessage::Text("茶".into())], Ok(())));
}

fn close(payload: &[u8]) -> Vec<u8> {
    Frame::new(Opcode::Close, payload).encode(Role::Server)
}

#[test]
fn close_frame_with_one_byte_is_rejected() {
    assert_eq!(server(&close(b"")), (vec![DecodedMessage::Close(None)], Ok(())));
    assert_rejected(&close(b"\x03"), ProtocolError::HalfCloseCode, 1002);
    let normal = DecodedMessage::Close(Some((CloseCode::NORMAL, "bye".into())));
    assert_eq!(server(&close(b"\x03\xE8bye")), (vec![normal], Ok(())));
}

#[test]
fn close_frame_with_reserved_code_is_rejected() {
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535_u16] {
        assert_rejected(&close(&code.to_be_bytes()), ProtocolError::IllegalCloseCode(code), 1002);
    }
    for code in [1000, 1003, 1007, 1014, 3000, 3999, 4000, 4999_u16] {
        let expected = DecodedMessage::Close(CloseCode::new(code).map(|code| (code, String::new())));
        assert_eq!(server(&close(&code.to_be_bytes())), (vec![expected], Ok(())));
    }
}

#[test]
fn close_reason_with_invalid_utf8_is_rejected() {
    assert_rejected(&close(b"\x03\xE8\xE8\x8C"), ProtocolError::InvalidUtf8, 1007);
}

#[test]
fn input_after_close_frame_is_ignored() {
    let mut decoder = Decoder::server();
    // The close frame is inside a message, which is discarded, too.
    let frames = [
        Frame::new(Opcode::Text, b"a").unfinished(),
        Frame::new(Opcode::Close, b""),
        Frame::new(Opcode::Continuation, b"b"),
        Frame::new(Opcode::Ping, b""),
    ];
    for reads in [1, usize::MAX] {
        assert_eq!(decode_all(&mut decoder, &masked(&frames), &[reads]).1, Ok(()));
        assert!(decoder.is_ended() && decoder.is_idle());
        assert_eq!(decode_all(&mut decoder, &[0xFF; 20], &[20]), (vec![], Ok(())));
    }
    assert_eq!(server(&masked(&frames)), (vec![DecodedMessage::Close(None)], Ok(())));
}

#[test]
fn input_after_error_is_ignored() {
    let mut decoder = Decoder::server();
    assert!(decode_all(&mut decoder, &[0xFF], &[1]).1.is_err());
    assert!(decoder.is_ended() && decoder.is_idle());
    let ping = masked(&[Frame::new(Opcode::Ping, b"")]);
    assert_eq!(decode_all(&mut decoder, &ping, &[1]), (vec![], Ok(())));
}

#[test]
fn idle_decoder_is_sixteen_bytes() {
    assert!(size_of::<Decoder>() <= 16);
    assert!(size_of::<Option<Decoder>>() <= 16);
}

/// The address of the bytes of a message.
fn address(message: &Message<'_>) -> usize {
    match message {
        Message::Text(text) => text.as_ptr().addr(),
        Message::Binary(bytes) | Message::Ping(bytes) | Message::Pong(bytes) => bytes.as_ptr().addr(),
        Message::Close(why) => why.map_or(0, |(_, reason)| reason.as_ptr().addr()),
    }
}

#[test]
fn whole_frame_is_borrowed_and_leaves_decoder_idle() {
    let mut bytes = masked(&[
        Frame::new(Opcode::Text, "茶馆".as_bytes()),
        Frame::new(Opcode::Binary, &[9; 300]),
        Frame::new(Opcode::Ping, b"?"),
        Frame::new(Opcode::Pong, b"!"),
        Frame::new(Opcode::Close, b"\x03\xE8bye"),
    ]);
    let range = bytes.as_ptr_range();
    let mut decoder = Decoder::server();
    let mut input = &mut bytes[..];
    for _ in 0..5 {
        let message = decoder.next(&mut input).unwrap().unwrap();
        assert!((range.start.addr()..range.end.addr()).contains(&address(&message)));
        assert!(decoder.is_idle());
    }
}

#[test]
fn frame_with_split_header_is_borrowed() {
    let mut bytes = masked(&[Frame::new(Opcode::Text, b"tea")]);
    let range = bytes.as_ptr_range();
    let mut decoder = Decoder::server();
    let (mut start, mut end) = bytes.split_at_mut(4);
    assert_eq!(decoder.next(&mut start), Ok(None));
    let message = decoder.next(&mut end).unwrap().unwrap();
    assert_eq!(message, Message::Text("tea"));
    assert!((range.start.addr()..range.end.addr()).contains(&address(&message)));
    assert!(decoder.is_idle());
}
