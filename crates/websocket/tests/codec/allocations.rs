//! Allocation counts of the codec.

use std::hint::black_box;

use allocation_counter::measure;
use teahouse_websocket::{Decoder, Message, Opcode, masked_frame, text_frame};

#[test]
fn whole_message_is_decoded_without_allocation() {
    for len in [0, 1, 125, 126, 128, 65_535, 65_536] {
        let mut bytes = masked_frame(Opcode::Text, &vec![b'x'; len], [1, 2, 3, 4]);
        bytes.extend(masked_frame(Opcode::Ping, b"there?", [5, 6, 7, 8]));
        let (mut decoder, mut messages) = (Decoder::server(), 0);
        let allocations = measure(|| {
            let mut input = &mut bytes[..];
            while let Some(message) = decoder.next(&mut input).unwrap() {
                messages += 1;
                assert!(matches!(message, Message::Text(_) | Message::Ping(_)));
            }
        });
        assert_eq!((messages, allocations.count_total), (2, 0), "{len} bytes");
    }
}

#[test]
fn frame_encoding_allocates_once() {
    for len in [0, 128, 65_536] {
        let payload = vec![b'x'; len];
        let mut frame = Vec::new();
        let allocations = measure(|| frame = black_box(text_frame(&payload)));
        assert_eq!((allocations.count_total, allocations.bytes_total), (1, frame.len() as u64));
    }
}
