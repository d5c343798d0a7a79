//! The user who makes a request, and the error that answers it.

use std::fmt;

use protocol::{ErrorCode, User};

/// Correlates an answer with its request. The caller chooses it; the store does not interpret it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// SHA-256 of a session token. The token itself never reaches the store.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash(pub [u8; 32]);

/// Threat: with the hash, a reader of the log could recognize a token. Nothing of it is logged.
impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(…)")
    }
}

/// The user who makes a request, as the caller found the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The user's id, and the name to store if the user is new. For a stored user the **stored** name goes into events,
    /// so that no event carries the old name after `renamed`.
    pub user: User,
    /// How to store the user if the user is new. Required until the caller has seen that the user is stored.
    pub registration: Option<Registration>,
}

/// How a guest is stored: with the first permitted [`Join`](crate::Join), or the first [`Rename`](protocol::Rename).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The session with which the user can return. `None`: the user is *transient* and leaves all rooms when their
    /// connection ends. Stored only together with a new user, so that nothing revives a session that has ended.
    pub token: Option<TokenHash>,
}

/// The error of a request: a code for programs, and a message for the author of the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandError {
    /// The stable code; see `docs/PROTOCOL.md`.
    pub code: ErrorCode,
    /// Public: never the text of an internal error.
    pub message: String,
}

impl From<ErrorCode> for CommandError {
    fn from(code: ErrorCode) -> Self {
        CommandError { code, message: code.message().to_owned() }
    }
}
