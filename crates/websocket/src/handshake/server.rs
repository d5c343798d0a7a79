//! The server side: validation of upgrade requests (RFC 6455, 4.2.1).

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig},
};

use super::{VERSION, accept_key, list, list_has, token};

/// Why a request is not upgraded. [`status`](Self::status) and [`headers`](Self::headers) form the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// Another method than GET: 405.
    #[error("a WebSocket is opened with GET")]
    Method,
    /// HTTP/1.0: 400.
    #[error("a WebSocket is opened with HTTP/1.1")]
    HttpVersion,
    /// HTTP/1.1 without, or with two, `Host`: 400.
    #[error("exactly one Host header is needed")]
    Host,
    /// An ordinary request, without `Upgrade: websocket`: 426.
    #[error("this is a WebSocket endpoint: Upgrade: websocket is missing")]
    NotAnUpgrade,
    /// `Upgrade` without `Connection: Upgrade`, which a proxy without WebSocket support removes: 400.
    #[error("Connection: Upgrade is missing; is there a proxy that removes it?")]
    Connection,
    /// Another version than 13, or none: 426.
    #[error("Sec-WebSocket-Version must be 13")]
    Version,
    /// No key, two keys, or a key that is not 16 bytes in base64: 400.
    #[error("Sec-WebSocket-Key must be 16 bytes in base64, once")]
    Key,
    /// A subprotocol name that is not a token: 400.
    #[error("Sec-WebSocket-Protocol must be a list of tokens")]
    Protocol,
}

impl HandshakeError {
    /// The HTTP status of the response: 400, 405 or 426.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Method => 405,
            Self::NotAnUpgrade | Self::Version => 426,
            Self::HttpVersion | Self::Host | Self::Connection | Self::Key | Self::Protocol => 400,
        }
    }

    /// The headers that the status requires.
    #[must_use]
    pub const fn headers(self) -> &'static [(&'static str, &'static str)] {
        match self.status() {
            405 => &[("allow", "GET")],
            426 => &[("upgrade", "websocket"), ("connection", "Upgrade"), ("sec-websocket-version", VERSION)],
            _ => &[],
        }
    }
}

/// A request that may be upgraded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upgrade<'h> {
    /// `Sec-WebSocket-Key`.
    pub key: &'h str,
    /// The offered subprotocols, most preferred first. The response selects one of them, or none.
    pub protocols: Vec<&'h str>,
}

impl<'h> Upgrade<'h> {
    /// Validates a request by its method, its HTTP version, and its headers as pairs of name (in any case) and value, in which
    /// repeated headers are separate pairs. With the `http` crate: `headers.iter().map(|(name, value)| (name.as_str(),
    /// value.as_bytes()))`.
    ///
    /// `Origin` is not checked here, because the allowed origins are a setting of the server.
    ///
    /// # Errors
    ///
    /// The first rule that the request violates.
    pub fn check(
        method: &str,
        http_version: (u8, u8),
        headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
    ) -> Result<Self, HandshakeError> {
        let mut parsed = ParsedHeaders::default();
        for (name, value) in headers {
            parsed.take(name, value)?;
        }
        if method != "GET" {
            return Err(HandshakeError::Method);
        }
        if !parsed.upgrade {
            return Err(HandshakeError::NotAnUpgrade);
        }
        if http_version < (1, 1) {
            return Err(HandshakeError::HttpVersion);
        }
        if parsed.hosts != 1 {
            return Err(HandshakeError::Host);
        }
        if !parsed.connection {
            return Err(HandshakeError::Connection);
        }
        if !matches!(parsed.version, Once::One(version) if version == VERSION.as_bytes()) {
            return Err(HandshakeError::Version);
        }
        let Once::One(key) = parsed.key else { return Err(HandshakeError::Key) };
        let key = valid_key(key).ok_or(HandshakeError::Key)?;
        Ok(Self { key, protocols: parsed.protocols })
    }

