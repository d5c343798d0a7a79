//! What is done to each server, and one run of it.

use std::fmt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::peers::{Peer, Running, Start};

/// One scenario.
pub(crate) struct Scenario {
    pub(crate) key: &'static str,
    /// The generator's arguments.
    args: &'static str,
    length: Length,
    /// To whom it is done.
    pub(crate) is_for: fn(Peer) -> bool,
}

enum Length {
    /// Messages are sent for the measured time.
    Measured,
    /// Nothing is sent; the memory is looked at when it has come to rest.
    Idle,
    /// Nothing is sent, and it is over when all have joined.
    Joined,
}

pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        key: "a",
        args: "--connections 1000 --senders 50 --rate 50",
        length: Length::Measured,
        is_for: |_| true,
    },
    Scenario {
        key: "b16",
        args: "--connections 1000 --senders 16 --window 1",
        length: Length::Measured,
        is_for: |_| true,
    },
    Scenario {
        key: "b128",
        args: "--connections 1000 --senders 128 --window 1",
        length: Length::Measured,
        is_for: |_| true,
    },
    Scenario {
        key: "d5000",
        args: "--connections 5000 --senders 0 --sources 4",
        length: Length::Idle,
        is_for: |peer| !peer.is_floor(),
    },
    Scenario {
        key: "d10000",
        args: "--connections 10000 --senders 0 --sources 4",
        length: Length::Idle,
        is_for: |peer| !peer.is_floor(),
    },
    Scenario {
        key: "e100",
        args: "--connections 10000 --rooms 100 --senders 0 --sources 4",
        length: Length::Joined,
        is_for: |peer| peer == Peer::Teahouse,
    },
    Scenario {
        key: "g1",
        args: "--connections 1 --senders 1 --window 1",
        length: Length::Measured,
        is_for: |peer| matches!(peer, Peer::Teahouse | Peer::FloorSend),
    },
    Scenario {
        key: "g100",
        args: "--connections 100 --rooms 100 --senders 100 --window 1",
        length: Length::Measured,
        is_for: |peer| peer == Peer::Teahouse,
    },
];

/// The server's cores and the generator's.
#[derive(Clone, Debug)]
pub(crate) struct Cores {
    server: String,
    generator: String,
}

impl FromStr for Cores {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_list = |list: &str| list.starts_with(|c: char| c.is_ascii_digit());
        match text.split_once(':') {
            Some((server, generator)) if is_list(server) && is_list(generator) => {
                Ok(Cores { server: server.to_owned(), generator: generator.to_owned() })
            }
            _ => Err("cores are given like 0:1 or 0-3:4-7, the server's first".to_owned()),
        }
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Timing {
    pub(crate) seconds: f64,
    pub(crate) settle: f64,
}

/// What the generator says of a run, as far as the tables want it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Figures {
    pub(crate) connections: u32,
    pub(crate) connect_seconds: f64,
    pub(crate) deliveries_per_second: f64,
    pub(crate) latency_ms: Times,
    pub(crate) acknowledge_ms: Times,
    pub(crate) generator_cpu_cores: f64,
    pub(crate) server: Option<ServerUse>,
    gaps: u64,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(crate) struct Times {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(crate) struct ServerUse {
    pub(crate) cpu_us_per_delivery: Option<f64>,
    pub(crate) memory_joined: u64,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let server = self.server.unwrap_or_default();
        write!(
            f,
            "{:.0} deliveries/s, p99 {:.2} ms, {:.2} µs CPU a delivery, joined in {:.2} s, {} KiB, generator {:.0} %",
            self.deliveries_per_second,
            self.latency_ms.p99,
            server.cpu_us_per_delivery.unwrap_or_default(),
            self.connect_seconds,
            server.memory_joined >> 10,
            self.generator_cpu_cores * 100.0
        )
    }
}

impl Scenario {
    /// One run against a fresh server. An error makes it void.
    pub(crate) fn run(
        &self,
        generator: &Path,
        peer: Peer,
        start: &Start,
        cores: &Cores,
        timing: Timing,
    ) -> Result<Figures> {
        let mut server = Running::start(start, &cores.server)?;
        let mut command = Command::new("taskset");
        command.args(["-c", &cores.generator]).arg(generator).arg("--json");
        command.arg("--url").arg(format!("ws://{}/ws", server.address));
        command.arg("--server-pid").arg(server.pid().to_string()).args(self.args.split(' '));
        let (seconds, warmup, settle) = match self.length {
            Length::Measured => (timing.seconds, 1.0, 0.5),
            Length::Idle => (0.1, 0.0, timing.settle),
            Length::Joined => (0.1, 0.0, 0.1),
        };
        for (name, value) in [("--duration", seconds), ("--warmup", warmup), ("--settle", settle)] {
            command.arg(name).arg(value.to_string());
        }
        if peer != Peer::Teahouse {
            command.arg("--peer");
        }
        let output = command.stderr(Stdio::piped()).output().context("cannot start the generator")?;
        server.check_alive()?;
        figures(output.status.success(), &output.stdout, &output.stderr)
    }
}

fn figures(success: bool, stdout: &[u8], stderr: &[u8]) -> Result<Figures> {
    if !success {
        let said = if stdout.is_empty() { stderr } else { stdout };
        bail!("{}", String::from_utf8_lossy(said).trim());
    }
    let figures: Figures = serde_json::from_slice(stdout).context("the generator's report cannot be read")?;
    if figures.gaps > 0 {
        bail!("{} gaps", figures.gaps);
    }
    Ok(figures)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_with_a_gap_or_a_loss_is_void() {
        assert!(figures(true, br#"{"gaps":0,"deliveries_per_second":5.0}"#, b"").is_ok());
        assert!(figures(true, br#"{"gaps":1}"#, b"").is_err());
        let error = figures(false, br#"{"lost":1}"#, b"").unwrap_err();
        assert!(error.to_string().contains("lost"));
        assert_eq!(figures(false, b"", b"stuck\n").unwrap_err().to_string(), "stuck");
    }

    #[test]
    fn cores_are_two_lists() {
        let cores: Cores = "0-1:2,3".parse().unwrap();
        assert_eq!((cores.server.as_str(), cores.generator.as_str()), ("0-1", "2,3"));
        assert!("0".parse::<Cores>().is_err() && ":1".parse::<Cores>().is_err());
    }
}
