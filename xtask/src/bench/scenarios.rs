//! The scenarios, their order and their duration.

use anyhow::{Result, bail};

use super::peers::{LaunchSpec, Peer};
use super::timing::Timing;

/// One scenario.
pub(crate) struct Scenario {
    pub(crate) key: &'static str,
    pub(crate) workload: Workload,
    /// Which peers it runs on.
    pub(crate) is_for: fn(Peer) -> bool,
    pub(crate) repeat: Repeat,
}

#[derive(Clone, Copy)]
pub(crate) enum Repeat {
    /// Only in the first round, because the values vary little between rounds.
    Once,
    /// This many times per round, each time on all servers in turn.
    EachRound(u32),
}

impl Repeat {
    pub(crate) fn in_round(self, round: u32) -> u32 {
        match self {
            Repeat::Once => u32::from(round == 1),
            Repeat::EachRound(turns) => turns,
        }
    }
}

/// The generator's arguments, which may depend on the peer.
type Arguments = fn(Peer) -> &'static str;

pub(crate) enum Workload {
    /// Messages are sent: the arguments, the seconds of warm-up, and the fraction of the measured time.
    Load(Arguments, f64, f64),
    /// No messages; the run ends when all clients have joined and received each other's joins.
    Join(Arguments),
    /// No messages; memory is read after a rest. All servers run at the same time, each with its own connections, which join
    /// one server after another: idle connections do not affect the other servers.
    Idle(Arguments),
    /// Two clients that exchange messages, with an optional background load.
    Pair(Option<Arguments>),
    /// A reference store without a server.
    ReferenceStore,
    /// The server is started, probed and stopped several times.
    Starts,
}

/// One room of 10,000, with a rate so low that every client has a message before the next one is sent. A window of one message would
/// not ensure that, because Teahouse answers the sender long before.
const LARGE_ROOM: &str = "--connections 10000 --senders 1 --rate 2.5 --sources 4";

/// The same room, with a rate at which the server nearly always has one message in delivery, and rarely two.
const BUSY_ROOM: &str = "--connections 10000 --senders 1 --rate 12 --sources 4";

/// The seconds until a load is steady.
pub(crate) const WARMUP_SECONDS: f64 = 1.0;

/// Seconds until the kernel's buffers of stalled readers are full, some MiB for each at 2,000 messages a second. Only then do they
/// affect the server.
const BUFFERS_FULL_SECONDS: f64 = 6.0;

