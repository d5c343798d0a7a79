//! Malicious input causes no panic, and no memory use out of proportion to its size.

use crate::conversation::{Frame, conversation, decode_all, reads};
use proptest::{collection::vec, prelude::*};
use teahouse_websocket::{Decoder, Opcode, ProtocolError, Role};

const LIMIT: u32 = 1000;
/// The memory that a decoder may hold above its limit: the box itself and one control frame.
const OVERHEAD: usize = 250;

fn role() -> impl Strategy<Value = Role> {
    prop::sample::select(&[Role::Server, Role::Client][..])
}

/// Decodes bytes in pieces and asserts after each that the memory is bounded by the limit and by the received bytes.
fn feed(decoder: &mut Decoder, bytes: &mut [u8], reads: &[usize]) -> Result<(), TestCaseError> {
    let mut rest = bytes;
    let mut arrived = 0;
    for &read in reads.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let mut input = rest.split_off_mut(..read.min(rest.len())).unwrap();
        arrived += input.len();
        loop {
            match decoder.next(&mut input) {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(_) => {
                    prop_assert!(
                        decoder.is_idle() && decoder.is_ended(),
                        "an error leaves no buffered bytes"
                    );
                }
            }
        }
        prop_assert!(input.is_empty());
        prop_assert!(decoder.buffered() <= LIMIT as usize + OVERHEAD);
        prop_assert!(decoder.buffered() <= 2 * arrived + OVERHEAD + 64);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn decoder_with_random_bytes_stays_within_bounds(role in role(), mut bytes in vec(any::<u8>(), 0..3000), reads in reads()) {
        feed(&mut Decoder::new(role, LIMIT), &mut bytes, &reads)?;
    }

    /// Nearly valid conversations reach more states than random bytes do.
    #[test]
    fn decoder_with_corrupted_frames_stays_within_bounds(
        role in role(),
        conversation in conversation(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        reads in reads(),
    ) {
        let mut bytes = conversation.encode(role);
        bytes.truncate(5000);
        for (at, byte) in damage {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
        }
        feed(&mut Decoder::new(role, LIMIT), &mut bytes, &reads)?;
    }

    /// A frame with a flipped header bit decodes to another message or is rejected; it never disappears.
    #[test]
    fn flipped_header_bit_yields_message_or_error(
        role in role(),
        opcode in prop::sample::select(&[Opcode::Text, Opcode::Binary, Opcode::Close, Opcode::Ping][..]),
        len in prop_oneof![0_usize..=125, 126..=LIMIT as usize],
        reads in reads(),
    ) {
        let payload = vec![b'x'; if opcode.is_control() { len % 126 } else { len }];
        let payload = if opcode == Opcode::Close { Vec::new() } else { payload };
        let whole = Frame::new(opcode, &payload).encode(role);
        let header_bits = 8 * (whole.len() - payload.len());
        for bit in 0..header_bits {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            // Enough for any length within the limit; as a header these bytes are invalid.
            bytes.resize(bytes.len() + LIMIT as usize + 14, 0xFF);
            let (decoded, end) = decode_all(&mut Decoder::new(role, LIMIT), &bytes, &reads);
            prop_assert!(!decoded.is_empty() || end.is_err(), "bit {bit}");
        }
    }
}

#[test]
fn announced_length_allocates_nothing() {
    let mut decoder = Decoder::server();
    let mut frame = Frame::new(Opcode::Binary, &vec![0; 60_000]).encode(Role::Server);
    let mut input = &mut frame[..9];
    assert_eq!(decoder.next(&mut input), Ok(None));
    assert!(!decoder.is_idle());
    assert!(decoder.buffered() < OVERHEAD);
}

#[test]
fn million_empty_fragments_buffer_nothing() {
    for opcode in [Opcode::Text, Opcode::Binary] {
        let mut decoder = Decoder::server();
        let mut first = Frame::new(opcode, b"").unfinished().encode(Role::Server);
        assert_eq!(decoder.next(&mut &mut first[..]), Ok(None));
        let held = decoder.buffered();
        let fragment = Frame::new(Opcode::Continuation, b"").unfinished().encode(Role::Server);
        let mut fragments = fragment.repeat(1000);
        for _ in 0..1000 {
            let mut input = &mut fragments[..];
            assert_eq!(decoder.next(&mut input), Ok(None));
        }
        assert_eq!(decoder.buffered(), held);
        assert!(held < OVERHEAD);
    }
}

#[test]
fn sum_of_small_fragments_is_limited() {
    let mut decoder = Decoder::new(Role::Server, 10);
    let mut bytes = Frame::new(Opcode::Binary, b"12345").unfinished().encode(Role::Server);
    bytes.extend(Frame::new(Opcode::Continuation, b"67890").unfinished().encode(Role::Server));
    assert_eq!(decode_all(&mut decoder, &bytes, &[3]), (vec![], Ok(())));
    // Its header alone, without a payload byte.
    let over = Frame::new(Opcode::Continuation, b"!").encode(Role::Server);
    assert_eq!(decode_all(&mut decoder, &over[..2], &[1]).1, Err(ProtocolError::TooBig { limit: 10 }));
}
