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

use super::diary::Diary;
use super::person::{Role, Witness};
use super::reader::read_rooms;
use super::stalling::Stalling;
use super::tally::Tally;
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
pub struct Witnesses {
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
    pub longest: u32,
    /// How many of them, writers and listeners alike, stop reading when they are told to.
    #[arg(long, default_value_t = 0)]
    pub stalled: u32,
    /// What they do follows from it, as far as the server's answers do.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Each client has an IPv4 address of its own: this one and its number.
    #[arg(long)]
    pub from: Option<Ipv4Addr>,
    /// A client to which nothing came for so long asks with `ping`, and gives up after as long again.
    #[arg(long, default_value_t = 25_000)]
    pub silence_ms: u64,
    /// A client closes its connection of itself about so often; 0: it does not.
    #[arg(long, default_value_t = 0)]
    pub close_ms: u64,
    /// A message that was not answered for so long is sent again on the same connection; 0: only on the next one.
    #[arg(long, default_value_t = 0)]
    pub again_ms: u64,
    /// When so many messages have been said and answered there is `enough`; 0: there never is.
    #[arg(long, default_value_t = 0)]
    pub messages: u64,
}

impl Witnesses {
    fn count(&self) -> u32 {
        self.writers + self.receivers + self.listeners
    }

    /// Whether the client with this number (from 1) is one of those who stall: they are spread evenly.
    pub(super) fn stalls(&self, number: u32) -> bool {
        let up_to =
            |number: u32| u64::from(number) * u64::from(self.stalled) / u64::from(self.count().max(1));
        up_to(number) > up_to(number - 1)
    }

    /// Where this client comes from, unless that is left to the kernel.
    pub(super) fn source(&self, number: u32) -> Option<IpAddr> {
        self.from.map(|first| Ipv4Addr::from_bits(first.to_bits().saturating_add(number)).into())
    }
}

/// What whoever does the harm tells the clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// For the history.
    Note(String),
    /// Those who are to stall stop reading.
    Stall,
    /// They read on.
    ReadOn,
    /// There will be no more harm.
    Finish,
}

/// What the clients tell whoever does the harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tells {
    /// All have joined: harm may begin.
    Ready,
    /// All that was to be said has been said and answered.
    Enough,
}

/// Why there is no history. What the server did wrong is in it, and for the checker to find.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
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
pub(super) struct Scene {
    pub(super) plan: Witnesses,
    /// All have joined: harm may begin.
    pub(super) ready: Barrier,
    /// Whether those who are to stop reading do.
    pub(super) stalling: Stalling,
    /// Nothing new is to be said.
    pub(super) finishing: OnceLock<()>,
    /// How many have all their answers.
    pub(super) answered: AtomicUsize,
    /// Where the rooms end: whoever has heard so much is done.
    pub(super) heads: OnceLock<BTreeMap<RoomId, Seq>>,
}

/// Runs them until `told` says [`Told::Finish`] (or its sender is gone), and leaves the history.
pub fn record(
    plan: &Witnesses,
    told: &Receiver<Told>,
    mut tell: impl FnMut(Tells),
) -> Result<Arc<Tally>, WitnessError> {
    std::fs::create_dir_all(&plan.history)?;
    let tally = Arc::new(Tally::default());
    let people = arrive(plan, &tally)?;
    let count = people.len();
    let scene = Scene {
        plan: plan.clone(),
        ready: Barrier::new(count + 1),
        stalling: Stalling::default(),
        finishing: OnceLock::new(),
        answered: AtomicUsize::new(0),
        heads: OnceLock::new(),
    };
    let mut diary = Diary::new(&plan.history, 0)?;
    thread::scope(|scope| {
        let (scene, tally) = (&scene, &tally);
        let mut living = Vec::with_capacity(count);
        for person in people {
            let thread = thread::Builder::new().stack_size(STACK);
            living.push(thread.spawn_scoped(scope, move || person.live(scene))?);
        }
        scene.ready.wait();
        tell(Tells::Ready);
        let mut had_enough = plan.messages == 0;
        loop {
            match told.recv_timeout(LOOK) {
                Ok(Told::Note(text)) => diary.now()?.note(text),
                Ok(Told::Stall) => scene.stalling.set(true),
                Ok(Told::ReadOn) => scene.stalling.set(false),
                Err(RecvTimeoutError::Timeout) if !had_enough && tally.answered() >= plan.messages => {
                    had_enough = true;
                    tell(Tells::Enough);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Told::Finish) | Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        scene.stalling.set(false);
        diary.now()?.note("no more harm is done; all come to rest");
        let _ = scene.finishing.set(());
        wait_until(|| scene.answered.load(Ordering::Acquire) == count);
        let heads = read_rooms(plan, &mut diary);
        // Also when that failed, or they would wait for ever.
        let _ = scene.heads.set(heads.as_ref().cloned().unwrap_or_default());
        for life in living {
            life.join().map_err(|_| WitnessError::Panicked)??;
        }
        heads.map(drop)
    })?;
    diary.close()?;
    Ok(tally)
}

/// Each gets a session and joins its rooms, several at a time.
fn arrive(plan: &Witnesses, tally: &Arc<Tally>) -> Result<Vec<Witness>, WitnessError> {
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
                    .map(|number| Witness::arrive(plan, tally, number, role(number)))
                    .collect::<Result<Vec<_>, _>>()
            })
        };
        let arriving: Vec<_> = (1..=AT_A_TIME).map(some).collect();
        let mut people = Vec::with_capacity(count as usize);
        for some in arriving {
            people.extend(some.join().map_err(|_| WitnessError::Panicked)??);
        }
        Ok(people)
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
