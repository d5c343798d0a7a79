//! `/api/v1/session`: creating, reading and ending a session.

use std::sync::Arc;

use axum::extract::{Extension, Request, State};
use axum::response::{IntoResponse, Response};
use cookie::time::Duration;
use cookie::{Cookie, SameSite};
use http::StatusCode;
use http::header::{HeaderMap, HeaderValue, SET_COOKIE};
use protocol::{CreateSession, ErrorCode, Session, UserName};
use serde::Serialize;

use crate::identity::{COOKIE_NAME, Credential, language};
use crate::request_body::read_body;
use crate::request_origin::RequestOrigin;
use crate::token::Token;
use crate::{ApiError, HttpState, Peer};

/// The longest body: a name has at most 32 characters, and even with escapes it is far shorter.
const BODY_BYTES: usize = 16 * 1024;

/// 400 days, the longest that browsers keep a cookie.
const COOKIE_MAX_AGE: Duration = Duration::days(400);

/// `GET`: the user of the session.
pub(crate) async fn show(
    State(state): State<Arc<HttpState>>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let origin = RequestOrigin::of(&headers, &state.settings.allowed_origins)?;
    let identity = state.must_identify(Credential::of(&headers, &origin)).await?;
    Ok(json(StatusCode::OK, &Session { user: identity.user, token: None }))
}

/// `POST`: a new guest, unless the request has a session.
pub(crate) async fn begin(
    State(state): State<Arc<HttpState>>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let origin = RequestOrigin::of(&parts.headers, &state.settings.allowed_origins)?;
    let create = parse_request(&read_body(body, BODY_BYTES, state.settings.timeouts.headers).await?)?;
    if let Some(identity) = state.identify(Credential::for_change(&parts.headers, &origin)).await? {
        return Ok(json(StatusCode::OK, &Session { user: identity.user, token: None }));
    }
    let name = create.name.as_deref().map(UserName::new).transpose();
    let name = name.map_err(|error| ApiError::new(ErrorCode::InvalidName, error.to_string()))?;
    let user = state.new_guest(&peer, name, language(&parts.headers))?;
    let token = Token::new().map_err(|error| {
        tracing::error!(%error, "the system has no random numbers");
        ErrorCode::Internal
    })?;
    state.gateway.sessions().begin(token.hash(), user.clone());
    Ok(match origin {
        RequestOrigin::SameOrigin(origin) => {
            let mut response = json(StatusCode::CREATED, &Session { user, token: None });
            set_cookie(&mut response, token.as_str(), COOKIE_MAX_AGE, origin.is_https())?;
            response
        }
        // An allowed page receives no cookie, which would count in requests from the server's own page.
        RequestOrigin::Absent | RequestOrigin::Allowed => {
            json(StatusCode::CREATED, &Session { user, token: Some(token.as_str().to_owned()) })
        }
    })
}

/// `DELETE`: the response follows when the session's connections are closed.
pub(crate) async fn end(
    State(state): State<Arc<HttpState>>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let origin = RequestOrigin::of(&headers, &state.settings.allowed_origins)?;
    let identity = state.must_identify(Credential::for_change(&headers, &origin)).await?;
    let Some(session) = identity.session else { return Err(ApiError::unauthorized()) };
    let gateway = Arc::clone(&state.gateway);
    // In its own task, so that the session ends even if the client disconnects without waiting.
    let ending = tokio::spawn(async move { gateway.end_session(session, identity.user.id).await });
    ending.await.map_err(|_| ErrorCode::Internal)??;
    let mut response = StatusCode::NO_CONTENT.into_response();
    if let RequestOrigin::SameOrigin(origin) = origin {
        set_cookie(&mut response, "", Duration::ZERO, origin.is_https())?;
    }
    Ok(response)
}

fn parse_request(body: &[u8]) -> Result<CreateSession, ApiError> {
    if body.is_empty() {
        return Ok(CreateSession::default());
    }
    serde_json::from_slice(body)
        .map_err(|_| ApiError::new(ErrorCode::Malformed, r#"the body must be JSON like {"name":"Li"}"#))
}

fn json(status: StatusCode, value: &impl Serialize) -> Response {
    (status, axum::Json(value)).into_response()
}

fn set_cookie(response: &mut Response, value: &str, max_age: Duration, secure: bool) -> Result<(), ApiError> {
    let cookie = Cookie::build((COOKIE_NAME, value))
        .path("/")
        .http_only(true)
        .same_site(SameSite::Lax)
        .max_age(max_age)
        .secure(secure);
    // A token is base64url: visible ASCII.
    let cookie = HeaderValue::from_str(&cookie.to_string()).map_err(|_| ErrorCode::Internal)?;
    response.headers_mut().insert(SET_COOKIE, cookie);
    Ok(())
}
