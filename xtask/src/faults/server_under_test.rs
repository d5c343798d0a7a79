//! The server of a fault run, which keeps its port and its data folder across restarts.

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

/// Bounds the start of a debug build that recovers its store on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(20);

pub(super) struct ServerUnderTest {
    pub(super) address: SocketAddr,
    binary: PathBuf,
    folder: PathBuf,
    data: PathBuf,
    environment: Vec<(OsString, OsString)>,
    through: Vec<OsString>,
    running: Option<RunningServer>,
}

struct RunningServer {
    child: Child,
    /// Receives one message when the server is open, and is disconnected when the server's output ends.
    open: Receiver<()>,
}

impl ServerUnderTest {
    /// Chooses a port that is free now. The server is not started yet.
    pub(super) fn new(binary: PathBuf, folder: &Path) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("no free port on 127.0.0.1")?;
        let address = listener.local_addr()?;
        Ok(Self {
            address,
            binary,
            folder: folder.to_owned(),
            data: folder.join("data"),
            // All clients share one address, and send faster than users do.
            environment: vec![("TEAHOUSE_LIMITS_ENABLED".into(), "false".into())],
            through: Vec::new(),
            running: None,
        })
    }

    /// Sets an environment variable, such as a setting, from the next start on.
    pub(super) fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.into(), value.into()));
    }

    /// Uses another data folder instead of `data` in the run's folder.
    pub(super) fn set_data_dir(&mut self, data: PathBuf) {
        self.data = data;
    }

    /// Starts the server through a program that replaces itself with it (`ip netns exec NAME`, `prlimit --nofile=256`), so that the
    /// process stays the same.
    pub(super) fn start_via<T: Into<OsString>>(&mut self, words: impl IntoIterator<Item = T>) {
        self.through = words.into_iter().map(Into::into).collect();
    }

    /// Starts the server without waiting for it.
    pub(super) fn start(&mut self) -> Result<()> {
        let log = self.log_file()?;
        let mut words = self.through.iter().map(OsString::as_os_str).chain([self.binary.as_os_str()]);
        // The binary's name is the last word, so there is at least one.
        let mut command = process::command_dying_with_parent(Path::new(words.next().unwrap()));
        command.args(words).arg("--listen").arg(self.address.to_string()).arg("--data").arg(&self.data);
        // No settings from the caller's environment, and none from a file in the current folder.
        command.current_dir(&self.folder).envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().with_context(|| format!("cannot start {}", self.binary.display()))?;
        // It was piped above, and nothing has taken it.
        let output = child.stdout.take().unwrap();
        let (notify, open) = channel();
        thread::spawn(move || {
            // The first line states that the server is open. The pipe is read to its end, so that the server can always write.
            for _ in BufReader::new(output).lines().map_while(Result::ok) {
                let _ = notify.send(());
            }
        });
        self.running = Some(RunningServer { child, open });
        Ok(())
    }

    /// Waits until the server is open.
    pub(super) fn wait_until_open(&mut self) -> Result<()> {
        let Some(running) = &mut self.running else { bail!("the server was not started") };
        match running.open.recv_timeout(TIMEOUT) {
            Ok(()) => Ok(()),
            Err(RecvTimeoutError::Timeout) => bail!("the server did not open within {TIMEOUT:?}"),
            Err(RecvTimeoutError::Disconnected) => {
                bail!(
                    "the server exited by itself with {}, see {}",
                    running.child.wait()?,
                    self.log_name().display()
                )
            }
        }
    }

    /// Sends SIGKILL. Fails if the server had already exited.
    pub(super) fn kill(&mut self) -> Result<()> {
        let Some(mut running) = self.running.take() else { bail!("the server was not started") };
        if let Some(status) = running.child.try_wait()? {
            bail!("the server exited by itself with {status}, see {}", self.log_name().display());
        }
        running.child.kill()?;
        running.child.wait()?;
        Ok(())
    }

    pub(super) fn pid(&self) -> Result<u32> {
        self.running.as_ref().map(|running| running.child.id()).context("the server was not started")
    }

    /// Sends a signal that the server handles.
    pub(super) fn signal(&self, signal: Signal) -> Result<()> {
        // The child has not been reaped, so its number is not reused.
        let pid = Pid::from_raw(i32::try_from(self.pid()?)?).context("no process has the number 0")?;
        kill_process(pid, signal).context("the server cannot be sent a signal")
    }

    /// Waits for the server to exit, after a signal or by its own decision.
    pub(super) fn wait_for_exit(&mut self, timeout: Duration) -> Result<ExitStatus> {
        let Some(mut running) = self.running.take() else { bail!("the server was not started") };
        let deadline = Instant::now() + timeout;
        // Its output is closed when it exits; its lines do not matter here.
        while let Ok(()) = running.open.recv_timeout(deadline.saturating_duration_since(Instant::now())) {}
        if running.child.try_wait()?.is_none() && Instant::now() >= deadline {
            running.child.kill()?;
            running.child.wait()?;
            bail!("the server did not exit within {timeout:?}, see {}", self.log_name().display());
        }
        Ok(running.child.wait()?)
    }

    /// Returns the status if the server exits within this time.
    pub(super) fn exited_within(&mut self, timeout: Duration) -> Result<Option<ExitStatus>> {
        let Some(running) = &mut self.running else { bail!("the server was not started") };
        let deadline = Instant::now() + timeout;
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

    /// The last line of the log.
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
            // Both calls fail only if the process has already exited.
            let _ = running.child.kill();
            let _ = running.child.wait();
        }
    }
}
