//! Running a scenario of each kind, on a server that is started for it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::generator::{GeneratorProcess, Phases};
use super::home::Home;
use super::machine::Cores;
use super::peers::{LaunchSpec, Peer};
use super::scenarios::{
    BACKGROUND_EXTRA_SECONDS, IDLE_SECONDS, REFERENCE_SHARE, STARTS_PER_FOLDER, Scenario, WARMUP_SECONDS,
    Workload,
};
use super::server_probe::{self, CommitCounters};
use super::server_process::{RunningServer, ServerProcess};
use super::timing::Timing;
use crate::process;

/// The state that all runs share.
pub(crate) struct Bench {
    pub(crate) generator: PathBuf,
    pub(crate) cores: Cores,
    pub(crate) timing: Timing,
    /// The peers that are installed.
    pub(crate) ready: Vec<(Peer, LaunchSpec)>,
}

/// Two clients that each send a message every tenth of a second.
const PAIR: &str = "--connections 2 --senders 2 --rate 20 --room-names pair";

/// Fills the data folder of a server that is started with data.
const PREFILL: &str = "--connections 1000 --rooms 100 --senders 100 --window 4";

/// Seconds after which the folder has enough data.
const PREFILL_MAX_SECONDS: f64 = 5.0;

/// The interval between two requests to a starting server.
const POLL_INTERVAL: Duration = Duration::from_millis(1);

