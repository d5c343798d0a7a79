//! The writer thread. It batches the requests that have arrived since the last commit, commits them together (group commit), and
//! publishes the result to every shard in commit order.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use domain::{Actor, CommandError, Operation, OperationResult, Request, RequestId};
use protocol::{ErrorCode, EventKind, Timestamp, UserId};
use storage::StoreError;
use tokio::sync::oneshot;

use crate::commit_batch::{CommitBatch, ReplyTarget, ShardBus};
use crate::critical_thread;
use crate::metrics::Metrics;

/// The maximum number of requests in a commit: enough to amortize an fsync, few enough to bound the latency.
const MAX_BATCH: usize = 1024;
/// How often an idle writer checks for a disk failure: a checkpoint may detect one after the last commit.
const FAILURE_CHECK_INTERVAL: Duration = Duration::from_secs(5);
/// The maximum number of requests that are queued or in progress. Further ones are rejected as `overloaded`.
const QUEUE_CAPACITY: usize = 16 * 1024;
/// The number of user ids that one commit reserves. A restart skips those that were not assigned.
pub(crate) const ID_BLOCK: u32 = 1024;

enum Job {
    Write { actor: Actor, operation: Operation, reply_to: ReplyTarget },
    Control(Control),
}

/// A job that is not part of a batch: the earlier writes are committed first.
enum Control {
    Probe(oneshot::Sender<Result<(), CommandError>>),
    UserIds(SyncSender<Result<std::ops::Range<u64>, CommandError>>),
    /// Answered when all earlier jobs are committed and published.
    Barrier(oneshot::Sender<()>),
    Stop,
}

/// A handle to the writer thread. Clones share its queue.
#[derive(Clone)]
pub(crate) struct WriterHandle {
    // owner: the writer thread; cap QUEUE_CAPACITY, enforced with `unfinished`; full => `overloaded`. A bounded channel would
    // allocate all its slots at the start: 3 MiB in an idle server.
    jobs: Sender<Job>,
    // owner: submitters increment, the writer thread decrements.
    unfinished: Arc<AtomicUsize>,
}

impl WriterHandle {
    /// Submits a write. Never blocks.
    pub(crate) fn submit(
        &self,
        actor: Actor,
        operation: Operation,
        reply_to: ReplyTarget,
    ) -> Result<(), ErrorCode> {
        self.try_enqueue(Job::Write { actor, operation, reply_to })
    }

    /// Submits a write and waits for its reply; `shutting_down` if the thread has ended.
    pub(crate) async fn write(
        &self,
        actor: Actor,
        operation: Operation,
    ) -> Result<OperationResult, CommandError> {
        let (sender, reply) = oneshot::channel();
        self.submit(actor, operation, ReplyTarget::Caller(sender)).map_err(CommandError::from)?;
        reply.await.unwrap_or_else(|_| Err(CommandError::from(ErrorCode::ShuttingDown)))
    }

    /// Checks that the store accepts writes.
    pub(crate) async fn probe(&self) -> Result<(), CommandError> {
        let (sender, reply) = oneshot::channel();
        self.try_enqueue(Job::Control(Control::Probe(sender))).map_err(CommandError::from)?;
        reply.await.unwrap_or_else(|_| Err(CommandError::from(ErrorCode::ShuttingDown)))
    }

    /// Waits until all earlier jobs are committed and published.
    pub(crate) async fn barrier(&self) {
        let (sender, reply) = oneshot::channel();
        self.enqueue(Job::Control(Control::Barrier(sender)));
        let _ = reply.await;
    }

    /// Reserves user ids; blocks the caller for a commit.
    pub(crate) fn user_ids(&self) -> Result<std::ops::Range<u64>, CommandError> {
        let (sender, reply) = sync_channel(1);
        self.try_enqueue(Job::Control(Control::UserIds(sender))).map_err(CommandError::from)?;
        reply.recv().unwrap_or_else(|_| Err(CommandError::from(ErrorCode::ShuttingDown)))
    }

    /// Ends the thread after all earlier jobs.
    pub(crate) fn stop(&self) {
        self.enqueue(Job::Control(Control::Stop));
    }

    /// Whether jobs are queued or in progress.
    pub(crate) fn is_busy(&self) -> bool {
        self.unfinished.load(Ordering::Relaxed) > 0
    }

