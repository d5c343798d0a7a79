//! One HTTP connection: hyper serves it while patience lasts, and every answer bears what every answer must.

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

use super::Peer;
use super::accept::Stage;
use super::connection_deadlines::{ConnectionDeadlines, Watched};
use crate::config::Timeouts;
use crate::metrics::Metrics;

/// What every connection is served with.
pub(super) struct Server {
    pub(super) router: Router,
    pub(super) timeouts: Timeouts,
    pub(super) metrics: Metrics,
}

/// The longest head of a request; also how much of an answer hyper takes over at once.
const HEAD_BYTES: usize = 32 * 1024;

/// **Threat:** text of one person running as script in the page of another. Nothing runs that is not our own file; no
/// other site may frame the page, be its base or receive its forms.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; \
     frame-ancestors 'none'";

const ALWAYS: [(HeaderName, HeaderValue); 4] = [
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY)),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
];

/// Serves a connection to its end, or to its upgrade.
pub(super) async fn serve(
    stream: TcpStream,
    peer: Peer,
    server: Arc<Server>,
    mut stage: watch::Receiver<Stage>,
) {
    // Small frames should not wait for each other; without it they only come later.
    let _ = stream.set_nodelay(true);
    let connection_deadlines = ConnectionDeadlines::new(server.timeouts);
    let io = TokioIo::new(Watched::new(stream, Arc::clone(&connection_deadlines)));
    let service =
        service_fn(|request: Request<Incoming>| answer(request, &peer, &server, &connection_deadlines));
    let connection = http1::Builder::new()
        // `ConnectionDeadlines` has the deadlines.
        .header_read_timeout(None)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(io, service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let mut alarm = pin!(sleep_until(connection_deadlines.until()));
    let mut ending = pin!(async move {
        // Also when the sender is gone.
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
        // What a client does wrong is no news to us, and hyper has told it what it could.
        if connection.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        // All that moves the deadline happens within that poll.
        let until = connection_deadlines.until();
        if alarm.deadline() != until {
            alarm.as_mut().reset(until);
        }
        alarm.as_mut().poll(cx)
    })
    .await;
}

fn answer(
    request: Request<Incoming>,
    peer: &Peer,
    server: &Arc<Server>,
    connection_deadlines: &Arc<ConnectionDeadlines>,
) -> Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>> {
    connection_deadlines.handling();
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(peer.clone());
    let (server, connection_deadlines) = (Arc::clone(server), Arc::clone(connection_deadlines));
    Box::pin(async move {
        let mut response = server.router.clone().oneshot(request).await?;
        connection_deadlines.answered();
        server.metrics.http_answered(response.status());
        if let Some(code) = response.extensions().get::<ErrorCode>() {
            server.metrics.error(*code);
        }
        complete(response.headers_mut());
        Ok(response)
    })
}

/// Adds what every answer bears.
fn complete(headers: &mut HeaderMap) {
    headers.extend(ALWAYS);
    // What is not said to be cacheable is somebody's own.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
}
