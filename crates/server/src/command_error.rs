//! Messages of the errors that come from the server, not from the store.

use protocol::ErrorCode;
use storage::CommandError;

/// The error of a command that the server itself cannot carry out now.
pub(crate) fn command_error(code: ErrorCode) -> CommandError {
    CommandError::from(code)
}
