//! The measured servers: how each is built and started. bench/peers/README.md describes them for readers.

use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::home::Home;
use super::machine::Cores;
use crate::process;
use crate::workspace::Workspace;

/// Where Debian installs the sources of Go libraries.
const DEBIAN_GOPATH: &str = "/usr/share/gocode";

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Peer {
    Teahouse,
    /// Teahouse on PostgreSQL.
    TeahousePostgres,
    /// The baseline server: write, fdatasync, and a plain send to each client.
    BaselineSend,
    /// The baseline server, batched over all messages that are ready.
    BaselineBatch,
    GoHub,
    Nats,
    NodeWs,
    /// No server: SQLite alone, with the server's schema.
    ReferenceStore,
    /// No server: PostgreSQL alone, with the server's schema.
    ReferencePostgres,
}

/// nats-server with only a WebSocket port; its own port is any free one.
const NATS: &str = "listen: \"127.0.0.1:-1\"\nwebsocket {\n  listen: \"{address}\"\n  no_tls: true\n}\n";

/// How a peer is started. `{address}`, `{home}` and `{database}` are replaced in each run.
pub(crate) struct LaunchSpec {
    program: OsString,
    args: Vec<String>,
    /// A configuration file: its name in `{home}`, and its content.
    file: Option<(&'static str, &'static str)>,
    /// Whether it connects to PostgreSQL, at `{database}`.
    pub(crate) with_postgres: bool,
    /// The parent of data folders. It is next to the builds, because a temporary folder may be in memory.
    pub(crate) homes: PathBuf,
}

impl LaunchSpec {
    /// Creates the data folder of a run, with PostgreSQL if the peer uses it.
    pub(crate) fn create_home(&self, cores: &Cores) -> Result<Home> {
        Home::create(&self.homes, self.with_postgres, cores)
    }

    /// The command that starts the peer on these cores.
    pub(crate) fn command(&self, cores: &str, address: SocketAddr, home: &Home) -> Result<Command> {
        let fill = |text: &str| {
            text.replace("{address}", &address.to_string())
                .replace("{home}", &home.path().to_string_lossy())
                .replace("{database}", home.database())
        };
        if let Some((name, text)) = self.file {
            fs::write(home.path().join(name), fill(text))?;
        }
        // taskset replaces itself with the program, so the measured process is our child.
        let mut command = Command::new("taskset");
        command.args(["-c", cores]).arg(&self.program).args(self.args.iter().map(|arg| fill(arg)));
        command.current_dir(home.path());
        command.env("TEAHOUSE_SHARDS", "1").env("TEAHOUSE_LIMITS_ENABLED", "false");
        Ok(command)
    }
}

#[cfg(test)]
impl LaunchSpec {
    pub(crate) fn of(program: &str, args: &[&str], homes: &Path) -> Self {
        let args = args.iter().map(|&arg| arg.to_owned()).collect();
        LaunchSpec {
            program: program.into(),
            args,
            file: None,
            with_postgres: false,
            homes: homes.to_owned(),
        }
    }
}

