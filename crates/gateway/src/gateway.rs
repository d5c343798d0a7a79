//! The running gateway: the store's writer and readers, the bus and the shards, and their interface for HTTP.

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bus::LocalBus;
use domain::{CommandError, Presence, TokenHash};
use protocol::{ErrorCode, RateClass, User, UserId, UserName};
use storage::{Reader, Store, StoreError};
use tokio::sync::{OwnedRwLockReadGuard, RwLock};
use tokio::time::timeout;

use crate::commit_batch::ShardBus;
use crate::handoff::{Identity, UpgradedConnection};
use crate::metrics::Metrics;
use crate::operations::HandlerEffect;
use crate::readers::Readers;
use crate::sessions::Sessions;
use crate::shard::{HttpRequest, Rejection, Settings};
use crate::shard_thread::{self, HttpEffects, HttpWrite, ShardHandle, Shared};
use crate::writer::{self, WriterHandle};

/// The number of reader threads. Reads are short, so a few threads serve all shards; each holds its own connection to the store.
const READERS: usize = 3;
/// How many bus messages a shard may be behind before it reads from the store instead.
const INBOX: usize = 4 * 1024;
/// How long the result of a probe is reused: `/readyz` is public, and must not cost the store a write for each request.
const PROBE_TTL: Duration = Duration::from_secs(1);
/// How long a stop waits for upgrades to reach their shard: each 101 is a few bytes into an empty buffer.
const UPGRADE_TIMEOUT: Duration = Duration::from_secs(1);

/// The time and the result of the last probe; `None` before the first.
type Probed = Option<(Instant, Result<(), CommandError>)>;

/// An upgrade that has not reached its shard: a stop waits until this is dropped.
#[derive(Debug)]
pub struct UpgradeGuard {
    _permit: OwnedRwLockReadGuard<()>,
}

