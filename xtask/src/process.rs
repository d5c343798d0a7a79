//! Running other programs, with their command lines and failures in the output.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, IsTerminal, PipeReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use std::{env, fmt, thread};

use anyhow::{Context, Result, bail};

/// Bounds the lines of a program's output that are kept for the summary.
const LAST_LINES: usize = 80;

/// The error for a program that failed.
#[derive(Debug)]
pub(crate) struct FailedProgram {
    pub(crate) line: String,
    pub(crate) status: ExitStatus,
    /// The last lines of its output; empty if the output was not captured.
    pub(crate) last_lines: VecDeque<String>,
}

impl fmt::Display for FailedProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ended with {}", self.line, self.status)
    }
}

impl std::error::Error for FailedProgram {}

/// The Cargo that started this process, so that `cargo +TOOLCHAIN` applies to child processes.
pub(crate) fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Prints the command line and runs `command` with inherited output. A failure is a [`FailedProgram`].
pub(crate) fn run(command: &mut Command) -> Result<()> {
    // On a terminal, programs use colors and progress bars, which they omit when they write to a pipe.
    if io::stdout().is_terminal() {
        run_by(command, |command| command.status().map(|it| (it, VecDeque::new())))
    } else {
        run_captured(command)
    }
}

/// Like [`run`], but always captures the last lines of output.
pub(crate) fn run_captured(command: &mut Command) -> Result<()> {
    run_by(command, run_and_capture)
}

type Ended = (ExitStatus, VecDeque<String>);

fn run_by(command: &mut Command, run: impl FnOnce(&mut Command) -> io::Result<Ended>) -> Result<()> {
    let line = describe(command);
    println!("$ {line}");
    let (status, last_lines) = run(command).with_context(|| format!("cannot start `{line}`"))?;
    if !status.success() {
        return Err(FailedProgram { line, status, last_lines }.into());
    }
    Ok(())
}

/// Runs `command`, copies its output to ours, and keeps the last lines.
fn run_and_capture(command: &mut Command) -> io::Result<Ended> {
    let (reader, writer) = io::pipe()?;
    command.stdout(writer.try_clone()?).stderr(writer);
    let child = command.spawn();
    // The command holds our copies of the pipe's writing end; the reader only sees the end after they are closed.
    command.stdout(Stdio::inherit()).stderr(Stdio::inherit());
    let mut child = child?;
    let (done, lines) = mpsc::channel();
    thread::spawn(move || done.send(forward(reader)));
    let status = child.wait()?;
    // A process that the program left running may hold the pipe, so this does not wait for it.
    Ok((status, lines.recv_timeout(Duration::from_secs(5)).unwrap_or_default()))
}

/// Copies the output to ours, and returns its last lines.
fn forward(reader: PipeReader) -> VecDeque<String> {
    let mut last = VecDeque::with_capacity(LAST_LINES);
    for line in BufReader::new(reader).split(b'\n').map_while(Result::ok) {
        let mut out = io::stdout().lock();
        // If our output is closed, the rest is dropped.
        let _ = out.write_all(&line).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush());
        if last.len() == LAST_LINES {
            last.pop_front();
        }
        last.push_back(String::from_utf8_lossy(&line).into_owned());
    }
    last
}

/// Words to put before a program so that the kernel kills it when the thread that started it ends, however this process ends.
/// What only the program held, such as a network namespace, disappears with it. Without `setpriv` the list is empty.
pub(crate) fn with_parent_death_signal() -> Vec<OsString> {
    let Some(setpriv) = find("setpriv") else { return Vec::new() };
    vec![setpriv.into(), "--pdeathsig=KILL".into(), "--".into()]
}

/// A command whose program is started [`with_parent_death_signal`].
pub(crate) fn command_dying_with_parent(program: &Path) -> Command {
    let words = [with_parent_death_signal(), vec![program.into()]].concat();
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    command
}

/// Runs `command` silently. Returns its standard output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let line = describe(command);
    let output = command.stderr(Stdio::piped()).output().with_context(|| format!("cannot start `{line}`"))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("`{line}` ended with {}: {}", output.status, errors.trim());
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{line}` wrote invalid UTF-8"))
}

/// The first `name` in the folders of `PATH`, or in those of root's programs, which `PATH` does not always include.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let roots = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    env::split_paths(&path).chain(roots).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// The command line, with the file name of the program instead of its path.
fn describe(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().map_or_else(|| program.into(), OsString::from);
    let mut line = name.to_string_lossy().into_owned();
    for arg in command.get_args() {
        line.push(' ');
        line.push_str(&arg.to_string_lossy());
    }
    line
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    #[test]
    fn failed_program_is_an_error_with_its_command_line() {
        let error = run(Command::new("/bin/sh").args(["-c", "exit 3"])).unwrap_err().to_string();
        assert!(error.contains("sh -c exit 3") && error.contains('3'), "{error}");
    }

    #[test]
    fn failed_program_keeps_its_last_lines() {
        let script = "seq 1 100; echo out of memory >&2; exit 1";
        let (status, last) = run_and_capture(Command::new("sh").args(["-c", script])).unwrap();
        assert!(!status.success());
        assert_eq!(last.len(), LAST_LINES);
        assert_eq!(last.iter().rev().take(2).collect::<Vec<_>>(), ["out of memory", "100"]);
    }

    #[test]
    fn child_that_a_program_leaves_running_is_not_awaited() {
        let (status, _) = run_and_capture(Command::new("sh").args(["-c", "sleep 60 & exit 3"])).unwrap();
        assert_eq!(status.code(), Some(3));
    }

    #[test]
    fn program_dies_with_the_thread_that_started_it() {
        let start = || {
            let mut command = command_dying_with_parent(Path::new("sh"));
            command.args(["-c", "echo here; exec sleep 60"]).stdout(Stdio::piped());
            let mut child = command.spawn().unwrap();
            // The death signal is certainly set only after the first output.
            BufReader::new(child.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
            child
        };
        let status = thread::spawn(start).join().unwrap().wait().unwrap();
        assert_eq!(status.signal(), Some(9));
    }

    #[test]
    fn missing_program_is_an_error_that_names_it() {
        let error = run(&mut Command::new("no-such-program")).unwrap_err().to_string();
        assert!(error.contains("no-such-program"), "{error}");
    }

    #[test]
    fn output_error_includes_standard_error() {
        let error = output(Command::new("sh").args(["-c", "echo out of memory >&2; exit 1"]))
            .unwrap_err()
            .to_string();
        assert!(error.contains("out of memory"), "{error}");
    }
}
