//! Violations of the framing rules by a peer, and the close code of each.

use crate::CloseCode;

/// The peer violated RFC 6455. The connection must be failed: send a close frame with [`close_code`](Self::close_code), then
/// end it. The error's text fits into that frame as its reason and reveals no internals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// A reserved bit is set, although no extension was negotiated.
    #[error("reserved bits are set, but no extension is in use")]
    ReservedBits,
    /// A reserved opcode.
    #[error("opcode {0:#x} is reserved")]
    ReservedOpcode(u8),
    /// An unmasked frame from a client.
    #[error("a client must mask its frames")]
    Unmasked,
    /// A masked frame from a server.
    #[error("a server must not mask its frames")]
    Masked,
    /// A control frame without the final bit.
    #[error("a control frame must not be fragmented")]
    FragmentedControl,
    /// A control frame with more than 125 bytes.
    #[error("a control frame is limited to 125 bytes")]
    ControlTooLong,
    /// A length that has a shorter encoding.
    #[error("a length must be written in as few bytes as possible")]
    LengthNotMinimal,
    /// A 64-bit length with its top bit set.
    #[error("the top bit of a length must be 0")]
    LengthTopBit,
    /// A continuation frame outside a message.
    #[error("a continuation without a message to continue")]
    UnexpectedContinuation,
    /// A new message inside a fragmented message.
    #[error("a new message inside a fragmented one")]
    MessageInsideMessage,
    /// A close frame of one byte, which is neither empty nor a code.
    #[error("a close frame must be empty or begin with a code of two bytes")]
    HalfCloseCode,
    /// A close code that is not allowed in a close frame.
    #[error("close code {0} must not be sent")]
    IllegalCloseCode(u16),
    /// Text, or the reason of a close frame, that is not UTF-8.
    #[error("text must be UTF-8")]
    InvalidUtf8,
    /// A message whose length, received or announced, exceeds the limit.
    #[error("a message is limited to {limit} bytes")]
    TooBig {
        /// The decoder's limit in bytes.
        limit: u32,
    },
}

impl ProtocolError {
    /// The close code for the peer: 1002, 1007 or 1009.
    #[must_use]
    pub const fn close_code(self) -> CloseCode {
        match self {
            Self::InvalidUtf8 => CloseCode::INVALID_DATA,
            Self::TooBig { .. } => CloseCode::TOO_BIG,
            Self::ReservedBits
            | Self::ReservedOpcode(_)
            | Self::Unmasked
            | Self::Masked
            | Self::FragmentedControl
            | Self::ControlTooLong
            | Self::LengthNotMinimal
            | Self::LengthTopBit
            | Self::UnexpectedContinuation
            | Self::MessageInsideMessage
            | Self::HalfCloseCode
            | Self::IllegalCloseCode(_) => CloseCode::PROTOCOL_ERROR,
        }
    }
}
