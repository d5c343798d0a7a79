//! The server that harm is done to: on one port and one data folder, however often it has to be started.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// A debug build that has to recover its store on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) struct Prey {
    pub(super) address: SocketAddr,
    binary: PathBuf,
    folder: PathBuf,
    running: Option<Running>,
}

struct Running {
    child: Child,
    /// Says a word when the server is open, and is gone when its output is.
    open: Receiver<()>,
}

impl Prey {
    /// On a port that is free now; not started yet.
    pub(super) fn new(binary: PathBuf, folder: &Path) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("no free port on 127.0.0.1")?;
        let address = listener.local_addr()?;
        Ok(Self { address, binary, folder: folder.to_owned(), running: None })
    }

    /// Starts it, and returns at once.
    pub(super) fn start(&mut self) -> Result<()> {
        let log = self.log_file()?;
        let mut command = Command::new(&self.binary);
        command.arg("--listen").arg(self.address.to_string()).arg("--data").arg(self.folder.join("data"));
        // Its settings are these alone, whatever lies in the folder we are in.
        command.current_dir(&self.folder).env("TEAHOUSE_LIMITS_ENABLED", "false");
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
        match running.open.recv_timeout(PATIENCE) {
            Ok(()) => Ok(()),
            Err(RecvTimeoutError::Timeout) => bail!("the server did not open within {PATIENCE:?}"),
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

    fn log_name(&self) -> PathBuf {
        self.folder.join("server.log")
    }

    fn log_file(&self) -> Result<File> {
        let file = OpenOptions::new().create(true).append(true).open(self.log_name());
        file.with_context(|| format!("cannot write {}", self.log_name().display()))
    }
}

impl Drop for Prey {
    fn drop(&mut self) {
        if let Some(running) = &mut self.running {
            // Both fail only if it has ended already.
            let _ = running.child.kill();
            let _ = running.child.wait();
        }
    }
}