/// Sorted by significance, the most significant first.
pub(crate) const SCENARIOS: &[Scenario] = &[
    load("a", |_| "--connections 1000 --senders 50 --rate 50", Peer::is_server),
    load("b128", |_| "--connections 1000 --senders 128 --in-flight 128", Peer::is_server),
    load("f", |_| LARGE_ROOM, Peer::is_server),
    load(
        "g1",
        |_| "--connections 1 --senders 1 --window 1",
        |peer| peer.is_teahouse() || peer == Peer::BaselineSend,
    ),
    load("g100", |_| "--connections 100 --rooms 100 --senders 100 --window 1", Peer::is_teahouse),
    Scenario {
        key: "greference",
        workload: Workload::ReferenceStore,
        is_for: Peer::is_reference,
        repeat: Repeat::EachRound(1),
    },
    // On a virtual machine, the cost of waking many idle readers varies by a factor of two within seconds. Several short
    // turns, alternating with the baseline's, are more precise than a long one.
    Scenario {
        key: "c",
        workload: Workload::Load(rooms, WARMUP_SECONDS, 0.4),
        is_for: |peer| matches!(peer, Peer::Teahouse | Peer::BaselineSend),
        repeat: Repeat::EachRound(3),
    },
    Scenario {
        key: "e1",
        workload: Workload::Join(|_| "--connections 10000 --senders 0 --sources 4"),
        is_for: is_server_not_baseline,
        repeat: Repeat::EachRound(1),
    },
    Scenario {
        key: "e100",
        workload: Workload::Join(|_| "--connections 10000 --rooms 100 --senders 0 --sources 4"),
        is_for: on_sqlite,
        repeat: Repeat::EachRound(1),
    },
    Scenario { key: "h1", workload: Workload::Pair(None), is_for: on_sqlite, repeat: Repeat::EachRound(1) },
    Scenario {
        key: "h2",
        workload: Workload::Pair(Some(|_| BUSY_ROOM)),
        is_for: on_sqlite,
        repeat: Repeat::EachRound(1),
    },
    Scenario {
        key: "i0",
        workload: Workload::Load(|_| "--connections 800 --senders 16 --rate 2000", BUFFERS_FULL_SECONDS, 1.0),
        is_for: on_sqlite,
        repeat: Repeat::EachRound(1),
    },
    Scenario {
        key: "i200",
        workload: Workload::Load(
            |_| "--connections 800 --stalled 200 --senders 16 --rate 2000",
            BUFFERS_FULL_SECONDS,
            1.0,
        ),
        is_for: on_sqlite,
        repeat: Repeat::EachRound(1),
    },
    idle("d5000", |_| "--connections 5000 --senders 0 --sources 4"),
    idle("d10000", |_| "--connections 10000 --senders 0 --sources 4"),
    idle("d15000", |_| "--connections 15000 --senders 0 --sources 4"),
    Scenario { key: "start", workload: Workload::Starts, is_for: on_sqlite, repeat: Repeat::Once },
    // These two have no threshold.
    Scenario {
        key: "b16",
        workload: Workload::Load(|_| "--connections 1000 --senders 16 --in-flight 16", WARMUP_SECONDS, 0.2),
        is_for: Peer::is_server,
        repeat: Repeat::EachRound(1),
    },
    Scenario {
        key: "b1024",
        workload: Workload::Load(
            |_| "--connections 1000 --senders 1000 --in-flight 1024",
            WARMUP_SECONDS,
            0.2,
        ),
        is_for: Peer::is_server,
        repeat: Repeat::EachRound(1),
    },
];

const fn load(key: &'static str, args: Arguments, is_for: fn(Peer) -> bool) -> Scenario {
    Scenario {
        key,
        workload: Workload::Load(args, WARMUP_SECONDS, 1.0),
        is_for,
        repeat: Repeat::EachRound(1),
    }
}

const fn idle(key: &'static str, args: Arguments) -> Scenario {
    Scenario { key, workload: Workload::Idle(args), is_for: is_server_not_baseline, repeat: Repeat::Once }
}

fn on_sqlite(peer: Peer) -> bool {
    peer == Peer::Teahouse
}

fn is_server_not_baseline(peer: Peer) -> bool {
    peer.is_server() && !peer.is_baseline()
}

/// The baseline gets the same number of sockets, messages per second and deliveries per message, but each client is in only
/// one channel: a send to a socket in the CPU caches costs markedly less than another.
fn rooms(peer: Peer) -> &'static str {
    if peer == Peer::Teahouse {
        "--connections 2000 --rooms 100 --rooms-each 5 --senders 100 --rate 100"
    } else {
        "--connections 2000 --rooms 20 --senders 100 --rate 100"
    }
}

/// Seconds of the reference store per batch size, per second of a run.
pub(crate) const REFERENCE_SHARE: f64 = 0.3;

/// How often an idle server is started on each folder.
pub(crate) const STARTS_PER_FOLDER: u32 = 5;

/// Seconds from the start to the measurement of an idle server's memory.
pub(crate) const IDLE_SECONDS: f64 = 2.0;

/// Seconds by which a background run outlasts the measured one.
pub(crate) const BACKGROUND_EXTRA_SECONDS: f64 = 5.0;

impl Scenario {
    /// The maximum of open files of one process.
    pub(crate) fn files(&self) -> u64 {
        self.connections() + 100
    }

    fn connections(&self) -> u64 {
        let arguments = match self.workload {
            Workload::Load(args, ..)
            | Workload::Join(args)
            | Workload::Idle(args)
            | Workload::Pair(Some(args)) => args(Peer::Teahouse),
            Workload::Pair(None) | Workload::ReferenceStore | Workload::Starts => "",
        };
        let mut words = arguments.split(' ');
        words.find(|word| *word == "--connections");
        words.next().and_then(|number| number.parse().ok()).unwrap_or(0)
    }

