//! The thread that owns the store's writer: it gathers what has come since the last commit, commits it at once, and then, in
//! commit order, tells every shard.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use protocol::{ErrorCode, EventKind, Timestamp, UserId};
use storage::{Actor, CommandError, Operation, OperationResult, Request, RequestId, StoreError};
use tokio::sync::oneshot;

use crate::command_error::command_error;
use crate::commit_batch::{CommitBatch, ReplyTarget, RoundBus};
use crate::critical_thread;
use crate::metrics::Metrics;

/// How many requests one commit may hold: enough to spread an fsync thin, few enough to answer soon.
const BATCH: usize = 1024;
/// A checkpoint may find out after the last commit that the disk cannot be trusted: so often it is asked for when nobody writes.
const IDLE: Duration = Duration::from_secs(5);
/// How many requests may wait or be under way. Beyond, the answer is `overloaded`.
const QUEUE: usize = 16 * 1024;
/// User ids are set aside in blocks of this size: a commit for each block, and ids are 64 bits wide.
pub(crate) const ID_BLOCK: u32 = 1024;

enum Job {
    Write {
        actor: Actor,
        operation: Operation,
        reply_to: ReplyTarget,
    },
    Probe(oneshot::Sender<Result<(), CommandError>>),
    UserIds(SyncSender<Result<std::ops::Range<u64>, CommandError>>),
    /// Answered when everything before it is committed and published.
    Barrier(oneshot::Sender<()>),
    Stop,
}

/// The way to the writer's thread.
#[derive(Clone)]
pub(crate) struct WriterHandle {
    // owner: the writer's thread; cap QUEUE, held by `unfinished`; full => `overloaded`. A bounded channel would hold the memory
    // of all its places from the start: 3 MiB of an idle server.
    jobs: Sender<Job>,
    // owner: whoever asks adds, the writer's thread takes away.
    unfinished: Arc<AtomicUsize>,
}

impl WriterHandle {
    /// Asks for a write. Never blocks.
    pub(crate) fn submit(
        &self,
        actor: Actor,
        operation: Operation,
        reply_to: ReplyTarget,
    ) -> Result<(), ErrorCode> {
        self.job(Job::Write { actor, operation, reply_to })
    }

    /// Asks for a write, and waits for its answer.
    pub(crate) async fn write(
        &self,
        actor: Actor,
        operation: Operation,
    ) -> Result<OperationResult, CommandError> {
        let (reply, answer) = oneshot::channel();
        self.submit(actor, operation, ReplyTarget::ReplySender(reply)).map_err(command_error)?;
        answer.await.unwrap_or_else(|_| Err(command_error(ErrorCode::ShuttingDown)))
    }

    /// Whether the store takes writes now.
    pub(crate) async fn probe(&self) -> Result<(), CommandError> {
        let (reply, answer) = oneshot::channel();
        self.job(Job::Probe(reply)).map_err(command_error)?;
        answer.await.unwrap_or_else(|_| Err(command_error(ErrorCode::ShuttingDown)))
    }

    /// Waits until everything that was asked before is committed and published.
    pub(crate) async fn barrier(&self) {
        let (reply, answer) = oneshot::channel();
        self.put(Job::Barrier(reply));
        let _ = answer.await;
    }

    /// Sets user ids aside; blocks the caller for a commit.
    pub(crate) fn user_ids(&self) -> Result<std::ops::Range<u64>, CommandError> {
        let (reply, answer) = sync_channel(1);
        self.job(Job::UserIds(reply)).map_err(command_error)?;
        answer.recv().unwrap_or_else(|_| Err(command_error(ErrorCode::ShuttingDown)))
    }

    /// Ends the thread after what was asked before.
    pub(crate) fn stop(&self) {
        self.put(Job::Stop);
    }

    /// Whether it has something to do.
    pub(crate) fn is_busy(&self) -> bool {
        self.unfinished.load(Ordering::Relaxed) > 0
    }

    fn job(&self, job: Job) -> Result<(), ErrorCode> {
        // Several may look at once and all go in: the bound is one of memory, and a few more are no harm.
        if self.unfinished.load(Ordering::Relaxed) >= QUEUE {
            return Err(ErrorCode::Overloaded);
        }
        if self.put(job) { Ok(()) } else { Err(ErrorCode::ShuttingDown) }
    }

    /// Also into a full queue. Whether the thread is there to take it.
    fn put(&self, job: Job) -> bool {
        self.unfinished.fetch_add(1, Ordering::Relaxed);
        self.jobs.send(job).is_ok()
    }
}

/// Starts the thread.
pub(crate) fn start(
    writer: Box<dyn storage::Writer>,
    bus: Arc<RoundBus>,
    metrics: Metrics,
) -> std::io::Result<(WriterHandle, JoinHandle<()>)> {
    let (jobs, inbox) = channel();
    let unfinished = Arc::<AtomicUsize>::default();
    let pipeline = CommitPipeline { writer, bus, metrics };
    let running = WriterThread { pipeline, unfinished: Arc::clone(&unfinished), idle: IDLE };
    let thread = critical_thread::spawn("writer".to_owned(), move || running.run(&inbox))?;
    Ok((WriterHandle { jobs, unfinished }, thread))
}

/// What the thread owns.
struct WriterThread {
    pipeline: CommitPipeline,
    unfinished: Arc<AtomicUsize>,
    /// See [`IDLE`].
    idle: Duration,
}

