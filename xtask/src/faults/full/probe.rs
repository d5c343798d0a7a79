//! Somebody who tries all the time whether sending, reading and coming back work.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use client::{Client, Error, Options, Reply, http, new_session};
use protocol::{Command, CommandResult, ErrorCode, History, Resume, RoomId, RoomRef, Seq};

/// What is promised for an answer, and twice that for a machine that has much else to do.
const ANSWER: Duration = Duration::from_secs(2);
/// No recording client is in it, so the history need not know what is said there.
const ROOM: &str = "probe";
/// As long as people's messages are.
const WORDS: usize = 300;

pub(super) struct Probe {
    server: SocketAddr,
    token: String,
    talker: Client,
    listener: Client,
    room: RoomId,
    last: Seq,
    count: u64,
    /// The longest that a refusal and a read took.
    pub(super) refused: Duration,
    pub(super) read: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Stored,
    Full,
}

impl Probe {
    pub(super) fn come(server: SocketAddr) -> Result<Self> {
        let (_, token) = new_session(server, Some("Probe"))?;
        let mut talker = Client::connect(server, Options::bearer(&token))?;
        let (room, last) = talker.join(ROOM).map(|joined| (joined.room, joined.head))?;
        let mut listener = Client::connect(server, Options::default())?;
        listener.join(ROOM)?;
        let (refused, read) = (Duration::ZERO, Duration::ZERO);
        Ok(Self { server, token, talker, listener, room, last, count: 0, refused, read })
    }

    /// Says something; what was stored, the other one hears.
    pub(super) fn say(&mut self) -> Result<Answer> {
        self.count += 1;
        let begun = Instant::now();
        let answer = self.talker.say(self.room, &format!("{} {}", self.count, "x".repeat(WORDS)));
        let took = begun.elapsed();
        let answer = match answer {
            Ok(seq) => {
                let heard = self.listener.event_where(|event| event.seq >= seq);
                heard.context("what was stored was not told to somebody who listens")?;
                self.last = seq;
                Answer::Stored
            }
            Err(Error::Refused(error)) if error.code == ErrorCode::StorageFull && error.retryable => {
                self.refused = self.refused.max(took);
                Answer::Full
            }
            Err(error) => return Err(error).context("a full disk was told otherwise than by `storage_full`"),
        };
        if took > ANSWER {
            bail!("{answer:?} took {took:?}");
        }
        Ok(answer)
    }

    /// Reads by the socket that is open, by HTTP, and by coming back on another one.
    pub(super) fn look(&mut self) -> Result<()> {
        let begun = Instant::now();
        let from = Seq(self.last.0.saturating_sub(3));
        let room = RoomRef::Id(self.room);
        let history = History { room, after: Some(from), before: None, limit: Some(10) };
        match self.talker.call(&Command::History(history))? {
            Reply::Ok(CommandResult::Events(page)) if !page.events.is_empty() => {}
            other => bail!("`history` was answered {other:?}"),
        }
        let (bearer, path) =
            (format!("Bearer {}", self.token), format!("/api/v1/rooms/{}/events?after={from}", self.room));
        let page = http(self.server, "GET", &path, &[("Authorization", &bearer)], b"")?;
        if page.status != 200 {
            bail!("{path} was answered {}: {}", page.status, page.text());
        }
        let mut back = Client::connect(self.server, Options::bearer(&self.token))?;
        let rooms = BTreeMap::from([(self.room, from)]);
        let epoch = back.welcome().map(|welcome| welcome.epoch.clone());
        back.call(&Command::Resume(Resume { rooms, epoch }))?;
        back.event_where(|event| event.seq == self.last)
            .context("who came back was not told what it missed")?;
        self.listener.roundtrip()?;
        let took = begun.elapsed();
        self.read = self.read.max(took);
        // Five calls and a connection.
        if took > 3 * ANSWER {
            bail!("reading took {took:?}");
        }
        Ok(())
    }
}
