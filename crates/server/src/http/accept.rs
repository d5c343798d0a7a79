//! The listening socket and the loop that accepts; how connections are turned away, and how all of it ends.

use std::fs;
use std::io::{self, ErrorKind, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use protocol::ErrorCode;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

use super::connection::{self, Server};
use super::connection_limiter::ConnectionLimiter;
use super::{Address, ApiError, Peer, health};
use crate::config::Config;

/// Connections that wait for us to accept them: many come back at once after a restart. The kernel has a cap of its own.
const BACKLOG: i32 = 4096;

/// What the kernel may hold for a connection and has not sent: two turns of its (`shard/walk.rs`). Left alone it holds some MiB
/// for each that stopped reading, and a thousand of those would cost more than all the rest of the server.
const UNSENT: u32 = 128 * 1024;

/// After an accept that failed for want of something: long enough not to spin, short enough not to be noticed.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// At the brink every other accept fails: the log need not hear of each.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Who is turned away may take so long to say something, and to hear it; else the kernel would drop our answer with a reset.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);

/// As many at a time; who comes beyond is told as well, without our waiting for them to listen. Where few files may be open, an
/// eighth of them.
const LISTENING: u64 = 64;

/// Files that are opened later and are no connections: the one that is being turned away, a database that is reopened.
const SPARE_FILES: u64 = 16;

/// What is open before the first connection comes, where that cannot be counted: the database once for each who reads or writes
/// it, epolls, standard streams.
const USUAL_FILES: u64 = 64;

/// Where the server's life stands, as seen from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Accepting.
    Open,
    /// Accepting no more; those who are here are served.
    Closing,
    /// Each connection ends when it has its answer.
    Ending,
}

/// The accept loop and its connections.
pub(crate) struct Serving {
    stage: watch::Sender<Stage>,
}

impl Serving {
    /// Lets go of the port. Connections that are here are served on, so that `/readyz` can say how things stand.
    pub(crate) fn accept_no_more(&self) {
        self.stage.send_replace(Stage::Closing);
    }

    /// Lets requests in flight finish, and ends all HTTP connections.
    pub(crate) async fn finish(self, connection_deadlines: Duration) {
        self.stage.send_replace(Stage::Ending);
        // Each connection holds a receiver until it ends. Who is late is cut off with the runtime.
        let _ = timeout(connection_deadlines, self.stage.closed()).await;
    }
}

/// Binds the port, or says in one line why not.
pub(crate) fn listen(address: SocketAddr) -> Result<TcpListener> {
    let listener = match bind(address) {
        // A machine without IPv6 still has all its addresses.
        Err(error) if address.ip().is_unspecified() && address.is_ipv6() && is_no_ipv6(&error) => {
            bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port())))
        }
        other => other,
    };
    let listener = listener.map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => anyhow!(
            "cannot listen on {address}: address in use; is another server running? choose another with --listen"
        ),
        ErrorKind::PermissionDenied => anyhow!(
            "cannot listen on {address}: permission denied; ports below 1024 need privileges, choose another with --listen"
        ),
        ErrorKind::AddrNotAvailable => {
            anyhow!("cannot listen on {address}: this machine has no such address; choose another with --listen")
        }
        _ => anyhow!("cannot listen on {address}: {error}"),
    })?;
    TcpListener::from_std(listener).context("cannot listen")
}

fn bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // After a restart the old connections' last packets may still hold the port.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        socket.set_only_v6(false)?;
    }
    // Its connections inherit it.
    socket.set_tcp_notsent_lowat(UNSENT)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn is_no_ipv6(error: &io::Error) -> bool {
    // EAFNOSUPPORT: the kernel has none. EADDRNOTAVAIL: it is switched off.
    error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error())
        || error.kind() == ErrorKind::AddrNotAvailable
}

/// Each connection is a file, and many systems begin with 1,024.
pub(crate) fn raise_file_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        tracing::warn!(%error, current, "cannot raise the limit of open files");
    }
}

/// How many connections there is room for, and how many more that are told no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    pub(super) connections: u32,
    listening: usize,
}

impl Room {
    /// No more than the configuration says, and no more than files can be open: a connection that cannot be accepted cannot be
    /// told no, and a store that finds no file fails. To be asked when all else is open.
    pub(super) fn measure(config: &Config) -> Self {
        let wanted = config.limits.connections;
        let limit = getrlimit(Resource::Nofile).current;
        // The one that counts is among them.
        let open = fs::read_dir("/proc/self/fd").map_or(USUAL_FILES, |open| open.count() as u64);
        let room =
            limit.map_or(Self::of(wanted, u64::MAX), |limit| Self::of(wanted, limit.saturating_sub(open)));
        if config.limits.enabled && room.connections < wanted {
            tracing::warn!(
                limit,
                connections = room.connections,
                wanted,
                "fewer open files are allowed than limits.connections needs; raise the hard limit (ulimit -Hn)"
            );
        }
        room
    }

