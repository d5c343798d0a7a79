//! The server that harm is done to: on one port and one data folder, however often it has to be started.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::process;

/// A debug build that has to recover its store on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(20);

pub(super) struct ServerUnderTest {
    pub(super) address: SocketAddr,
    binary: PathBuf,
    folder: PathBuf,
    data: PathBuf,
    environment: Vec<(OsString, OsString)>,
    through: Vec<OsString>,
    running: Option<Running>,
}

struct Running {
    child: Child,
    /// Says a word when the server is open, and is gone when its output is.
    open: Receiver<()>,
}

#[expect(dead_code, reason = "not every harm is done yet")]
impl ServerUnderTest {
    /// On a port that is free now; not started yet.
    pub(super) fn new(binary: PathBuf, folder: &Path) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("no free port on 127.0.0.1")?;
        let address = listener.local_addr()?;
        Ok(Self {
            address,
            binary,
            folder: folder.to_owned(),
            data: folder.join("data"),
            // Many come from one address here, and faster than people do.
            environment: vec![("TEAHOUSE_LIMITS_ENABLED".into(), "false".into())],
            through: Vec::new(),
            running: None,
        })
    }

    /// A setting, or whatever else is told by environment; from the next start on.
    pub(super) fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.into(), value.into()));
    }

    /// Another folder for its data than `data` in the run's folder.
    pub(super) fn set_data_dir(&mut self, data: PathBuf) {
        self.data = data;
    }

    /// Another address than the free port on 127.0.0.1: one in a network of its own.
    pub(super) fn set_address(&mut self, address: SocketAddr) {
        self.address = address;
    }

    /// A program and its arguments that become the server (`ip netns exec NAME`, `prlimit --nofile=256`): the process is the same.
    pub(super) fn start_via<T: Into<OsString>>(&mut self, words: impl IntoIterator<Item = T>) {
        self.through = words.into_iter().map(Into::into).collect();
    }

    /// Starts it, and returns at once.
    pub(super) fn start(&mut self) -> Result<()> {
        let log = self.log_file()?;
        let mut words = self.through.iter().map(OsString::as_os_str).chain([self.binary.as_os_str()]);
        // The binary's name is the last of at least one.
        let mut command = process::command_dying_with_parent(Path::new(words.next().unwrap()));
        command.args(words).arg("--listen").arg(self.address.to_string()).arg("--data").arg(&self.data);
        // Its settings are these alone, whatever lies in the folder we are in.
        command.current_dir(&self.folder).envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().with_context(|| format!("cannot start {}", self.binary.display()))?;
        // It was piped just above.
        let output = child.stdout.take().unwrap();
        let (say, open) = channel();
        thread::spawn(move || {
            // Its only line says that it is open. It is read to its end, so that the server can always write.
            for _ in BufReader::new(output).lines().map_while(Result::ok) {
                let _ = say.send(());
            }
        });
        self.running = Some(Running { child, open });
        Ok(())
    }

    /// Waits until it is open.
    pub(super) fn wait_until_open(&mut self) -> Result<()> {
        let Some(running) = &mut self.running else { bail!("the server was not started") };
        match running.open.recv_timeout(TIMEOUT) {
            Ok(()) => Ok(()),
            Err(RecvTimeoutError::Timeout) => bail!("the server did not open within {TIMEOUT:?}"),
            Err(RecvTimeoutError::Disconnected) => {
                bail!(
                    "the server ended by itself with {}, see {}",
                    running.child.wait()?,
                    self.log_name().display()
                )
            }
        }
    }

    /// SIGKILL. An error if it had ended by itself before.
    pub(super) fn kill(&mut self) -> Result<()> {
        let Some(mut running) = self.running.take() else { bail!("the server was not started") };
        if let Some(status) = running.child.try_wait()? {
            bail!("the server ended by itself with {status}, see {}", self.log_name().display());
        }
        running.child.kill()?;
        running.child.wait()?;
        Ok(())
    }

    pub(super) fn pid(&self) -> Result<u32> {
        self.running.as_ref().map(|running| running.child.id()).context("the server was not started")
    }

    /// Sends it a signal that it hears.
    pub(super) fn signal(&self, signal: Signal) -> Result<()> {
        // The child has not been waited for, so the number is nobody else's.
        let pid = Pid::from_raw(i32::try_from(self.pid()?)?).context("no process has the number 0")?;
        kill_process(pid, signal).context("the server cannot be sent a signal")
    }

    /// Waits for it to end by itself: what it was told to, or found right.
    pub(super) fn wait_for_end(&mut self, patience: Duration) -> Result<ExitStatus> {
        let Some(mut running) = self.running.take() else { bail!("the server was not started") };
        let deadline = Instant::now() + patience;
        // Its output is closed when it ends; what it says before is not what we wait for.
        while let Ok(()) = running.open.recv_timeout(deadline.saturating_duration_since(Instant::now())) {}
        if running.child.try_wait()?.is_none() && Instant::now() >= deadline {
            running.child.kill()?;
            running.child.wait()?;
            bail!("the server did not end within {patience:?}, see {}", self.log_name().display());
        }
        Ok(running.child.wait()?)
    }

    /// Whether it ends by itself within this time.
    pub(super) fn ended_within(&mut self, patience: Duration) -> Result<Option<ExitStatus>> {
        let Some(running) = &mut self.running else { bail!("the server was not started") };
        let deadline = Instant::now() + patience;
        loop {
            match running.open.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(()) => {}
                Err(RecvTimeoutError::Timeout) => return Ok(None),
                Err(RecvTimeoutError::Disconnected) => {
                    let status = running.child.wait()?;
                    self.running = None;
                    return Ok(Some(status));
                }
            }
        }
    }

    /// The last line that it has logged.
    pub(super) fn last_log_line(&self) -> Result<String> {
        let log = std::fs::read_to_string(self.log_name()).context("there is no log")?;
        Ok(log.lines().last().unwrap_or_default().to_owned())
    }

    fn log_name(&self) -> PathBuf {
        self.folder.join("server.log")
    }

    fn log_file(&self) -> Result<File> {
        let file = OpenOptions::new().create(true).append(true).open(self.log_name());
        file.with_context(|| format!("cannot write {}", self.log_name().display()))
    }
}

impl Drop for ServerUnderTest {
    fn drop(&mut self) {
        if let Some(running) = &mut self.running {
            // Both fail only if it has ended already.
            let _ = running.child.kill();
            let _ = running.child.wait();
        }
    }
}
