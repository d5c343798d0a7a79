//! Masking (RFC 6455, 5.3): each payload byte of a client is XORed with a byte of a 4-byte key, cyclically.

/// Masks or unmasks a payload that may arrive in pieces.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mask {
    /// Rotated so that `key[0]` applies to the next payload byte; this replaces a stored position.
    key: [u8; 4],
}

impl Mask {
    pub(crate) fn new(key: [u8; 4]) -> Self {
        Self { key }
    }

    /// Masks the next piece of the payload in place.
    pub(crate) fn apply(&mut self, bytes: &mut [u8]) {
        let [a, b, c, d] = self.key;
        // Native byte order for key and payload: their bytes match in memory order on every platform.
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
            let expected: Vec<u8> = payload.iter().enumerate().map(|(i, b)| b ^ key[i % 4]).collect();
            let mut mask = Mask::new(key);
            let mut masked = payload;
            let mut rest = &mut masked[..];
            for piece in pieces {
                let piece = rest.split_off_mut(..piece.min(rest.len())).unwrap();
                mask.apply(piece);
            }
            mask.apply(rest);
            prop_assert_eq!(masked, expected);
        }
    }
}
