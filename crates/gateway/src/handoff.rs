//! The hand-off of an upgraded connection from HTTP to a shard.

use std::any::Any;
use std::net::TcpStream;
use std::sync::Arc;

use bytes::Bytes;
use domain::{Actor, Registration, TokenHash};
use protocol::User;

use crate::i18n::Language;

/// An upgraded connection on its way to the shard that will own it.
pub struct UpgradedConnection {
    /// Non-blocking, with the 101 already written.
    pub stream: TcpStream,
    /// The bytes after the request that HTTP has already read; they precede the input of the stream.
    pub read_ahead: Bytes,
    /// Authenticated before the 101 was sent.
    pub identity: Identity,
    /// As negotiated with `Sec-WebSocket-Protocol`; plain text without that header.
    pub protocol: WireProtocol,
    /// The connection counts under the connection limits until the shard drops this.
    pub slot: SlotGuard,
}

/// A slot under the connection limits. Dropping the last clone frees it.
pub type SlotGuard = Arc<dyn Any + Send + Sync>;

/// The authenticated user of a connection or of a request over HTTP.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The user, with the current name.
    pub user: User,
    /// The session. `None` for a transient guest, who leaves when the connection ends.
    pub session: Option<TokenHash>,
    /// Whether the user is in the store. If not, the first `join` or `rename` stores it.
    pub stored: bool,
}

impl Identity {
    /// The user as the store's writer needs them. A guest is stored with the first `join` or `rename`.
    pub(crate) fn actor(&self) -> Actor {
        let registration = (!self.stored).then_some(Registration { token: self.session });
        Actor { user: self.user.clone(), registration }
    }
}

/// How messages are encoded on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireProtocol {
    /// `teahouse.v1.json`
    Json,
    /// Lines of plain text, with notices in this language.
    PlainText(Language),
    /// Returns every message; for conformance tests.
    #[cfg(feature = "echo")]
    Echo,
}
