//! `cargo xtask faults half-open`: half-open connections, whose peers disappear without a packet.

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

/// The clients that stay, and that the server must not consider dead.
const LISTENERS: usize = 10;
/// The bytes of a message in the loud room: a socket whose peer does not read is full after some seconds.
const LOUD_BYTES: usize = 4_000;
const MESSAGE_INTERVAL: Duration = Duration::from_millis(50);
/// The interval between two reads of the server's descriptors.
const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// The least messages per second until the silent members are detected; an idle machine sends forty.
const MIN_MESSAGES_PER_SECOND: u64 = 4;
/// Added to each timeout, for a busy machine.
const TOLERANCE: Duration = Duration::from_secs(3);
/// Bounds the time in which all peers connect, and in which a listener receives the rest.
const TIMEOUT: Duration = Duration::from_secs(20);

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Use timeouts of seconds in place of the defaults.
    #[arg(long)]
    pub(super) short: bool,
    #[command(flatten)]
    pub(super) common: CommonArgs,
}

pub(super) const SHORT_RUN: Args = Args { short: true, common: CommonArgs::SHORT_RUN };

/// Timeouts in seconds, in place of 75, 30, 10, 10, 70 and 30.
const SHORT_TIMEOUTS: [(&str, u64); 6] = [
    ("TEAHOUSE_TIMEOUTS_WEBSOCKET_IDLE", 4),
    ("TEAHOUSE_TIMEOUTS_PING_INTERVAL", 1),
    ("TEAHOUSE_TIMEOUTS_FIRST_BYTE", 3),
    ("TEAHOUSE_TIMEOUTS_HEADERS", 3),
    ("TEAHOUSE_TIMEOUTS_HTTP_KEEP_ALIVE", 4),
    ("TEAHOUSE_TIMEOUTS_MESSAGE_ASSEMBLY", 3),
];
/// After the assembly timeout of an incomplete message the server closes, and waits this long for the answer.
const SHORT_CLOSE_TIMEOUT: (&str, u64) = ("TEAHOUSE_TIMEOUTS_CLOSE", 1);
const IDLE_TIMEOUT_SECS: u64 = 75;
const SHORT_IDLE_TIMEOUT_SECS: u64 = 4;

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
        for (name, seconds) in SHORT_TIMEOUTS.into_iter().chain([SHORT_CLOSE_TIMEOUT]) {
            server.set(name, format!("{seconds}s"));
        }
    }
    let idle_timeout =
        Duration::from_secs(if args.short { SHORT_IDLE_TIMEOUT_SECS } else { IDLE_TIMEOUT_SECS });
    server.start()?;
    server.wait_until_open()?;
    let address = server.address;
    let state = &Listeners::default();
    thread::scope(|scope| {
        // Dropped before the threads are joined, on every path: they wait for it.
        let stop_on_drop = StopOnDrop(&state.has_ended);
        let mut sender = Client::connect(address, Options::default())?;
        let [calm, loud] =
            [sender.join(PeerKind::CALM_ROOM)?.info.room, sender.join(PeerKind::LOUD_ROOM)?.info.room];
        let listeners: Vec<_> = (0..LISTENERS)
            .map(|_| {
                let mut client = Client::connect(address, Options::default())?;
                client.join(PeerKind::CALM_ROOM)?;
                client.join(PeerKind::LOUD_ROOM)?;
                Ok(scope.spawn(move || state.listen(client)))
            })
            .collect::<Result<_>>()?;

        // Started at once: a client that neither sends nor reads during the preparation could be considered dead on a slow
        // machine.
        let speaking = scope.spawn(move || -> Result<Client> {
            let large_body = "茶".repeat(LOUD_BYTES / "茶".len());
            while !state.has_ended.load(Ordering::SeqCst) {
                for (room, body) in [(calm, "tea?"), (loud, &large_body)] {
                    sender.send_body(room, body)?;
                    state.sent.fetch_add(1, Ordering::SeqCst);
                }
                thread::sleep(MESSAGE_INTERVAL);
            }
            Ok(sender)
        });

        // The first peer of a kind may open a descriptor that stays, such as a database connection.
        drop(SilentPeers::open(address, |_| 1)?);
        let descriptors = Descriptors::of(server.pid()?);
        let before = descriptors.settled(POLL_INTERVAL, TIMEOUT)?;

        let mut silent_peers = SilentPeers::open(address, PeerKind::count)?;
        let all = PeerKind::ALL.into_iter().map(PeerKind::count).sum::<usize>();
        // The server may accept them late, and the shortest timeouts may end before the last peer is accepted.
        descriptors.wait_for(before.values().sum::<usize>() + all * 19 / 20.., POLL_INTERVAL, TIMEOUT)?;
        network.set_faults(PeerKind::ALL.map(|peer| (peer.address(), NetworkFault::Blackhole)))?;
        let cut_off = Instant::now();
        let mut found = Detection::new(&descriptors.remote_addresses()?);
        silent_peers.go_silent()?;

        loop {
            let left = descriptors.remote_addresses()?;
            if found.update(&left, cut_off.elapsed()) == 0 {
                break;
            }
            if cut_off.elapsed() > idle_timeout + TOLERANCE {
                bail!(
                    "after {:.1} s the server still has connections of {}",
                    cut_off.elapsed().as_secs_f64(),
                    names(&left)
                );
            }
            thread::sleep(POLL_INTERVAL);
        }
        println!("{found}");
        ensure!(
            found.is_complete(),
            "not every kind of peer was connected when all went silent, so the run proves nothing"
        );

        stop_on_drop.now();
        let sender = speaking.join().unwrap_or_else(|panic| resume_unwind(panic));
        let sender = sender.context("the active sender got no reply")?;
        for listener in listeners {
            let received = listener.join().unwrap_or_else(|panic| resume_unwind(panic));
            received.context("a live listener was disconnected or missed a message")?;
        }
        let sent = state.sent.load(Ordering::SeqCst);
        println!("{LISTENERS} live listeners received all {sent} messages");
        let least = MIN_MESSAGES_PER_SECOND * idle_timeout.as_secs();
        ensure!(sent >= least, "only {sent} messages were sent, fewer than {least}");
        // The listeners have disconnected by now.
        let after = descriptors.settled(POLL_INTERVAL, TIMEOUT)?;
        check_descriptors(&before, &after)?;
        network.set_faults([])?;
        drop(silent_peers);
        drop(sender);
        Client::connect(address, Options::default())?.join(PeerKind::CALM_ROOM)?;
        Ok(())
    })
}

