//! Message bodies with a sender, a message number, a time and a filler, so that every byte can be verified.

/// The shortest body that holds three numbers.
pub(crate) const MIN_BODY_BYTES: usize = 48;

/// The filler twice, so that any offset can be compared without wrapping around.
const FILLER_TWICE: [u8; 128] = {
    let mut twice = [0; 128];
    let mut at = 0;
    while at < twice.len() {
        twice[at] = FILLER[at % FILLER.len()];
        at += 1;
    }
    twice
};

/// The numbers in a body, which identify the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Payload {
    /// The index of the sender, from 0.
    pub sender: u32,
    /// The number of the message among those of its sender, from 0.
    pub number: u32,
    /// The time of the write to the socket, in microseconds of the run.
    pub sent_us: u64,
}

/// Characters that JSON does not escape, without repetition.
const FILLER: &[u8; 64] = b"abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-_";

impl Payload {
    /// Appends the body, of exactly `length` bytes, or [`MIN_BODY_BYTES`] if that is more.
    pub(crate) fn write(self, length: usize, out: &mut Vec<u8>) {
        let start = out.len();
        let length = length.max(MIN_BODY_BYTES);
        for number in [u64::from(self.sender), u64::from(self.number), self.sent_us] {
            write_number(number, out);
            out.push(b' ');
        }
        out.extend(self.filler().take(start + length - out.len()));
    }

    /// Parses a body of `length` bytes; `None` if any byte differs from what [`write`](Self::write) wrote.
    #[must_use]
    pub(crate) fn read(body: &[u8], length: usize) -> Option<Self> {
        if body.len() != length.max(MIN_BODY_BYTES) {
            return None;
        }
        let mut parts = body.splitn(4, |&byte| byte == b' ');
        let mut number = || std::str::from_utf8(parts.next()?).ok()?.parse::<u64>().ok();
        let payload = Payload {
            sender: number()?.try_into().ok()?,
            number: number()?.try_into().ok()?,
            sent_us: number()?,
        };
        let start = payload.filler_offset();
        let rest = parts.next()?;
        // The filler repeats after its length, so that each chunk of that length is equal.
        rest.chunks(FILLER.len())
            .all(|piece| piece == &FILLER_TWICE[start..start + piece.len()])
            .then_some(payload)
    }

    /// The filler, at another offset for each message, so that adjacent messages differ.
    fn filler(self) -> impl Iterator<Item = u8> {
        FILLER.iter().copied().cycle().skip(self.filler_offset())
    }

    fn filler_offset(self) -> usize {
        (self.sender as usize * 7 + self.number as usize * 13) % FILLER.len()
    }
}

/// Appends a number in decimal without an allocation.
pub(crate) fn write_number(number: u64, out: &mut Vec<u8>) {
    use std::io::Write;
    // Writing to a Vec cannot fail.
    let _ = write!(out, "{number}");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn body(payload: Payload, length: usize) -> Vec<u8> {
        let mut out = b"before".to_vec();
        payload.write(length, &mut out);
        out.split_off(6)
    }

    #[test]
    fn any_changed_byte_is_detected() {
        let payload = Payload { sender: 3, number: 70, sent_us: 123_456 };
        let body = body(payload, 128);
        assert_eq!(body.len(), 128);
        for at in 0..body.len() {
            let mut changed = body.clone();
            changed[at] ^= 1;
            assert_ne!(Payload::read(&changed, 128), Some(payload), "byte {at}");
        }
        assert_eq!(Payload::read(&body[..127], 128), None);
    }

    proptest! {
        #[test]
        fn body_is_parsed_back(sender: u32, number: u32, sent_us: u64, length in 0usize..300) {
            let payload = Payload { sender, number, sent_us };
            let body = body(payload, length);
            prop_assert_eq!(body.len(), length.max(MIN_BODY_BYTES));
            prop_assert_eq!(Payload::read(&body, length), Some(payload));
        }
    }
}
