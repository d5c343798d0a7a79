//! The bodies of a load run: each says who sent it, as which of its messages, and when; and the rest of it can be checked.

/// The least body that holds three numbers.
pub(crate) const MIN_BODY_BYTES: usize = 48;

/// For comparing from any place in it.
const FILLER_TWICE: [u8; 128] = {
    let mut twice = [0; 128];
    let mut at = 0;
    while at < twice.len() {
        twice[at] = FILLER[at % FILLER.len()];
        at += 1;
    }
    twice
};

/// What a body says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Payload {
    /// Which sender, from 0.
    pub sender: u32,
    /// Which of its messages, from 0.
    pub number: u32,
    /// When it was written to the socket, in microseconds since the run began.
    pub sent_us: u64,
}

/// Neither quoted nor escaped in JSON, and no repetition within a body's first bytes.
const FILLER: &[u8; 64] = b"abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-_";

impl Payload {
    /// Appends the body, of exactly `length` bytes (or [`MIN_BODY_BYTES`], if that is more).
    pub(crate) fn write(self, length: usize, out: &mut Vec<u8>) {
        let start = out.len();
        let length = length.max(MIN_BODY_BYTES);
        for number in [u64::from(self.sender), u64::from(self.number), self.sent_us] {
            write_number(number, out);
            out.push(b' ');
        }
        out.extend(self.filler().take(start + length - out.len()));
    }

    /// Reads a body of `length` bytes back; `None` if a single byte is not as [`write`](Self::write) made it.
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
        // The filling repeats itself after its length, so that each piece of that length begins alike.
        rest.chunks(FILLER.len())
            .all(|piece| piece == &FILLER_TWICE[start..start + piece.len()])
            .then_some(payload)
    }

    /// Another one for each message, so that a body cannot pass for that of its neighbour.
    fn filler(self) -> impl Iterator<Item = u8> {
        FILLER.iter().copied().cycle().skip(self.filler_offset())
    }

    fn filler_offset(self) -> usize {
        (self.sender as usize * 7 + self.number as usize * 13) % FILLER.len()
    }
}

/// In decimal, without an allocation.
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
    fn a_changed_byte_is_seen() {
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
        fn a_body_reads_back(sender: u32, number: u32, sent_us: u64, length in 0usize..300) {
            let payload = Payload { sender, number, sent_us };
            let body = body(payload, length);
            prop_assert_eq!(body.len(), length.max(MIN_BODY_BYTES));
            prop_assert_eq!(Payload::read(&body, length), Some(payload));
        }
    }
}
