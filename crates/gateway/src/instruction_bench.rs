//! Private functions that `bin/instruction_bench.rs` measures.

use std::sync::Arc;

use protocol::Event;

use crate::commit_batch::Committed;

/// The frame of an event, as the writer encodes it for all shards.
#[must_use]
pub fn encode(event: &Arc<Event>) -> Box<[u8]> {
    Committed::from(Arc::clone(event)).frame
}
