//! `cargo xtask faults half-open`: peers that are gone and of whom nobody hears it, because nothing of them comes through.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use client::{Client, Error, Options};

use super::harness::{CommonArgs, Harness};
use super::network::{self, Network, NetworkFault};
use super::open_files::{Descriptors, Open, SOCKET};
use super::run_dir::RunDir;
use super::server_under_test::ServerUnderTest;
use super::silent_peers::{Detection, PeerKind, SilentPeers, names};
use crate::workspace::Workspace;

/// Those who are there all the time, and whom nobody may take for dead.
const LISTENERS: usize = 10;
/// What is said in the loud room: enough that a socket of which nobody takes it is full after some seconds.
const LOUD_BYTES: usize = 4_000;
const BETWEEN_MESSAGES: Duration = Duration::from_millis(50);
/// How often the server's descriptors are looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// So much is said at the least in each second until a silent member is dead; forty are due.
const LEAST_SAID: u64 = 4;
/// A busy machine is late.
const TOLERANCE: Duration = Duration::from_secs(3);
/// How long all may take to come, and a living one to hear the rest.
const TIMEOUT: Duration = Duration::from_secs(20);

#[derive(clap::Args)]
pub(crate) struct Args {
    /// With deadlines of seconds in place of the default ones.
    #[arg(long)]
    pub(super) short: bool,
    #[command(flatten)]
    pub(super) common: CommonArgs,
}

pub(super) const SHORT_RUN: Args = Args { short: true, common: CommonArgs::SHORT_RUN };

/// Deadlines in seconds, in place of 75, 30, 10, 10, 70 and 30.
const SHORT_DEADLINES: [(&str, u64); 6] = [
    ("TEAHOUSE_TIMEOUTS_WEBSOCKET_IDLE", 4),
    ("TEAHOUSE_TIMEOUTS_PING_INTERVAL", 1),
    ("TEAHOUSE_TIMEOUTS_FIRST_BYTE", 3),
    ("TEAHOUSE_TIMEOUTS_HEADERS", 3),
    ("TEAHOUSE_TIMEOUTS_HTTP_KEEP_ALIVE", 4),
    ("TEAHOUSE_TIMEOUTS_MESSAGE_ASSEMBLY", 3),
];
/// Half a message is given up after its own deadline, and the answer to that is waited for.
const SHORT_CLOSE: (&str, u64) = ("TEAHOUSE_TIMEOUTS_CLOSE", 1);
const DEAD: u64 = 75;
const SHORT_DEAD: u64 = 4;

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let harness = Harness::build(workspace, &args.common)?;
    let replay_args = if args.short { "half-open --short" } else { "half-open" };
    network::in_namespace(|network| {
        harness.run(replay_args, harness.seed, |run_dir| run_once(&harness, args, run_dir, network))
    })
}

