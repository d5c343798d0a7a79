//! A store's errors, described for the operator.

use std::io;
use std::path::PathBuf;

use protocol::ErrorCode;

use crate::CommandError;

/// Why a store failed. The text is for the log; clients get [`StoreError::refusal`].
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
    /// An fsync failed: the kernel may have dropped what it could not write, and a second fsync would not tell.
    #[error("writing to the disk failed, and what it holds is not known: {0}")]
    Fatal(String),
    /// The one writer has been given out.
    #[error("the store has a writer already")]
    WriterTaken,
}

impl StoreError {
    /// The error for the client.
    #[must_use]
    pub fn refusal(&self) -> CommandError {
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

/// Why a store could not be opened: one clear line each.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder is not there and cannot be made, or cannot be written.
    #[error("cannot write the data folder {}: {cause}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Another process has it open.
    #[error("another teahouse is using this data folder: {}", path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// A later version of the program has been here.
    #[error(
        "{} was written by a newer teahouse: its schema is {found}, this program knows {known}",
        path.display()
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// The schema found.
        found: i64,
        /// The newest schema that this program knows.
        known: i64,
    },
    /// Another program's file, or a damaged one.
    #[error("{} is not a Teahouse database, or it is damaged: {cause}", path.display())]
    NotADatabase {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// Anything else.
    #[error("cannot open {}: {cause}", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        cause: StoreError,
    },
}
