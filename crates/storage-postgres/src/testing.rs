//! PostgreSQL servers for tests: in temporary folders, on free ports, stopped when the process that started them ends.
//!
//! The data folder is copied from a template that `initdb` creates once for all processes. PostgreSQL does not run as root; then it
//! runs as the user `postgres` of Debian's package.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::DatabaseUrl;

/// How to install PostgreSQL.
pub const HOW_TO_INSTALL: &str = "on Debian `apt-get install postgresql`";

/// The databases' owner, who needs no password.
const OWNER: &str = "teahouse";

/// A running PostgreSQL server.
pub struct Server {
    installation: Installation,
    /// Holds the log and the Unix socket, and usually the data folder.
    folder: PathBuf,
    data: PathBuf,
    cores: Option<String>,
    port: u16,
    databases: AtomicU64,
    /// Stops the server and removes the folder at the end of its input: when this is dropped, or the process ends.
    watchdog: std::process::Child,
}

/// Checks that PostgreSQL can be started here. The error states what is missing.
pub fn find() -> io::Result<()> {
    Installation::find().map(drop)
}

/// Whether commits are synced. Tests that do not measure and do not simulate a loss of power save the time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// `fsync = on`.
    Full,
    /// `fsync = off`: survives the end of every process, not a loss of power.
    #[default]
    ProcessOnly,
}

/// How a server is started.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// Whether commits are synced.
    pub durability: Durability,
    /// The parent of the data folder, if it is not next to the log: a disk that may become full.
    pub disk: Option<&'a Path>,
    /// Further lines of `postgresql.conf`.
    pub settings: &'a str,
    /// The cores it runs on, in the notation of `taskset`; all of them by default.
    pub cores: Option<&'a str>,
}

impl Server {
    /// Starts a server with its data in a temporary folder.
    pub fn start(durability: Durability) -> io::Result<Server> {
        Server::start_with(&Options { durability, ..Options::default() })
    }

    /// Starts a server. The error states what is missing.
    pub fn start_with(options: &Options<'_>) -> io::Result<Server> {
        let installation = Installation::find()?;
        let template = installation.template()?;
        let folder = std::env::temp_dir().join(format!("teahouse-pg-{}-{}", std::process::id(), random()));
        fs::create_dir(&folder)?;
        installation.give(&folder)?;
        let data = options.disk.unwrap_or(&folder).join("data");
        let port = free_port()?;
        run(Command::new("cp").arg("-a").arg(template).arg(&data))?;
        installation.give(&data)?;
        let stop = format!(
            "cat >/dev/null; '{}' -D '{data}' -m immediate -W stop; sleep 0.2; rm -rf '{data}' '{folder}'",
            installation.program("pg_ctl").display(),
            data = data.display(),
            folder = folder.display()
        );
        let mut watchdog = installation.command("sh", &folder);
        // A group of its own: Ctrl-C in a terminal ends the test, and then this.
        watchdog.args(["-c", &stop]).process_group(0).stdin(Stdio::piped());
        let watchdog = watchdog.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let cores = options.cores.map(str::to_owned);
        let databases = AtomicU64::new(0);
        let server = Server { installation, folder, data, cores, port, databases, watchdog };
        let fsync = if options.durability == Durability::Full { "on" } else { "off" };
        let settings = format!(
            "listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = '{}'\nfsync = {fsync}\n\
             max_connections = 50\nshared_buffers = 32MB\n{}\n",
            server.folder.display(),
            options.settings
        );
        fs::write(server.data.join("postgresql.auto.conf"), settings)?;
        server.start_again()?;
        Ok(server)
    }

