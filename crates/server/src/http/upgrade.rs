//! `/ws`: from a request to a bare stream on its way to a shard.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Extension, Request, State};
use axum::response::Response;
use http::header::{CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use http::{StatusCode, Version};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use protocol::ErrorCode;
use websocket::handshake::{HandshakeError, Upgrade};

use super::connection_deadlines::Watched;
use super::identity::{Credential, language};
use super::origin::RequestOrigin;
use super::{ApiError, HttpState, Peer};
use crate::app::{AppState, UpgradeGuard};
use crate::handoff::{Identity, UpgradedConnection, WireProtocol};

/// The subprotocol of `docs/PROTOCOL.md`.
const JSON: &str = "teahouse.v1.json";

/// `GET /ws`
pub(super) async fn open(
    State(front): State<Arc<HttpState>>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Result<Response, ApiError> {
    upgrade(&front, peer, request, choose).await
}

/// `GET /echo`: the same way, for conformance runs.
#[cfg(feature = "echo")]
pub(super) async fn open_echo(
    State(front): State<Arc<HttpState>>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Result<Response, ApiError> {
    upgrade(&front, peer, request, |_, _| Ok((WireProtocol::Echo, None))).await
}

/// What will be spoken, and what the answer says about it.
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
        "no such subprotocol: teahouse.v1.json is the one there is; without any, plain text is spoken",
    ))
}

async fn upgrade(
    front: &HttpState,
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
    .map_err(refusal_of_handshake)?;
    let sender = RequestOrigin::of(headers, &front.config.allowed_origins)?;
    let (speaks, protocol) = choose(&upgrade.protocols, headers)?;
    let accept = upgrade.accept_key();
    if front.app.is_stopping() {
        return Err(ErrorCode::ShuttingDown.into());
    }
    let language = language(headers);
    let identity = match Credential::of(headers, &sender) {
        Credential::None => {
            Identity { person: front.new_guest(&peer, None, language)?, session: None, stored: false }
        }
        credential => front.must_identify(credential).await?,
    };

    // Asked again, for it may have begun to stop meanwhile; from here to the shard nothing but the 101 is waited for.
    let on_the_way = front.app.begin_upgrade().ok_or(ErrorCode::ShuttingDown)?;
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(hand_over(Arc::clone(&front.app), on_the_way, upgraded, identity, speaks, peer));
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    // Base64 of a hash is visible ASCII.
    headers.insert(SEC_WEBSOCKET_ACCEPT, HeaderValue::from_str(&accept).map_err(|_| ErrorCode::Internal)?);
    if let Some(protocol) = protocol {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    Ok(response)
}

fn refusal_of_handshake(error: HandshakeError) -> ApiError {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
    ApiError::new(ErrorCode::Malformed, error.to_string()).with_status(status).with_headers(error.headers())
}

/// Waits until the 101 is out, which lasts no longer than the connection's deadline, and gives the stream away.
async fn hand_over(
    app: Arc<AppState>,
    _on_the_way: UpgradeGuard,
    upgraded: OnUpgrade,
    identity: Identity,
    speaks: WireProtocol,
    peer: Peer,
) {
    // The client went away first.
    let Ok(upgraded) = upgraded.await else { return };
    let Ok(parts) = upgraded.downcast::<TokioIo<Watched>>() else {
        tracing::error!("an upgraded connection is not the stream that was accepted");
        return;
    };
    match parts.io.into_inner().into_stream().into_std() {
        Ok(stream) => {
            app.arrive(UpgradedConnection {
                stream,
                read_ahead: parts.read_buf,
                identity,
                protocol: speaks,
                slot: peer.permit.into(),
            });
        }
        Err(error) => tracing::error!(%error, "an upgraded connection cannot be handed over"),
    }
}
