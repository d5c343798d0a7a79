//! What HTTP hands to a shard: an upgraded connection, and who it speaks for.

use std::any::Any;
use std::net::TcpStream;
use std::sync::Arc;

use bytes::Bytes;
use protocol::Person;
use storage::TokenHash;

use crate::i18n::Language;

/// An upgraded connection on its way to the shard that will own it.
pub(crate) struct UpgradedConnection {
    /// Non-blocking, with the 101 already written.
    pub(crate) stream: TcpStream,
    /// What hyper had read beyond the request: it comes before whatever the stream gives.
    pub(crate) read_ahead: Bytes,
    /// Who it speaks for.
    pub(crate) identity: Identity,
    /// In which encoding.
    pub(crate) speaks: WireProtocol,
    /// Its slot under the connection limits.
    pub(crate) slot: SlotGuard,
}

/// A slot under the connection limits, whatever the limiter is. It is freed when the last clone is dropped.
pub(crate) type SlotGuard = Arc<dyn Any + Send + Sync>;

/// Who a connection speaks for.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    /// The person, as they are called now.
    pub(crate) person: Person,
    /// The session by which they can come back. `None`: a guest who leaves when the connection ends.
    pub(crate) session: Option<TokenHash>,
    /// Whether the store knows them already.
    pub(crate) stored: bool,
}

/// What is spoken on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WireProtocol {
    /// `teahouse.v1.json`
    Json,
    /// Lines, with notices in this language.
    PlainText(Language),
    /// Whatever comes goes back; for conformance runs.
    #[cfg(feature = "echo")]
    Echo,
}
