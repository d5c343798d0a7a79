//! Encoding of whole frames. A server's frames are unmasked, so every member of a room receives the same bytes.

use crate::{CONTROL_PAYLOAD_MAX, CloseCode, Header, Opcode, close::fitting_reason, header_len, mask::Mask};

/// The length of a server's frame with a payload of this length.
#[must_use]
pub const fn frame_len(payload_len: usize) -> usize {
    header_len(payload_len) + payload_len
}

/// Appends a server's text frame. **Assumption:** `payload` is UTF-8; it is not validated, because it comes from the server's
/// own encoder.
pub fn append_text(out: &mut Vec<u8>, payload: &[u8]) {
    append(out, Opcode::Text, payload);
}

/// A server's text frame. **Assumption:** `payload` is UTF-8, as in [`append_text`].
#[must_use]
pub fn text_frame(payload: &[u8]) -> Vec<u8> {
    frame(Opcode::Text, payload)
}

/// A server's binary frame.
#[must_use]
pub fn binary_frame(payload: &[u8]) -> Vec<u8> {
    frame(Opcode::Binary, payload)
}

/// A server's ping frame. The payload is truncated to 125 bytes, the limit of a control frame.
#[must_use]
pub fn ping_frame(payload: &[u8]) -> Vec<u8> {
    frame(Opcode::Ping, truncated(payload))
}

/// A server's pong frame with the payload of the ping, which a decoder has limited to 125 bytes.
#[must_use]
pub fn pong_frame(payload: &[u8]) -> Vec<u8> {
    frame(Opcode::Pong, truncated(payload))
}

/// A server's close frame. The reason is truncated to 123 bytes, at a character boundary.
#[must_use]
pub fn close_frame(code: CloseCode, reason: &str) -> Vec<u8> {
    frame(Opcode::Close, &close_payload(code, reason))
}

/// A server's reply to a close frame: the same code, or none if none was received.
#[must_use]
pub fn close_reply(received: Option<CloseCode>) -> Vec<u8> {
    match received {
        Some(code) => close_frame(code, ""),
        None => frame(Opcode::Close, b""),
    }
}

/// The payload of a close frame, for a client, which masks it. The reason is truncated as in [`close_frame`].
#[must_use]
pub fn close_payload(code: CloseCode, reason: &str) -> Vec<u8> {
    let mut payload = code.get().to_be_bytes().to_vec();
    payload.extend_from_slice(fitting_reason(reason).as_bytes());
    payload
}

/// Appends a client's frame. The caller passes the key, which must be fresh and unpredictable for every frame (RFC 6455, 5.3).
/// The payload of a control frame is truncated to 125 bytes.
pub fn append_masked(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8], key: [u8; 4]) {
    let payload = if opcode.is_control() { truncated(payload) } else { payload };
    out.reserve(frame_len(payload.len()) + key.len());
    out.extend_from_slice(&Header { mask: Some(key), ..Header::new(opcode, payload.len()) }.encode());
    let start = out.len();
    out.extend_from_slice(payload);
    Mask::new(key).apply(&mut out[start..]);
}

/// A client's frame, as written by [`append_masked`].
#[must_use]
pub fn masked_frame(opcode: Opcode, payload: &[u8], key: [u8; 4]) -> Vec<u8> {
    let mut out = Vec::with_capacity(frame_len(payload.len()) + key.len());
    append_masked(&mut out, opcode, payload, key);
    out
}

fn frame(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    // Exact capacity: a room's log retains frames, and spare capacity would be retained with them.
    let mut out = Vec::with_capacity(frame_len(payload.len()));
    append(&mut out, opcode, payload);
    out
}

fn append(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8]) {
    out.reserve(frame_len(payload.len()));
    out.extend_from_slice(&Header::new(opcode, payload.len()).encode());
    out.extend_from_slice(payload);
}

fn truncated(payload: &[u8]) -> &[u8] {
    &payload[..payload.len().min(CONTROL_PAYLOAD_MAX)]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6455, 5.7.
    #[test]
    fn frames_match_rfc_examples() {
        assert_eq!(text_frame(b"Hello"), b"\x81\x05Hello");
        let masked = masked_frame(Opcode::Text, b"Hello", [0x37, 0xfa, 0x21, 0x3d]);
        assert_eq!(masked, b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
        assert_eq!(ping_frame(b"Hello"), b"\x89\x05Hello");
        let pong = masked_frame(Opcode::Pong, b"Hello", [0x37, 0xfa, 0x21, 0x3d]);
        assert_eq!(pong, b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
    }

    #[test]
    fn frame_length_matches_frame_len() {
        for len in [0, 125, 126, 0xFFFF, 0x1_0000] {
            let frame = text_frame(&vec![b'x'; len]);
            assert_eq!(frame.len(), frame_len(len));
            assert_eq!(frame.capacity(), frame.len());
        }
    }

    #[test]
    fn appended_frames_are_concatenated() {
        let mut out = text_frame(b"one");
        append_text(&mut out, b"two");
        assert_eq!(out, b"\x81\x03one\x81\x03two");
    }

    #[test]
    fn close_reply_echoes_code_only() {
        assert_eq!(close_reply(None), b"\x88\x00");
        assert_eq!(close_reply(CloseCode::new(4001)), b"\x88\x02\x0f\xa1");
        assert_eq!(close_frame(CloseCode::GOING_AWAY, "bye"), b"\x88\x05\x03\xe9bye");
    }

    #[test]
    fn control_frame_payload_is_limited() {
        let long = "茶".repeat(200);
        for frame in [
            ping_frame(long.as_bytes()),
            pong_frame(long.as_bytes()),
            close_frame(CloseCode::NORMAL, &long),
            masked_frame(Opcode::Ping, long.as_bytes(), [0; 4]),
        ] {
            assert_eq!(frame[1] & 0x7F, 125);
        }
    }
}
