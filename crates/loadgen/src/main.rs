//! `teahouse-loadgen`: puts load on a server, and checks every frame that comes back.
//!
//! Exit code 0: every promise was kept; 1: something was lost, doubled, out of order, altered or closed; 2: the run could not
//! be carried out.

use std::process::ExitCode;

use clap::Parser;
use teahouse_loadgen::generator::{Plan, run};

/// Puts load on a Teahouse server and checks every frame that comes back.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(flatten)]
    plan: Plan,
    /// Print one JSON object; and `measuring` to stderr when the measured time begins.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let measuring = || {
        if cli.json {
            // Whoever started it may now begin something beside it; stderr is not buffered.
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
        // Numbers, texts and maps with text or number keys: serde_json can fail on none of them.
        println!("{}", serde_json::to_string(&report).expect("a report is JSON by construction"));
    } else {
        print!("{report}");
    }
    if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::from(1) }
}
