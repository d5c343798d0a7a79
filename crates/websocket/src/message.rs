//! What a decoder returns.

use crate::CloseCode;

/// What the peer said. It borrows from the input, or from the decoder until its next call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// A whole text message.
    Text(&'a str),
    /// A whole binary message.
    Binary(&'a [u8]),
    /// To be answered with [`pong_frame`](crate::pong_frame) and the same payload.
    Ping(&'a [u8]),
    /// An answer to a ping, or a mere sign of life.
    Pong(&'a [u8]),
    /// The peer's last word, to be answered with [`close_reply`](crate::close_reply).
    Close(Option<(CloseCode, &'a str)>),
}
