//! `cargo xtask bench`: measures the release server and its peers with the same generator, in turn, and writes the tables and the plot
//! of docs/PERFORMANCE.md.
//!
//! Each scenario starts a fresh server on its own core; the generator has another. A round covers all servers, so that a machine that
//! becomes slower affects all of them, and ratios compare figures of one round. A run in which the generator finds messages lost,
//! duplicated, out of order or announced as a gap is void, and its figures are not used.
//!
//! | file | contents |
//! |---|---|
//! | `peers`, `server_process`, `home` | the servers: how each is built and started; a running one; its data, and its PostgreSQL |
//! | `scenarios` | the scenarios, their order and their duration |
//! | `workload` | runs one scenario of each kind |
//! | `generator` | the load generator as a process |
//! | `server_probe` | requests to Teahouse: its first answer, its batch sizes |
//! | `machine` | cores, file limit and description of the machine |
//! | `figures` | the figures of a run |
//! | `results` | all runs, also on disk: spreads, and ratios within a round |
//! | `thresholds`, `tables` | required and target values; the Markdown tables |
//! | `plot`, `svg` | the plot's contents; SVG |

mod figures;
mod generator;
mod home;
mod machine;
mod peers;
mod plot;
mod results;
mod scenarios;
mod server_probe;
mod server_process;
mod svg;
mod tables;
mod thresholds;
mod timing;
mod workload;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use self::machine::Cores;
use self::peers::Peer;
use self::results::Results;
use self::scenarios::Scenario;
use self::timing::Timing;
use self::workload::Bench;
use crate::prerequisites::Prerequisite;
use crate::workspace::Workspace;
use crate::{process, web};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Number of rounds; the tables show the medians.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Measured seconds of each run, after one second of warm-up.
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Seconds between the last join and the measurement of the memory of idle connections.
    #[arg(long, default_value_t = 60.0)]
    settle: f64,
    /// The cores of the server, of the generator and of PostgreSQL (by default both), in the notation of `taskset`.
    #[arg(long, default_value = "0:1")]
    cores: Cores,
    /// Run only these scenarios, named by key (`b128`) or letter (`b`): `--only a,b128,g`.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Print the tables, and do not change docs/.
    #[arg(long)]
    print: bool,
    /// Do not measure; write the tables and the plot from the results of an earlier run.
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
}

const BEGIN: &str = "<!-- bench: begin -->";
const END: &str = "<!-- bench: end -->";

/// The plot's place in the document; it is only written together with the tables of the same run.
const PLOT: &str = "\n![Bars for each server: deliveries a second at 128 messages in flight, CPU for each delivery at 50 messages \
                    a second, memory for each idle connection](performance.svg)\n";

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let folder = workspace.target.join("bench");
    fs::create_dir_all(&folder)?;
    let results = match &args.from {
        Some(file) => Results::read(file)?,
        // Results of half an hour must not be replaced by those of a trial run.
        None => {
            measure(workspace, args, &folder.join(if args.print { "trial.json" } else { "results.json" }))?
        }
    };
    let (mut text, plot) = (tables::render(&results), plot::draw(&results));
    if plot.is_some() {
        text = format!("{PLOT}{text}");
    }
    if args.print {
        println!("{text}");
        if let Some(plot) = plot {
            let path = folder.join("trial.svg");
            fs::write(&path, plot)?;
            println!("the plot is in {}", path.display());
        }
        return Ok(());
    }
    publish(&workspace.root.join("docs"), &text, plot.as_deref())
}

fn publish(docs: &Path, tables: &str, plot: Option<&str>) -> Result<()> {
    let path = docs.join("PERFORMANCE.md");
    let page = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let page = between_markers(&page, tables).context("docs/PERFORMANCE.md has no markers for the tables")?;
    fs::write(&path, page)?;
    if let Some(plot) = plot {
        fs::write(docs.join("performance.svg"), plot)?;
    }
    println!("written to docs/PERFORMANCE.md and docs/performance.svg");
    Ok(())
}

