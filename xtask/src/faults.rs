//! `cargo xtask faults`: the real program, and real harm done to it. docs/RELIABILITY.md says what each run proves.
//!
//! Clients (`history record`) take down what they do and see; afterwards `history check` holds that against the promises. A run
//! that fails leaves the history, the data folder and the server's log, and names its seed.

mod dice;
mod kill;
mod prey;
mod scene;
mod witnesses;

use anyhow::Result;
use clap::Subcommand;

use crate::workspace::Workspace;

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    fault: Fault,
}

#[derive(Subcommand)]
enum Fault {
    /// SIGKILL at random instants while 50 people write in 10 rooms; everybody comes back, and nothing may be missing.
    Kill(kill::Args),
}

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    match &args.fault {
        Fault::Kill(args) => kill::run(workspace, args),
    }
}

/// What CI has time for.
pub(crate) fn short(workspace: &Workspace) -> Result<()> {
    kill::run(workspace, &kill::Args { kills: 10, ..kill::Args::default() })
}
