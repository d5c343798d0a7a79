//! The last events of a room as bytes. The server encodes an event once for all members, so of a thousand deliveries one is
//! read and the others are compared.

use std::collections::VecDeque;

/// The JSON of the last events, numbered without a hole. Bounded in bytes; what is pushed out lends its memory to what
/// comes in.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    /// The number of `events[0]`.
    first: u64,
    events: VecDeque<Vec<u8>>,
    bytes: usize,
    limit: usize,
}

impl Recent {
    pub(crate) fn new(limit: usize) -> Self {
        Recent { limit, ..Recent::default() }
    }

    pub(crate) fn get(&self, seq: u64) -> Option<&[u8]> {
        let at = usize::try_from(seq.checked_sub(self.first)?).ok()?;
        self.events.get(at).map(Vec::as_slice)
    }

    /// Keeps the event if it follows the last one; after a hole, starts anew.
    pub(crate) fn offer(&mut self, seq: u64, bytes: &[u8]) {
        if seq < self.first + self.events.len() as u64 {
            return;
        }
        if seq > self.first + self.events.len() as u64 || self.events.is_empty() {
            self.events.clear();
            (self.first, self.bytes) = (seq, 0);
        }
        let mut kept = Vec::new();
        // The one that is compared next is kept even if it alone is beyond the bound.
        while self.bytes + bytes.len() > self.limit
            && let Some(oldest) = self.events.pop_front()
        {
            self.bytes -= oldest.len();
            self.first += 1;
            kept = oldest;
        }
        kept.clear();
        kept.extend_from_slice(bytes);
        self.bytes += kept.len();
        self.events.push_back(kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_events_are_found_by_number_and_older_ones_are_gone() {
        let mut recent = Recent::new(10);
        for seq in 5..=9 {
            recent.offer(seq, format!("ev{seq}").as_bytes());
        }
        assert_eq!(
            (recent.get(6), recent.get(7), recent.get(9)),
            (None, Some(&b"ev7"[..]), Some(&b"ev9"[..]))
        );
        assert_eq!((recent.get(10), recent.get(0), recent.bytes), (None, None, 9));
        recent.offer(8, b"again");
        assert_eq!(recent.get(8), Some(&b"ev8"[..]));
    }

    #[test]
    fn after_a_hole_it_starts_anew() {
        let mut recent = Recent::new(100);
        recent.offer(1, b"one");
        recent.offer(7, b"seven");
        assert_eq!((recent.get(1), recent.get(7), recent.bytes), (None, Some(&b"seven"[..]), 5));
    }

    #[test]
    fn one_event_beyond_the_bound_is_kept_alone() {
        let mut recent = Recent::new(4);
        recent.offer(1, b"a");
        recent.offer(2, b"larger");
        assert_eq!((recent.get(1), recent.get(2)), (None, Some(&b"larger"[..])));
        recent.offer(3, b"b");
        assert_eq!((recent.get(2), recent.get(3)), (None, Some(&b"b"[..])));
    }
}
