//! The error for a frame that is not a valid command.

use crate::{CommandId, ErrorCode, InvalidBody, InvalidName};

/// The error for a frame, or one object in it, that is not a valid command. The client gets an `error`; the connection stays
/// open.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct FrameError {
    /// The id of the command, if it was readable.
    pub id: Option<CommandId>,
    /// The code of the `error` frame.
    pub code: ErrorCode,
    /// An English message for the author of the client: at most 201 characters, the last one `…` if it was cut.
    pub message: String,
}

impl FrameError {
    /// Bounds the length of a message in characters: messages quote the rejected input.
    const MESSAGE_CHARS: usize = 200;

    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        let mut message = message.into();
        // Threat: a frame may have 64 KiB, and quoting makes invisible characters longer. Without the bound, the reply would
        // amplify it.
        if let Some((at, _)) = message.char_indices().nth(Self::MESSAGE_CHARS) {
            message.truncate(at);
            message.push('…');
        }
        FrameError { id: None, code, message }
    }

    pub(crate) fn malformed(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::Malformed, message)
    }

    /// Quotes at most 32 characters of the type, which the client chose.
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
