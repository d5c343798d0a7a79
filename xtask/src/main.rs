//! The developers' commands: `cargo xtask run`, `test`, `ci` and what they are made of.
//!
//! Each command is a file of its own. What `test` and `ci` do is a table of [`steps::Step`]s, so that adding a
//! gate is adding a row. Nothing here is part of the server, and no other crate knows of it.
//!
//! | file | what it holds |
//! |---|---|
//! | `run`, `test`, `ci`, `crate_graph`, `instruction_bench`, `autobahn`, `fuzz`, `generate`, `load`, `bench`, `sim`, `faults` | one command each |
//! | `steps` | running a table of steps, and the summary at the end |
//! | `prerequisites` | which programs this machine has, and how to get those that it lacks |
//! | `web` | the web client: whether it is stale, and building it |
//! | `purity` | the half of `crate_graph` that reads the pure crates' sources |
//! | `server` | a throw-away server for `autobahn` and `load` |
//! | `process`, `workspace` | running programs; what Cargo knows of this workspace |

mod autobahn;
mod bench;
mod ci;
mod crate_graph;
mod faults;
mod fuzz;
mod generate;
mod instruction_bench;
mod load;
mod prerequisites;
mod process;
mod purity;
mod run;
mod server;
mod sim;
mod steps;
mod test;
mod web;
mod workspace;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

/// The developers' commands of Teahouse.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build the web client and the release server, and start it.
    Run {
        /// Given to the server as they are: `cargo xtask run -- --listen 127.0.0.1:9000`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Run every test: Rust, web client, end to end in Chromium.
    Test(test::Args),
    /// Every gate that CI has: format, lints, docs, crate edges, licences, then `test --all`.
    Ci,
    /// Check the dependencies between crates and between the modules of a crate.
    CrateGraph,
    /// Hold the instructions of codec, log and encoder against those that were recorded.
    Instructions(instruction_bench::Args),
    /// Hold the WebSocket codec against Autobahn's fuzzing client.
    Autobahn(autobahn::Args),
    /// Look for input that breaks codec, commands, lines or log.
    Fuzz(fuzz::Args),
    /// Write what is derived from the table of operations: the OpenAPI document, tables of the documents.
    Generate(generate::Args),
    /// Load a server, and count what arrives.
    // `--help` is the load program's to answer.
    #[command(disable_help_flag = true)]
    Load {
        /// Given to the load program as they are; without `--url` it gets a server of its own.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Measure the release server beside its peers, and write the tables of docs/PERFORMANCE.md.
    Bench(bench::Args),
    /// Run the whole server under virtual time, with what goes wrong chosen by seeds.
    Sim(sim::Args),
    /// Do real harm to the real program, and check what its clients saw.
    Faults(faults::Args),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = Workspace::find().and_then(|workspace| {
        match cli.command {
            Command::Run { args } => run::run(&workspace, &args),
            Command::Test(args) => return Ok(test::run(workspace, &args)),
            Command::Ci => return Ok(ci::run(workspace)),
            Command::CrateGraph => crate_graph::run(&workspace),
            Command::Instructions(args) => instruction_bench::run(&workspace, &args),
            Command::Autobahn(args) => autobahn::run(&workspace, &args),
            Command::Generate(args) => generate::run(&workspace, &args),
            Command::Fuzz(args) => fuzz::run(&workspace, &args),
            Command::Load { args } => load::run(&workspace, args),
            Command::Bench(args) => bench::run(&workspace, &args),
            Command::Sim(args) => sim::run(&workspace, &args),
            Command::Faults(args) => faults::run(&workspace, &args),
        }
        .map(|()| ExitCode::SUCCESS)
    });
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
