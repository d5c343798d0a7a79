//! A temporary server on a free loopback port, with a temporary data folder.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

/// Bounds the start; a debug build on a busy machine starts in well under a second.
const STARTUP_TIMEOUT: Duration = Duration::from_secs(20);

/// A server that is killed when this value is dropped, because its data is not needed afterwards.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    child: Child,
    home: TempDir,
}

impl Server {
    /// Starts `binary` without limits, and returns when it answers.
    pub(crate) fn start(binary: &Path) -> Result<Self> {
        let home = tempfile::tempdir().context("cannot make a folder for a server's data")?;
        let address = free_address()?;
        let log = File::create(home.path().join("log"))?;
        let mut command = Command::new(binary);
        command.arg("--listen").arg(address.to_string()).arg("--data").arg(home.path().join("data"));
        // No settings from a file in the current folder.
        command.current_dir(home.path()).env("TEAHOUSE_LIMITS_ENABLED", "false");
        command.stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().with_context(|| format!("cannot start {}", binary.display()))?;
        println!("started {} on {address}", binary.display());
        let mut server = Self { address, child, home };
        match server.wait_until_up() {
            Ok(()) => Ok(server),
            Err(error) => Err(error.context(server.log())),
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The server's log so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.home.path().join("log")).unwrap_or_default()
    }

    /// Fails if the server has exited, which it must not do by itself.
    pub(crate) fn check_alive(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("the server exited with {status}; its log:\n{}", self.log()),
        }
    }

    fn wait_until_up(&mut self) -> Result<()> {
        let deadline = Instant::now() + STARTUP_TIMEOUT;
        loop {
            self.check_alive()?;
            let request =
                format!("GET /healthz HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address);
            if head(self.address, &request).is_ok_and(|head| status(&head) == Some(200)) {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!(
                    "the server did not answer on http://{}/healthz within {STARTUP_TIMEOUT:?}",
                    self.address
                );
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both calls fail only if the process has already exited.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address whose port is free now. If another program takes it before the server does, the server reports that.
fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").context("no free port on 127.0.0.1")?;
    Ok(listener.local_addr()?)
}

/// Sends an HTTP request. Returns the head of the response in lower case.
pub(crate) fn head(address: SocketAddr, request: &str) -> Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.write_all(request.as_bytes())?;
    let mut head = Vec::new();
    let mut buffer = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut buffer)? {
            0 => break,
            read => head.extend_from_slice(&buffer[..read]),
        }
    }
    Ok(String::from_utf8_lossy(&head).to_lowercase())
}

pub(crate) fn status(head: &str) -> Option<u16> {
    head.strip_prefix("http/1.1 ")?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_is_parsed_from_the_first_line() {
        assert_eq!(status("http/1.1 200 ok\r\ncontent-length: 503\r\n\r\n"), Some(200));
        assert_eq!(status("http/1.1 503 service unavailable\r\n\r\n"), Some(503));
        assert_eq!(status("ssh-2.0"), None);
    }

    #[test]
    fn server_that_exits_at_once_is_an_error_with_its_log() {
        // `ls` has no option `--listen`, so it exits with an error.
        let error = Server::start(Path::new("ls")).err().unwrap();
        let text = format!("{error:#}");
        assert!(text.contains("--listen") && text.contains("exited with"), "{text}");
    }
}
