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
/// const SESSION_ENDED: CloseCode = CloseCode::new(4100).unwrap();
/// assert_eq!(SESSION_ENDED.get(), 4100);
/// assert_eq!(CloseCode::new(1006), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CloseCode(u16);

/// The constants are the codes that this crate and its users name; [`new`](Self::new) accepts every other one.
impl CloseCode {
    /// The connection has fulfilled its purpose; a client that closes normally sends it.
    pub const NORMAL: Self = Self(1000);
    /// The server stops, or the user leaves the page.
    pub const GOING_AWAY: Self = Self(1001);
    /// The peer violated the framing rules.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// A text message or a close reason that is not UTF-8.
    pub const INVALID_DATA: Self = Self(1007);
    /// A message longer than the receiver's limit.
    pub const TOO_BIG: Self = Self(1009);
    /// An unexpected condition in the server.
    pub const INTERNAL_ERROR: Self = Self(1011);

    /// The code; `None` if it is not allowed in a close frame.
    #[must_use]
    pub const fn new(code: u16) -> Option<Self> {
        match code {
            1000..=1003 | 1007..=1014 | 3000..=4999 => Some(Self(code)),
            _ => None,
        }
    }

    /// The number on the wire, big-endian in the first two bytes of a close frame's payload.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
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
