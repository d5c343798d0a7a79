//! The buffer of an incomplete frame or message.
//!
//! Memory is proportional to the received bytes, never to an announced length: a header that announces 64 KiB reserves
//! nothing, and neither does any number of empty fragments.

use crate::{
    CONTROL_PAYLOAD_MAX, Header, Message, Opcode, ProtocolError, close,
    growth::growth,
    header::{Expected, HEADER_MAX, parse},
    mask::Mask,
    utf8::TextBuffer,
};

/// The incomplete part of a connection's input.
#[derive(Debug, Default)]
pub(crate) struct Partial {
    stage: Stage,
    /// The incomplete data message.
    body: Option<Body>,
    /// The payload of an incomplete control frame; separate from the body, because a control frame may arrive between
    /// fragments.
    control: Vec<u8>,
}

/// The progress of the current frame.
#[derive(Debug)]
enum Stage {
    /// The first bytes of a header; `len` is 0 between the fragments of a message.
    Header { bytes: [u8; HEADER_MAX], len: u8 },
    /// The header is complete, and `remaining` bytes of payload are missing.
    Payload { opcode: Opcode, fin: bool, mask: Option<Mask>, remaining: usize },
    /// A control frame is complete; the caller borrows it until the next call.
    ControlComplete,
    /// The message is complete; the caller borrows it until the next call.
    MessageComplete,
}

impl Default for Stage {
    fn default() -> Self {
        Self::Header { bytes: [0; HEADER_MAX], len: 0 }
    }
}

#[derive(Debug)]
enum Body {
    Text(TextBuffer),
    Binary(Vec<u8>),
}

impl Partial {
    /// A partial that contains the first bytes of a header.
    pub(crate) fn with_header(start: &[u8]) -> Self {
        let mut partial = Self::default();
        partial.hold_header(start);
        partial
    }

    /// Buffers the first bytes of a header, fewer than a whole header.
    pub(crate) fn hold_header(&mut self, start: &[u8]) {
        let mut bytes = [0; HEADER_MAX];
        bytes[..start.len()].copy_from_slice(start);
        self.stage = Stage::Header { bytes, len: start.len() as u8 };
    }

    /// Frees what the caller borrowed. Returns whether the partial still contains anything.
    pub(crate) fn release_completed(&mut self) -> bool {
        match self.stage {
            Stage::MessageComplete => false,
            Stage::ControlComplete => {
                self.control = Vec::new();
                self.stage = Stage::default();
                self.body.is_some()
            }
            _ => true,
        }
    }

    /// Whether a header is incomplete.
    pub(crate) fn in_header(&self) -> bool {
        matches!(self.stage, Stage::Header { len, .. } if len > 0)
    }

    pub(crate) fn in_payload(&self) -> bool {
        matches!(self.stage, Stage::Payload { .. })
    }

    pub(crate) fn in_message(&self) -> bool {
        self.body.is_some()
    }

    /// Payload bytes of the message so far.
    pub(crate) fn message_len(&self) -> usize {
        match &self.body {
            Some(Body::Text(text)) => text.len(),
            Some(Body::Binary(bytes)) => bytes.len(),
            None => 0,
        }
    }

    /// The memory in use, including the value itself.
    pub(crate) fn footprint(&self) -> usize {
        let body = match &self.body {
            Some(Body::Text(text)) => text.capacity(),
            Some(Body::Binary(bytes)) => bytes.capacity(),
            None => 0,
        };
        size_of::<Self>() + body + self.control.capacity()
    }

    /// Completes a header. Consumes single bytes, at most 14, so that the bytes after the header remain in the input.
    pub(crate) fn finish_header(
        &mut self,
        input: &mut &mut [u8],
        expected: &Expected,
    ) -> Result<Option<Header>, ProtocolError> {
        let Stage::Header { bytes, len } = &mut self.stage else { return Ok(None) };
        while let Some(&mut byte) = input.split_off_first_mut() {
            // In bounds: 14 bytes always form a complete header or an error.
            bytes[usize::from(*len)] = byte;
            *len += 1;
            if let Some((header, _)) = parse(&bytes[..usize::from(*len)], expected)? {
                self.stage = Stage::default();
                return Ok(Some(header));
            }
        }
        Ok(None)
    }

