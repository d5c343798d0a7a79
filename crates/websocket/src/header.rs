//! Frame headers: the 2 to 14 bytes before a payload (RFC 6455, 5.2), parsing and encoding.

use std::ops::Deref;

use crate::{CONTROL_PAYLOAD_MAX, Opcode, ProtocolError, Role};

/// The longest header: two bytes, a 64-bit length, a masking key.
pub(crate) const HEADER_MAX: usize = 14;

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
const OPCODE: u8 = 0x0F;
const MASKED: u8 = 0x80;
const LENGTH: u8 = 0x7F;
/// Length codes: the length follows in 2 or 8 bytes.
const LENGTH_16: u8 = 126;
const LENGTH_64: u8 = 127;

/// A frame header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whether this is the last frame of its message.
    pub fin: bool,
    /// The type of the frame.
    pub opcode: Opcode,
    /// The masking key: always present from a client, never from a server.
    pub mask: Option<[u8; 4]>,
    /// The length of the payload in bytes.
    pub payload_len: usize,
}

impl Header {
    /// The header of an unfragmented server message.
    #[must_use]
    pub const fn new(opcode: Opcode, payload_len: usize) -> Self {
        Self { fin: true, opcode, mask: None, payload_len }
    }

    /// Encodes the header without a heap allocation.
    #[must_use]
    pub fn encode(self) -> EncodedHeader {
        let mut header = EncodedHeader { bytes: [0; HEADER_MAX], len: 0 };
        header.push(&[if self.fin { FIN } else { 0 } | self.opcode as u8]);
        let masked = if self.mask.is_some() { MASKED } else { 0 };
        match self.payload_len {
            len @ 0..=125 => header.push(&[masked | len as u8]),
            len @ 126..=0xFFFF => {
                header.push(&[masked | LENGTH_16]);
                header.push(&(len as u16).to_be_bytes());
            }
            len => {
                header.push(&[masked | LENGTH_64]);
                header.push(&(len as u64).to_be_bytes());
            }
        }
        if let Some(key) = self.mask {
            header.push(&key);
        }
        header
    }
}

/// An encoded header; dereferences to its bytes.
#[derive(Clone, Copy, Debug)]
pub struct EncodedHeader {
    bytes: [u8; HEADER_MAX],
    len: u8,
}

