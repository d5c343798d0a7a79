//! The clients that take down what they do and see, and the checker that reads it.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
pub(super) use history::MinimumActivity;
use history::Record;

use crate::process;

pub(super) struct RecorderProcess {
    child: Child,
    /// What they say, line by line; its sender is gone when they are.
    said: Receiver<String>,
    /// What they complain of, when they have ended.
    complaints: Option<JoinHandle<Vec<String>>>,
}

impl RecorderProcess {
    /// Starts them, and returns when all have joined their rooms.
    pub(super) fn start(program: &Path, server: SocketAddr, history: &Path, args: &[String]) -> Result<Self> {
        let mut command = process::command_dying_with_parent(program);
        command
            .arg("record")
            .arg("--server")
            .arg(server.to_string())
            .arg("--history")
            .arg(history)
            .args(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
        // Both were piped just above.
        let (output, errors) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (say, said) = channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                // Whoever does not listen any more has given them up.
                let _ = say.send(line);
            }
        });
        let complaints = thread::spawn(move || {
            let lines = BufReader::new(errors).lines().map_while(Result::ok);
            lines.inspect(|line| eprintln!("{line}")).collect()
        });
        let mut recorder = Self { child, said, complaints: Some(complaints) };
        match recorder.said.recv() {
            Ok(line) if line == "ready" => Ok(recorder),
            Ok(line) => bail!("the clients did not begin, but said {line:?}"),
            Err(_) => Err(recorder.why_they_ended()?.context("the clients did not begin")),
        }
    }

    /// Their status and what they complained of: an error to give to whoever had not done with them.
    fn why_they_ended(&mut self) -> Result<anyhow::Error> {
        let status = self.child.wait()?;
        let complaints = self.complaints.take().map(JoinHandle::join);
        // Whoever reads them does not panic.
        let complaints = complaints.and_then(Result::ok).unwrap_or_default().join("; ");
        let complaints = if complaints.is_empty() { "nothing".to_owned() } else { complaints };
        Ok(anyhow!("the clients ended with {status}, and complained of: {complaints}"))
    }

    /// Whether all that was to be said is said and answered, waiting so long for it.
    pub(super) fn is_done_within(&mut self, wait: Duration) -> Result<bool> {
        match self.said.recv_timeout(wait) {
            Ok(line) if line == "all answered" => Ok(true),
            Ok(line) => bail!("the clients said {line:?}"),
            Err(RecvTimeoutError::Timeout) => Ok(false),
            Err(RecvTimeoutError::Disconnected) => Err(self.why_they_ended()?),
        }
    }

    /// A line of the history, for whoever reads it.
    pub(super) fn note(&mut self, text: &str) -> Result<()> {
        let input = self.child.stdin.as_mut().context("the clients were told to finish")?;
        if writeln!(input, "{text}").is_err() {
            return Err(self.why_they_ended()?);
        }
        Ok(())
    }

    /// No more harm is done: they come to rest, and the rooms are read. Prints what they did.
    pub(super) fn finish(mut self) -> Result<()> {
        drop(self.child.stdin.take());
        if !self.child.wait()?.success() {
            return Err(self.why_they_ended()?);
        }
        self.said.iter().for_each(|line| println!("{line}"));
        Ok(())
    }
}

impl Drop for RecorderProcess {
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

/// Prints the verdict; an error if a promise was broken, or less happened than a healthy server does on any machine.
pub(super) fn check(program: &Path, history: &Path, least: MinimumActivity) -> Result<()> {
    let mut command = Command::new(program);
    command.arg("check").arg(history).arg("--minimum").arg(least.to_string());
    process::run_captured(&mut command).map_err(|error| {
        let findings = error.downcast_ref().map(findings).unwrap_or_default();
        if findings.is_empty() { error } else { error.context(findings) }
    })
}

/// What the checker had to say of a history that is not as it should be.
fn findings(failed: &process::FailedProgram) -> String {
    let is_finding = |line: &&String| line.starts_with("VIOLATION: ") || line.starts_with("INSUFFICIENT: ");
    failed.last_lines.iter().filter(is_finding).map(String::as_str).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use std::process::ExitStatus;

    use super::*;

    #[test]
    fn clients_that_end_say_why() {
        let folder = tempfile::tempdir().unwrap();
        let nowhere = "127.0.0.1:1".parse().unwrap();
        // `ls` knows no `--server`, says so and ends.
        let call = RecorderProcess::start(Path::new("ls"), nowhere, folder.path(), &[]);
        let error = format!("{:#}", call.err().unwrap());
        assert!(error.contains("did not begin") && error.contains("--server"), "{error}");
    }

    #[test]
    fn what_the_checker_found_is_told_and_the_rest_is_not() {
        let lines =
            ["9 operations", "VIOLATION: an order", "INSUFFICIENT: 0 events", "INSUFFICIENT: 0 cursors"];
        let last_lines = lines.map(str::to_owned).into();
        let failed =
            process::FailedProgram { line: "history".into(), status: ExitStatus::default(), last_lines };
        assert_eq!(findings(&failed), "VIOLATION: an order; INSUFFICIENT: 0 events; INSUFFICIENT: 0 cursors");
    }
}
