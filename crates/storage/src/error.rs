//! The errors of a store, described for the operator.

use protocol::ErrorCode;

use crate::CommandError;

/// The reason why a store failed. The text is for the log, and may contain paths; clients get [`StoreError::rejection`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The disk is full; nothing was stored. Writes succeed again when there is space.
    #[error("the disk is full: {0}")]
    Full(String),
    /// The database is unreachable or did not answer as expected. The outcome of the operation is unknown.
    #[error("the store does not answer: {0}")]
    Unavailable(String),
    /// A stored value is unreadable: it was not written by this program, or was damaged.
    #[error("the database is damaged: {0}")]
    Corrupt(String),
    /// A statement failed that can only fail because of a defect of this program.
    #[error("a defect of the store: {0}")]
    Defect(String),
    /// An fsync failed. The kernel may have discarded the data, and a second fsync would succeed: the process must end.
    #[error("writing to the disk failed, and what it holds is not known: {0}")]
    Fatal(String),
    /// The store already has a writer. There must be only one.
    #[error("the store has a writer already")]
    WriterTaken,
}

impl StoreError {
    /// The public error for the client, without the text.
    #[must_use]
    pub fn rejection(&self) -> CommandError {
        CommandError::from(match self {
            StoreError::Full(_) => ErrorCode::StorageFull,
            StoreError::Unavailable(_) | StoreError::Corrupt(_) | StoreError::Fatal(_) => {
                ErrorCode::Unavailable
            }
            StoreError::Defect(_) | StoreError::WriterTaken => ErrorCode::Internal,
        })
    }

    /// The reason why the process must end; `None` for errors that later commits may not have.
    #[must_use]
    pub fn fatal(&self) -> Option<String> {
        matches!(self, StoreError::Fatal(_)).then(|| self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cause_of_a_store_failure_is_not_public() {
        let error = StoreError::Unavailable("/var/lib/secret.db".to_owned());
        assert!(error.to_string().contains("secret"));
        assert!(!error.rejection().message.contains("secret"));
    }
}
