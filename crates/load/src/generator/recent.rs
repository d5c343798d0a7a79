//! The last events of a room as bytes. A server encodes an event once for all members, so of a thousand deliveries one is
//! read and the others are compared.

use std::collections::VecDeque;

use websocket::{append_text, frame_len};

/// The last events, numbered without a hole, as whole frames one after the other: as a member that is behind reads them.
/// Bounded in bytes.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    /// The number of the first event.
    first: u64,
    /// For each event, where its frame begins and ends in all that was ever kept, and how long the frame's header is.
    places: VecDeque<Place>,
    bytes: Vec<u8>,
    /// Where `bytes` begins in all that was ever kept.
    base: u64,
    limit: usize,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    begin: u64,
    length: u32,
    header: u32,
}

impl Recent {
    pub(crate) fn new(limit: usize) -> Self {
        Recent { limit, ..Recent::default() }
    }

    /// The event's frame, whole.
    pub(crate) fn frame(&self, seq: u64) -> Option<&[u8]> {
        let place = self.place(seq)?;
        let begin = (place.begin - self.base) as usize;
        self.bytes.get(begin..begin + place.length as usize)
    }

    /// The event's JSON.
    pub(crate) fn json(&self, seq: u64) -> Option<&[u8]> {
        let header = self.place(seq)?.header as usize;
        self.frame(seq)?.get(header..)
    }

    fn place(&self, seq: u64) -> Option<Place> {
        let at = usize::try_from(seq.checked_sub(self.first)?).ok()?;
        self.places.get(at).copied()
    }

    /// Keeps the event if it follows the last one; after a hole, starts anew.
    pub(crate) fn offer(&mut self, seq: u64, json: &[u8]) {
        let next = self.first + self.places.len() as u64;
        if seq < next && !self.places.is_empty() {
            return;
        }
        if seq > next || self.places.is_empty() {
            self.places.clear();
            self.first = seq;
        }
        let length = frame_len(json.len());
        // The one that is compared next is kept even if it alone is beyond the bound.
        while self.kept() + length > self.limit && self.places.pop_front().is_some() {
            self.first += 1;
        }
        let unused = self.bytes.len() - self.kept();
        // Moving what is kept to the front costs no more than the bytes that came since it was last done.
        if unused > self.kept() {
            self.bytes.drain(..unused);
            self.base += unused as u64;
        }
        let begin = self.base + self.bytes.len() as u64;
        append_text(&mut self.bytes, json);
        self.places.push_back(Place { begin, length: length as u32, header: (length - json.len()) as u32 });
    }

    /// Bytes of the events that can still be asked for.
    fn kept(&self) -> usize {
        let end = self.base + self.bytes.len() as u64;
        self.places.front().map_or(0, |first| (end - first.begin) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_events_are_found_by_number_and_older_ones_are_gone() {
        let mut recent = Recent::new(15);
        for seq in 5..=9 {
            recent.offer(seq, format!("ev{seq}").as_bytes());
            assert!(recent.kept() <= 15 && recent.bytes.len() <= 30);
        }
        assert_eq!(
            (recent.json(6), recent.json(7), recent.json(9)),
            (None, Some(&b"ev7"[..]), Some(&b"ev9"[..]))
        );
        assert_eq!(recent.frame(8), Some(&b"\x81\x03ev8"[..]));
        assert_eq!((recent.json(10), recent.json(0), recent.kept()), (None, None, 15));
        recent.offer(8, b"again");
        assert_eq!(recent.json(8), Some(&b"ev8"[..]));
    }

    #[test]
    fn after_a_hole_it_starts_anew() {
        let mut recent = Recent::new(100);
        recent.offer(1, b"one");
        recent.offer(7, b"seven");
        assert_eq!((recent.json(1), recent.json(7), recent.kept()), (None, Some(&b"seven"[..]), 7));
    }

    #[test]
    fn one_event_beyond_the_bound_is_kept_alone() {
        let mut recent = Recent::new(4);
        recent.offer(1, b"a");
        recent.offer(2, b"larger");
        assert_eq!((recent.json(1), recent.json(2)), (None, Some(&b"larger"[..])));
        recent.offer(3, b"b");
        assert_eq!((recent.json(2), recent.json(3)), (None, Some(&b"b"[..])));
    }

    #[test]
    fn frames_of_all_lengths_are_found_whole() {
        let mut recent = Recent::new(1 << 20);
        for (seq, length) in (1..).zip([0, 125, 126, 65_535, 65_536]) {
            let json = vec![b'x'; length];
            recent.offer(seq, &json);
            assert_eq!(recent.frame(seq), Some(&*websocket::text_frame(&json)));
            assert_eq!(recent.json(seq), Some(&*json));
        }
    }
}
