//! Violations of the framing rules by a peer, and the close code of each.

use crate::CloseCode;

/// The peer broke RFC 6455. The connection cannot go on: send a close frame with
/// [`close_code`](Self::close_code) and end it. The text of the error is short enough to be that frame's
/// reason, and names nothing of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// A reserved bit is set, though no extension was agreed on.
    #[error("reserved bits are set, but no extension is in use")]
    ReservedBits,
    /// An opcode that the RFC keeps for later.
    #[error("opcode {0:#x} is reserved")]
    ReservedOpcode(u8),
    /// A client's frame without a mask.
    #[error("a client must mask its frames")]
    Unmasked,
    /// A server's frame with a mask.
    #[error("a server must not mask its frames")]
    Masked,
    /// A control frame without the final bit.
    #[error("a control frame must not be fragmented")]
    FragmentedControl,
    /// A control frame with more than 125 bytes.
    #[error("a control frame is limited to 125 bytes")]
    ControlTooLong,
    /// A length that would have fitted into fewer bytes.
    #[error("a length must be written in as few bytes as possible")]
    LengthNotMinimal,
    /// A length with its top bit set.
    #[error("the top bit of a length must be 0")]
    LengthTopBit,
    /// A continuation while no message is under way.
    #[error("a continuation without a message to continue")]
    UnexpectedContinuation,
    /// A new message while another one is under way.
    #[error("a new message inside a fragmented one")]
    MessageInsideMessage,
    /// A close frame of one byte: neither empty nor a code.
    #[error("a close frame must be empty or begin with a code of two bytes")]
    HalfCloseCode,
    /// A close code that must not be sent.
    #[error("close code {0} must not be sent")]
    IllegalCloseCode(u16),
    /// Text, or the reason of a close frame, that is not UTF-8.
    #[error("text must be UTF-8")]
    InvalidUtf8,
    /// A message that is longer, or announces to become longer, than the limit in bytes.
    #[error("a message is limited to {limit} bytes")]
    TooBig {
        /// The limit that the decoder was made with.
        limit: u32,
    },
}

impl ProtocolError {
    /// What to tell the peer: 1002, 1007 or 1009.
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
