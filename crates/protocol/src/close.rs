//! The close codes that the server sends. The number alone determines whether a client should reconnect.

/// Why the server closes a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// The server stops or restarts. The reason is `retry_within_ms=N`: clients reconnect at a random moment within that time.
    GoingAway,
    /// The peer violated RFC 6455, for example with an unmasked frame.
    ProtocolError,
    /// The peer sent a binary message. Every subprotocol of this server is text.
    UnsupportedData,
    /// A text message or a close reason that is not UTF-8.
    InvalidPayload,
    /// A message longer than `limits.frame_bytes`, rejected before it is buffered.
    MessageTooBig,
    /// A defect of the server; its log has the details.
    InternalError,
    /// A message was not completed within 30 s of its first byte.
    UnfinishedMessage,
    /// The unfinished messages of all connections together hold as much memory as the server permits.
    Overloaded,
    /// The session has ended; reconnecting with the same token cannot succeed.
    SessionEnded,
}

impl Close {
    /// The code on the wire. 4000 to 4099: reconnect after a delay; 4100 to 4199: do not reconnect without user action.
    #[must_use]
    pub fn code(self) -> u16 {
        match self {
            Close::GoingAway => 1001,
            Close::ProtocolError => 1002,
            Close::UnsupportedData => 1003,
            Close::InvalidPayload => 1007,
            Close::MessageTooBig => 1009,
            Close::InternalError => 1011,
            Close::UnfinishedMessage => 4000,
            Close::Overloaded => 4001,
            Close::SessionEnded => 4100,
        }
    }
}