    fn try_enqueue(&self, job: Job) -> Result<(), ErrorCode> {
        // Concurrent submitters may exceed the capacity by a few jobs, which is harmless: it bounds memory.
        if self.unfinished.load(Ordering::Relaxed) >= QUEUE_CAPACITY {
            return Err(ErrorCode::Overloaded);
        }
        if self.enqueue(job) { Ok(()) } else { Err(ErrorCode::ShuttingDown) }
    }

    /// Enqueues a job even if the queue is full. Returns whether the thread is running.
    fn enqueue(&self, job: Job) -> bool {
        self.unfinished.fetch_add(1, Ordering::Relaxed);
        self.jobs.send(job).is_ok()
    }
}

pub(crate) fn start(
    writer: Box<dyn storage::Writer>,
    bus: Arc<ShardBus>,
    metrics: Metrics,
) -> std::io::Result<(WriterHandle, JoinHandle<()>)> {
    let (jobs, inbox) = channel();
    let unfinished = Arc::<AtomicUsize>::default();
    let pipeline = CommitPipeline { writer, bus, metrics };
    let writer_thread = WriterThread {
        pipeline,
        unfinished: Arc::clone(&unfinished),
        failure_check_interval: FAILURE_CHECK_INTERVAL,
    };
    let thread = critical_thread::spawn("writer".to_owned(), move || writer_thread.run(&inbox))?;
    Ok((WriterHandle { jobs, unfinished }, thread))
}

struct WriterThread {
    pipeline: CommitPipeline,
    unfinished: Arc<AtomicUsize>,
    /// See [`FAILURE_CHECK_INTERVAL`].
    failure_check_interval: Duration,
}

impl WriterThread {
    fn run(mut self, inbox: &Receiver<Job>) {
        let mut running = true;
        while running {
            let first = match inbox.recv_timeout(self.failure_check_interval) {
                Ok(first) => first,
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    if let Some(error) = self.pipeline.writer.failure() {
                        end_process(&error.to_string());
                    }
                    continue;
                }
            };
            let (mut requests, mut reply_to) = (Vec::new(), Vec::new());
            let (mut control, mut taken) = (None, 0);
            for job in std::iter::once(first).chain(inbox.try_iter()) {
                taken += 1;
                match job {
                    Job::Write { actor, operation, reply_to: to } => {
                        requests.push(Request {
                            request_id: RequestId(requests.len() as u64),
                            actor,
                            operation,
                        });
                        reply_to.push(to);
                    }
                    Job::Control(job) => {
                        control = Some(job);
                        break;
                    }
                }
                if requests.len() == MAX_BATCH {
                    break;
                }
            }
            if !requests.is_empty() {
                self.commit(requests, reply_to);
            }
            if let Some(job) = control {
                running = self.run_control(job);
            }
            self.unfinished.fetch_sub(taken, Ordering::Relaxed);
        }
        if let Err(error) = self.pipeline.writer.checkpoint() {
            tracing::warn!(%error, "the write-ahead log could not be copied into the database; the next start copies it");
        }
    }

    /// Returns whether the thread continues.
    fn run_control(&mut self, job: Control) -> bool {
        match job {
            Control::Probe(reply) => {
                let _ = reply.send(self.pipeline.writer.probe(wall_clock()).map_err(|error| report(&error)));
            }
            Control::UserIds(reply) => {
                let _ = reply
                    .send(self.pipeline.writer.reserve_user_ids(ID_BLOCK).map_err(|error| report(&error)));
            }
            Control::Barrier(reply) => {
                let _ = reply.send(());
            }
            Control::Stop => return false,
        }
        true
    }

    fn commit(&mut self, requests: Vec<Request>, reply_to: Vec<ReplyTarget>) {
        if let Some(reason) = self.pipeline.commit(wall_clock(), requests, reply_to) {
            end_process(&reason);
        }
    }
}

/// Commits and publishes; separate from the thread, so that the simulation runs it in virtual time.
pub(crate) struct CommitPipeline {
    pub(crate) writer: Box<dyn storage::Writer>,
    pub(crate) bus: Arc<ShardBus>,
    pub(crate) metrics: Metrics,
}

