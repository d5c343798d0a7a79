//! `cargo xtask faults`: injects real faults into the release server and its environment. docs/RELIABILITY.md states what each run
//! proves.
//!
//! Clients (`history record`) write histories of what they send and receive; afterwards `history check` compares these with the
//! promises. A run that fails keeps its histories, the data folder and the server's log, and prints its seed.
//!
//! | file | contents |
//! |---|---|
//! | `kill`, `cuts`, `acks`, `half_open`, `stop`, `power`, `stalled`, `clock`, `descriptors`, `overload`, `full`, `io`, `postgres` | one fault each |
//! | `harness`, `run_dir`, `rng` | options, builds and folders of a run; its random numbers |
//! | `database` | the database of a run: `kill`, `cuts`, `acks` and `full` run on SQLite or on PostgreSQL |
//! | `server_under_test`, `recorder_process`, `load_process`, `ack_drop_proxy` | the processes and the proxy of a run |
//! | `network`, `disk`, `trace` | namespaces, the small disk, parsing `strace` |
//! | `resource_usage`, `open_files`, `silent_peers`, `connection_limit` | measurements and parts of single faults |

mod ack_drop_proxy;
mod acks;
mod clock;
mod connection_limit;
mod cuts;
mod database;
mod descriptors;
mod disk;
mod full;
mod half_open;
mod harness;
mod io;
mod kill;
mod load_process;
mod network;
mod open_files;
mod overload;
mod postgres;
mod power;
mod recorder_process;
mod resource_usage;
mod rng;
mod run_dir;
mod server_under_test;
mod silent_peers;
mod stalled;
mod stop;
mod trace;

use anyhow::Result;
use clap::{CommandFactory, Parser, Subcommand};

use crate::prerequisites::Prerequisite;
use crate::steps::{Step, StepResult};
use crate::workspace::Workspace;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Without a name all faults run one after the other with their defaults, which takes an hour or more.
    #[command(subcommand)]
    fault: Option<Fault>,
}

/// Parses a fault with its default options.
#[derive(Parser)]
struct SingleFault {
    #[command(subcommand)]
    fault: Fault,
}

#[derive(Subcommand)]
enum Fault {
    /// SIGKILL at random moments while 50 clients write in 10 rooms: all reconnect, and nothing is missing.
    Kill(kill::Args),
    /// 200 clients in 20 rooms, each cut off every few seconds by resets, blackholes and packet loss: all reconnect, and nothing is
    /// missing.
    Cuts(cuts::Args),
    /// Every second acknowledgement is dropped, while the server is killed and stopped: each message is resent until it is answered, and
    /// stored once.
    Acks(acks::Args),
    /// 500 connections at every stage go silent: the server detects all of them in time, and releases everything.
    HalfOpen(half_open::Args),
    /// SIGTERM under 2,000 clients: each gets a retry window and reconnects within it, and nothing is missing.
    Stop(stop::Args),
    /// Traces the server's system calls: no `ok` is sent before the sync of its message.
    Power(power::Args),
    /// 200 of 1,000 clients stop reading for a minute: the others are not affected, and all receive every event in the end.
    Stalled(stalled::Args),
    /// The wall clock jumps by an hour and by thirty days, both ways: no client is disconnected or logged out.
    Clock(clock::Args),
    /// More clients than 256 file descriptors allow: further ones are rejected, connected ones are served, and free slots are reused.
    Descriptors(descriptors::Args),
    /// Twice the messages and twice the connections that the server can take: the excess is rejected, the rest is served.
    Overload(overload::Args),
    /// The disk fills up repeatedly: sends are rejected, reads are served, and sends resume when there is space.
    Full(full::Args),
    /// Writes and syncs sometimes fail: no message is acknowledged without being stored, no database is damaged, and the server exits after
    /// a failed sync.
    Io(io::Args),
    /// PostgreSQL crashes and recovers under load: nothing is missing, and no client is disconnected.
    Postgres(postgres::Args),
}

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    if let Some(fault) = &args.fault {
        return run_fault(workspace, fault);
    }
    for fault in all_faults()? {
        run_fault(workspace, &fault)?;
    }
    Ok(())
}

/// Each fault with its default options, and again on PostgreSQL if it has a choice.
fn all_faults() -> Result<Vec<Fault>> {
    let command = SingleFault::command();
    let mut faults = Vec::new();
    for fault in command.get_subcommands() {
        let words = ["faults", fault.get_name()];
        faults.push(SingleFault::try_parse_from(words)?.fault);
        if fault.get_arguments().any(|argument| argument.get_id() == "database") {
            let words = words.into_iter().chain(["--database", "postgres"]);
            faults.push(SingleFault::try_parse_from(words)?.fault);
        }
    }
    Ok(faults)
}

