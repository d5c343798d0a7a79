//! `cargo xtask load`: runs the load generator against a temporary server, or against the one that `--url` names.

use std::ffi::OsString;
use std::process::Command;

use anyhow::Result;

use crate::process;
use crate::server::Server;
use crate::workspace::Workspace;

pub(crate) fn run(workspace: &Workspace, mut args: Vec<OsString>) -> Result<()> {
    process::run(workspace.build_programs().arg("--release"))?;
    let mut server = None;
    if needs_a_server(&args) {
        let own = server.insert(Server::start(&workspace.binary("release", "teahouse"))?);
        args.extend(["--url".into(), format!("ws://{}/ws", own.address).into()]);
        args.extend(["--server-pid".into(), own.pid().to_string().into()]);
    }
    process::run(Command::new(workspace.binary("release", "teahouse-loadgen")).args(args))?;
    server.as_mut().map_or(Ok(()), Server::check_alive)
}

/// A server is needed unless the arguments name one or only request help.
fn needs_a_server(args: &[OsString]) -> bool {
    let is_enough = |arg: &OsString| {
        let arg = arg.to_string_lossy();
        arg == "--url" || arg.starts_with("--url=") || ["-h", "--help", "-V", "--version"].contains(&&*arg)
    };
    !args.iter().any(is_enough)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs(args: &[&str]) -> bool {
        needs_a_server(&args.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn server_is_started_only_without_a_url() {
        assert!(needs(&[]));
        assert!(needs(&["--connections", "1000"]));
        assert!(!needs(&["--url", "ws://127.0.0.1:9999/ws"]));
        assert!(!needs(&["--rooms", "4", "--url=ws://127.0.0.1:9999/ws"]));
        assert!(!needs(&["--help"]));
    }
}
