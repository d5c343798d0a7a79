//! `cargo xtask faults`: the real program, and real harm done to it. docs/RELIABILITY.md says what each run proves.
//!
//! Clients (`history record`) take down what they do and see; afterwards `history check` holds that against the promises. A run
//! that fails leaves the history, the data folder and the server's log, and names its seed.

mod dice;
mod kill;
mod prey;
mod scene;
mod stage;
mod witnesses;

use anyhow::Result;
use clap::Subcommand;

use crate::steps::{Done, Step};
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

/// What CI has time for: each a tenth or a hundredth of what it does when asked for.
pub(crate) const SHORT: &[Step] =
    &[Step { name: "faults kill", run: |it| done(kill::run(&it.workspace, &kill::SHORT)), ..BLANK }];

/// Says little where the tests already fail.
const BLANK: Step = Step { after: Some("rust"), ..Step::BLANK };

fn done(result: Result<()>) -> Result<Done> {
    result.map(|()| Done::Ok)
}
