//! Why a frame is no command.

use crate::{CommandId, ErrorCode, InvalidBody, InvalidName};

/// Why a frame, or one object in it, is no command. It is answered with `error`, and never closes the connection.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct FrameError {
    /// The command's id, where it could be read.
    pub id: Option<CommandId>,
    /// The code of the answer.
    pub code: ErrorCode,
    /// For the author of the client.
    pub message: String,
}

impl FrameError {
    /// Messages quote what they reject; beyond this many characters they are cut.
    const MESSAGE_CHARS: usize = 200;

    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        let mut message = message.into();
        // An answer is no larger than its command: a frame may be 64 KiB, and quoting makes invisible characters longer.
        if let Some((at, _)) = message.char_indices().nth(Self::MESSAGE_CHARS) {
            message.truncate(at);
            message.push('…');
        }
        FrameError { id: None, code, message }
    }

    pub(crate) fn malformed(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Malformed, message)
    }

    /// Unknown words come from outside and go back there and nowhere else; a long one is cut.
    pub(crate) fn unknown_type(name: &str) -> Self {
        let name: String = name.chars().take(32).collect();
        Self::new(ErrorCode::UnknownType, format!("no command is called {name:?}"))
    }
}

impl From<InvalidName> for FrameError {
    fn from(error: InvalidName) -> Self {
        FrameError::new(ErrorCode::InvalidName, error.to_string())
    }
}

impl From<InvalidBody> for FrameError {
    fn from(error: InvalidBody) -> Self {
        let code = match error {
            InvalidBody::TooLong { .. } => ErrorCode::BodyTooLong,
            InvalidBody::Empty => ErrorCode::BodyEmpty,
            InvalidBody::Nul => ErrorCode::Malformed,
        };
        FrameError::new(code, error.to_string())
    }
}