impl WriterThread {
    fn run(mut self, inbox: &Receiver<Job>) {
        let mut running = true;
        while running {
            let first = match inbox.recv_timeout(self.idle) {
                Ok(first) => first,
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    if let Some(error) = self.pipeline.writer.failure() {
                        end_process(&error.to_string());
                    }
                    continue;
                }
            };
            let (mut requests, mut reply_to, mut afterwards) = (Vec::new(), Vec::new(), Vec::new());
            let mut taken = 0;
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
                    other => {
                        afterwards.push(other);
                        break;
                    }
                }
                if requests.len() == BATCH {
                    break;
                }
            }
            if !requests.is_empty() {
                self.commit(requests, reply_to);
            }
            for job in afterwards {
                running &= self.other(job);
            }
            self.unfinished.fetch_sub(taken, Ordering::Relaxed);
        }
        if let Err(error) = self.pipeline.writer.checkpoint() {
            tracing::warn!(%error, "the write-ahead log could not be brought into the database; the next start does it");
        }
    }

    /// Whether to go on.
    fn other(&mut self, job: Job) -> bool {
        match job {
            Job::Probe(reply) => {
                let _ = reply.send(self.pipeline.writer.probe(wall_clock()).map_err(|error| report(&error)));
            }
            Job::UserIds(reply) => {
                let _ = reply
                    .send(self.pipeline.writer.reserve_user_ids(ID_BLOCK).map_err(|error| report(&error)));
            }
            Job::Barrier(reply) => {
                let _ = reply.send(());
            }
            Job::Stop => return false,
            Job::Write { .. } => unreachable!("writes are committed, not set aside"),
        }
        true
    }

    fn commit(&mut self, requests: Vec<Request>, reply_to: Vec<ReplyTarget>) {
        if let Some(reason) = self.pipeline.commit(wall_clock(), requests, reply_to) {
            end_process(&reason);
        }
    }
}

/// What the thread does for each commit, as a value: the simulation has it under virtual time.
pub(crate) struct CommitPipeline {
    pub(crate) writer: Box<dyn storage::Writer>,
    pub(crate) bus: Arc<RoundBus>,
    pub(crate) metrics: Metrics,
}

impl CommitPipeline {
    /// Commits, and tells everybody. `Some`: the process is to end, for this reason.
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
        self.metrics.appended(started.elapsed());
        for text in &batch.internal {
            tracing::error!(reason = %text, "the store could not do what it was asked");
        }
        let fatal = batch.fatal.take();
        let messages =
            batch.events.iter().filter(|event| matches!(event.kind, EventKind::Message { .. })).count();
        self.metrics.messages(messages as u64);
        CommitBatch::new(batch, reply_to).publish(&*self.bus);
        fatal
    }
}

/// Makes guests of a killed process leave, before anybody connects.
pub(crate) fn cleanup_transient_users(writer: &mut dyn storage::Writer) -> Result<(), StoreError> {
    writer.cleanup_transient_users(wall_clock()).map(drop)
}

/// Nobody in particular: for requests whose author does not matter.
pub(crate) fn system_actor() -> Actor {
    // "-" is a legal name, as the test below holds.
    let name = protocol::UserName::new("-").expect("a hyphen is a name");
    Actor { person: protocol::Person { id: UserId(0), name }, registration: None }
}

fn report(error: &StoreError) -> CommandError {
    tracing::error!(reason = %error, "the store could not do what it was asked");
    if let Some(reason) = error.fatal() {
        end_process(&reason);
    }
    error.refusal()
}

/// After a failed fsync nobody knows what the disk holds: going on would acknowledge what may not be there.
fn end_process(reason: &str) -> ! {
    tracing::error!(%reason, "the disk cannot be trusted any more; the process ends, to be started anew");
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

    /// A store of which a checkpoint has found out that the disk cannot be trusted.
    struct Broken;

    impl storage::Writer for Broken {
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
        let ended = critical_thread::tests::in_a_process_of_its_own(name, || {
            let pipeline = CommitPipeline {
                writer: Box::new(Broken),
                bus: Arc::new(LocalBus::new(1)),
                metrics: Metrics::new(),
            };
            let running =
                WriterThread { pipeline, unfinished: Arc::default(), idle: Duration::from_millis(1) };
            let (jobs, inbox) = channel();
            // Nobody asks for anything; if nobody looks either, this stops it, and the test fails.
            let stop = std::thread::spawn(move || {
                std::thread::sleep(Duration::from_secs(10));
                drop(jobs.send(Job::Stop));
            });
            running.run(&inbox);
            drop(stop.join());
        });
        assert_eq!(ended, Some(70));
    }

    #[test]
    fn writer_queue_beyond_its_bound_is_overloaded() {
        let (jobs, inbox) = channel();
        let handle = WriterHandle { jobs, unfinished: Arc::default() };
        let ask = || {
            let (reply, _) = oneshot::channel();
            handle.submit(system_actor(), Operation::LeaveAll, ReplyTarget::ReplySender(reply))
        };
        for _ in 0..16_384 {
            assert_eq!(ask(), Ok(()));
        }
        assert_eq!(ask(), Err(ErrorCode::Overloaded));
        assert_eq!(inbox.try_iter().count(), 16_384);
        drop(inbox);
        handle.unfinished.store(0, Ordering::Relaxed);
        assert_eq!(ask(), Err(ErrorCode::ShuttingDown));
    }

    #[test]
    fn system_actor_has_a_legal_name() {
        assert_eq!(super::system_actor().person.name.as_str(), "-");
    }
}
