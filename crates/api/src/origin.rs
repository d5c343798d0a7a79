//! The origin of a web page (RFC 6454), as in the header `Origin` and in the configuration.

use std::fmt;

/// Scheme, host and port of a page, in lower case and without the port that the scheme implies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    scheme: String,
    host: String,
    port: Option<u16>,
}

impl Origin {
    /// Parses `https://example.org:8443`. `null` is rejected, because every sandboxed frame sends it.
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        if scheme.is_empty() || !scheme.bytes().all(legal) {
            return None;
        }
        let scheme = scheme.to_ascii_lowercase();
        // An IPv6 address has colons of its own, in brackets.
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port.parse().ok()?)),
            _ => (rest, None),
        };
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let legal = match bare {
            Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
            None => {
                !host.is_empty()
                    && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
            }
        };
        if !legal {
            return None;
        }
        let implied = match scheme.as_str() {
            "http" => Some(80),
            "https" => Some(443),
            _ => None,
        };
        Some(Origin {
            scheme,
            host: host.to_ascii_lowercase(),
            port: port.filter(|port| Some(*port) != implied),
        })
    }

    /// Whether a request to this `Host` stays within the origin. The scheme is assumed to be the page's: behind a proxy that ends
    /// TLS the server does not receive it, and a page at the same host and port is the server's own in either case.
    pub(crate) fn is_at(&self, host: &str) -> bool {
        Origin::parse(&format!("{}://{host}", self.scheme)).is_some_and(|here| here == *self)
    }

    /// Whether a cookie for the page must be `Secure`.
    pub(crate) fn is_https(&self) -> bool {
        self.scheme == "https"
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}
