//! Those who want to come in where there is no room.

use std::net::SocketAddr;
use std::sync::{Arc, Barrier};
use std::thread;

use anyhow::{Context, Result, bail, ensure};
use client::{Client, Error, Options, Response};
use protocol::{EventKind, RoomId};

/// Where they talk among themselves: not one of those of which a history is taken down.
const ROOM: &str = "crowd";

/// Those who are in.
#[derive(Default)]
pub(super) struct ConnectedClients {
    clients: Vec<Client>,
    room: Option<RoomId>,
    said: u32,
}

impl ConnectedClients {
    pub(super) fn len(&self) -> usize {
        self.clients.len()
    }

    /// One more wants to come in. `false`: there is no room, and it was told so.
    pub(super) fn connect(&mut self, server: SocketAddr) -> Result<bool> {
        match Client::connect(server, Options::default()) {
            Ok(mut client) => {
                self.room = Some(client.join(ROOM)?.room);
                self.clients.push(client);
                Ok(true)
            }
            Err(Error::Upgrade(503)) => Ok(false),
            Err(error) => {
                Err(error).with_context(|| format!("{} are in, and the next one was not told no", self.len()))
            }
        }
    }

    /// The first ones hang up.
    pub(super) fn leave(&mut self, count: usize) {
        self.clients.drain(..count);
    }

    /// One says something, and all others hear it.
    pub(super) fn exchange_messages(&mut self) -> Result<()> {
        self.said += 1;
        let words = format!("words {}", self.said);
        let room = self.room.context("nobody is in")?;
        let (first, others) = self.clients.split_first_mut().context("nobody is in")?;
        first.say(room, &words).context("one who was inside could not say anything")?;
        for other in others {
            let hear = other.event_where(|event| match &event.kind {
                EventKind::Message { body, .. } => body.as_str() == words,
                _ => false,
            });
            hear.context("one who was inside does not hear the others")?;
        }
        Ok(())
    }
}

/// Whoever asks for anything is told 503, and when to ask again.
pub(super) fn expect_rejection(server: SocketAddr) -> Result<()> {
    let answer = client::http(server, "GET", "/api/v1/session", &[], b"");
    let answer = answer.context("whoever came while it was full was not told no")?;
    ensure!(is_refusal(&answer), "whoever came while it was full was answered {answer:?}");
    Ok(())
}

fn is_refusal(answer: &Response) -> bool {
    let has_wait = answer.header("retry-after").is_some_and(|wait| wait.parse::<u32>().is_ok());
    answer.status == 503 && has_wait && answer.text().contains("\"overloaded\"")
}

/// Many at once. How many of them were told 503; the others were cut off.
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
    let mut told = 0;
    for thread in threads {
        // What it does can fail, and not panic.
        match thread.join().expect("no panic") {
            Ok(answer) if is_refusal(&answer) => told += 1,
            Ok(answer) => bail!("one of many who came at once was answered {answer:?}"),
            Err(Error::Io(error)) if is_end(&error) => {}
            Err(Error::Handshake(_)) => {}
            Err(error) => return Err(error).context("one of many who came at once was left waiting"),
        }
    }
    Ok(told)
}

fn is_end(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset};
    matches!(error.kind(), BrokenPipe | ConnectionReset)
}
