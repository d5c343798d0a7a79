//! Failures that a test makes the memory store have.

use crate::StoreError;

/// The way in which a commit fails. Except for [`Failure::Full`], clients get the same answer: the outcome is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The disk is full: nothing is stored, and the error states it.
    Full,
    /// Nothing is stored, and the error does not state it.
    Lost,
    /// Everything is stored, but the confirmation is lost.
    NotKnown,
    /// An fsync failed and nothing is stored: the process must end.
    FatalLost,
    /// An fsync failed although everything is stored: the process must end.
    FatalNotKnown,
}

impl Failure {
    pub(super) fn stores(self) -> bool {
        matches!(self, Failure::NotKnown | Failure::FatalNotKnown)
    }

    pub(super) fn error(self) -> StoreError {
        let text = "an injected failure".to_owned();
        match self {
            Failure::Full => StoreError::Full(text),
            Failure::Lost | Failure::NotKnown => StoreError::Unavailable(text),
            Failure::FatalLost | Failure::FatalNotKnown => StoreError::Fatal(text),
        }
    }
}
