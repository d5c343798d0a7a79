//! The listening socket, the accept loop, and the rejection of connections beyond the limits.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::ErrorCode;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

use crate::connection::{self, Server, Stage};
use crate::connection_limiter::ConnectionLimiter;
use crate::{Address, ApiError, Peer, health};

/// Connections that wait to be accepted: many clients reconnect at once after a restart. The kernel has its own limit.
const BACKLOG: i32 = 4096;

/// The most unsent bytes that the kernel buffers for a connection: two turns of a fan-out (`crates/gateway/src/shard/writing.rs`).
/// By default the kernel buffers some MiB for a client that stops reading, and a thousand of those would need more memory than
/// the server.
const UNSENT: u32 = 128 * 1024;

/// The delay after an accept that failed for lack of files or memory: the loop must not spin, and clients must not wait long.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// At a limit many accepts fail per second; the log receives one line per interval.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// How long a rejected client may take to send its request, and to read the response. Without reading the request first the
/// kernel would reset the connection and drop the response.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// The most rejections in progress; each is an open file, so at most an eighth of the files that may be open. Beyond it, a client
/// receives its response before its request is read.
const MAX_REJECTIONS: u64 = 64;

/// Files that are opened later and are not admitted connections: the connection that is being rejected, a database that is
/// reopened.
const SPARE_FILES: u64 = 16;

/// An estimate of the files that are open before the first connection, for systems without `/proc`: the database once for each
/// reader and writer, epoll instances, standard streams.
const USUAL_FILES: u64 = 64;

/// The accept loop and its connections.
pub struct Serving {
    stage: watch::Sender<Stage>,
}

impl Serving {
    /// Closes the port. Open connections are still served, so that `/readyz` can report that the server is stopping.
    pub fn stop_accepting(&self) {
        self.stage.send_replace(Stage::Closing);
    }

    /// Lets requests in flight finish, and ends all HTTP connections.
    pub async fn finish(self, limit: Duration) {
        self.stage.send_replace(Stage::Ending);
        // Each connection holds a receiver until it ends. One that takes longer ends with the runtime.
        let _ = timeout(limit, self.stage.closed()).await;
    }
}

/// Binds the port; the error is one line for the operator.
pub fn listen(address: SocketAddr) -> Result<TcpListener, ListenError> {
    let listener = match bind(address) {
        // On a machine without IPv6, `[::]` means all IPv4 addresses.
        Err(error) if address.ip().is_unspecified() && address.is_ipv6() && is_no_ipv6(&error) => {
            bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port())))
        }
        other => other,
    };
    let listener = listener.map_err(|source| match source.kind() {
        ErrorKind::AddrInUse => ListenError::InUse { address },
        ErrorKind::PermissionDenied => ListenError::PermissionDenied { address },
        ErrorKind::AddrNotAvailable => ListenError::NoSuchAddress { address },
        _ => ListenError::Bind { address, source },
    })?;
    TcpListener::from_std(listener).map_err(ListenError::Register)
}

/// The reason why the port could not be bound. The text and its source are for the operator.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Another socket listens on the address.
    #[error(
        "cannot listen on {address}: address in use; is another server running? choose another with --listen"
    )]
    InUse {
        /// The configured address.
        address: SocketAddr,
    },
    /// The port is privileged.
    #[error(
        "cannot listen on {address}: permission denied; ports below 1024 need privileges, choose another with --listen"
    )]
    PermissionDenied {
        /// The configured address.
        address: SocketAddr,
    },
    /// No interface of this machine has the address.
    #[error("cannot listen on {address}: this machine has no such address; choose another with --listen")]
    NoSuchAddress {
        /// The configured address.
        address: SocketAddr,
    },
    /// The socket could not be created or bound for another reason.
    #[error("cannot listen on {address}")]
    Bind {
        /// The configured address.
        address: SocketAddr,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The socket could not be registered with the runtime.
    #[error("cannot listen")]
    Register(#[source] io::Error),
}

fn bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // After a restart the old connections' last packets may still hold the port.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        socket.set_only_v6(false)?;
    }
    // Accepted connections inherit the option.
    socket.set_tcp_notsent_lowat(UNSENT)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn is_no_ipv6(error: &io::Error) -> bool {
    // EAFNOSUPPORT: the kernel has no IPv6. EADDRNOTAVAIL: IPv6 is disabled.
    error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error())
        || error.kind() == ErrorKind::AddrNotAvailable
}

/// Raises the limit of open files: each connection is a file, and many systems start with 1,024.
pub fn raise_file_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        tracing::warn!(%error, current, "cannot raise the limit of open files");
    }
}

/// How many connections are accepted, and how many more are rejected at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Capacity {
    pub(crate) connections: u32,
    rejections: usize,
}