    /// Starts a frame whose payload has to be collected.
    pub(crate) fn begin(&mut self, header: Header) {
        match header.opcode {
            Opcode::Text => self.body = Some(Body::Text(TextBuffer::default())),
            Opcode::Binary => self.body = Some(Body::Binary(Vec::new())),
            Opcode::Continuation | Opcode::Close | Opcode::Ping | Opcode::Pong => {}
        }
        self.stage = Stage::Payload {
            opcode: header.opcode,
            fin: header.fin,
            mask: header.mask.map(Mask::new),
            remaining: header.payload_len,
        };
    }

    /// Collects payload from the input, unmasking and validating it. Returns the frame's opcode when it completes a message or a
    /// control frame, which [`Partial::completed`] returns.
    pub(crate) fn collect(
        &mut self,
        input: &mut &mut [u8],
        limit: usize,
    ) -> Result<Option<Opcode>, ProtocolError> {
        let Stage::Payload { opcode, fin, mask, remaining } = &mut self.stage else { return Ok(None) };
        let (opcode, fin) = (*opcode, *fin);
        let Some(piece) = input.split_off_mut(..input.len().min(*remaining)) else { return Ok(None) };
        *remaining -= piece.len();
        let whole = *remaining == 0;
        if let Some(mask) = mask {
            mask.apply(piece);
        }
        if opcode.is_control() {
            extend(&mut self.control, piece, CONTROL_PAYLOAD_MAX);
        } else {
            match &mut self.body {
                Some(Body::Text(text)) => {
                    text.push(piece, limit)?;
                    if whole && fin {
                        text.finish()?;
                    }
                }
                Some(Body::Binary(bytes)) => extend(bytes, piece, limit),
                None => {}
            }
        }
        if !whole {
            return Ok(None);
        }
        if opcode == Opcode::Close {
            // Validated here, because an error can no longer be handled when the caller borrows the payload.
            close::parse(&self.control)?;
        }
        self.stage = match (opcode.is_control(), fin) {
            (true, _) => Stage::ControlComplete,
            (false, true) => Stage::MessageComplete,
            (false, false) => {
                self.stage = Stage::default();
                return Ok(None);
            }
        };
        Ok(Some(opcode))
    }

    /// The message that the last collected frame completed.
    pub(crate) fn completed(&self, opcode: Opcode) -> Result<Message<'_>, ProtocolError> {
        Ok(match (opcode, &self.body) {
            (Opcode::Close, _) => Message::Close(close::parse(&self.control)?),
            (Opcode::Ping, _) => Message::Ping(&self.control),
            (Opcode::Pong, _) => Message::Pong(&self.control),
            (_, Some(Body::Text(text))) => Message::Text(text.as_str()),
            (_, Some(Body::Binary(bytes))) => Message::Binary(bytes),
            // A continuation without a body, which `parse` has rejected before.
            (_, None) => return Err(ProtocolError::UnexpectedContinuation),
        })
    }
}

fn extend(buffer: &mut Vec<u8>, piece: &[u8], limit: usize) {
    buffer.reserve_exact(growth(buffer.len(), buffer.capacity(), piece.len(), limit));
    buffer.extend_from_slice(piece);
}

#[cfg(test)]
mod tests {
    use super::growth;

    #[test]
    fn buffer_growth_doubles_up_to_limit() {
        assert_eq!(growth(0, 0, 1, 1000), 64);
        assert_eq!(growth(64, 64, 1, 1000), 64);
        assert_eq!(growth(64, 64, 500, 1000), 500);
        assert_eq!(growth(640, 640, 1, 1000), 360);
        assert_eq!(growth(10, 64, 54, 1000), 0);
        assert_eq!(growth(0, 0, 3, 5), 5);
    }
}
