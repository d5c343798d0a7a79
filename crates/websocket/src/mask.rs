//! Masking (RFC 6455, 5.3): every payload byte of a client is XORed with a key of four bytes, in turn.

/// Masks or unmasks a payload that may come in pieces.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mask {
    /// Turned so that the next byte of the payload always meets `key[0]`; no position has to be kept.
    key: [u8; 4],
}

impl Mask {
    pub(crate) fn new(key: [u8; 4]) -> Self {
        Self { key }
    }

    /// Masks the next piece of the payload in place.
    pub(crate) fn apply(&mut self, bytes: &mut [u8]) {
        let [a, b, c, d] = self.key;
        // Native order on both sides, so the key's bytes meet the payload's bytes in memory order everywhere.
        let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
        let len = bytes.len();
        let (words, rest) = bytes.as_chunks_mut::<8>();
        for word in words {
            *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
        }
        for (byte, key) in rest.iter_mut().zip(self.key.iter().cycle()) {
            *byte ^= key;
        }
        self.key.rotate_left(len % 4);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Mask;

    proptest! {
        #[test]
        fn masking_in_pieces_equals_masking_whole(
            payload in prop::collection::vec(any::<u8>(), 0..200),
            key: [u8; 4],
            pieces in prop::collection::vec(0_usize..20, 0..40),
        ) {
            let by_the_book: Vec<u8> = payload.iter().enumerate().map(|(i, b)| b ^ key[i % 4]).collect();
            let mut mask = Mask::new(key);
            let mut masked = payload;
            let mut rest = &mut masked[..];
            for piece in pieces {
                let piece = rest.split_off_mut(..piece.min(rest.len())).unwrap();
                mask.apply(piece);
            }
            mask.apply(rest);
            prop_assert_eq!(masked, by_the_book);
        }
    }
}
