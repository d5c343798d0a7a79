//! A real server for a test: the program itself, with its own folder and address.

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

use crate::client_ext::WAIT_TIMEOUT;

/// A server that is killed at the end of the test. By default limits are off, and there are two shards, even on one core.
pub(crate) struct TestServer {
    folder: TempDir,
    settings: Vec<(String, String)>,
    pub(crate) addr: SocketAddr,
    running: Option<Running>,
}

struct Running {
    child: Child,
    /// Receives everything that the program printed, after it has exited. In a mutex because tests share a server
    /// between threads.
    printed: Mutex<Receiver<String>>,
}

/// The result of a run of the program that exits by itself.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stderr: String,
}

impl TestServer {
    /// Starts a server with limits off.
    pub(crate) fn open() -> Self {
        Self::with(&[])
    }

    /// Starts a server with these settings, such as `("LIMITS_ENABLED", "true")`.
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

    /// Starts the server; after a stop, at the same address.
    pub(crate) fn start(&mut self) {
        assert!(self.running.is_none(), "the server is running");
        let log = File::options().create(true).append(true).open(self.log_path()).unwrap();
        let mut child = self.command().stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let addr = line.trim().strip_prefix("Teahouse is open at http://").and_then(|addr| addr.parse().ok());
        self.addr = addr.unwrap_or_else(|| panic!("the server printed {line:?}, and logged\n{}", self.log()));
        let (send, printed) = channel();
        // Read in a thread, so that the program never blocks on a full pipe.
        spawn(move || {
            let mut rest = line;
            // Invalid UTF-8 would be a defect, and shows as an empty rest.
            let _ = stdout.read_to_string(&mut rest);
            let _ = send.send(rest);
        });
        self.running = Some(Running { child, printed: Mutex::new(printed) });
    }

    /// Sends SIGTERM and waits: returns the exit status, and everything that the server printed.
    pub(crate) fn stop(&mut self) -> (ExitStatus, String) {
        self.terminate();
        self.wait()
    }

    pub(crate) fn terminate(&self) {
        kill_process(self.pid(), Signal::TERM).unwrap();
    }

    pub(crate) fn wait(&mut self) -> (ExitStatus, String) {
        let running = self.running.as_mut().expect("the server is running");
        let printed =
            running.printed.get_mut().unwrap().recv_timeout(WAIT_TIMEOUT).expect("the server exits");
        let status = running.child.wait().unwrap();
        self.running = None;
        (status, printed)
    }

    /// Sends SIGKILL and waits.
    pub(crate) fn kill(&mut self) {
        let mut running = self.running.take().expect("the server is running");
        running.child.kill().unwrap();
        running.child.wait().unwrap();
    }

    /// Stops the server with SIGTERM and starts it again.
    pub(crate) fn restart(&mut self) {
        let (status, _) = self.stop();
        assert!(status.success(), "{status}\n{}", self.log());
        self.start();
    }

    /// The program with the settings of this server.
    pub(crate) fn command(&self) -> Command {
        let mut command = program();
        command.current_dir(self.folder.path());
        command.env("TEAHOUSE_LISTEN", self.addr.to_string());
        command.env("TEAHOUSE_DATA", self.data());
        command.env("TEAHOUSE_SHARDS", "2").env("TEAHOUSE_LIMITS_ENABLED", "false");
        // The clients in tests seldom answer a close frame; a short timeout keeps a stop fast.
        command.env("TEAHOUSE_TIMEOUTS_CLOSE", "300ms");
        for (key, value) in &self.settings {
            command.env(format!("TEAHOUSE_{key}"), value);
        }
        command
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The contents of all files in the data folder, concatenated.
    pub(crate) fn stored_bytes(&self) -> Vec<u8> {
        fs::read_dir(self.data())
            .unwrap()
            .flat_map(|entry| fs::read(entry.unwrap().path()).unwrap())
            .collect()
    }

    /// Everything that the server has logged, including before restarts.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Sends a `GET` without extra headers.
    pub(crate) fn get(&self, path: &str) -> Response {
        http(self.addr, "GET", path, &[], b"").unwrap()
    }

    /// The value of one metric in `/metrics`.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").text();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
        value.unwrap_or_else(|| panic!("{name} is not in\n{text}"))
    }

    /// Polls until the metric satisfies `wanted`. Each poll is a request, so the loop does not spin.
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
        Pid::from_child(&self.running.as_ref().expect("the server is running").child)
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
            eprintln!("the end of the server's log:\n{}", last.join("\n"));
        } else {
            // No client may cause a panic or an error in the log.
            assert!(!log.contains("panicked") && !log.contains("\"ERROR\""), "{log}");
        }
    }
}

/// The program, without settings from the environment of the tests.
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

/// Runs the program until it exits by itself.
pub(crate) fn run(command: &mut Command) -> Ended {
    let output = command.output().unwrap();
    Ended { code: output.status.code(), stderr: String::from_utf8(output.stderr).unwrap() }
}

/// A distinct loopback address for each server, so that no connection of another test can take its port while it restarts.
fn own_address() -> IpAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let [a, b] = std::process::id().to_be_bytes()[2..] else { unreachable!("two bytes are left") };
    // 127.0.0.0/8 is this machine; 127.0.0.1 is left to other programs.
    Ipv4Addr::new(127, 1 + a % 200, b, 1 + u8::try_from(number % 250).unwrap()).into()
}
