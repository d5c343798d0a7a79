//! The growth policy of buffers.

/// The additional capacity that a buffer reserves for `extra` bytes. It doubles, so that a peer that sends single bytes causes
/// few reallocations, but never exceeds `limit`, so that the limit bounds the memory.
pub(crate) fn growth(len: usize, capacity: usize, extra: usize, limit: usize) -> usize {
    if capacity - len >= extra {
        return 0;
    }
    let doubled = capacity.saturating_mul(2).max(64).min(limit);
    doubled.max(len + extra) - len
}
