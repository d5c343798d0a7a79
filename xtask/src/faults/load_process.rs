//! The load generator beside a server that harm is done to.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStderr, Stdio};
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::process;

/// A run that goes on. It is ended with this value, if it has not ended by itself.
pub(super) struct LoadProcess {
    child: Child,
    /// Says when the measured time begins.
    stderr: BufReader<ChildStderr>,
    // Read as it is written, so that the generator never waits for us.
    report: Option<JoinHandle<std::io::Result<String>>>,
}

/// What it tells at its end, as far as it matters here.
#[derive(Debug, Deserialize)]
pub(super) struct Report {
    pub(super) sent: u64,
    pub(super) acknowledged_by_second: Vec<u64>,
    pub(super) refused: u64,
    pub(super) acknowledge_ms: Times,
    pub(super) errors: std::collections::BTreeMap<String, u64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Times {
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) max: f64,
}

impl LoadProcess {
    /// Starts it with these options.
    pub(super) fn start(program: &Path, server: SocketAddr, options: &str) -> Result<Self> {
        let mut command = process::command_dying_with_parent(program);
        command.arg("--json").arg("--url").arg(format!("ws://{server}/ws")).args(options.split_whitespace());
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        // Both were piped just above.
        let (output, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let report = thread::spawn(move || std::io::read_to_string(output));
        Ok(Self { child, stderr: BufReader::new(stderr), report: Some(report) })
    }

    /// Until all have come and the measured time begins.
    pub(super) fn wait_until_measuring(&mut self) -> Result<()> {
        let mut said = String::new();
        while self.stderr.read_line(&mut said)? > 0 {
            if said.ends_with("measuring\n") {
                return Ok(());
            }
        }
        bail!("the generator did not begin: {}", said.trim())
    }

    pub(super) fn has_ended(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Its report, when it has ended. An error if a promise was broken, a command was never answered or a connection closed.
    pub(super) fn finish(mut self) -> Result<Report> {
        let status = self.child.wait()?;
        // `finish` is the only one who takes it.
        let report = self.report.take().unwrap().join();
        let report = report.map_err(|_| anyhow::anyhow!("nobody read the generator's report"))??;
        match status.code() {
            Some(0) => serde_json::from_str(&report).context("the generator's report cannot be read"),
            Some(1) => bail!("a promise was broken: {}", report.trim()),
            _ => bail!("the generator ended with {status}"),
        }
    }
}

impl Report {
    /// How many were acknowledged in a second: the median of all whole ones.
    pub(super) fn rate(&self) -> Result<u64> {
        let mut seconds = self.acknowledged_by_second.clone();
        // The last one was cut off.
        seconds.pop();
        seconds.sort_unstable();
        seconds.get(seconds.len() / 2).copied().context("less than two seconds were measured")
    }
}

impl Drop for LoadProcess {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