    /// The server that all tests of a process share. `None`, with a message, where PostgreSQL is not installed; in CI that is a failure.
    pub fn shared() -> Option<&'static Server> {
        static SHARED: OnceLock<Option<Server>> = OnceLock::new();
        SHARED.get_or_init(Server::start_or_skip).as_ref()
    }

    /// As [`Server::shared`], for a test that stops or restarts it.
    pub fn start_or_skip() -> Option<Server> {
        match Server::start(Durability::ProcessOnly) {
            Ok(server) => Some(server),
            Err(error) if error.kind() == io::ErrorKind::NotFound && std::env::var_os("CI").is_none() => {
                eprintln!("skipped: {error}");
                None
            }
            Err(error) => panic!("PostgreSQL does not start: {error}"),
        }
    }

    /// Creates an empty database; returns its address.
    pub fn create_database(&self) -> DatabaseUrl {
        self.url(&self.create_database_named())
    }

    /// Creates an empty database; returns its name.
    pub fn create_database_named(&self) -> String {
        let name = format!("t{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.psql("postgres", &format!("CREATE DATABASE {name}")).unwrap();
        name
    }

    /// The address of a database of this server.
    pub fn url(&self, database: &str) -> DatabaseUrl {
        // Its parts are valid.
        self.address(database).parse().unwrap()
    }

    /// The address of a database of this server, as text.
    pub fn address(&self, database: &str) -> String {
        format!("postgres://{OWNER}@127.0.0.1:{}/{database}", self.port)
    }

    /// The address of a database through the server's Unix socket.
    pub fn socket_address(&self, database: &str) -> String {
        format!("postgres://{OWNER}@/{database}?host={}&port={}", self.folder.display(), self.port)
    }

    /// The TCP port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Runs statements with `psql`, without this crate's code; returns the rows, unaligned.
    pub fn psql(&self, database: &str, sql: &str) -> io::Result<String> {
        let mut psql = self.installation.command(self.installation.program("psql"), &self.folder);
        psql.args([
            "-X",
            "-q",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-d",
            &self.address(database),
            "-c",
            sql,
        ]);
        run(&mut psql)
    }

    /// The contents of a database as statements, without comments and settings of the session.
    pub fn dump(&self, database: &str) -> io::Result<String> {
        let mut pg_dump = self.installation.command(self.installation.program("pg_dump"), &self.folder);
        pg_dump.args(["--inserts", "--no-owner", "--no-privileges", "-d", &self.address(database)]);
        let is_noise = |line: &&str| {
            line.is_empty()
                || ["--", "SET ", "SELECT pg_catalog.", "\\"].iter().any(|start| line.starts_with(start))
        };
        let dump = run(&mut pg_dump)?;
        Ok(dump.lines().filter(|line| !is_noise(line)).map(|line| format!("{line}\n")).collect())
    }

    /// Kills every process of the server, as a crash would, and starts it again.
    pub fn restart_immediately(&self) -> io::Result<()> {
        self.stop_immediately()?;
        self.start_again()
    }

    /// Kills every process of the server, as a crash would.
    pub fn stop_immediately(&self) -> io::Result<()> {
        self.pg_ctl(&["-m", "immediate", "-w", "stop"])
    }

    /// Starts the server after a stop; returns when it accepts connections.
    pub fn start_again(&self) -> io::Result<()> {
        self.pg_ctl(&["-w", "-l", &self.folder.join("log").to_string_lossy(), "start"])
    }

    /// Whether its main process runs. While it recovers from a crash it does, but accepts no connections.
    pub fn is_running(&self) -> bool {
        self.pg_ctl(&["status"]).is_ok()
    }

    /// The server's log so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    fn pg_ctl(&self, arguments: &[&str]) -> io::Result<()> {
        let program = self.installation.program("pg_ctl");
        let mut pg_ctl = match &self.cores {
            None => self.installation.command(program, &self.folder),
            // The server inherits the cores.
            Some(cores) => {
                let mut taskset = self.installation.command("taskset", &self.folder);
                taskset.args(["-c", cores]).arg(program);
                taskset
            }
        };
        pg_ctl.arg("-D").arg(&self.data).args(arguments);
        // The server inherits them, and would hold a pipe open.
        let status = pg_ctl.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
        if status.success() {
            return Ok(());
        }
        let log = self.log();
        let lines: Vec<&str> = log.lines().rev().take(5).collect();
        Err(io::Error::other(format!("pg_ctl {arguments:?} failed: {lines:?}")))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.watchdog.stdin.take());
        let _ = self.watchdog.wait();
    }
}

/// Where PostgreSQL's programs are, and who runs them.
struct Installation {
    programs: PathBuf,
    /// User and group to run as, if we are root.
    user: Option<(u32, u32)>,
}

impl Installation {
    fn find() -> io::Result<Self> {
        let missing =
            |what: &str| io::Error::new(io::ErrorKind::NotFound, format!("{what} ({HOW_TO_INSTALL})"));
        let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        let newest = versions.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()).max();
        let debian = newest.map(|version| PathBuf::from(format!("/usr/lib/postgresql/{version}/bin")));
        let path = std::env::var_os("PATH").unwrap_or_default();
        let programs = debian.into_iter().chain(std::env::split_paths(&path));
        let programs = programs.into_iter().find(|folder| folder.join("initdb").is_file());
        let programs = programs.ok_or_else(|| missing("PostgreSQL is not installed"))?;
        if fs::metadata("/proc/self")?.uid() != 0 {
            return Ok(Installation { programs, user: None });
        }
        let users = fs::read_to_string("/etc/passwd")?;
        let user = users.lines().find_map(|line| {
            let mut fields = line.strip_prefix("postgres:")?.split(':').skip(1);
            Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
        });
        Ok(Installation { programs, user: Some(user.ok_or_else(|| missing("there is no user postgres"))?) })
    }

    fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>, folder: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(folder);
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command
    }

    /// Sets the user who runs the server as the owner of `folder` and its contents.
    fn give(&self, folder: &Path) -> io::Result<()> {
        let Some((user, group)) = self.user else { return Ok(()) };
        chown(folder, Some(user), Some(group))?;
        run(Command::new("chown").arg("-R").arg(format!("{user}:{group}")).arg(folder)).map(drop)
    }

    /// A data folder as `initdb` creates it; created once, and kept in the build folder.
    fn template(&self) -> io::Result<PathBuf> {
        let build = std::env::current_exe()?;
        let build = build.ancestors().find(|folder| folder.file_name().is_some_and(|name| name == "target"));
        let place = build.map_or_else(std::env::temp_dir, Path::to_owned);
        let version = self.programs.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
        let template = place.join(format!("postgres-template-{version}"));
        let lock = File::create(place.join("postgres-template.lock"))?;
        // Released with the file.
        lock.lock()?;
        if !template.is_dir() {
            let folder = std::env::temp_dir().join(format!("teahouse-initdb-{}", random()));
            fs::create_dir(&folder)?;
            self.give(&folder)?;
            let mut initdb = self.command(self.program("initdb"), &folder);
            initdb.arg("-D").arg(folder.join("data")).args(["-U", OWNER, "--auth=trust", "--encoding=UTF8"]);
            run(initdb.args(["--locale=C.UTF-8", "--no-sync", "--no-instructions"]))?;
            run(Command::new("cp").arg("-a").arg(folder.join("data")).arg(template.with_extension("new")))?;
            fs::rename(template.with_extension("new"), &template)?;
            fs::remove_dir_all(folder)?;
        }
        Ok(template)
    }
}

fn run(command: &mut Command) -> io::Result<String> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(io::Error::other(format!("{}: {}", command.get_program().to_string_lossy(), message.trim())))
}

fn free_port() -> io::Result<u16> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr().map(|address| address.port())
}

fn random() -> u64 {
    getrandom::u64().unwrap_or_else(|_| u64::from(std::process::id()))
}