impl EncodedHeader {
    fn push(&mut self, bytes: &[u8]) {
        let at = usize::from(self.len);
        self.bytes[at..at + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len() as u8;
    }
}

impl Deref for EncodedHeader {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// The length of an unmasked header before a payload of this length; a masked header has four more bytes.
#[must_use]
pub const fn header_len(payload_len: usize) -> usize {
    match payload_len {
        0..=125 => 2,
        126..=0xFFFF => 4,
        _ => 10,
    }
}

/// The state against which the next header is validated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected {
    /// The role of the decoder: a server requires masked frames, a client unmasked ones.
    pub(crate) role: Role,
    /// Whether a fragmented message is incomplete.
    pub(crate) in_message: bool,
    /// The limit of a message in bytes.
    pub(crate) limit: u32,
    /// The bytes that earlier fragments of the message have used of the limit.
    pub(crate) held: usize,
}

/// Parses the header at the front of `bytes` and returns it with its length, or `None` if more bytes are needed. Each rule is
/// applied as soon as its byte is present, so an invalid header is rejected before it is complete.
pub(crate) fn parse(bytes: &[u8], expected: &Expected) -> Result<Option<(Header, usize)>, ProtocolError> {
    let Some(&first) = bytes.first() else { return Ok(None) };
    if first & RESERVED != 0 {
        return Err(ProtocolError::ReservedBits);
    }
    let fin = first & FIN != 0;
    let opcode = first & OPCODE;
    let opcode = Opcode::from_bits(opcode).ok_or(ProtocolError::ReservedOpcode(opcode))?;
    match opcode {
        Opcode::Continuation if !expected.in_message => return Err(ProtocolError::UnexpectedContinuation),
        Opcode::Text | Opcode::Binary if expected.in_message => {
            return Err(ProtocolError::MessageInsideMessage);
        }
        _ if opcode.is_control() && !fin => return Err(ProtocolError::FragmentedControl),
        _ => {}
    }

    let Some(&second) = bytes.get(1) else { return Ok(None) };
    let masked = second & MASKED != 0;
    match (expected.role, masked) {
        (Role::Server, false) => return Err(ProtocolError::Unmasked),
        (Role::Client, true) => return Err(ProtocolError::Masked),
        _ => {}
    }
    let code = second & LENGTH;
    if opcode.is_control() && usize::from(code) > CONTROL_PAYLOAD_MAX {
        return Err(ProtocolError::ControlTooLong);
    }
    let after = &bytes[2..];
    let (payload_len, mut at) = match code {
        LENGTH_16 => {
            let Some(len) = after.first_chunk() else { return Ok(None) };
            let len = u64::from(u16::from_be_bytes(*len));
            if len < u64::from(LENGTH_16) {
                return Err(ProtocolError::LengthNotMinimal);
            }
            (len, 4)
        }
        LENGTH_64 => {
            let Some(len) = after.first_chunk() else { return Ok(None) };
            let len = u64::from_be_bytes(*len);
            if len >> 63 != 0 {
                return Err(ProtocolError::LengthTopBit);
            }
            if len <= 0xFFFF {
                return Err(ProtocolError::LengthNotMinimal);
            }
            (len, 10)
        }
        len => (u64::from(len), 2),
    };
    // Rejected by the announced length, before any payload is received or memory is reserved for it.
    if !opcode.is_control() && payload_len.saturating_add(expected.held as u64) > u64::from(expected.limit) {
        return Err(ProtocolError::TooBig { limit: expected.limit });
    }
    let mask = if masked {
        let Some(key) = bytes[at..].first_chunk() else { return Ok(None) };
        at += key.len();
        Some(*key)
    } else {
        None
    };
    // Lossless: the length is at most the limit, a u32, or 125.
    Ok(Some((Header { fin, opcode, mask, payload_len: payload_len as usize }, at)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LENGTHS: [usize; 8] = [0, 1, 125, 126, 127, 0xFFFF, 0x1_0000, u32::MAX as usize];

    #[test]
    fn length_encoding_uses_minimal_bytes() {
        for (len, bytes) in LENGTHS.into_iter().zip([2, 2, 2, 4, 4, 4, 10, 10]) {
            assert_eq!(Header::new(Opcode::Binary, len).encode().len(), bytes);
            assert_eq!(header_len(len), bytes);
        }
    }

    #[test]
    fn header_encoding_matches_rfc_examples() {
        assert_eq!(&*Header::new(Opcode::Text, 5).encode(), b"\x81\x05");
        assert_eq!(&*Header { fin: false, ..Header::new(Opcode::Text, 3) }.encode(), b"\x01\x03");
        assert_eq!(&*Header::new(Opcode::Binary, 256).encode(), b"\x82\x7E\x01\x00");
        assert_eq!(
            &*Header::new(Opcode::Binary, 65536).encode(),
            b"\x82\x7F\x00\x00\x00\x00\x00\x01\x00\x00"
        );
        let masked = Header { mask: Some([0x37, 0xfa, 0x21, 0x3d]), ..Header::new(Opcode::Text, 5) };
        assert_eq!(&*masked.encode(), b"\x81\x85\x37\xfa\x21\x3d");
    }

    proptest! {
        #[test]
        fn header_round_trip_is_identity(
            fin: bool,
            opcode in prop::sample::select(&[Opcode::Continuation, Opcode::Text, Opcode::Binary, Opcode::Ping][..]),
            mask: Option<[u8; 4]>,
            payload_len in prop_oneof![prop::sample::select(&LENGTHS[..]), 0_usize..=u32::MAX as usize],
        ) {
            let header = match opcode {
                Opcode::Ping => Header { fin: true, opcode, mask, payload_len: payload_len % 126 },
                _ => Header { fin, opcode, mask, payload_len },
            };
            let expected = Expected {
                role: if mask.is_some() { Role::Server } else { Role::Client },
                in_message: opcode == Opcode::Continuation,
                limit: u32::MAX,
                held: 0,
            };
            let bytes = header.encode();
            prop_assert_eq!(parse(&bytes, &expected), Ok(Some((header, bytes.len()))));
            for cut in 0..bytes.len() {
                prop_assert_eq!(parse(&bytes[..cut], &expected), Ok(None));
            }
        }
    }
}
