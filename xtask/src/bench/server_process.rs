//! A server that runs.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use super::peers::LaunchSpec;
use crate::process;

const STARTUP_TIMEOUT: Duration = Duration::from_secs(10);

/// A folder that goes with this value, on the disk that is measured.
pub(crate) fn home(start: &LaunchSpec) -> Result<TempDir> {
    Ok(tempfile::Builder::new().prefix("run-").tempdir_in(&start.homes)?)
}

/// Ends with this value, but its data does not.
pub(crate) struct ServerProcess {
    pub(crate) address: SocketAddr,
    pub(crate) began: Instant,
    child: Child,
    said: std::path::PathBuf,
}

impl ServerProcess {
    /// Starts it on these cores, with its data in `home`; it may not take connections yet.
    pub(crate) fn spawn(start: &LaunchSpec, cores: &str, home: &Path) -> Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let said = home.join("said");
        let log = File::create(&said)?;
        let mut command = start.command(cores, address, home)?;
        let began = Instant::now();
        let child = command.stdout(log.try_clone()?).stderr(log).spawn().context("cannot start taskset")?;
        Ok(ServerProcess { address, began, child, said })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// An error with what it said, if it has ended.
    pub(crate) fn check_alive(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => {
                let said = fs::read_to_string(&self.said).unwrap_or_default();
                bail!("the server ended with {status} and said: {}", said.trim())
            }
        }
    }

    /// Asks again and again, so long apart, until `answers` or it has ended.
    pub(crate) fn wait_until(&mut self, apart: Duration, answers: impl Fn(SocketAddr) -> bool) -> Result<()> {
        while !answers(self.address) {
            self.check_alive()?;
            if self.began.elapsed() > STARTUP_TIMEOUT {
                bail!("it did not answer in {STARTUP_TIMEOUT:?}");
            }
            thread::sleep(apart);
        }
        Ok(())
    }

    /// Asks it to end, as whoever runs it would, and waits until it has.
    pub(crate) fn stop(mut self) -> Result<()> {
        process::output(Command::new("kill").args(["-TERM", &self.pid().to_string()]))?;
        let deadline = Instant::now() + STARTUP_TIMEOUT;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                bail!("it did not end in {STARTUP_TIMEOUT:?}");
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Memory of its own (RssAnon), in bytes.
    pub(crate) fn memory(&self) -> Result<u64> {
        own_memory(&fs::read_to_string(format!("/proc/{}/status", self.pid()))?)
            .context("the server's memory cannot be looked at")
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn own_memory(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}

/// A server that takes connections. It ends with this value, and its data after it.
pub(crate) struct RunningServer {
    pub(crate) process: ServerProcess,
    _home: TempDir,
}

impl RunningServer {
    /// Starts it on these cores, on an empty folder, and returns when it takes connections.
    pub(crate) fn start(start: &LaunchSpec, cores: &str) -> Result<Self> {
        let home = home(start)?;
        let mut process = ServerProcess::spawn(start, cores, home.path())?;
        process.wait_until(Duration::from_millis(20), |address| TcpStream::connect(address).is_ok())?;
        Ok(RunningServer { process, _home: home })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_that_ends_at_once_is_an_error_with_what_it_said() {
        let homes = tempfile::tempdir().unwrap();
        let start = LaunchSpec::of("ls", &["--no-such-option"], homes.path());
        let error = RunningServer::start(&start, "0").err().unwrap().to_string();
        assert!(error.contains("no-such-option"), "{error}");
    }

    #[test]
    fn server_that_is_asked_to_end_ends() {
        let homes = tempfile::tempdir().unwrap();
        let start = LaunchSpec::of("sleep", &["60"], homes.path());
        let process = ServerProcess::spawn(&start, "0", homes.path()).unwrap();
        assert!(process.memory().is_ok());
        process.stop().unwrap();
    }

    #[test]
    fn memory_is_what_is_its_own() {
        assert_eq!(own_memory("Name:\tx\nRssAnon:\t    1024 kB\nRssFile:\t 8 kB\n"), Some(1024 * 1024));
        assert_eq!(own_memory("Name:\tx\n"), None);
    }
}