impl Peer {
    pub(crate) const ALL: [Peer; 9] = [
        Peer::Teahouse,
        Peer::TeahousePostgres,
        Peer::BaselineSend,
        Peer::BaselineBatch,
        Peer::GoHub,
        Peer::Nats,
        Peer::NodeWs,
        Peer::ReferenceStore,
        Peer::ReferencePostgres,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Peer::Teahouse => "Teahouse",
            Peer::TeahousePostgres => "Teahouse on PostgreSQL",
            Peer::BaselineSend => "baseline, plain sends",
            Peer::BaselineBatch => "baseline, one write a batch",
            Peer::GoHub => "Go hub (gorilla)",
            Peer::Nats => "nats-server (WebSocket)",
            Peer::NodeWs => "Node hub (ws)",
            Peer::ReferenceStore => "SQLite alone",
            Peer::ReferencePostgres => "PostgreSQL alone",
        }
    }

    /// How the peer stores a message before it delivers it, for the tables.
    pub(crate) fn stores(self) -> &'static str {
        match self {
            Peer::Teahouse | Peer::ReferenceStore => "SQLite, synced",
            Peer::TeahousePostgres | Peer::ReferencePostgres => "PostgreSQL, synced",
            Peer::BaselineSend | Peer::BaselineBatch => "file, synced",
            Peer::GoHub | Peer::Nats | Peer::NodeWs => "nothing",
        }
    }

    /// The option that selects the peer's protocol; `None` for Teahouse's.
    pub(crate) fn dialect(self) -> Option<&'static str> {
        match self {
            Peer::Teahouse | Peer::TeahousePostgres | Peer::ReferenceStore | Peer::ReferencePostgres => None,
            Peer::BaselineSend | Peer::BaselineBatch | Peer::GoHub | Peer::NodeWs => Some("hub"),
            Peer::Nats => Some("nats"),
        }
    }

    pub(crate) fn is_baseline(self) -> bool {
        matches!(self, Peer::BaselineSend | Peer::BaselineBatch)
    }

    /// Whether the peer takes part in the scenarios that compare servers.
    pub(crate) fn is_server(self) -> bool {
        !matches!(self, Peer::TeahousePostgres | Peer::ReferenceStore | Peer::ReferencePostgres)
    }

    /// Whether it is Teahouse, on either database.
    pub(crate) fn is_teahouse(self) -> bool {
        matches!(self, Peer::Teahouse | Peer::TeahousePostgres)
    }

    /// Whether it is a bare database without a server.
    pub(crate) fn is_reference(self) -> bool {
        matches!(self, Peer::ReferenceStore | Peer::ReferencePostgres)
    }

    /// The server whose batch size a reference store uses.
    pub(crate) fn server_of_reference(self) -> Peer {
        if self == Peer::ReferencePostgres { Peer::TeahousePostgres } else { Peer::Teahouse }
    }

    /// Builds the peer if necessary. Fails if its prerequisites are not installed.
    pub(crate) fn prepare(self, workspace: &Workspace) -> Result<LaunchSpec> {
        let folder = workspace.target.join("bench");
        let sources = workspace.root.join("bench/peers");
        let release = |name: &str| workspace.binary("release", name).into();
        let mut file = None;
        let (program, args): (OsString, _) = match self {
            Peer::Teahouse => (release("teahouse"), "--listen {address} --data {home}/data"),
            Peer::TeahousePostgres => {
                (release("teahouse"), "--listen {address} --data {home}/data --database {database}")
            }
            Peer::BaselineSend => (release("baseline_server"), "--listen {address} --file {home}/log"),
            Peer::BaselineBatch => {
                (release("baseline_server"), "--listen {address} --file {home}/log --batch")
            }
            Peer::GoHub => (go_hub(&sources, &folder)?, "-listen {address}"),
            Peer::Nats => {
                let program = process::find("nats-server");
                file = Some(("nats.conf", NATS));
                let absent = "not installed (on Debian `apt-get install nats-server`)";
                (program.context(absent)?.into(), "-c {home}/nats.conf")
            }
            Peer::NodeWs => {
                let script = node_ws(&sources, &folder)?;
                let args = vec![script, "{address}".to_owned()];
                let program = "node".into();
                return Ok(LaunchSpec { program, args, file, with_postgres: false, homes: folder });
            }
            Peer::ReferenceStore => (release("examples/bare"), "{home}/data"),
            Peer::ReferencePostgres => (release("examples/bare_postgres"), "{database}"),
        };
        let args = args.split(' ').map(str::to_owned).collect();
        let with_postgres = matches!(self, Peer::TeahousePostgres | Peer::ReferencePostgres);
        if with_postgres {
            storage_postgres::testing::find().context("not installed")?;
        }
        Ok(LaunchSpec { program, args, file, with_postgres, homes: folder })
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
    // Without modules, Go uses Debian's libraries and no network.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_replaced_in_arguments_and_file() {
        let home = tempfile::tempdir().unwrap();
        let args = vec!["-c".to_owned(), "{home}/nats.conf".to_owned(), "{address}".to_owned()];
        let homes = home.path().to_owned();
        let file = Some(("nats.conf", NATS));
        let start = LaunchSpec { program: "nats-server".into(), args, file, with_postgres: false, homes };
        let home = start.create_home(&"0:0".parse().unwrap()).unwrap();
        let command = start.command("2", "127.0.0.1:4223".parse().unwrap(), &home).unwrap();
        let args: Vec<_> = command.get_args().map(|arg| arg.to_string_lossy().into_owned()).collect();
        let file = home.path().join("nats.conf");
        assert_eq!(args, ["-c", "2", "nats-server", "-c", &*file.to_string_lossy(), "127.0.0.1:4223"]);
        let text = fs::read_to_string(file).unwrap();
        assert!(text.contains("listen: \"127.0.0.1:4223\"\n  no_tls: true"), "{text}");
    }
}
