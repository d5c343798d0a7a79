//! `teahouse-loadgen`: generates load on a server, and verifies every frame that it receives.
//!
//! Exit codes: 0, no violation; 1, something was lost, duplicated, out of order, altered or closed; 2, the run failed.

use std::process::ExitCode;

use clap::Parser;
use teahouse_loadgen::generator::{Plan, run};

/// Generates load on a Teahouse server and verifies every frame that it receives.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(flatten)]
    plan: Plan,
    /// Print the report as one JSON object, and `measuring` to stderr at the start of the measured time.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let measuring = || {
        if cli.json {
            // The parent process may start another workload now. Stderr is not buffered.
            eprintln!("measuring");
        }
    };
    let report = match run(&cli.plan, measuring) {
        Ok(report) => report,
        Err(error) => {
            eprintln!("teahouse-loadgen: {error}");
            return ExitCode::from(2);
        }
    };
    if cli.json {
        // Cannot fail: the report consists of numbers, strings, lists and maps with string or integer keys.
        println!("{}", serde_json::to_string(&report).expect("a report is JSON by construction"));
    } else {
        print!("{report}");
    }
    if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::from(1) }
}
