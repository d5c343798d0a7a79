//! The process of a measured server.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::home::Home;
use super::machine::Cores;
use super::peers::LaunchSpec;
use crate::process;

const STARTUP_TIMEOUT: Duration = Duration::from_secs(10);

/// A child process, killed when this value is dropped. Its data remains.
pub(crate) struct ServerProcess {
    pub(crate) address: SocketAddr,
    pub(crate) started: Instant,
    child: Child,
    log: std::path::PathBuf,
}

impl ServerProcess {
    /// Starts the server on its cores with its data in `home`. It may not accept connections yet.
    pub(crate) fn spawn(start: &LaunchSpec, cores: &Cores, home: &Home) -> Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        // Not `log`, to which the baseline server writes its messages.
        let log = home.path().join("output.log");
        let output = File::create(&log)?;
        let mut command = start.command(&cores.server, address, home)?;
        let started = Instant::now();
        let child =
            command.stdout(output.try_clone()?).stderr(output).spawn().context("cannot start taskset")?;
        Ok(ServerProcess { address, started, child, log })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Fails with the server's log if it has exited.
    pub(crate) fn check_alive(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => {
                let log = fs::read_to_string(&self.log).unwrap_or_default();
                bail!("the server exited with {status}; its log: {}", log.trim())
            }
        }
    }

    /// Polls at this interval until `answers` is true or the server has exited.
    pub(crate) fn wait_until(
        &mut self,
        interval: Duration,
        answers: impl Fn(SocketAddr) -> bool,
    ) -> Result<()> {
        while !answers(self.address) {
            self.check_alive()?;
            if self.started.elapsed() > STARTUP_TIMEOUT {
                bail!("the server did not answer within {STARTUP_TIMEOUT:?}");
            }
            thread::sleep(interval);
        }
        Ok(())
    }

    /// Sends SIGTERM and waits for the exit.
    pub(crate) fn stop(mut self) -> Result<()> {
        process::output(Command::new("kill").args(["-TERM", &self.pid().to_string()]))?;
        let deadline = Instant::now() + STARTUP_TIMEOUT;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                bail!("the server did not exit within {STARTUP_TIMEOUT:?}");
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// The process's own memory (RssAnon), in bytes.
    pub(crate) fn memory(&self) -> Result<u64> {
        own_memory(&fs::read_to_string(format!("/proc/{}/status", self.pid()))?)
            .context("cannot read the server's memory")
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // Both calls fail only if the process has already exited.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn own_memory(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
}

/// A server that accepts connections. It is killed when this value is dropped, and its data is removed.
pub(crate) struct RunningServer {
    pub(crate) process: ServerProcess,
    _home: Home,
}

impl RunningServer {
    /// Starts the server on its cores with an empty folder, and returns when it accepts connections.
    pub(crate) fn start(start: &LaunchSpec, cores: &Cores) -> Result<Self> {
        let home = start.create_home(cores)?;
        let mut process = ServerProcess::spawn(start, cores, &home)?;
        process.wait_until(Duration::from_millis(20), |address| TcpStream::connect(address).is_ok())?;
        Ok(RunningServer { process, _home: home })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cores() -> Cores {
        "0:0".parse().unwrap()
    }

    #[test]
    fn server_that_exits_at_once_is_an_error_with_its_log() {
        let homes = tempfile::tempdir().unwrap();
        let start = LaunchSpec::of("ls", &["--no-such-option"], homes.path());
        let error = RunningServer::start(&start, &cores()).err().unwrap().to_string();
        assert!(error.contains("no-such-option"), "{error}");
    }

    #[test]
    fn server_exits_after_sigterm() {
        let homes = tempfile::tempdir().unwrap();
        let start = LaunchSpec::of("sleep", &["60"], homes.path());
        let home = start.create_home(&cores()).unwrap();
        let process = ServerProcess::spawn(&start, &cores(), &home).unwrap();
        assert!(process.memory().is_ok());
        process.stop().unwrap();
    }

    #[test]
    fn own_memory_is_parsed_from_proc_status() {
        assert_eq!(own_memory("Name:\tx\nRssAnon:\t    1024 kB\nRssFile:\t 8 kB\n"), Some(1024 * 1024));
        assert_eq!(own_memory("Name:\tx\n"), None);
    }
}