/// Fails if descriptors of the silent peers are left.
fn check_descriptors(before: &Open, after: &Open) -> Result<()> {
    for (name, &count) in after {
        let known = before.get(name).copied().unwrap_or_default();
        let most = match name.as_str() {
            SOCKET => known.saturating_sub(LISTENERS),
            // After 16 MiB of log the checkpoint thread opens the database, and keeps it open.
            file if file.contains("/data/") => known + 1,
            _ => known,
        };
        ensure!(
            count <= most,
            "{name} is open {count} times after all have left; at most {most} are allowed"
        );
    }
    let sum = |open: &Open| (open.get(SOCKET).copied().unwrap_or_default(), open.values().sum::<usize>());
    let ((sockets_before, before), (sockets_after, after)) = (sum(before), sum(after));
    println!(
        "{before} descriptors before, {sockets_before} of them sockets; {after} and {sockets_after} after the {LISTENERS} listeners \
         left as well"
    );
    Ok(())
}

/// The state shared with the clients that stay.
#[derive(Default)]
struct Listeners {
    sent: AtomicU64,
    has_ended: AtomicBool,
}

impl Listeners {
    /// Receives all messages until the end.
    fn listen(&self, mut client: Client) -> Result<()> {
        let mut received = 0;
        let mut deadline = None;
        loop {
            match client.next_frame(POLL_INTERVAL) {
                Ok(protocol::ServerFrame::Event(event)) => {
                    received += u64::from(matches!(event.kind, protocol::EventKind::Message { .. }));
                }
                Ok(_) | Err(Error::Timeout) => {}
                Err(error) => return Err(error.into()),
            }
            let sent = self.sent.load(Ordering::SeqCst);
            if self.has_ended.load(Ordering::SeqCst) {
                let deadline = deadline.get_or_insert_with(|| Instant::now() + TIMEOUT);
                if received >= sent {
                    return Ok(());
                }
                ensure!(Instant::now() < *deadline, "{received} of {sent} messages were received");
            }
        }
    }
}

/// Sets its flag when it is dropped, or earlier.
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
