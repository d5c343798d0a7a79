//! Starting the clients, and bringing them to quiescence.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Barrier, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use protocol::{RoomId, Seq};

use super::counters::Counters;
use super::history_file::HistoryFile;
use super::recording_client::{RecordingClient, Role};
use super::slow_reader::ReadPause;
use super::stored_rooms::read_rooms;
use client::Error;

/// Bounds the wait for the last replies. The checker reports the commands that still lack one.
const REPLY_TIMEOUT: Duration = Duration::from_secs(60);
/// The interval at which the state of the run is polled.
const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// Bounds the clients that connect in parallel at the start.
const PARALLEL_CONNECTS: u32 = 16;
/// The stack of a client's thread in bytes; small, because there may be thousands.
const STACK: usize = 512 * 1024;

/// The clients of a run and their behavior.
#[derive(Clone, Debug, clap::Args)]
pub struct RecorderOptions {
    /// Address of the server.
    #[arg(long)]
    pub server: SocketAddr,
    /// Folder for the history, with one file for each client.
    #[arg(long)]
    pub history: PathBuf,
    /// Clients that send messages, each in one room.
    #[arg(long, default_value_t = 50)]
    pub writers: u32,
    /// Clients that only receive, each in three rooms, and sometimes stay offline.
    #[arg(long, default_value_t = 10)]
    pub receivers: u32,
    /// Clients that only receive, each in one room, and are always online.
    #[arg(long, default_value_t = 0)]
    pub listeners: u32,
    /// Number of rooms.
    #[arg(long, default_value_t = 10)]
    pub rooms: u32,
    /// Approximate number of messages per second, of all writers together.
    #[arg(long, default_value_t = 1_000)]
    pub rate: u32,
    /// Longest message body, in bytes.
    #[arg(long, default_value_t = 200)]
    pub max_body_bytes: u32,
    /// Clients of any role that pause reading on request.
    #[arg(long, default_value_t = 0)]
    pub slow_readers: u32,
    /// Seed of every random choice. A run repeats only as far as the server's replies do.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Connect each client from its own IPv4 address: this one plus the client's number.
    #[arg(long)]
    pub source_base: Option<Ipv4Addr>,
    /// Silence after which a client sends `ping`, and after as long again gives up the connection.
    #[arg(long, default_value_t = 25_000)]
    pub keepalive_ms: u64,
    /// Approximate interval at which a client closes its connection by itself; 0: never.
    #[arg(long, default_value_t = 0)]
    pub reconnect_ms: u64,
    /// Resend a message on the same connection when it has no reply for this long; 0: only on the next connection.
    #[arg(long, default_value_t = 0)]
    pub retry_ms: u64,
    /// Stop after this many messages and print `all answered`; 0: no limit.
    #[arg(long, default_value_t = 0)]
    pub messages: u64,
}

impl RecorderOptions {
    fn count(&self) -> u32 {
        self.writers + self.receivers + self.listeners
    }

    /// Whether the client with this number (from 1) is a slow reader. They are spread evenly over the roles.
    pub(super) fn slow_reader(&self, number: u32) -> bool {
        let up_to =
            |number: u32| u64::from(number) * u64::from(self.slow_readers) / u64::from(self.count().max(1));
        up_to(number) > up_to(number - 1)
    }

    /// The client's source address; `None` leaves the choice to the kernel.
    pub(super) fn source(&self, number: u32) -> Option<IpAddr> {
        self.source_base.map(|first| Ipv4Addr::from_bits(first.to_bits().saturating_add(number)).into())
    }
}

/// A command of the fault injector to all clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Instruction {
    /// Adds this note to the history.
    Note(String),
    /// Slow readers stop reading.
    PauseReading,
    /// Slow readers read again.
    ResumeReading,
    /// No more faults follow: the clients come to quiescence.
    Finish,
}

/// A report of the clients to the fault injector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// All clients have joined their rooms, so faults may start.
    Ready,
    /// All messages are sent and have a reply.
    AllAnswered,
}

