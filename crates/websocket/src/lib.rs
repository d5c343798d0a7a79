//! RFC 6455 as a pure codec: bytes in, messages out; messages in, frames out.
//!
//! Teahouse lives from two habits that no WebSocket library exposes: a frame that is encoded once and written
//! to every member, and a connection that owns no buffer while nothing is half-read. This crate holds both.
//!
//! - A [`Decoder`] is 16 bytes. All connections of a shard read into one large buffer and hand the decoder a
//!   slice of it. A whole frame is unmasked in place and borrowed: nothing is copied, nothing is allocated. Only
//!   what is unfinished is kept, in one box that goes away with the message.
//! - A server's frame is the same bytes for everyone, so encoding is plain functions that append to a `Vec`.
//!
//! **What it does not know.** No sockets, no clock, no tasks, no randomness: a client brings its masking keys
//! and its nonce. It does not answer pings or closes, it hands them out; how long an unfinished message may
//! live and how much all of them may hold is the owner's business, who asks [`Decoder::is_idle`] and
//! [`Decoder::buffered`]. HTTP belongs to the server, too; [`handshake`] only judges a request that was
//! parsed already. No extension is offered, so every reserved bit is an error.
//!
//! | file | holds |
//! |---|---|
//! | `decode.rs` | [`Decoder`] and [`Message`]: the way of the bytes, and the path without copies |
//! | `partial.rs` | what is kept of an unfinished frame or message |
//! | `header.rs` | [`Header`]: the 2 to 14 bytes before a payload, read and written |
//! | `frame.rs` | whole frames to send |
//! | `mask.rs` | masking, eight bytes a step |
//! | `utf8.rs` | text that arrives in pieces, checked as it comes |
//! | `opcode.rs`, `close.rs`, `error.rs` | the small vocabulary |
//! | `handshake/` | the opening handshake, for both sides |
//!
//! ```
//! use teahouse_websocket::{Decoder, Message, Opcode, masked_frame, text_frame};
//!
//! // Two frames of a client arrive in one read, the second one cut short.
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
//! // What a server says is encoded once and written to everyone.
//! assert_eq!(text_frame(b"tea"), [0x81, 3, b't', b'e', b'a']);
//! # Ok::<(), teahouse_websocket::ProtocolError>(())
//! ```

mod close;
mod decode;
mod error;
mod frame;
pub mod handshake;
mod header;
mod mask;
mod opcode;
mod partial;
mod utf8;

pub use close::CloseCode;
pub use decode::{Decoder, Message, Role};
pub use error::ProtocolError;
pub use frame::{
    append_masked, append_text, binary_frame, close_frame, close_payload, close_reply, frame_len,
    masked_frame, ping_frame, pong_frame, text_frame,
};
pub use header::{EncodedHeader, Header, header_len};
pub use opcode::Opcode;

/// The longest payload of a control frame (RFC 6455, 5.5).
pub const CONTROL_PAYLOAD_MAX: usize = 125;
