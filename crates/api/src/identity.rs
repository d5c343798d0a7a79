//! The credential of a request, its user, and new guests.

use cookie::Cookie;
use gateway::{Identity, Language};
use http::header::{ACCEPT_LANGUAGE, AUTHORIZATION, COOKIE, HeaderMap};
use protocol::{ErrorCode, User, UserName};

use crate::request_origin::RequestOrigin;
use crate::token::Token;
use crate::{ApiError, HttpState, Peer, any_number};

/// Also in docs/PROTOCOL.md; a rename would end every browser's session.
pub(crate) const COOKIE_NAME: &str = "teahouse_session";

/// What a request presents as its session.
pub(crate) enum Credential {
    None,
    Token(Token),
    /// Present, but not of the form of a token: rejected instead of served as a new guest.
    Malformed,
}

impl Credential {
    /// A bearer token, or else the cookie, unless `origin` is an allowed page, whose cookie does not count.
    pub(crate) fn of(headers: &HeaderMap, origin: &RequestOrigin) -> Self {
        match bearer(headers) {
            Credential::None if *origin != RequestOrigin::Allowed => cookie(headers),
            bearer => bearer,
        }
    }

    /// The same for a request that changes something. **Threat:** a page of another site makes its visitor's browser send the
    /// cookie. So the cookie counts only if the browser's `Origin` is the server's own page.
    pub(crate) fn for_change(headers: &HeaderMap, origin: &RequestOrigin) -> Self {
        match bearer(headers) {
            Credential::None if matches!(origin, RequestOrigin::SameOrigin(_)) => cookie(headers),
            bearer => bearer,
        }
    }
}

/// Not by `headers::Authorization<Bearer>`, which does not distinguish another scheme from a malformed token.
fn bearer(headers: &HeaderMap) -> Credential {
    let Some(value) = headers.get(AUTHORIZATION) else { return Credential::None };
    let Some((scheme, token)) = value.to_str().ok().and_then(|value| value.split_once(' ')) else {
        return Credential::Malformed;
    };
    // Other schemes, such as `Basic`, are addressed to a reverse proxy.
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Credential::None;
    }
    Token::parse(token.trim()).map_or(Credential::Malformed, Credential::Token)
}

fn cookie(headers: &HeaderMap) -> Credential {
    // As bytes: `axum_extra` ignores a header with a byte that is not ASCII, which another cookie of the same host may contain.
    let cookies = headers.get_all(COOKIE).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
    for cookies in cookies {
        let mut parsed = Cookie::split_parse(&*cookies).flatten();
        if let Some(cookie) = parsed.find(|cookie| cookie.name() == COOKIE_NAME) {
            return Token::parse(cookie.value()).map_or(Credential::Malformed, Credential::Token);
        }
    }
    Credential::None
}

/// English without `Accept-Language`.
pub(crate) fn language(headers: &HeaderMap) -> Language {
    let header = headers.get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    header.map_or(Language::En, Language::from_accept_language)
}

impl HttpState {
    /// The user of a credential; `None` if there is no valid session.
    pub(crate) async fn identify(&self, credential: Credential) -> Result<Option<Identity>, ApiError> {
        let Credential::Token(token) = credential else { return Ok(None) };
        Ok(self.gateway.identify(token.hash()).await?)
    }

    /// The user of a credential. Without one, or with an invalid one, the error is 401.
    pub(crate) async fn must_identify(&self, credential: Credential) -> Result<Identity, ApiError> {
        self.identify(credential).await?.ok_or_else(ApiError::unauthorized)
    }

    /// Assigns a user id to a new guest, unless the address exceeds its rate. The guest is not stored yet.
    pub(crate) fn new_guest(
        &self,
        peer: &Peer,
        name: Option<UserName>,
        language: Language,
    ) -> Result<User, ApiError> {
        if self.gateway.is_stopping() {
            return Err(ErrorCode::ShuttingDown.into());
        }
        if let Some(rate) = self.settings.guest_creation {
            self.acquire(&self.guests, &peer.address, rate, "too many new guests from your address")?;
        }
        let name =
            name.unwrap_or_else(|| domain::generate_guest_name(any_number(), language == Language::Zh));
        Ok(User { id: self.gateway.new_user_id()?, name })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    fn headers(list: &[(&'static str, &str)]) -> HeaderMap {
        list.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn own_page() -> RequestOrigin {
        RequestOrigin::SameOrigin(crate::Origin::parse("http://h").unwrap())
    }

    fn text(credential: &Credential) -> &str {
        match credential {
            Credential::None => "none",
            Credential::Token(_) => "token",
            Credential::Malformed => "malformed",
        }
    }

    #[test]
    fn token_is_read_from_bearer_or_cookie() {
        for (name, value, expected) in [
            ("authorization", format!("Bearer {TOKEN}"), "token"),
            ("authorization", format!("bearer  {TOKEN}"), "token"),
            ("authorization", "Bearer x".to_owned(), "malformed"),
            ("authorization", "Bearer".to_owned(), "malformed"),
            ("authorization", "Basic bGk6bGVp".to_owned(), "none"),
            ("cookie", format!("a=b; {COOKIE_NAME}={TOKEN}; c=d"), "token"),
            ("cookie", format!("{COOKIE_NAME}={TOKEN}"), "token"),
            ("cookie", format!("x{COOKIE_NAME}={TOKEN}"), "none"),
            ("cookie", format!("{COOKIE_NAME}x={TOKEN}"), "none"),
            ("cookie", format!("{COOKIE_NAME}=x"), "malformed"),
            ("cookie", String::new(), "none"),
        ] {
            let credential = Credential::of(&headers(&[(name, &value)]), &RequestOrigin::Absent);
            assert_eq!(text(&credential), expected, "{name}: {value}");
        }
    }

    #[test]
    fn cookie_of_an_allowed_page_is_ignored() {
        let cookie = format!("{COOKIE_NAME}={TOKEN}");
        let headers = headers(&[("cookie", &cookie)]);
        assert_eq!(text(&Credential::of(&headers, &RequestOrigin::Allowed)), "none");
        assert_eq!(text(&Credential::for_change(&headers, &RequestOrigin::Allowed)), "none");
        assert_eq!(text(&Credential::of(&headers, &own_page())), "token");
    }

    #[test]
    fn change_by_cookie_requires_the_own_page() {
        let cookie = format!("{COOKIE_NAME}={TOKEN}");
        let by_cookie = headers(&[("cookie", &cookie)]);
        assert_eq!(text(&Credential::for_change(&by_cookie, &RequestOrigin::Absent)), "none");
        assert_eq!(text(&Credential::for_change(&by_cookie, &own_page())), "token");
        let bearer = format!("Bearer {TOKEN}");
        let by_bearer = headers(&[("authorization", &bearer)]);
        assert_eq!(text(&Credential::for_change(&by_bearer, &RequestOrigin::Absent)), "token");
    }
}
