//! Decoded messages.

use crate::CloseCode;

/// A message of the peer, borrowed from the input, or from the decoder until its next call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// A whole text message.
    Text(&'a str),
    /// A whole binary message.
    Binary(&'a [u8]),
    /// A ping; the reply is a [`pong_frame`](crate::pong_frame) with the same payload.
    Ping(&'a [u8]),
    /// A reply to a ping, or an unsolicited pong.
    Pong(&'a [u8]),
    /// A close frame, the peer's last one; the reply is a [`close_reply`](crate::close_reply).
    Close(Option<(CloseCode, &'a str)>),
}
