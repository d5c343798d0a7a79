//! Running other programs, so that a reader of the output sees which, and whether they succeeded.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, IsTerminal, PipeReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use std::{env, fmt, thread};

use anyhow::{Context, Result, bail};

/// So many of a program's last lines are kept for whoever asks why it failed.
const LAST_LINES: usize = 80;

/// A program that did not succeed.
#[derive(Debug)]
pub(crate) struct FailedProgram {
    pub(crate) line: String,
    pub(crate) status: ExitStatus,
    /// The last lines that it wrote, where they were kept.
    pub(crate) last_lines: VecDeque<String>,
}

impl fmt::Display for FailedProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ended with {}", self.line, self.status)
    }
}

impl std::error::Error for FailedProgram {}

/// The Cargo that started us, so that a toolchain chosen with `cargo +…` stays chosen.
pub(crate) fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Runs `command` with its output on ours, after printing it as one would type it. The error of one that did not
/// succeed is a [`FailedProgram`].
pub(crate) fn run(command: &mut Command) -> Result<()> {
    // Whoever sits at a terminal sees colours and progress, which programs do not show to a pipe.
    if io::stdout().is_terminal() {
        run_by(command, |command| command.status().map(|it| (it, VecDeque::new())))
    } else {
        run_captured(command)
    }
}

/// As [`run`], for a program whose last lines are wanted wherever its output goes.
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

/// Runs `command` with its output on ours, and keeps the end of it.
fn run_and_capture(command: &mut Command) -> io::Result<Ended> {
    let (reader, writer) = io::pipe()?;
    command.stdout(writer.try_clone()?).stderr(writer);
    let child = command.spawn();
    // The command holds our copies of the writing end, without whose closing the reader would never be done.
    command.stdout(Stdio::inherit()).stderr(Stdio::inherit());
    let mut child = child?;
    let (done, lines) = mpsc::channel();
    thread::spawn(move || done.send(forward(reader)));
    let status = child.wait()?;
    // What it left running may hold the pipe, and is not waited for.
    Ok((status, lines.recv_timeout(Duration::from_secs(5)).unwrap_or_default()))
}

/// Copies what comes to our own output, and answers the last lines of it.
fn forward(reader: PipeReader) -> VecDeque<String> {
    let mut last = VecDeque::with_capacity(LAST_LINES);
    for line in BufReader::new(reader).split(b'\n').map_while(Result::ok) {
        let mut out = io::stdout().lock();
        // Whoever closed our output loses the rest of it and nothing else.
        let _ = out.write_all(&line).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush());
        if last.len() == LAST_LINES {
            last.pop_front();
        }
        last.push_back(String::from_utf8_lossy(&line).into_owned());
    }
    last
}

/// To be put before a program and its arguments: the kernel kills it when the thread that starts it has ended, however it and we
/// end. What only the program held, such as a network of its own, goes with it. On a machine without `setpriv` nothing is put there.
pub(crate) fn with_parent_death_signal() -> Vec<OsString> {
    let Some(setpriv) = find("setpriv") else { return Vec::new() };
    vec![setpriv.into(), "--pdeathsig=KILL".into(), "--".into()]
}

/// A command whose program is [`with_parent_death_signal`].
pub(crate) fn command_dying_with_parent(program: &Path) -> Command {
    let words = [with_parent_death_signal(), vec![program.into()]].concat();
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    command
}

/// Runs `command` silently for what it writes to its standard output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let line = describe(command);
    let output = command.stderr(Stdio::piped()).output().with_context(|| format!("cannot start `{line}`"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`{line}` ended with {}: {}", output.status, said.trim());
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{line}` wrote something that is no text"))
}

/// The first `name` among the folders of `PATH`, and among those where Debian keeps root's programs, which are
/// not in everybody's `PATH`.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let roots = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    env::split_paths(&path).chain(roots).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// The command as one would type it: the program by its name, without the folder it was found in.
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
    fn failing_program_is_an_error_that_names_it() {
        let error = run(Command::new("/bin/sh").args(["-c", "exit 3"])).unwrap_err().to_string();
        assert!(error.contains("sh -c exit 3") && error.contains('3'), "{error}");
    }

    #[test]
    fn failing_program_is_remembered_by_its_last_lines() {
        let script = "seq 1 100; echo too hot >&2; exit 1";
        let (status, last) = run_and_capture(Command::new("sh").args(["-c", script])).unwrap();
        assert!(!status.success());
        assert_eq!(last.len(), LAST_LINES);
        assert_eq!(last.iter().rev().take(2).collect::<Vec<_>>(), ["too hot", "100"]);
    }

    #[test]
    fn what_a_program_leaves_running_is_not_waited_for() {
        let (status, _) = run_and_capture(Command::new("sh").args(["-c", "sleep 60 & exit 3"])).unwrap();
        assert_eq!(status.code(), Some(3));
    }

    #[test]
    fn mortal_program_dies_with_the_thread_that_started_it() {
        let start = || {
            let mut command = command_dying_with_parent(Path::new("sh"));
            command.args(["-c", "echo here; exec sleep 60"]).stdout(Stdio::piped());
            let mut child = command.spawn().unwrap();
            // Who has not come so far yet cannot be bound to us.
            BufReader::new(child.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
            child
        };
        let status = thread::spawn(start).join().unwrap().wait().unwrap();
        assert_eq!(status.signal(), Some(9));
    }

    #[test]
    fn absent_program_is_an_error_that_names_it() {
        let error = run(&mut Command::new("no-such-program")).unwrap_err().to_string();
        assert!(error.contains("no-such-program"), "{error}");
    }

    #[test]
    fn output_of_a_failing_program_carries_what_it_complained_of() {
        let error =
            output(Command::new("sh").args(["-c", "echo too hot >&2; exit 1"])).unwrap_err().to_string();
        assert!(error.contains("too hot"), "{error}");
    }
}
