//! Why a run has no history.

use std::io;

use client::Error;

/// The reason why there is no history. Defects of the server are not errors here: they are in the history, for the checker.
#[derive(Debug, thiserror::Error)]
pub enum RecorderError {
    /// The history file could not be written.
    #[error("the history cannot be written: {0}")]
    Io(#[from] io::Error),
    /// A client could not connect at the start, or the rooms could not be read at the end.
    #[error(transparent)]
    Server(#[from] Error),
    /// A client with a session could no longer connect while all others were quiescent.
    #[error("client {number} could not reconnect and never became quiescent")]
    ShutOut {
        /// The number of the client, which is also the name of its file.
        number: u32,
    },
    /// A client's thread panicked; the panic was printed.
    #[error("a client's thread panicked")]
    Panicked,
}
