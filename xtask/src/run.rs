//! `cargo xtask run`: from a fresh clone to a running server with its page.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::prerequisites::Prerequisite;
use crate::workspace::Workspace;
use crate::{process, web};

/// Becomes the server, so that signals and its exit code need no relaying. Returns only if something went wrong.
pub(crate) fn run(workspace: &Workspace, args: &[OsString]) -> Result<()> {
    if let Err(missing) = Prerequisite::Node.check() {
        bail!(
            "{missing}.\nThe web client is built with it. Without it, `cargo build --release -p teahouse` works all \
             the same,\nand target/release/teahouse then serves a page that says that the client is missing."
        );
    }
    web::build_if_stale(workspace)?;
    process::run(workspace.cargo().args(["build", "--release", "-p", "teahouse"]))?;
    let server = workspace.binary("release", "teahouse");
    let error = Command::new(&server).args(args).exec();
    Err(error).with_context(|| format!("cannot start {}", server.display()))
}
