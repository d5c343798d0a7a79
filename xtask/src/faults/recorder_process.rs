//! The recorded clients (`history record`) and the checker of their histories (`history check`) as child processes.

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
    /// The output, line by line; disconnected when the process exits.
    lines: Receiver<String>,
    /// The error output, available after the process exits.
    errors: Option<JoinHandle<Vec<String>>>,
}

impl RecorderProcess {
    /// Starts the clients, and returns when all have joined their rooms.
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
        // Both were piped above, and nothing has taken them.
        let (output, errors) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                // Fails only if nothing reads the lines any more.
                let _ = sender.send(line);
            }
        });
        let errors = thread::spawn(move || {
            let lines = BufReader::new(errors).lines().map_while(Result::ok);
            lines.inspect(|line| eprintln!("{line}")).collect()
        });
        let mut recorder = Self { child, lines, errors: Some(errors) };
        match recorder.lines.recv() {
            Ok(line) if line == "ready" => Ok(recorder),
            Ok(line) => bail!("the clients did not start; their first line was {line:?}"),
            Err(_) => Err(recorder.exit_error()?.context("the clients did not start")),
        }
    }

    /// The clients' exit status and error output, as an error for a caller that did not expect their end.
    fn exit_error(&mut self) -> Result<anyhow::Error> {
        let status = self.child.wait()?;
        let errors = self.errors.take().map(JoinHandle::join);
        // The reading thread does not panic.
        let errors = errors.and_then(Result::ok).unwrap_or_default().join("; ");
        let errors = if errors.is_empty() { "nothing".to_owned() } else { errors };
        Ok(anyhow!("the clients exited with {status}; their errors: {errors}"))
    }

    /// Waits at most this long until all messages are sent and answered. Returns whether they are.
    pub(super) fn is_done_within(&mut self, wait: Duration) -> Result<bool> {
        match self.lines.recv_timeout(wait) {
            Ok(line) if line == "all answered" => Ok(true),
            Ok(line) => bail!("unexpected line from the clients: {line:?}"),
            Err(RecvTimeoutError::Timeout) => Ok(false),
            Err(RecvTimeoutError::Disconnected) => Err(self.exit_error()?),
        }
    }

    /// Writes a note into the history, for human readers.
    pub(super) fn note(&mut self, text: &str) -> Result<()> {
        let input = self.child.stdin.as_mut().context("the clients were already requested to finish")?;
        if writeln!(input, "{text}").is_err() {
            return Err(self.exit_error()?);
        }
        Ok(())
    }

    /// Ends the run after the last fault: the clients come to quiescence and read the rooms. Prints their summary.
    pub(super) fn finish(mut self) -> Result<()> {
        drop(self.child.stdin.take());
        if !self.child.wait()?.success() {
            return Err(self.exit_error()?);
        }
        self.lines.iter().for_each(|line| println!("{line}"));
        Ok(())
    }
}

impl Drop for RecorderProcess {
    fn drop(&mut self) {
        // Both calls fail only if the process has already exited.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The records of each client, by its number. The first one also has the notes, and the rooms as they were read at the end.
pub(super) fn histories(folder: &Path) -> Result<Vec<Vec<Record>>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        files.push(entry?.path());
    }
    // File names are numbers without leading zeros, so shorter ones are smaller.
    files.sort_by_key(|path| (path.as_os_str().len(), path.clone()));
    let read = |path: &PathBuf| -> Result<Vec<Record>> {
        let records = history::read(BufReader::new(File::open(path)?));
        let records: io::Result<Vec<_>> = records.map(|record| record.map_err(|wrong| wrong.error)).collect();
        records.with_context(|| path.display().to_string())
    };
    files.iter().map(read).collect()
}

/// Prints the result. Fails if a promise was broken, or if less happened than a healthy server achieves on any machine.
pub(super) fn check(program: &Path, history: &Path, least: MinimumActivity) -> Result<()> {
    let mut command = Command::new(program);
    command.arg("check").arg(history).arg("--minimum").arg(least.to_string());
    process::run_captured(&mut command).map_err(|error| {
        let findings = error.downcast_ref().map(findings).unwrap_or_default();
        if findings.is_empty() { error } else { error.context(findings) }
    })
}

/// The findings of the checker, without its exit status.
fn findings(failed: &process::FailedProgram) -> String {
    let is_finding = |line: &&String| line.starts_with("VIOLATION: ") || line.starts_with("INSUFFICIENT: ");
    failed.last_lines.iter().filter(is_finding).map(String::as_str).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use std::process::ExitStatus;

    use super::*;

    #[test]
    fn clients_that_exit_early_are_reported_with_their_errors() {
        let folder = tempfile::tempdir().unwrap();
        let closed_port = "127.0.0.1:1".parse().unwrap();
        // `ls` has no option `--server`, so it exits with an error.
        let call = RecorderProcess::start(Path::new("ls"), closed_port, folder.path(), &[]);
        let error = format!("{:#}", call.err().unwrap());
        assert!(error.contains("did not start") && error.contains("--server"), "{error}");
    }

    #[test]
    fn only_findings_of_the_checker_are_reported() {
        let lines =
            ["9 operations", "VIOLATION: an order", "INSUFFICIENT: 0 events", "INSUFFICIENT: 0 cursors"];
        let last_lines = lines.map(str::to_owned).into();
        let failed =
            process::FailedProgram { line: "history".into(), status: ExitStatus::default(), last_lines };
        assert_eq!(findings(&failed), "VIOLATION: an order; INSUFFICIENT: 0 events; INSUFFICIENT: 0 cursors");
    }
}
