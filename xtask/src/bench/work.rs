//! One run of each kind of scenario, against a server that was started for it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::asked::{self, Stored};
use super::generator::{Parts, Run};
use super::machine::Cores;
use super::peers::{Peer, Start};
use super::running::{self, Process, Running};
use super::scenarios::{BARE_SHARE, BESIDE, START_REST, STARTS, Scenario, Timing, WARM, Work};
use crate::process;

/// What all runs have in common.
pub(crate) struct Bench {
    pub(crate) generator: PathBuf,
    pub(crate) cores: Cores,
    pub(crate) timing: Timing,
    /// Who is installed.
    pub(crate) ready: Vec<(Peer, Start)>,
}

/// Two who talk, each a message every tenth of a second.
const PAIR: &str = "--connections 2 --senders 2 --rate 20 --room-names pair";

/// What lies in the folder of a server that is started on data.
const PAST: &str = "--connections 1000 --rooms 100 --senders 100 --window 4";

/// Longer than this it need not be written.
const PAST_SECONDS: f64 = 5.0;

/// Between two questions to a server that starts.
const ASK_AGAIN: Duration = Duration::from_millis(1);

impl Bench {
    /// Does it to each for whom it is, and tells of each run: its key, its subject, and what it gave (as
    /// [`Figures`](super::figures::Figures) reads it) or why it is void. `batch` is what the server had in this round.
    pub(crate) fn carry_out(
        &self,
        scenario: &Scenario,
        batch: Option<f64>,
        mut tell: impl FnMut(&'static str, Peer, Result<Value>),
    ) {
        let subjects = self.ready.iter().filter(|(peer, _)| (scenario.is_for)(*peer));
        match scenario.work {
            Work::Load(args, warmup, share) => {
                let parts = Parts { settle: 0.5, warmup, measured: self.timing.seconds * share };
                subjects.for_each(|(peer, start)| {
                    tell(scenario.key, *peer, self.load(*peer, start, args(*peer), parts));
                });
            }
            Work::Join(args) => {
                let parts = Parts { settle: 0.0, warmup: 0.0, measured: 1.0 };
                subjects.for_each(|(peer, start)| {
                    tell(scenario.key, *peer, self.load(*peer, start, args(*peer), parts));
                });
            }
            Work::Idle(args) => {
                let begun: Vec<_> = subjects
                    .map(|(peer, start)| (*peer, self.begin_idle(*peer, start, args(*peer))))
                    .collect();
                for (peer, begun) in begun {
                    tell(scenario.key, peer, begun.and_then(|(server, run)| finish(server, run)));
                }
            }
            Work::Pair(beside) => subjects.for_each(|(peer, start)| {
                tell(scenario.key, *peer, self.pair(*peer, start, beside.map(|args| args(*peer))));
            }),
            Work::Bare => subjects.for_each(|(peer, start)| match self.bare(start, batch) {
                Ok(batches) => {
                    let keys = ["bare1", "bare16", "bare100", "bare"];
                    for (key, batch) in keys.into_iter().zip(batches) {
                        tell(key, *peer, Ok(json!({ "bare": batch })));
                    }
                }
                Err(error) => tell("bare100", *peer, Err(error)),
            }),
            Work::Starts => subjects.for_each(|(peer, start)| {
                for (key, outcome) in
                    [("start", self.starts(start)), ("startdata", self.starts_on_data(start))]
                {
                    match outcome {
                        Ok(starts) => {
                            starts.into_iter().for_each(|it| tell(key, *peer, Ok(json!({ "start": it }))))
                        }
                        Err(error) => tell(key, *peer, Err(error)),
                    }
                }
            }),
        }
    }

    fn parts(&self, measured: f64) -> Parts {
        Parts { settle: 0.5, warmup: WARM, measured }
    }

    fn run(&self, subject: (Peer, &Process), args: &str, parts: Parts) -> Result<Run> {
        Run::start(&self.generator, &self.cores, subject, args, parts)
    }

    fn load(&self, peer: Peer, start: &Start, args: &str, parts: Parts) -> Result<Value> {
        let mut server = Running::start(start, &self.cores.server)?;
        let run = self.run((peer, &server.process), args, parts)?;
        if peer != Peer::Teahouse {
            return finish(server, run);
        }
        let outcome = with_batch(run, server.process.address);
        server.process.check_alive()?;
        outcome
    }

    /// Returns when all have joined.
    fn begin_idle(&self, peer: Peer, start: &Start, args: &str) -> Result<(Running, Run)> {
        let server = Running::start(start, &self.cores.server)?;
        let parts = Parts { settle: 0.0, warmup: 0.0, measured: self.timing.settle.max(0.1) };
        let mut run = self.run((peer, &server.process), args, parts)?;
        run.wait_until_measuring()?;
        Ok((server, run))
    }

    fn pair(&self, peer: Peer, start: &Start, beside: Option<&str>) -> Result<Value> {
        let server = Running::start(start, &self.cores.server)?;
        let subject = (peer, &server.process);
        let parts = self.parts(self.timing.seconds);
        let crowd_parts = Parts { measured: self.timing.seconds + BESIDE, ..parts };
        let mut crowd = beside.map(|args| self.run(subject, args, crowd_parts)).transpose()?;
        if let Some(crowd) = &mut crowd {
            crowd.wait_until_measuring()?;
        }
        let begun = Instant::now();
        let pair = Run::start_first(&self.generator, &self.cores, subject, PAIR, parts)?.finish()?;
        let Some(crowd) = crowd else { return Ok(json!({ "load": pair })) };
        if begun.elapsed().as_secs_f64() > crowd_parts.measured {
            bail!("the two went on longer than the crowd beside them");
        }
        let crowd = crowd.finish()?;
        Ok(json!({ "load": pair, "beside": crowd }))
    }

    /// At one message a commit, 16, 100, and what the server had.
    fn bare(&self, start: &Start, batch: Option<f64>) -> Result<Vec<Value>> {
        let home = running::home(start)?;
        // It does not listen.
        let nowhere = ([127, 0, 0, 1], 0).into();
        let mut command = start.command(&self.cores.server, nowhere, home.path())?;
        command.arg((self.timing.seconds * BARE_SHARE).to_string()).args(["1", "16", "100"]);
        command.args(batch.map(|batch| batch.round().max(1.0).to_string()));
        serde_json::from_str(&process::output(&mut command)?).context("what it measured cannot be read")
    }

    fn starts(&self, start: &Start) -> Result<Vec<Value>> {
        (0..STARTS).map(|_| self.start_once(start, running::home(start)?.path())).collect()
    }

    fn starts_on_data(&self, start: &Start) -> Result<Vec<Value>> {
        let home = running::home(start)?;
        let mut server = Process::spawn(start, &self.cores.server, home.path())?;
        server.wait_until(ASK_AGAIN, asked::shows_its_page)?;
        let parts = self.parts(self.timing.seconds.min(PAST_SECONDS));
        let past = self.run((Peer::Teahouse, &server), PAST, parts)?.finish()?;
        server.stop()?;
        let messages = past.get("acknowledged").and_then(Value::as_u64).unwrap_or(0);
        let tell = |mut it: Value| {
            it["messages"] = messages.into();
            it
        };
        (0..STARTS).map(|_| self.start_once(start, home.path()).map(tell)).collect()
    }

    fn start_once(&self, start: &Start, home: &Path) -> Result<Value> {
        let mut server = Process::spawn(start, &self.cores.server, home)?;
        server.wait_until(ASK_AGAIN, asked::shows_its_page)?;
        let ms = server.began.elapsed().as_secs_f64() * 1e3;
        thread::sleep(Duration::from_secs_f64(START_REST));
        let memory = server.memory()?;
        server.stop()?;
        Ok(json!({ "ms": ms, "memory": memory }))
    }
}

/// The report, and how many messages Teahouse stored with one commit meanwhile.
fn with_batch(mut run: Run, address: SocketAddr) -> Result<Value> {
    run.wait_until_measuring()?;
    let before = Stored::ask(address)?;
    let report = run.finish()?;
    let batch = Stored::ask(address)?.batch_since(before);
    Ok(json!({ "load": report, "batch": batch }))
}

fn finish(mut server: Running, run: Run) -> Result<Value> {
    let report = run.finish();
    // What the server said when it ended is more than what the generator missed.
    server.process.check_alive()?;
    Ok(json!({ "load": report? }))
}