/// The reason why there is no history. Defects of the server are not errors here: they are in the history, for the checker.
#[derive(Debug, thiserror::Error)]
pub enum RecorderError {
    /// The history file could not be written.
    #[error("the history cannot be written: {0}")]
    Io(#[from] io::Error),
    /// A client could not connect at the start, or the rooms could not be read at the end.
    #[error(transparent)]
    Server(#[from] Error),
    /// A client with a session could no longer connect while all others were quiescent.
    #[error("client {number} could not reconnect and never became quiescent")]
    ShutOut {
        /// The number of the client, which is also the name of its file.
        number: u32,
    },
    /// A client's thread panicked; the panic was printed.
    #[error("a client's thread panicked")]
    Panicked,
}

/// The state that the clients share.
pub(super) struct RunState {
    pub(super) plan: RecorderOptions,
    /// A barrier that all clients reach after joining their rooms.
    pub(super) ready: Barrier,
    pub(super) read_pause: ReadPause,
    /// Set when clients may not send new messages any more.
    pub(super) finish: OnceLock<()>,
    /// The number of clients that have every reply.
    pub(super) answered: AtomicUsize,
    /// The heads of all rooms. A client that has received them is done.
    pub(super) heads: OnceLock<BTreeMap<RoomId, Seq>>,
}

/// Runs the clients until `instructions` yields [`Instruction::Finish`] or is disconnected, and writes the history.
pub fn record(
    plan: &RecorderOptions,
    instructions: &Receiver<Instruction>,
    mut report: impl FnMut(Progress),
) -> Result<Arc<Counters>, RecorderError> {
    std::fs::create_dir_all(&plan.history)?;
    let counters = Arc::new(Counters::default());
    let clients = connect(plan, &counters)?;
    let count = clients.len();
    let run = RunState {
        plan: plan.clone(),
        ready: Barrier::new(count + 1),
        read_pause: ReadPause::default(),
        finish: OnceLock::new(),
        answered: AtomicUsize::new(0),
        heads: OnceLock::new(),
    };
    let mut history_file = HistoryFile::new(&plan.history, 0)?;
    thread::scope(|scope| {
        let (run, counters) = (&run, &counters);
        let mut threads = Vec::with_capacity(count);
        for client in clients {
            let thread = thread::Builder::new().stack_size(STACK);
            threads.push(thread.spawn_scoped(scope, move || client.run(run))?);
        }
        run.ready.wait();
        report(Progress::Ready);
        let mut had_enough = plan.messages == 0;
        loop {
            match instructions.recv_timeout(POLL_INTERVAL) {
                Ok(Instruction::Note(text)) => history_file.now()?.note(text),
                Ok(Instruction::PauseReading) => run.read_pause.set(true),
                Ok(Instruction::ResumeReading) => run.read_pause.set(false),
                Err(RecvTimeoutError::Timeout) if !had_enough && counters.answered() >= plan.messages => {
                    had_enough = true;
                    report(Progress::AllAnswered);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Instruction::Finish) | Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        run.read_pause.set(false);
        history_file.now()?.note("no more faults; waiting for quiescence");
        let _ = run.finish.set(());
        wait_until(|| run.answered.load(Ordering::Acquire) == count);
        let heads = read_rooms(plan, &mut history_file);
        // Set even after a failure, because the clients wait for it.
        let _ = run.heads.set(heads.as_ref().cloned().unwrap_or_default());
        for thread in threads {
            thread.join().map_err(|_| RecorderError::Panicked)??;
        }
        heads.map(drop)
    })?;
    history_file.close()?;
    Ok(counters)
}

/// Creates each client's session and joins its rooms, several in parallel.
fn connect(plan: &RecorderOptions, counters: &Arc<Counters>) -> Result<Vec<RecordingClient>, RecorderError> {
    let count = plan.count();
    let role = |number| match number {
        _ if number <= plan.writers => Role::Writer,
        _ if number <= plan.writers + plan.receivers => Role::Receiver,
        _ => Role::Listener,
    };
    thread::scope(|scope| {
        let some = |first| {
            let numbers = (first..=count).step_by(PARALLEL_CONNECTS as usize);
            scope.spawn(move || {
                numbers
                    .map(|number| RecordingClient::connect(plan, counters, number, role(number)))
                    .collect::<Result<Vec<_>, _>>()
            })
        };
        let arriving: Vec<_> = (1..=PARALLEL_CONNECTS).map(some).collect();
        let mut clients = Vec::with_capacity(count as usize);
        for some in arriving {
            clients.extend(some.join().map_err(|_| RecorderError::Panicked)??);
        }
        Ok(clients)
    })
}

fn wait_until(done: impl Fn() -> bool) {
    let deadline = Instant::now() + REPLY_TIMEOUT;
    while !done() && Instant::now() < deadline {
        thread::sleep(POLL_INTERVAL);
    }
}

pub(super) fn room_name(number: u32) -> String {
    format!("room-{number}")
}