    pub(super) fn of(wanted: u32, files: u64) -> Self {
        let listening = LISTENING.min(files / 8);
        let left = files.saturating_sub(listening + SPARE_FILES).max(1);
        // At most 64.
        Room {
            connections: u32::try_from(left).unwrap_or(u32::MAX).min(wanted),
            listening: listening as usize,
        }
    }
}

/// Accepts until told otherwise.
pub(super) fn serve(
    listener: TcpListener,
    server: Server,
    connection_limiter: Arc<ConnectionLimiter>,
    room: Room,
) -> Serving {
    let (stage, watched) = watch::channel(Stage::Open);
    let listening = Arc::new(Semaphore::new(room.listening));
    tokio::spawn(accept(listener, Arc::new(server), connection_limiter, listening, watched));
    Serving { stage }
}

async fn accept(
    listener: TcpListener,
    server: Arc<Server>,
    connection_limiter: Arc<ConnectionLimiter>,
    listening: Arc<Semaphore>,
    mut stage: watch::Receiver<Stage>,
) {
    let (mut failing, mut full) = (LogThrottle::default(), LogThrottle::default());
    loop {
        let accepted = tokio::select! {
            // Also when the sender is gone.
            _ = stage.wait_for(|stage| *stage != Stage::Open) => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            // The client gave up while it waited: nothing is wrong here.
            Err(error)
                if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset) =>
            {
                continue;
            }
            Err(error) => {
                // Out of files or memory: the waiting connection stays, so the next accept fails at once as well.
                if failing.may_speak() {
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
            Err(refusal) => {
                server.metrics.error(refusal.code);
                if refusal.code == ErrorCode::Overloaded && full.may_speak() {
                    tracing::warn!("connections are turned away: there are as many as the server takes");
                }
                // A stream that cannot be written to needs no answer.
                let _ = reject(stream, &refusal, &listening);
            }
        }
    }
}

/// Something that is told once, and again when it still goes on much later.
#[derive(Default)]
struct LogThrottle(Option<Instant>);

impl LogThrottle {
    fn may_speak(&mut self) -> bool {
        let may = self.0.is_none_or(|said| said.elapsed() > LOG_INTERVAL);
        if may {
            self.0 = Some(Instant::now());
        }
        may
    }
}

/// Answers a connection that finds no place.
fn reject(stream: TcpStream, refusal: &ApiError, listening: &Arc<Semaphore>) -> io::Result<()> {
    let refusal = refusal.to_bytes();
    let Ok(place) = Arc::clone(listening).try_acquire_owned() else {
        // A few hundred bytes into an empty buffer: taken at once or not at all.
        return stream.into_std()?.write_all(&refusal);
    };
    tokio::spawn(async move {
        let _place = place;
        // A peer that cannot be written to needs no reply.
        let _ = timeout(2 * DRAIN_TIMEOUT, hear_and_refuse(stream, &refusal)).await;
    });
    Ok(())
}

/// A supervisor that is told no would end a process that is merely full: it hears what it asks for.
async fn hear_and_refuse(mut stream: TcpStream, refusal: &[u8]) -> io::Result<()> {
    let mut heard = [0; 1024];
    let read = timeout(DRAIN_TIMEOUT, stream.read(&mut heard)).await.unwrap_or(Ok(0))?;
    let answer = if heard[..read].starts_with(health::ASKS_WHETHER_ALIVE) { health::ALIVE } else { refusal };
    stream.write_all(answer).await?;
    stream.shutdown().await?;
    while stream.read(&mut heard).await? > 0 {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_may_be_open_bound_the_connections() {
        let room = |wanted, files| {
            let room = Room::of(wanted, files);
            (room.connections, room.listening)
        };
        assert_eq!(room(10_000, 1_000_000), (10_000, 64));
        assert_eq!(room(u32::MAX, u64::MAX), (u32::MAX, 64));
        assert_eq!(room(10_000, 1_024), (944, 64));
        assert_eq!(room(10_000, 228), (184, 28));
        assert_eq!(room(100, 228), (100, 28));
        // Somebody has to come in to see that there is no room.
        assert_eq!(room(10_000, 0), (1, 0));
    }
}
