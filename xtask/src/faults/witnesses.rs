//! The clients that take down what they do and see, and the checker that reads it.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::process;

pub(super) struct Witnesses {
    child: Child,
}

impl Witnesses {
    /// Starts them, and returns when all have joined their rooms.
    pub(super) fn call(program: &Path, server: SocketAddr, history: &Path, args: &[String]) -> Result<Self> {
        let mut command = Command::new(program);
        command
            .arg("record")
            .arg("--server")
            .arg(server.to_string())
            .arg("--history")
            .arg(history)
            .args(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let child = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
        let mut witnesses = Self { child };
        // It was piped just above.
        let output = witnesses.child.stdout.take().unwrap();
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        if line.trim() != "ready" {
            bail!("the clients did not begin");
        }
        Ok(witnesses)
    }

    /// A line of the history, for whoever reads it.
    pub(super) fn note(&mut self, text: &str) -> Result<()> {
        let input = self.child.stdin.as_mut().context("the clients were told to finish")?;
        writeln!(input, "{text}").context("the clients have ended")
    }

    /// No more harm is done: they come to rest, and the rooms are read.
    pub(super) fn finish(mut self) -> Result<()> {
        drop(self.child.stdin.take());
        let status = self.child.wait()?;
        if !status.success() {
            bail!("the clients ended with {status}");
        }
        Ok(())
    }
}

impl Drop for Witnesses {
    fn drop(&mut self) {
        // Both fail only if they have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Prints the verdict; an error if a promise was broken.
pub(super) fn check(program: &Path, history: &PathBuf) -> Result<()> {
    process::run(Command::new(program).arg("check").arg(history))
}