impl Capacity {
    /// At most `wanted`, the configured number, and at most the number of files that can be opened: a connection that cannot be
    /// accepted cannot be rejected, and a store that cannot open a file fails. Call it when all other files are open.
    pub(crate) fn measure(wanted: u32) -> Self {
        let limit = getrlimit(Resource::Nofile).current;
        // Includes the folder that is being read.
        let open = fs::read_dir("/proc/self/fd").map_or(USUAL_FILES, |open| open.count() as u64);
        let capacity =
            limit.map_or(Self::of(wanted, u64::MAX), |limit| Self::of(wanted, limit.saturating_sub(open)));
        // `u32::MAX` means that the limit is disabled.
        if capacity.connections < wanted && wanted < u32::MAX {
            tracing::warn!(
                limit,
                connections = capacity.connections,
                wanted,
                "fewer open files are allowed than limits.connections needs; raise the hard limit (ulimit -Hn)"
            );
        }
        capacity
    }

    pub(crate) fn of(wanted: u32, files: u64) -> Self {
        let rejections = MAX_REJECTIONS.min(files / 8);
        let left = files.saturating_sub(rejections + SPARE_FILES).max(1);
        Capacity {
            connections: u32::try_from(left).unwrap_or(u32::MAX).min(wanted),
            // At most MAX_REJECTIONS: the cast is lossless.
            rejections: rejections as usize,
        }
    }
}

pub(crate) fn serve(
    listener: TcpListener,
    server: Server,
    connection_limiter: Arc<ConnectionLimiter>,
    capacity: Capacity,
) -> Serving {
    let (stage, watched) = watch::channel(Stage::Open);
    let rejections = Arc::new(Semaphore::new(capacity.rejections));
    tokio::spawn(accept(listener, Arc::new(server), connection_limiter, rejections, watched));
    Serving { stage }
}

async fn accept(
    listener: TcpListener,
    server: Arc<Server>,
    connection_limiter: Arc<ConnectionLimiter>,
    rejections: Arc<Semaphore>,
    mut stage: watch::Receiver<Stage>,
) {
    let (mut failing, mut full) = (LogThrottle::default(), LogThrottle::default());
    loop {
        let accepted = tokio::select! {
            // Resolves also when the sender was dropped.
            _ = stage.wait_for(|stage| *stage != Stage::Open) => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            // The client disconnected while it waited in the backlog.
            Err(error)
                if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset) =>
            {
                continue;
            }
            Err(error) => {
                // Out of files or memory: the connection stays in the backlog, so the next accept would fail at once.
                if failing.may_log() {
                    tracing::error!(%error, "cannot accept connections");
                }
                sleep(ACCEPT_RETRY_DELAY).await;
                continue;
            }
        };
        let address = Address::from(peer.ip());
        match connection_limiter.admit(address) {
            Ok(permit) => {
                let peer = Peer { address, permit };
                tokio::spawn(connection::serve(stream, peer, Arc::clone(&server), stage.clone()));
            }
            Err(rejection) => {
                server.metrics.error(rejection.code);
                if rejection.code == ErrorCode::Overloaded && full.may_log() {
                    tracing::warn!("connections are rejected: limits.connections is reached");
                }
                // An error means that the client has disconnected.
                let _ = reject(stream, &rejection, &rejections);
            }
        }
    }
}

/// Permits one log line per [`LOG_INTERVAL`].
#[derive(Default)]
struct LogThrottle(Option<Instant>);

impl LogThrottle {
    fn may_log(&mut self) -> bool {
        let may = self.0.is_none_or(|logged| logged.elapsed() > LOG_INTERVAL);
        if may {
            self.0 = Some(Instant::now());
        }
        may
    }
}

fn reject(stream: TcpStream, rejection: &ApiError, rejections: &Arc<Semaphore>) -> io::Result<()> {
    let rejection = rejection.to_bytes();
    let Ok(permit) = Arc::clone(rejections).try_acquire_owned() else {
        // Does not block: a few hundred bytes fit into an empty send buffer.
        return stream.into_std()?.write_all(&rejection);
    };
    tokio::spawn(async move {
        let _permit = permit;
        // An error means that the client has disconnected, or does not read.
        let _ = timeout(2 * DRAIN_TIMEOUT, read_and_reject(stream, &rejection)).await;
    });
    Ok(())
}

/// Reads the request first: a health check must succeed, or its supervisor would end a process that is only at its limit.
async fn read_and_reject(mut stream: TcpStream, rejection: &[u8]) -> io::Result<()> {
    let mut request = [0; 1024];
    let read = timeout(DRAIN_TIMEOUT, stream.read(&mut request)).await.unwrap_or(Ok(0))?;
    let response = if request[..read].starts_with(health::REQUEST_LINE) { health::ALIVE } else { rejection };
    stream.write_all(response).await?;
    stream.shutdown().await?;
    while stream.read(&mut request).await? > 0 {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_file_limit_bounds_the_connections() {
        let capacity = |wanted, files| {
            let capacity = Capacity::of(wanted, files);
            (capacity.connections, capacity.rejections)
        };
        assert_eq!(capacity(10_000, 1_000_000), (10_000, 64));
        assert_eq!(capacity(u32::MAX, u64::MAX), (u32::MAX, 64));
        assert_eq!(capacity(10_000, 1_024), (944, 64));
        assert_eq!(capacity(10_000, 228), (184, 28));
        assert_eq!(capacity(100, 228), (100, 28));
        // Without any files to spare, one connection is accepted.
        assert_eq!(capacity(10_000, 0), (1, 0));
    }
}
