//! `cargo xtask run`: from a fresh clone to a running server with its web client.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::prerequisites::Prerequisite;
use crate::workspace::Workspace;
use crate::{process, web};

/// Replaces this process with the server, so that signals and the exit code reach it directly. Returns only on errors.
pub(crate) fn run(workspace: &Workspace, args: &[OsString]) -> Result<()> {
    if let Err(missing) = Prerequisite::Node.check() {
        bail!(
            "{missing}.\nIt is needed to build the web client. Without it, `cargo build --release -p teahouse` still works;\n\
             target/release/teahouse then serves a page that explains that the web client is missing."
        );
    }
    web::build_if_stale(workspace)?;
    process::run(workspace.cargo().args(["build", "--release", "-p", "teahouse"]))?;
    let server = workspace.binary("release", "teahouse");
    let error = Command::new(&server).args(args).exec();
    Err(error).with_context(|| format!("cannot start {}", server.display()))
}
