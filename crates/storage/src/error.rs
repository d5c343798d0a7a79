//! A store's errors, described for the operator.

use protocol::ErrorCode;

use crate::CommandError;

/// Why a store failed. The text is for the log; clients get [`StoreError::rejection`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The disk is full; nothing was stored. Writing resumes when there is space.
    #[error("the disk is full: {0}")]
    Full(String),
    /// The database cannot be reached, or did not answer as it should.
    #[error("the store does not answer: {0}")]
    Unavailable(String),
    /// What was read is not what was written.
    #[error("the database is damaged: {0}")]
    Corrupt(String),
    /// A statement that should not fail, failed.
    #[error("a defect of the store: {0}")]
    Defect(String),
    /// An fsync failed: the kernel may have dropped what it could not write, and a second fsync would succeed.
    #[error("writing to the disk failed, and what it holds is not known: {0}")]
    Fatal(String),
    /// The one writer has been given out.
    #[error("the store has a writer already")]
    WriterTaken,
}

impl StoreError {
    /// The error for the client.
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

    /// Why the process has to end, if it has to.
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