fn measure(workspace: &Workspace, args: &Args, file: &Path) -> Result<Results> {
    let mut scenarios = scenarios::chosen(&args.only)?;
    build(workspace)?;
    let mut results = Results::default();
    let mut ready = Vec::new();
    for peer in Peer::ALL {
        match peer.prepare(workspace) {
            Ok(start) => ready.push((peer, start)),
            Err(error) => results.skip(format!("{}: {error:#}", peer.name())),
        }
    }
    let files = machine::raise_open_files()?;
    scenarios.retain(|scenario| {
        let fits = scenario.files() <= files;
        if !fits {
            results.skip(format!("({}): a process may have {files} files open here", scenario.key));
        }
        fits
    });
    let timing = Timing { seconds: args.seconds, settle: args.settle };
    results.conditions = machine::conditions(&workspace.root, args.rounds, timing)?;
    let seconds = scenarios::estimate(&scenarios, &ready, args.rounds, timing);
    println!("this takes about {:.0} min", (seconds / 60.0).ceil());
    args.cores.pin_this_process()?;
    let bench = Bench {
        generator: workspace.binary("release", "teahouse-loadgen"),
        cores: args.cores.clone(),
        timing,
        ready,
    };
    for round in 1..=args.rounds {
        for scenario in &scenarios {
            for _ in 0..scenario.repeat.in_round(round) {
                run_scenario_once(&bench, round, scenario, &mut results);
                // After each run, so that an interrupted bench keeps its results.
                results.write(file)?;
            }
        }
    }
    Ok(results)
}

fn run_scenario_once(bench: &Bench, round: u32, scenario: &Scenario, results: &mut Results) {
    // The reference stores run after the servers whose batch sizes they use, in a separate scenario.
    let batches = Peer::ALL.map(|peer| (peer, results.batch_of_round(round, peer)));
    let batch = |of: Peer| batches.iter().find(|(peer, _)| *peer == of).and_then(|(_, batch)| *batch);
    bench.run_scenario(scenario, batch, |key, peer, outcome| {
        let summary = results.add(round, key, peer, outcome);
        println!("round {round}, {key}, {}: {summary}", peer.name());
    });
}

fn build(workspace: &Workspace) -> Result<()> {
    // The server as users run it, with the web client embedded.
    if Prerequisite::Node.check().is_ok() {
        web::build_if_stale(workspace)?;
    }
    process::run(workspace.build_programs().arg("--release"))?;
    // A separate build, because the examples enable features that the server must not have.
    for (package, example) in
        [("teahouse-storage-sqlite", "bare"), ("teahouse-storage-postgres", "bare_postgres")]
    {
        let build = ["build", "--release", "-p", package, "--example", example];
        process::run(workspace.cargo().args(build))?;
    }
    Ok(())
}

/// The page with `text` between the markers.
fn between_markers(page: &str, text: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{text}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_text_between_the_markers_is_replaced() {
        let page = format!("a\n{BEGIN}\nold\n{END}\nb\n");
        assert_eq!(between_markers(&page, "new").unwrap(), format!("a\n{BEGIN}\nnew\n{END}\nb\n"));
        assert_eq!(between_markers("no markers", "new"), None);
    }

    #[test]
    fn plot_is_written_next_to_the_page() {
        let docs = tempfile::tempdir().unwrap();
        let page = docs.path().join("PERFORMANCE.md");
        fs::write(&page, format!("a\n{BEGIN}\n{END}\nb\n")).unwrap();
        publish(docs.path(), &format!("{PLOT}tables"), Some("<svg/>")).unwrap();
        let written = fs::read_to_string(&page).unwrap();
        assert!(written.contains("(performance.svg)\ntables\n"), "{written}");
        assert_eq!(fs::read_to_string(docs.path().join("performance.svg")).unwrap(), "<svg/>");
        fs::write(&page, "no markers").unwrap();
        assert!(publish(docs.path(), "tables", None).is_err());
    }

    #[test]
    fn page_of_this_workspace_has_its_markers() {
        let page = fs::read_to_string(Workspace::find().unwrap().root.join("docs/PERFORMANCE.md")).unwrap();
        assert!(between_markers(&page, "").is_some());
    }
}
