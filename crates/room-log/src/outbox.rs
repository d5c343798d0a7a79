//! Bytes that are written to one connection only: replies, catch-ups, the remainder of a partially written frame.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

/// A queue of private bytes, written before anything of a room log. An empty outbox is one null pointer.
///
/// The owner bounds it (backpressure): the shard stops reading a connection whose outbox holds [`Outbox::PAUSE_BYTES`].
#[derive(Debug, Default)]
pub struct Outbox(Option<Box<Pending>>);

#[derive(Debug, Default)]
struct Pending {
    /// Written in this order, and before `tail`.
    segments: VecDeque<Bytes>,
    tail: Vec<u8>,
    /// The number of bytes of `tail` that have been written.
    tail_written: usize,
    len: usize,
}

impl Outbox {
    /// High-water mark: above it the connection is not read until its peer has received the queued replies.
    pub const PAUSE_BYTES: usize = 16 * 1024;

    /// The number of queued bytes, including shared ones.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |pending| pending.len)
    }

    /// Whether nothing is queued; then the connection reads from room logs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Appends a copy of `bytes`; for small replies, which share one buffer.
    pub fn push(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let pending = self.0.get_or_insert_default();
        pending.len += bytes.len();
        pending.tail.extend_from_slice(bytes);
    }

    /// Appends `bytes` without a copy; for a page that several connections share.
    pub fn push_shared(&mut self, bytes: Bytes) {
        if bytes.is_empty() {
            return;
        }
        let pending = self.0.get_or_insert_default();
        pending.len += bytes.len();
        if !pending.tail.is_empty() {
            let mut tail = Bytes::from(std::mem::take(&mut pending.tail));
            tail.advance(std::mem::take(&mut pending.tail_written));
            if !tail.is_empty() {
                pending.segments.push_back(tail);
            }
        }
        pending.segments.push_back(bytes);
    }

    /// Fills `slices` from the front of the queue. Returns the number of filled slices and whether they cover the whole queue.
    pub fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> (usize, bool) {
        let Some(pending) = self.0.as_deref() else { return (0, true) };
        let tail = &pending.tail[pending.tail_written..];
        let mut waiting =
            pending.segments.iter().map(|segment| &segment[..]).chain((!tail.is_empty()).then_some(tail));
        let mut filled = 0;
        for slot in &mut *slices {
            let Some(bytes) = waiting.next() else { break };
            *slot = IoSlice::new(bytes);
            filled += 1;
        }
        (filled, waiting.next().is_none())
    }

    /// Removes up to `written` bytes from the front. Returns how many of `written` were not from this queue.
    pub fn consume(&mut self, mut written: usize) -> usize {
        let Some(pending) = self.0.as_deref_mut() else { return written };
        while written > 0 {
            if let Some(front) = pending.segments.front_mut() {
                let taken = written.min(front.len());
                front.advance(taken);
                (written, pending.len) = (written - taken, pending.len - taken);
                if front.is_empty() {
                    pending.segments.pop_front();
                }
            } else {
                let taken = written.min(pending.tail.len() - pending.tail_written);
                pending.tail_written += taken;
                (written, pending.len) = (written - taken, pending.len - taken);
                break;
            }
        }
        if pending.len == 0 {
            self.0 = None;
        }
        written
    }

    /// Discards all queued bytes, for a connection that is closed.
    pub fn clear(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn empty_outbox_is_one_pointer() {
        assert_eq!(size_of::<Outbox>(), 8);
        let mut outbox = Outbox::default();
        outbox.push(b"x");
        assert_eq!(outbox.consume(3), 2);
        assert!(outbox.is_empty());
    }

    proptest! {
        #[test]
        fn pushed_bytes_are_consumed_once_in_order(
            steps in proptest::collection::vec((any::<bool>(), 0usize..40, 0usize..60, 1usize..4), 1..40),
        ) {
            let mut outbox = Outbox::default();
            let (mut expected, mut written, mut next) = (Vec::new(), Vec::new(), 0u8);
            for (shared, len, take, slots) in steps {
                let bytes: Vec<u8> = (0..len).map(|_| { next = next.wrapping_add(1); next }).collect();
                expected.extend_from_slice(&bytes);
                if shared { outbox.push_shared(Bytes::from(bytes)) } else { outbox.push(&bytes) }
                let mut slices = [IoSlice::new(&[]); 4];
                let (filled, all) = outbox.slices(&mut slices[..slots]);
                let offered: Vec<u8> = slices[..filled].iter().flat_map(|slice| slice.to_vec()).collect();
                prop_assert_eq!(all, offered.len() == outbox.len());
                let take = take.min(offered.len());
                written.extend_from_slice(&offered[..take]);
                prop_assert_eq!(outbox.consume(take), 0);
                prop_assert_eq!(outbox.len(), expected.len() - written.len());
            }
            prop_assert_eq!(&expected[..written.len()], &written[..]);
        }
    }
}
