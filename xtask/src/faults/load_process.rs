//! The load generator as a child process.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStderr, Stdio};
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::process;

/// A running generator. It is killed when this value is dropped, if it has not exited.
pub(super) struct LoadProcess {
    child: Child,
    /// The error output, which announces the start of the measured time.
    stderr: BufReader<ChildStderr>,
    // A thread reads it as it is written, so that the generator never blocks.
    report: Option<JoinHandle<std::io::Result<String>>>,
}

/// The part of the generator's report that is used here.
#[derive(Debug, Deserialize)]
pub(super) struct Report {
    pub(super) sent: u64,
    pub(super) acknowledged_by_second: Vec<u64>,
    pub(super) rejected: u64,
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
    pub(super) fn start(program: &Path, server: SocketAddr, options: &str) -> Result<Self> {
        let mut command = process::command_dying_with_parent(program);
        command.arg("--json").arg("--url").arg(format!("ws://{server}/ws")).args(options.split_whitespace());
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        // Both were piped above, and nothing has taken them.
        let (output, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let report = thread::spawn(move || std::io::read_to_string(output));
        Ok(Self { child, stderr: BufReader::new(stderr), report: Some(report) })
    }

    /// Waits until all clients are connected and the measured time begins.
    pub(super) fn wait_until_measuring(&mut self) -> Result<()> {
        let mut output = String::new();
        while self.stderr.read_line(&mut output)? > 0 {
            if output.ends_with("measuring\n") {
                return Ok(());
            }
        }
        bail!("the generator did not start measuring: {}", output.trim())
    }

    pub(super) fn has_ended(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Waits for the report. Fails if a promise was broken, a command was not answered or a connection was closed.
    pub(super) fn finish(mut self) -> Result<Report> {
        let status = self.child.wait()?;
        // `finish` consumes the value, and nothing else takes the thread.
        let report = self.report.take().unwrap().join();
        let report = report.map_err(|_| anyhow::anyhow!("the generator's output was not read"))??;
        match status.code() {
            Some(0) => serde_json::from_str(&report).context("cannot parse the generator's report"),
            Some(1) => bail!("a promise was broken: {}", report.trim()),
            _ => bail!("the generator exited with {status}"),
        }
    }
}

impl Report {
    /// Messages acknowledged per second: the median of all complete seconds.
    pub(super) fn rate(&self) -> Result<u64> {
        let mut seconds = self.acknowledged_by_second.clone();
        // The last second is incomplete.
        seconds.pop();
        seconds.sort_unstable();
        seconds.get(seconds.len() / 2).copied().context("less than two seconds were measured")
    }
}

impl Drop for LoadProcess {
    fn drop(&mut self) {
        // Both calls fail only if the process has already exited.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