    /// The estimated seconds for this many servers.
    fn seconds(&self, servers: usize, timing: Timing) -> f64 {
        let servers = servers as f64;
        // The start of the server, the joins, the settling and the shutdown.
        let around = 1.8 + self.connections() as f64 / 3000.0;
        match self.workload {
            Workload::Load(_, warm, share) => servers * (around + warm + timing.seconds * share),
            Workload::Join(_) => servers * around,
            Workload::Idle(_) => servers * around + timing.settle,
            Workload::Pair(None) => servers * (around + WARMUP_SECONDS + timing.seconds),
            Workload::Pair(Some(_)) => {
                servers * (around + WARMUP_SECONDS + timing.seconds + BACKGROUND_EXTRA_SECONDS)
            }
            Workload::ReferenceStore => servers * 4.0 * REFERENCE_SHARE * timing.seconds,
            Workload::Starts => f64::from(STARTS_PER_FOLDER) * 2.0 * (IDLE_SECONDS + 0.2) + 5.0,
        }
    }
}

/// The estimated seconds of the whole run.
pub(crate) fn estimate(
    scenarios: &[&Scenario],
    ready: &[(Peer, LaunchSpec)],
    rounds: u32,
    timing: Timing,
) -> f64 {
    let of = |scenario: &&Scenario| {
        let servers = ready.iter().filter(|(peer, _)| (scenario.is_for)(*peer)).count();
        let times: u32 = (1..=rounds).map(|round| scenario.repeat.in_round(round)).sum();
        scenario.seconds(servers, timing) * f64::from(times)
    };
    scenarios.iter().map(of).sum()
}

/// The scenarios chosen by key or first letter; all, if none is named.
pub(crate) fn chosen(only: &[String]) -> Result<Vec<&'static Scenario>> {
    let is_meant = |scenario: &Scenario, word: &str| {
        scenario.key == word || (word.len() == 1 && scenario.key.starts_with(word))
    };
    for word in only {
        if !SCENARIOS.iter().any(|scenario| is_meant(scenario, word)) {
            let keys: Vec<_> = SCENARIOS.iter().map(|scenario| scenario.key).collect();
            bail!("there is no scenario {word}; the scenarios are {}", keys.join(", "));
        }
    }
    let is_chosen =
        |scenario: &&Scenario| only.is_empty() || only.iter().any(|word| is_meant(scenario, word));
    Ok(SCENARIOS.iter().filter(is_chosen).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(only: &[&str]) -> Result<Vec<&'static str>> {
        let only: Vec<_> = only.iter().map(|&word| word.to_owned()).collect();
        Ok(chosen(&only)?.iter().map(|scenario| scenario.key).collect())
    }

    #[test]
    fn scenario_is_chosen_by_key_or_letter() {
        assert_eq!(keys(&["b128", "a"]).unwrap(), ["a", "b128"]);
        assert_eq!(keys(&["g"]).unwrap(), ["g1", "g100", "greference"]);
        assert_eq!(keys(&[]).unwrap().len(), SCENARIOS.len());
        assert!(keys(&["b12"]).unwrap_err().to_string().contains("b128"));
    }

    #[test]
    fn number_of_files_follows_from_the_arguments() {
        let files = |key: &str| keys(&[key]).map(|_| chosen(&[key.to_owned()]).unwrap()[0].files()).unwrap();
        assert_eq!((files("d15000"), files("f"), files("start")), (15_100, 10_100, 100));
    }

    #[test]
    fn full_run_with_every_peer_takes_about_half_an_hour() {
        let home = std::path::Path::new("/");
        let ready: Vec<_> =
            Peer::ALL.into_iter().map(|peer| (peer, LaunchSpec::of("true", &[], home))).collect();
        let timing = Timing { seconds: 10.0, settle: 60.0 };
        let minutes = estimate(&chosen(&[]).unwrap(), &ready, 3, timing) / 60.0;
        assert!((20.0..35.0).contains(&minutes), "{minutes}");
    }
}
