//! How buffers grow.

/// How much more a buffer should reserve to take `extra` bytes: it doubles, so that a peer that sends single
/// bytes costs a handful of moves and not one each; but never beyond `limit`, so that the limit is also the
/// memory.
pub(crate) fn growth(len: usize, capacity: usize, extra: usize, limit: usize) -> usize {
    if capacity - len >= extra {
        return 0;
    }
    let roomy = capacity.saturating_mul(2).max(64).min(limit);
    roomy.max(len + extra) - len
}
