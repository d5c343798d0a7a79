//! `cargo xtask bench`: the release server beside its peers, by the same generator, in turn; the tables of docs/PERFORMANCE.md.
//!
//! Every scenario gets a fresh server with a core of its own, and the generator has another. Rounds go over all servers, so
//! that a machine that grows slower meanwhile is slower for all. A run in which the generator finds anything lost, doubled,
//! out of order or announced as a gap is void, and its figures are not used.
//!
//! | file | what it holds |
//! |---|---|
//! | `peers` | the servers: how each is made ready and started |
//! | `scenarios` | what is done to them, and one run of it |
//! | `tables` | the figures as Markdown, and the bar they are held against |

mod peers;
mod scenarios;
mod tables;

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use self::peers::Peer;
use self::scenarios::{Cores, SCENARIOS, Timing};
use self::tables::{Conditions, Results};
use crate::process;
use crate::workspace::Workspace;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How often everything is measured; the tables give the medians.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Seconds that are measured in each run, after a warm-up of one.
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Seconds between the last join and the look at the memory of idle connections.
    #[arg(long, default_value_t = 60.0)]
    settle: f64,
    /// The server's cores and the generator's, as `taskset` takes them.
    #[arg(long, default_value = "0:1")]
    cores: Cores,
    /// Only these scenarios, by their letters: `--only a,b128`.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Print the tables and leave docs/PERFORMANCE.md as it is.
    #[arg(long)]
    print: bool,
}

const BEGIN: &str = "<!-- bench: begin -->";
const END: &str = "<!-- bench: end -->";

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    process::run(workspace.cargo().args(["build", "--release", "-p", "teahouse", "-p", "teahouse-load"]))?;
    let mut results = Results::default();
    let mut ready = Vec::new();
    for peer in Peer::ALL {
        match peer.prepare(workspace) {
            Ok(command) => ready.push((peer, command)),
            Err(error) => {
                println!("{} is skipped: {error:#}", peer.name());
                results.skipped.push(format!("{}: {error:#}", peer.name()));
            }
        }
    }
    let conditions = Conditions::now(&workspace.root, args.rounds, args.seconds, args.settle)?;
    let generator = workspace.binary("release", "teahouse-load");
    let timing = Timing { seconds: args.seconds, settle: args.settle };
    for round in 1..=args.rounds {
        for scenario in
            SCENARIOS.iter().filter(|it| args.only.is_empty() || args.only.contains(&it.key.into()))
        {
            for (peer, command) in ready.iter().filter(|(peer, _)| (scenario.is_for)(*peer)) {
                let outcome = scenario.run(&generator, *peer, command, &args.cores, timing);
                let said = outcome.as_ref().map_or_else(|why| format!("void: {why:#}"), ToString::to_string);
                println!("round {round}, {}, {}: {said}", scenario.key, peer.name());
                results.add(scenario.key, *peer, outcome);
            }
        }
    }
    let text = tables::render(&results, &conditions);
    if args.print {
        println!("{text}");
        return Ok(());
    }
    let path = workspace.root.join("docs/PERFORMANCE.md");
    let page = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let page =
        between_markers(&page, &text).context("docs/PERFORMANCE.md has lost the markers of its tables")?;
    fs::write(&path, page)?;
    println!("written to docs/PERFORMANCE.md");
    Ok(())
}

/// The page with `text` in place of what stood between the markers.
fn between_markers(page: &str, text: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{text}\n{END}{after}"))
}

/// The commit, and whether something in the tree is not in it.
fn commit(root: &std::path::Path) -> Result<String> {
    let git = |args: &[&str]| process::output(Command::new("git").current_dir(root).args(args));
    let commit = git(&["rev-parse", "--short", "HEAD"])?;
    // Pages and tools change no figure.
    let changed = git(&["status", "--porcelain", "--", "crates", "Cargo.toml", "Cargo.lock"])?;
    let changed = if changed.trim().is_empty() { "" } else { " with changes" };
    Ok(format!("{}{changed}", commit.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_the_markers_is_replaced() {
        let page = format!("a\n{BEGIN}\nold\n{END}\nb\n");
        assert_eq!(between_markers(&page, "new").unwrap(), format!("a\n{BEGIN}\nnew\n{END}\nb\n"));
        assert_eq!(between_markers("no markers", "new"), None);
    }

    #[test]
    fn the_page_of_this_workspace_has_its_markers() {
        let page = fs::read_to_string(Workspace::find().unwrap().root.join("docs/PERFORMANCE.md")).unwrap();
        assert!(between_markers(&page, "").is_some());
    }
}
