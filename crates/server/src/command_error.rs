//! Messages of the errors that come from the server, not from the store.

use protocol::ErrorCode;
use storage::CommandError;

/// The error of a command that the server itself cannot carry out now; other codes have the store's message.
pub(crate) fn command_error(code: ErrorCode) -> CommandError {
    let message = match code {
        ErrorCode::Overloaded => "the server has more to do than it can; try again soon",
        ErrorCode::ShuttingDown => "the server is stopping; come back soon",
        _ => return CommandError::from(code),
    };
    CommandError { code, message: message.to_owned() }
}