fn run_once(harness: &Harness, args: &Args, run_dir: &RunDir, network: &Network) -> Result<()> {
    let mut server = ServerUnderTest::new(harness.binary("teahouse"), run_dir.path())?;
    if args.short {
        for (name, seconds) in SHORT_DEADLINES.into_iter().chain([SHORT_CLOSE]) {
            server.set(name, format!("{seconds}s"));
        }
    }
    let dead = Duration::from_secs(if args.short { SHORT_DEAD } else { DEAD });
    server.start()?;
    server.wait_until_open()?;
    let address = server.address;
    let living = &Listeners::default();
    thread::scope(|scope| {
        // Dropped before the threads are waited for, whatever goes wrong.
        let ending = StopOnDrop(&living.has_ended);
        let mut speaker = Client::connect(address, Options::default())?;
        let [calm, loud] = [speaker.join(PeerKind::CALM_ROOM)?.room, speaker.join(PeerKind::LOUD_ROOM)?.room];
        let listeners: Vec<_> = (0..LISTENERS)
            .map(|_| {
                let mut client = Client::connect(address, Options::default())?;
                client.join(PeerKind::CALM_ROOM)?;
                client.join(PeerKind::LOUD_ROOM)?;
                Ok(scope.spawn(move || living.listen(client)))
            })
            .collect::<Result<_>>()?;

        // At once: who neither speaks nor reads while all this is prepared would be taken for dead on a slow machine.
        let speaking = scope.spawn(move || -> Result<Client> {
            let loudly = "茶".repeat(LOUD_BYTES / "茶".len());
            while !living.has_ended.load(Ordering::SeqCst) {
                for (room, body) in [(calm, "tea?"), (loud, &loudly)] {
                    speaker.say(room, body)?;
                    living.said.fetch_add(1, Ordering::SeqCst);
                }
                thread::sleep(BETWEEN_MESSAGES);
            }
            Ok(speaker)
        });

        // The first of a kind may open something that stays, such as a connection to the database.
        drop(SilentPeers::open(address, |_| 1)?);
        let descriptors = Descriptors::of(server.pid()?);
        let before = descriptors.settled(POLL_INTERVAL, TIMEOUT)?;

        let mut silent_peers = SilentPeers::open(address, PeerKind::count)?;
        let all = PeerKind::ALL.into_iter().map(PeerKind::count).sum::<usize>();
        // They are accepted in their own time, and the hastiest may be refused before the last has come.
        descriptors.wait_for(before.values().sum::<usize>() + all * 19 / 20.., POLL_INTERVAL, TIMEOUT)?;
        network.cut(PeerKind::ALL.map(|peer| (peer.address(), NetworkFault::Silence)))?;
        let cut_off = Instant::now();
        let mut found = Detection::among(&descriptors.remote_addresses()?);
        silent_peers.go_silent()?;

        loop {
            let left = descriptors.remote_addresses()?;
            if found.look(&left, cut_off.elapsed()) == 0 {
                break;
            }
            if cut_off.elapsed() > dead + TOLERANCE {
                bail!(
                    "after {:.1} s the server still holds {}",
                    cut_off.elapsed().as_secs_f64(),
                    names(&left)
                );
            }
            thread::sleep(POLL_INTERVAL);
        }
        println!("{found}");
        ensure!(found.is_complete(), "not every kind was there when all fell silent, so nothing is proved");

        ending.now();
        let speaker = speaking.join().unwrap_or_else(|panic| resume_unwind(panic));
        let speaker = speaker.context("somebody alive was not answered")?;
        for listener in listeners {
            let heard = listener.join().unwrap_or_else(|panic| resume_unwind(panic));
            heard.context("somebody alive was taken for dead, or missed something")?;
        }
        let said = living.said.load(Ordering::SeqCst);
        println!("{LISTENERS} that were alive heard all {said} messages");
        let least = LEAST_SAID * dead.as_secs();
        ensure!(said >= least, "only {said} messages were said, and at least {least} had to be");
        // The listeners have gone by now.
        let after = descriptors.settled(POLL_INTERVAL, TIMEOUT)?;
        compare(&before, &after)?;
        network.cut([])?;
        drop(silent_peers);
        drop(speaker);
        Client::connect(address, Options::default())?.join(PeerKind::CALM_ROOM)?;
        Ok(())
    })
}

/// Whether nothing is left of those who fell silent.
fn compare(before: &Open, after: &Open) -> Result<()> {
    for (name, &count) in after {
        let known = before.get(name).copied().unwrap_or_default();
        let most = match name.as_str() {
            SOCKET => known.saturating_sub(LISTENERS),
            // After 16 MiB of log the thread for checkpoints opens the database, and keeps it open.
            file if file.contains("/data/") => known + 1,
            _ => known,
        };
        ensure!(count <= most, "{count} times {name} is open when all have gone, and not {most} times");
    }
    let sum = |open: &Open| (open.get(SOCKET).copied().unwrap_or_default(), open.values().sum::<usize>());
    let ((sockets_before, before), (sockets_after, after)) = (sum(before), sum(after));
    println!(
        "{before} descriptors before, of which {sockets_before} sockets; {after} and {sockets_after} when the {LISTENERS} have \
         gone as well"
    );
    Ok(())
}

/// Those who are there all the time.
#[derive(Default)]
struct Listeners {
    said: AtomicU64,
    has_ended: AtomicBool,
}

impl Listeners {
    /// Hears all that is said until it ends.
    fn listen(&self, mut client: Client) -> Result<()> {
        let mut heard = 0;
        let mut patience = None;
        loop {
            match client.next_frame(POLL_INTERVAL) {
                Ok(protocol::ServerFrame::Event(event)) => {
                    heard += u64::from(matches!(event.kind, protocol::EventKind::Message { .. }));
                }
                Ok(_) | Err(Error::Timeout) => {}
                Err(error) => return Err(error.into()),
            }
            let said = self.said.load(Ordering::SeqCst);
            if self.has_ended.load(Ordering::SeqCst) {
                let patience = patience.get_or_insert_with(|| Instant::now() + TIMEOUT);
                if heard >= said {
                    return Ok(());
                }
                ensure!(Instant::now() < *patience, "{heard} of {said} messages were heard");
            }
        }
    }
}

/// Sets its flag at the latest when it is dropped.
struct StopOnDrop<'a>(&'a AtomicBool);

impl StopOnDrop<'_> {
    fn now(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.now();
    }
}
