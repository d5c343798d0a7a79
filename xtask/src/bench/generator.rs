//! The load generator as a child process.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::machine::Cores;
use super::peers::Peer;
use super::server_process::ServerProcess;

/// Durations of a run's phases, in seconds.
#[derive(Clone, Copy)]
pub(crate) struct Phases {
    pub(crate) settle: f64,
    pub(crate) warmup: f64,
    pub(crate) measured: f64,
}

/// A running generator. It is killed when this value is dropped, if it has not exited.
pub(crate) struct GeneratorProcess {
    child: Child,
    stderr: BufReader<ChildStderr>,
    /// The error output read so far; it explains a failure.
    errors: String,
}

impl GeneratorProcess {
    pub(crate) fn start(
        program: &Path,
        cores: &Cores,
        (peer, server): (Peer, &ServerProcess),
        args: &str,
        phases: Phases,
    ) -> Result<Self> {
        let mut command = Command::new("taskset");
        command.args(["-c", &cores.generator]).arg(program).arg("--json");
        Self::spawn(command, peer, server, args, phases)
    }

    /// Starts with priority over other processes on the same core, where permitted; `nice` continues without it.
    pub(crate) fn start_with_priority(
        program: &Path,
        cores: &Cores,
        (peer, server): (Peer, &ServerProcess),
        args: &str,
        phases: Phases,
    ) -> Result<Self> {
        let mut command = Command::new("nice");
        command.args(["-n", "-10", "taskset", "-c", &cores.generator]).arg(program).arg("--json");
        Self::spawn(command, peer, server, args, phases)
    }

    fn spawn(
        mut command: Command,
        peer: Peer,
        server: &ServerProcess,
        args: &str,
        phases: Phases,
    ) -> Result<Self> {
        command.arg("--url").arg(format!("ws://{}/ws", server.address));
        command.arg("--server-pid").arg(server.pid().to_string()).args(args.split(' '));
        let times =
            [("--settle", phases.settle), ("--warmup", phases.warmup), ("--duration", phases.measured)];
        for (name, seconds) in times {
            command.arg(name).arg(seconds.to_string());
        }
        if let Some(dialect) = peer.dialect() {
            command.args(["--peer", dialect]);
        }
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start the generator")?;
        let stderr = BufReader::new(child.stderr.take().context("the generator has no stderr")?);
        Ok(GeneratorProcess { child, stderr, errors: String::new() })
    }

    /// Waits until the measured time begins. Fails if the run ends earlier.
    pub(crate) fn wait_until_measuring(&mut self) -> Result<()> {
        let mut line = String::new();
        while self.stderr.read_line(&mut line)? > 0 {
            if line.trim_end() == "measuring" {
                return Ok(());
            }
            self.errors.push_str(&line);
            line.clear();
        }
        bail!("{}", self.errors.trim())
    }

    /// Waits for the report. Fails if the server broke a promise or the run was not completed.
    pub(crate) fn finish(mut self) -> Result<Value> {
        self.stderr.read_to_string(&mut self.errors)?;
        let mut report = String::new();
        if let Some(mut stdout) = self.child.stdout.take() {
            stdout.read_to_string(&mut report)?;
        }
        let success = self.child.wait()?.success();
        check_report(success, &report, &self.errors)
    }
}

impl Drop for GeneratorProcess {
    fn drop(&mut self) {
        // Both calls fail only if the process has already exited.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn check_report(success: bool, report: &str, errors: &str) -> Result<Value> {
    let report: Option<Value> = serde_json::from_str(report).ok();
    match report {
        Some(report) if success && report.get("gaps").is_some_and(|gaps| gaps == 0) => Ok(report),
        Some(report) => bail!("{}", broken(&report)),
        None => {
            bail!("{}", errors.lines().filter(|line| *line != "measuring").collect::<Vec<_>>().join("; "))
        }
    }
}

/// The generator's counters of broken promises.
const PROMISES: &[&str] =
    &["lost", "duplicated", "out_of_order", "altered", "wrong_seq", "unexpected", "unanswered", "gaps"];

fn broken(report: &Value) -> String {
    let count = |name: &&str| {
        let count = report.get(*name)?.as_u64()?;
        (count > 0).then(|| format!("{count} {}", name.replace('_', " ")))
    };
    let mut counts: Vec<_> = PROMISES.iter().filter_map(count).collect();
    if let Some(closed) =
        report.get("closed").filter(|closed| closed.as_object().is_some_and(|it| !it.is_empty()))
    {
        counts.push(format!("closed {closed}"));
    }
    if counts.is_empty() { "cannot parse the generator's report".to_owned() } else { counts.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_with_a_gap_or_a_loss_is_void() {
        let void = |success, report, errors| check_report(success, report, errors).unwrap_err().to_string();
        assert!(check_report(true, r#"{"gaps":0,"deliveries_per_second":5.0}"#, "").is_ok());
        assert_eq!(void(true, r#"{"gaps":1}"#, ""), "1 gaps");
        assert_eq!(
            void(false, r#"{"gaps":0,"out_of_order":2,"closed":{"1006":3}}"#, ""),
            r#"2 out of order, closed {"1006":3}"#
        );
        assert!(void(true, "{}", "").contains("cannot parse"));
        assert_eq!(void(false, "", "measuring\nstuck\n"), "stuck");
    }

    fn shell(script: &str) -> GeneratorProcess {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        GeneratorProcess { child, stderr, errors: String::new() }
    }

    #[test]
    fn measuring_is_recognized_among_other_lines() {
        let mut run = shell("echo slow >&2; echo measuring >&2; echo '{\"gaps\":0}'");
        run.wait_until_measuring().unwrap();
        assert_eq!(run.finish().unwrap()["gaps"], 0);
        let error = shell("echo stuck >&2; exit 2").wait_until_measuring().unwrap_err();
        assert_eq!(error.to_string(), "stuck");
    }
}
