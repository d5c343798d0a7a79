//! Why a folder could not be opened, for the operator.

use std::io;
use std::path::PathBuf;

use storage::StoreError;

/// Why a store could not be opened: one clear line each.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder is not there and cannot be made, or cannot be written.
    #[error("cannot write the data folder {}: {cause}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The error of the system.
        cause: io::Error,
    },
    /// Another process has it open.
    #[error("another teahouse is using this data folder: {}", path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// A newer version of the program has written it.
    #[error(
        "{} was written by a newer teahouse: its schema is {found}, this program supports {known}",
        path.display()
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// The schema found.
        found: i64,
        /// The newest schema that this program supports.
        known: i64,
    },
    /// The file of another program, or a damaged one.
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
