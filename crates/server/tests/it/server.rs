//! A real server for a test: the program itself, in a folder and at an address of its own.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{panicking, spawn};

use client::{Response, http};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::talk::WAIT_TIMEOUT;

/// A server that ends with the test. Unless a test is about them, caps and rates are off; there are two shards, also
/// where there is one core.
pub(crate) struct TestServer {
    folder: TempDir,
    settings: Vec<(String, String)>,
    pub(crate) addr: SocketAddr,
    running: Option<Running>,
}

struct Running {
    child: Child,
    /// Everything that the program printed, when it has ended. Locked, for tests share a house between threads.
    printed: Mutex<Receiver<String>>,
}

/// How a run of the program that should not last ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stderr: String,
}

impl TestServer {
    /// With limits off.
    pub(crate) fn open() -> Self {
        Self::with(&[])
    }

    /// With these settings, such as `("LIMITS_ENABLED", "true")`.
    pub(crate) fn with(settings: &[(&str, &str)]) -> Self {
        let own = settings.iter().map(|&(key, value)| (key.to_owned(), value.to_owned()));
        let mut server = TestServer {
            folder: tempfile::tempdir().unwrap(),
            settings: own.collect(),
            addr: SocketAddr::new(own_address(), 0),
            running: None,
        };
        server.start();
        server
    }

    /// Starts it, again at the same address.
    pub(crate) fn start(&mut self) {
        assert!(self.running.is_none(), "it is running");
        let log = File::options().create(true).append(true).open(self.log_path()).unwrap();
        let mut child = self.command().stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let addr = line.trim().strip_prefix("Teahouse is open at http://").and_then(|addr| addr.parse().ok());
        self.addr = addr.unwrap_or_else(|| panic!("it printed {line:?}, and logged\n{}", self.log()));
        let (send, printed) = channel();
        // Read in a thread, so that the program never waits for us.
        spawn(move || {
            let mut rest = line;
            // What is no text would be a finding, and shows as an empty rest.
            let _ = stdout.read_to_string(&mut rest);
            let _ = send.send(rest);
        });
        self.running = Some(Running { child, printed: Mutex::new(printed) });
    }

    /// SIGTERM, and the end: how it exited, and everything that it printed.
    pub(crate) fn stop(&mut self) -> (ExitStatus, String) {
        self.terminate();
        self.wait()
    }

    /// SIGTERM.
    pub(crate) fn terminate(&self) {
        kill_process(self.pid(), Signal::TERM).unwrap();
    }

    /// Waits for the end.
    pub(crate) fn wait(&mut self) -> (ExitStatus, String) {
        let running = self.running.as_mut().expect("it is running");
        let printed = running.printed.get_mut().unwrap().recv_timeout(WAIT_TIMEOUT).expect("it does not end");
        let status = running.child.wait().unwrap();
        self.running = None;
        (status, printed)
    }

    /// SIGKILL, and the end.
    pub(crate) fn kill(&mut self) {
        let mut running = self.running.take().expect("it is running");
        running.child.kill().unwrap();
        running.child.wait().unwrap();
    }

    /// SIGTERM, and started anew.
    pub(crate) fn restart(&mut self) {
        let (status, _) = self.stop();
        assert!(status.success(), "{status}\n{}", self.log());
        self.start();
    }

    /// The program with this house's settings.
    pub(crate) fn command(&self) -> Command {
        let mut command = program();
        command.current_dir(self.folder.path());
        command.env("TEAHOUSE_LISTEN", self.addr.to_string());
        command.env("TEAHOUSE_DATA", self.data());
        command.env("TEAHOUSE_SHARDS", "2").env("TEAHOUSE_LIMITS_ENABLED", "false");
        // Clients of tests seldom answer a goodbye, and nobody wants to wait for them.
        command.env("TEAHOUSE_TIMEOUTS_CLOSE", "300ms");
        for (key, value) in &self.settings {
            command.env(format!("TEAHOUSE_{key}"), value);
        }
        command
    }

    /// The data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Everything in the data folder, bytes behind bytes.
    pub(crate) fn stored_bytes(&self) -> Vec<u8> {
        fs::read_dir(self.data())
            .unwrap()
            .flat_map(|entry| fs::read(entry.unwrap().path()).unwrap())
            .collect()
    }

    /// What it has logged in all its lives.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// `GET`, without anything beside.
    pub(crate) fn get(&self, path: &str) -> Response {
        http(self.addr, "GET", path, &[], b"").unwrap()
    }

    /// A number out of `/metrics`.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").text();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
        value.unwrap_or_else(|| panic!("{name} is not in\n{text}"))
    }

    /// Looks until it is so; each look is a request, which is time enough for the server to come to it.
    pub(crate) fn until_metric(&self, name: &str, wanted: impl Fn(f64) -> bool) {
        let begin = std::time::Instant::now();
        loop {
            let found = self.metric(name);
            if wanted(found) {
                return;
            }
            assert!(begin.elapsed() < WAIT_TIMEOUT, "{name} stays at {found}");
        }
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.running.as_ref().expect("it is running").child)
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if let Some(mut running) = self.running.take() {
            let _ = running.child.kill();
            let _ = running.child.wait();
        }
        let log = self.log();
        if panicking() {
            let skipped = log.lines().count().saturating_sub(30);
            let last: Vec<&str> = log.lines().skip(skipped).collect();
            eprintln!("the server's last words:\n{}", last.join("\n"));
        } else {
            // Whatever a client does, it must not bring the server to this.
            assert!(!log.contains("panicked") && !log.contains("\"ERROR\""), "{log}");
        }
    }
}

/// The program, without any of the settings that the tests' environment may hold.
pub(crate) fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_teahouse"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TEAHOUSE_") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// Runs the program to its end, which should come by itself.
pub(crate) fn run(command: &mut Command) -> Ended {
    let output = command.output().unwrap();
    Ended { code: output.status.code(), stderr: String::from_utf8(output.stderr).unwrap() }
}

/// Each house has an address of its own, so that no connection of another test can be given its port while it restarts.
fn own_address() -> IpAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let [a, b] = std::process::id().to_be_bytes()[2..] else { unreachable!("two bytes are left") };
    // 127.0.0.0/8 is this machine; 127.0.0.1 is left to others.
    Ipv4Addr::new(127, 1 + a % 200, b, 1 + u8::try_from(number % 250).unwrap()).into()
}
