//! Decoding bytes to messages.
//!
//! Most reads contain whole frames, which are decoded in the caller's buffer. A truncated header or payload and every
//! fragmented message is collected in a [`Partial`].

use std::str::from_utf8;

use crate::{
    Header, Message, Opcode, ProtocolError, Role, close,
    header::{Expected, parse},
    mask::Mask,
    partial::Partial,
};

/// Decodes the bytes of one connection to messages.
///
/// Memory: while idle, these 16 bytes and no heap. While a message is incomplete, at most its limit (and never more than twice
/// the received bytes, from 64 bytes on), one control frame and a box of about a hundred bytes, see
/// [`buffered`](Self::buffered). The owner limits how long a message may stay incomplete.
#[derive(Debug)]
pub struct Decoder {
    partial: Option<Box<Partial>>,
    /// The limit of a message, and thereby of each of its frames.
    limit: u32,
    role: Role,
    /// Set by a close frame or an error; all later input is discarded.
    ended: bool,
}

/// A message that [`Decoder::advance`] completed, by the buffer that contains it.
enum Found<'b> {
    /// The input contains the whole message.
    Borrowed(Message<'b>),
    /// The partial contains the message, which this frame completed.
    Buffered(Opcode),
}

impl Decoder {
    /// The default limit of a message, in bytes.
    pub const DEFAULT_LIMIT: u32 = 64 * 1024;

    /// A decoder for `role`. A message (the sum of its fragments) may have `limit` bytes.
    #[must_use]
    pub const fn new(role: Role, limit: u32) -> Self {
        Self { partial: None, limit, role, ended: false }
    }

    /// A server's decoder with the default limit.
    #[must_use]
    pub const fn server() -> Self {
        Self::new(Role::Server, Self::DEFAULT_LIMIT)
    }

    /// A client's decoder with the default limit.
    #[must_use]
    pub const fn client() -> Self {
        Self::new(Role::Client, Self::DEFAULT_LIMIT)
    }

    /// Decodes the next message. Advances `input` past the consumed bytes and unmasks them in place, so each byte must be passed
    /// in only once. The caller repeats the call until it returns `None`: then all input is consumed, and an incomplete message
    /// is buffered. A caller that stops earlier (for example because its output is full) keeps the rest of the input; the memory
    /// of the last message may be held until the next call.
    ///
    /// After a close frame or an error all further input is discarded (RFC 6455, 1.4 and 7.1.7).
    ///
    /// # Errors
    ///
    /// The peer violated the protocol. The rest of the input is discarded, and the caller must fail the connection with
    /// [`ProtocolError::close_code`].
    pub fn next<'a, 'b: 'a>(
        &'a mut self,
        input: &mut &'b mut [u8],
    ) -> Result<Option<Message<'a>>, ProtocolError> {
        if self.partial.as_mut().is_some_and(|partial| self.ended || !partial.release_completed()) {
            self.partial = None;
        }
        if self.ended {
            *input = &mut [];
            return Ok(None);
        }
        let found = match self.advance(input) {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(None),
            Err(error) => {
                self.ended = true;
                self.partial = None;
                *input = &mut [];
                return Err(error);
            }
        };
        match found {
            Found::Borrowed(message) => {
                self.ended = matches!(message, Message::Close(_));
                Ok(Some(message))
            }
            Found::Buffered(opcode) => {
                self.ended = opcode == Opcode::Close;
                self.partial.as_deref().map(|partial| partial.completed(opcode)).transpose()
            }
        }
    }

    /// Whether no message is incomplete; then the decoder owns no heap. Valid after [`next`](Self::next) has returned `None`.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        self.partial.is_none()
    }

    /// Whether a close frame or an error was decoded; all further input is discarded.
    #[must_use]
    pub const fn is_ended(&self) -> bool {
        self.ended
    }

    /// The memory held for an incomplete message, in bytes; 0 exactly if [idle](Self::is_idle). At most the limit and about
    /// 250 bytes.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.partial.as_ref().map_or(0, |partial| partial.footprint())
    }

    /// Consumes input until a message is complete or no input is left.
    fn advance<'b>(&mut self, input: &mut &'b mut [u8]) -> Result<Option<Found<'b>>, ProtocolError> {
        loop {
            if !self.partial.as_ref().is_some_and(|partial| partial.in_payload()) {
                let Some(header) = self.header(input)? else { return Ok(None) };
                let unfragmented =
                    header.opcode.is_control() || (header.fin && header.opcode != Opcode::Continuation);
                if unfragmented && let Some(payload) = input.split_off_mut(..header.payload_len) {
                    if self.partial.as_ref().is_some_and(|partial| !partial.in_message()) {
                        // It contained only the first bytes of this header.
                        self.partial = None;
                    }
                    return borrowed(header, payload).map(|message| Some(Found::Borrowed(message)));
                }
                self.partial.get_or_insert_default().begin(header);
            }
            let found = self.partial.get_or_insert_default().collect(input, self.limit as usize)?;
            if found.is_some() || input.is_empty() {
                return Ok(found.map(Found::Buffered));
            }
        }
    }

    /// Parses the next header, or buffers an incomplete one.
    fn header(&mut self, input: &mut &mut [u8]) -> Result<Option<Header>, ProtocolError> {
        let partial = self.partial.as_deref_mut();
        let expected = Expected {
            role: self.role,
            in_message: partial.as_ref().is_some_and(|partial| partial.in_message()),
            limit: self.limit,
            held: partial.as_ref().map_or(0, |partial| partial.message_len()),
        };
        match partial {
            Some(partial) if partial.in_header() => partial.finish_header(input, &expected),
            partial => {
                if let Some((header, len)) = parse(input, &expected)? {
                    *input = &mut std::mem::take(input)[len..];
                    return Ok(Some(header));
                }
                let start = std::mem::take(input);
                match partial {
                    Some(partial) => partial.hold_header(start),
                    None if !start.is_empty() => self.partial = Some(Box::new(Partial::with_header(start))),
                    None => {}
                }
                Ok(None)
            }
        }
    }
}

/// A message that the input contains completely; unmasked and validated in place.
fn borrowed(header: Header, payload: &mut [u8]) -> Result<Message<'_>, ProtocolError> {
    if let Some(key) = header.mask {
        Mask::new(key).apply(payload);
    }
    Ok(match header.opcode {
        Opcode::Text => Message::Text(from_utf8(payload).map_err(|_| ProtocolError::InvalidUtf8)?),
        Opcode::Binary | Opcode::Continuation => Message::Binary(payload),
        Opcode::Close => Message::Close(close::parse(payload)?),
        Opcode::Ping => Message::Ping(payload),
        Opcode::Pong => Message::Pong(payload),
    })
}
