//! Requests to Teahouse: for its page, and for its number of messages per commit.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::server;

/// Whether the server serves its page, which is what a user waits for.
pub(crate) fn serves_page(address: SocketAddr) -> bool {
    server::head(address, &request(address, "/")).is_ok_and(|head| server::status(&head) == Some(200))
}

fn request(address: SocketAddr, path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")
}

/// The number of stored messages, and of the commits that stored them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct CommitCounters {
    messages: f64,
    commits: f64,
}

impl CommitCounters {
    pub(crate) fn fetch(address: SocketAddr) -> Result<Self> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(request(address, "/metrics").as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Self::parse(&answer).context("/metrics has no counters of messages and commits")
    }

    fn parse(metrics: &str) -> Option<Self> {
        let value = |name: &str| {
            let is_it = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' '));
            metrics.lines().find(is_it)?.split(' ').nth(1)?.parse().ok()
        };
        Some(CommitCounters {
            messages: value("teahouse_messages_total")?,
            commits: value("teahouse_commit_duration_seconds_count")?,
        })
    }

    /// Messages per commit since an earlier reading.
    pub(crate) fn batch_since(self, before: CommitCounters) -> Option<f64> {
        let commits = self.commits - before.commits;
        (commits > 0.0).then(|| (self.messages - before.messages) / commits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batch_size_is_messages_per_commit_in_between() {
        let metrics = |messages: u32, commits: u32| {
            format!(
                "HTTP/1.1 200 OK\r\n\r\n# TYPE teahouse_messages counter\nteahouse_messages_total {messages}\n\
                 teahouse_commit_duration_seconds_sum 1.5\nteahouse_commit_duration_seconds_count {commits}\n# EOF\n"
            )
        };
        let before = CommitCounters::parse(&metrics(10, 10)).unwrap();
        let after = CommitCounters::parse(&metrics(130, 14)).unwrap();
        assert_eq!(after.batch_since(before), Some(30.0));
        assert_eq!(before.batch_since(before), None);
        assert_eq!(CommitCounters::parse("# EOF\n"), None);
    }
}
