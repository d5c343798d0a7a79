//! The close codes that the server sends. They are a contract: a code is never renumbered, and its policy never changes.

use std::ops::RangeInclusive;

/// When a client reconnects after a connection was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reconnect {
    /// Not without action of the user: the next connection would be closed for the same reason.
    Never,
    /// After a delay, which grows with each attempt.
    Backoff,
    /// At a random moment within the time that the close reason names, so that all clients do not return at once.
    Within,
}

impl Reconnect {
    /// Application codes with [`Reconnect::Backoff`], also those that a later version adds.
    pub const BACKOFF_CODES: RangeInclusive<u16> = 4000..=4099;
    /// Application codes with [`Reconnect::Never`], also those that a later version adds.
    pub const NEVER_CODES: RangeInclusive<u16> = 4100..=4199;

    /// The policy for the web client and for tests.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Reconnect::Never => "never",
            Reconnect::Backoff => "backoff",
            Reconnect::Within => "within",
        }
    }

    /// The policy in words, for the documents.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Reconnect::Never => "no",
            Reconnect::Backoff => "yes, after a delay",
            Reconnect::Within => {
                "at a random moment within N ms; if that fails, as after any lost connection"
            }
        }
    }
}

macro_rules! close_codes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $code:literal, $name:literal, $reconnect:ident;)*) => {
        /// Why the server closes a connection.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Close {
            $($(#[doc = $doc])+ $variant,)*
        }

        impl Close {
            /// Every close code, in the order of the numbers.
            pub const ALL: &'static [Close] = &[$(Close::$variant,)*];

            /// The code on the wire.
            #[must_use]
            pub fn code(self) -> u16 {
                match self { $(Close::$variant => $code,)* }
            }

            /// The name of the code in the documents and in clients. It is not on the wire.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Close::$variant => $name,)* }
            }

            /// When a client reconnects.
            #[must_use]
            pub fn reconnect(self) -> Reconnect {
                match self { $(Close::$variant => Reconnect::$reconnect,)* }
            }

            /// The meaning of the code: one sentence for the documents.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Close::$variant => concat!($($doc),+).trim_ascii(),)* }
            }
        }
    };
}

close_codes! {
    /// The server stops. The reason is `retry_within_ms=N`: 5 ms for each connection that there was, at least 500.
    GoingAway = 1001, "going_away", Within;
    /// The peer violated RFC 6455, for example with an unmasked frame.
    ProtocolError = 1002, "protocol_error", Never;
    /// The peer sent a binary message. Every subprotocol of this server is text.
    UnsupportedData = 1003, "unsupported_data", Never;
    /// A text message or a close reason is not UTF-8.
    InvalidPayload = 1007, "invalid_payload", Never;
    /// A message is longer than `limits.frame_bytes`. It is rejected before it is buffered.
    MessageTooBig = 1009, "message_too_big", Never;
    /// A defect of the server. Reserved: this version ends its process instead, and its supervisor restarts it.
    InternalError = 1011, "internal_error", Backoff;
    /// A message was not completed within 30 s of its first byte.
    UnfinishedMessage = 4000, "unfinished_message", Backoff;
    /// The incomplete messages of all connections together hold as much memory as the server permits.
    Overloaded = 4001, "overloaded", Backoff;
    /// The session has ended: connecting with the same token cannot succeed; create a new session.
    SessionEnded = 4100, "session_ended", Never;
}

impl Close {
    /// The close with this code; `None` if the server never sends it.
    #[must_use]
    pub fn from_code(code: u16) -> Option<Self> {
        Close::ALL.iter().copied().find(|close| close.code() == code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn application_code_is_in_the_range_of_its_policy() {
        for close in Close::ALL.iter().filter(|close| close.code() >= 4000) {
            let range = match close.reconnect() {
                Reconnect::Never => Reconnect::NEVER_CODES,
                Reconnect::Backoff => Reconnect::BACKOFF_CODES,
                Reconnect::Within => panic!("{close:?}: an older client could not read the reason"),
            };
            assert!(range.contains(&close.code()), "{close:?}");
        }
    }

    #[test]
    fn close_codes_are_unique_and_ascending() {
        assert!(Close::ALL.is_sorted_by(|a, b| a.code() < b.code()));
    }
}
