//! The client's errors.

use std::io;

use protocol::{ErrorCode, ErrorFrame};

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The connection failed, or ended without a close frame.
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    /// The frame that a call waits for did not arrive in time.
    #[error("timed out")]
    Timeout,
    /// The upgrade failed with this HTTP status.
    #[error("the upgrade failed with HTTP {0}")]
    Upgrade(u16),
    /// The response to the upgrade is missing or invalid.
    #[error("the WebSocket handshake failed: {0}")]
    Handshake(String),
    /// The server violated RFC 6455.
    #[error("the server violated RFC 6455: {0}")]
    Framing(#[from] websocket::ProtocolError),
    /// The server sent something that is not in the protocol.
    #[error("not in the protocol ({error}): {text}")]
    Unreadable {
        /// The text.
        text: String,
        /// Why it cannot be parsed.
        error: String,
    },
    /// The server closed the connection. 1005: the close frame has no code; 1006: there was no close frame.
    #[error("closed with {code} {reason:?}")]
    Closed {
        /// The close code.
        code: u16,
        /// The reason.
        reason: String,
    },
    /// The server rejected the command.
    #[error("rejected: {} ({})", .0.code, .0.message)]
    Rejected(ErrorFrame),
}

impl Error {
    /// The error code of a rejection.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Error::Rejected(frame) => Some(frame.code),
            _ => None,
        }
    }

    /// The close code, if the connection was closed.
    #[must_use]
    pub fn close_code(&self) -> Option<u16> {
        match self {
            Error::Closed { code, .. } => Some(*code),
            _ => None,
        }
    }
}
