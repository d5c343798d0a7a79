//! The error type of the client.

use std::io;

use protocol::{ErrorCode, ErrorFrame};

/// The reason why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The TCP connection could not be established, or ended without a close frame.
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    /// The awaited frame did not arrive within the timeout.
    #[error("timed out")]
    Timeout,
    /// The server answered the upgrade with this HTTP status.
    #[error("the upgrade failed with HTTP {0}")]
    Upgrade(u16),
    /// The response to the upgrade is missing or not valid HTTP.
    #[error("the WebSocket handshake failed: {0}")]
    Handshake(String),
    /// The server violated RFC 6455.
    #[error("the server violated RFC 6455: {0}")]
    Framing(#[from] websocket::ProtocolError),
    /// The server sent a text that is not a frame of the protocol.
    #[error("not in the protocol ({error}): {text}")]
    Unreadable {
        /// The text, as received.
        text: String,
        /// The error of the parser.
        error: String,
    },
    /// The server closed the connection. The code is 1005 if the close frame has none, and 1006 if there was no close frame.
    #[error("closed with {code} {reason:?}")]
    Closed {
        /// The close code; see docs/PROTOCOL.md.
        code: u16,
        /// The reason in the close frame; may be empty.
        reason: String,
    },
    /// The server rejected the command; the connection stays open.
    #[error("rejected: {} ({})", .0.code, .0.message)]
    Rejected(ErrorFrame),
}

impl From<ureq::Error> for Error {
    fn from(error: ureq::Error) -> Self {
        match error {
            ureq::Error::Io(error) => Error::Io(error),
            ureq::Error::Timeout(_) => Error::Timeout,
            error => Error::Handshake(error.to_string()),
        }
    }
}

impl Error {
    /// The stable code of a rejection; `None` for every other error.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Error::Rejected(frame) => Some(frame.code),
            _ => None,
        }
    }

    /// The close code; `None` unless the server closed the connection.
    #[must_use]
    pub fn close_code(&self) -> Option<u16> {
        match self {
            Error::Closed { code, .. } => Some(*code),
            _ => None,
        }
    }
}
