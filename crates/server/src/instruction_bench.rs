//! What `bin/instruction_bench.rs` counts of that which the crate keeps to itself.

use std::sync::Arc;

use protocol::Event;

use crate::commit_batch::Committed;

/// An event's frame, as the writer makes it for all shards.
#[must_use]
pub fn encode(event: &Arc<Event>) -> Box<[u8]> {
    Committed::from(Arc::clone(event)).frame
}
