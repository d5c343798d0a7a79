//! Incremental UTF-8 validation of text that arrives in pieces, which may end inside a character.
//!
//! Each piece is validated once, on arrival, and appended to a `String`: an invalid byte is detected immediately, and the
//! complete text needs no second validation. The standard library validates: a vectorized validator would be a dependency for
//! a step that is cheap compared with parsing and fan-out.

use std::str::from_utf8;

use crate::{ProtocolError, growth::growth};

/// The text of an incomplete message.
#[derive(Debug, Default)]
pub(crate) struct TextBuffer {
    text: String,
    /// The first bytes of an incomplete character; at most three between two calls of `push`.
    tail: [u8; 4],
    tail_len: u8,
}

impl TextBuffer {
    /// Appends the next bytes. **Assumption:** their sum is within `limit`, because the frame headers were validated.
    pub(crate) fn push(&mut self, mut bytes: &[u8], limit: usize) -> Result<(), ProtocolError> {
        let extra = usize::from(self.tail_len) + bytes.len();
        self.text.reserve_exact(growth(self.text.len(), self.text.capacity(), extra, limit));
        while self.tail_len > 0 {
            let Some((&byte, rest)) = bytes.split_first() else { return Ok(()) };
            bytes = rest;
            // In bounds: four bytes always form a character or an error.
            self.tail[usize::from(self.tail_len)] = byte;
            self.tail_len += 1;
            match from_utf8(&self.tail[..usize::from(self.tail_len)]) {
                Ok(character) => {
                    self.text.push_str(character);
                    self.tail_len = 0;
                }
                // Without an error length, more bytes may complete the character.
                Err(error) if error.error_len().is_none() => {}
                Err(_) => return Err(ProtocolError::InvalidUtf8),
            }
        }
        match from_utf8(bytes) {
            Ok(text) => self.text.push_str(text),
            Err(error) if error.error_len().is_none() => {
                let (whole, tail) = bytes.split_at(error.valid_up_to());
                self.text.push_str(from_utf8(whole).map_err(|_| ProtocolError::InvalidUtf8)?);
                self.tail[..tail.len()].copy_from_slice(tail);
                self.tail_len = tail.len() as u8;
            }
            Err(_) => return Err(ProtocolError::InvalidUtf8),
        }
        Ok(())
    }

    /// Checks that the text does not end inside a character.
    pub(crate) fn finish(&self) -> Result<(), ProtocolError> {
        if self.tail_len == 0 { Ok(()) } else { Err(ProtocolError::InvalidUtf8) }
    }

    /// The complete characters so far.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// All bytes so far, including those of an incomplete character.
    pub(crate) fn len(&self) -> usize {
        self.text.len() + usize::from(self.tail_len)
    }

    pub(crate) fn capacity(&self) -> usize {
        self.text.capacity()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The index of the first byte that is rejected when bytes are pushed one by one.
    fn first_rejected(bytes: &[u8]) -> Option<usize> {
        let mut buffer = TextBuffer::default();
        bytes.iter().position(|&byte| buffer.push(&[byte], bytes.len()).is_err())
    }

    #[test]
    fn invalid_utf8_byte_is_rejected_immediately() {
        // Overlong, surrogate, above U+10FFFF, a lone continuation byte, a byte that never occurs, a truncated character.
        assert_eq!(first_rejected(b"\xC0\x80"), Some(0));
        assert_eq!(first_rejected(b"\xE0\x80\x80"), Some(1));
        assert_eq!(first_rejected(b"\xED\xA0\x80"), Some(1));
        assert_eq!(first_rejected(b"\xF4\x90\x80\x80"), Some(1));
        assert_eq!(first_rejected(b"ok\x80"), Some(2));
        assert_eq!(first_rejected(b"\xFF"), Some(0));
        assert_eq!(first_rejected(b"\xE8\x8Cx"), Some(2));
    }

    #[test]
    fn truncated_utf8_is_rejected_at_end() {
        let mut buffer = TextBuffer::default();
        buffer.push(b"tea \xE8\x8C", 100).unwrap();
        assert_eq!(buffer.as_str(), "tea ");
        assert_eq!(buffer.len(), 6);
        assert_eq!(buffer.finish(), Err(ProtocolError::InvalidUtf8));
        buffer.push(b"\xB6", 100).unwrap();
        assert_eq!(buffer.finish(), Ok(()));
        assert_eq!(buffer.as_str(), "tea 茶");
    }

    proptest! {
        #[test]
        fn split_utf8_is_validated_like_whole(
            bytes in prop_oneof![
                any::<String>().prop_map(String::into_bytes),
                prop::collection::vec(any::<u8>(), 0..20),
                // Valid text with one byte replaced: nearly valid input covers the edge cases.
                (any::<String>(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(text, at, byte)| {
                    let mut bytes = text.into_bytes();
                    if !bytes.is_empty() { let at = at.index(bytes.len()); bytes[at] = byte; }
                    bytes
                }),
            ],
            piece in 1_usize..7,
        ) {
            let mut buffer = TextBuffer::default();
            let pushed = bytes.chunks(piece).try_for_each(|piece| buffer.push(piece, bytes.len()));
            let validated = pushed.and_then(|()| buffer.finish()).map(|()| buffer.as_str());
            prop_assert_eq!(validated.ok(), from_utf8(&bytes).ok());
            prop_assert!(buffer.capacity() <= bytes.len().max(8));
        }
    }
}