    /// The value of `Sec-WebSocket-Accept` in the response.
    #[must_use]
    pub fn accept_key(&self) -> String {
        accept_key(self.key)
    }
}

/// The relevant headers of a request.
#[derive(Default)]
struct ParsedHeaders<'h> {
    hosts: u32,
    upgrade: bool,
    connection: bool,
    version: Once<'h>,
    key: Once<'h>,
    protocols: Vec<&'h str>,
}

/// A header that must not be repeated (RFC 6455, 11.3.1 and 11.3.5), because two parsers could use different values.
#[derive(Default)]
enum Once<'h> {
    #[default]
    None,
    One(&'h [u8]),
    Several,
}

impl<'h> Once<'h> {
    fn take(&mut self, value: &'h [u8]) {
        *self = match self {
            Self::None => Self::One(value.trim_ascii()),
            Self::One(_) | Self::Several => Self::Several,
        };
    }
}

impl<'h> ParsedHeaders<'h> {
    fn take(&mut self, name: &str, value: &'h [u8]) -> Result<(), HandshakeError> {
        if name.eq_ignore_ascii_case("host") {
            self.hosts += 1;
        } else if name.eq_ignore_ascii_case("upgrade") {
            self.upgrade |= list_has(value, "websocket");
        } else if name.eq_ignore_ascii_case("connection") {
            self.connection |= list_has(value, "upgrade");
        } else if name.eq_ignore_ascii_case("sec-websocket-version") {
            self.version.take(value);
        } else if name.eq_ignore_ascii_case("sec-websocket-key") {
            self.key.take(value);
        } else if name.eq_ignore_ascii_case("sec-websocket-protocol") {
            for protocol in list(value) {
                self.protocols.push(token(protocol).ok_or(HandshakeError::Protocol)?);
            }
        }
        Ok(())
    }
}

