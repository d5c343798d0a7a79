//! A client that continually sends, reads and reconnects.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use client::{Client, Error, Options, http, new_session};
use protocol::{Command, ErrorCode, EventPage, History, Resume, RoomId, RoomRef, Seq};

/// Twice the promised second, for a busy machine.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(2);
/// No recorded client joins this room, so the history does not need its messages.
const ROOM: &str = "probe";
/// About the length of a usual message, in bytes.
const BODY_BYTES: usize = 300;

pub(super) struct Probe {
    server: SocketAddr,
    token: String,
    sender: Client,
    listener: Client,
    room: RoomId,
    last: Seq,
    count: u64,
    /// The longest time until a rejection.
    pub(super) rejected: Duration,
    /// The longest round of reads.
    pub(super) read: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Stored,
    StorageFull,
    /// The database did not answer.
    Unavailable,
}

/// The outcome of a round of reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reads {
    Served,
    /// The database did not answer.
    Unavailable,
}

impl Probe {
    pub(super) fn connect(server: SocketAddr) -> Result<Self> {
        let (_, token) = new_session(server, Some("Probe"))?;
        let mut sender = Client::connect(server, Options::bearer(&token))?;
        let (room, last) = sender.join(ROOM).map(|joined| (joined.info.room, joined.head))?;
        let mut listener = Client::connect(server, Options::default())?;
        listener.join(ROOM)?;
        let (rejected, read) = (Duration::ZERO, Duration::ZERO);
        Ok(Self { server, token, sender, listener, room, last, count: 0, rejected, read })
    }

    /// Sends a message; a stored one must reach the listener.
    pub(super) fn send(&mut self) -> Result<Answer> {
        self.count += 1;
        let started = Instant::now();
        let answer = self.sender.send_body(self.room, &format!("{} {}", self.count, "x".repeat(BODY_BYTES)));
        let took = started.elapsed();
        let answer = match answer {
            Ok(seq) => {
                let received = self.listener.event_where(|event| event.seq >= seq);
                received.context("a stored message did not reach the listener")?;
                self.last = seq;
                Answer::Stored
            }
            Err(Error::Rejected(error)) if error.retryable => {
                self.rejected = self.rejected.max(took);
                match error.code {
                    ErrorCode::StorageFull => Answer::StorageFull,
                    ErrorCode::Unavailable => Answer::Unavailable,
                    other => bail!("a send was rejected with `{other}`"),
                }
            }
            Err(error) => return Err(error).context("a send failed otherwise than by a retryable error"),
        };
        if took > RESPONSE_TIMEOUT {
            bail!("{answer:?} took {took:?}");
        }
        Ok(answer)
    }

    /// Reads over the open socket, over HTTP, and by resuming on another connection.
    pub(super) fn check_reads(&mut self) -> Result<Reads> {
        let started = Instant::now();
        let reads = self.read_all();
        let took = started.elapsed();
        // A round consists of five calls and a connection.
        if took > 3 * RESPONSE_TIMEOUT {
            bail!("reading took {took:?}, with the result {reads:?}");
        }
        let reads = reads?;
        if reads == Reads::Served {
            self.read = self.read.max(took);
        }
        Ok(reads)
    }

    fn read_all(&mut self) -> Result<Reads> {
        let from = Seq(self.last.0.saturating_sub(3));
        let room = RoomRef::Id(self.room);
        let history = History { room, after: Some(from), before: None, limit: Some(10) };
        match self.sender.call(&Command::History(history)).and_then(|reply| reply.ok::<EventPage>()) {
            Ok(page) if !page.events.is_empty() => {}
            Err(error) if is_unavailable(&error) => return Ok(Reads::Unavailable),
            other => bail!("`history` was answered {other:?}"),
        }
        let (bearer, path) =
            (format!("Bearer {}", self.token), format!("/api/v1/rooms/{}/events?after={from}", self.room));
        let page = http(self.server, "GET", &path, &[("Authorization", &bearer)], b"")?;
        match page.status {
            200 => {}
            503 if page.text().contains("unavailable") => return Ok(Reads::Unavailable),
            other => bail!("{path} was answered {other}: {}", page.text()),
        }
        let mut back = match Client::connect(self.server, Options::bearer(&self.token)) {
            Err(error) if is_unavailable(&error) => return Ok(Reads::Unavailable),
            other => other?,
        };
        let rooms = BTreeMap::from([(self.room, from)]);
        let epoch = back.welcome().map(|welcome| welcome.epoch.clone());
        match back.call(&Command::Resume(Resume { rooms, epoch })) {
            Err(error) if is_unavailable(&error) => return Ok(Reads::Unavailable),
            other => other?,
        };
        back.event_where(|event| event.seq == self.last)
            .context("the resumed connection did not receive what it missed")?;
        self.listener.roundtrip()?;
        Ok(Reads::Served)
    }
}

/// Whether the error is retryable, or a status of the upgrade that means the same.
fn is_unavailable(error: &Error) -> bool {
    match error {
        Error::Rejected(error) => error.code == ErrorCode::Unavailable && error.retryable,
        Error::Upgrade(status) => *status == 503,
        _ => false,
    }
}
