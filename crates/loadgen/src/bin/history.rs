//! `history`: records what clients send and receive while faults are injected into a server, and verifies the records.
//!
//! Exit codes: 0, no violation; 1, a violation; 2, the command failed; 3, less activity than the minimum.

use std::fs::{self, File};
use std::io::{self, BufReader};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc::channel;
use std::thread;

use clap::{Parser, Subcommand};
use history::{MinimumActivity, Record, check, merge, read};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use teahouse_loadgen::recorder::{Instruction, Progress, RecorderOptions, record};

/// The most bytes of history files that are kept in memory; larger ones are read again in each pass.
const KEPT_BYTES: u64 = 512 * 1024 * 1024;

/// Records and verifies client histories.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Verify a history against the guarantees of docs/PROTOCOL.md.
    Check {
        /// Files with one JSON object on each line, or folders of such files. All of them form one history.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// The minimum activity: `acknowledged=10,percent=50,deliveries=30,resumed=4,views=5`, or some of these.
        #[arg(long, default_value_t)]
        minimum: MinimumActivity,
    },
    /// Run clients that record a history. Prints `ready` when all have joined, and `all answered` after the last of
    /// `--messages`. The lines `pause reading` and `resume reading` on standard input control slow readers; any other line
    /// becomes a note. At its end the clients come to quiescence, and their totals are printed.
    Record(RecorderOptions),
}

fn main() -> ExitCode {
    raise_file_limit();
    let done = match Cli::parse().command {
        Command::Check { files, minimum } => check_files(&files, minimum),
        Command::Record(plan) => record_all(&plan).map(|()| ExitCode::SUCCESS),
    };
    done.unwrap_or_else(|error| {
        eprintln!("history: {error}");
        ExitCode::from(2)
    })
}

/// Raises the limit of open files: each client needs a socket and a file, and many systems start with a limit of 1,024. If
/// this fails, a client reports it.
fn raise_file_limit() {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

fn check_files(given: &[PathBuf], minimum: MinimumActivity) -> Result<ExitCode, String> {
    let mut files = Vec::new();
    for path in given {
        match fs::read_dir(path) {
            Ok(entries) => {
                let entries = entries.map(|entry| entry.map(|entry| entry.path()));
                let entries: io::Result<Vec<_>> = entries.collect();
                files.extend(entries.map_err(|error| format!("{}: {error}", path.display()))?);
            }
            Err(_) => files.push(path.clone()),
        }
    }
    files.sort();
    // Validates every line once, so that later passes cannot fail.
    let mut bytes = 0;
    for file in &files {
        bytes += fs::metadata(file).map_err(|error| format!("{}: {error}", file.display()))?.len();
        lines(file)?.try_for_each(|line| line.map(drop))?;
    }
    let all = || {
        let readable = |file| lines(file).into_iter().flatten().map_while(Result::ok);
        merge(files.iter().map(readable).collect())
    };
    let verdict = if bytes <= KEPT_BYTES {
        let kept: Vec<Record> = all().collect();
        check(|| kept.iter().cloned())
    } else {
        check(all)
    };
    println!("{verdict}");
    let shortfalls = minimum.shortfalls(&verdict.counts);
    for shortfall in &shortfalls {
        println!("INSUFFICIENT: {shortfall}");
    }
    Ok(match (verdict.is_clean(), shortfalls.is_empty()) {
        (true, true) => ExitCode::SUCCESS,
        (true, false) => ExitCode::from(3),
        (false, _) => ExitCode::from(1),
    })
}

fn lines(file: &PathBuf) -> Result<impl Iterator<Item = Result<Record, String>> + use<>, String> {
    let name = file.display().to_string();
    let file = File::open(file).map_err(|error| format!("{name}: {error}"))?;
    Ok(read(BufReader::new(file))
        .map(move |line| line.map_err(|wrong| format!("{name}:{}: {}", wrong.line, wrong.error))))
}

fn record_all(plan: &RecorderOptions) -> Result<(), String> {
    let (sender, instructions) = channel();
    thread::spawn(move || {
        for line in io::stdin().lines().map_while(Result::ok) {
            // Sending fails only after the clients have ended; the process then ends as well.
            let _ = sender.send(match line.as_str() {
                "pause reading" => Instruction::PauseReading,
                "resume reading" => Instruction::ResumeReading,
                _ => Instruction::Note(line),
            });
        }
        let _ = sender.send(Instruction::Finish);
    });
    let report = |progress| match progress {
        Progress::Ready => println!("ready"),
        Progress::AllAnswered => println!("all answered"),
    };
    let counters = record(plan, &instructions, report).map_err(|error| error.to_string())?;
    println!("{counters}");
    Ok(())
}