impl CommitPipeline {
    /// Commits and publishes a batch. Returns a reason if the process must exit.
    ///
    /// **Invariant:** shards receive commit batches in commit order: only the owner of the pipeline publishes them. Shards publish
    /// ephemeral frames themselves, which have no order among the events.
    pub(crate) fn commit(
        &mut self,
        now: Timestamp,
        requests: Vec<Request>,
        reply_to: Vec<ReplyTarget>,
    ) -> Option<String> {
        let started = Instant::now();
        #[cfg(feature = "fault-injection")]
        let sends = crate::fault_injection::sends(&requests);
        let mut batch = self.writer.commit(now, requests);
        #[cfg(feature = "fault-injection")]
        crate::fault_injection::acknowledge(&mut batch, &sends);
        self.metrics.committed(started.elapsed());
        for text in &batch.internal {
            tracing::error!(reason = %text, "the store could not execute a request");
        }
        let fatal = batch.fatal.take();
        let messages =
            batch.events.iter().filter(|event| matches!(event.kind, EventKind::Message { .. })).count();
        self.metrics.messages(messages as u64);
        CommitBatch::new(batch, reply_to).publish(&*self.bus);
        fatal
    }
}

/// Removes the transient guests of a killed process from their rooms, before the first connection.
pub(crate) fn cleanup_transient_users(writer: &mut dyn storage::Writer) -> Result<(), StoreError> {
    writer.cleanup_transient_users(wall_clock()).map(drop)
}

/// The actor of requests that belong to no user.
pub(crate) fn system_actor() -> Actor {
    // "-" is a valid name (`system_actor_has_a_valid_name`).
    let name = protocol::UserName::new("-").expect("a hyphen is a valid name");
    Actor { user: protocol::User { id: UserId(0), name }, registration: None }
}

fn report(error: &StoreError) -> CommandError {
    tracing::error!(reason = %error, "the store could not execute a request");
    if let Some(reason) = error.fatal() {
        end_process(&reason);
    }
    error.rejection()
}

/// Exits. After a failed fsync the contents of the disk are unknown, and further acknowledgements could be false.
fn end_process(reason: &str) -> ! {
    tracing::error!(%reason, "the disk cannot be trusted any more; the process exits and needs a restart");
    std::process::exit(70);
}

fn wall_clock() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use bus::LocalBus;
    use storage::Batch;

    use super::*;

    /// A store whose checkpoint has detected a disk failure.
    struct FailedStore;

    impl storage::Writer for FailedStore {
        fn commit(&mut self, _: Timestamp, _: Vec<Request>) -> Batch {
            Batch::default()
        }
        fn probe(&mut self, _: Timestamp) -> Result<(), StoreError> {
            Ok(())
        }
        fn checkpoint(&mut self) -> Result<(), StoreError> {
            Ok(())
        }
        fn failure(&self) -> Option<StoreError> {
            Some(StoreError::Fatal("fsync".to_owned()))
        }
        fn reserve_user_ids(&mut self, _: u32) -> Result<Range<u64>, StoreError> {
            Ok(1..2)
        }
        fn cleanup_transient_users(&mut self, _: Timestamp) -> Result<Batch, StoreError> {
            Ok(Batch::default())
        }
    }

    #[test]
    fn disk_failure_found_while_idle_ends_the_process() {
        let name = "writer::tests::disk_failure_found_while_idle_ends_the_process";
        let ended = critical_thread::tests::in_own_process(name, || {
            let pipeline = CommitPipeline {
                writer: Box::new(FailedStore),
                bus: Arc::new(LocalBus::new(1)),
                metrics: Metrics::default(),
            };
            let writer_thread = WriterThread {
                pipeline,
                unfinished: Arc::default(),
                failure_check_interval: Duration::from_millis(1),
            };
            let (jobs, inbox) = channel();
            // Without a failure check, this stops the thread, and the test fails.
            let stop = std::thread::spawn(move || {
                std::thread::sleep(Duration::from_secs(10));
                drop(jobs.send(Job::Control(Control::Stop)));
            });
            writer_thread.run(&inbox);
            drop(stop.join());
        });
        assert_eq!(ended, Some(70));
    }

    #[test]
    fn writer_queue_beyond_its_bound_is_overloaded() {
        let (jobs, inbox) = channel();
        let handle = WriterHandle { jobs, unfinished: Arc::default() };
        let submit = || {
            let (reply, _) = oneshot::channel();
            handle.submit(system_actor(), domain::LeaveAll.into(), ReplyTarget::Caller(reply))
        };
        for _ in 0..16_384 {
            assert_eq!(submit(), Ok(()));
        }
        assert_eq!(submit(), Err(ErrorCode::Overloaded));
        assert_eq!(inbox.try_iter().count(), 16_384);
        drop(inbox);
        handle.unfinished.store(0, Ordering::Relaxed);
        assert_eq!(submit(), Err(ErrorCode::ShuttingDown));
    }

    #[test]
    fn system_actor_has_a_valid_name() {
        assert_eq!(super::system_actor().user.name.as_str(), "-");
    }
}
