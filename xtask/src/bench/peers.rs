//! The servers that are measured: how each is made ready, and how it starts. bench/peers/README.md says the same to people.

use std::ffi::OsString;
use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::process;
use crate::workspace::Workspace;

/// Where Debian puts the sources of Go's libraries.
const DEBIAN_GOPATH: &str = "/usr/share/gocode";

const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Peer {
    Teahouse,
    /// Write, fdatasync, a plain send to each.
    FloorSend,
    /// The same, for all that is there at once.
    FloorBatch,
    GoHub,
    NodeWs,
}

/// How a peer is started: its program and arguments. `{address}` and `{home}` stand for what differs in each run.
pub(crate) struct Start {
    program: OsString,
    args: Vec<String>,
    /// Where its data lies: beside the builds, since a temporary folder may be memory and not a disk.
    homes: std::path::PathBuf,
}

impl Peer {
    pub(crate) const ALL: [Peer; 5] =
        [Peer::Teahouse, Peer::FloorSend, Peer::FloorBatch, Peer::GoHub, Peer::NodeWs];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Peer::Teahouse => "Teahouse",
            Peer::FloorSend => "floor, plain sends",
            Peer::FloorBatch => "floor, one write a batch",
            Peer::GoHub => "Go hub (gorilla)",
            Peer::NodeWs => "Node hub (ws)",
        }
    }

    /// What it does with a message before it tells it to anybody.
    pub(crate) fn stores(self) -> &'static str {
        match self {
            Peer::Teahouse => "SQLite, synced",
            Peer::FloorSend | Peer::FloorBatch => "file, synced",
            Peer::GoHub | Peer::NodeWs => "nothing",
        }
    }

    pub(crate) fn is_floor(self) -> bool {
        matches!(self, Peer::FloorSend | Peer::FloorBatch)
    }

    /// Builds it, unless it is built. An error if what that needs is not installed.
    pub(crate) fn prepare(self, workspace: &Workspace) -> Result<Start> {
        let folder = workspace.target.join("bench");
        fs::create_dir_all(&folder)?;
        let sources = workspace.root.join("bench/peers");
        let (program, args) = match self {
            Peer::Teahouse => {
                (workspace.binary("release", "teahouse").into(), "--listen {address} --data {home}/data")
            }
            Peer::FloorSend => {
                (workspace.binary("release", "floor").into(), "--listen {address} --file {home}/log")
            }
            Peer::FloorBatch => {
                (workspace.binary("release", "floor").into(), "--listen {address} --file {home}/log --batch")
            }
            Peer::GoHub => (go_hub(&sources, &folder)?, "-listen {address}"),
            Peer::NodeWs => {
                let script = node_ws(&sources, &folder)?;
                let args = vec![script, "{address}".to_owned()];
                return Ok(Start { program: "node".into(), args, homes: folder });
            }
        };
        Ok(Start { program, args: args.split(' ').map(str::to_owned).collect(), homes: folder })
    }
}

fn go_hub(sources: &Path, folder: &Path) -> Result<OsString> {
    if process::find("go").is_none()
        || !Path::new(DEBIAN_GOPATH).join("src/github.com/gorilla/websocket").exists()
    {
        bail!("not installed (on Debian `apt-get install golang-go golang-github-gorilla-websocket-dev`)");
    }
    let program = folder.join("go-hub");
    let mut go = Command::new("go");
    go.current_dir(sources.join("go-hub")).arg("build").arg("-o").arg(&program).arg(".");
    // Without modules, Go takes libraries from where Debian puts them, and asks no network.
    go.env("GO111MODULE", "off").env("GOPATH", DEBIAN_GOPATH).env("GOCACHE", folder.join("go-cache"));
    process::run(&mut go)?;
    Ok(program.into())
}

fn node_ws(sources: &Path, folder: &Path) -> Result<String> {
    if process::find("node").is_none() || process::find("npm").is_none() {
        bail!("not installed (Node and npm)");
    }
    let home = folder.join("node-ws");
    fs::create_dir_all(&home)?;
    for file in ["package.json", "server.js"] {
        fs::copy(sources.join("node-ws").join(file), home.join(file))?;
    }
    let mut npm = Command::new("npm");
    npm.current_dir(&home).args(["install", "--no-audit", "--no-fund", "--prefer-offline"]);
    process::output(&mut npm).context("ws cannot be fetched")?;
    Ok(home.join("server.js").to_string_lossy().into_owned())
}

/// A server that runs; it ends with this value, and its data too.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    child: Child,
    home: TempDir,
}

impl Running {
    /// Starts it on these cores, and returns when it takes connections.
    pub(crate) fn start(start: &Start, cores: &str) -> Result<Self> {
        let home = tempfile::Builder::new().prefix("run-").tempdir_in(&start.homes)?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let log = File::create(home.path().join("said"))?;
        let fill = |arg: &String| {
            arg.replace("{address}", &address.to_string()).replace("{home}", &home.path().to_string_lossy())
        };
        // taskset becomes the program, so that its process is the one that is looked at.
        let mut command = Command::new("taskset");
        command.args(["-c", cores]).arg(&start.program).args(start.args.iter().map(fill));
        command.current_dir(home.path());
        command.env("TEAHOUSE_SHARDS", "1").env("TEAHOUSE_LIMITS_ENABLED", "false");
        let child = command.stdout(log.try_clone()?).stderr(log).spawn().context("cannot start taskset")?;
        let mut running = Running { address, child, home };
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            running.check_alive()?;
            if Instant::now() > deadline {
                bail!("it took no connection in {PATIENCE:?}");
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(running)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// An error with what it said, if it has ended.
    pub(crate) fn check_alive(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => {
                let said = fs::read_to_string(self.home.path().join("said")).unwrap_or_default();
                bail!("the server ended with {status} and said: {}", said.trim())
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_that_ends_at_once_is_an_error_with_what_it_said() {
        let homes = tempfile::tempdir().unwrap();
        let start = Start {
            program: "ls".into(),
            args: vec!["--no-such-option".to_owned()],
            homes: homes.path().to_owned(),
        };
        let error = Running::start(&start, "0").err().unwrap().to_string();
        assert!(error.contains("no-such-option"), "{error}");
    }
}