/// The key as text, if it is 16 bytes in base64. The unused bits of the last digit may be set: some clients do not clear
/// them, and nothing depends on them.
fn valid_key(key: &[u8]) -> Option<&str> {
    const LENIENT: GeneralPurpose =
        GeneralPurpose::new(&STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));
    let mut decoded = [0; 18];
    if LENIENT.decode_slice(key, &mut decoded) != Ok(16) {
        return None;
    }
    std::str::from_utf8(key).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

    /// The result for a browser's request, with some headers replaced (`None` removes) and then some added.
    fn check(
        replaced: &[(&str, Option<&'static str>)],
        added: &[(&'static str, &'static str)],
    ) -> Result<Upgrade<'static>, HandshakeError> {
        let browser = [
            ("Host", "chat.example"),
            ("Connection", "keep-alive, Upgrade"),
            ("Upgrade", "websocket"),
            ("Origin", "https://chat.example"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", KEY),
            ("Sec-WebSocket-Extensions", "permessage-deflate"),
        ];
        let headers = browser.into_iter().filter_map(|(name, value)| {
            match replaced.iter().find(|(replaced, _)| *replaced == name) {
                Some((_, replacement)) => replacement.map(|value| (name, value.as_bytes())),
                None => Some((name, value.as_bytes())),
            }
        });
        let added = added.iter().map(|(name, value)| (*name, value.as_bytes()));
        Upgrade::check("GET", (1, 1), headers.chain(added))
    }

    #[test]
    fn browser_request_is_upgraded() {
        assert_eq!(check(&[], &[]), Ok(Upgrade { key: KEY, protocols: vec![] }));
        assert!(check(&[("Upgrade", Some("h2c, WebSocket")), ("Connection", Some("UPGRADE"))], &[]).is_ok());
        assert!(check(&[("Sec-WebSocket-Key", Some("x3JJHMbDL1EzLkh9GBhXDx=="))], &[]).is_ok());
        // One header in two lines is one list.
        assert!(check(&[("Connection", Some("keep-alive"))], &[("connection", "upgrade")]).is_ok());
    }

    #[test]
    fn subprotocols_on_several_lines_keep_order() {
        let upgrade = check(
            &[],
            &[("sec-websocket-protocol", "b, a,,"), ("Sec-WebSocket-Protocol", "teahouse.v1.json")],
        );
        assert_eq!(upgrade.unwrap().protocols, ["b", "a", "teahouse.v1.json"]);
    }

    #[test]
    fn other_method_or_http_1_0_is_rejected() {
        let headers = || {
            [
                ("host", &b"h"[..]),
                ("connection", b"upgrade"),
                ("upgrade", b"websocket"),
                ("sec-websocket-version", b"13"),
                ("sec-websocket-key", KEY.as_bytes()),
            ]
        };
        assert!(Upgrade::check("GET", (1, 1), headers()).is_ok());
        let post = Upgrade::check("POST", (1, 1), headers());
        assert_eq!(post, Err(HandshakeError::Method));
        assert_eq!(HandshakeError::Method.status(), 405);
        assert_eq!(HandshakeError::Method.headers(), [("allow", "GET")]);
        assert_eq!(Upgrade::check("get", (1, 1), headers()), Err(HandshakeError::Method));
        assert_eq!(Upgrade::check("GET", (1, 0), headers()), Err(HandshakeError::HttpVersion));
    }

    #[test]
    fn plain_request_returns_upgrade_required() {
        for value in [None, Some("h2c"), Some("websockets"), Some("")] {
            assert_eq!(check(&[("Upgrade", value)], &[]), Err(HandshakeError::NotAnUpgrade));
        }
        assert_eq!(HandshakeError::NotAnUpgrade.status(), 426);
        assert!(HandshakeError::NotAnUpgrade.headers().contains(&("upgrade", "websocket")));
        for value in [None, Some("keep-alive"), Some("close, upgrades")] {
            let error = check(&[("Connection", value)], &[]).unwrap_err();
            assert_eq!((error, error.status()), (HandshakeError::Connection, 400));
        }
    }

    #[test]
    fn other_version_returns_supported_version() {
        for value in [None, Some("8"), Some("130"), Some("8, 13"), Some("13, 8"), Some("")] {
            assert_eq!(check(&[("Sec-WebSocket-Version", value)], &[]), Err(HandshakeError::Version));
        }
        assert_eq!(check(&[], &[("sec-websocket-version", "13")]), Err(HandshakeError::Version));
        assert_eq!(HandshakeError::Version.status(), 426);
        assert!(HandshakeError::Version.headers().contains(&("sec-websocket-version", "13")));
    }

    #[test]
    fn key_of_other_length_is_rejected() {
        for value in [
            None,
            Some(""),
            Some("dGhlIHNhbXBsZSBub25jZQ"),
            Some("dGhlIHNhbXBsZSBub25j"),
            Some("dGhlIHNhbXBsZSBub25jZWVl"),
            Some("dGhlIHNhbXBsZSBub25jZWU="),
            Some("dGhlIHNhbXBsZSBub25jZWVlZWVlZQ=="),
            Some("dGhlIHNhbXBsZSBub25jZ*=="),
            Some("dGhlIHNhbXBsZSBub25j茶="),
        ] {
            let error = check(&[("Sec-WebSocket-Key", value)], &[]).unwrap_err();
            assert_eq!((error, error.status()), (HandshakeError::Key, 400), "{value:?}");
        }
        assert_eq!(check(&[], &[("sec-websocket-key", KEY)]), Err(HandshakeError::Key));
    }

    #[test]
    fn missing_or_repeated_host_is_rejected() {
        assert_eq!(check(&[("Host", None)], &[]), Err(HandshakeError::Host));
        assert_eq!(check(&[], &[("host", "evil.example")]), Err(HandshakeError::Host));
    }

    #[test]
    fn subprotocol_that_is_not_a_token_is_rejected() {
        for value in ["a b", "a, b/c", "茶"] {
            assert_eq!(check(&[], &[("sec-websocket-protocol", value)]), Err(HandshakeError::Protocol));
        }
        assert_eq!(HandshakeError::Protocol.status(), 400);
    }
}