fn run_fault(workspace: &Workspace, fault: &Fault) -> Result<()> {
    match fault {
        Fault::Kill(args) => kill::run(workspace, args),
        Fault::Cuts(args) => cuts::run(workspace, args),
        Fault::Acks(args) => acks::run(workspace, args),
        Fault::HalfOpen(args) => half_open::run(workspace, args),
        Fault::Stop(args) => stop::run(workspace, args),
        Fault::Power(args) => power::run(workspace, args),
        Fault::Stalled(args) => stalled::run(workspace, args),
        Fault::Clock(args) => clock::run(workspace, args),
        Fault::Descriptors(args) => descriptors::run(workspace, args),
        Fault::Overload(args) => overload::run(workspace, args),
        Fault::Full(args) => full::run(workspace, args),
        Fault::Io(args) => io::run(workspace, args),
        Fault::Postgres(args) => postgres::run(workspace, args),
    }
}

/// The runs of CI: each fault with a tenth or a hundredth of its default length.
pub(crate) const SHORT_RUN: &[Step] = &[
    Step { name: "faults kill", run: |it| done(kill::run(&it.workspace, &kill::SHORT_RUN)), ..BLANK },
    Step {
        name: "faults cuts",
        needs: &[Prerequisite::SilentNetwork],
        run: |it| done(cuts::run(&it.workspace, &cuts::SHORT_RUN)),
        ..BLANK
    },
    Step { name: "faults acks", run: |it| done(acks::run(&it.workspace, &acks::SHORT_RUN)), ..BLANK },
    Step {
        name: "faults half-open",
        needs: &[Prerequisite::SilentNetwork],
        run: |it| done(half_open::run(&it.workspace, &half_open::SHORT_RUN)),
        ..BLANK
    },
    Step { name: "faults stop", run: |it| done(stop::run(&it.workspace, &stop::SHORT_RUN)), ..BLANK },
    Step {
        name: "faults power",
        needs: &[Prerequisite::Strace],
        run: |it| {
            done(power::run(&it.workspace, &power::SHORT_RUN))?;
            // Proves that the check detects a server that does not sync.
            done(power::prove_detection(&it.workspace))
        },
        ..BLANK
    },
    Step {
        name: "faults stalled",
        run: |it| done(stalled::run(&it.workspace, &stalled::SHORT_RUN)),
        ..BLANK
    },
    Step {
        name: "faults clock",
        needs: &[Prerequisite::Faketime],
        run: |it| done(clock::run(&it.workspace, &clock::SHORT_RUN)),
        ..BLANK
    },
    Step {
        name: "faults descriptors",
        run: |it| done(descriptors::run(&it.workspace, &descriptors::SHORT_RUN)),
        ..BLANK
    },
    Step {
        name: "faults overload",
        run: |it| done(overload::run(&it.workspace, &overload::SHORT_RUN)),
        ..BLANK
    },
    Step {
        name: "faults full",
        needs: &[Prerequisite::SmallDisk, Prerequisite::Sqlite],
        run: |it| done(full::run(&it.workspace, &full::SHORT_RUN)),
        ..BLANK
    },
    Step {
        name: "faults io",
        needs: &[Prerequisite::Strace, Prerequisite::Fiu, Prerequisite::Sqlite],
        run: |it| done(io::run(&it.workspace, &io::SHORT_RUN)),
        ..BLANK
    },
    Step {
        name: "faults kill --database postgres",
        needs: &[Prerequisite::Postgres],
        run: |it| done(kill::run(&it.workspace, &kill::SHORT_RUN_ON_POSTGRES)),
        ..BLANK
    },
    Step {
        name: "faults cuts --database postgres",
        needs: &[Prerequisite::Postgres, Prerequisite::SilentNetwork],
        run: |it| done(cuts::run(&it.workspace, &cuts::SHORT_RUN_ON_POSTGRES)),
        ..BLANK
    },
    Step {
        name: "faults acks --database postgres",
        needs: &[Prerequisite::Postgres],
        run: |it| done(acks::run(&it.workspace, &acks::SHORT_RUN_ON_POSTGRES)),
        ..BLANK
    },
    Step {
        name: "faults full --database postgres",
        needs: &[Prerequisite::Postgres, Prerequisite::SmallDisk],
        run: |it| done(full::run(&it.workspace, &full::SHORT_RUN_ON_POSTGRES)),
        ..BLANK
    },
    Step {
        name: "faults postgres",
        needs: &[Prerequisite::Postgres],
        run: |it| done(postgres::run(&it.workspace, &postgres::SHORT_RUN)),
        ..BLANK
    },
];

/// Skipped after a failed test: the fault runs would add little.
const BLANK: Step = Step { after: Some("rust"), ..Step::BLANK };

fn done(result: Result<()>) -> Result<StepResult> {
    result.map(|()| StepResult::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_a_short_run_on_each_database() {
        assert_eq!(all_faults().unwrap().len(), SHORT_RUN.len());
    }

    #[test]
    fn release_build_is_the_default_and_ci_uses_the_debug_build() {
        let SingleFault { fault: Fault::Kill(args) } =
            SingleFault::try_parse_from(["faults", "kill"]).unwrap()
        else {
            panic!("`kill` was parsed as another fault");
        };
        assert!(!args.common.debug && kill::SHORT_RUN.common.debug);
    }
}
