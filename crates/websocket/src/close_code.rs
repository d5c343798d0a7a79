//! Close codes (RFC 6455, 7.4).

use std::fmt;

/// A close code that is allowed in a close frame. 1005, 1006 and 1015 are excluded: they report locally that a connection
/// ended without a close frame or a code.
///
/// | codes | defined by |
/// |---|---|
/// | 1000 to 1003, 1007 to 1014 | the RFC and the IANA registry |
/// | 3000 to 3999 | libraries and frameworks, registered |
/// | 4000 to 4999 | the application |
///
/// ```
/// use teahouse_websocket::CloseCode;
///
/// // A code of the application, checked at compile time.
/// const LOGGED_OUT: CloseCode = CloseCode::new(4001).unwrap();
/// assert!(LOGGED_OUT.is_application());
/// assert_eq!(CloseCode::new(1006), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CloseCode(u16);

impl CloseCode {
    /// The connection has fulfilled its purpose.
    pub const NORMAL: Self = Self(1000);
    /// The server stops, or the user leaves the page.
    pub const GOING_AWAY: Self = Self(1001);
    /// The peer violated the framing rules.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// A kind of data that this endpoint does not accept, such as a binary message.
    pub const UNSUPPORTED_DATA: Self = Self(1003);
    /// Text that is not UTF-8.
    pub const INVALID_DATA: Self = Self(1007);
    /// A policy was violated and no other code applies.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// A message above the size limit.
    pub const TOO_BIG: Self = Self(1009);
    /// The client requires an extension that the server did not negotiate.
    pub const MISSING_EXTENSION: Self = Self(1010);
    /// An unexpected condition in the server.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// The service restarts; the client may reconnect soon.
    pub const SERVICE_RESTART: Self = Self(1012);
    /// The service is overloaded; the client may reconnect later.
    pub const TRY_AGAIN_LATER: Self = Self(1013);
    /// A gateway received an invalid response from its upstream.
    pub const BAD_GATEWAY: Self = Self(1014);

    /// The code, if it is allowed in a close frame.
    #[must_use]
    pub const fn new(code: u16) -> Option<Self> {
        match code {
            1000..=1003 | 1007..=1014 | 3000..=4999 => Some(Self(code)),
            _ => None,
        }
    }

    /// The number on the wire.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// Whether the application defines the code: 4000 to 4999.
    #[must_use]
    pub const fn is_application(self) -> bool {
        matches!(self.0, 4000..=4999)
    }
}

impl From<CloseCode> for u16 {
    fn from(code: CloseCode) -> Self {
        code.0
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
