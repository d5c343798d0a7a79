//! When the patience with a connection ends: for its first byte, for a request's head, for the answer, between requests.
//!
//! hyper has one deadline, for heads, which also runs between requests; we want several, and the same for a client that
//! takes not a byte of what it asked for. So the stream itself notes what comes and goes.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::config::Timeouts;

/// A handler that takes longer than this has a defect: the slowest one waits for sockets to close, five seconds.
const HANDLING: Duration = Duration::from_secs(30);

/// How a connection stands, and until when it may stand so.
#[derive(Debug)]
pub(crate) struct ConnectionDeadlines {
    timeouts: Timeouts,
    // owner: the one task that drives the connection; a mutex only because the stream may move between threads.
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug)]
struct State {
    phase: Phase,
    until: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing has come yet.
    Silent,
    /// A request head has started to arrive.
    Head,
    /// A handler is at work.
    Handling,
    /// The answer is on its way, or was sent, and no further request has started.
    Answered,
}

impl ConnectionDeadlines {
    /// For a connection that was just accepted.
    pub(crate) fn new(timeouts: Timeouts) -> Arc<Self> {
        let until = Instant::now() + timeouts.first_byte;
        Arc::new(ConnectionDeadlines { timeouts, state: Mutex::new(State { phase: Phase::Silent, until }) })
    }

    /// When it ends, as things stand.
    pub(crate) fn until(&self) -> Instant {
        self.state().until
    }

    /// A whole head has come.
    pub(crate) fn handling(&self) {
        self.begin(Phase::Handling, HANDLING);
    }

    /// The answer is known.
    pub(crate) fn answered(&self) {
        self.begin(Phase::Answered, self.timeouts.http_keep_alive);
    }

    pub(super) fn on_read(&self) {
        // A byte more of the same head buys no more time.
        if matches!(self.state().phase, Phase::Silent | Phase::Answered) {
            self.begin(Phase::Head, self.timeouts.headers);
        }
    }

    pub(super) fn on_write(&self) {
        // A slow reader has as long as it reads.
        if self.state().phase == Phase::Answered {
            self.begin(Phase::Answered, self.timeouts.http_keep_alive);
        }
    }

    fn begin(&self, phase: Phase, connection_deadlines: Duration) {
        *self.state() = State { phase, until: Instant::now() + connection_deadlines };
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A plain assignment cannot be left half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A TCP stream that tells [`ConnectionDeadlines`] what comes and goes.
#[derive(Debug)]
pub(crate) struct Watched {
    stream: TcpStream,
    connection_deadlines: Arc<ConnectionDeadlines>,
}

impl Watched {
    /// Watches a stream.
    pub(crate) fn new(stream: TcpStream, connection_deadlines: Arc<ConnectionDeadlines>) -> Self {
        Watched { stream, connection_deadlines }
    }

    /// The stream, watched no more.
    pub(crate) fn into_stream(self) -> TcpStream {
        self.stream
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        if buffer.filled().len() > before {
            self.connection_deadlines.on_read();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        self.connection_deadlines.on_write();
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, slices))?;
        self.connection_deadlines.on_write();
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
