//! `cargo xtask faults`: the real program, and real harm done to it. docs/RELIABILITY.md says what each run proves.
//!
//! Clients (`history record`) take down what they do and see; afterwards `history check` holds that against the promises. A run
//! that fails leaves the history, the data folder and the server's log, and names its seed.

mod ack_drop_proxy;
mod acks;
mod clock;
mod connection_limit;
mod cuts;
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
    /// Without one all of them, one after the other, as each is when it is asked for by its name alone: an hour or more.
    #[command(subcommand)]
    fault: Option<Fault>,
}

/// A fault by its name alone.
#[derive(Parser)]
struct SingleFault {
    #[command(subcommand)]
    fault: Fault,
}

#[derive(Subcommand)]
enum Fault {
    /// SIGKILL at random instants while 50 people write in 10 rooms; everybody comes back, and nothing may be missing.
    Kill(kill::Args),
    /// 200 people in 20 rooms, each cut off every few seconds: resets, silence, lost packets. Everybody comes back, and nothing
    /// may be missing.
    Cuts(cuts::Args),
    /// Every second acknowledgement is destroyed on its way, while the server is killed and stopped: each message is sent until
    /// it is answered, and stored once.
    Acks(acks::Args),
    /// 500 sockets fall silent, in all that a socket can be at: all of them are found in time, and nothing is left of them.
    HalfOpen(half_open::Args),
    /// SIGTERM under 2,000 clients; each is told when to come back, and does, and nothing may be missing.
    Stop(stop::Args),
    /// What the server asks of the kernel is traced: no `ok` leaves before the sync of what it is for.
    Power(power::Args),
    /// 200 of 1,000 stop reading for a minute while others write; they cost nobody anything, and end with every event.
    Stalled(stalled::Args),
    /// The wall clock jumps an hour and thirty days, both ways: nobody is thrown out or logged out, and no room goes back in time.
    Clock(clock::Args),
    /// 256 open files and more people than fit: each of the others is told no, those inside go on, and free places are given away.
    Descriptors(descriptors::Args),
    /// Twice the messages that it can take, and twice the connections that it may have: the excess is refused, the rest is served.
    Overload(overload::Args),
    /// The disk is full, time and again: what cannot be stored is refused, reading goes on, and sending does when there is room.
    Full(full::Args),
    /// Writes and syncs fail now and then: nothing is acknowledged that is not stored, no database is damaged, and after a sync
    /// that failed the server ends.
    Io(io::Args),
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

fn all_faults() -> Result<Vec<Fault>> {
    let names = SingleFault::command();
    let alone = |name: &str| Ok(SingleFault::try_parse_from(["faults", name])?.fault);
    names.get_subcommands().map(|fault| alone(fault.get_name())).collect()
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
    }
}

/// What CI has time for: each a tenth or a hundredth of what it does when asked for.
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
            // And one that does not sync has to be found out.
            done(power::prove(&it.workspace))
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
];

/// Says little where the tests already fail.
const BLANK: Step = Step { after: Some("rust"), ..Step::BLANK };

fn done(result: Result<()>) -> Result<StepResult> {
    result.map(|()| StepResult::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_can_be_had_by_its_name_alone() {
        assert_eq!(all_faults().unwrap().len(), SHORT_RUN.len());
    }

    #[test]
    fn who_asks_for_a_fault_gets_the_release_build_and_ci_the_one_of_its_tests() {
        let SingleFault { fault: Fault::Kill(args) } =
            SingleFault::try_parse_from(["faults", "kill"]).unwrap()
        else {
            panic!("`kill` is another fault");
        };
        assert!(!args.common.debug && kill::SHORT_RUN.common.debug);
    }
}
