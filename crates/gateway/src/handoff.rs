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
    /// The bytes that hyper has read after the request; they precede the input of the stream.
    pub read_ahead: Bytes,
    /// The authenticated user.
    pub identity: Identity,
    /// The negotiated protocol.
    pub protocol: WireProtocol,
    /// The slot of the connection under the connection limits.
    pub slot: SlotGuard,
}

/// A slot under the connection limits. Dropping the last clone frees it.
pub type SlotGuard = Arc<dyn Any + Send + Sync>;

/// The authenticated user of a connection.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The user, with the current name.
    pub user: User,
    /// The session. `None` for a transient guest, who leaves when the connection ends.
    pub session: Option<TokenHash>,
    /// Whether the user is in the store.
    pub stored: bool,
}

impl Identity {
    /// The user as the store's writer needs them. A guest is stored with the first `join` or `rename`.
    pub(crate) fn actor(&self) -> Actor {
        let registration = (!self.stored).then_some(Registration { token: self.session });
        Actor { user: self.user.clone(), registration }
    }
}

/// The protocol of a connection.
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
