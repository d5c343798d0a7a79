//! A network namespace of its own, with faults injected into its traffic.
//!
//! The namespace has only a loopback device and belongs to one thread and its children: no rule affects anything else on the machine,
//! and the kernel removes it when the last of them ends, also if the run is killed. All of 127.0.0.0/8 is reachable, so each client can
//! have its own address.

use std::fmt::{self, Write};
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::panic::resume_unwind;
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result, bail};
use nix::sched::{CloneFlags, unshare};

use crate::process;

/// What happens to the packets of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NetworkFault {
    /// Each packet is answered with a TCP reset.
    Reset,
    /// All packets are dropped, in both directions.
    Blackhole,
    /// Packets from the client are dropped.
    DropInbound,
    /// Packets to the client are dropped.
    DropOutbound,
    /// One packet in twenty is dropped.
    Loss,
}

impl NetworkFault {
    /// The chain for packets from the address and the one for packets to it; `None` where this fault does not apply.
    fn chains(self) -> (Option<&'static str>, Option<&'static str>) {
        match self {
            Self::Reset => (Some("RESET"), Some("RESET")),
            Self::Blackhole => (Some("BLACKHOLE"), Some("BLACKHOLE")),
            Self::DropInbound => (Some("BLACKHOLE"), None),
            Self::DropOutbound => (None, Some("BLACKHOLE")),
            Self::Loss => (Some("LOSS"), Some("LOSS")),
        }
    }
}

/// Every packet on the loopback device passes INPUT once, so it meets the rules once. Resets themselves must pass.
const RULES: &str = "\
*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:FAULTS - [0:0]
:RESET - [0:0]
:BLACKHOLE - [0:0]
:LOSS - [0:0]
-A INPUT -j FAULTS
-A RESET -p tcp --tcp-flags RST RST -j ACCEPT
-A RESET -p tcp -j REJECT --reject-with tcp-reset
-A BLACKHOLE -j DROP
-A LOSS -m statistic --mode random --probability 0.05 -j DROP
COMMIT
";

/// Proves that the calling thread runs inside the namespace: only [`in_namespace`] creates it.
pub(super) struct Network(());

/// Runs `act` in a new network namespace, on a thread of its own.
pub(super) fn in_namespace<T: Send>(act: impl FnOnce(&Network) -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| {
        let life = scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).context("cannot create a network namespace")?;
            process::output(program("ip")?.args(["link", "set", "lo", "up"]))?;
            let network = Network(());
            network.restore(&[], RULES)?;
            act(&network)
        });
        life.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

impl Network {
    /// Applies these faults to these addresses, and removes all others.
    pub(super) fn set_faults(
        &self,
        faults: impl IntoIterator<Item = (Ipv4Addr, NetworkFault)>,
    ) -> Result<()> {
        // Naming a chain empties it; the others keep their rules and counters.
        let mut rules = "*filter\n:FAULTS - [0:0]\n".to_owned();
        for (address, set_faults) in faults {
            let (from, to) = set_faults.chains();
            let lines = [("-s", from), ("-d", to)];
            for (side, chain) in lines.into_iter().filter_map(|(side, chain)| Some((side, chain?))) {
                writeln!(rules, "-A FAULTS {side} {address} -j {chain}")?;
            }
        }
        rules.push_str("COMMIT\n");
        self.restore(&["--noflush"], &rules)
    }

    /// The number of packets that were affected so far.
    pub(super) fn packet_counts(&self) -> Result<PacketCounts> {
        let rules = process::output(program("iptables-save")?.args(["-c", "-t", "filter"]))?;
        let count = |rule: &str| {
            let line = rules.lines().find(|line| line.contains(rule)).context("a rule is missing")?;
            let packets = line.trim_start_matches('[').split(':').next().and_then(|count| count.parse().ok());
            packets.with_context(|| format!("{line:?} has no count"))
        };
        Ok(PacketCounts {
            reset: count("-j REJECT")?,
            dropped: count("-A BLACKHOLE -j DROP")?,
            lost: count("-A LOSS -m statistic")?,
        })
    }

    fn restore(&self, args: &[&str], rules: &str) -> Result<()> {
        let mut restore = program("iptables-restore")?;
        let mut restore = restore.args(args).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        // It was piped above. Dropping it after the write ends the program's input.
        restore.stdin.take().unwrap().write_all(rules.as_bytes())?;
        let output = restore.wait_with_output()?;
        if !output.status.success() {
            bail!("iptables-restore: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(())
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct PacketCounts {
    pub(super) reset: u64,
    pub(super) dropped: u64,
    pub(super) lost: u64,
}

impl fmt::Display for PacketCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} packets were answered with a reset, {} were dropped in a blackhole, {} were dropped by the rule for one in \
             twenty",
            self.reset, self.dropped, self.lost
        )
    }
}

fn program(name: &str) -> Result<Command> {
    process::find(name).map(Command::new).with_context(|| format!("the program `{name}` is missing"))
}
