//! The HTTP requests that tests and tools need, each on a connection of its own.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use protocol::User;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::Error;
use crate::dial::dial;

/// Bounds each step of a request: connecting, writing, reading.
const TIMEOUT: Duration = Duration::from_secs(10);

/// An HTTP response, read completely.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status code: 200, 404 …
    pub status: u16,
    /// The headers in the order of the response, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, with the chunked encoding removed.
    pub body: Vec<u8>,
}

impl Response {
    /// The value of the first header with this name, which must be in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The body as text; bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON; the error is [`Error::Unreadable`].
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Error::Unreadable { text: self.text(), error: error.to_string() })
    }
}

/// Sends one request. `Host`, `Content-Length` and `Connection: close` are added if they are not among the headers.
pub fn http(
    addr: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Response, Error> {
    http_from(None, addr, method, path, headers, body)
}

/// Sends one request from this source address.
pub fn http_from(
    source: Option<IpAddr>,
    addr: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Response, Error> {
    let mut request = format!("{method} {path} HTTP/1.1\r\n");
    let given = |name: &str| headers.iter().any(|(header, _)| header.eq_ignore_ascii_case(name));
    let mut add = |name: &str, value: &str| {
        request.push_str(name);
        request.push_str(": ");
        request.push_str(value);
        request.push_str("\r\n");
    };
    if !given("host") {
        add("Host", &addr.to_string());
    }
    if !given("connection") {
        add("Connection", "close");
    }
    if !given("content-length") && (!body.is_empty() || matches!(method, "POST" | "PUT" | "PATCH")) {
        add("Content-Length", &body.len().to_string());
    }
    for (name, value) in headers {
        add(name, value);
    }
    request.push_str("\r\n");

    let mut stream = dial(addr, source, None, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    stream.write_all(&[request.as_bytes(), body].concat())?;
    let mut bytes = Vec::new();
    let mut chunk = [0; 16 * 1024];
    loop {
        if let Some(response) = parse(&bytes, method == "HEAD", false)? {
            return Ok(response);
        }
        match stream.read(&mut chunk)? {
            0 => {
                return parse(&bytes, method == "HEAD", true)?
                    .ok_or_else(|| Error::Handshake("the response was cut short".to_owned()));
            }
            read => bytes.extend_from_slice(&chunk[..read]),
        }
    }
}

/// Creates a guest like a program, without `Origin`. Returns the guest and the token of the session.
pub fn new_session(addr: SocketAddr, name: Option<&str>) -> Result<(User, String), Error> {
    new_session_from(None, addr, name)
}

/// Creates a guest from this source address, for tests of the limits per address.
pub fn new_session_from(
    source: Option<IpAddr>,
    addr: SocketAddr,
    name: Option<&str>,
) -> Result<(User, String), Error> {
    #[derive(Deserialize)]
    struct Session {
        user: User,
        token: String,
    }
    let body = match name {
        Some(name) => serde_json::json!({ "name": name }),
        None => serde_json::json!({}),
    };
    let json = [("Content-Type", "application/json")];
    let response = http_from(source, addr, "POST", "/api/v1/session", &json, body.to_string().as_bytes())?;
    if response.status != 201 {
        return Err(Error::Unreadable {
            text: response.text(),
            error: format!("HTTP {} instead of 201", response.status),
        });
    }
    let session: Session = response.json()?;
    Ok((session.user, session.token))
}

/// Parses the response if it is complete; `None` otherwise. `ended` states that no more bytes follow.
fn parse(bytes: &[u8], head_only: bool, ended: bool) -> Result<Option<Response>, Error> {
    let broken = |what: &str| Error::Handshake(format!("invalid HTTP response: {what}"));
    let Some(head_len) = websocket::handshake::head_len(bytes) else { return Ok(None) };
    let (head, rest) = bytes.split_at(head_len);
    let head = std::str::from_utf8(head).map_err(|_| broken("its head is not UTF-8"))?;
    let mut lines = head.trim_end().split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
    let mut response = Response {
        status: status.ok_or_else(|| broken("no status"))?,
        headers: Vec::new(),
        body: Vec::new(),
    };
    for line in lines {
        let (name, value) = line.split_once(':').ok_or_else(|| broken("a header without a colon"))?;
        response.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    if head_only || matches!(response.status, 100..=199 | 204 | 304) {
        return Ok(Some(response));
    }
    if response.header("transfer-encoding") == Some("chunked") {
        return Ok(unchunk(rest).map(|body| Response { body, ..response }));
    }
    let length = response.header("content-length").map(|value| value.parse::<usize>());
    match length {
        Some(Ok(length)) if rest.len() >= length => {
            Ok(Some(Response { body: rest[..length].to_vec(), ..response }))
        }
        None if ended => Ok(Some(Response { body: rest.to_vec(), ..response })),
        Some(Err(_)) => Err(broken("a content-length that is not a number")),
        _ => Ok(None),
    }
}

/// Decodes a chunked body; `None` while it is incomplete.
fn unchunk(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let line = bytes.windows(2).position(|two| two == b"\r\n")?;
        let size = std::str::from_utf8(&bytes[..line]).ok()?.split(';').next()?.trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        let chunk = bytes.get(line + 2..)?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(chunk.get(..size)?);
        bytes = chunk.get(size + 2..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZED: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: b\r\n\r\nhi";

    #[test]
    fn response_is_complete_at_its_content_length() {
        for cut in 0..SIZED.len() {
            assert!(parse(&SIZED[..cut], false, false).unwrap().is_none(), "{cut}");
        }
        let response = parse(SIZED, false, false).unwrap().unwrap();
        assert_eq!(
            (response.status, response.text().as_str(), response.header("x-a")),
            (200, "hi", Some("b"))
        );
    }

    #[test]
    fn chunked_body_is_decoded() {
        let chunked =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n4;x=y\r\n you\r\n0\r\n\r\n";
        for cut in 0..chunked.len() - 2 {
            assert!(parse(&chunked[..cut], false, false).unwrap().is_none(), "{cut}");
        }
        assert_eq!(parse(chunked, false, false).unwrap().unwrap().text(), "hi you");
    }

    #[test]
    fn body_without_a_length_ends_with_the_connection() {
        let endless = b"HTTP/1.1 400 Bad Request\r\n\r\nno";
        assert!(parse(endless, false, false).unwrap().is_none());
        assert_eq!(parse(endless, false, true).unwrap().unwrap().text(), "no");
        assert_eq!(parse(b"HTTP/1.1 204 No Content\r\n\r\n", false, false).unwrap().unwrap().status, 204);
    }
}
