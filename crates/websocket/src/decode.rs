//! From bytes to messages.
//!
//! Most reads hold whole frames; those never leave the caller's buffer. What does not fit that path goes
//! through a [`Partial`]: a header or payload that is cut, and every message in fragments.

use std::str::from_utf8;

use crate::{
    Header, Message, Opcode, ProtocolError, Role, close,
    header::{Expected, parse},
    mask::Mask,
    partial::Partial,
};

/// Turns the bytes of one connection into messages.
///
/// Bounds: while idle, these 16 bytes and no heap. While a message is unfinished, at most its limit (and
/// never more than twice what has arrived, from 64 bytes on), one control frame and a box of about a hundred
/// bytes; [`buffered`](Self::buffered) says how much. How long it may stay unfinished is for the owner to
/// decide.
#[derive(Debug)]
pub struct Decoder {
    partial: Option<Box<Partial>>,
    /// For a message, hence for a frame too: a frame is never longer than its message.
    limit: u32,
    role: Role,
    /// Nothing counts any more after a close frame or an error.
    ended: bool,
}

/// Where a message lies that [`Decoder::advance`] has found.
enum Found<'b> {
    /// In the input.
    Here(Message<'b>),
    /// In the partial; this frame completed it.
    Held(Opcode),
}

impl Decoder {
    /// The limit of a message, in bytes, unless another one is given.
    pub const DEFAULT_LIMIT: u32 = 64 * 1024;

    /// A decoder for this end. A message (the sum of its fragments) may have `limit` bytes.
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

    /// Decodes the next message. `input` is advanced past the consumed bytes; its bytes are unmasked in place, so it must
    /// be handed in once only. To be called until it returns `None`: then all input is used, and what was
    /// unfinished in it is kept. A caller that stops earlier (because its own output is full, say) keeps the
    /// rest of the input, and memory of the last message may be held until the next call.
    ///
    /// After a close frame or an error all further input is dropped unseen (RFC 6455, 1.4 and 7.1.7).
    ///
    /// # Errors
    ///
    /// The peer broke the protocol. The rest of the input is dropped, and the connection must be failed with
    /// [`ProtocolError::close_code`].
    pub fn next<'a, 'b: 'a>(
        &'a mut self,
        input: &mut &'b mut [u8],
    ) -> Result<Option<Message<'a>>, ProtocolError> {
        if self.partial.as_mut().is_some_and(|partial| self.ended || !partial.reclaim()) {
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
            Found::Here(message) => {
                self.ended = matches!(message, Message::Close(_));
                Ok(Some(message))
            }
            Found::Held(opcode) => {
                self.ended = opcode == Opcode::Close;
                self.partial.as_deref().map(|partial| partial.lent(opcode)).transpose()
            }
        }
    }

    /// Whether nothing is unfinished; then the decoder owns no heap. Meaningful after [`next`](Self::next)
    /// returned `None`.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        self.partial.is_none()
    }

    /// Whether a close frame or an error has ended the conversation: all further input is dropped.
    #[must_use]
    pub const fn is_ended(&self) -> bool {
        self.ended
    }

    /// The memory that is held for something unfinished, in bytes; 0 exactly if [idle](Self::is_idle). At
    /// most the limit and about 250 bytes.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.partial.as_ref().map_or(0, |partial| partial.footprint())
    }

    /// Uses input until a message is complete or the input is used up.
    fn advance<'b>(&mut self, input: &mut &'b mut [u8]) -> Result<Option<Found<'b>>, ProtocolError> {
        loop {
            if !self.partial.as_ref().is_some_and(|partial| partial.in_payload()) {
                let Some(header) = self.header(input)? else { return Ok(None) };
                let alone =
                    header.opcode.is_control() || (header.fin && header.opcode != Opcode::Continuation);
                if alone && let Some(payload) = input.split_off_mut(..header.payload_len) {
                    if self.partial.as_ref().is_some_and(|partial| !partial.in_message()) {
                        // It held the header's first bytes only.
                        self.partial = None;
                    }
                    return borrowed(header, payload).map(|message| Some(Found::Here(message)));
                }
                self.partial.get_or_insert_default().begin(header);
            }
            let found = self.partial.get_or_insert_default().collect(input, self.limit as usize)?;
            if found.is_some() || input.is_empty() {
                return Ok(found.map(Found::Held));
            }
        }
    }

    /// Reads the next header, or keeps what is there of it.
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

/// A message that is whole in the input: unmasked and checked where it lies.
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
