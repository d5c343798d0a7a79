//! The developers' commands: `cargo xtask run`, `test`, `ci` and their parts.
//!
//! Each command has a file. `test` and `ci` are tables of [`steps::Step`]s, so that a new check is a new row. No other
//! crate depends on this one.
//!
//! | file | contents |
//! |---|---|
//! | `run`, `test`, `ci`, `crate_graph`, `instruction_bench`, `api_contract`, `autobahn`, `fuzz`, `generate`, `load`, `bench`, `sim`, `faults` | one command each |
//! | `steps` | runs a table of steps and prints the summary |
//! | `prerequisites` | the programs that steps need, and how to install them |
//! | `web` | builds the web client if it is stale |
//! | `purity` | the half of `crate_graph` that reads the pure crates' sources |
//! | `server` | a temporary server for `autobahn` and `load` |
//! | `process`, `workspace` | running programs; the folders and packages of this workspace |

mod api_contract;
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
        /// Passed on to the server: `cargo xtask run -- --listen 127.0.0.1:9000`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Run every test: Rust, web client, end to end in Chromium.
    Test(test::Args),
    /// Run every check of CI: format, crate graph, generated files, licenses, advisories, lints, docs, instruction counts,
    /// fuzz targets, all tests, the API contract, short fault runs.
    Ci,
    /// Check the dependencies between crates and between the modules of a crate.
    CrateGraph,
    /// Compare the instruction counts of codec, log and encoder with the recorded ones.
    Instructions(instruction_bench::Args),
    /// Test the WebSocket codec with Autobahn's fuzzing client.
    Autobahn(autobahn::Args),
    /// Search for inputs that break codec, commands, lines or log.
    Fuzz(fuzz::Args),
    /// Check the HTTP API against its OpenAPI document.
    ApiContract,
    /// Write the derived files: golden frames, the OpenAPI document, tables of the documents, TypeScript, texts, settings.
    Generate(generate::Args),
    /// Load a server and check every frame that it sends.
    // `--help` is answered by the load generator.
    #[command(disable_help_flag = true)]
    Load {
        /// Passed on to the load generator; without `--url` a temporary server is started.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
    /// Measure the release server and its peers, and write the tables of docs/PERFORMANCE.md.
    Bench(bench::Args),
    /// Simulate shards, handlers, commit pipeline and bus under virtual time, with faults chosen by seeds.
    Sim(sim::Args),
    /// Inject real faults into the real server, and check what its clients observe.
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
            Command::ApiContract => api_contract::run(&workspace),
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
