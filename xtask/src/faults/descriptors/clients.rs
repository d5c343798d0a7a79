//! Clients that connect to a server without free descriptors.

use std::net::SocketAddr;
use std::sync::{Arc, Barrier};
use std::thread;

use anyhow::{Context, Result, bail, ensure};
use client::{Client, Error, Options, Response};
use protocol::{EventKind, RoomId};

/// A room that no recorded client joins.
const ROOM: &str = "crowd";

/// The clients that could connect.
#[derive(Default)]
pub(super) struct ConnectedClients {
    clients: Vec<Client>,
    room: Option<RoomId>,
    sent: u32,
}

impl ConnectedClients {
    pub(super) fn len(&self) -> usize {
        self.clients.len()
    }

    /// Connects one more client. Returns `false` if it was rejected with 503.
    pub(super) fn connect(&mut self, server: SocketAddr) -> Result<bool> {
        match Client::connect(server, Options::default()) {
            Ok(mut client) => {
                self.room = Some(client.join(ROOM)?.info.room);
                self.clients.push(client);
                Ok(true)
            }
            Err(Error::Upgrade(503)) => Ok(false),
            Err(error) => Err(error)
                .with_context(|| format!("client {} was neither accepted nor rejected", self.len() + 1)),
        }
    }

    /// Disconnects the first `count` clients.
    pub(super) fn leave(&mut self, count: usize) {
        self.clients.drain(..count);
    }

    /// Lets one client send a message, which all others must receive.
    pub(super) fn exchange_messages(&mut self) -> Result<()> {
        self.sent += 1;
        let body = format!("body {}", self.sent);
        let room = self.room.context("no client is connected")?;
        let (first, others) = self.clients.split_first_mut().context("no client is connected")?;
        first.send_body(room, &body).context("a connected client could not send")?;
        for other in others {
            let received = other.event_where(|event| match &event.kind {
                EventKind::Message { body: text, .. } => text.as_str() == body,
                _ => false,
            });
            received.context("a connected client did not receive the message")?;
        }
        Ok(())
    }
}

/// Checks that an HTTP request is answered with 503 and the time to wait.
pub(super) fn expect_rejection(server: SocketAddr) -> Result<()> {
    let answer = client::http(server, "GET", "/api/v1/session", &[], b"");
    let answer = answer.context("a request to the full server got no answer")?;
    ensure!(is_rejection(&answer), "a request to the full server got {answer:?}");
    Ok(())
}

fn is_rejection(answer: &Response) -> bool {
    let has_wait = answer.header("retry-after").is_some_and(|wait| wait.parse::<u32>().is_ok());
    answer.status == 503 && has_wait && answer.text().contains("\"overloaded\"")
}

/// Sends `count` simultaneous requests. Returns the number of 503; the server closed the other connections.
pub(super) fn burst(server: SocketAddr, count: usize) -> Result<usize> {
    let begin = Arc::new(Barrier::new(count));
    let connect = || {
        let begin = Arc::clone(&begin);
        thread::spawn(move || {
            begin.wait();
            client::http(server, "GET", "/api/v1/session", &[], b"")
        })
    };
    let threads: Vec<_> = (0..count).map(|_| connect()).collect();
    let mut rejected = 0;
    for thread in threads {
        // The thread returns errors and does not panic.
        match thread.join().expect("the thread does not panic") {
            Ok(answer) if is_rejection(&answer) => rejected += 1,
            Ok(answer) => bail!("one of the simultaneous requests got {answer:?}"),
            Err(Error::Io(error)) if is_connection_closed(&error) => {}
            Err(Error::Handshake(_)) => {}
            Err(error) => return Err(error).context("one of the simultaneous requests got no answer"),
        }
    }
    Ok(rejected)
}

fn is_connection_closed(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset};
    matches!(error.kind(), BrokenPipe | ConnectionReset)
}