impl Bench {
    /// Runs a scenario on each of its peers, and reports each run: its key, its peer, and its result (as
    /// [`Figures`](super::figures::Figures) parses it) or why it is void. `batch` returns the batch size of a server in this round.
    pub(crate) fn run_scenario(
        &self,
        scenario: &Scenario,
        batch: impl Fn(Peer) -> Option<f64>,
        mut report_run: impl FnMut(&'static str, Peer, Result<Value>),
    ) {
        let subjects = self.ready.iter().filter(|(peer, _)| (scenario.is_for)(*peer));
        match scenario.workload {
            Workload::Load(args, warmup, share) => {
                let phases = Phases { settle: 0.5, warmup, measured: self.timing.seconds * share };
                subjects.for_each(|(peer, start)| {
                    report_run(scenario.key, *peer, self.load(*peer, start, args(*peer), phases));
                });
            }
            Workload::Join(args) => {
                let phases = Phases { settle: 0.0, warmup: 0.0, measured: 1.0 };
                subjects.for_each(|(peer, start)| {
                    report_run(scenario.key, *peer, self.load(*peer, start, args(*peer), phases));
                });
            }
            Workload::Idle(args) => {
                let started: Vec<_> = subjects
                    .map(|(peer, start)| (*peer, self.begin_idle(*peer, start, args(*peer))))
                    .collect();
                for (peer, started) in started {
                    report_run(scenario.key, peer, started.and_then(|(server, run)| finish(server, run)));
                }
            }
            Workload::Pair(background) => subjects.for_each(|(peer, start)| {
                report_run(scenario.key, *peer, self.pair(*peer, start, background.map(|args| args(*peer))));
            }),
            Workload::ReferenceStore => subjects.for_each(|(peer, start)| {
                match self.reference_store(start, batch(peer.server_of_reference())) {
                    Ok(batches) => {
                        let keys = ["reference1", "reference16", "reference100", "reference"];
                        for (key, batch) in keys.into_iter().zip(batches) {
                            report_run(key, *peer, Ok(json!({ "reference_store": batch })));
                        }
                    }
                    Err(error) => report_run("reference100", *peer, Err(error)),
                }
            }),
            Workload::Starts => subjects.for_each(|(peer, start)| {
                for (key, outcome) in
                    [("start", self.starts(start)), ("startdata", self.starts_on_data(start))]
                {
                    match outcome {
                        Ok(starts) => starts
                            .into_iter()
                            .for_each(|it| report_run(key, *peer, Ok(json!({ "start": it })))),
                        Err(error) => report_run(key, *peer, Err(error)),
                    }
                }
            }),
        }
    }

    fn phases(&self, measured: f64) -> Phases {
        Phases { settle: 0.5, warmup: WARMUP_SECONDS, measured }
    }

    fn run(&self, subject: (Peer, &ServerProcess), args: &str, phases: Phases) -> Result<GeneratorProcess> {
        GeneratorProcess::start(&self.generator, &self.cores, subject, args, phases)
    }

    fn load(&self, peer: Peer, start: &LaunchSpec, args: &str, phases: Phases) -> Result<Value> {
        let mut server = RunningServer::start(start, &self.cores)?;
        let run = self.run((peer, &server.process), args, phases)?;
        if !peer.is_teahouse() {
            return finish(server, run);
        }
        let outcome = with_batch(run, server.process.address);
        server.process.check_alive()?;
        outcome
    }

    /// Starts a server with idle clients. Returns when all have joined.
    fn begin_idle(
        &self,
        peer: Peer,
        start: &LaunchSpec,
        args: &str,
    ) -> Result<(RunningServer, GeneratorProcess)> {
        let server = RunningServer::start(start, &self.cores)?;
        let phases = Phases { settle: 0.0, warmup: 0.0, measured: self.timing.settle.max(0.1) };
        let mut run = self.run((peer, &server.process), args, phases)?;
        run.wait_until_measuring()?;
        Ok((server, run))
    }

    fn pair(&self, peer: Peer, start: &LaunchSpec, background: Option<&str>) -> Result<Value> {
        let server = RunningServer::start(start, &self.cores)?;
        let subject = (peer, &server.process);
        let phases = self.phases(self.timing.seconds);
        let crowd_parts = Phases { measured: self.timing.seconds + BACKGROUND_EXTRA_SECONDS, ..phases };
        let mut crowd = background.map(|args| self.run(subject, args, crowd_parts)).transpose()?;
        if let Some(crowd) = &mut crowd {
            crowd.wait_until_measuring()?;
        }
        let started = Instant::now();
        let pair =
            GeneratorProcess::start_with_priority(&self.generator, &self.cores, subject, PAIR, phases)?
                .finish()?;
        let Some(crowd) = crowd else { return Ok(json!({ "load": pair })) };
        if started.elapsed().as_secs_f64() > crowd_parts.measured {
            bail!("the pair ran longer than its background load");
        }
        let crowd = crowd.finish()?;
        Ok(json!({ "load": pair, "background": crowd }))
    }

    /// Measures a reference store at batch sizes of 1, 16, 100, and that of the server.
    fn reference_store(&self, start: &LaunchSpec, batch: Option<f64>) -> Result<Vec<Value>> {
        let home = start.create_home(&self.cores)?;
        // The reference store does not listen on any port.
        let nowhere = ([127, 0, 0, 1], 0).into();
        let mut command = start.command(&self.cores.server, nowhere, &home)?;
        command.arg((self.timing.seconds * REFERENCE_SHARE).to_string()).args(["1", "16", "100"]);
        command.args(batch.map(|batch| batch.round().max(1.0).to_string()));
        serde_json::from_str(&process::output(&mut command)?)
            .context("cannot parse the reference store's output")
    }

    fn starts(&self, start: &LaunchSpec) -> Result<Vec<Value>> {
        let start_on_empty_folder = |_| self.start_once(start, &start.create_home(&self.cores)?);
        (0..STARTS_PER_FOLDER).map(start_on_empty_folder).collect()
    }

    fn starts_on_data(&self, start: &LaunchSpec) -> Result<Vec<Value>> {
        let home = start.create_home(&self.cores)?;
        let mut server = ServerProcess::spawn(start, &self.cores, &home)?;
        server.wait_until(POLL_INTERVAL, server_probe::serves_page)?;
        let phases = self.phases(self.timing.seconds.min(PREFILL_MAX_SECONDS));
        let prefill = self.run((Peer::Teahouse, &server), PREFILL, phases)?.finish()?;
        server.stop()?;
        let messages = prefill.get("acknowledged").and_then(Value::as_u64).unwrap_or(0);
        let report_run = |mut it: Value| {
            it["messages"] = messages.into();
            it
        };
        (0..STARTS_PER_FOLDER).map(|_| self.start_once(start, &home).map(report_run)).collect()
    }

    fn start_once(&self, start: &LaunchSpec, home: &Home) -> Result<Value> {
        let mut server = ServerProcess::spawn(start, &self.cores, home)?;
        server.wait_until(POLL_INTERVAL, server_probe::serves_page)?;
        let ms = server.started.elapsed().as_secs_f64() * 1e3;
        thread::sleep(Duration::from_secs_f64(IDLE_SECONDS));
        let memory = server.memory()?;
        server.stop()?;
        Ok(json!({ "ms": ms, "memory": memory }))
    }
}

/// Waits for the generator's report. Adds the server's messages per commit during the run.
fn with_batch(mut run: GeneratorProcess, address: SocketAddr) -> Result<Value> {
    run.wait_until_measuring()?;
    let before = CommitCounters::fetch(address)?;
    let report = run.finish()?;
    let batch = CommitCounters::fetch(address)?.batch_since(before);
    Ok(json!({ "load": report, "batch": batch }))
}

fn finish(mut server: RunningServer, run: GeneratorProcess) -> Result<Value> {
    let report = run.finish();
    // If the server has exited, that explains more than the generator's error.
    server.process.check_alive()?;
    Ok(json!({ "load": report? }))
}