/// The reason why the gateway could not be started. The text and its sources are for the operator.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store could not be opened or read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store could not remove the guests who were in rooms when the process ended.
    #[error("guests of the previous run could not be removed from their rooms")]
    Cleanup(#[source] StoreError),
    /// A thread or its epoll could not be created.
    #[error(transparent)]
    Thread(#[from] io::Error),
}

/// The shards and the threads of the store. All HTTP requests share it.
pub struct Gateway {
    sessions: Arc<Sessions>,
    writer: WriterHandle,
    readers: Readers,
    shards: Vec<ShardHandle>,
    // owner: shared with the shards; held for one look-up.
    presence: Arc<Mutex<Presence>>,
    /// Ids that are reserved in the store and not assigned yet.
    user_ids: Mutex<Range<u64>>,
    probed: tokio::sync::Mutex<Probed>,
    stopping: AtomicBool,
    // owner: each upgrade holds it for reading, from before its 101 until the shard has the connection; a stop takes it for
    // writing.
    upgrade_gate: Arc<RwLock<()>>,
    metrics: Metrics,
    writer_thread: Mutex<Option<std::thread::JoinHandle<()>>>,
}

impl Gateway {
    /// Starts the threads of the store and `shards` shards, at least one. Fails if the store cannot be opened or a thread cannot
    /// be started.
    pub fn start(
        store: &dyn Store,
        shards: usize,
        settings: &Settings,
        metrics: Metrics,
    ) -> Result<Arc<Self>, StartError> {
        let mut store_writer = store.writer()?;
        writer::cleanup_transient_users(&mut *store_writer).map_err(StartError::Cleanup)?;
        let user_ids = store_writer.reserve_user_ids(writer::ID_BLOCK)?;
        let epoch = store.epoch();
        let readers = Readers::start(store, READERS)?;
        let bus: Arc<ShardBus> = Arc::new(LocalBus::new(INBOX));
        let (writer, writer_thread) = writer::start(store_writer, Arc::clone(&bus), metrics.clone())?;
        let sessions = Arc::<Sessions>::default();
        let presence = Arc::<Mutex<Presence>>::default();
        let shared = Shared {
            writer: writer.clone(),
            readers: readers.clone(),
            bus,
            presence: Arc::clone(&presence),
            sessions: Arc::clone(&sessions),
            metrics: metrics.clone(),
            started: Instant::now(),
        };
        let shards = (0..shards.max(1))
            .map(|number| {
                let settings = settings.clone();
                Ok(shard_thread::start(number, epoch.clone(), settings, shared.clone())?.0)
            })
            .collect::<io::Result<Vec<_>>>()?;
        Ok(Arc::new(Gateway {
            sessions,
            writer,
            readers,
            shards,
            presence,
            user_ids: Mutex::new(user_ids),
            probed: tokio::sync::Mutex::new(None),
            stopping: AtomicBool::new(false),
            upgrade_gate: Arc::default(),
            metrics,
            writer_thread: Mutex::new(Some(writer_thread)),
        }))
    }

    /// Permits an upgrade. The caller takes the guard before it sends the 101, and drops it after [`Self::connect`]. `None`: the
    /// server is stopping.
    pub fn begin_upgrade(&self) -> Option<UpgradeGuard> {
        let upgrade_gate = Arc::clone(&self.upgrade_gate).try_read_owned().ok()?;
        // Read while holding the gate: the stop waits for every upgrade that began before the flag was set.
        (!self.is_stopping()).then_some(UpgradeGuard { _permit: upgrade_gate })
    }

    /// Hands a connection to the shard of its user. All connections of a user are in one shard.
    pub fn connect(&self, handoff: UpgradedConnection) {
        self.shard_of(handoff.identity.user.id).connect(handoff);
    }

    /// Handles a request over HTTP on the user's shard, and waits for the writer if it writes. The effects are those that
    /// the caller applies.
    pub async fn handle(&self, request: HttpRequest) -> Result<Vec<HandlerEffect>, Rejection> {
        let shard = self.shard_of(request.identity.user.id);
        let HttpEffects { mut effects, write } = shard.handle(request).await?;
        if let Some(HttpWrite { on_reply, reply }) = write {
            let stopped = |_| Err(CommandError::from(ErrorCode::ShuttingDown));
            effects.extend(match reply.await.unwrap_or_else(stopped) {
                Ok(result) => on_reply.done(result),
                Err(error) => on_reply.failed(error),
            });
        }
        Ok(effects)
    }

    /// Returns a token of this rate class that a request over HTTP took in advance and did not need.
    pub fn refund(&self, user: UserId, class: RateClass) {
        self.shard_of(user).refund(user, class);
    }

    /// Applies a rename that was requested over HTTP to the user's connections.
    pub fn renamed(&self, user: UserId, name: UserName) {
        self.shard_of(user).renamed(user, name);
    }

    /// Calls `read` with the presence of all shards.
    pub fn presence<T>(&self, read: impl FnOnce(&mut Presence) -> T) -> T {
        read(&mut self.presence.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Calls `read` on a reader's thread. `overloaded` if too many reads wait, `shutting_down` if the threads have ended.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut dyn Reader) -> T + Send + 'static,
    ) -> Result<T, ErrorCode> {
        self.readers.read(read).await
    }

    /// The number of reads that run concurrently; further ones wait.
    pub fn reader_count(&self) -> usize {
        READERS
    }

    /// The sessions that are not in the store: not yet, or no longer.
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// The user of a session; `None` if there is no such session, or it has ended.
    pub async fn identify(&self, token: TokenHash) -> Result<Option<Identity>, CommandError> {
        if self.sessions.has_ended(&token) {
            return Ok(None);
        }
        // First the sessions that are not stored: one that is stored meanwhile is found in the store.
        if let Some(user) = self.sessions.provisional(&token) {
            return Ok(Some(Identity { user, session: Some(token), stored: false }));
        }
        let found: Result<Option<User>, StoreError> =
            self.read(move |reader| reader.user_of_session(&token)).await.map_err(CommandError::from)?;
        let user = found.map_err(|error| {
            tracing::warn!(%error, "the store could not look up a session");
            error.rejection()
        })?;
        Ok(user.map(|user| Identity { user, session: Some(token), stored: true }))
    }

    /// Ends a session. When this returns, its token is invalid and its connections are closed. A guest whose session has
    /// ended cannot return, and leaves its rooms. After an error the session has not ended.
    pub async fn end_session(&self, token: TokenHash, user: UserId) -> Result<(), CommandError> {
        // Marked first, so that no new connection uses it. The shard closes the present connections; what they requested
        // before is committed before.
        self.sessions.end(token);
        self.shard_of(user).end_session(user).await;
        let outcome = self.writer.write(writer::system_actor(), domain::EndSession { token }.into()).await;
        match &outcome {
            Ok(_) => self.sessions.ended(&token),
            Err(_) => self.sessions.end_failed(&token),
        }
        outcome.map(drop)
    }

    /// Whether the store accepts writes, as of at most a second ago.
    pub async fn probe(&self) -> Result<(), CommandError> {
        let mut probed = self.probed.lock().await;
        if let Some((at, result)) = &*probed
            && at.elapsed() < PROBE_TTL
        {
            return result.clone();
        }
        let result = self.writer.probe().await;
        *probed = Some((Instant::now(), result.clone()));
        result
    }

    /// Whether [`Self::begin_stopping`] was called: requests and upgrades are rejected.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// A user id that has never been assigned. Called on a thread of a multi-threaded runtime: one call in a thousand blocks
    /// for a commit.
    pub fn new_user_id(&self) -> Result<UserId, CommandError> {
        let mut ids = self.user_ids.lock().unwrap_or_else(PoisonError::into_inner);
        if ids.is_empty() {
            *ids = tokio::task::block_in_place(|| self.writer.user_ids())?;
        }
        ids.next().map(UserId).ok_or_else(|| CommandError::from(ErrorCode::Internal))
    }

    /// Rejects requests and upgrades from now on.
    pub fn begin_stopping(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Commits and answers the pending requests, closes every connection with a time to reconnect, and closes the store.
    pub async fn stop(&self) {
        self.begin_stopping();
        // Every connection that received 101 also receives a close frame, so in-flight upgrades reach their shards before these
        // stop. The permit is held to the end of this function.
        let _permit = timeout(UPGRADE_TIMEOUT, self.upgrade_gate.write()).await;
        for shard in &self.shards {
            shard.drain().await;
        }
        self.writer.barrier().await;
        let retry_within = retry_within(self.metrics.connections());
        let closing: Vec<_> = self.shards.iter().map(|shard| shard.close(retry_within)).collect();
        for closed in closing {
            closed.await;
        }
        self.writer.stop();
        let thread = self.writer_thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // The thread checkpoints the store before it ends.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }

    fn shard_of(&self, user: UserId) -> &ShardHandle {
        &self.shards[user.0 as usize % self.shards.len()]
    }
}

/// Spreads reconnects: at once for a few users, over many seconds for ten thousand.
fn retry_within(connections: u64) -> Duration {
    Duration::from_millis((connections * 5).max(500))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_delay_grows_with_connections() {
        assert_eq!(retry_within(3), Duration::from_millis(500));
        assert_eq!(retry_within(2_000), Duration::from_secs(10));
    }
}
