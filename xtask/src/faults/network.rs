//! A network of its own, and harm done to what goes through it.
//!
//! It is a loopback device alone, and belongs to a thread and whatever that starts: nothing else on the machine meets a rule of
//! it, and it is gone when the last of them is, also if the run is killed. All of 127.0.0.0/8 is there, so each client can have an
//! address of its own.

use std::fmt::{self, Write};
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::panic::resume_unwind;
use std::process::{Command, Stdio};
use std::thread;

use anyhow::{Context, Result, bail};
use nix::sched::{CloneFlags, unshare};

use crate::process;

/// What becomes of the packets of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NetworkFault {
    /// Whoever sends something is told that there is no such connection.
    Reset,
    /// Nothing comes through.
    Silence,
    /// What the client sends does not arrive.
    DropInbound,
    /// What is sent to the client does not arrive.
    DropOutbound,
    /// One packet in twenty does not arrive.
    Loss,
}

impl NetworkFault {
    /// The chain of rules for packets from the address, and for those to it.
    fn chains(self) -> (Option<&'static str>, Option<&'static str>) {
        match self {
            Self::Reset => (Some("RESET"), Some("RESET")),
            Self::Silence => (Some("SILENCE"), Some("SILENCE")),
            Self::DropInbound => (Some("SILENCE"), None),
            Self::DropOutbound => (None, Some("SILENCE")),
            Self::Loss => (Some("LOSS"), Some("LOSS")),
        }
    }
}

/// All packets of the loopback device come in once, so each is looked at once. A reset has to come through to be heard.
const RULES: &str = "\
*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:HARM - [0:0]
:RESET - [0:0]
:SILENCE - [0:0]
:LOSS - [0:0]
-A INPUT -j HARM
-A RESET -p tcp --tcp-flags RST RST -j ACCEPT
-A RESET -p tcp -j REJECT --reject-with tcp-reset
-A SILENCE -j DROP
-A LOSS -m statistic --mode random --probability 0.05 -j DROP
COMMIT
";

/// For whoever is inside.
pub(super) struct Network(());

/// Does it in a network of its own.
pub(super) fn in_namespace<T: Send>(act: impl FnOnce(&Network) -> Result<T> + Send) -> Result<T> {
    thread::scope(|scope| {
        let life = scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).context("no right to make a network")?;
            process::output(program("ip")?.args(["link", "set", "lo", "up"]))?;
            let network = Network(());
            network.restore(&[], RULES)?;
            act(&network)
        });
        life.join().unwrap_or_else(|panic| resume_unwind(panic))
    })
}

impl Network {
    /// From now on these addresses are cut off, in this way, and no others.
    pub(super) fn cut(&self, cuts: impl IntoIterator<Item = (Ipv4Addr, NetworkFault)>) -> Result<()> {
        // To name a chain is to empty it; the others keep their rules and counts.
        let mut rules = "*filter\n:HARM - [0:0]\n".to_owned();
        for (address, cut) in cuts {
            let (from, to) = cut.chains();
            let lines = [("-s", from), ("-d", to)];
            for (side, chain) in lines.into_iter().filter_map(|(side, chain)| Some((side, chain?))) {
                writeln!(rules, "-A HARM {side} {address} -j {chain}")?;
            }
        }
        rules.push_str("COMMIT\n");
        self.restore(&["--noflush"], &rules)
    }

    /// How many packets met harm.
    pub(super) fn packet_counts(&self) -> Result<PacketCounts> {
        let rules = process::output(program("iptables-save")?.args(["-c", "-t", "filter"]))?;
        let count = |rule: &str| {
            let line = rules.lines().find(|line| line.contains(rule)).context("a rule is gone")?;
            let packets = line.trim_start_matches('[').split(':').next().and_then(|count| count.parse().ok());
            packets.with_context(|| format!("{line:?} has no count"))
        };
        Ok(PacketCounts {
            reset: count("-j REJECT")?,
            dropped: count("-A SILENCE -j DROP")?,
            lost: count("-A LOSS -m statistic")?,
        })
    }

    fn restore(&self, args: &[&str], rules: &str) -> Result<()> {
        let mut restore = program("iptables-restore")?;
        let mut restore = restore.args(args).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        // It was piped just above. Dropped when written, so that the program sees the end.
        restore.stdin.take().unwrap().write_all(rules.as_bytes())?;
        let output = restore.wait_with_output()?;
        if !output.status.success() {
            bail!("iptables-restore: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(())
    }
}

/// Packets that met harm.
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
            "{} packets were answered with a reset, {} were dropped in silence, {} were lost of those that are to lose one in \
             twenty",
            self.reset, self.dropped, self.lost
        )
    }
}

fn program(name: &str) -> Result<Command> {
    process::find(name).map(Command::new).with_context(|| format!("the program `{name}` is missing"))
}
