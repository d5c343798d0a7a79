//! `cargo xtask autobahn`: tests the served WebSocket codec with Autobahn's fuzzing client.
//!
//! The server is built with its feature `echo`, which adds `/echo` to the production code path of upgrade and codec.

mod install;
mod report;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::server::{self, Server};
use crate::workspace::Workspace;
use crate::{prerequisites, process};
use report::Report;

#[derive(clap::Args, Default)]
pub(crate) struct Args {
    /// An echo endpoint to test in place of our server's, such as `ws://127.0.0.1:9001/`.
    #[arg(long)]
    url: Option<String>,
    /// Cases to run, such as `6.*` or `7.7.1`; by default all but 9.* (speed) and what the server does not offer.
    cases: Vec<String>,
}

/// Performance cases: `cargo xtask load` measures the speed.
const SPEED: &[&str] = &["9.*"];
/// The cases of permessage-deflate; they run only if the server offers it.
const COMPRESSION: &[&str] = &["12.*", "13.*"];
/// The number of cases without performance, without and with compression. An interrupted run must not pass.
const CASES: usize = 247;
const CASES_WITH_COMPRESSION: usize = 247 + 216;

pub(crate) fn run(workspace: &Workspace, args: &Args) -> Result<()> {
    let python = prerequisites::python27()?;
    let home = workspace.target.join("autobahn");
    let wstest = install::wstest(&python, &home)?;
    if let Some(url) = &args.url {
        return fuzz(&wstest, &home, url, &Choice::of(&args.cases, false));
    }
    let mut server = Server::start(&build_with_echo(workspace, &home)?)?;
    let url = format!("ws://{}/echo", server.address);
    let choice = Choice::of(&args.cases, offers_compression(server.address)?);
    let fuzzed = fuzz(&wstest, &home, &url, &choice);
    server.check_alive()?;
    fuzzed.with_context(|| format!("the reports are in {}", home.join("reports").display()))
}

/// Copies the binary, because the next build without the feature replaces it.
fn build_with_echo(workspace: &Workspace, home: &Path) -> Result<std::path::PathBuf> {
    process::run(workspace.build_programs().args(["--features", "teahouse/echo"]))?;
    let kept = home.join("teahouse-echo");
    fs::copy(workspace.binary("debug", "teahouse"), &kept).context("cannot copy the echo server")?;
    Ok(kept)
}

/// The cases to run, and their number if it is known.
#[derive(Debug, PartialEq)]
struct Choice<'a> {
    cases: Vec<&'a str>,
    excluded: Vec<&'a str>,
    expected: Option<usize>,
}

impl<'a> Choice<'a> {
    fn of(cases: &'a [String], compression: bool) -> Self {
        if !cases.is_empty() {
            let cases = cases.iter().map(String::as_str).collect();
            return Self { cases, excluded: Vec::new(), expected: None };
        }
        let (excluded, expected) = if compression {
            (SPEED.to_vec(), CASES_WITH_COMPRESSION)
        } else {
            ([SPEED, COMPRESSION].concat(), CASES)
        };
        Self { cases: vec!["*"], excluded, expected: Some(expected) }
    }
}

fn fuzz(wstest: &Path, home: &Path, url: &str, choice: &Choice) -> Result<()> {
    let reports = home.join("reports");
    if reports.exists() {
        // Reports of an earlier run must not be mistaken for those of a run that wrote none.
        fs::remove_dir_all(&reports).context("cannot remove the last reports")?;
    }
    let spec = serde_json::json!({
        "outdir": reports,
        "servers": [{"agent": AGENT, "url": url}],
        "cases": choice.cases,
        "exclude-cases": choice.excluded,
        "exclude-agent-cases": {},
    });
    let spec_file = home.join("spec.json");
    fs::write(&spec_file, spec.to_string())?;
    let mut command = Command::new(wstest);
    // Port 0 turns off Autobahn's web page.
    command.args(["-m", "fuzzingclient", "-u", "0", "-s"]).arg(&spec_file).current_dir(home);
    process::run(&mut command)?;

    let index = reports.join("index.json");
    let text = fs::read_to_string(&index)
        .with_context(|| format!("Autobahn wrote no {}: does {url} answer?", index.display()))?;
    let report = Report::parse(&text, AGENT)?;
    println!("{report}");
    report.check(choice.expected)
}

/// The server's name in the reports.
const AGENT: &str = "teahouse";

/// Whether the server accepts the extension when an upgrade requests it.
fn offers_compression(address: SocketAddr) -> Result<bool> {
    let request = format!(
        "GET /echo HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
    );
    let head = server::head(address, &request)?;
    if server::status(&head) != Some(101) {
        bail!("/echo does not upgrade; it answers: {}", head.lines().next().unwrap_or("nothing"));
    }
    Ok(head.contains("permessage-deflate"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compression_cases_run_only_if_it_is_offered() {
        let plain = Choice::of(&[], false);
        assert_eq!(plain.excluded, ["9.*", "12.*", "13.*"]);
        assert_eq!(plain.expected, Some(247));
        assert_eq!(Choice::of(&[], true).excluded, ["9.*"]);
    }

    #[test]
    fn named_cases_run_alone() {
        let cases = ["6.*".to_owned()];
        assert_eq!(
            Choice::of(&cases, false),
            Choice { cases: vec!["6.*"], excluded: vec![], expected: None }
        );
    }
}
