//! The codecs of a connection: messages of the client to requests, and frames to bytes.
//!
//! A connection has one codec, with its own state. The shard does not depend on which one: the codec also decides what differs
//! between clients beyond the encoding, such as whether they keep cursors and send message ids.

mod json;
mod plain_text;

use std::time::Duration;

use domain::{CommandError, RateClass};
use protocol::{CommandId, ReadPosition, RoomId, Seq, ServerFrame, Welcome};

use crate::encoding::Encoding;
use crate::handoff::WireProtocol;
use crate::operations::ClientRequest;
use plain_text::PlainText;

/// Takes a token of the user's bucket, or returns the time after which there is one.
pub(crate) type Charge<'a> = &'a mut dyn FnMut(RateClass) -> Result<(), Duration>;

/// A part of a client's message.
#[derive(Debug)]
pub(crate) enum Decoded {
    /// A request whose rate has been charged.
    Request { id: Option<CommandId>, request: ClientRequest },
    /// A part that is no request.
    Error {
        /// `None` if the part has no id, or none that can be read.
        id: Option<CommandId>,
        error: CommandError,
    },
    /// A request beyond its rate.
    RateLimited { id: Option<CommandId>, wait: Duration },
    /// Whole frames to send back.
    Frames(Vec<u8>),
}

#[derive(Debug)]
pub(crate) enum Codec {
    /// `teahouse.v1.json`: no state.
    Json,
    /// Lines of text. Boxed: most connections do not have it.
    PlainText(Box<PlainText>),
    /// Returns every message; for conformance tests.
    #[cfg(feature = "echo")]
    Echo,
}

impl From<WireProtocol> for Codec {
    fn from(protocol: WireProtocol) -> Self {
        match protocol {
            WireProtocol::Json => Codec::Json,
            WireProtocol::PlainText(language) => Codec::PlainText(Box::new(PlainText::new(language))),
            #[cfg(feature = "echo")]
            WireProtocol::Echo => Codec::Echo,
        }
    }
}

impl Codec {
    pub(crate) fn encoding(&self) -> Encoding {
        match self {
            Codec::Json => Encoding::Json,
            Codec::PlainText(text) => text.encoding(),
            #[cfg(feature = "echo")]
            Codec::Echo => Encoding::Json,
        }
    }

    /// The first frames of a connection, and the requests that the codec makes for its client.
    pub(crate) fn on_connect(&mut self, welcome: Welcome) -> Vec<Decoded> {
        match self {
            Codec::Json => json::on_connect(welcome),
            Codec::PlainText(text) => text.on_connect(&welcome),
            #[cfg(feature = "echo")]
            Codec::Echo => Vec::new(),
        }
    }

    /// Decodes a text message. A request that cannot be charged changes no state of the codec.
    pub(crate) fn decode(&mut self, text: &str, body_limit: u32, charge: Charge<'_>) -> Vec<Decoded> {
        match self {
            Codec::Json => json::decode(text, body_limit, charge),
            Codec::PlainText(codec) => codec.decode(text, body_limit, charge),
            #[cfg(feature = "echo")]
            Codec::Echo => vec![Decoded::Frames(websocket::text_frame(text.as_bytes()))],
        }
    }

    /// Decodes a binary message. `None`: the codec has none.
    pub(crate) fn decode_binary(&mut self, bytes: &[u8]) -> Option<Decoded> {
        let _ = bytes;
        match self {
            Codec::Json | Codec::PlainText(_) => None,
            #[cfg(feature = "echo")]
            Codec::Echo => Some(Decoded::Frames(websocket::binary_frame(bytes))),
        }
    }

    /// A frame for this connection alone as bytes; empty if the codec has no form of it.
    pub(crate) fn encode(&mut self, frame: &ServerFrame) -> Vec<u8> {
        match self {
            Codec::Json => crate::encoding::json_frame(frame),
            Codec::PlainText(text) => text.encode(frame),
            #[cfg(feature = "echo")]
            Codec::Echo => Vec::new(),
        }
    }

    /// Whether a command without an id is answered with `ok`.
    pub(crate) fn replies_without_id(&self) -> bool {
        matches!(self, Codec::PlainText(_))
    }

    /// Whether opening a room closes the one that was open.
    pub(crate) fn has_one_room(&self) -> bool {
        matches!(self, Codec::PlainText(_))
    }

    /// The frames before the close frame of a server that stops.
    pub(crate) fn stopping(&self) -> Option<Vec<u8>> {
        match self {
            Codec::PlainText(text) => Some(text.stopping()),
            _ => None,
        }
    }

    /// A join was permitted; the room opens when its log has reached the join. Returns the number of the join among those
    /// permitted.
    pub(crate) fn join_granted(&mut self, room: RoomId) -> u32 {
        match self {
            Codec::PlainText(text) => text.join_granted(room),
            _ => 0,
        }
    }

    /// A join was rejected; `open` is the room that the connection has open.
    pub(crate) fn join_rejected(&mut self, open: Option<RoomId>) {
        if let Codec::PlainText(text) = self {
            text.join_rejected(open);
        }
    }

    /// Whether this is the number of the last granted join. An earlier one opens no room.
    pub(crate) fn is_current_join(&self, join: u32) -> bool {
        match self {
            Codec::PlainText(text) => text.is_current_join(join),
            _ => true,
        }
    }

    /// The event after which a room continues for the client. `None`: at its cursor, or at the head. `requested` is the
    /// client's cursor, `read` the read position in the store.
    pub(crate) fn start_after(
        &self,
        is_open: bool,
        requested: Option<Seq>,
        read: Option<ReadPosition>,
    ) -> Option<Seq> {
        match self {
            Codec::PlainText(_) if is_open => None,
            Codec::PlainText(_) => read.map(|read| read.seq),
            _ => requested,
        }
    }

    /// The read position that the server keeps for the client: the room, and the position in the store.
    pub(crate) fn stored_position(&self) -> Option<(RoomId, Seq)> {
        match self {
            Codec::PlainText(text) => text.stored_position(),
            _ => None,
        }
    }

    pub(crate) fn set_stored_position(&mut self, room: RoomId, seq: Seq) {
        if let Codec::PlainText(text) = self {
            text.set_stored_position(room, seq);
        }
    }
}
