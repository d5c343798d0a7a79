//! The client side (RFC 6455, 4.1), for the load generator and for tests: encodes a request and parses a response head, without
//! an HTTP library.

use std::str::from_utf8;

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{VERSION, accept_key, list_has};

/// The key for a request, from 16 random bytes.
#[must_use]
pub fn client_key(nonce: [u8; 16]) -> String {
    STANDARD.encode(nonce)
}

/// A request to open a WebSocket. The values are not escaped, so they must not contain external input.
#[derive(Clone, Copy, Debug)]
pub struct ClientRequest<'a> {
    /// The host name of the server, and its port unless that is 80.
    pub host: &'a str,
    /// Path and query.
    pub path: &'a str,
    /// See [`client_key`].
    pub key: &'a str,
    /// The offered subprotocols, most preferred first.
    pub protocols: &'a [&'a str],
    /// Further headers: `Origin`, `Cookie`, `Authorization`.
    pub headers: &'a [(&'a str, &'a str)],
}

impl ClientRequest<'_> {
    /// The request's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let Self { host, path, key, .. } = self;
        let mut request = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: {VERSION}\r\nSec-WebSocket-Key: {key}\r\n"
        );
        let mut header = |name: &str, value: &str| {
            for part in [name, ": ", value, "\r\n"] {
                request.push_str(part);
            }
        };
        if !self.protocols.is_empty() {
            header("Sec-WebSocket-Protocol", &self.protocols.join(", "));
        }
        for (name, value) in self.headers {
            header(name, value);
        }
        request.push_str("\r\n");
        request.into_bytes()
    }
}

/// Why a response does not open a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResponseError {
    /// Not HTTP/1.1, or a malformed header.
    #[error("the response is not HTTP")]
    NotHttp,
    /// A status other than 101: the server rejected the request.
    #[error("the server answered with status {0}")]
    Status(u16),
    /// `Upgrade: websocket` or `Connection: Upgrade` is missing.
    #[error("the server did not upgrade to WebSocket")]
    NotUpgraded,
    /// `Sec-WebSocket-Accept` is wrong or missing.
    #[error("Sec-WebSocket-Accept does not match the key")]
    Accept,
    /// A subprotocol that was not offered.
    #[error("the server chose a subprotocol that was not offered")]
    Protocol,
    /// An extension, although none was offered.
    #[error("the server chose an extension that was not offered")]
    Extension,
}

/// The negotiated parameters of an accepted response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseInfo<'h> {
    /// The subprotocol that the server chose.
    pub protocol: Option<&'h str>,
}

/// The length of a response head including its blank line, or `None` while the head is incomplete. Frames follow it.
#[must_use]
pub fn head_len(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

/// Validates the response head (up to [`head_len`]) to a request with this key and these subprotocols.
///
/// # Errors
///
/// The first rule that the response violates.
pub fn check_response<'h>(
    head: &'h [u8],
    key: &str,
    offered: &[&str],
) -> Result<ResponseInfo<'h>, ResponseError> {
    let head = from_utf8(head).map_err(|_| ResponseError::NotHttp)?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(status).ok_or(ResponseError::NotHttp)?;
    if status != 101 {
        return Err(ResponseError::Status(status));
    }
    let (mut upgrade, mut connection) = (false, false);
    let (mut accept, mut protocol) = (None, None);
    for line in lines.take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').ok_or(ResponseError::NotHttp)?;
        let value = value.trim_ascii();
        match name.to_ascii_lowercase().as_str() {
            "upgrade" => upgrade |= value.eq_ignore_ascii_case("websocket"),
            "connection" => connection |= list_has(value.as_bytes(), "upgrade"),
            "sec-websocket-accept" => match accept.replace(value) {
                None => {}
                Some(_) => return Err(ResponseError::Accept),
            },
            "sec-websocket-protocol" => match protocol.replace(value) {
                None if offered.contains(&value) => {}
                _ => return Err(ResponseError::Protocol),
            },
            "sec-websocket-extensions" if !value.is_empty() => return Err(ResponseError::Extension),
            _ => {}
        }
    }
    if !(upgrade && connection) {
        return Err(ResponseError::NotUpgraded);
    }
    if accept != Some(accept_key(key).as_str()) {
        return Err(ResponseError::Accept);
    }
    Ok(ResponseInfo { protocol })
}

