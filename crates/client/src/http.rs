//! The HTTP requests that tests and tools need, each on a connection of its own.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use protocol::User;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use ureq::Agent;
use ureq::config::AutoHeaderValue;
use ureq::unversioned::resolver::DefaultResolver;

use crate::Error;
use crate::http_transport::Dialer;

/// The timeout of each read and write.
const TIMEOUT: Duration = Duration::from_secs(10);

/// An HTTP response, read completely.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status code: 200, 404 …
    pub status: u16,
    /// Headers in the order of their names' first occurrence, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, with the chunked encoding removed.
    pub body: Vec<u8>,
}

impl Response {
    fn read(response: ureq::http::Response<ureq::Body>) -> Result<Self, Error> {
        let (head, mut body) = response.into_parts();
        let headers = head.headers.iter().map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        });
        let headers = headers.collect();
        Ok(Response { status: head.status.as_u16(), headers, body: body.read_to_vec()? })
    }

    /// The first header of this name (in lower case).
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
    let given = |name: &str| headers.iter().any(|(header, _)| header.eq_ignore_ascii_case(name));
    let mut request = ureq::http::Request::builder().method(method).uri(format!("http://{addr}{path}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    if !given("connection") {
        request = request.header("connection", "close");
    }
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .user_agent(AutoHeaderValue::None)
        .accept(AutoHeaderValue::None)
        .accept_encoding(AutoHeaderValue::None)
        .allow_non_standard_methods(true)
        .timeout_per_read(Some(TIMEOUT))
        .timeout_per_write(Some(TIMEOUT))
        .build();
    let agent =
        Agent::with_parts(config, Dialer { addr, source, timeout: TIMEOUT }, DefaultResolver::default());
    let invalid = |error| Error::Io(io::Error::other(error));
    // Otherwise ureq adds `Content-Length: 0`, which a GET does not have.
    let response = if body.is_empty() && !matches!(method, "POST" | "PUT" | "PATCH") {
        agent.run(request.body(()).map_err(invalid)?)?
    } else {
        agent.run(request.body(body).map_err(invalid)?)?
    };
    Response::read(response)
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

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// Answers one request with these bytes. Returns the request.
    fn exchange(
        method: &str,
        headers: &[(&str, &str)],
        body: &[u8],
        answer: &'static [u8],
    ) -> (String, Result<Response, Error>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = vec![0; 4096];
            let mut read = 0;
            while !request[..read].ends_with(b"end") && !request[..read].ends_with(b"\r\n\r\n") {
                read += stream.read(&mut request[read..]).unwrap();
            }
            stream.write_all(answer).unwrap();
            String::from_utf8(request[..read].to_vec()).unwrap()
        });
        let response = http(addr, method, "/path?a=b", headers, body);
        (server.join().unwrap(), response)
    }

    #[test]
    fn request_has_the_given_headers_and_body() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: b\r\n\r\nhi";
        let (request, response) =
            exchange("DELETE", &[("Host", "chat.example"), ("X-B", "c")], b"the end", answer);
        assert!(request.starts_with("DELETE /path?a=b HTTP/1.1\r\n"), "{request}");
        let lower = request.to_ascii_lowercase();
        for line in ["host: chat.example", "x-b: c", "connection: close", "content-length: 7"] {
            assert_eq!(lower.matches(line).count(), 1, "{line}: {request}");
        }
        assert!(request.ends_with("\r\n\r\nthe end"), "{request}");
        let response = response.unwrap();
        assert_eq!(
            (response.status, response.text().as_str(), response.header("x-a")),
            (200, "hi", Some("b"))
        );
    }

    #[test]
    fn response_with_an_error_status_is_no_error() {
        let answer =
            b"HTTP/1.1 503 Service Unavailable\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n";
        let (request, response) = exchange("GET", &[], b"", answer);
        assert!(!request.to_ascii_lowercase().contains("content-length"), "{request}");
        let response = response.unwrap();
        assert_eq!((response.status, response.text().as_str()), (503, "no"));
    }

    #[test]
    fn response_that_is_cut_short_is_an_error() {
        for answer in [&b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi"[..], b"HTTP/1.1 200 OK\r\n", b""] {
            let (_, response) = exchange("POST", &[], b"end", answer);
            assert!(matches!(response, Err(Error::Io(_) | Error::Handshake(_))), "{response:?}");
        }
    }
}
