//! What can go wrong for a client.

use std::io;

use protocol::{ErrorCode, ErrorFrame};

/// Why a call did not give what it should.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The connection failed, or ended without a close frame.
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    /// Nothing came in time.
    #[error("nothing came in time")]
    Timeout,
    /// The upgrade was answered with this HTTP status.
    #[error("the upgrade was answered with HTTP {0}")]
    Upgrade(u16),
    /// The answer to the upgrade is none, or wrong.
    #[error("no WebSocket handshake: {0}")]
    Handshake(String),
    /// The server broke RFC 6455.
    #[error("the server broke the framing rules: {0}")]
    Framing(#[from] websocket::ProtocolError),
    /// The server said something that is not in the protocol.
    #[error("not in the protocol ({error}): {text}")]
    Unreadable {
        /// What it said.
        text: String,
        /// Why that could not be read.
        error: String,
    },
    /// The server closed the connection. 1005: without saying why; 1006: without a close frame.
    #[error("closed with {code} {reason:?}")]
    Closed {
        /// The close code.
        code: u16,
        /// The reason.
        reason: String,
    },
    /// The command was refused.
    #[error("refused: {} ({})", .0.code, .0.message)]
    Refused(ErrorFrame),
}

impl Error {
    /// The code of a refusal.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Error::Refused(frame) => Some(frame.code),
            _ => None,
        }
    }

    /// The code with which the connection was closed.
    #[must_use]
    pub fn close_code(&self) -> Option<u16> {
        match self {
            Error::Closed { code, .. } => Some(*code),
            _ => None,
        }
    }
}