/// The status code in a line such as `HTTP/1.1 101 Switching Protocols`.
fn status(line: &str) -> Option<u16> {
    let rest = line.strip_prefix("HTTP/1.1 ")?;
    let (digits, reason) = rest.split_at_checked(3)?;
    let number =
        digits.bytes().all(|digit| digit.is_ascii_digit()) && (reason.is_empty() || reason.starts_with(' '));
    if number { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handshake::Upgrade;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    const VALID: &str = "HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\nconnection: keep-alive, upgrade\r\n\
                        sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nsec-websocket-protocol: chat\r\n\r\n";

    /// The result for the valid response with one substring replaced.
    fn changed(from: &str, to: &str) -> Result<Option<String>, ResponseError> {
        assert!(VALID.contains(from), "{from}");
        let head = VALID.replace(from, to);
        let info = check_response(head.as_bytes(), KEY, &["tea", "chat"])?;
        Ok(info.protocol.map(str::to_owned))
    }

    #[test]
    fn valid_response_is_accepted() {
        assert_eq!(changed("", ""), Ok(Some("chat".to_owned())));
        assert_eq!(changed("sec-websocket-protocol: chat\r\n", ""), Ok(None));
        assert_eq!(changed(" Switching Protocols", ""), Ok(Some("chat".to_owned())));
    }

    #[test]
    fn response_violating_any_rule_is_rejected() {
        use ResponseError::*;
        for (from, to, error) in [
            ("HTTP/1.1 101 ", "HTTP/1.1 503 ", Status(503)),
            ("HTTP/1.1 101 ", "HTTP/1.0 101 ", NotHttp),
            ("HTTP/1.1 101 ", "HTTP/1.1 1011 ", NotHttp),
            ("HTTP/1.1 101 ", "HTTP/1.1 +10 ", NotHttp),
            ("upgrade: WebSocket", "no header", NotHttp),
            ("upgrade: WebSocket", "upgrade: h2c", NotUpgraded),
            ("connection: keep-alive, upgrade\r\n", "", NotUpgraded),
            ("s3pP", "S3pP", Accept),
            ("sec-websocket-accept", "x-accept", Accept),
            ("sec-websocket-protocol: chat", "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", Accept),
            ("chat", "coffee", Protocol),
            ("chat", "tea, chat", Protocol),
            ("sec-websocket-protocol", "sec-websocket-extensions", Extension),
        ] {
            assert_eq!(changed(from, to), Err(error), "{from} → {to}");
        }
    }

    #[test]
    fn response_head_ends_at_blank_line() {
        let mut bytes = VALID.as_bytes().to_vec();
        for cut in 0..bytes.len() {
            assert_eq!(head_len(&bytes[..cut]), None);
        }
        bytes.extend_from_slice(b"\x81\x03tea\r\n\r\n");
        assert_eq!(head_len(&bytes), Some(VALID.len()));
    }

    #[test]
    fn client_request_passes_server_check() {
        let request = ClientRequest {
            host: "localhost:9999",
            path: "/ws",
            key: &client_key(*b"the sample nonce"),
            protocols: &["teahouse.v1.json", "tea"],
            headers: &[("Origin", "http://localhost:9999")],
        };
        let bytes = request.encode();
        assert_eq!(head_len(&bytes), Some(bytes.len()));
        let text = from_utf8(&bytes).unwrap();
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("GET /ws HTTP/1.1"));
        let headers: Vec<(&str, &[u8])> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name, value.as_bytes()))
            .collect();
        assert!(headers.contains(&("Origin", b"http://localhost:9999")));
        let upgrade = Upgrade::check("GET", (1, 1), headers).unwrap();
        assert_eq!(upgrade, Upgrade { key: KEY, protocols: vec!["teahouse.v1.json", "tea"] });
    }
}
