//! What the clients of a run share.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Barrier, OnceLock};

use protocol::{RoomId, Seq};

use super::options::RecorderOptions;
use super::slow_reader::ReadPause;

/// The state that the clients share.
pub(super) struct RunState {
    pub(super) plan: RecorderOptions,
    /// A barrier that all clients reach after joining their rooms.
    pub(super) ready: Barrier,
    pub(super) read_pause: ReadPause,
    /// Set when clients may not send new messages any more.
    pub(super) finish: OnceLock<()>,
    /// The number of clients that have every reply.
    pub(super) answered: AtomicUsize,
    /// The heads of all rooms. A client that has received them is done.
    pub(super) heads: OnceLock<BTreeMap<RoomId, Seq>>,
}
