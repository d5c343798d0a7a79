//! `/ws`: checks the request, sends the 101, and hands the stream to a shard.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, Request, State};
use axum::response::Response;
use gateway::{Gateway, Identity, UpgradeGuard, UpgradedConnection, WireProtocol};
use http::header::{CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use http::{StatusCode, Version};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use protocol::ErrorCode;
use websocket::handshake::{HandshakeError, Upgrade};

use crate::connection_deadlines::Watched;
use crate::identity::{Credential, language};
use crate::request_origin::RequestOrigin;
use crate::{ApiError, HttpState, Peer};

/// The subprotocol of `docs/PROTOCOL.md`.
const JSON: &str = "teahouse.v1.json";

/// `GET /ws`. Without a session, the connection is that of a new transient guest.
pub(crate) async fn open(
    State(state): State<Arc<HttpState>>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Result<Response, ApiError> {
    upgrade(&state, peer, request, choose).await
}

/// `GET /echo`: the same for conformance runs.
#[cfg(feature = "echo")]
pub(crate) async fn open_echo(
    State(state): State<Arc<HttpState>>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Result<Response, ApiError> {
    upgrade(&state, peer, request, |_, _| Ok((WireProtocol::Echo, None))).await
}

/// The protocol of the connection, and the header that names it.
type Choice = Result<(WireProtocol, Option<HeaderValue>), ApiError>;

fn choose(offered: &[&str], headers: &http::HeaderMap) -> Choice {
    if offered.is_empty() {
        return Ok((WireProtocol::PlainText(language(headers)), None));
    }
    if offered.contains(&JSON) {
        return Ok((WireProtocol::Json, Some(HeaderValue::from_static(JSON))));
    }
    Err(ApiError::new(
        ErrorCode::Malformed,
        "unknown subprotocol: the only one is teahouse.v1.json; without a subprotocol the connection uses plain text",
    ))
}

async fn upgrade(
    state: &HttpState,
    peer: Peer,
    mut request: Request,
    choose: impl FnOnce(&[&str], &http::HeaderMap) -> Choice,
) -> Result<Response, ApiError> {
    let headers = request.headers();
    let version = if request.version() == Version::HTTP_11 { (1, 1) } else { (1, 0) };
    let upgrade = Upgrade::check(
        request.method().as_str(),
        version,
        headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())),
    )
    .map_err(handshake_error)?;
    let origin = RequestOrigin::of(headers, &state.settings.allowed_origins)?;
    let (protocol, subprotocol) = choose(&upgrade.protocols, headers)?;
    let accept = upgrade.accept_key();
    if state.gateway.is_stopping() {
        return Err(ErrorCode::ShuttingDown.into());
    }
    let language = language(headers);
    let identity = match Credential::of(headers, &origin) {
        Credential::None => {
            Identity { user: state.new_guest(&peer, None, language)?, session: None, stored: false }
        }
        credential => state.must_identify(credential).await?,
    };

    // Checked again, because the server may be stopping by now. A stop waits for the guard, which waits only for the 101.
    let guard = state.gateway.begin_upgrade().ok_or(ErrorCode::ShuttingDown)?;
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(hand_over(Arc::clone(&state.gateway), guard, upgraded, identity, protocol, peer));
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    // Base64 of a hash is visible ASCII.
    headers.insert(SEC_WEBSOCKET_ACCEPT, HeaderValue::from_str(&accept).map_err(|_| ErrorCode::Internal)?);
    if let Some(subprotocol) = subprotocol {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, subprotocol);
    }
    Ok(response)
}

fn handshake_error(error: HandshakeError) -> ApiError {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
    ApiError::new(ErrorCode::Malformed, error.to_string()).with_status(status).with_headers(error.headers())
}

/// Waits until the 101 is sent, at most until the connection's deadline, and hands the stream to its shard.
async fn hand_over(
    gateway: Arc<Gateway>,
    _guard: UpgradeGuard,
    upgraded: OnUpgrade,
    identity: Identity,
    protocol: WireProtocol,
    peer: Peer,
) {
    // An error means that the client has disconnected.
    let Ok(upgraded) = upgraded.await else { return };
    let Ok(parts) = upgraded.downcast::<TokioIo<Watched>>() else {
        tracing::error!("an upgraded connection is not the stream that was accepted");
        return;
    };
    match parts.io.into_inner().into_stream().into_std() {
        Ok(stream) => {
            gateway.connect(UpgradedConnection {
                stream,
                read_ahead: parts.read_buf,
                identity,
                protocol,
                slot: peer.permit.into(),
            });
        }
        Err(error) => tracing::error!(%error, "an upgraded connection cannot be handed over"),
    }
}
