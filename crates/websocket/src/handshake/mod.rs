//! The opening handshake (RFC 6455, 4): validation of upgrade requests and of their responses.
//!
//! The server side validates a request that its HTTP library has parsed. The client side, for the load generator and for
//! tests, encodes a request and parses a response head.
//!
//! ```
//! use teahouse_websocket::handshake::{Upgrade, accept_key};
//!
//! let headers: [(&str, &[u8]); 5] = [
//!     ("host", b"chat.example"),
//!     ("connection", b"keep-alive, Upgrade"),
//!     ("upgrade", b"websocket"),
//!     ("sec-websocket-version", b"13"),
//!     ("sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
//! ];
//! let upgrade = Upgrade::check("GET", (1, 1), headers)?;
//! assert_eq!(upgrade.accept_key(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
//! # Ok::<(), teahouse_websocket::handshake::HandshakeError>(())
//! ```

mod client;
mod server;

pub use client::{ClientRequest, ResponseError, ResponseInfo, check_response, client_key, head_len};
pub use server::{HandshakeError, Upgrade};

use base64::{Engine, engine::general_purpose::STANDARD};
use sha1::{Digest, Sha1};

/// The only version.
const VERSION: &str = "13";

/// The `Sec-WebSocket-Accept` value for a `Sec-WebSocket-Key`. It proves only that the peer implements WebSocket; SHA-1 has
/// no security function here.
#[must_use]
pub fn accept_key(key: &str) -> String {
    let digest =
        Sha1::new().chain_update(key).chain_update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11").finalize();
    STANDARD.encode(digest)
}

/// The elements of a list in a header value, without empty ones (RFC 9110, 5.6.1).
fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|element| !element.is_empty())
}

/// Whether a list contains a token, ignoring case.
fn list_has(value: &[u8], token: &str) -> bool {
    list(value).any(|element| element.eq_ignore_ascii_case(token.as_bytes()))
}

/// The text of a token (RFC 9110, 5.6.2), or `None` if the bytes are not one.
fn token(bytes: &[u8]) -> Option<&str> {
    let valid = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let text = std::str::from_utf8(bytes).ok()?;
    (!bytes.is_empty() && bytes.iter().all(valid)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_key_matches_rfc_example() {
        assert_eq!(accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn header_token_matches_whole_only() {
        assert!(list_has(b"keep-alive, , UpGrade", "upgrade"));
        assert!(!list_has(b"upgrades, no-upgrade", "upgrade"));
        assert!(!list_has(b"", "upgrade"));
    }

    #[test]
    fn token_with_invalid_characters_is_rejected() {
        assert_eq!(token(b"teahouse.v1.json"), Some("teahouse.v1.json"));
        for invalid in [&b""[..], b"a b", b"a/b", b"a;b", "茶".as_bytes(), b"\xff", b"a\r\nb"] {
            assert_eq!(token(invalid), None);
        }
    }
}
