//! The page that sent a request, which decides whether its cookie counts.
//!
//! **Threat:** any page on the web can make its visitor's browser connect to this server, with the cookie. The browser sends the
//! page's origin in `Origin`; so the cookie counts only in requests from the server's own page.

use http::header::{HOST, HeaderMap, ORIGIN};
use protocol::ErrorCode;

use crate::{ApiError, Origin};

/// The origin of a request, as far as cookies are concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RequestOrigin {
    /// No `Origin`: a program, or a GET by a browser from the server's own page.
    Absent,
    /// The server's own page, whose cookie counts.
    SameOrigin(Origin),
    /// A page in the list of allowed origins. It may connect, but without the cookie of its visitor.
    Allowed,
}

impl RequestOrigin {
    /// Reads the origin from the request's headers. A page that is neither the server's own nor in the list is rejected.
    pub(crate) fn of(headers: &HeaderMap, allowed: &[String]) -> Result<Self, ApiError> {
        let mut origins = headers.get_all(ORIGIN).iter();
        let Some(origin) = origins.next() else { return Ok(RequestOrigin::Absent) };
        let forbidden =
            || ApiError::new(ErrorCode::ForbiddenOrigin, "pages of this origin may not do this here");
        let origin = origin.to_str().ok().and_then(Origin::parse).filter(|_| origins.next().is_none());
        let origin = origin.ok_or_else(forbidden)?;
        let mut hosts = headers.get_all(HOST).iter();
        let host = hosts.next().and_then(|host| host.to_str().ok()).filter(|_| hosts.next().is_none());
        if host.is_some_and(|host| origin.is_at(host)) {
            return Ok(RequestOrigin::SameOrigin(origin));
        }
        let name = origin.to_string();
        if allowed.contains(&name) { Ok(RequestOrigin::Allowed) } else { Err(forbidden()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender(origin: &[&str], host: &[&str]) -> Option<RequestOrigin> {
        let mut headers = HeaderMap::new();
        for value in origin {
            headers.append(ORIGIN, value.parse().unwrap());
        }
        for value in host {
            headers.append(HOST, value.parse().unwrap());
        }
        RequestOrigin::of(&headers, &["https://listed.example".to_owned()]).ok()
    }

    #[test]
    fn own_page_has_the_host_and_port_of_the_request() {
        for (origin, host) in [
            ("http://localhost:9999", "localhost:9999"),
            ("https://chat.example", "chat.example"),
            ("https://chat.example", "chat.example:443"),
            ("http://chat.example", "Chat.Example:80"),
            ("https://chat.example:8443", "chat.example:8443"),
            ("http://[::1]:9999", "[::1]:9999"),
            ("http://[::1]", "[::1]"),
        ] {
            assert!(
                matches!(sender(&[origin], &[host]), Some(RequestOrigin::SameOrigin(_))),
                "{origin} {host}"
            );
        }
    }

    #[test]
    fn page_of_another_host_or_port_is_rejected() {
        for (origin, host) in [
            ("http://localhost:8080", "localhost:9999"),
            ("http://localhost", "localhost:9999"),
            ("http://evil.example", "chat.example"),
            ("http://chat.example.evil.example", "chat.example"),
            ("http://chat.example", "chat.example.evil.example"),
            ("http://achat.example", "chat.example"),
            ("http://chat.example:80", "chat.example:443"),
            ("https://chat.example", "chat.example:80"),
            ("null", "null"),
            ("", ""),
            ("http://", ""),
            ("file://", "chat.example"),
            ("http://chat.example/", "chat.example"),
            ("http://u@chat.example", "chat.example"),
            ("chat.example", "chat.example"),
        ] {
            assert_eq!(sender(&[origin], &[host]), None, "{origin} {host}");
        }
    }

    #[test]
    fn request_without_origin_has_no_page() {
        assert_eq!(sender(&[], &["chat.example"]), Some(RequestOrigin::Absent));
    }

    #[test]
    fn request_with_two_origins_or_two_hosts_is_rejected() {
        let ours = "http://chat.example";
        assert_eq!(sender(&[ours, "http://evil.example"], &["chat.example"]), None);
        assert_eq!(sender(&[ours], &["chat.example", "evil.example"]), None);
        assert_eq!(sender(&[ours], &[]), None);
    }

    #[test]
    fn allowed_page_is_not_the_own_page() {
        assert_eq!(sender(&["https://listed.example"], &["chat.example"]), Some(RequestOrigin::Allowed));
        assert_eq!(sender(&["https://LISTED.example:443"], &["chat.example"]), Some(RequestOrigin::Allowed));
        assert_eq!(sender(&["http://listed.example"], &["chat.example"]), None);
        assert_eq!(sender(&["https://listed.example:444"], &["chat.example"]), None);
    }
}
