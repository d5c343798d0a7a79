//! Errors of the server itself, as opposed to those of the store.

use protocol::ErrorCode;
use storage::CommandError;

/// The error of a command that the server cannot execute now.
pub(crate) fn command_error(code: ErrorCode) -> CommandError {
    CommandError::from(code)
}
