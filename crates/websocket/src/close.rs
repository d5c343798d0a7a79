//! The payload of a close frame (RFC 6455, 5.5.1).

use crate::{CloseCode, ProtocolError};

/// The longest reason that fits after the code.
const REASON_MAX: usize = crate::CONTROL_PAYLOAD_MAX - 2;

/// The longest prefix of `reason` that fits into a close frame, cut at a character boundary.
pub(crate) fn fitting_reason(reason: &str) -> &str {
    &reason[..reason.floor_char_boundary(REASON_MAX)]
}

/// Parses the payload of a close frame: empty, or a code and a reason.
pub(crate) fn parse(payload: &[u8]) -> Result<Option<(CloseCode, &str)>, ProtocolError> {
    if payload.is_empty() {
        return Ok(None);
    }
    let Some((code, reason)) = payload.split_first_chunk::<2>() else {
        return Err(ProtocolError::HalfCloseCode);
    };
    let code = u16::from_be_bytes(*code);
    let code = CloseCode::new(code).ok_or(ProtocolError::IllegalCloseCode(code))?;
    let reason = std::str::from_utf8(reason).map_err(|_| ProtocolError::InvalidUtf8)?;
    Ok(Some((code, reason)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_code_reserved_value_is_rejected() {
        for code in 0..=u16::MAX {
            let invalid = matches!(code, 0..=999 | 1004..=1006 | 1015..=2999 | 5000..);
            assert_eq!(CloseCode::new(code).is_none(), invalid, "{code}");
            if let Some(parsed) = CloseCode::new(code) {
                assert_eq!(parsed.get(), code);
            }
        }
    }

    #[test]
    fn long_close_reason_is_cut_at_character_boundary() {
        assert_eq!(fitting_reason("bye"), "bye");
        assert_eq!(fitting_reason(&"x".repeat(200)).len(), 123);
        // 123 = 41 × 3, so one leading byte puts the limit inside a character.
        assert_eq!(fitting_reason(&format!("x{}", "茶".repeat(50))).len(), 121);
    }
}
