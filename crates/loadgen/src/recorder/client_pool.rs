//! Starting the clients, and bringing them to quiescence.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Barrier, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use super::counters::Counters;
use super::history_file::HistoryFile;
use super::options::RecorderOptions;
use super::recorder_error::RecorderError;
use super::recording_client::{RecordingClient, Role};
use super::run_state::RunState;
use super::slow_reader::ReadPause;
use super::stored_rooms::read_rooms;

/// Bounds the wait for the last replies. The checker reports the commands that still lack one.
const REPLY_TIMEOUT: Duration = Duration::from_secs(60);
/// The interval at which the state of the run is polled.
const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// Bounds the clients that connect in parallel at the start.
const PARALLEL_CONNECTS: u32 = 16;
/// The stack of a client's thread in bytes; small, because there may be thousands.
const STACK: usize = 512 * 1024;

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
