//! The deadlines of a connection: for its first byte, for the head of a request, for the response, between requests.
//!
//! hyper has one deadline, for heads, which also applies between requests. The server needs several, among them one for a client
//! that reads nothing of its response. So the stream itself reports its reads and writes.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::Timeouts;

/// A handler that takes longer has a defect: the slowest one, a logout, waits until sockets are closed, for five seconds.
const HANDLER_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(crate) struct ConnectionDeadlines {
    timeouts: Timeouts,
    // owner: the task that drives the connection; never contended, a mutex only because the task may move between threads.
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug)]
struct State {
    phase: Phase,
    until: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// No byte has arrived.
    Silent,
    /// A request head has started to arrive.
    Head,
    Handling,
    /// The response is being sent or was sent, and no further request has started.
    Responding,
}

impl ConnectionDeadlines {
    /// The deadlines of a connection that was just accepted.
    pub(crate) fn new(timeouts: Timeouts) -> Arc<Self> {
        let until = Instant::now() + timeouts.first_byte;
        Arc::new(ConnectionDeadlines { timeouts, state: Mutex::new(State { phase: Phase::Silent, until }) })
    }

    /// The deadline of the current phase. It changes when the stream is polled.
    pub(crate) fn until(&self) -> Instant {
        self.state().until
    }

    /// A whole head has arrived.
    pub(crate) fn on_request(&self) {
        self.begin(Phase::Handling, HANDLER_TIMEOUT);
    }

    /// The response is ready to be sent.
    pub(crate) fn on_response(&self) {
        self.begin(Phase::Responding, self.timeouts.keep_alive);
    }

    pub(crate) fn on_read(&self) {
        // A further byte of the same head does not extend the deadline.
        if matches!(self.state().phase, Phase::Silent | Phase::Responding) {
            self.begin(Phase::Head, self.timeouts.headers);
        }
    }

    pub(crate) fn on_write(&self) {
        // A slow reader may take any time, as long as it reads.
        if self.state().phase == Phase::Responding {
            self.begin(Phase::Responding, self.timeouts.keep_alive);
        }
    }

    fn begin(&self, phase: Phase, limit: Duration) {
        *self.state() = State { phase, until: Instant::now() + limit };
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The state is only assigned as a whole, so a panic leaves it valid.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A TCP stream that reports its reads and writes to [`ConnectionDeadlines`].
#[derive(Debug)]
pub(crate) struct Watched {
    stream: TcpStream,
    connection_deadlines: Arc<ConnectionDeadlines>,
}

impl Watched {
    pub(crate) fn new(stream: TcpStream, connection_deadlines: Arc<ConnectionDeadlines>) -> Self {
        Watched { stream, connection_deadlines }
    }

    /// Ends the reports: after an upgrade, the shard has its own deadlines.
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
