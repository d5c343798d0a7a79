//! The reasons why a folder cannot be opened, described for the operator.

use std::io;
use std::path::PathBuf;

use storage::StoreError;

/// The reason why a store could not be opened, as one line that names the file.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder does not exist and cannot be created, or is not writable.
    #[error("cannot write the data folder {}: {cause}", path.display())]
    Folder {
        /// The data folder.
        path: PathBuf,
        /// The error of the operating system.
        cause: io::Error,
    },
    /// Another process has opened the folder.
    #[error("another teahouse is using this data folder: {}", path.display())]
    Locked {
        /// The data folder, whose lock file the other process holds.
        path: PathBuf,
    },
    /// A newer version of the program has changed the schema; an older one could damage it.
    #[error(
        "{} was written by a newer teahouse: its schema is {found}, this program supports {known}",
        path.display()
    )]
    Newer {
        /// The database file.
        path: PathBuf,
        /// The version of the schema in the file.
        found: i64,
        /// The newest version that this program supports.
        known: i64,
    },
    /// The file belongs to another program, or is damaged.
    #[error("{} is not a Teahouse database, or it is damaged: {cause}", path.display())]
    NotADatabase {
        /// The database file.
        path: PathBuf,
        /// The finding of SQLite or of the check, for the operator.
        cause: String,
    },
    /// Any other error of the database.
    #[error("cannot open {}: {cause}", path.display())]
    Database {
        /// The database file.
        path: PathBuf,
        /// The error, with its text for the log.
        cause: StoreError,
    },
}
