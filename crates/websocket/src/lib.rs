//! RFC 6455 as a pure codec: bytes in, messages out; messages in, frames out.
//!
//! The codec exists because Teahouse depends on two properties that WebSocket libraries do not expose: a frame is encoded once
//! and written to every member, and a connection owns no buffer unless a message is incomplete.
//!
//! - A [`Decoder`] is 16 bytes. All connections of a shard read into one large buffer and pass the decoder a slice of it. A
//!   whole frame is unmasked in place and borrowed, without a copy or an allocation. Only an incomplete frame or message is
//!   buffered, in one box that is freed with the message.
//! - A server frame has the same bytes for every recipient, so encoders are plain functions that append to a `Vec`.
//!
//! Out of scope: sockets, clocks, tasks, randomness (a client passes in its masking keys and its nonce). The codec returns
//! pings and closes to the caller and does not answer them. The owner limits the lifetime and the total size of incomplete
//! messages with [`Decoder::is_idle`] and [`Decoder::buffered`]. HTTP parsing belongs to the server; [`handshake`] checks a
//! request that is already parsed. No extension is negotiated, so every reserved bit is an error.
//!
//! | file | contents |
//! |---|---|
//! | `decode.rs`, `message.rs` | [`Decoder`] and [`Message`]: decoding, with the zero-copy path |
//! | `role.rs` | the role of the endpoint that decodes: server or client |
//! | `partial.rs`, `growth.rs` | the buffer of an incomplete frame or message, and how it grows |
//! | `header.rs` | [`Header`]: the 2 to 14 bytes before a payload, decoded and encoded |
//! | `frame.rs` | encoders for whole frames |
//! | `mask.rs` | masking, eight bytes per step |
//! | `utf8.rs` | incremental UTF-8 validation |
//! | `opcode.rs`, `close_code.rs`, `close.rs`, `error.rs` | opcodes, close codes, payloads of close frames, protocol errors |
//! | `handshake/` | the opening handshake of both sides |
//!
//! ```
//! use teahouse_websocket::{Decoder, Message, Opcode, masked_frame, text_frame};
//!
//! // One read returns two frames of a client, the second one truncated.
//! let mut read = masked_frame(Opcode::Text, "茶".as_bytes(), [1, 2, 3, 4]);
//! let second = masked_frame(Opcode::Text, b"tea", [5, 6, 7, 8]);
//! read.extend_from_slice(&second[..7]);
//!
//! let mut decoder = Decoder::server();
//! let mut input = &mut read[..];
//! assert_eq!(decoder.next(&mut input)?, Some(Message::Text("茶")));
//! assert_eq!(decoder.next(&mut input)?, None);
//! assert!(!decoder.is_idle());
//!
//! let mut rest = second[7..].to_vec();
//! let mut input = &mut rest[..];
//! assert_eq!(decoder.next(&mut input)?, Some(Message::Text("tea")));
//! assert_eq!(decoder.next(&mut input)?, None);
//! assert!(decoder.is_idle());
//!
//! // A server frame is encoded once and written to every recipient.
//! assert_eq!(text_frame(b"tea"), [0x81, 3, b't', b'e', b'a']);
//! # Ok::<(), teahouse_websocket::ProtocolError>(())
//! ```

mod close;
mod close_code;
mod decode;
mod error;
mod frame;
mod growth;
pub mod handshake;
mod header;
mod mask;
mod message;
mod opcode;
mod partial;
mod role;
mod utf8;

pub use close_code::CloseCode;
pub use decode::Decoder;
pub use error::ProtocolError;
pub use frame::{
    append_masked, append_text, binary_frame, close_frame, close_payload, close_reply, frame_len,
    masked_frame, ping_frame, pong_frame, text_frame,
};
pub use header::{EncodedHeader, Header, header_len};
pub use message::Message;
pub use opcode::Opcode;
pub use role::Role;

/// The longest payload of a control frame (RFC 6455, 5.5).
pub const CONTROL_PAYLOAD_MAX: usize = 125;
