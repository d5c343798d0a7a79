//! The number in a close frame (RFC 6455, 7.4).

use std::fmt;

/// A close code that may stand in a close frame. 1005, 1006 and 1015 describe an end that nobody announced;
/// they are for local use only, and so cannot be made here.
///
/// | codes | whose |
/// |---|---|
/// | 1000 to 1003, 1007 to 1014 | the RFC's and IANA's register |
/// | 3000 to 3999 | libraries and frameworks, registered |
/// | 4000 to 4999 | the application's own |
///
/// ```
/// use teahouse_websocket::CloseCode;
///
/// // An application's code, checked while compiling.
/// const LOGGED_OUT: CloseCode = CloseCode::new(4001).unwrap();
/// assert!(LOGGED_OUT.is_application());
/// assert_eq!(CloseCode::new(1006), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CloseCode(u16);

impl CloseCode {
    /// The purpose is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// The server stops, or the page is left.
    pub const GOING_AWAY: Self = Self(1001);
    /// The peer broke the framing rules.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// A kind of data that this endpoint does not take (a binary message, say).
    pub const UNSUPPORTED_DATA: Self = Self(1003);
    /// Text that is not UTF-8.
    pub const INVALID_DATA: Self = Self(1007);
    /// Refused by a rule for which there is no better code.
    pub const POLICY_VIOLATION: Self = Self(1008);
    /// A message above the size limit.
    pub const TOO_BIG: Self = Self(1009);
    /// The client wanted an extension that the server did not grant.
    pub const MISSING_EXTENSION: Self = Self(1010);
    /// The server met something it did not expect.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// The service restarts; come back soon.
    pub const SERVICE_RESTART: Self = Self(1012);
    /// The service is overloaded; come back later.
    pub const TRY_AGAIN_LATER: Self = Self(1013);
    /// A gateway received an invalid response from its upstream.
    pub const BAD_GATEWAY: Self = Self(1014);

    /// The code, if it may be sent at all.
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

    /// Whether the code is one of the application's own, 4000 to 4999.
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
