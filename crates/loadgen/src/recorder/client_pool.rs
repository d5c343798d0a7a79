//! Starting the clients, and bringing them to rest.

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

/// How long all may take to be answered, and then to hear the rest. Whoever has not by then is a finding of the checker.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often the one who waits for all looks.
const LOOK: Duration = Duration::from_millis(10);
/// So many come at a time at the beginning.
const AT_A_TIME: u32 = 16;
/// Of a client's thread: there may be thousands.
const STACK: usize = 512 * 1024;

/// Who is to be there, and what they do.
#[derive(Clone, Debug, clap::Args)]
pub struct RecorderOptions {
    /// Where the server is.
    #[arg(long)]
    pub server: SocketAddr,
    /// The folder for the history, a file for each client.
    #[arg(long)]
    pub history: PathBuf,
    /// How many say something, each in one room.
    #[arg(long, default_value_t = 50)]
    pub writers: u32,
    /// How many only listen, each to three rooms, and now and then stay away.
    #[arg(long, default_value_t = 10)]
    pub receivers: u32,
    /// How many listen to one room each and are always there.
    #[arg(long, default_value_t = 0)]
    pub listeners: u32,
    /// How many rooms there are.
    #[arg(long, default_value_t = 10)]
    pub rooms: u32,
    /// About how many messages all writers together begin in a second.
    #[arg(long, default_value_t = 1_000)]
    pub rate: u32,
    /// The longest message, in bytes.
    #[arg(long, default_value_t = 200)]
    pub max_body_bytes: u32,
    /// How many of them, writers and listeners alike, stop reading when they are told to.
    #[arg(long, default_value_t = 0)]
    pub slow_readers: u32,
    /// What they do follows from it, as far as the server's answers do.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Each client has an IPv4 address of its own: this one and its number.
    #[arg(long)]
    pub source_base: Option<Ipv4Addr>,
    /// A client to which nothing came for so long asks with `ping`, and gives up after as long again.
    #[arg(long, default_value_t = 25_000)]
    pub keepalive_ms: u64,
    /// A client closes its connection of itself about so often; 0: it does not.
    #[arg(long, default_value_t = 0)]
    pub reconnect_ms: u64,
    /// A message that was not answered for so long is sent again on the same connection; 0: only on the next one.
    #[arg(long, default_value_t = 0)]
    pub retry_ms: u64,
    /// When so many messages have been said and answered there is `enough`; 0: there never is.
    #[arg(long, default_value_t = 0)]
    pub messages: u64,
}

impl RecorderOptions {
    fn count(&self) -> u32 {
        self.writers + self.receivers + self.listeners
    }

    /// Whether the client with this number (from 1) is one of those who stall: they are spread evenly.
    pub(super) fn slow_reader(&self, number: u32) -> bool {
        let up_to =
            |number: u32| u64::from(number) * u64::from(self.slow_readers) / u64::from(self.count().max(1));
        up_to(number) > up_to(number - 1)
    }

    /// Where this client comes from, unless that is left to the kernel.
    pub(super) fn source(&self, number: u32) -> Option<IpAddr> {
        self.source_base.map(|first| Ipv4Addr::from_bits(first.to_bits().saturating_add(number)).into())
    }
}

/// What whoever does the harm tells the clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Instruction {
    /// For the history.
    Note(String),
    /// Those who are to stall stop reading.
    PauseReading,
    /// They read on.
    ResumeReading,
    /// There will be no more harm.
    Finish,
}

/// What the clients tell whoever does the harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// All have joined: harm may begin.
    Ready,
    /// All that was to be said has been said and answered.
    AllAnswered,
}

/// Why there is no history. What the server did wrong is in it, and for the checker to find.
#[derive(Debug, thiserror::Error)]
pub enum RecorderError {
    /// The history could not be written.
    #[error("the history cannot be written: {0}")]
    Io(#[from] io::Error),
    /// A client could not even begin, or the rooms could not be read at the end.
    #[error(transparent)]
    Server(#[from] Error),
    /// Somebody with a session was not let in any more, when all the others were at rest.
    #[error("client {number} was not let in any more, and never came to rest")]
    ShutOut {
        /// The client, as its file in the history is called.
        number: u32,
    },
    /// A client's thread ended by a defect.
    #[error("a client's thread panicked")]
    Panicked,
}

/// What the clients share.
pub(super) struct RunState {
    pub(super) plan: RecorderOptions,
    /// All have joined: harm may begin.
    pub(super) ready: Barrier,
    /// Whether those who are to stop reading do.
    pub(super) read_pause: ReadPause,
    /// Nothing new is to be said.
    pub(super) finish: OnceLock<()>,
    /// How many have all their answers.
    pub(super) answered: AtomicUsize,
    /// Where the rooms end: whoever has heard so much is done.
    pub(super) heads: OnceLock<BTreeMap<RoomId, Seq>>,
}

/// Runs them until `told` says [`Instruction::Finish`] (or its sender is gone), and leaves the history.
pub fn record(
    plan: &RecorderOptions,
    told: &Receiver<Instruction>,
    mut tell: impl FnMut(Progress),
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
        tell(Progress::Ready);
        let mut had_enough = plan.messages == 0;
        loop {
            match told.recv_timeout(LOOK) {
                Ok(Instruction::Note(text)) => history_file.now()?.note(text),
                Ok(Instruction::PauseReading) => run.read_pause.set(true),
                Ok(Instruction::ResumeReading) => run.read_pause.set(false),
                Err(RecvTimeoutError::Timeout) if !had_enough && counters.answered() >= plan.messages => {
                    had_enough = true;
                    tell(Progress::AllAnswered);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Instruction::Finish) | Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        run.read_pause.set(false);
        history_file.now()?.note("no more harm is done; all come to rest");
        let _ = run.finish.set(());
        wait_until(|| run.answered.load(Ordering::Acquire) == count);
        let heads = read_rooms(plan, &mut history_file);
        // Also when that failed, or they would wait for ever.
        let _ = run.heads.set(heads.as_ref().cloned().unwrap_or_default());
        for thread in threads {
            thread.join().map_err(|_| RecorderError::Panicked)??;
        }
        heads.map(drop)
    })?;
    history_file.close()?;
    Ok(counters)
}

/// Each gets a session and joins its rooms, several at a time.
fn connect(plan: &RecorderOptions, counters: &Arc<Counters>) -> Result<Vec<RecordingClient>, RecorderError> {
    let count = plan.count();
    let role = |number| match number {
        _ if number <= plan.writers => Role::Writer,
        _ if number <= plan.writers + plan.receivers => Role::Receiver,
        _ => Role::Listener,
    };
    thread::scope(|scope| {
        let some = |first| {
            let numbers = (first..=count).step_by(AT_A_TIME as usize);
            scope.spawn(move || {
                numbers
                    .map(|number| RecordingClient::connect(plan, counters, number, role(number)))
                    .collect::<Result<Vec<_>, _>>()
            })
        };
        let arriving: Vec<_> = (1..=AT_A_TIME).map(some).collect();
        let mut clients = Vec::with_capacity(count as usize);
        for some in arriving {
            clients.extend(some.join().map_err(|_| RecorderError::Panicked)??);
        }
        Ok(clients)
    })
}

fn wait_until(done: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() && Instant::now() < deadline {
        thread::sleep(LOOK);
    }
}

pub(super) fn room_name(number: u32) -> String {
    format!("room-{number}")
}
