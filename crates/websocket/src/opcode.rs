//! Frame opcodes (RFC 6455, 5.2).

/// The type of a frame. The ten other values are reserved and always rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Opcode {
    /// The next fragment of the incomplete message.
    Continuation = 0x0,
    /// The first (or only) frame of a UTF-8 message.
    Text = 0x1,
    /// The first (or only) frame of a binary message.
    Binary = 0x2,
    /// The last frame that its sender sends.
    Close = 0x8,
    /// A ping; the reply is a pong with the same payload.
    Ping = 0x9,
    /// A reply to a ping, or unsolicited.
    Pong = 0xA,
}

impl Opcode {
    /// The opcode in the low four bits of a frame's first byte, or `None` if it is reserved.
    pub(crate) const fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xA => Self::Pong,
            _ => return None,
        })
    }

    /// Whether this is a control frame: at most 125 bytes, never fragmented, and allowed between the fragments of a message.
    #[must_use]
    pub const fn is_control(self) -> bool {
        self as u8 & 0x8 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::Opcode;

    #[test]
    fn opcode_from_reserved_value_is_rejected() {
        let valid: Vec<u8> = (0..16).filter(|&bits| Opcode::from_bits(bits).is_some()).collect();
        assert_eq!(valid, [0, 1, 2, 8, 9, 10]);
        for bits in valid {
            let opcode = Opcode::from_bits(bits).unwrap();
            assert_eq!(opcode as u8, bits);
            assert_eq!(opcode.is_control(), bits >= 8);
        }
    }
}
