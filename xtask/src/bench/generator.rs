//! The load generator as a process of its own, beside the server.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::machine::Cores;
use super::peers::Peer;
use super::server_process::ServerProcess;

/// Seconds of a run's parts.
#[derive(Clone, Copy)]
pub(crate) struct Phases {
    pub(crate) settle: f64,
    pub(crate) warmup: f64,
    pub(crate) measured: f64,
}

/// A run that goes on. It is ended with this value, if it has not ended by itself.
pub(crate) struct GeneratorProcess {
    child: Child,
    stderr: BufReader<ChildStderr>,
    /// What it complained of so far.
    said: String,
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

    /// Before all others on the same core, where that is allowed; `nice` goes on where it is not.
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
        Ok(GeneratorProcess { child, stderr, said: String::new() })
    }

    /// Until the measured time begins. An error if the run ends before.
    pub(crate) fn wait_until_measuring(&mut self) -> Result<()> {
        let mut line = String::new();
        while self.stderr.read_line(&mut line)? > 0 {
            if line.trim_end() == "measuring" {
                return Ok(());
            }
            self.said.push_str(&line);
            line.clear();
        }
        bail!("{}", self.said.trim())
    }

    /// Its report, when it has ended. An error if a promise was broken, or the run could not be carried out.
    pub(crate) fn finish(mut self) -> Result<Value> {
        self.stderr.read_to_string(&mut self.said)?;
        let mut report = String::new();
        if let Some(mut stdout) = self.child.stdout.take() {
            stdout.read_to_string(&mut report)?;
        }
        let success = self.child.wait()?.success();
        check_report(success, &report, &self.said)
    }
}

impl Drop for GeneratorProcess {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn check_report(success: bool, report: &str, said: &str) -> Result<Value> {
    let report: Option<Value> = serde_json::from_str(report).ok();
    match report {
        Some(report) if success && report.get("gaps").is_some_and(|gaps| gaps == 0) => Ok(report),
        Some(report) => bail!("{}", broken(&report)),
        None => bail!("{}", said.lines().filter(|line| *line != "measuring").collect::<Vec<_>>().join("; ")),
    }
}

/// Which promises were broken how often, of those that the generator counts.
const PROMISES: &[&str] =
    &["lost", "duplicated", "out_of_order", "altered", "wrong_seq", "unexpected", "unanswered", "gaps"];

fn broken(report: &Value) -> String {
    let count = |name: &&str| {
        let count = report.get(*name)?.as_u64()?;
        (count > 0).then(|| format!("{count} {}", name.replace('_', " ")))
    };
    let mut said: Vec<_> = PROMISES.iter().filter_map(count).collect();
    if let Some(closed) =
        report.get("closed").filter(|closed| closed.as_object().is_some_and(|it| !it.is_empty()))
    {
        said.push(format!("closed {closed}"));
    }
    if said.is_empty() { "the generator's report cannot be read".to_owned() } else { said.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_with_a_gap_or_a_loss_is_void() {
        let void = |success, report, said| check_report(success, report, said).unwrap_err().to_string();
        assert!(check_report(true, r#"{"gaps":0,"deliveries_per_second":5.0}"#, "").is_ok());
        assert_eq!(void(true, r#"{"gaps":1}"#, ""), "1 gaps");
        assert_eq!(
            void(false, r#"{"gaps":0,"out_of_order":2,"closed":{"1006":3}}"#, ""),
            r#"2 out of order, closed {"1006":3}"#
        );
        assert!(void(true, "{}", "").contains("cannot be read"));
        assert_eq!(void(false, "", "measuring\nstuck\n"), "stuck");
    }

    fn shell(script: &str) -> GeneratorProcess {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        GeneratorProcess { child, stderr, said: String::new() }
    }

    #[test]
    fn measuring_is_heard_among_complaints() {
        let mut run = shell("echo slow >&2; echo measuring >&2; echo '{\"gaps\":0}'");
        run.wait_until_measuring().unwrap();
        assert_eq!(run.finish().unwrap()["gaps"], 0);
        let error = shell("echo stuck >&2; exit 2").wait_until_measuring().unwrap_err();
        assert_eq!(error.to_string(), "stuck");
    }
}
