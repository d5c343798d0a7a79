//! The origin of a web page (RFC 6454), as in the header `Origin` and in the configuration.

use std::fmt;

use url::Url;

/// Scheme, host and port of a page, in lower case and without the port that the scheme implies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(url::Origin);

impl Origin {
    /// Parses `https://example.org:8443`, without anything after the port. `null` is rejected, because every sandboxed frame sends it.
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        // `Url::parse` drops or escapes these characters, which no origin contains. `*` would suggest a pattern.
        let is_part_of_authority = |c: char| !c.is_whitespace() && !c.is_control() && !r"/\?#@*%".contains(c);
        let is_web = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
        if !is_web || !authority.chars().all(is_part_of_authority) {
            return None;
        }
        Url::parse(text).ok().map(|url| Origin(url.origin()))
    }

    /// Whether a request to this `Host` stays within the origin. The scheme is assumed to be the page's: behind a proxy that ends
    /// TLS the server does not receive it, and a page at the same host and port is the server's own in either case.
    pub(crate) fn is_at(&self, host: &str) -> bool {
        let scheme = if self.is_https() { "https" } else { "http" };
        Origin::parse(&format!("{scheme}://{host}")).is_some_and(|here| here == *self)
    }

    /// Whether a cookie for the page must be `Secure`.
    pub(crate) fn is_https(&self) -> bool {
        matches!(&self.0, url::Origin::Tuple(scheme, _, _) if scheme == "https")
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.ascii_serialization())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origin_is_displayed_as_browsers_write_it() {
        for (text, displayed) in [
            ("https://Example.org:443", "https://example.org"),
            ("HTTP://a.example:8080", "http://a.example:8080"),
            ("http://[0:0::1]:9999", "http://[::1]:9999"),
            ("https://茶馆.example", "https://xn--cl1ay07b.example"),
        ] {
            assert_eq!(Origin::parse(text).unwrap().to_string(), displayed);
        }
    }

    #[test]
    fn text_that_is_more_or_less_than_an_origin_is_rejected() {
        for text in [
            "",
            "null",
            "*",
            "a.example",
            "http://",
            "http://:80",
            "http://a:x",
            "http://a:65536",
            "http://a/",
            "http://a/b",
            "http://a?b",
            "http://a#b",
            "http://u@a",
            "http://a b",
            "http://a\tb",
            "http://*.a",
            "http://[::1",
            "http://a\\b",
            "http://%61",
            "ftp://a",
            "file:///a",
            "data:text/html,a",
        ] {
            assert!(Origin::parse(text).is_none(), "{text:?}");
        }
    }
}
