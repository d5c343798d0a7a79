//! The clients that take down what they do and see, and the checker that reads it.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use history::Record;

use crate::process;

pub(super) struct Witnesses {
    child: Child,
    /// What they say, line by line; its sender is gone when they are.
    said: Receiver<String>,
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
        let mut child = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
        // It was piped just above.
        let output = child.stdout.take().unwrap();
        let (say, said) = channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                // Whoever does not listen any more has given them up.
                let _ = say.send(line);
            }
        });
        let witnesses = Self { child, said };
        match witnesses.said.recv() {
            Ok(line) if line == "ready" => Ok(witnesses),
            _ => bail!("the clients did not begin"),
        }
    }

    /// Whether all that was to be said is said and answered, waiting so long for it.
    pub(super) fn have_enough_within(&self, wait: Duration) -> Result<bool> {
        match self.said.recv_timeout(wait) {
            Ok(line) if line == "enough" => Ok(true),
            Ok(line) => bail!("the clients said {line:?}"),
            Err(RecvTimeoutError::Timeout) => Ok(false),
            Err(RecvTimeoutError::Disconnected) => bail!("the clients have ended"),
        }
    }

    /// A line of the history, for whoever reads it.
    pub(super) fn note(&mut self, text: &str) -> Result<()> {
        let input = self.child.stdin.as_mut().context("the clients were told to finish")?;
        writeln!(input, "{text}").context("the clients have ended")
    }

    /// No more harm is done: they come to rest, and the rooms are read. Prints what they did.
    pub(super) fn finish(mut self) -> Result<()> {
        drop(self.child.stdin.take());
        let status = self.child.wait()?;
        if !status.success() {
            bail!("the clients ended with {status}");
        }
        self.said.iter().for_each(|line| println!("{line}"));
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

/// What each client took down, by its number; the first is what was noted, and the rooms as they were read in the end.
pub(super) fn histories(folder: &Path) -> Result<Vec<Vec<Record>>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        files.push(entry?.path());
    }
    // By number, whose digits are as many as it has.
    files.sort_by_key(|path| (path.as_os_str().len(), path.clone()));
    let read = |path: &PathBuf| -> Result<Vec<Record>> {
        let records = history::read(BufReader::new(File::open(path)?));
        let records: io::Result<Vec<_>> = records.map(|record| record.map_err(|wrong| wrong.error)).collect();
        records.with_context(|| path.display().to_string())
    };
    files.iter().map(read).collect()
}

/// Prints the verdict; an error if a promise was broken.
pub(super) fn check(program: &Path, history: &PathBuf) -> Result<()> {
    process::run(Command::new(program).arg("check").arg(history))
}
