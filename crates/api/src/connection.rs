//! One HTTP connection: hyper serves it within its deadlines, and every response has the common headers.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use http::Request;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use protocol::ErrorCode;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::sleep_until;
use tower::ServiceExt;

use crate::connection_deadlines::{ConnectionDeadlines, Watched};
use crate::metrics::Metrics;
use crate::{Peer, Timeouts};

pub(crate) struct Server {
    pub(crate) router: Router,
    pub(crate) timeouts: Timeouts,
    pub(crate) metrics: Metrics,
}

/// The progress of a shutdown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Open,
    /// No new connections are accepted; open ones are served.
    Closing,
    /// Each connection ends after its response.
    Ending,
}

/// The longest head of a request, and the most bytes of a response that hyper buffers: more than browsers send.
const HEAD_BYTES: usize = 32 * 1024;

/// **Threat:** text of one user runs as script in the page of another. Only the server's own files run as scripts; no other
/// site may frame the page, be its base or receive its forms.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; \
     frame-ancestors 'none'";

const COMMON_HEADERS: [(HeaderName, HeaderValue); 4] = [
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY)),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
];

/// Serves a connection to its end, or to its upgrade.
pub(crate) async fn serve(
    stream: TcpStream,
    peer: Peer,
    server: Arc<Server>,
    mut stage: watch::Receiver<Stage>,
) {
    // Without Nagle's algorithm, which delays small frames. A failure costs only this delay.
    let _ = stream.set_nodelay(true);
    let connection_deadlines = ConnectionDeadlines::new(server.timeouts);
    let io = TokioIo::new(Watched::new(stream, Arc::clone(&connection_deadlines)));
    let service =
        service_fn(|request: Request<Incoming>| respond(request, &peer, &server, &connection_deadlines));
    let connection = http1::Builder::new()
        // `ConnectionDeadlines` limits the time instead.
        .header_read_timeout(None)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(io, service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let mut alarm = pin!(sleep_until(connection_deadlines.until()));
    let mut ending = pin!(async move {
        // Resolves also when the sender was dropped.
        let _ = stage.wait_for(|stage| *stage == Stage::Ending).await;
        // Held until the connection ends: `Serving::finish` waits for it.
        stage
    });
    let mut held = None;
    poll_fn(|cx| {
        if held.is_none()
            && let Poll::Ready(stage) = ending.as_mut().poll(cx)
        {
            held = Some(stage);
            connection.as_mut().graceful_shutdown();
        }
        // An error is caused by the client, and hyper has answered it if it could.
        if connection.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        // Only that poll changes the deadline.
        let until = connection_deadlines.until();
        if alarm.deadline() != until {
            alarm.as_mut().reset(until);
        }
        alarm.as_mut().poll(cx)
    })
    .await;
}

fn respond(
    request: Request<Incoming>,
    peer: &Peer,
    server: &Arc<Server>,
    connection_deadlines: &Arc<ConnectionDeadlines>,
) -> Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>> {
    connection_deadlines.on_request();
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(peer.clone());
    let (server, connection_deadlines) = (Arc::clone(server), Arc::clone(connection_deadlines));
    Box::pin(async move {
        let mut response = server.router.clone().oneshot(request).await?;
        connection_deadlines.on_response();
        server.metrics.http_responded(response.status());
        if let Some(code) = response.extensions().get::<ErrorCode>() {
            server.metrics.error(*code);
        }
        complete(response.headers_mut());
        Ok(response)
    })
}

fn complete(headers: &mut HeaderMap) {
    headers.extend(COMMON_HEADERS);
    // By default, a response is private to its user.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}
